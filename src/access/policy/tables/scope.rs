//! What rules open by one scope.

use super::{EFFECTS, RISK_SETS, RuleIndex};
use crate::access::facts::Risks;
use crate::access::policy::rule::Effects;

/// The row of a scope's table that says whether it is held, whatever its effect.
pub(super) const HELD: usize = EFFECTS;

/// What rules open by one scope: `[risk set][effect or HELD][slot]` → 1 + rule, 0 = none.
#[derive(Debug, Default)]
pub(super) struct ScopeTable {
    /// One risk set (none) or all of them: few rules name a risk.
    risk_sets: usize,
    slots: usize,
    cells: Vec<RuleIndex>,
}

impl ScopeTable {
    pub(super) fn add(
        &mut self,
        slots: usize,
        rule: RuleIndex,
        effects: Effects,
        risks: Risks,
        covered: &[usize],
    ) {
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

    pub(super) fn find(&self, risks: Risks, row: usize, slot: usize) -> Option<RuleIndex> {
        let set = usize::from(risks.0);
        if set >= self.risk_sets || slot >= self.slots {
            return None;
        }
        let at = (set * (EFFECTS + 1) + row) * self.slots + slot;
        self.cells.get(at)?.checked_sub(1)
    }
}
