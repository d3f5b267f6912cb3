//! The effective permission of one integration as JSON, a cell each: object type or other surface × effect.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::granted;
use super::opened::{RowName, ids, risks};
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::fields::Bounds;
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy::ceiling::Ceiling;
use crate::access::policy::opens::{Opened, Unbound, opened_by};

/// What is opened, by row and effect.
pub type Cells<'a> = BTreeMap<(RowName, Effect), Vec<&'a Opened>>;

/// What a policy opens under a ceiling.
pub fn opened(policy: &Policy, ceiling: Option<&Ceiling>, catalogue: &Catalogue) -> Vec<Opened> {
    let mut opened = opened_by(&policy.allow, &policy.deny, catalogue);
    if let Some(ceiling) = ceiling {
        let allowed = ceiling.allow.as_ref().map(|rules| Unbound::new(rules, catalogue));
        opened.retain(|found| {
            allowed.as_ref().is_none_or(|all| all.opens(&found.opening)) && !found.is_denied_by(&ceiling.deny)
        });
    }
    opened
}

/// One object for each cell.
pub fn lines(policy: &Policy, bounds: &Bounds, catalogue: &Catalogue, cells: &Cells<'_>) -> Vec<Value> {
    let line = |((row, effect), found): (&(RowName, Effect), &Vec<&Opened>)| {
        json!({
            "integration": &*policy.integration,
            "on": row.name,
            "effect": effect.as_str(),
            "rules": rules(policy, found),
            "operations": ids(catalogue, found),
            "properties": object(found).map(|object| granted::as_json(&bounds.view(object))),
            "risks": risks(found),
        })
    };
    cells.iter().map(line).collect()
}

/// The type of a row; none on a surface without one.
pub fn object<'o>(found: &[&'o Opened]) -> Option<&'o ObjectType> {
    found
        .first()
        .and_then(|opened| opened.opening.touch.object.as_ref())
}

/// The ids of the rules behind a cell, without the policy's name.
pub fn rules(policy: &Policy, found: &[&Opened]) -> Vec<String> {
    let mut indices: Vec<usize> = found.iter().flat_map(|o| o.rules.iter().copied()).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
        .into_iter()
        .filter_map(|index| policy.allow.get(index))
        .map(|rule| rule.id.split('#').next_back().unwrap_or(&rule.id).to_owned())
        .collect()
}
