//! Which object type a word in a path means: plural, singular, id, alias, in any case.

use super::scopes::Need;
use super::type_table::{CUSTOM, TYPES};

/// A row of the type table.
#[derive(Debug)]
pub(super) struct Spec {
    /// Plural, as HubSpot's paths spell it.
    pub(super) name: &'static str,
    pub(super) singular: &'static str,
    /// `0-1`; empty where no source states one.
    pub(super) id: &'static str,
    pub(super) aliases: &'static [&'static str],
    pub(super) read: Need,
    pub(super) write: Need,
    pub(super) schema_read: Need,
    pub(super) schema_write: Need,
    /// Returned when no property is named, besides the three that always are.
    pub(super) defaults: &'static [&'static str],
    /// The property that holds the creation time.
    pub(super) created: &'static str,
    /// The property that holds the time of the last change.
    pub(super) modified: &'static str,
}

/// An object type of a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ObjectKind {
    /// Row of the type table.
    Standard(usize),
    /// `2-N`.
    Custom(u32),
}

impl ObjectKind {
    /// Scopes, names and defaults. All custom types share a row.
    pub(super) fn spec(self) -> &'static Spec {
        match self {
            Self::Standard(row) => TYPES.get(row).unwrap_or(&CUSTOM),
            Self::Custom(_) => &CUSTOM,
        }
    }

    /// A standard type by any of its spellings.
    pub(super) fn standard(word: &str) -> Option<Self> {
        let same = |name: &&str| name.eq_ignore_ascii_case(word);
        TYPES
            .iter()
            .position(|spec| {
                !word.is_empty()
                    && (same(&spec.name)
                        || same(&spec.singular)
                        || same(&spec.id)
                        || spec.aliases.iter().any(same))
            })
            .map(Self::Standard)
    }

    /// A standard type by its plural; for our own tables.
    pub(super) fn named(name: &str) -> Option<Self> {
        TYPES
            .iter()
            .position(|spec| spec.name == name)
            .map(Self::Standard)
    }

    /// As links and association maps spell it.
    pub(super) fn path_name(self) -> String {
        match self {
            Self::Standard(_) => self.spec().name.to_owned(),
            Self::Custom(number) => format!("2-{number}"),
        }
    }

    /// The type id; the name where no id is known.
    pub(super) fn type_id(self) -> String {
        match self {
            Self::Custom(number) => format!("2-{number}"),
            Self::Standard(_) if self.spec().id.is_empty() => self.spec().name.to_owned(),
            Self::Standard(_) => self.spec().id.to_owned(),
        }
    }

    /// `CONTACT`, as batch errors name it.
    pub(super) fn title(self) -> String {
        self.spec().singular.to_ascii_uppercase()
    }

    /// A number that tells types apart in made-up ids.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Standard(row) => row as u64 + 1,
            Self::Custom(number) => u64::from(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_found_by_plural_singular_id_and_alias_in_any_case() {
        let contacts = ObjectKind::named("contacts");
        assert!(contacts.is_some());
        for word in ["contacts", "contact", "CONTACT", "0-1", "Contacts"] {
            assert_eq!(ObjectKind::standard(word), contacts, "{word}");
        }
        for word in ["", "0-99999", "2-123", "kontakt", "custom"] {
            assert_eq!(ObjectKind::standard(word), None, "{word}");
        }
    }

    #[test]
    fn no_spelling_means_two_types() {
        for (row, spec) in TYPES.iter().enumerate() {
            let words = [spec.name, spec.singular, spec.id]
                .into_iter()
                .chain(spec.aliases.iter().copied());
            for word in words.filter(|word| !word.is_empty()) {
                assert_eq!(
                    ObjectKind::standard(word),
                    Some(ObjectKind::Standard(row)),
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn every_type_has_a_read_scope() {
        for spec in TYPES {
            assert!(
                !spec.read.is_empty() && spec.read.iter().all(|all| !all.is_empty()),
                "{}",
                spec.name
            );
        }
    }
}
