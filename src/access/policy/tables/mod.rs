//! Rules compiled into tables: a decision looks up, it does not search.
//!
//! Time does not grow with the number of rules that say different things; only rules that all
//! name one and the same operation share a bitset, 64 to a word. Nothing here allocates when
//! asked.

mod bits;
mod deny;
mod layer;
mod operation;
mod scope;
mod slots;

use std::collections::HashMap;

use self::bits::{Bits, set, word_at};
use self::layer::Layer;
use self::scope::HELD;
use self::slots::Slots;
use super::rule::{AllowRule, DenyRule};
use crate::access::effect::Effect;
use crate::access::facts::{Need, OperationIndex, Risks, ScopeIndex, Touch};
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
    /// Operations that no scope opens although one is listed, a bit each.
    named_only: Bits,
    /// Rules that hold for every connection.
    everywhere: Layer,
    /// Rules that name connections.
    by_name: HashMap<String, Layer>,
    by_app: HashMap<String, Layer>,
}

/// Layers that hold for one connection: for every one, for its name, for its app.
#[derive(Debug)]
pub struct Layers<'t> {
    everywhere: &'t Layer,
    by_name: Option<&'t Layer>,
    by_app: Option<&'t Layer>,
}

impl<'t> Layers<'t> {
    fn iter(&self) -> impl Iterator<Item = &'t Layer> {
        let named = self.by_name.into_iter().chain(self.by_app);
        std::iter::once(self.everywhere).chain(named)
    }
}

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
        let mut named_only = Bits::new();
        for operation in &sizes.named_only {
            set(&mut named_only, usize::from(operation.0));
        }
        Self {
            slots,
            named_only,
            everywhere,
            by_name,
            by_app,
        }
    }

    /// The layers that hold for a connection.
    pub fn layers(&self, connection: ConnectionRef<'_>) -> Layers<'_> {
        Layers {
            everywhere: &self.everywhere,
            by_name: match self.by_name.is_empty() {
                true => None,
                false => self.by_name.get(connection.name),
            },
            by_app: match self.by_app.is_empty() {
                true => None,
                false => connection.app.and_then(|app| self.by_app.get(app)),
            },
        }
    }

    /// The `deny` rule that catches a need, if one does.
    pub fn denied(&self, layers: &Layers<'_>, need: &Need) -> Option<RuleIndex> {
        layers
            .iter()
            .filter_map(|layer| layer.denied(&self.slots, need))
            .min()
    }

    /// Whether a `deny` rule catches one of these needs.
    pub fn denies_one(&self, layers: &Layers<'_>, needs: &[Need]) -> bool {
        needs.iter().any(|need| self.denied(layers, need).is_some())
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
        let operation = usize::from(need.operation.0);
        if word_at(&self.named_only, operation / 64) >> (operation % 64) & 1 == 1 {
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
