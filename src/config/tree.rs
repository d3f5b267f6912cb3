//! The file as a tree of values that know where they stand: every scalar as the text that was
//! written, because each setting reads its own.

use std::ops::Range;

use super::mistakes::Mistake;
use crate::access::policy_text::tree::{self as yaml, Located};

/// Largest configuration file in bytes: people write it by hand.
pub(super) const FILE_BYTES: usize = yaml::FILE_BYTES_MAX;

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

/// Reads `source`; an empty file is an empty mapping.
///
/// # Errors
/// Text that is not one YAML document.
pub(super) fn parse(source: &str) -> Result<Node, Mistake> {
    if source.trim().is_empty() {
        return Ok(Node {
            kind: Kind::Map(Vec::new()),
            place: 0..0,
        });
    }
    match yaml::parse(source) {
        Ok(root) => Ok(node(root, source)),
        Err(error) => {
            let mistake = Mistake::new(error.message).at(Some(within(error.span.bytes, source)));
            Err(match error.help {
                Some(help) => mistake.help(help),
                None => mistake,
            })
        }
    }
}

fn node(located: Located, source: &str) -> Node {
    let place = within(located.span.bytes, source);
    let as_written = || Kind::Text(source.get(place.clone()).unwrap_or_default().trim().to_owned());
    let kind = match located.node {
        yaml::Node::Null => Kind::Null,
        yaml::Node::Bool(_) | yaml::Node::Number(_) => as_written(),
        yaml::Node::Text(text) => Kind::Text(text),
        yaml::Node::List(items) => Kind::List(items.into_iter().map(|item| node(item, source)).collect()),
        yaml::Node::Map(entries) => {
            let entry = |(key, value): (yaml::Key, Located)| {
                let key = Key {
                    place: within(key.span.bytes, source),
                    name: key.name,
                };
                (key, node(value, source))
            };
            Kind::Map(entries.into_iter().map(entry).collect())
        }
    };
    // The parser gives a list the place of its bracket alone.
    let end = match &kind {
        Kind::List(items) => items
            .last()
            .map_or(place.end, |last| last.place.end.max(place.end)),
        _ => place.end,
    };
    Node {
        kind,
        place: place.start..end,
    }
}

fn within(bytes: Range<usize>, source: &str) -> Range<usize> {
    let start = bytes.start.min(source.len());
    start..bytes.end.clamp(start, source.len())
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
        assert!(error.help.is_some());
        assert!(error.place.unwrap().start > 0);
        let error = parse("a: [1, 2\nb: 3\n").unwrap_err();
        assert!(!error.message.is_empty());
    }
}
