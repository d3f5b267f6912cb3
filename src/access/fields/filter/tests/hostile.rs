//! Whatever comes: what the model says, valid JSON, and nothing that is hidden.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

/// Stands in every value that nobody may see.
const MARKER: &str = "HIDDENVALUE";

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
fn spelled(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, prop::collection::vec(prop::bool::weighted(0.1), 0..12))
        .prop_map(|(text, which)| escaped(&text, &which))
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![9 => Just(""), 1 => select(vec![" ", "\n", "\t \r"])]
}

/// Names that mean something somewhere, and some that don't.
fn name() -> impl Strategy<Value = String> {
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

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => name(),
        2 => select(vec!["null", "true", "false", "0", "-1.5e3", "12", "\"contacts\"", "\"0-2\"", "\"deals\"", "\"a\\n\\\"b\""]).prop_map(String::from),
        1 => spelled(".{0,12}".prop_map(|text| text.replace(|c: char| c < ' ', "?"))),
    ]
}

/// JSON of whatever form, as text.
fn json() -> impl Strategy<Value = String> {
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

const PROPERTIES: Shape = Shape::Properties {
    of: CONTACT,
    granted: false,
    value: &Shape::Scalar,
    bare: &Shape::Scalar,
};

static SHAPES: [Shape; 6] = [
    LIST,
    Shape::Any,
    Shape::Object(&Members {
        known: &[
            ("any", Shape::Any),
            ("text", Shape::Text("ours")),
            ("list", Shape::NameList(CONTACT)),
            ("one", Shape::Name(COMPANY)),
            ("id", Shape::Scalar),
            ("properties", PROPERTIES),
            ("map", Shape::Map(&PROPERTIES)),
            (
                "named",
                Shape::Either {
                    object: &NAMED_ONE,
                    array: &NAMED,
                },
            ),
            (
                "typed",
                Shape::Either {
                    object: &TYPED,
                    array: &Shape::Array(&TYPED),
                },
            ),
            ("url", Shape::IfAll(CONTACT, &Shape::Any, &Shape::Drop)),
        ],
        unknown: Unknown::Dropped,
    }),
    Shape::Either {
        object: &TYPED,
        array: &NAMED,
    },
    Shape::Map(&Shape::Either {
        object: &NAMED_ONE,
        array: &Shape::Array(&TYPED),
    }),
    Shape::Either {
        object: &PROPERTIES,
        array: &Shape::NameList(COMPANY),
    },
];

const ITEM: Members = Members {
    known: &[
        ("name", Shape::Scalar),
        ("label", Shape::Any),
        ("value", Shape::Map(&Shape::Drop)),
    ],
    unknown: Unknown::Refused,
};
const NAMED: Shape = Shape::Named {
    of: CONTACT,
    key: "name",
    item: &ITEM,
};
const NAMED_ONE: Shape = Shape::NamedOne {
    of: COMPANY,
    key: "name",
    item: &ITEM,
};
const TYPED: Shape = Shape::Typed {
    keys: &["type", "typeId"],
    members: &Members {
        known: &[
            ("type", Shape::Scalar),
            (
                "properties",
                Shape::Properties {
                    of: Of::Own,
                    granted: false,
                    value: &Shape::Any,
                    bare: &Shape::Scalar,
                },
            ),
            (
                "propertiesWithHistory",
                Shape::Properties {
                    of: Of::Own,
                    granted: true,
                    value: &HISTORY,
                    bare: &Shape::Drop,
                },
            ),
            ("url", Shape::IfAll(Of::Own, &Shape::Any, &Shape::Drop)),
            (
                "typed",
                Shape::Array(&Shape::Typed {
                    keys: &["name"],
                    members: &ITEM,
                }),
            ),
        ],
        unknown: Unknown::Dropped,
    },
};

#[derive(Clone, Debug)]
enum Mutation {
    Cut,
    Replace(u8),
    Insert(&'static str),
    Remove,
    Double(Index),
}

fn mutations() -> impl Strategy<Value = Vec<(Index, Mutation)>> {
    let mutation = prop_oneof![
        1 => Just(Mutation::Cut),
        2 => any::<u8>().prop_map(Mutation::Replace),
        4 => select(vec![",", "\"", "\\", "{", "}", "[", "]", ":", "\\u0000", "\\ud800", "1", "null", "\u{feff}", " ", "\"a\":1,", "\"email\":2,"]).prop_map(Mutation::Insert),
        2 => Just(Mutation::Remove),
        1 => any::<Index>().prop_map(Mutation::Double),
    ];
    prop::collection::vec((any::<Index>(), mutation), 0..4)
}

fn mutated(text: &str, mutations: &[(Index, Mutation)]) -> Vec<u8> {
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

fn cut(bytes: &[u8], cuts: &[Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|two| bytes[two[0]..two[1]].to_vec())
        .collect()
}

fn check(shape: &'static Shape, answer: &[u8], cuts: &[Index]) {
    let expected = like_the_model(shape, answer);
    let parts = cut(answer, cuts);
    let in_pieces = pieces(shape, SCRATCH_BYTES, parts.iter().map(Vec::as_slice));
    match expected {
        Ok(_) => assert_eq!(in_pieces, expected),
        Err(_) => assert!(in_pieces.is_err()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_filtered_as_the_model_does(
        which in any::<Index>(), text in json(), cuts in prop::collection::vec(any::<Index>(), 0..6)
    ) {
        check(which.get(&SHAPES), text.as_bytes(), &cuts);
    }

    #[test]
    fn damaged_json_is_refused_or_filtered_as_the_model_does(
        which in any::<Index>(), text in json(), damage in mutations(), cuts in prop::collection::vec(any::<Index>(), 0..4)
    ) {
        check(which.get(&SHAPES), &mutated(&text, &damage), &cuts);
    }

    #[test]
    fn any_bytes_are_answered(which in any::<Index>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(which.get(&SHAPES), &bytes, &[]);
    }

    #[test]
    fn records_are_filtered_as_the_model_does_and_hidden_values_never_come_out(
        (text, damage) in (records(), mutations()), cuts in prop::collection::vec(any::<Index>(), 0..4)
    ) {
        for answer in [text.as_bytes(), &mutated(&text, &damage)] {
            check(&LIST, answer, &cuts);
        }
        let (out, _) = whole(&LIST, text.as_bytes()).expect("records are a list");
        let mut all = Vec::new();
        strings(&model::parsed(&out).expect("what comes out is JSON"), &mut all);
        prop_assert!(!String::from_utf8_lossy(&out).contains(MARKER));
        prop_assert!(all.iter().all(|text| !text.contains(MARKER)), "{:?}", all);
    }
}

/// Many enough to find what a change breaks; more by `PROPTEST_CASES`.
fn cases() -> u32 {
    let more = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    more.unwrap_or(1500)
}

/// A list whose hidden values, and none but them, hold [`MARKER`].
fn records() -> impl Strategy<Value = String> {
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

#[test]
fn nesting_has_a_bound_in_what_is_kept_and_in_what_is_not() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
    static ANY: Shape = Shape::Any;
    static DROP: Shape = Shape::Drop;
    for shape in [&ANY, &DROP] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            assert!(like_the_model(shape, nested(open, close, super::super::DEPTH).as_bytes()).is_ok());
            for depth in [super::super::DEPTH + 1, 200, 100_000] {
                let answer = nested(open, close, depth);
                assert_eq!(
                    whole(shape, answer.as_bytes()),
                    Err(Violation::TooDeep),
                    "{open} {depth}"
                );
            }
        }
    }
    static HELD: Shape = NAMED;
    let answer = format!(r#"[{{"label":{}}}]"#, nested("[", "]", 100));
    assert_eq!(whole(&HELD, answer.as_bytes()), Err(Violation::TooDeep));
}

#[test]
fn bytes_that_are_no_characters_are_refused_where_they_are_hidden_too() {
    for answer in [
        &b"{\"results\":[{\"x\":\"\xff\"}]}"[..],
        b"{\"results\":[{\"id\":\"\xc0\x80\"}]}",
        b"{\"results\":[{\"\xed\xa0\x80\":1}]}",
    ] {
        assert_eq!(like_the_model(&LIST, answer), Err(Violation::NotJson));
    }
}

#[test]
fn many_members_are_told_apart() {
    let members = |count: usize| {
        (0..count)
            .map(|n| format!("\"p{n}\":{n}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    static ANY: Shape = Shape::Any;
    static MAP: Shape = Shape::Map(&Shape::Scalar);
    for shape in [&ANY, &MAP] {
        let answer = format!("{{{}}}", members(5000));
        assert_eq!(
            like_the_model(shape, answer.as_bytes()),
            Ok((answer.clone().into_bytes(), 0))
        );
        let twice = format!("{{{},\"p17\":1}}", members(5000));
        assert_eq!(
            like_the_model(shape, twice.as_bytes()),
            Err(Violation::DuplicateName)
        );
        let late = format!("{{{},\"p\\u00349\":1}}", members(5000));
        assert_eq!(
            like_the_model(shape, late.as_bytes()),
            Err(Violation::DuplicateName)
        );
    }
    let answer = format!("{{{}}}", members(20_000));
    assert_eq!(
        like_the_model(&MAP, answer.as_bytes()),
        Err(Violation::TooManyMembers)
    );
}
