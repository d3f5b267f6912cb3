//! What says itself whose it is: by the name of its property, or by its type.

use super::*;

static NAMED: Shape = Shape::Named {
    of: CONTACT,
    key: "name",
    item: &Members {
        known: &[("name", Shape::Scalar), ("label", Shape::Any)],
        unknown: Unknown::Dropped,
    },
};

#[test]
fn elements_that_name_a_hidden_property_are_removed_whole() {
    comes_out(
        &NAMED,
        &[
            ("[]", "[]", 0),
            (
                r#"[{"name":"email","label":"L","x":1},{"label":{"y":1},"name":"phone"},null]"#,
                r#"[{"name":"email","label":"L"},null]"#,
                2,
            ),
            (
                r#"[{"name":"phone"},{"label":[{"name":"phone"}],"name":"\u0045mail"}]"#,
                r#"[{"label":[{"name":"phone"}],"name":"\u0045mail"}]"#,
                1,
            ),
            (
                r#"[{"label":"name","\u006eame":"email"},{"name":"ssn","name":"email"}]"#,
                r#"[{"label":"name","\u006eame":"email"}]"#,
                1,
            ),
            (
                "[ { \"name\" : \"phone\" } , { \"name\" : \"email\" } ]",
                r#"[{"name":"email"}]"#,
                1,
            ),
            (r#"[{"name":"createdate"}]"#, r#"[{"name":"createdate"}]"#, 0),
        ],
    );
    is_refused(
        &NAMED,
        Violation::Unnamed,
        &[
            "[{}]",
            r#"[{"label":"email"}]"#,
            r#"[{"name":null}]"#,
            r#"[{"name":1}]"#,
            r#"[{"name":["email"]}]"#,
            r#"[{"name":{"name":"email"}}]"#,
            r#"[{"label":{"name":"email"}}]"#,
            r#"[{"Name":"email"}]"#,
            r#"[{"name":true,"name":"email"}]"#,
            r#"[{"name":null,"name":"phone"}]"#,
        ],
    );
    is_refused(
        &NAMED,
        Violation::DuplicateName,
        &[
            r#"[{"name":"email","name":"phone"}]"#,
            r#"[{"name":"email","label":1,"label":2}]"#,
        ],
    );
    is_refused(
        &NAMED,
        Violation::WrongKind,
        &["[1]", "[\"email\"]", "[[]]", "{}", r#"{"name":"email"}"#],
    );
}

#[test]
fn an_object_that_names_a_hidden_property_becomes_an_empty_one() {
    static SHAPE: Shape = Shape::Map(&Shape::NamedOne {
        of: CONTACT,
        key: "name",
        item: &Members {
            known: &[("name", Shape::Scalar)],
            unknown: Unknown::Dropped,
        },
    });
    comes_out(
        &SHAPE,
        &[(
            r#"{"1":{"x":1,"name":"email"},"2":{"x":"y","name":"phone"},"3":null}"#,
            r#"{"1":{"name":"email"},"2":{},"3":null}"#,
            2,
        )],
    );
    is_refused(&SHAPE, Violation::Unnamed, &[r#"{"1":{}}"#]);
    is_refused(&SHAPE, Violation::WrongKind, &[r#"{"1":[]}"#, r#"{"1":"email"}"#]);
}

#[test]
fn names_of_hidden_properties_are_removed_too() {
    static SHAPE: Shape = Shape::Object(&Members {
        known: &[("list", Shape::NameList(CONTACT)), ("one", Shape::Name(CONTACT))],
        unknown: Unknown::Dropped,
    });
    comes_out(
        &SHAPE,
        &[
            (
                r#"{"list":["phone","email","ssn","\u0065MAIL","phone",null]}"#,
                r#"{"list":["email","\u0065MAIL",null]}"#,
                3,
            ),
            (r#"{"list":["phone"]}"#, r#"{"list":[]}"#, 1),
            (r#"{"one":"phone"}"#, r#"{"one":null}"#, 1),
            (r#"{"one":"email"}"#, r#"{"one":"email"}"#, 0),
            (r#"{"one":null}"#, r#"{"one":null}"#, 0),
        ],
    );
    is_refused(
        &SHAPE,
        Violation::WrongKind,
        &[
            r#"{"list":"email"}"#,
            r#"{"list":[1]}"#,
            r#"{"list":[["email"]]}"#,
            r#"{"one":["email"]}"#,
            r#"{"one":1}"#,
        ],
    );
}

#[test]
fn a_schema_as_large_as_hubspot_lets_one_be_is_held() {
    let one = |bytes: usize| format!(r#"[{{"x":"{}","type":"contacts"}}]"#, "x".repeat(bytes));
    for (bytes, expected) in [
        (SCRATCH_BYTES + 1, Ok(())),
        (900_000, Ok(())),
        (SCRATCH_BYTES * 16 + 1, Err(Violation::HeldTooLong)),
    ] {
        let answer = one(bytes);
        for size in [1_000, 20_000, answer.len()] {
            let mut filter = Filter::new(&TYPED, views(), SCRATCH_BYTES);
            let mut out = Vec::new();
            let mut pushed = answer
                .as_bytes()
                .chunks(size)
                .map(|piece| filter.push(piece, &mut out));
            let refused = pushed.find_map(Result::err);
            assert_eq!(refused.map_or(Ok(()), Err), expected, "{bytes} {size}");
        }
    }
}

static TYPED: Shape = Shape::Array(&Shape::Typed {
    keys: &["type", "typeId"],
    members: &Members {
        known: &[
            ("type", Shape::Scalar),
            ("typeId", Shape::Scalar),
            (
                "properties",
                Shape::Properties {
                    of: Of::Own,
                    granted: false,
                    value: &Shape::Scalar,
                    bare: &Shape::Scalar,
                },
            ),
            ("url", Shape::IfAll(Of::Own, &Shape::Scalar, &Shape::Drop)),
            ("inner", TYPED_INNER),
        ],
        unknown: Unknown::Dropped,
    },
});
const TYPED_INNER: Shape = Shape::Typed {
    keys: &["type"],
    members: &Members {
        known: &[(
            "properties",
            Shape::Properties {
                of: Of::Own,
                granted: false,
                value: &Shape::Scalar,
                bare: &Shape::Scalar,
            },
        )],
        unknown: Unknown::Dropped,
    },
};

#[test]
fn an_object_says_its_own_type_wherever_that_stands() {
    comes_out(
        &TYPED,
        &[
            (
                r#"[{"properties":{"email":1,"name":2},"type":"contacts"},{"type":"COMPANIES","properties":{"email":1,"my_secret":2}}]"#,
                r#"[{"properties":{"email":1},"type":"contacts"},{"type":"COMPANIES","properties":{"email":1}}]"#,
                2,
            ),
            (
                r#"[{"url":"u","properties":{"x":1},"typeId":"0-3"}]"#,
                r#"[{"url":"u","properties":{"x":1},"typeId":"0-3"}]"#,
                0,
            ),
            (
                r#"[{"properties":{"x":1,"createdate":1},"type":"unheard"}]"#,
                r#"[{"properties":{"createdate":1},"type":"unheard"}]"#,
                1,
            ),
            // Spellings of two types: what both grant.
            (
                r#"[{"properties":{"email":1,"name":1},"type":"companies","typeId":"0-1"}]"#,
                r#"[{"properties":{"email":1},"type":"companies","typeId":"0-1"}]"#,
                1,
            ),
            (
                r#"[{"properties":{"email":1,"name":1},"type":null,"typeId":"0-1"}]"#,
                r#"[{"properties":{"email":1},"type":null,"typeId":"0-1"}]"#,
                1,
            ),
            // One within another, and back again.
            (
                r#"[{"inner":{"properties":{"x":1,"email":1},"type":"contacts"},"properties":{"x":1},"type":"deals"},null]"#,
                r#"[{"inner":{"properties":{"email":1}},"properties":{"x":1},"type":"deals"},null]"#,
                2,
            ),
        ],
    );
    is_refused(
        &TYPED,
        Violation::Unnamed,
        &[
            "[{}]",
            r#"[{"properties":{"type":"contacts"}}]"#,
            r#"[{"type":null}]"#,
            r#"[{"type":1,"typeId":"0-1"}]"#,
            r#"[{"Type":"contacts"}]"#,
            r#"[{"type":["contacts"]}]"#,
        ],
    );
    is_refused(
        &TYPED,
        Violation::DuplicateName,
        &[r#"[{"type":"deals","type":"contacts"}]"#],
    );
    is_refused(&TYPED, Violation::WrongKind, &["[[]]", "[1]"]);
}

#[test]
fn an_object_that_is_not_of_a_said_type_has_no_own() {
    static SHAPE: Shape = Shape::Properties {
        of: Of::Own,
        granted: false,
        value: &Shape::Any,
        bare: &Shape::Any,
    };
    comes_out(
        &SHAPE,
        &[(r#"{"email":1,"createdate":2}"#, r#"{"createdate":2}"#, 1)],
    );
    static OTHER: Shape = Shape::Properties {
        of: STRANGE,
        granted: false,
        value: &Shape::Any,
        bare: &Shape::Any,
    };
    comes_out(
        &OTHER,
        &[(r#"{"email":1,"createdate":2}"#, r#"{"createdate":2}"#, 1)],
    );
}
