//! Positions of object types in the tables.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::object_type::ObjectType;
use crate::access::policy::rule::{AllowRule, DenyRule, Objects};

/// Positions of object types in the tables.
///
/// 0 = touches no type; then the catalogue's rows; then custom objects that no rule names; then
/// those that one names.
#[derive(Debug)]
pub(super) struct Slots {
    known: usize,
    custom: HashMap<Arc<str>, usize>,
}

impl Slots {
    pub(super) fn new(known: usize, allow: &[AllowRule], deny: &[DenyRule]) -> Self {
        let mut custom = HashMap::new();
        let allowed = allow.iter().flat_map(AllowRule::objects);
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

    pub(super) fn len(&self) -> usize {
        self.known + 2 + self.custom.len()
    }

    pub(super) fn of(&self, object: Option<&ObjectType>) -> usize {
        match object {
            None => 0,
            Some(ObjectType::Known(row)) => 1 + usize::from(*row),
            Some(ObjectType::Custom(name)) => *self.custom.get(name).unwrap_or(&(self.known + 1)),
        }
    }

    /// The slots a set covers.
    pub(super) fn covered(&self, objects: &Objects) -> Vec<usize> {
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
