//! Looks for planted values in whatever came out.

use std::collections::HashSet;

use scopegate::sim::{PLANTED_NUMBER, PLANTED_TEXT, Planted};

use crate::support::{PORTAL, World};

/// The values that must not be seen.
pub struct Scan(HashSet<String>);

impl Scan {
    /// Those of a world that `hidden` picks.
    pub fn of(world: &World, hidden: impl Fn(&Planted) -> bool) -> Self {
        let planted = world.sim.planted(PORTAL);
        let values: HashSet<String> = planted.into_iter().filter(hidden).map(|one| one.value).collect();
        assert!(values.len() > 1_000, "{} values are hidden", values.len());
        Self(values)
    }

    /// Which of them stand in these bytes.
    pub fn found(&self, bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        let in_value = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let mut found = Vec::new();
        for begin in [PLANTED_TEXT, PLANTED_NUMBER, "160"] {
            for (at, _) in text.match_indices(begin) {
                let rest = &text[at..];
                let end = rest.find(|c| !in_value(c)).unwrap_or(rest.len());
                let word = &rest[..end];
                let day = word.get(..10).unwrap_or(word);
                found.extend(
                    [word, day]
                        .into_iter()
                        .find(|word| self.0.contains(*word))
                        .map(str::to_owned),
                );
            }
        }
        found
    }
}
