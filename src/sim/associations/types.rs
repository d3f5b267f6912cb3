//! HubSpot's association type ids, from its public table; ids it does not publish are made up from 10,000 on.

use serde::{Deserialize, Serialize};

use crate::sim::object_types::ObjectKind;

/// Who defined an association type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::sim) enum Category {
    HubspotDefined,
    UserDefined,
    IntegratorDefined,
    Work,
}

/// A category and an id within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) struct AssociationType {
    pub(in crate::sim) category: Category,
    pub(in crate::sim) id: u32,
}

/// From, to, unlabelled id there and back.
const PUBLISHED: &[(&str, &str, u32, u32)] = &[
    ("contacts", "companies", 279, 280),
    ("deals", "contacts", 3, 4),
    ("deals", "companies", 341, 342),
    ("contacts", "tickets", 15, 16),
    ("companies", "tickets", 340, 339),
    ("deals", "tickets", 27, 28),
    ("deals", "line_items", 19, 20),
    ("quotes", "line_items", 67, 68),
    ("companies", "calls", 181, 182),
    ("companies", "emails", 185, 186),
    ("companies", "meetings", 187, 188),
    ("companies", "notes", 189, 190),
    ("companies", "tasks", 191, 192),
    ("contacts", "calls", 193, 194),
    ("contacts", "emails", 197, 198),
    ("contacts", "meetings", 199, 200),
    ("contacts", "notes", 201, 202),
    ("contacts", "tasks", 203, 204),
    ("deals", "calls", 205, 206),
    ("deals", "emails", 209, 210),
    ("deals", "meetings", 211, 212),
    ("deals", "notes", 213, 214),
    ("deals", "tasks", 215, 216),
    ("tickets", "calls", 219, 220),
    ("tickets", "emails", 223, 224),
    ("tickets", "meetings", 225, 226),
    ("tickets", "notes", 227, 228),
    ("tickets", "tasks", 229, 230),
    ("contacts", "contacts", 449, 449),
    ("companies", "companies", 450, 450),
    ("deals", "deals", 451, 451),
    ("tickets", "tickets", 452, 452),
    ("quotes", "deals", 64, 63),
    ("quotes", "contacts", 69, 70),
    ("quotes", "companies", 71, 72),
];

/// From, to, the `Primary` label there and back.
const PRIMARY: &[(&str, &str, u32, u32)] = &[
    ("contacts", "companies", 1, 2),
    ("deals", "companies", 5, 6),
    ("tickets", "companies", 26, 25),
];

fn pair(table: &[(&str, &str, u32, u32)], from: ObjectKind, to: ObjectKind) -> Option<(u32, u32)> {
    let (from, to) = (from.spec().name, to.spec().name);
    table.iter().find_map(|(a, b, there, back)| match () {
        () if (*a, *b) == (from, to) => Some((*there, *back)),
        () if (*b, *a) == (from, to) => Some((*back, *there)),
        () => None,
    })
}

fn defined(id: u32) -> AssociationType {
    AssociationType {
        category: Category::HubspotDefined,
        id,
    }
}

/// The association type without a label.
pub(in crate::sim) fn unlabelled(from: ObjectKind, to: ObjectKind) -> AssociationType {
    let made_up = || {
        let number = 10_000 + from.number() * 1_000 + to.number();
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    defined(pair(PUBLISHED, from, to).map_or_else(made_up, |(there, _)| there))
}

/// The `Primary` label, where the pair has one.
pub(in crate::sim) fn primary(from: ObjectKind, to: ObjectKind) -> Option<AssociationType> {
    pair(PRIMARY, from, to).map(|(there, _)| defined(there))
}

/// Whether `how` is the pair's `Primary` label.
pub(in crate::sim) fn is_primary(from: ObjectKind, to: ObjectKind, how: AssociationType) -> bool {
    primary(from, to) == Some(how)
}

/// Whether HubSpot has such a type between the two.
pub(in crate::sim) fn exists(from: ObjectKind, to: ObjectKind, how: AssociationType) -> bool {
    how == unlabelled(from, to) || is_primary(from, to, how)
}

/// The same association seen from the other side.
pub(in crate::sim) fn inverse(from: ObjectKind, to: ObjectKind, how: AssociationType) -> AssociationType {
    match how.category {
        Category::UserDefined | Category::IntegratorDefined if from != to => {
            // Labels are defined in pairs: odd there, even back.
            let id = if how.id % 2 == 1 {
                how.id + 1
            } else {
                how.id.saturating_sub(1)
            };
            AssociationType { id, ..how }
        }
        _ if is_primary(from, to, how) => primary(to, from).unwrap_or(how),
        Category::HubspotDefined => unlabelled(to, from),
        _ => how,
    }
}

/// `contact_to_company`, as v3 answers name the type; unlabelled ones of pairs with a primary end in `_unlabeled`.
pub(in crate::sim) fn v3_name(from: ObjectKind, to: ObjectKind, how: AssociationType) -> String {
    let base = format!("{}_to_{}", from.spec().singular, to.spec().singular);
    if primary(from, to).is_some() && how == unlabelled(from, to) {
        return format!("{base}_unlabeled");
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart_by_direction_and_invert_each_other() {
        let kind = |name| ObjectKind::named(name).unwrap();
        let (contacts, companies, carts) = (kind("contacts"), kind("companies"), kind("carts"));
        assert_eq!(unlabelled(contacts, companies).id, 279);
        assert_eq!(unlabelled(companies, contacts).id, 280);
        assert_eq!(primary(companies, contacts).map(|how| how.id), Some(2));
        for (from, to) in [(contacts, companies), (companies, contacts), (contacts, carts)] {
            let how = unlabelled(from, to);
            assert_eq!(inverse(to, from, inverse(from, to, how)), how);
        }
        assert_ne!(unlabelled(contacts, carts), unlabelled(carts, contacts));
        assert_eq!(v3_name(contacts, companies, defined(1)), "contact_to_company");
        assert_eq!(
            v3_name(contacts, companies, defined(279)),
            "contact_to_company_unlabeled"
        );
    }
}
