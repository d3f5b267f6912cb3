//! What rules open, written out over the whole catalogue: for `policy check`, `policy show` and
//! the comparison with the ceiling. Not for the request path.
//!
//! Each operation stands with its own effect and with those its requests can raise it to (an archived
//! schema deleted for good). A request that carries more needs is judged when it comes.

use std::sync::Arc;

use smallvec::smallvec;

use super::rule::{AllowRule, DenyRule};
use super::tables::{ConnectionRef, Sizes, Tables};
use crate::access::catalogue::{Catalogue, Opening};
use crate::access::effect::Effect;
use crate::access::facts::{Need, Surface};
use crate::access::fields::Direction;
use crate::access::object_type::ObjectType;

/// An operation with one thing it touches, and the rules that open it.
#[derive(Debug)]
pub struct Opened {
    /// The operation, its effect and what is touched.
    pub opening: Opening,
    /// Positions in `allow` of all rules that open it, on some connection.
    pub rules: Vec<usize>,
}

/// Rules of `allow` without regard to connections, compiled to be asked about openings.
pub struct Unbound(Tables);

impl Unbound {
    /// Compiles rules.
    pub fn new(allow: &[AllowRule], catalogue: &Catalogue) -> Self {
        Self::sized(&Sizes::of(catalogue), allow)
    }

    fn sized(sizes: &Sizes, allow: &[AllowRule]) -> Self {
        let unbound: Vec<AllowRule> = allow.iter().cloned().map(unbound).collect();
        Self(Tables::compile(sizes, &unbound, &[]))
    }

    /// Whether they open it, on some connection.
    pub fn opens(&self, opening: &Opening) -> bool {
        let nowhere = ConnectionRef { name: "", app: None };
        self.0.opened(&self.0.layers(nowhere), &need(opening)).is_some()
    }
}

fn unbound(rule: AllowRule) -> AllowRule {
    AllowRule {
        connections: None,
        ..rule
    }
}

impl Opened {
    /// Whether a rule denies it on every connection.
    pub fn is_denied_by(&self, deny: &[DenyRule]) -> bool {
        deny.iter()
            .any(|rule| rule.connections.is_none() && rule.catches(&need(&self.opening)))
    }

    /// `crm.objects.get contacts`, for messages.
    pub fn label(&self, catalogue: &Catalogue) -> String {
        let id = catalogue
            .operation(self.opening.operation)
            .map_or("", |operation| &*operation.id);
        match &self.opening.touch.object {
            Some(object) => format!("`{id}` on {}", object_label(catalogue, object)),
            None => format!("`{id}`"),
        }
    }
}

/// Which way values of records' properties go through an operation, if they do. Archiving, merging
/// and erasing carry none; what is associated are ids.
pub fn carries(catalogue: &Catalogue, opened: &Opened) -> Option<Direction> {
    let operation = catalogue.operation(opened.opening.operation)?;
    let touch = &opened.opening.touch;
    if touch.object.is_none() || touch.surface != Surface::Records || !operation.id.starts_with(RECORDS) {
        return None;
    }
    match opened.opening.effect {
        Effect::Read => Some(Direction::Read),
        Effect::Write => Some(Direction::Write),
        Effect::Meta | Effect::Auth | Effect::Delete | Effect::Irreversible => None,
    }
}

/// How ids of the operations on CRM records begin, whatever their template.
const RECORDS: &str = "crm.objects.";

/// The types that are touched, each once, in the catalogue's order.
pub fn types_of<'o>(opened: impl IntoIterator<Item = &'o Opened>) -> Vec<&'o ObjectType> {
    let touched = opened
        .into_iter()
        .filter_map(|found| found.opening.touch.object.as_ref());
    let mut types: Vec<&ObjectType> = touched.collect();
    types.sort();
    types.dedup();
    types
}

/// The name of a type in a listing; the custom objects as a whole are `custom`.
pub fn object_label<'a>(catalogue: &'a Catalogue, object: &'a ObjectType) -> &'a str {
    match object {
        ObjectType::Custom(name) if &**name == ANY_CUSTOM => "custom",
        object => catalogue.object_name(object),
    }
}

/// A custom object that no policy can name: it stands for those that no rule names.
pub const ANY_CUSTOM: &str = "any custom object";

/// Everything that `allow` opens and `deny` does not take back, on whatever connection.
///
/// Each rule is judged together with those of its scopes' companions: a rule that supplies one
/// half of an AND term opens what the whole opens.
pub fn opened_by(allow: &[AllowRule], deny: &[DenyRule], catalogue: &Catalogue) -> Vec<Opened> {
    let sizes = Sizes::of(catalogue);
    let everything = Unbound::sized(&sizes, allow);
    let without: Vec<Unbound> = (0..allow.len())
        .map(|index| Unbound::sized(&sizes, &without_rule(allow, index)))
        .collect();
    let alone: Vec<Unbound> = allow
        .iter()
        .map(|rule| Unbound::sized(&sizes, std::slice::from_ref(rule)))
        .collect();
    let mut opened = Vec::new();
    for opening in openings(catalogue, allow) {
        if !everything.opens(&opening) {
            continue;
        }
        let rules: Vec<usize> = alone
            .iter()
            .zip(&without)
            .enumerate()
            .filter(|(_, (alone, without))| alone.opens(&opening) || !without.opens(&opening))
            .map(|(index, _)| index)
            .collect();
        let found = Opened { opening, rules };
        if !found.is_denied_by(deny) {
            opened.push(found);
        }
    }
    opened
}

/// Everything there is, for known types and the custom objects that rules name: what a listing
/// counts against.
pub fn everything(allow: &[AllowRule], catalogue: &Catalogue) -> Vec<Opened> {
    openings(catalogue, allow)
        .into_iter()
        .map(|opening| Opened {
            opening,
            rules: Vec::new(),
        })
        .collect()
}

fn without_rule(rules: &[AllowRule], index: usize) -> Vec<AllowRule> {
    let mut rest = rules.to_vec();
    if index < rest.len() {
        rest.remove(index);
    }
    rest
}

/// The catalogue's openings: for known types, for the custom objects that rules name, and for
/// custom objects in general.
fn openings(catalogue: &Catalogue, allow: &[AllowRule]) -> Vec<Opening> {
    let any = ObjectType::Custom(Arc::from(ANY_CUSTOM));
    let mut openings: Vec<Opening> = catalogue.openings(&any).collect();
    let mut named: Vec<&ObjectType> = allow
        .iter()
        .flat_map(AllowRule::objects)
        .flat_map(|objects| &objects.named)
        .filter(|object| matches!(object, ObjectType::Custom(_)))
        .collect();
    named.sort();
    named.dedup();
    for object in named {
        let of_any: Vec<Opening> = openings
            .iter()
            .filter(|opening| opening.touch.object.as_ref() == Some(&any))
            .cloned()
            .collect();
        openings.extend(of_any.into_iter().map(|mut opening| {
            opening.touch.object = Some(object.clone());
            opening
        }));
    }
    openings
}

/// The need of a request for the operation as the table has it. Of a pair it has one end: the
/// other is judged alike.
fn need(opening: &Opening) -> Need {
    Need {
        operation: opening.operation,
        effect: opening.effect,
        risks: opening.risks,
        touches: smallvec![opening.touch.clone()],
    }
}
