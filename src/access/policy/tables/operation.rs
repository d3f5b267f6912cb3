//! What rules open by naming one operation.

use super::bits::{Bits, set, word_at};
use super::slots::Slots;
use super::{EFFECTS, RISK_SETS, RuleIndex};
use crate::access::facts::{Need, Risks};
use crate::access::policy::rule::Effects;

/// The rules that name one operation, as bitsets over these rules.
#[derive(Debug, Default)]
pub(super) struct OperationTable {
    rules: Vec<RuleIndex>,
    by_effect: [Bits; EFFECTS],
    by_slot: Vec<Bits>,
    /// By risk set.
    by_risks: Vec<Bits>,
}

impl OperationTable {
    pub(super) fn add(
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

    pub(super) fn find(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
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
