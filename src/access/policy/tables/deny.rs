//! What rules deny.

use std::collections::HashMap;

use super::bits::{Bits, set, word_at};
use super::slots::Slots;
use super::{EFFECTS, RISK_SETS, RuleIndex, Sizes};
use crate::access::effect::Effect;
use crate::access::facts::{Need, Risks, ScopeIndex};
use crate::access::policy::rule::DenyRule;

/// The `deny` rules, as bitsets over these rules: one set for each condition, all of which must
/// hold.
#[derive(Debug, Default)]
pub(super) struct DenyTable {
    rules: Vec<RuleIndex>,
    /// By effect: one bit a risk set that some rule catches, whatever else it asks for. Most requests
    /// end here.
    caught: [u32; EFFECTS],
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
    pub(super) fn compile(sizes: &Sizes, slots: &Slots, deny: &[(RuleIndex, &DenyRule)]) -> Self {
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
        for (caught, effect) in table.caught.iter_mut().zip(&table.by_effect) {
            for (set_of_risks, risks) in table.by_risks.iter().enumerate() {
                let meets = (0..effect.len()).any(|at| word_at(effect, at) & word_at(risks, at) != 0);
                *caught |= u32::from(meets) << set_of_risks;
            }
        }
        table
    }

    pub(super) fn find(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
        let caught = self.caught.get(need.effect as usize)?;
        if caught
            .checked_shr(u32::from(need.risks.0))
            .is_some_and(|sets| sets & 1 == 0)
        {
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
