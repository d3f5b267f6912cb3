//! Random answers: JSON of whatever form, records with marked values, and damage.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Stands in every value that nobody may see.
pub const MARKER: &str = "HIDDENVALUE";

fn escaped(text: &str, which: &[bool]) -> String {
    let mut out = String::from("\"");
    for (at, letter) in text.chars().enumerate() {
        match which.get(at).copied().unwrap_or_default() || matches!(letter, '"' | '\\') {
            true => letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| out.push_str(&format!("\\u{unit:04X}"))),
            false => out.push(letter),
        }
    }
    out + "\""
}

/// A string as JSON may spell it.
pub fn spelled(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, prop::collection::vec(prop::bool::weighted(0.1), 0..12))
        .prop_map(|(text, which)| escaped(&text, &which))
}

pub fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => select(vec![" ", "\n", "\t \r"])]
}

/// Names that mean something somewhere, and some that don't.
pub fn name() -> impl Strategy<Value = String> {
    let known = select(vec![
        "results",
        "paging",
        "id",
        "properties",
        "propertiesWithHistory",
        "url",
        "archived",
        "value",
        "timestamp",
        "email",
        "Email",
        "firstname",
        "phone",
        "ssn",
        "createdate",
        "hs_object_id",
        "name",
        "label",
        "type",
        "typeId",
        "my_secret",
        "list",
        "one",
        "any",
        "named",
        "typed",
        "text",
        "map",
        "",
        "é",
        "😀",
    ]);
    spelled(known.prop_map(String::from))
}

pub fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        2 => select(vec!["null", "true", "false", "0", "-1.5e3", "12", "\"contacts\"", "\"0-2\"", "\"deals\"", "\"a\\n\\\"b\""]).prop_map(String::from),
        1 => spelled(".{0,12}".prop_map(|text| text.replace(|c: char| c < ' ', "?"))),
    ]
}

/// Names of properties: granted, always readable, and hidden.
pub fn property_name() -> impl Strategy<Value = String> {
    let names = [
        "email",
        "firstname",
        "FirstName",
        "createdate",
        "phone",
        "ssn",
        "my_secret",
        "hs_object_id",
        "a_rather_long_name_of_one",
    ];
    spelled(select(names.to_vec()).prop_map(String::from))
}

/// JSON of whatever form, as text.
pub fn json() -> impl Strategy<Value = String> {
    scalar().prop_recursive(6, 60, 6, |inner| {
        let element = (space(), inner.clone(), space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member = (space(), name(), space(), space(), inner)
            .prop_map(|(a, name, b, c, value)| format!("{a}{name}{b}:{c}{value}"));
        prop_oneof![
            prop::collection::vec(element, 0..5).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

/// A list whose hidden values, and none but them, hold [`MARKER`].
pub fn records() -> impl Strategy<Value = String> {
    let marked = || {
        let within =
            spelled(".{0,5}".prop_map(|text| format!("{}{MARKER}", text.replace(|c: char| c < ' ', "?"))));
        within.prop_recursive(3, 8, 3, |inner| {
            let member = (name(), inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
            prop_oneof![
                prop::collection::vec(inner, 1..3).prop_map(|all| format!("[{}]", all.join(", "))),
                member.prop_map(|one| format!("{{{one}}}")),
            ]
        })
    };
    let shown = || scalar().prop_filter("a plain value", |text| !text.contains(['{', '[']));
    let property = prop_oneof![
        (select(vec!["email", "EMAIL", "firstname", "createdate"]), shown()),
        (
            select(vec!["phone", "ssn", "emails", "e-mail", "Emai\u{131}", ""]),
            marked()
        ),
    ];
    let member = |(name, value): (&'static str, String)| {
        (spelled(Just(name.to_owned())), Just(value)).prop_map(|(name, value)| format!("{name}:{value}"))
    };
    let once = |members: Vec<(&'static str, String)>| {
        let mut seen = std::collections::HashSet::new();
        members
            .into_iter()
            .filter(|(name, _)| seen.insert(*name))
            .collect::<Vec<_>>()
    };
    let object = move |members: Vec<(&'static str, String)>| {
        once(members)
            .into_iter()
            .map(member)
            .collect::<Vec<_>>()
            .prop_map(|all| format!("{{{}}}", all.join(",")))
    };
    let properties = prop::collection::vec(property, 0..6).prop_flat_map(object);
    let record = prop_oneof![
        properties.prop_map(|value| ("properties", value)),
        shown().prop_map(|value| ("id", value)),
        select(vec!["url", "Properties", "unknown", "properties "])
            .prop_flat_map(move |name| (Just(name), marked())),
    ];
    let record = prop::collection::vec(record, 0..5).prop_flat_map(object);
    prop::collection::vec(record, 0..4).prop_map(|all| format!(r#"{{"results":[{}]}}"#, all.join(",")))
}

#[derive(Clone, Debug)]
pub enum Mutation {
    Cut,
    Replace(u8),
    Insert(&'static str),
    Remove,
    Double(Index),
}

pub fn mutations() -> impl Strategy<Value = Vec<(Index, Mutation)>> {
    let mutation = prop_oneof![
        1 => Just(Mutation::Cut),
        2 => any::<u8>().prop_map(Mutation::Replace),
        4 => select(vec![",", "\"", "\\", "{", "}", "[", "]", ":", "\\u0000", "\\ud800", "1", "null", "\u{feff}", " ", "\"a\":1,", "\"email\":2,"]).prop_map(Mutation::Insert),
        2 => Just(Mutation::Remove),
        1 => any::<Index>().prop_map(Mutation::Double),
    ];
    prop::collection::vec((any::<Index>(), mutation), 0..4)
}

pub fn mutated(text: &str, mutations: &[(Index, Mutation)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (index, mutation) in mutations {
        if bytes.is_empty() {
            break;
        }
        let at = index.index(bytes.len());
        match mutation {
            Mutation::Cut => bytes.truncate(at),
            Mutation::Replace(with) => bytes[at] = *with,
            Mutation::Insert(with) => drop(bytes.splice(at..at, with.bytes())),
            Mutation::Remove => drop(bytes.remove(at)),
            Mutation::Double(other) => {
                let to = other.index(bytes.len());
                let part = bytes[at.min(to)..at.max(to)].to_vec();
                drop(bytes.splice(at..at, part));
            }
        }
    }
    bytes
}
