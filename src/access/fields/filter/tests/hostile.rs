//! Whatever comes: what the model says, valid JSON, and nothing that is hidden.

use proptest::prelude::*;
use proptest::sample::Index;

use super::arbitrary::{MARKER, json, mutated, mutations, records};
use super::fitting::fitting;
use super::*;

const PROPERTIES: Shape = Shape::Properties {
    of: CONTACT,
    granted: false,
    value: &Shape::Scalar,
    bare: &Shape::Scalar,
};

static SHAPES: [Shape; 7] = [
    ERROR,
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

const WORD: Shape = Shape::Kinds {
    scalar: &Shape::Scalar,
    object: &Shape::Drop,
    array: &Shape::Drop,
};
const ERROR: Shape = Shape::Kinds {
    scalar: &Shape::Drop,
    object: &Shape::Object(&Members {
        known: &[
            ("id", WORD),
            (
                "text",
                Shape::Kinds {
                    scalar: &Shape::TextUnless(&["email", "limit. reached", ""], "-"),
                    object: &Shape::Drop,
                    array: &Shape::Array(&WORD),
                },
            ),
        ],
        unknown: Unknown::Dropped,
    }),
    array: &Shape::Drop,
};

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
    fn answers_that_fit_are_filtered_as_the_model_does(
        (shape, text) in any::<Index>().prop_flat_map(|which| {
            let shape = which.get(&SHAPES);
            (Just(shape), fitting(shape))
        }),
        damage in prop_oneof![3 => Just(Vec::new()), 1 => mutations()],
        cuts in prop::collection::vec(any::<Index>(), 0..4)
    ) {
        check(shape, &mutated(&text, &damage), &cuts);
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
