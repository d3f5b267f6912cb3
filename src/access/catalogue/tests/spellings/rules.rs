//! The policies that spellings are judged under: the examples, one for each operation, one for each scope.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::super::{Catalogue, Takes};
use crate::access::facts::{Facts, OperationIndex, ScopeIndex};
use crate::access::policy::Policy;

/// Policies, each made once.
pub(super) struct Rules<'c> {
    catalogue: &'c Catalogue,
    examples: Vec<Arc<Policy>>,
    by_operation: HashMap<(OperationIndex, Vec<String>), Arc<Policy>>,
    by_scope: HashMap<ScopeIndex, Option<Arc<Policy>>>,
}

/// The time of every decision.
pub(super) fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

impl<'c> Rules<'c> {
    /// With the policies of `policies/`.
    pub(super) fn new(catalogue: &'c Catalogue) -> Self {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let mut examples = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(stem) = name
                .strip_suffix(".yaml")
                .filter(|stem| !stem.contains(['.', '_']))
            else {
                continue;
            };
            let text = std::fs::read_to_string(&path).unwrap();
            let loaded = Policy::load(
                &Arc::from(name.as_str()),
                stem,
                &Arc::from(text),
                catalogue,
                now(),
            );
            examples.push(Arc::new(loaded.unwrap().0));
        }
        assert!(examples.len() >= 6, "the example policies");
        examples.sort_by(|a, b| a.integration.cmp(&b.integration));
        Self {
            catalogue,
            examples,
            by_operation: HashMap::new(),
            by_scope: HashMap::new(),
        }
    }

    /// What requests with these facts are judged under: each example, the operation's own rule and each scope
    /// that a need of theirs names.
    pub(super) fn for_facts<'f>(&mut self, all: impl IntoIterator<Item = &'f Facts>) -> Vec<Arc<Policy>> {
        let mut policies = self.examples.clone();
        let mut scopes: Vec<ScopeIndex> = Vec::new();
        for facts in all {
            if policies.len() == self.examples.len() {
                policies.push(self.of_operation(facts));
            }
            let touches = facts.needs.iter().flat_map(|need| &need.touches);
            scopes.extend(touches.flat_map(|touch| touch.requirement.iter().flatten().copied()));
        }
        scopes.sort_unstable();
        scopes.dedup();
        policies.extend(scopes.into_iter().filter_map(|scope| self.of_scope(scope)));
        policies
    }

    /// The examples alone.
    pub(super) fn examples(&self) -> &[Arc<Policy>] {
        &self.examples
    }

    fn load(&self, rule: &str) -> Option<Arc<Policy>> {
        let text = format!("integration: t\nowner: t@example.com\nconnections: [acme]\nallow:\n{rule}");
        let text = Arc::from(text);
        let loaded = Policy::load(&Arc::from("t.yaml"), "t", &text, self.catalogue, now());
        loaded.ok().map(|(policy, _)| Arc::new(policy))
    }

    /// One rule that names the operation and the types of its main need.
    fn of_operation(&mut self, facts: &Facts) -> Arc<Policy> {
        let main = facts.main();
        let operation = self.catalogue.operation(main.operation).unwrap();
        let mut objects: Vec<String> = main
            .touches
            .iter()
            .filter_map(|touch| touch.object.as_ref())
            .map(|object| self.catalogue.object_name(object).to_owned())
            .collect();
        objects.sort();
        objects.dedup();
        let key = (main.operation, objects);
        if let Some(known) = self.by_operation.get(&key) {
            return Arc::clone(known);
        }
        let mut rule = format!("  - operation: {}\n", operation.id);
        if operation.takes != Takes::Nothing {
            rule.push_str(&format!("    objects: [{}]\n", key.1.join(", ")));
        }
        let risks: Vec<&str> = operation.risks.names().collect();
        let with_risks = format!("{rule}    risks: [{}]\n", risks.join(", "));
        let policy = self.load(&with_risks).or_else(|| self.load(&rule));
        let policy = policy.unwrap_or_else(|| panic!("no rule for {}:\n{rule}", operation.id));
        self.by_operation.insert(key, Arc::clone(&policy));
        policy
    }

    /// One rule that names the scope; with effects and objects where it must have them.
    fn of_scope(&mut self, scope: ScopeIndex) -> Option<Arc<Policy>> {
        if let Some(known) = self.by_scope.get(&scope) {
            return known.clone();
        }
        let found = self.catalogue.scope(scope)?;
        let plain = format!("  - scope: {}\n", found.name);
        let effects = "    effects: [read, write, delete, irreversible]\n";
        let names: Vec<&str> = found
            .serves
            .iter()
            .map(|object| self.catalogue.object_name(object))
            .collect();
        let objects = format!("    objects: [{}]\n", names.join(", "));
        let policy = [
            plain.clone(),
            format!("{plain}{effects}"),
            format!("{plain}{objects}"),
            format!("{plain}{effects}{objects}"),
        ]
        .iter()
        .find_map(|rule| self.load(rule));
        self.by_scope.insert(scope, policy.clone());
        policy
    }
}
