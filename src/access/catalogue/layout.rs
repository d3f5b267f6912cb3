//! Layouts: where a template's version stands, where else it may stand, and which version is newer.

use std::collections::HashMap;

use super::rows::{Resolve, Row, TypeSource, is_version};
use crate::access::object_type::ObjectType;

/// A template without its version.
pub(super) struct Plain<'r> {
    pub(super) segments: Vec<&'r str>,
    pub(super) version_at: Option<usize>,
    /// Literals that name an object type, by position.
    pub(super) types: HashMap<usize, ObjectType>,
}

impl<'r> Plain<'r> {
    pub(super) fn new(row: &'r Row) -> Self {
        let all: Vec<&str> = row.template.trim_matches('/').split('/').collect();
        let version_at = all.iter().position(|segment| is_version(segment));
        let segments: Vec<&str> = all.into_iter().filter(|segment| !is_version(segment)).collect();
        let mut types = HashMap::new();
        if !matches!(row.resolve, Resolve::Fixed(_))
            && let Some(TypeSource::Literal(object)) = row.sources().first()
            // Elsewhere a literal such as `deal` or `companies` is the name of a resource, not a type.
            && let Some(place) = segments.iter().position(|segment| *segment == "objects" || *segment == "properties")
            && segments.get(place + 1).is_some_and(|segment| !segment.starts_with('{'))
        {
            types.insert(place + 1, object.clone());
        }
        Self {
            segments,
            version_at,
            types,
        }
    }

    pub(super) fn shape(&self) -> String {
        let words = self
            .segments
            .iter()
            .map(|s| if s.starts_with('{') { "{}" } else { *s });
        words.collect::<Vec<_>>().join("/")
    }

    /// A version stands behind the area or behind the area and the name, never behind a parameter.
    pub(super) fn may_hold_version_at(&self, place: usize) -> bool {
        self.segments
            .get(..place)
            .is_some_and(|before| before.iter().all(|segment| !segment.starts_with('{')))
    }
}

/// Orders versions by age: numbers before dates, a beta before its release.
pub(super) fn age(version: &str) -> (u32, u32, bool) {
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    match version.strip_prefix('v') {
        Some(digits) => (0, number(digits), true),
        None => {
            let (date, is_release) = match version.strip_suffix("-beta") {
                Some(date) => (date, false),
                None => (version, true),
            };
            let (year, month) = date.split_once('-').unwrap_or((date, "0"));
            (number(year), number(month), is_release)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_age() {
        let ordered = [
            "v1",
            "v3",
            "v4",
            "2025-09",
            "2026-03",
            "2026-09-beta",
            "2026-09",
            "2027-03-beta",
        ];
        for pair in ordered.windows(2) {
            assert!(age(pair[0]) < age(pair[1]), "{pair:?}");
        }
    }
}
