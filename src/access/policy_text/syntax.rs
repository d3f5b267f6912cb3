//! What the YAML parser rejects, said to the author of a policy: cause and remedy in our words.
//!
//! The parser speaks to those who program with it ("set this option"); its own words are shown
//! only for rare mistakes of syntax, where they name the YAML construct.

use serde_saphyr::Error;

use super::mistake::{Mistake, Span, code};
use super::reader::shown;

/// Part of the parser's message, what is wrong, what to do.
const SYNTAX: [(&str, &str, &str); 15] = [
    (
        "unclosed bracket",
        "this bracket is not closed",
        "close it, or put the value in quotes",
    ),
    (
        "misplaced bracket",
        "this bracket closes nothing",
        "remove it, or put the value in quotes",
    ),
    (
        "quoted scalar, found unknown escape",
        "this text in double quotes has an escape that YAML does not know",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    (
        "trailing content after",
        "something follows the closing quote",
        "inside single quotes write a quote twice: `'it''s'`",
    ),
    (
        "quoted scalar",
        "text in quotes is not closed before here",
        "close the quote, or indent the lines it goes on",
    ),
    (
        "mapping values are not allowed",
        "a `:` can't stand here",
        "indent keys that belong together alike, and put text with `: ` in it in quotes",
    ),
    (
        "illegal placement of ':'",
        "a `:` can't stand here",
        "close what was opened before, and put text with `: ` in it in quotes",
    ),
    ("tab", "a tab can't stand here", "indent with spaces"),
    (
        "expected '-' indicator",
        "a list goes on without `- `",
        "begin each item with `- `, all indented alike",
    ),
    (
        "simple key expected ':'",
        "this line is no key with a value",
        "write it as `key: value`, or indent it under the key it belongs to",
    ),
    (
        "did not find expected key",
        "this line is indented like nothing above it",
        "indent keys that belong together alike, with spaces",
    ),
    (
        "unexpected character",
        "a value can't begin with this character",
        "put the value in quotes",
    ),
    (
        "recursion limit",
        "this is nested too deep",
        "a policy needs a few levels: check the brackets",
    ),
    (
        "YAML major version",
        "this version of YAML is not known",
        "remove the `%YAML` line",
    ),
    (
        "invalid indentation",
        "this line is indented like nothing above it",
        "indent keys that belong together alike, with spaces",
    ),
];

/// The parser's error as a mistake at its place.
pub(super) fn mistake(text: &str, error: &Error) -> Mistake {
    let span = error.location().map_or(Span::start(), |at| {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Span::at(text, number(at.line()), number(at.column()))
    });
    let (message, help) = words(error);
    Mistake::error(code::NOT_YAML, span, message).help(help)
}

fn words(error: &Error) -> (String, &'static str) {
    let (message, help) = match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => return words(error),
        Error::DuplicateMappingKey { key, .. } => {
            let message = match key {
                Some(key) => format!("duplicate key `{}` in this mapping", shown(key)),
                None => "duplicate key in this mapping".to_owned(),
            };
            return (message, "keep one of them");
        }
        Error::ExternalMessage { msg, .. } => return syntax(msg),
        Error::MultipleDocuments { .. } => (
            "a second YAML document begins here",
            "keep one document in a file: remove `---` or `...` and what follows",
        ),
        Error::UnknownAnchor { .. } => (
            "this alias names an anchor that is not there",
            "put a value that begins with `*` in quotes: `\"*\"`",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => (
            "this value contains itself",
            "write it out instead of using an alias",
        ),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => (
            "a key must be text",
            "write a word as the key; put a value that begins with `[` or `{` in quotes",
        ),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => (
            "`<<` takes over keys of mappings, and this is none",
            "write the keys out",
        ),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "this file has more values than the gate reads",
            "split it, and write out what aliases repeat",
        ),
        Error::InvalidScalar { .. }
        | Error::InvalidBooleanStrict { .. }
        | Error::InvalidBinaryBase64 { .. }
        | Error::BinaryNotUtf8 { .. }
        | Error::NonFiniteFloat { .. } => (
            "this value is not of the kind it is declared as",
            "remove the tag (`!!…`), or put the value in quotes",
        ),
        _ => (
            "this is not YAML that the gate reads",
            "check indentation, quotes and brackets, and remove tags",
        ),
    };
    (message.to_owned(), help)
}

fn syntax(found: &str) -> (String, &'static str) {
    let known = SYNTAX.iter().find(|(part, ..)| found.contains(part));
    match known {
        Some((_, message, help)) => ((*message).to_owned(), help),
        None => (
            format!("this is not YAML: {}", shown(found)),
            "check indentation, quotes and brackets",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::access::policy_text::tree;

    #[test]
    fn a_mistake_of_syntax_is_shown_under_its_line_and_in_our_words() {
        for (text, line, column, part) in [
            ("a: [1, 2\n", 1, 4, "bracket is not closed"),
            ("a: b\nc: ]\n", 2, 4, "closes nothing"),
            ("a: 1\na: 2\n", 2, 1, "duplicate key `a`"),
            ("a: 1\n---\nb: 2\n", 3, 1, "second YAML document"),
            ("é: *\n", 1, 4, "quotes"),
            (
                "connections: *acme\n",
                1,
                14,
                "put a value that begins with `*` in quotes",
            ),
            ("a: \"open\n", 2, 1, "close the quote"),
            ("a: 1\n b: 2\n", 2, 3, "indent"),
            ("a:\n\t- b\n", 2, 2, "spaces"),
            ("ä: ü: c\n", 1, 5, "`:` can't stand here"),
            ("- a\nb: c\n", 2, 1, "begin each item"),
            ("ok: 1\nk\nb: 2\n", 2, 1, "no key with a value"),
            ("a:\n  - b\n c: d\n", 3, 2, "indented like nothing"),
            ("a: 'it's'\n", 1, 8, "closing quote"),
            ("a: @x\n", 1, 4, "in quotes"),
            ("a: {{x}}\n", 1, 5, "a key must be text"),
            ("null: 2\n", 1, 1, "a key must be text"),
            ("a: !!int x\n", 1, 10, "remove the tag"),
            ("<<: 5\n", 1, 5, "`<<`"),
            ("a: &x [*x]\n", 1, 8, "contains itself"),
            ("a: \"\\q\"\n", 1, 4, "escape"),
        ] {
            let mistake = tree::parse(text).unwrap_err().in_file(&Arc::from("t.yaml"));
            let rendered = mistake.render(text, false);
            assert_eq!(
                (mistake.span.line, mistake.span.column),
                (line, column),
                "{rendered}"
            );
            assert!(mistake.one_line().contains(part), "{text:?}: {rendered}");
            let end = text.len();
            if mistake.span.bytes.start < end {
                assert!(
                    rendered.contains(&format!("t.yaml:{line}:{column}")),
                    "{rendered}"
                );
            }
            for word in [
                "Option",
                "from_str",
                "Policy",
                "u64",
                "recursion types",
                " at line",
            ] {
                assert!(!rendered.contains(word), "{rendered}");
            }
        }
        for text in [
            format!("a: {}{}", "[".repeat(1000), "]".repeat(1000)),
            format!("a: [{}]", "x,".repeat(300_000)),
        ] {
            let mistake = tree::parse(&text).unwrap_err();
            assert!(
                ["nested too deep", "more values"]
                    .iter()
                    .any(|w| mistake.message.contains(w)),
                "{}",
                mistake.message
            );
        }
    }
}
