//! What stands in which place.

use super::*;

const OK: Option<Violation> = None;

/// Cases of one shape: what goes in, what comes out, how many values are stripped.
#[track_caller]
fn comes_out(shape: &'static Shape, cases: &[(&str, &str, u64)]) {
    for (answer, expected, stripped) in cases {
        let (out, count) = like_the_model(shape, answer.as_bytes())
            .unwrap_or_else(|violation| panic!("{answer}: {violation}"));
        assert_eq!(String::from_utf8_lossy(&out), *expected, "{answer}");
        assert_eq!(count, *stripped, "{answer}");
    }
}

#[track_caller]
fn is_refused(shape: &'static Shape, violation: Violation, answers: &[&str]) {
    for answer in answers {
        let filtered = like_the_model(shape, answer.as_bytes());
        assert_eq!(filtered, Err(violation), "{answer}");
    }
}

#[test]
fn a_list_of_records_keeps_what_is_granted() {
    comes_out(
        &LIST,
        &[
            (
                r#"{"results":[{"id":"1","properties":{"email":"a@b","phone":"1","createdate":"x","ssn":null},"url":"u","secret":{"email":"x"}}],"paging":{"next":{"after":"2"}}}"#,
                r#"{"results":[{"id":"1","properties":{"email":"a@b","createdate":"x"}}],"paging":{"next":{"after":"2"}}}"#,
                4,
            ),
            (
                r#"{"results":[{"properties":{"phone":"1"}},{"properties":{"Email":"a","phone":"1"},"archived":false}]}"#,
                r#"{"results":[{"properties":{}},{"properties":{"Email":"a"},"archived":false}]}"#,
                2,
            ),
            (r#"{"total":5,"results":[]}"#, r#"{"results":[]}"#, 1),
            (
                "{ \"results\" : [ { \"phone\" : 1 , \"id\" : 2 , \"x\" : [ 1 , { } ] , \"archived\" : true } , { } ] }\n",
                r#"{"results":[{"id":2,"archived":true},{}]}"#,
                2,
            ),
            ("null", "null", 0),
            (" null ", "null", 0),
            (
                r#"{"results":null,"paging":null}"#,
                r#"{"results":null,"paging":null}"#,
                0,
            ),
            (
                r#"{"results":[null,{"properties":null}]}"#,
                r#"{"results":[null,{"properties":null}]}"#,
                0,
            ),
        ],
    );
    is_refused(
        &LIST,
        Violation::WrongKind,
        &[
            "[]",
            "1",
            "\"x\"",
            "true",
            r#"{"results":{}}"#,
            r#"{"results":[[]]}"#,
            r#"{"results":[1]}"#,
            r#"{"results":[{"properties":[]}]}"#,
            r#"{"results":[{"properties":{"email":{"value":1}}}]}"#,
            r#"{"results":[{"id":[1]}]}"#,
        ],
    );
    is_refused(
        &LIST,
        Violation::UnknownContainer,
        &[r#"{"contacts":[]}"#, r#"{"Results":{}}"#],
    );
}

#[test]
fn an_answer_without_a_body_stays_empty() {
    assert_eq!(like_the_model(&LIST, b""), Ok((Vec::new(), 0)));
    for space in [" ", "\n", "\r\n\t"] {
        assert!(like_the_model(&LIST, space.as_bytes()).is_err(), "{space:?}");
    }
}

#[test]
fn a_history_needs_its_property_granted() {
    static SHAPE: Shape = RECORD;
    comes_out(
        &SHAPE,
        &[(
            r#"{"propertiesWithHistory":{"email":[{"value":"a","timestamp":1,"sourceId":"s"}],"phone":[{"value":1}],"createdate":[{"value":1}]}}"#,
            r#"{"propertiesWithHistory":{"email":[{"value":"a","timestamp":1}]}}"#,
            3,
        )],
    );
    static VERSIONS: Shape = Shape::Properties {
        of: CONTACT,
        granted: false,
        value: &Shape::Any,
        bare: &Shape::Object(&Members {
            known: &[("value", Shape::Scalar)],
            unknown: Unknown::Dropped,
        }),
    };
    comes_out(
        &VERSIONS,
        &[(
            r#"{"createdate":{"value":"1","versions":[{"value":"0"}]},"email":{"value":"1","versions":[{}]},"x":{"value":1}}"#,
            r#"{"createdate":{"value":"1"},"email":{"value":"1","versions":[{}]}}"#,
            2,
        )],
    );
}

#[test]
fn any_value_is_kept_but_must_be_json_with_each_name_once() {
    static SHAPE: Shape = Shape::Any;
    comes_out(
        &SHAPE,
        &[
            (
                "[1,-0.5e+3,true,false,null,\"\",{},[[]]]",
                "[1,-0.5e+3,true,false,null,\"\",{},[[]]]",
                0,
            ),
            (
                r#"{"a":{"b":[{"c":1}]},"b":"\ud83d\ude00"}"#,
                r#"{"a":{"b":[{"c":1}]},"b":"\ud83d\ude00"}"#,
                0,
            ),
            ("\t[ 1 ,\r\n2 ]", "[1,2]", 0),
            ("0", "0", 0),
        ],
    );
    is_refused(
        &SHAPE,
        Violation::DuplicateName,
        &[
            r#"{"a":1,"a":2}"#,
            r#"[{"x":{"a":1,"b":2,"a":3}}]"#,
            r#"{"email":1,"\u0065mail":2}"#,
            r#"{"":1,"":2}"#,
        ],
    );
    is_refused(
        &SHAPE,
        Violation::NotJson,
        &[
            "[1,]",
            "[,1]",
            "[1 2]",
            "{,}",
            r#"{"a":1,}"#,
            r#"{"a"}"#,
            r#"{"a" 1}"#,
            r#"{"a",1}"#,
            "{a:1}",
            "{1:1}",
            "[}",
            "{]",
            "[1]]",
            "1 2",
            "[1][2]",
            "nul1",
            "tru ",
            "'a'",
            "\"\n\"",
            "[01]",
            "[1.]",
            "[.5]",
            "\u{feff}[]",
            "[\u{feff}]",
            "[\"\\x\"]",
            "[\"\\ud800\"]",
            "]",
            ",",
            ":",
            "\u{a0}1",
            "[1]\0",
            "/**/1",
            "[1\u{b}]",
        ],
    );
    for cut in [
        "[",
        "{",
        "[1",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "\"",
        "\"\\",
        "\"\\ud83d\\ud",
        "tr",
        "[1,",
    ] {
        assert!(like_the_model(&SHAPE, cut.as_bytes()).is_err(), "{cut}");
        assert_eq!(whole(&SHAPE, cut.as_bytes()), Err(Violation::Truncated), "{cut}");
    }
}

#[test]
fn a_scalar_is_no_container() {
    static SHAPE: Shape = Shape::Scalar;
    comes_out(
        &SHAPE,
        &[
            ("1", "1", 0),
            ("\"a\"", "\"a\"", 0),
            ("false", "false", 0),
            ("null", "null", 0),
        ],
    );
    is_refused(&SHAPE, Violation::WrongKind, &["{}", "[]", "[1]"]);
}

#[test]
fn what_is_dropped_takes_its_comma_with_it() {
    static SHAPE: Shape = Shape::Object(&Members {
        known: &[
            ("a", Shape::Any),
            ("b", Shape::Any),
            ("x", Shape::Drop),
            ("y", Shape::Array(&Shape::Drop)),
            ("z", Shape::Map(&Shape::Drop)),
        ],
        unknown: Unknown::Dropped,
    });
    comes_out(
        &SHAPE,
        &[
            (r#"{"x":1}"#, "{}", 1),
            (r#"{"x":1,"a":1}"#, r#"{"a":1}"#, 1),
            (r#"{"a":1,"x":1}"#, r#"{"a":1}"#, 1),
            (r#"{"a":1,"x":1,"b":2}"#, r#"{"a":1,"b":2}"#, 1),
            (
                r#"{"x":[{"x":{}}],"q":"\\\"","w":[[]],"a":1,"e":1e5}"#,
                r#"{"a":1}"#,
                4,
            ),
            (r#"{"x":null}"#, "{}", 1),
            (r#"{"y":[1,{},null]}"#, r#"{"y":[]}"#, 3),
            (r#"{"z":{"1":1,"2":null},"b":1}"#, r#"{"z":{},"b":1}"#, 2),
            (r#"{"x":{"a":1,"a":2}}"#, "{}", 1),
            (r#"{"A":1,"\u0061":2,"x\u0000":3}"#, r#"{"\u0061":2}"#, 2),
        ],
    );
    is_refused(
        &SHAPE,
        Violation::DuplicateName,
        &[
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":1,"x":1}"#,
            r#"{"unknown":1,"unknown":1}"#,
            r#"{"z":{"1":1,"1":2}}"#,
        ],
    );
    is_refused(
        &SHAPE,
        Violation::NotJson,
        &[
            r#"{"x":[1,]}"#,
            r#"{"x":{"a"}}"#,
            r#"{"x":"\x"}"#,
            r#"{"x":{1}}"#,
            r#"{"x":01}"#,
        ],
    );
    static ALL: Shape = Shape::Drop;
    comes_out(
        &ALL,
        &[
            (r#"{"a":[1,"b"]}"#, "null", 1),
            ("1", "null", 1),
            ("null", "null", 1),
        ],
    );
}

#[test]
fn a_text_is_replaced_by_ours() {
    static SHAPE: Shape = Shape::Object(&Members {
        known: &[
            ("m", Shape::Text("hidden")),
            ("t", Shape::Array(&Shape::Text("-"))),
        ],
        unknown: Unknown::Refused,
    });
    comes_out(
        &SHAPE,
        &[
            (r#"{"m":"Contact with ssn 1 \"exists\""}"#, r#"{"m":"hidden"}"#, 1),
            (r#"{"m":null}"#, r#"{"m":null}"#, 0),
            (
                r#"{"x":1,"m":"","t":["a","b",null]}"#,
                r#"{"m":"hidden","t":["-","-",null]}"#,
                4,
            ),
            (r#"{ "x" : 1 , "m" : "" }"#, r#"{"m":"hidden"}"#, 2),
        ],
    );
    is_refused(
        &SHAPE,
        Violation::WrongKind,
        &[r#"{"m":1}"#, r#"{"m":{}}"#, r#"{"m":["a"]}"#, r#"{"m":true}"#],
    );
    static TOP: Shape = Shape::Text("ours");
    comes_out(&TOP, &[(" \"theirs\" ", "\"ours\"", 1)]);
}

#[test]
fn a_value_may_be_an_object_here_and_an_array_there() {
    static SHAPE: Shape = Shape::Object(&Members {
        known: &[(
            "e",
            Shape::Either {
                object: &Shape::Drop,
                array: &Shape::Any,
            },
        )],
        unknown: Unknown::Refused,
    });
    comes_out(
        &SHAPE,
        &[
            (r#"{"e":{"a":1}}"#, "{}", 1),
            (r#"{"e":[1]}"#, r#"{"e":[1]}"#, 0),
            (r#"{"e":null}"#, r#"{"e":null}"#, 0),
        ],
    );
    is_refused(&SHAPE, Violation::WrongKind, &[r#"{"e":1}"#, r#"{"e":"x"}"#]);
}

#[test]
fn what_says_more_than_properties_needs_all_of_them() {
    static SHAPE: Shape = Shape::Object(&Members {
        known: &[
            ("contact", Shape::IfAll(CONTACT, &Shape::Any, &Shape::Drop)),
            ("deal", Shape::IfAll(DEAL, &Shape::Any, &Shape::Drop)),
            ("own", Shape::IfAll(Of::Own, &Shape::Any, &Shape::Text("-"))),
            ("strange", Shape::IfAll(STRANGE, &Shape::Any, &Shape::Text("-"))),
        ],
        unknown: Unknown::Refused,
    });
    comes_out(
        &SHAPE,
        &[(
            r#"{"contact":1,"deal":{"x":1},"own":"x","strange":"x"}"#,
            r#"{"deal":{"x":1},"own":"-","strange":"-"}"#,
            3,
        )],
    );
}

static DEFINITIONS: Shape = Shape::Array(&Shape::Any);
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
    assert!(whole(&DEFINITIONS, b"[{\"name\":\"phone\"}]").is_ok());
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

#[test]
fn a_violation_lasts() {
    let mut filter = Filter::new(&LIST, views(), SCRATCH_BYTES);
    let mut out = Vec::new();
    assert_eq!(filter.push(b"[", &mut out).err(), Some(Violation::WrongKind));
    assert_eq!(filter.push(b"", &mut out).err(), Some(Violation::WrongKind));
    assert_eq!(filter.push(b"{}", &mut out).err(), Some(Violation::WrongKind));
    assert_eq!(filter.finish(&mut out).err(), Some(Violation::WrongKind));
    assert_eq!(out, b"");
    let mut filter = Filter::new(&LIST, views(), SCRATCH_BYTES);
    assert_eq!(filter.push(b"{}", &mut out).err(), OK);
    assert_eq!(filter.finish(&mut out).err(), OK);
}
