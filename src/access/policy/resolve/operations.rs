//! Operations of a rule, by id, or in `deny` by the beginning of ids.

use super::objects::any_of;
use super::{Resolver, union};
use crate::access::catalogue::Takes;
use crate::access::facts::OperationIndex;
use crate::access::policy::rule::{Effects, Opens, OperationGrant};
use crate::access::policy_text::mistake::code;
use crate::access::policy_text::nearest::did_you_mean;
use crate::access::policy_text::reader::shown;
use crate::access::policy_text::written::{At, Names, WrittenRule};

impl Resolver<'_> {
    pub(super) fn operations(&mut self, names: &At<Names>, rule: &WrittenRule) -> Option<Opens> {
        let before = self.mistakes.len();
        let found = self.operation_names(&names.value);
        let operations_known = self.mistakes.len() == before && rule.is_sound(&["operation"]);
        let objects = rule.objects.as_ref().map(|names| self.objects(names));
        let first_typed = found.iter().find(|o| self.takes_types(o.value)).cloned();
        match (&objects, &rule.objects, first_typed) {
            (None, _, Some(operation)) if rule.is_sound(&["objects"]) => {
                let id = self.operation_id(operation.value).to_owned();
                self.error(
                    code::OBJECTS_REQUIRED,
                    &operation,
                    format!("`{id}` takes an object type"),
                    "add `objects` with the types you mean, or `objects: [\"*\"]` for all",
                );
            }
            (Some(_), Some(written), None) if operations_known && !found.is_empty() => {
                self.error(
                    code::OBJECT_NOT_SERVED,
                    written,
                    "these operations take no object type".to_owned(),
                    "leave `objects` out",
                );
            }
            _ => {}
        }
        let effects: Option<Effects> = rule
            .effects
            .as_ref()
            .map(|named| named.value.iter().map(|e| e.value).collect());
        let grants = found
            .iter()
            .map(|operation| OperationGrant {
                operation: operation.value,
                effects: effects.unwrap_or_else(|| self.own_effect(operation.value)),
            })
            .collect();
        (self.mistakes.len() == before).then(|| Opens::Operations {
            grants,
            objects: objects.map(|o| any_of(&o)).unwrap_or_default(),
            risks: rule.risks.as_ref().map(|named| union(&named.value)),
        })
    }

    pub(super) fn operation_names(&mut self, names: &Names) -> Vec<At<OperationIndex>> {
        let mut found: Vec<At<OperationIndex>> = Vec::with_capacity(names.len());
        for name in names {
            if name.value.contains('*') {
                self.error(
                    code::WILDCARD,
                    name,
                    format!("`{}` has a wildcard", shown(&name.value)),
                    "name each operation: wildcards stand in `deny` only",
                );
            } else if let Some(operation) = self.operation(name) {
                found.push(operation);
            }
        }
        found
    }

    fn operation(&mut self, name: &At<String>) -> Option<At<OperationIndex>> {
        if let Some(index) = self.catalogue.operation_by_id(&name.value) {
            return Some(At {
                value: index,
                span: name.span.clone(),
            });
        }
        let help = did_you_mean(
            &name.value,
            self.catalogue.operations().map(|(_, operation)| &*operation.id),
            "`scopegate catalogue lookup METHOD TARGET` shows a request's operation",
        );
        let message = format!("unknown operation `{}`", shown(&name.value));
        self.error(code::UNKNOWN_OPERATION, name, message, help);
        None
    }

    /// Operations of a `deny` rule; `*` as the last segment stands for all that begin so.
    pub(super) fn denied_operations(&mut self, names: &At<Names>) -> Vec<OperationIndex> {
        let mut denied = Vec::new();
        for name in &names.value {
            let prefix = name.value.strip_suffix('*');
            match prefix {
                None if !name.value.contains('*') => {
                    denied.extend(self.operation(name).map(|o| o.value));
                }
                Some(prefix) if (prefix.is_empty() || prefix.ends_with('.')) && !prefix.contains('*') => {
                    let matched = self.beginning_with(prefix);
                    if matched.is_empty() {
                        let help = "`scopegate catalogue list` shows the operations there are";
                        let message = format!("no operation begins with `{}`", shown(prefix));
                        self.error(code::UNKNOWN_OPERATION, name, message, help);
                    }
                    denied.extend(matched);
                }
                _ => {
                    let help = "write it as the whole last segment: `crm.objects.*`";
                    let message = format!("`*` can't stand here in `{}`", shown(&name.value));
                    self.error(code::WILDCARD, name, message, help);
                }
            }
        }
        denied
    }

    fn beginning_with(&self, prefix: &str) -> Vec<OperationIndex> {
        self.catalogue
            .operations()
            .filter(|(_, operation)| {
                operation.id.starts_with(prefix)
                    || operation.former_ids.iter().any(|id| id.starts_with(prefix))
            })
            .map(|(index, _)| index)
            .collect()
    }

    fn takes_types(&self, operation: OperationIndex) -> bool {
        self.catalogue
            .operation(operation)
            .is_some_and(|operation| operation.takes != Takes::Nothing)
    }

    fn operation_id(&self, operation: OperationIndex) -> &str {
        self.catalogue.operation(operation).map_or("?", |o| &*o.id)
    }

    fn own_effect(&self, operation: OperationIndex) -> Effects {
        self.catalogue
            .operation(operation)
            .map_or(Effects::NONE, |o| Effects::one(o.effect))
    }
}
