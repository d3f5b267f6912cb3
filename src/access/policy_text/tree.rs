//! A YAML document as a tree in which every key and value knows where it stands.
//!
//! Typed deserialisation stops at the first mistake and a policy's author wants all of them, so
//! the text becomes this tree first and is read from it. Deliberately absent: tags, includes,
//! several documents in one file.

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};

use super::mistake::{Mistake, Span, code};
use super::syntax;

/// Longest policy file that is read, in bytes: a policy is written and reviewed by people.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Located {
    /// What was written.
    pub node: Node,
    /// Where.
    pub span: Span,
}

/// What can be written.
#[derive(Clone, Debug)]
pub enum Node {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as YAML understands it.
    Number(String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Located>),
    /// A mapping, in the order written.
    Map(Vec<(Key, Located)>),
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// What an author calls this kind of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "nothing",
            Node::Bool(_) => "true or false",
            Node::Number(_) => "a number",
            Node::Text(_) => "text",
            Node::List(_) => "a list",
            Node::Map(_) => "a mapping",
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// Text that is not one YAML document, or one beyond the bounds, as a mistake at its place.
pub fn parse(text: &str) -> Result<Located, Mistake> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Mistake::error(
            code::TOO_LARGE,
            Span::start(),
            format!("this file is longer than {FILE_BYTES_MAX} bytes"),
        )
        .help("split it: one file per integration"));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_aliases: 256,
            max_anchors: 256,
            max_recorded_anchor_events: 20_000,
            max_depth: 32,
            max_nodes: 100_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(locate(raw)),
        Err(error) => Err(syntax::mistake(text, &error)),
    }
}

fn locate(raw: Spanned<Raw>) -> Located {
    let span = span_of(&raw.referenced);
    let node = match raw.value {
        Raw::Null => Node::Null,
        Raw::Bool(value) => Node::Bool(value),
        Raw::Number(value) => Node::Number(value),
        Raw::Text(value) => Node::Text(value),
        Raw::List(items) => Node::List(items.into_iter().map(locate).collect()),
        Raw::Map(entries) => Node::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = Key {
                        span: span_of(&key.referenced),
                        name: key.value,
                    };
                    (key, locate(value))
                })
                .collect(),
        ),
    };
    Located { node, span }
}

fn span_of(at: &serde_saphyr::Location) -> Span {
    let (start, len) = (
        at.span().byte_offset().unwrap_or(0),
        at.span().byte_len().unwrap_or(0),
    );
    let start = usize::try_from(start).unwrap_or(0);
    let len = usize::try_from(len).unwrap_or(0);
    Span {
        line: u32::try_from(at.line()).unwrap_or(1).max(1),
        column: u32::try_from(at.column()).unwrap_or(1).max(1),
        bytes: start..start.saturating_add(len),
    }
}

/// What the parser delivers, before places are put beside values.
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(located: &Located) -> &[(Key, Located)] {
        match &located.node {
            Node::Map(entries) => entries,
            other => panic!("a mapping expected, found {}", other.kind()),
        }
    }

    #[test]
    fn every_key_and_value_knows_its_line_and_column() {
        let text = "integration: a\nallow:\n  - scope: [x, y]\n    optional: true\n";
        let tree = parse(text).unwrap();
        let top = entries(&tree);
        assert_eq!((top[1].0.span.line, top[1].0.span.column), (2, 1));
        let Node::List(rules) = &top[1].1.node else {
            panic!("a list")
        };
        let rule = entries(&rules[0]);
        let Node::List(scopes) = &rule[0].1.node else {
            panic!("a list")
        };
        assert_eq!((scopes[1].span.line, scopes[1].span.column), (3, 16));
        assert_eq!(&text[scopes[1].span.bytes.clone()], "y");
        assert!(matches!(rule[1].1.node, Node::Bool(true)));
        assert_eq!(&text[rule[1].0.span.bytes.clone()], "optional");
    }

    #[test]
    fn dates_numbers_and_nothing_keep_their_kind() {
        let tree = parse("a: 2027-03-31\nb: 5\nc:\nd: \"5\"\ne: never\n").unwrap();
        let kinds: Vec<_> = entries(&tree).iter().map(|(_, v)| v.node.kind()).collect();
        assert_eq!(kinds, ["text", "a number", "nothing", "text", "text"]);
    }

    #[test]
    fn what_is_not_one_yaml_document_is_a_mistake_at_its_place() {
        for (text, line) in [
            ("a: [1, 2\n", 0),
            ("a: 1\na: 2\n", 2),
            ("a: 1\n---\nb: 2\n", 0),
            ("a: *nowhere\n", 1),
            ("a: \"open\n", 0),
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.code, code::NOT_YAML, "{text:?}");
            if line > 0 {
                assert_eq!(mistake.span.line, line, "{text:?}: {}", mistake.message);
            }
        }
    }

    #[test]
    fn text_that_unfolds_without_end_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let previous = i - 1;
            text.push_str(&format!("a{i}: &a{i} [*a{previous}, *a{previous}, *a{previous}, *a{previous}, *a{previous}, *a{previous}, *a{previous}, *a{previous}]\n"));
        }
        assert!(parse(&text).is_err());
        assert!(parse(&format!("a: {}{}", "[".repeat(1000), "]".repeat(1000))).is_err());
        assert_eq!(
            parse(&"a".repeat(FILE_BYTES_MAX + 1)).unwrap_err().code,
            code::TOO_LARGE
        );
    }
}
