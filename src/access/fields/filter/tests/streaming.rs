//! Answers in pieces.

use super::*;

/// Answers with everything that a cut may go through.
const ANSWERS: [&str; 7] = [
    r#"{"results":[{"id":"1","properties":{"em\u0061il":"a\ud83d\ude00@b\\","ph\u006fne":"x\"1","createdate":null},"url":"u","x":[{"a":[true,-1.5e3]}]},{"id":12,"archived":false}],"total":3,"paging":{"n":"é€😀"}}"#,
    " { \"results\" : [ { \"zz\" : 1 , \"id\" : 2 , \"x\" : { \"a\" : 1 } , \"archived\" : true } , { } , null ] , \"paging\" : [ 1 , 2 ] } ",
    r#"{"results":[{"propertiesWithHistory":{"email":[{"value":[1,{"q":"\n"}],"timestamp":1,"s":"x"}],"phone":[{"value":1}]}}]}"#,
    r#"{"results":[{"id":1}],"paging":{"a":1,"a":2}}"#,
    r#"{"results":[{"id":01}]}"#,
    r#"{"results":[{"id":"\ud83d\n"}]}"#,
    r#"{"results":[{"properties":{"email":tru"#,
];

const HELD: [&str; 6] = [
    r#"[{"label":{"name":"x\"]}","y":["\\"]},"name":"email","z":12},{"z":"\\\"","n\u0061me":"ph\u006fne"},null,{"name":"createdate"}]"#,
    "[ { \"label\" : 1.5 , \"name\" : \"email\" } , { \"name\" : \"phone\" , \"label\" : [ ] } ]",
    r#"[{"name":"phone"},{"name":"email","label":"é€😀"}]"#,
    r#"[{"label":1,"name":nul"#,
    r#"[{"label":1,"name":12}]"#,
    r#"[{"label":1}]"#,
];

static NAMED: Shape = Shape::Named {
    of: CONTACT,
    key: "name",
    item: &Members {
        known: &[("name", Shape::Scalar), ("label", Shape::Any)],
        unknown: Unknown::Dropped,
    },
};

static TYPED: Shape = Shape::Array(&Shape::Typed {
    keys: &["name"],
    members: &Members {
        known: &[
            ("name", Shape::Scalar),
            ("label", Shape::IfAll(Of::Own, &Shape::Any, &Shape::Drop)),
        ],
        unknown: Unknown::Dropped,
    },
});

static WORDS: Shape = Shape::Array(&Shape::Kinds {
    scalar: &Shape::TextUnless(&["slow down", "slow"], "-"),
    object: &Shape::NamedOne {
        of: CONTACT,
        key: "name",
        item: &Members {
            known: &[("name", Shape::Name(CONTACT))],
            unknown: Unknown::Dropped,
        },
    },
    array: &Shape::NameList(CONTACT),
});

const WORDS_ANSWERS: [&str; 2] = [
    r#"["slow down","slow","slow d","slow down!","\u0073low",12.5,null,["email","phone","em\u0061il"],{"name":"phone"},{"x":1,"name":"email"}]"#,
    r#" [ "slow" , "slo" , [ "phone" , "email" ] , "slow downs" , true ] "#,
];

fn cases() -> impl Iterator<Item = (&'static Shape, &'static [u8])> {
    let lists = ANSWERS.iter().map(|answer| (&LIST, answer.as_bytes()));
    let held = HELD
        .iter()
        .flat_map(|answer| [(&NAMED, answer.as_bytes()), (&TYPED, answer.as_bytes())]);
    let words = WORDS_ANSWERS.iter().map(|answer| (&WORDS, answer.as_bytes()));
    lists.chain(held).chain(words)
}

#[test]
fn every_cut_gives_the_same() {
    for (shape, answer) in cases() {
        let expected = like_the_model(shape, answer);
        for first in 0..=answer.len() {
            let (one, two) = answer.split_at(first);
            let cut = pieces(shape, SCRATCH_BYTES, [one, two]);
            assert_eq!(cut, expected, "{first} {}", String::from_utf8_lossy(answer));
        }
        for size in 1..=17 {
            let cut = pieces(shape, SCRATCH_BYTES, answer.chunks(size));
            assert_eq!(cut, expected, "{size} {}", String::from_utf8_lossy(answer));
        }
        let with_empty = answer.chunks(3).flat_map(|piece| [piece, b""]);
        assert_eq!(pieces(shape, SCRATCH_BYTES, with_empty), expected);
    }
}

#[test]
fn three_pieces_are_no_different() {
    for (shape, answer) in cases() {
        let expected = whole(shape, answer);
        for first in 0..=answer.len() {
            for second in (first..=answer.len()).step_by(3) {
                let (one, rest) = answer.split_at(first);
                let (two, three) = rest.split_at(second - first);
                assert_eq!(
                    pieces(shape, SCRATCH_BYTES, [one, two, three]),
                    expected,
                    "{first} {second}"
                );
            }
        }
    }
}

#[test]
fn what_is_decided_comes_out_at_once() {
    let mut filter = Filter::new(&LIST, views(), SCRATCH_BYTES);
    let mut out = Vec::new();
    for (piece, expected) in [
        (
            r#"{"results":[{"properties":{"email":"abc"#,
            r#"{"results":[{"properties":{"email":"abc"#,
        ),
        ("def", r#"{"results":[{"properties":{"email":"abcdef"#),
        (
            r#"","phone":"x"#,
            r#"{"results":[{"properties":{"email":"abcdef""#,
        ),
        ("yz", r#"{"results":[{"properties":{"email":"abcdef""#),
        (r#""},"arch"#, r#"{"results":[{"properties":{"email":"abcdef"}"#),
        (
            r#"ived":false}"#,
            r#"{"results":[{"properties":{"email":"abcdef"},"archived":false}"#,
        ),
    ] {
        filter.push(piece.as_bytes(), &mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

#[test]
fn what_is_held_is_bounded_however_it_comes() {
    let text = |length: usize| format!(r#"[{{"label":"{}","name":"email"}}]"#, "x".repeat(length));
    // From the brace to the quote that ends the key's value.
    let held = |length: usize| length + r#"{"label":"","name":"email""#.len();
    let bound = 2000;
    for length in [100, 1000, 1900, 1970, 1974, 1975, 1976, 2100, 9000] {
        let answer = text(length);
        let expected = match held(length) <= bound {
            true => Ok((answer.clone().into_bytes(), 0)),
            false => Err(Violation::HeldTooLong),
        };
        for size in [1, 7, 64, 1000, 1999, 2000, 2001, 100_000] {
            let cut = pieces(&NAMED, bound, answer.as_bytes().chunks(size));
            assert_eq!(cut, expected, "{length} {size}");
        }
    }
}

#[test]
fn long_values_are_not_held() {
    let long = "é\\n".repeat(100_000);
    let answer = format!(r#"{{"results":[{{"id":"{long}","phone":"{long}"}}]}}"#);
    let expected = format!(r#"{{"results":[{{"id":"{long}"}}]}}"#);
    let mut filter = Filter::new(&LIST, views(), SCRATCH_BYTES);
    let mut out = Vec::new();
    for piece in answer.as_bytes().chunks(1001) {
        filter.push(piece, &mut out).unwrap();
        assert!(filter.rest.len() < 20, "{}", filter.rest.len());
    }
    filter.finish(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
