//! Rules compiled into tables: a decision looks up, it does not search.
//!
//! Time does not grow with the number of rules that say different things; only rules that all
//! name one and the same operation share a bitset, 64 to a word. Nothing here allocates when
//! asked.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::rule::{AllowRule, DenyRule, Effects, Objects, Opens};
use crate::access::effect::Effect;
use crate::access::facts::{Need, OperationIndex, Risks, ScopeIndex, Touch};
use crate::access::object_type::ObjectType;
use crate::access::policy_text::written::Selector;

/// A rule by its position among the rules of its list.
pub type RuleIndex = u16;

const EFFECTS: usize = Effect::ALL.len();
const RISK_SETS: usize = 1 << Risks::NAMES.len();

/// The connection a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionRef<'a> {
    /// Its name.
    pub name: &'a str,
    /// The app it belongs to, if it is an OAuth connection.
    pub app: Option<&'a str>,
}

impl ConnectionRef<'_> {
    /// Whether `selector` means this connection.
    pub fn is_selected_by(&self, selector: &Selector) -> bool {
        match selector {
            Selector::All => true,
            Selector::Name(name) => name == self.name,
            Selector::App(app) => self.app == Some(app.as_str()),
        }
    }

    /// Whether a rule with these connections holds for it.
    pub fn is_selected_by_any(&self, selectors: Option<&[Selector]>) -> bool {
        selectors.is_none_or(|all| all.iter().any(|s| self.is_selected_by(s)))
    }
}

/// The rules of one policy or ceiling, compiled.
#[derive(Debug)]
pub struct Tables {
    slots: Slots,
    /// Operations that no scope opens although one is listed; a handful.
    named_only: Vec<OperationIndex>,
    /// Rules that hold for every connection.
    everywhere: Layer,
    /// Rules that name connections.
    by_name: HashMap<String, Layer>,
    by_app: HashMap<String, Layer>,
}

/// Layers that hold for one connection: three at most.
pub type Layers<'t> = SmallVec<[&'t Layer; 3]>;

/// What of the catalogue the tables are made for.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Operations in the catalogue.
    pub operations: usize,
    /// Scopes in the catalogue.
    pub scopes: usize,
    /// Rows of the table of object types.
    pub object_types: usize,
    /// Operations that no scope opens although one is listed.
    pub named_only: Vec<OperationIndex>,
}

impl Tables {
    /// Compiles rules.
    pub fn compile(sizes: &Sizes, allow: &[AllowRule], deny: &[DenyRule]) -> Self {
        let slots = Slots::new(sizes.object_types, allow, deny);
        let layer = |picked: &dyn Fn(Option<&[Selector]>) -> bool| {
            let allow: Vec<_> = indexed(allow)
                .filter(|(_, rule)| picked(rule.connections.as_deref()))
                .collect();
            let deny: Vec<_> = indexed(deny)
                .filter(|(_, rule)| picked(rule.connections.as_deref()))
                .collect();
            Layer::compile(sizes, &slots, &allow, &deny)
        };
        let mut by_name = HashMap::new();
        let mut by_app = HashMap::new();
        let named = allow.iter().filter_map(|r| r.connections.as_ref());
        let denied = deny.iter().filter_map(|r| r.connections.as_ref());
        for selector in named.chain(denied).flatten() {
            let picked = |rule: Option<&[Selector]>| rule.is_some_and(|all| all.contains(selector));
            match selector {
                Selector::Name(name) => by_name.entry(name.clone()).or_insert_with(|| layer(&picked)),
                Selector::App(app) => by_app.entry(app.clone()).or_insert_with(|| layer(&picked)),
                Selector::All => continue,
            };
        }
        let everywhere = layer(&|rule: Option<&[Selector]>| rule.is_none());
        Self {
            slots,
            named_only: sizes.named_only.clone(),
            everywhere,
            by_name,
            by_app,
        }
    }

    /// The layers that hold for a connection.
    pub fn layers(&self, connection: ConnectionRef<'_>) -> Layers<'_> {
        let mut layers = Layers::new();
        layers.push(&self.everywhere);
        if !self.by_name.is_empty()
            && let Some(layer) = self.by_name.get(connection.name)
        {
            layers.push(layer);
        }
        if !self.by_app.is_empty()
            && let Some(app) = connection.app
            && let Some(layer) = self.by_app.get(app)
        {
            layers.push(layer);
        }
        layers
    }

    /// The `deny` rule that catches a need, if one does.
    pub fn denied(&self, layers: &Layers<'_>, need: &Need) -> Option<RuleIndex> {
        layers
            .iter()
            .filter_map(|layer| layer.deny.find(&self.slots, need))
            .min()
    }

    /// The `allow` rule that opens a need, if one does: one that names the operation, or scope
    /// rules for everything it touches.
    pub fn opened(&self, layers: &Layers<'_>, need: &Need) -> Option<RuleIndex> {
        layers
            .iter()
            .find_map(|layer| layer.operation(&self.slots, need))
            .or_else(|| self.opened_by_scopes(layers, need))
    }

    fn opened_by_scopes(&self, layers: &Layers<'_>, need: &Need) -> Option<RuleIndex> {
        if self.named_only.contains(&need.operation) {
            return None;
        }
        let mut first = None;
        for touch in &need.touches {
            let rule = self.touch_opened(layers, need, touch)?;
            first = first.or(Some(rule));
        }
        first
    }

    /// A term opens a touch when each of its scopes is held for the type, by whatever rule, and
    /// one of them opens the effect.
    fn touch_opened(&self, layers: &Layers<'_>, need: &Need, touch: &Touch) -> Option<RuleIndex> {
        let slot = self.slots.of(touch.object.as_ref());
        touch.requirement.iter().find_map(|term| {
            let held = |scope: &ScopeIndex| {
                layers
                    .iter()
                    .any(|layer| layer.scope(*scope, need.risks, HELD, slot).is_some())
            };
            let opens = |scope: &ScopeIndex| {
                layers
                    .iter()
                    .find_map(|layer| layer.scope(*scope, need.risks, need.effect as usize, slot))
            };
            let rule = term.iter().find_map(opens)?;
            (term.len() == 1 || term.iter().all(held)).then_some(rule)
        })
    }
}

fn indexed<R>(rules: &[R]) -> impl Iterator<Item = (RuleIndex, &R)> {
    (0..=RuleIndex::MAX).zip(rules)
}

/// Positions of object types in the tables.
///
/// 0 = touches no type; then the catalogue's rows; then custom objects that no rule names; then
/// those that one names.
#[derive(Debug)]
struct Slots {
    known: usize,
    custom: HashMap<Arc<str>, usize>,
}

impl Slots {
    fn new(known: usize, allow: &[AllowRule], deny: &[DenyRule]) -> Self {
        let mut custom = HashMap::new();
        let allowed = allow.iter().flat_map(|rule| match &rule.opens {
            Opens::Scopes { grants, .. } => grants.iter().map(|g| &g.objects).collect::<Vec<_>>(),
            Opens::Operations { objects, .. } => vec![objects],
        });
        for objects in allowed.chain(deny.iter().filter_map(|rule| rule.objects.as_ref())) {
            for object in &objects.named {
                if let ObjectType::Custom(name) = object {
                    let next = known + 2 + custom.len();
                    custom.entry(Arc::clone(name)).or_insert(next);
                }
            }
        }
        Self { known, custom }
    }

    fn len(&self) -> usize {
        self.known + 2 + self.custom.len()
    }

    fn of(&self, object: Option<&ObjectType>) -> usize {
        match object {
            None => 0,
            Some(ObjectType::Known(row)) => 1 + usize::from(*row),
            Some(ObjectType::Custom(name)) => *self.custom.get(name).unwrap_or(&(self.known + 1)),
        }
    }

    /// The slots a set covers.
    fn covered(&self, objects: &Objects) -> Vec<usize> {
        let mut covered: Vec<usize> = Vec::new();
        if objects.typeless {
            covered.push(0);
        }
        if objects.all {
            covered.extend(1..self.len());
            return covered;
        }
        if objects.any_custom {
            covered.extend(self.known + 1..self.len());
        }
        if objects.unnamed_custom {
            covered.push(self.known + 1);
        }
        covered.extend(objects.named.iter().map(|object| self.of(Some(object))));
        covered
    }
}

/// The row of a scope's table that says whether it is held, whatever its effect.
const HELD: usize = EFFECTS;

/// Rules that hold together.
#[derive(Debug)]
pub struct Layer {
    /// By scope: 1 + position in `scopes`, 0 = no rule names it.
    scope_at: Box<[u16]>,
    scopes: Vec<ScopeTable>,
    /// By operation: 1 + position in `operations`, 0 = no rule names it.
    operation_at: Box<[u16]>,
    operations: Vec<OperationTable>,
    deny: DenyTable,
}

impl Layer {
    fn compile(
        sizes: &Sizes,
        slots: &Slots,
        allow: &[(RuleIndex, &AllowRule)],
        deny: &[(RuleIndex, &DenyRule)],
    ) -> Self {
        let mut layer = Self {
            scope_at: vec![0; sizes.scopes].into(),
            scopes: Vec::new(),
            operation_at: vec![0; sizes.operations].into(),
            operations: Vec::new(),
            deny: DenyTable::compile(sizes, slots, deny),
        };
        for (index, rule) in allow {
            match &rule.opens {
                Opens::Scopes { grants, risks } => {
                    for grant in grants {
                        let at = entry(&mut layer.scope_at, grant.scope.0, &mut layer.scopes);
                        if let Some(table) = at {
                            let covered = slots.covered(&grant.objects);
                            table.add(slots.len(), *index, grant.effects, *risks, &covered);
                        }
                    }
                }
                Opens::Operations {
                    grants,
                    objects,
                    risks,
                } => {
                    let mut covered = slots.covered(objects);
                    covered.push(0);
                    for grant in grants {
                        let at = entry(&mut layer.operation_at, grant.operation.0, &mut layer.operations);
                        if let Some(table) = at {
                            table.add(slots.len(), *index, grant.effects, *risks, &covered);
                        }
                    }
                }
            }
        }
        layer
    }

    fn scope(&self, scope: ScopeIndex, risks: Risks, row: usize, slot: usize) -> Option<RuleIndex> {
        let at = *self.scope_at.get(usize::from(scope.0))?;
        let table = self.scopes.get(usize::from(at).checked_sub(1)?)?;
        table.find(risks, row, slot)
    }

    fn operation(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
        let at = *self.operation_at.get(usize::from(need.operation.0))?;
        let table = self.operations.get(usize::from(at).checked_sub(1)?)?;
        table.find(slots, need)
    }
}

/// The table at `key`, made if it is not there.
fn entry<'a, T: Default>(at: &mut [u16], key: u16, tables: &'a mut Vec<T>) -> Option<&'a mut T> {
    let position = at.get_mut(usize::from(key))?;
    if *position == 0 {
        tables.push(T::default());
        *position = u16::try_from(tables.len()).ok()?;
    }
    tables.get_mut(usize::from(*position) - 1)
}

/// What rules open by one scope: `[risk set][effect or HELD][slot]` → 1 + rule, 0 = none.
#[derive(Debug, Default)]
struct ScopeTable {
    /// One risk set (none) or all of them: few rules name a risk.
    risk_sets: usize,
    slots: usize,
    cells: Vec<RuleIndex>,
}

impl ScopeTable {
    fn add(&mut self, slots: usize, rule: RuleIndex, effects: Effects, risks: Risks, covered: &[usize]) {
        self.slots = slots;
        let wanted = if risks.is_empty() { 1 } else { RISK_SETS };
        self.risk_sets = self.risk_sets.max(wanted);
        self.cells.resize(self.risk_sets * (EFFECTS + 1) * slots, 0);
        for set in 0..self.risk_sets {
            let asked = Risks(u8::try_from(set).unwrap_or(u8::MAX));
            if !asked.minus(risks).is_empty() {
                continue;
            }
            for row in effects.iter().map(|e| e as usize).chain([HELD]) {
                for slot in covered {
                    let at = (set * (EFFECTS + 1) + row) * slots + slot;
                    if let Some(cell) = self.cells.get_mut(at)
                        && *cell == 0
                    {
                        *cell = rule.saturating_add(1);
                    }
                }
            }
        }
    }

    fn find(&self, risks: Risks, row: usize, slot: usize) -> Option<RuleIndex> {
        let set = usize::from(risks.0);
        if set >= self.risk_sets || slot >= self.slots {
            return None;
        }
        let at = (set * (EFFECTS + 1) + row) * self.slots + slot;
        self.cells.get(at)?.checked_sub(1)
    }
}

/// The rules that name one operation, as bitsets over these rules.
#[derive(Debug, Default)]
struct OperationTable {
    rules: Vec<RuleIndex>,
    by_effect: [Bits; EFFECTS],
    by_slot: Vec<Bits>,
    /// By risk set.
    by_risks: Vec<Bits>,
}

type Bits = SmallVec<[u64; 1]>;

impl OperationTable {
    fn add(
        &mut self,
        slots: usize,
        rule: RuleIndex,
        effects: Effects,
        risks: Option<Risks>,
        covered: &[usize],
    ) {
        let bit = self.rules.len();
        self.rules.push(rule);
        self.by_slot.resize(slots, Bits::new());
        self.by_risks.resize(RISK_SETS, Bits::new());
        for effect in effects.iter() {
            if let Some(bits) = self.by_effect.get_mut(effect as usize) {
                set(bits, bit);
            }
        }
        for slot in covered {
            if let Some(bits) = self.by_slot.get_mut(*slot) {
                set(bits, bit);
            }
        }
        for (set_of_risks, bits) in (0_u8..).zip(&mut self.by_risks) {
            if risks.is_none_or(|named| Risks(set_of_risks).minus(named).is_empty()) {
                set(bits, bit);
            }
        }
    }

    fn find(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
        let effect = self.by_effect.get(need.effect as usize)?;
        let risks = self.by_risks.get(usize::from(need.risks.0))?;
        for (at, word) in effect.iter().enumerate() {
            let mut word = *word & word_at(risks, at);
            for touch in &need.touches {
                word &= self
                    .by_slot
                    .get(slots.of(touch.object.as_ref()))
                    .map_or(0, |bits| word_at(bits, at));
            }
            if word != 0 {
                let bit = at * 64 + word.trailing_zeros() as usize;
                return self.rules.get(bit).copied();
            }
        }
        None
    }
}

fn set(bits: &mut Bits, bit: usize) {
    let word = bit / 64;
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    if let Some(word) = bits.get_mut(word) {
        *word |= 1 << (bit % 64);
    }
}

fn word_at(bits: &Bits, at: usize) -> u64 {
    bits.get(at).copied().unwrap_or(0)
}

/// The `deny` rules, as bitsets over these rules: one set for each condition, all of which must
/// hold.
#[derive(Debug, Default)]
struct DenyTable {
    rules: Vec<RuleIndex>,
    by_effect: [Bits; EFFECTS],
    /// By operation; shorter than the catalogue if no rule names one.
    by_operation: Vec<Bits>,
    any_operation: Bits,
    by_slot: Vec<Bits>,
    any_object: Bits,
    by_risks: Vec<Bits>,
    by_scope: HashMap<ScopeIndex, Bits>,
    any_scope: Bits,
}

impl DenyTable {
    fn compile(sizes: &Sizes, slots: &Slots, deny: &[(RuleIndex, &DenyRule)]) -> Self {
        let mut table = Self::default();
        table.by_slot.resize(slots.len(), Bits::new());
        table.by_risks.resize(RISK_SETS, Bits::new());
        for (bit, (index, rule)) in deny.iter().enumerate() {
            table.rules.push(*index);
            for effect in Effect::ALL {
                if rule.effects.is_none_or(|set| set.contains(effect))
                    && let Some(bits) = table.by_effect.get_mut(effect as usize)
                {
                    set(bits, bit);
                }
            }
            match &rule.operations {
                None => set(&mut table.any_operation, bit),
                Some(operations) => {
                    table.by_operation.resize(sizes.operations, Bits::new());
                    for operation in operations {
                        if let Some(bits) = table.by_operation.get_mut(usize::from(operation.0)) {
                            set(bits, bit);
                        }
                    }
                }
            }
            match &rule.objects {
                None => set(&mut table.any_object, bit),
                Some(objects) => {
                    for slot in slots.covered(objects) {
                        if let Some(bits) = table.by_slot.get_mut(slot) {
                            set(bits, bit);
                        }
                    }
                }
            }
            for (set_of_risks, bits) in (0_u8..).zip(&mut table.by_risks) {
                if rule
                    .risks
                    .is_none_or(|named| named.intersects(Risks(set_of_risks)))
                {
                    set(bits, bit);
                }
            }
            match &rule.scopes {
                None => set(&mut table.any_scope, bit),
                Some(scopes) => {
                    for scope in scopes {
                        set(table.by_scope.entry(*scope).or_default(), bit);
                    }
                }
            }
        }
        table
    }

    fn find(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
        if self.rules.is_empty() {
            return None;
        }
        let effect = self.by_effect.get(need.effect as usize)?;
        for (at, word) in effect.iter().enumerate() {
            let mut word = *word & self.operation_word(need, at) & self.risk_word(need, at);
            if word != 0 {
                word &= self.object_word(slots, need, at);
            }
            if word != 0 {
                word &= self.scope_word(need, at);
            }
            if word != 0 {
                let bit = at * 64 + word.trailing_zeros() as usize;
                return self.rules.get(bit).copied();
            }
        }
        None
    }

    fn operation_word(&self, need: &Need, at: usize) -> u64 {
        let named = self
            .by_operation
            .get(usize::from(need.operation.0))
            .map_or(0, |bits| word_at(bits, at));
        named | word_at(&self.any_operation, at)
    }

    fn risk_word(&self, need: &Need, at: usize) -> u64 {
        self.by_risks
            .get(usize::from(need.risks.0))
            .map_or(0, |bits| word_at(bits, at))
    }

    fn object_word(&self, slots: &Slots, need: &Need, at: usize) -> u64 {
        need.touches
            .iter()
            .fold(word_at(&self.any_object, at), |word, touch| {
                let slot = slots.of(touch.object.as_ref());
                word | self.by_slot.get(slot).map_or(0, |bits| word_at(bits, at))
            })
    }

    fn scope_word(&self, need: &Need, at: usize) -> u64 {
        let mut word = word_at(&self.any_scope, at);
        if self.by_scope.is_empty() {
            return word;
        }
        for touch in &need.touches {
            for scope in touch.requirement.iter().flatten() {
                word |= self.by_scope.get(scope).map_or(0, |bits| word_at(bits, at));
            }
        }
        word
    }
}
