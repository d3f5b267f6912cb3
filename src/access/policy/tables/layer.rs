//! Rules that hold together: for every connection, or for one that rules name.

use super::deny::DenyTable;
use super::operation::OperationTable;
use super::scope::ScopeTable;
use super::slots::Slots;
use super::{RuleIndex, Sizes};
use crate::access::facts::{Need, Risks, ScopeIndex};
use crate::access::policy::rule::{AllowRule, DenyRule, Opens};

/// Rules that hold together.
#[derive(Debug)]
pub(super) struct Layer {
    /// By scope: 1 + position in `scopes`, 0 = no rule names it.
    scope_at: Box<[u16]>,
    scopes: Vec<ScopeTable>,
    /// By operation: 1 + position in `operations`, 0 = no rule names it.
    operation_at: Box<[u16]>,
    operations: Vec<OperationTable>,
    deny: DenyTable,
}

impl Layer {
    pub(super) fn compile(
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

    /// The `deny` rule that catches a need.
    pub(super) fn denied(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
        self.deny.find(slots, need)
    }

    /// The rule that opens a row of a scope's table for a type.
    pub(super) fn scope(
        &self,
        scope: ScopeIndex,
        risks: Risks,
        row: usize,
        slot: usize,
    ) -> Option<RuleIndex> {
        let at = *self.scope_at.get(usize::from(scope.0))?;
        let table = self.scopes.get(usize::from(at).checked_sub(1)?)?;
        table.find(risks, row, slot)
    }

    /// The rule that names the operation and opens the need.
    pub(super) fn operation(&self, slots: &Slots, need: &Need) -> Option<RuleIndex> {
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
