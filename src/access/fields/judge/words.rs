//! What is said of a request that does not pass: names, place and the smallest change.

use super::Stopped;
use super::whose::Whose;
use crate::access::fields::plan::{PropertyDenial, plain_name};
use crate::access::fields::{Bounds, View};
use crate::access::refusal::{Place, Reason, Refusal};

/// Most names that one denial repeats.
const NAMES: usize = 20;

/// What was asked of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To read it, or to filter, sort or look up by it.
    Read,
    /// To read its history.
    History,
    /// To write it.
    Write,
}

impl Way {
    fn key(self) -> &'static str {
        match self {
            Way::Read | Way::History => "read",
            Way::Write => "write",
        }
    }

    fn granted(self, view: &View, name: &str) -> bool {
        match self {
            Way::Read => view.reads(name),
            Way::History => view.reads_history(name),
            Way::Write => view.writes(name),
        }
    }
}

/// Properties that the rules do not grant.
pub(super) fn hidden(bounds: &Bounds, whose: &Whose, way: Way, names: &[&str], place: Place) -> Stopped {
    let properties = plain_names(names);
    let line = format!("properties.{}.{}", whose.name, way.key());
    let remedy = match properties.first().map(String::as_str) {
        Some("?") | None => format!("name only properties that `{line}` grants"),
        Some(first) => {
            let whose_block = match by_policy_alone(bounds, whose, |view| way.granted(view, first)) {
                true => " of the ceiling",
                false => "",
            };
            format!("add `{first}` to `{line}`{whose_block}, or leave it out of the request")
        }
    };
    denied(Reason::Property, properties, place, remedy)
}

/// A value that the rules do not let a property take.
pub(super) fn value(bounds: &Bounds, whose: &Whose, name: &str, place: Place) -> Stopped {
    let properties = plain_names(&[name]);
    let first = properties.first().map_or("?", String::as_str);
    let whose_block = match by_policy_alone(bounds, whose, |view| !view.has_values(name)) {
        true => " of the ceiling",
        false => "",
    };
    let remedy = format!(
        "send a value that `properties.{}.values` lists for `{first}`, or add this one there{whose_block}",
        whose.name
    );
    denied(Reason::Value, properties, place, remedy)
}

/// A request that carries more of a type than single properties; `why` says what, in a clause that
/// follows "this operation".
pub(super) fn everything(whose: &Whose, way: Way, why: &str, place: Place) -> Stopped {
    let line = match whose.object {
        Some(_) => format!("set `properties.{}` to `{{ {}: all }}`", whose.name, way.key()),
        None => "leave every type unrestricted in `properties`".to_owned(),
    };
    let remedy = format!("{line}, or do without: this operation {why}");
    denied(Reason::Property, vec!["*".to_owned()], place, remedy)
}

fn denied(reason: Reason, properties: Vec<String>, place: Place, remedy: String) -> Stopped {
    Stopped::Denied(PropertyDenial {
        reason,
        properties,
        place,
        remedy,
    })
}

fn plain_names(names: &[&str]) -> Vec<String> {
    let mut plain: Vec<String> = Vec::new();
    for name in names {
        let name = plain_name(name);
        if plain.len() < NAMES && !plain.contains(&name) {
            plain.push(name);
        }
    }
    plain
}

/// Whether the policy's own block would let it pass: then the ceiling does not.
fn by_policy_alone(bounds: &Bounds, whose: &Whose, passes: impl Fn(&View) -> bool) -> bool {
    let policy = Bounds {
        policy: bounds.policy.clone(),
        ceiling: None,
    };
    let view = match &whose.object {
        Some(object) => policy.view(object),
        None => policy.view_of_any(),
    };
    bounds.ceiling.is_some() && passes(&view)
}

/// A refusal of a place.
pub(super) fn refused(refusal: Refusal, place: Place) -> Stopped {
    Stopped::Refused(refusal.at(place))
}

pub(super) const UNKNOWN_MEMBER: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body has a member that the gate does not know, under a property rule: it may name a property",
    "leave it out, or write it exactly as HubSpot documents it for this operation",
);
pub(super) const OTHER_FORM: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body has not the form that HubSpot documents here, under a property rule",
    "send it in the documented form",
);
pub(super) const NO_BODY: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body names properties here, and there is none",
    "send the JSON body that HubSpot documents for this operation",
);
pub(super) const UNKNOWN_PARAMETER: Refusal = Refusal::new(
    Reason::RefusedQuery,
    "the query has a parameter that the gate does not know on records, under a property rule: it may name a property",
    "leave it out, or write it exactly as HubSpot documents it for this operation",
);
pub(super) const UNKNOWN_FORM: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "a property rule is in force, and the gate does not know where this operation names properties",
    "use an operation of the CRM objects family, or leave the types it touches unrestricted in `properties`",
);
pub(super) const UNKNOWN_ANSWER: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "a property rule is in force, and this operation answers in a shape that the gate does not know",
    "use an operation of the CRM objects family, or leave the types it touches unrestricted in `properties`",
);
pub(super) const UNKNOWN_FILTER: Refusal = Refusal::new(
    Reason::RefusedBody,
    "under a property rule a list may filter by properties and by other lists only",
    "use filters of the type `PROPERTY` or `IN_LIST`, in branches of the type `OR`, `AND` or `ASSOCIATION`",
);
