//! Ways to write one request: those that may mean the same, and those nobody may understand.

use super::super::super::Catalogue;
use super::super::super::layout::Plain;
use super::super::super::rows::{Row, TypeSource};
use crate::access::object_type::ObjectType;

/// A request as written, and whether the gate may understand it at all.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) must_be_refused: bool,
}

/// A path before it is spelled: its segments without the version, and where a type stands.
#[derive(Clone, Debug)]
pub(super) struct Path {
    method: &'static str,
    segments: Vec<String>,
    version: Option<(usize, String)>,
    types: Vec<(usize, ObjectType)>,
    literals: Vec<usize>,
    /// Where a version may stand in HubSpot's two layouts.
    places: Vec<usize>,
}

impl Path {
    /// A row's template with the given types (by the ordinal of their parameters) and made-up ids.
    pub(super) fn of(catalogue: &Catalogue, row: &Row, of_parameter: impl Fn(u8) -> ObjectType) -> Self {
        let plain = Plain::new(row);
        let (mut segments, mut types, mut literals) = (Vec::new(), Vec::new(), Vec::new());
        let mut ordinal = 0u8;
        for (place, segment) in plain.segments.iter().enumerate() {
            if !segment.starts_with('{') {
                match plain.types.get(&place) {
                    Some(object) => types.push((place, object.clone())),
                    None => literals.push(place),
                }
                segments.push((*segment).to_owned());
                continue;
            }
            let typed = row.sources().contains(&TypeSource::Parameter(ordinal));
            if typed {
                let object = of_parameter(ordinal);
                segments.push(catalogue.object_name(&object).to_owned());
                types.push((place, object));
            } else {
                segments.push("12345".to_owned());
            }
            ordinal += 1;
        }
        let version = plain.version_at.zip(row.version.as_deref().map(str::to_owned));
        Self {
            method: row.method.as_str(),
            places: [1, 2]
                .into_iter()
                .filter(|place| plain.may_hold_version_at(*place))
                .collect(),
            segments,
            version,
            types,
            literals,
        }
    }

    /// As HubSpot documents it.
    pub(super) fn plain(&self) -> String {
        self.write(&self.segments, self.version.as_ref().map(|(place, _)| *place))
    }

    fn write(&self, segments: &[String], version_at: Option<usize>) -> String {
        let mut all: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let (Some(place), Some((_, version))) = (version_at, &self.version) {
            all.insert(place.min(all.len()), version);
        }
        format!("/{}", all.join("/"))
    }

    /// The ways to write it. `turn` chooses among those that must be refused: all of them for every row
    /// would take minutes.
    pub(super) fn ways(&self, catalogue: &Catalogue, turn: usize) -> Vec<Way> {
        let mut ways = Vec::new();
        let own = self.version.as_ref().map(|(place, _)| *place);
        let mut take = |target: String, must_be_refused: bool| {
            ways.push(Way {
                method: self.method.to_owned(),
                target,
                must_be_refused,
            });
        };
        for segments in self.type_spellings(catalogue) {
            take(self.write(&segments, own), false);
            take(format!("{}/", self.write(&segments, own)), false);
            for place in self.places.iter().filter(|place| Some(**place) != own) {
                take(self.write(&segments, Some(*place)), false);
            }
        }
        for place in &self.literals {
            for respelled in [str::to_ascii_uppercase, capitalised, |text: &str| {
                format!("{text}%20")
            }] {
                take(self.write(&self.with(*place, respelled), own), false);
            }
        }
        for place in 0..self.segments.len() {
            for encoded in [first_encoded, last_encoded, wholly_encoded] {
                take(self.write(&self.with(place, encoded), own), false);
            }
            // Some of them in each place; the next row has the next ones.
            let first = (turn + place) * BROKEN_EACH;
            for broken in (first..first + BROKEN_EACH).filter_map(|at| BROKEN.get(at % BROKEN.len())) {
                take(self.write(&self.with(place, broken), own), true);
            }
        }
        let plain = self.plain();
        for broken in [
            format!("/.{plain}"),
            format!("/x/..{plain}"),
            format!("/{plain}"),
            format!("{plain}//"),
            format!("{plain}/."),
            format!("{plain}/x/.."),
            format!("{plain}#x"),
            format!("{plain}?a=%"),
            format!("{plain}?a=1#x"),
            format!("https://api.hubapi.com{plain}"),
            plain.replace('/', "\\"),
            plain.trim_start_matches('/').to_owned(),
        ] {
            take(broken, true);
        }
        for method in ["get", "Post", "PATCH ", "OPTIONS", "TRACE", "X"] {
            ways.push(Way {
                method: method.to_owned(),
                target: plain.clone(),
                must_be_refused: true,
            });
        }
        ways
    }

    /// Each type by each of its spellings, in small, capital and mixed letters.
    fn type_spellings(&self, catalogue: &Catalogue) -> Vec<Vec<String>> {
        let mut all = vec![self.segments.clone()];
        for (place, object) in &self.types {
            for spelling in catalogue.object_spellings(object) {
                let spelling = spelling.replace(' ', "%20");
                for text in [
                    spelling.clone(),
                    spelling.to_ascii_uppercase(),
                    capitalised(&spelling),
                ] {
                    all.push(self.with(*place, |_| text.clone()));
                }
            }
        }
        all
    }

    fn with(&self, place: usize, change: impl Fn(&str) -> String) -> Vec<String> {
        let mut segments = self.segments.clone();
        segments[place] = change(&segments[place]);
        segments
    }
}

fn capitalised(text: &str) -> String {
    let mut upper = true;
    text.chars()
        .map(|c| {
            upper = !upper;
            if upper { c } else { c.to_ascii_uppercase() }
        })
        .collect()
}

fn encoded(text: &str, which: impl Fn(usize) -> bool) -> String {
    let letters = text.bytes().enumerate();
    letters
        .map(|(at, byte)| match which(at) && byte.is_ascii_alphanumeric() {
            true => format!("%{byte:02x}"),
            false => char::from(byte).to_string(),
        })
        .collect()
}

fn first_encoded(text: &str) -> String {
    encoded(text, |at| at == 0)
}

fn last_encoded(text: &str) -> String {
    encoded(text, |at| at + 1 == text.len())
}

fn wholly_encoded(text: &str) -> String {
    encoded(text, |_| true).to_uppercase().replace("%2D", "-")
}

/// How many of them are tried in one place.
const BROKEN_EACH: usize = 6;

/// Segments that two parsers might read differently.
const BROKEN: [fn(&str) -> String; 19] = [
    |text| first_encoded(text).replace('%', "%25"),
    |text| wholly_encoded(text).replace('%', "%25"),
    |text| format!("./{text}"),
    |text| format!("{text}/."),
    |text| format!("{text}/.."),
    |text| format!("x/../{text}"),
    |text| format!("%2e/{text}"),
    |text| format!("x/%2E%2e/{text}"),
    |text| format!("{text}//"),
    |text| format!("{text}%2f"),
    |text| format!("{text}%5C"),
    |text| format!("{text}\\x"),
    |text| format!("{text};x=1"),
    |text| format!("{text}%3b"),
    |text| format!("{text}%00"),
    |text| format!("{text}%0a"),
    |text| format!("{text}%c0%af"),
    |text| format!("{text}%"),
    |text| format!("{text} "),
];
