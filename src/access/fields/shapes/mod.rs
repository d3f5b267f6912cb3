//! Which operation answers in which shape. One file each for the answers of an API, built from
//! shared pieces.
//!
//! Deliberately absent: guesses. An operation on records of a bounded type whose answer is not
//! described here is refused before it goes up. Where HubSpot documents nothing, or the answer is a
//! door to values that no filter reaches (exports, snapshots, change logs), nothing is described.
//!
//! Records are removed member by member, so what HubSpot adds to a record never comes down unseen;
//! what holds records is refused if it holds more than is known.

mod associations;
mod companies_v2;
mod contacts_v1;
mod crm_objects_v1;
mod deals_v1;
mod definitions;
mod errors;
mod graphql;
mod nested;
mod pieces;
mod records;
mod scheduler;
mod schemas;
mod set_up;
#[cfg(test)]
mod tests;

pub use errors::{ERROR, KEPT_MESSAGES, WITHHELD};
pub use graphql::GRAPHQL;

use super::shape::Shape;
use crate::access::catalogue::Row;

/// What is known of an operation's 2xx answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerShape {
    /// No value of a property can stand in it (ids, counts, nothing at all).
    Free,
    /// It has this shape.
    Known(&'static Shape),
}

/// The shape of the 2xx answers of a row; `None` if it is not known.
///
/// It is asked for rows that touch a type. A few are known that name none (schemas, lists, imports),
/// since records or definitions stand in their answers; of all others nothing is said.
pub fn of(id: &str, row: &Row) -> Option<AnswerShape> {
    let family = Family::of(&row.template)?;
    if let Some(verb) = id.strip_prefix("crm.objects.") {
        return of_records(family, verb);
    }
    if let Some(verb) = id.strip_prefix("crm.associations.") {
        return match family {
            Family::Modern => associations::of(verb),
            Family::Companies => companies_v2::of_associations(verb),
            Family::Deals => deals_v1::of_associations(verb),
            _ => None,
        };
    }
    if let Some(verb) = id.strip_prefix("crm-associations.") {
        return associations::of_v1(verb);
    }
    if let Some(verb) = id.strip_prefix("crm.schemas.") {
        return schemas::of(verb);
    }
    if let Some(verb) = id.strip_prefix("media-bridge.schemas.") {
        return schemas::of_media_bridge(verb);
    }
    if let Some(verb) = id.strip_prefix("scheduler.meetings.") {
        return scheduler::of(verb);
    }
    match family {
        Family::Contacts => contacts_v1::of(id),
        Family::Companies => companies_v2::of(id),
        Family::Deals => deals_v1::of(id),
        Family::Modern | Family::Objects | Family::Other => set_up::of(id),
    }
    .or_else(|| definitions::of(id))
}

fn of_records(family: Family, verb: &str) -> Option<AnswerShape> {
    match family {
        Family::Modern => records::of(verb),
        Family::Contacts => contacts_v1::of_records(verb),
        Family::Companies => companies_v2::of_records(verb),
        Family::Deals => deals_v1::of_records(verb),
        Family::Objects => crm_objects_v1::of_records(verb),
        Family::Other => None,
    }
}

/// Names of further types whose records stand in the 2xx answers of a row; their views follow those
/// of the row's own types ([`Of::Type`](super::Of::Type)).
pub fn extra_types(id: &str, row: &Row) -> &'static [&'static str] {
    match Family::of(&row.template) {
        Some(Family::Contacts) => contacts_v1::extra_types(id),
        _ => &[],
    }
}

/// Whose template it is: the same operation answers differently in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `/crm/…`: v3, v4, dated.
    Modern,
    /// `/contacts/…`.
    Contacts,
    /// `/companies/…`.
    Companies,
    /// `/deals/…`.
    Deals,
    /// `/crm-objects/…`.
    Objects,
    /// The rest.
    Other,
}

impl Family {
    fn of(template: &str) -> Option<Self> {
        Some(match template.split('/').nth(1)? {
            "crm" => Self::Modern,
            "contacts" => Self::Contacts,
            "companies" => Self::Companies,
            "deals" => Self::Deals,
            "crm-objects" => Self::Objects,
            _ => Self::Other,
        })
    }
}
