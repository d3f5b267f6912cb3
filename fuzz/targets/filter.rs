//! Any answer through the field filter: what comes out is what the slow model says, in whatever pieces it came,
//! and no value of a hidden property is in it.
//!
//! The first byte chooses the shape, the second the size of the pieces.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::fields::filter::{Filter, SCRATCH_BYTES, Violation};
use scopegate_fuzz::access::fields::grant::{Bounds, Entry, Names, OnExtra, Properties};
use scopegate_fuzz::access::fields::model;
use scopegate_fuzz::access::fields::shape::{Members, Of, Shape, Unknown, Views};
use scopegate_fuzz::access::object_type::ObjectType;

const CONTACT: Of = Of::Type(0);

const HISTORY: Shape = Shape::Array(&Shape::Object(&Members {
    known: &[("value", Shape::Any), ("timestamp", Shape::Scalar)],
    unknown: Unknown::Dropped,
}));

const RECORD: Shape = Shape::Object(&Members {
    known: &[
        ("id", Shape::Scalar),
        (
            "properties",
            Shape::Properties {
                of: CONTACT,
                granted: false,
                value: &Shape::Scalar,
                bare: &Shape::Scalar,
            },
        ),
        (
            "propertiesWithHistory",
            Shape::Properties {
                of: CONTACT,
                granted: true,
                value: &HISTORY,
                bare: &Shape::Drop,
            },
        ),
        ("url", Shape::IfAll(CONTACT, &Shape::Scalar, &Shape::Drop)),
        ("associations", Shape::Map(&Shape::Array(&Shape::Scalar))),
    ],
    unknown: Unknown::Dropped,
});

/// One shape of each kind there is.
static SHAPES: [Shape; 7] = [
    Shape::Object(&Members {
        known: &[
            ("results", Shape::Array(&RECORD)),
            ("paging", Shape::Any),
            ("message", Shape::Text("fixed")),
        ],
        unknown: Unknown::Refused,
    }),
    Shape::Map(&RECORD),
    Shape::Array(&Shape::NamedOne {
        of: CONTACT,
        key: "name",
        item: &Members {
            known: &[("name", Shape::Scalar), ("label", Shape::Scalar)],
            unknown: Unknown::Dropped,
        },
    }),
    Shape::Named {
        of: CONTACT,
        key: "name",
        item: &Members {
            known: &[("name", Shape::Scalar), ("value", Shape::Any)],
            unknown: Unknown::Dropped,
        },
    },
    Shape::Object(&Members {
        known: &[
            ("names", Shape::NameList(CONTACT)),
            ("name", Shape::Name(CONTACT)),
            (
                "either",
                Shape::Either {
                    object: &RECORD,
                    array: &Shape::Array(&RECORD),
                },
            ),
        ],
        unknown: Unknown::Dropped,
    }),
    Shape::Array(&Shape::Typed {
        keys: &["objectType", "objectTypeId"],
        members: &Members {
            known: &[
                ("objectType", Shape::Scalar),
                ("objectTypeId", Shape::Scalar),
                (
                    "properties",
                    Shape::Properties {
                        of: Of::Own,
                        granted: false,
                        value: &Shape::Any,
                        bare: &Shape::Scalar,
                    },
                ),
            ],
            unknown: Unknown::Dropped,
        },
    }),
    Shape::Any,
];

/// Of contacts `email` and `firstname` may be read, of companies all but `*secret*`, of others nothing.
fn views() -> Views {
    static BOUNDS: OnceLock<Bounds> = OnceLock::new();
    let bounds = BOUNDS.get_or_init(|| {
        let reading = |read| Entry {
            read,
            write: Names::none(),
            values: BTreeMap::new(),
        };
        let spelled = |words: [&str; 2]| words.map(String::from).to_vec();
        let contacts = reading(Names::listed(["email", "firstname"]));
        let companies = reading(Names::except(["*secret*"]));
        let types = vec![
            (ObjectType::Known(1), spelled(["contacts", "0-1"]), contacts),
            (ObjectType::Known(2), spelled(["companies", "0-2"]), companies),
        ];
        Bounds {
            policy: Some(Arc::new(Properties::new(types, None, OnExtra::Strip))),
            ceiling: None,
        }
    });
    Views {
        types: [1, 2]
            .map(|row| bounds.view(&ObjectType::Known(row)))
            .into_iter()
            .collect(),
        bounds: bounds.clone(),
    }
}

type Outcome = Result<(Vec<u8>, u64), Violation>;

fn filtered(shape: &'static Shape, answer: &[u8], piece: usize) -> Outcome {
    let mut filter = Filter::new(shape, views(), SCRATCH_BYTES);
    let mut out = Vec::new();
    for part in answer.chunks(piece.max(1)) {
        filter.push(part, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok((out, filter.stripped()))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[shape, piece], answer)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let shape = &SHAPES[usize::from(shape) % SHAPES.len()];
    let whole = filtered(shape, answer, answer.len());
    let pieces = filtered(shape, answer, usize::from(piece));
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(_), Err(_)) => {}
        _ => panic!("pieces decide: {whole:?} {pieces:?}"),
    }
    match (&whole, model::filtered(shape, &views(), answer)) {
        (Ok((out, stripped)), Ok(expected)) => {
            let tree = match out.is_empty() {
                true => None,
                false => Some(model::parsed(out).expect("what comes out is JSON")),
            };
            assert_eq!((&tree, stripped), (&expected.tree, &expected.stripped));
        }
        (Err(_), Err(_)) => {}
        (Err(violation), Ok(_)) => {
            let bounded = matches!(violation, Violation::TokenTooLong | Violation::TooManyMembers);
            let held = *violation == Violation::HeldTooLong;
            let long = bounded && answer.len() > 4096 || held && answer.len() > SCRATCH_BYTES;
            assert!(long, "the filter alone refuses: {violation}");
        }
        (Ok(_), Err(violation)) => panic!("the model alone refuses: {violation}"),
    }
});
