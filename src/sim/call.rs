//! One request as the handlers see it.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::credentials::Bearer;
use super::portal::Portal;
use super::problem::{Handled, Problem};
use super::scopes::Scopes;
use super::simulator::Sim;

/// Path parameters, query and body, decoded once.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Path segments without the version.
    pub(super) words: Vec<String>,
    /// `v3`, `2026-03`, …; empty when the path has none.
    pub(super) version: String,
    pub(super) query: Query,
    /// The query as it was written.
    pub(super) raw_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What links begin with.
    pub(super) origin: String,
    pub(super) now_ms: i64,
}

impl Call {
    /// A date in place of `v3`.
    pub(super) fn is_dated(&self) -> bool {
        self.version.starts_with("20")
    }

    /// Reads the body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Handled<T> {
        serde_json::from_slice(&self.body).map_err(|error| Problem::invalid_json(&error))
    }
}

/// Whom a call is from.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) bearer: Arc<Bearer>,
    pub(super) portal: Arc<Portal>,
    /// Whether writes are refused because the installer is gone.
    pub(super) read_only: bool,
}

impl Who {
    pub(super) fn scopes(&self) -> &Scopes {
        &self.bearer.scopes
    }
}

/// All a handler needs.
#[derive(Clone, Copy)]
pub(super) struct Cx<'a> {
    pub(super) sim: &'a Sim,
    pub(super) call: &'a Call,
    pub(super) who: &'a Who,
}

/// A decoded query.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(raw: &str) -> Self {
        Self(form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// The first value of that name.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of that name, repeated or joined by commas.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, _)| key == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// `true` only for `true`.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.first(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A whole number; something else is a 400.
    pub(super) fn number(&self, name: &str) -> Handled<Option<u64>> {
        match self.first(name) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| Problem::validation(format!("Invalid value for query parameter {name}"))),
        }
    }

    /// A page size within `1..=most`.
    pub(super) fn limit(&self, default: u64, most: u64) -> Handled<usize> {
        let limit = self.number("limit")?.unwrap_or(default);
        if limit == 0 || limit > most {
            return Err(Problem::validation(format!("limit must be between 1 and {most}")));
        }
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }
}

/// Splits a path into decoded segments and takes the version out of second or third place.
/// One trailing slash is tolerated, as HubSpot does.
pub(super) fn split_path(path: &str) -> (Vec<String>, String) {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut words: Vec<String> = path
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
        .collect();
    let place = (1..=2).find(|place| words.get(*place).is_some_and(|word| is_version(word)));
    let version = place.map(|place| words.remove(place)).unwrap_or_default();
    (words, version)
}

/// `v1` to `v9`, or a platform date of March or September with or without `-beta`.
fn is_version(word: &str) -> bool {
    match word.as_bytes() {
        [b'v', digit] => digit.is_ascii_digit(),
        [b'2', b'0', year @ .., b'-', b'0', b'3' | b'9'] => {
            year.len() == 2 && year.iter().all(u8::is_ascii_digit)
        }
        _ => word
            .strip_suffix("-beta")
            .is_some_and(|dated| dated.starts_with("20") && is_version(dated)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_stands_in_second_or_third_place() {
        for (path, words, version) in [
            ("/crm/v3/objects/contacts", "crm objects contacts", "v3"),
            ("/crm/objects/v3/contacts/", "crm objects contacts", "v3"),
            (
                "/crm/objects/2026-03/contacts/7",
                "crm objects contacts 7",
                "2026-03",
            ),
            ("/crm/objects/2026-09-beta/0-1", "crm objects 0-1", "2026-09-beta"),
            ("/crm/objects/2026-04/0-1", "crm objects 2026-04 0-1", ""),
            (
                "/crm/v3/objects/contacts/a%40b.c",
                "crm objects contacts a@b.c",
                "v3",
            ),
            ("/crm//v3/objects", "crm  objects", "v3"),
            ("/", "", ""),
        ] {
            let (found, at) = split_path(path);
            assert_eq!(
                (found.join(" ").as_str(), at.as_str()),
                (words, version),
                "{path}"
            );
        }
    }

    #[test]
    fn lists_may_be_repeated_or_joined() {
        let query = Query::parse("properties=a,b&properties=c&limit=7&archived=true");
        assert_eq!(query.list("properties"), ["a", "b", "c"]);
        assert_eq!(query.limit(10, 100).unwrap(), 7);
        assert!(query.flag("archived"));
        assert!(Query::parse("limit=1000").limit(10, 100).is_err());
        assert!(Query::parse("limit=x").limit(10, 100).is_err());
    }
}
