//! The filter as a specification: what comes out for what goes in.

mod arbitrary;
mod fitting;
mod hostile;
mod owners;
mod places;
mod streaming;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Filter, SCRATCH_BYTES, Violation};
use crate::access::fields::grant::{Bounds, Entry, Names, OnExtra, Properties};
use crate::access::fields::model::{self, Tree};
use crate::access::fields::shape::{Members, Of, Shape, Unknown, Views};
use crate::access::object_type::ObjectType;

/// Contacts: `email` and `firstname` may be read. Companies: all but `*secret*`. Nothing of others.
pub fn views() -> Views {
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
        (
            ObjectType::Known(3),
            spelled(["deals", "0-3"]),
            reading(Names::All),
        ),
    ];
    let bounds = Bounds {
        policy: Some(Arc::new(Properties::new(types, None, OnExtra::Strip))),
        ceiling: None,
    };
    let types = [1, 2, 3].map(|row| bounds.view(&ObjectType::Known(row)));
    Views {
        types: types.into_iter().collect(),
        bounds,
    }
}

/// The contact's type in [`views`].
pub const CONTACT: Of = Of::Type(0);
/// The company's.
pub const COMPANY: Of = Of::Type(1);
/// One of which everything may be read.
pub const DEAL: Of = Of::Type(2);
/// One that has no view.
pub const STRANGE: Of = Of::Type(7);

pub const HISTORY: Shape = Shape::Array(&Shape::Object(&Members {
    known: &[("value", Shape::Any), ("timestamp", Shape::Scalar)],
    unknown: Unknown::Dropped,
}));

pub const RECORD: Shape = Shape::Object(&Members {
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
        ("archived", Shape::Scalar),
    ],
    unknown: Unknown::Dropped,
});

/// A list as the newer versions answer.
pub static LIST: Shape = Shape::Object(&Members {
    known: &[("results", Shape::Array(&RECORD)), ("paging", Shape::Any)],
    unknown: Unknown::Refused,
});

/// What comes out, and how many values were stripped.
pub fn whole(shape: &'static Shape, answer: &[u8]) -> Result<(Vec<u8>, u64), Violation> {
    let mut filter = Filter::new(shape, views(), SCRATCH_BYTES);
    let mut out = Vec::new();
    filter.push(answer, &mut out)?;
    filter.finish(&mut out)?;
    Ok((out, filter.stripped()))
}

/// The same for an answer that comes in pieces.
pub fn pieces<'a>(
    shape: &'static Shape,
    scratch_bytes: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, u64), Violation> {
    let mut filter = Filter::new(shape, views(), scratch_bytes);
    let mut out = Vec::new();
    for piece in pieces {
        filter.push(piece, &mut out)?;
    }
    filter.finish(&mut out)?;
    Ok((out, filter.stripped()))
}

/// That the filter does to an answer what the model does; what comes out.
pub fn like_the_model(shape: &'static Shape, answer: &[u8]) -> Result<(Vec<u8>, u64), Violation> {
    let filtered = whole(shape, answer);
    let expected = model::filtered(shape, &views(), answer);
    match (&filtered, &expected) {
        (Ok((out, stripped)), Ok(expected)) => {
            let tree = match out.is_empty() {
                true => None,
                false => Some(model::parsed(out).expect("what comes out is JSON")),
            };
            assert_eq!((&tree, stripped), (&expected.tree, &expected.stripped));
        }
        (Err(_), Err(_)) => {}
        (Err(violation), Ok(_)) => assert!(
            matches!(violation, Violation::TokenTooLong | Violation::TooManyMembers) && answer.len() > 4096
                || *violation == Violation::HeldTooLong && answer.len() > SCRATCH_BYTES,
            "the filter alone refuses: {violation}"
        ),
        (Ok(_), Err(violation)) => panic!("the model alone refuses: {violation}"),
    }
    filtered
}

/// Every string and name in a tree.
pub fn strings(tree: &Tree, all: &mut Vec<String>) {
    match tree {
        Tree::String(text) => all.push(text.text.clone()),
        Tree::Array(elements) => elements.iter().for_each(|element| strings(element, all)),
        Tree::Object(members) => members.iter().for_each(|(name, value)| {
            all.push(name.clone());
            strings(value, all);
        }),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
    }
}

/// Cases of one shape: what goes in, what comes out, how many values are stripped.
#[track_caller]
pub fn comes_out(shape: &'static Shape, cases: &[(&str, &str, u64)]) {
    for (answer, expected, stripped) in cases {
        let (out, count) = like_the_model(shape, answer.as_bytes())
            .unwrap_or_else(|violation| panic!("{answer}: {violation}"));
        assert_eq!(String::from_utf8_lossy(&out), *expected, "{answer}");
        assert_eq!(count, *stripped, "{answer}");
    }
}

/// That answers are refused, and why.
#[track_caller]
pub fn is_refused(shape: &'static Shape, violation: Violation, answers: &[&str]) {
    for answer in answers {
        let filtered = like_the_model(shape, answer.as_bytes());
        assert_eq!(filtered, Err(violation), "{answer}");
    }
}
