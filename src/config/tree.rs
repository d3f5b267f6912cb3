//! The file as a tree of values that know where they stand: read without judging, so that every
//! mistake can be reported at once.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Largest configuration file in bytes: people write it by hand.
pub(super) const FILE_BYTES: usize = 1024 * 1024;

/// A value and its place in the file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Range<usize>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    /// `null`, `~`, or nothing.
    Null,
    /// A number, a truth value or a string, as written.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) place: Range<usize>,
}

/// A file that is no YAML: what and where.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) place: Range<usize>,
}

/// Reads `source`; an empty file is an empty mapping.
pub(super) fn parse(source: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
    };
    if source.trim().is_empty() {
        return Ok(Node {
            kind: Kind::Map(Vec::new()),
            place: 0..0,
        });
    }
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(source, options)
        .map(|raw| raw.value.place(place(source, raw.referenced), source))
        .map_err(|error| {
            let error = error.without_snippet();
            SyntaxError {
                place: error.location().map_or(0..0, |at| place(source, at)),
                message: without_place(&error.to_string()),
            }
        })
}

/// The parser ends its messages with the place, which the snippet shows already.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    first
        .rfind(" at line ")
        .or_else(|| first.rfind(", line "))
        .map_or(first, |at| first.get(..at).unwrap_or(first))
        .to_owned()
}

fn place(source: &str, location: Location) -> Range<usize> {
    let span = location.span();
    let start = span
        .byte_offset()
        .and_then(|at| usize::try_from(at).ok())
        .unwrap_or(0);
    let length = span
        .byte_len()
        .and_then(|len| usize::try_from(len).ok())
        .unwrap_or(0);
    let start = start.min(source.len());
    start..start.saturating_add(length).min(source.len())
}

/// As the parser hands it over.
#[derive(Debug)]
enum Raw {
    Null,
    /// Something the parser took for a number or a truth value: its text is in the source.
    Inferred,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl Raw {
    fn place(self, at: Range<usize>, source: &str) -> Node {
        let kind = match self {
            Raw::Null => Kind::Null,
            Raw::Inferred => Kind::Text(source.get(at.clone()).unwrap_or_default().trim().to_owned()),
            Raw::Text(text) => Kind::Text(text),
            Raw::List(items) => Kind::List(
                items
                    .into_iter()
                    .map(|item| item.value.place(place(source, item.referenced), source))
                    .collect(),
            ),
            Raw::Map(entries) => Kind::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let key = Key {
                            place: place(source, key.referenced),
                            name: key.value,
                        };
                        (key, value.value.place(place(source, value.referenced), source))
                    })
                    .collect(),
            ),
        };
        // The parser gives a list the place of its bracket alone.
        let end = match &kind {
            Kind::List(items) => items.last().map_or(at.end, |last| last.place.end.max(at.end)),
            _ => at.end,
        };
        Node {
            kind,
            place: at.start..end,
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Inferred)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_text_and_their_place() {
        let source = "a: 010\nb:\n  c: 'x y'\n  d: ~\n  e: [1.50, true, no]\nf:\n";
        let Kind::Map(entries) = parse(source).unwrap().kind else {
            panic!("not a map");
        };
        let (a, value) = &entries[0];
        assert_eq!((a.name.as_str(), &source[a.place.clone()]), ("a", "a"));
        assert!(matches!(&value.kind, Kind::Text(text) if text == "010"));
        let Kind::Map(b) = &entries[1].1.kind else {
            panic!("not a map");
        };
        assert!(matches!(&b[0].1.kind, Kind::Text(text) if text == "x y"));
        assert_eq!(source[b[0].1.place.clone()].trim(), "'x y'");
        assert!(matches!(b[1].1.kind, Kind::Null));
        let Kind::List(e) = &b[2].1.kind else {
            panic!("not a list");
        };
        let texts: Vec<_> = e
            .iter()
            .map(|node| match &node.kind {
                Kind::Text(text) => text.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(texts, ["1.50", "true", "no"]);
        assert!(matches!(entries[2].1.kind, Kind::Null));
    }

    #[test]
    fn broken_files_are_errors_with_a_place_and_never_a_panic() {
        for source in [
            "a: [",
            "a: b: c",
            "\t- x",
            "a: &x [*x]",
            "a: 1\na: 2\n",
            "{",
            "- - - ? :",
        ] {
            let _ = parse(source);
        }
        let error = parse("listen: x\nlisten: y\n").unwrap_err();
        assert!(error.message.contains("duplicate"), "{}", error.message);
        assert!(error.place.start > 0);
        let error = parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert!(!error.message.is_empty());
    }
}
