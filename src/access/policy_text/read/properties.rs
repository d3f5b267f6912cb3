//! The `properties:` block, as written.

use super::super::mistake::{Span, code};
use super::super::nearest::did_you_mean;
use super::super::properties::{WrittenEntry, WrittenGrant, WrittenNames, WrittenProperties};
use super::super::reader::{Entries, Reader, TEXT_BYTES_MAX, shown};
use super::super::tree::{Key, Located, Node};
use super::super::written::{At, Names};
use crate::access::fields::OnExtra;
use crate::access::fields::plan::{NAME_BYTES, is_plain_name};

const GRANT_KEYS: [&str; 3] = ["read", "write", "values"];

const GRANT_FORMS: &str = "`all`, or a mapping like `{read: [email], write: all}`";

const NAMES_FORMS: &str = "`all`, a list of names, or `{except: [\"*ssn*\"]}`";

/// Reads the block.
pub(super) fn properties(reader: &mut Reader, value: Located) -> Option<At<WrittenProperties>> {
    if matches!(&value.node, Node::Text(word) if word == "all") {
        let help = "write `properties: {\"*\": all}`, or leave it out";
        reader.error(code::WRONG_KIND, &value.span, "`properties` is text", help);
        return None;
    }
    let entries = reader.entries("properties", value)?;
    let span = entries.span.clone();
    let mut block = WrittenProperties::default();
    for (key, value) in entries_of(reader, "properties", entries) {
        if let Some(grant) = grant(reader, &key.name, value) {
            block.entries.push(WrittenEntry {
                object: named(key),
                grant,
            });
        }
    }
    Some(At { value: block, span })
}

/// `on_extra_property:`.
pub(super) fn on_extra(reader: &mut Reader, value: Located) -> Option<At<OnExtra>> {
    let word = reader.text("on_extra_property", value)?;
    let found = OnExtra::WORDS.iter().find(|(name, _)| *name == word.value);
    if found.is_none() {
        reader.error(
            code::WRONG_KIND,
            &word.span,
            format!("`{}` is nothing that can be done", shown(&word.value)),
            did_you_mean(
                &word.value,
                OnExtra::WORDS.map(|(name, _)| name),
                "write `strip` or `deny`",
            ),
        );
    }
    Some(At {
        value: found?.1,
        span: word.span,
    })
}

fn named(key: Key) -> At<String> {
    At {
        value: key.name,
        span: key.span,
    }
}

fn grant(reader: &mut Reader, object: &str, value: Located) -> Option<WrittenGrant> {
    let what = shown(object);
    match value.node {
        Node::Text(word) if word == "all" => return Some(WrittenGrant::All),
        Node::Map(_) => {}
        other => {
            wrong_kind(reader, &what, &other, &value.span, GRANT_FORMS);
            return None;
        }
    }
    let before = reader.mistakes.len();
    let mut entries = reader.entries(&what, value)?;
    let read = entries.take("read").and_then(|v| names(reader, "read", v));
    let write = entries.take("write").and_then(|v| names(reader, "write", v));
    let values = entries.take("values").map(|v| values(reader, v));
    reader.finish(entries, &GRANT_KEYS, &[]);
    Some(WrittenGrant::Directions {
        read,
        write,
        values: values.unwrap_or_default(),
        unsound: reader.lost_values_since(before),
    })
}

fn wrong_kind(reader: &mut Reader, what: &str, found: &Node, span: &Span, forms: &str) {
    let message = match found {
        Node::Text(word) => format!("`{}` can't stand for `{what}`", shown(word)),
        other => format!("`{what}` is {}", other.kind()),
    };
    reader.error(code::WRONG_KIND, span, message, format!("write {forms}"));
}

fn names(reader: &mut Reader, direction: &str, value: Located) -> Option<WrittenNames> {
    match value.node {
        Node::Text(word) if word == "all" => Some(WrittenNames::All),
        Node::List(_) => {
            let (items, _) = reader.list(direction, value);
            Some(WrittenNames::Listed(each(reader, items, |reader, item| {
                property(reader, direction, item)
            })))
        }
        Node::Map(_) => {
            let mut entries = reader.entries(direction, value)?;
            let missing = "write `{except: [\"*ssn*\"]}`, `all`, or a list of names";
            let except = reader.required(&mut entries, &["except"], "except", missing);
            reader.finish(entries, &["except"], &[]);
            let (items, _) = reader.list("except", except?);
            Some(WrittenNames::Except(each(reader, items, pattern)))
        }
        other => {
            wrong_kind(reader, direction, &other, &value.span, NAMES_FORMS);
            None
        }
    }
}

/// Each item by a reader of its own, none twice whatever its case.
fn each(
    reader: &mut Reader,
    items: Vec<Located>,
    read: impl Fn(&mut Reader, Located) -> Option<At<String>>,
) -> Names {
    let mut names: Names = Vec::with_capacity(items.len());
    for item in items {
        let Some(name) = read(reader, item) else {
            continue;
        };
        match names.iter().any(|n| n.value.eq_ignore_ascii_case(&name.value)) {
            true => reader.repeated(&name.value, &name.span),
            false => names.push(name),
        }
    }
    names
}

fn property(reader: &mut Reader, what: &str, item: Located) -> Option<At<String>> {
    let name = reader.text(what, item)?;
    is_property(reader, &name).then_some(name)
}

fn is_property(reader: &mut Reader, name: &At<String>) -> bool {
    if name.value.contains('*') {
        reader.error(
            code::WILDCARD,
            &name.span,
            format!("`{}` has a wildcard", shown(&name.value)),
            "a list grants what it names: write each name, `all`, or `{except: [\"*ssn*\"]}`",
        );
        return false;
    }
    plain(reader, name, &name.value)
}

fn pattern(reader: &mut Reader, item: Located) -> Option<At<String>> {
    let pattern = reader.text("except", item)?;
    let letters = pattern.value.replace('*', "");
    if letters.is_empty() {
        reader.error(
            code::WILDCARD,
            &pattern.span,
            format!("`{}` matches every property", shown(&pattern.value)),
            "leave the direction out: one that is not named is none",
        );
        return None;
    }
    plain(reader, &pattern, &letters).then_some(pattern)
}

fn plain(reader: &mut Reader, written: &At<String>, letters: &str) -> bool {
    let is_plain = is_plain_name(letters) && written.value.len() <= NAME_BYTES;
    if !is_plain {
        reader.error(
            code::BAD_PROPERTY,
            &written.span,
            format!("`{}` can't be a property's name", shown(&written.value)),
            format!("write its internal name: at most {NAME_BYTES} letters, digits, `_`, `-` and `.`"),
        );
    }
    is_plain
}

fn values(reader: &mut Reader, value: Located) -> Vec<(At<String>, Names)> {
    let Some(entries) = reader.entries("values", value) else {
        return Vec::new();
    };
    let mut values: Vec<(At<String>, Names)> = Vec::new();
    for (key, value) in entries_of(reader, "values", entries) {
        let name = named(key);
        if !is_property(reader, &name) {
            continue;
        }
        if values
            .iter()
            .any(|(n, _)| n.value.eq_ignore_ascii_case(&name.value))
        {
            reader.repeated(&name.value, &name.span);
            continue;
        }
        let (items, _) = reader.list(&shown(&name.value), value);
        let mut set: Names = Vec::with_capacity(items.len());
        for item in items {
            match scalar(reader, item) {
                Some(value) if set.iter().any(|v| v.value == value.value) => {
                    reader.repeated(&value.value, &value.span);
                }
                Some(value) => set.push(value),
                None => {}
            }
        }
        values.push((name, set));
    }
    values
}

/// A value as HubSpot receives it, as text. Empty text clears a property.
fn scalar(reader: &mut Reader, item: Located) -> Option<At<String>> {
    let span = item.span;
    let text = match item.node {
        // YAML reads `007` and `1.0` as 7 and 1; only one of the two is what HubSpot would receive.
        Node::Number(text) if text.len() != span.bytes.len() => {
            let help = "put it in quotes, as HubSpot is to receive it";
            reader.error(
                code::WRONG_KIND,
                &span,
                "this number can be written in several ways",
                help,
            );
            return None;
        }
        Node::Number(text) => text,
        Node::Bool(value) => value.to_string(),
        Node::Text(text) if text.len() > TEXT_BYTES_MAX => {
            let message = format!("this value is longer than {TEXT_BYTES_MAX} bytes");
            reader.error(code::TOO_LARGE, &span, message, "shorten it");
            return None;
        }
        Node::Text(text) => text,
        other @ (Node::Null | Node::List(_) | Node::Map(_)) => {
            let message = format!("a value is {}", other.kind());
            reader.error(
                code::WRONG_KIND,
                &span,
                message,
                "write text, a number, `true` or `false`",
            );
            return None;
        }
    };
    Some(At { value: text, span })
}

/// All entries of a mapping, unless there are more than a list may have.
fn entries_of(reader: &mut Reader, what: &str, entries: Entries) -> Vec<(Key, Located)> {
    let span = entries.span.clone();
    reader.no_more_than_a_list(what, entries.into_left(), span).0
}
