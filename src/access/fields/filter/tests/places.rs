//! What stands in which place.

use super::*;

const OK: Option<Violation> = None;

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
fn a_text_that_clients_compare_is_kept_to_the_letter() {
    static SHAPE: Shape = Shape::Array(&Shape::TextUnless(&["slow down", "slow"], "-"));
    comes_out(
        &SHAPE,
        &[
            (r#"["slow down","slow",null]"#, r#"["slow down","slow",null]"#, 0),
            (
                r#"["slow down!","slo","Slow","","slow dow","slow  down"," slow"]"#,
                r#"["-","-","-","-","-","-","-"]"#,
                7,
            ),
            (
                r#"["\u0073low","slow\u0020down",1,true]"#,
                r#"["-","-","-","-"]"#,
                4,
            ),
        ],
    );
    is_refused(&SHAPE, Violation::WrongKind, &["[[]]", "[{}]"]);
    assert_eq!(whole(&SHAPE, b"[\"slow"), Err(Violation::Truncated));
}

#[test]
fn a_value_may_be_of_three_kinds_and_what_is_not_expected_is_dropped() {
    static SHAPE: Shape = Shape::Object(&Members {
        known: &[
            (
                "word",
                Shape::Kinds {
                    scalar: &Shape::Scalar,
                    object: &Shape::Drop,
                    array: &Shape::Drop,
                },
            ),
            (
                "object",
                Shape::Kinds {
                    scalar: &Shape::Drop,
                    object: &Shape::Map(&Shape::Scalar),
                    array: &Shape::Text("an array is no text"),
                },
            ),
        ],
        unknown: Unknown::Dropped,
    });
    comes_out(
        &SHAPE,
        &[
            (
                r#"{"word":"a","object":{"a":1}}"#,
                r#"{"word":"a","object":{"a":1}}"#,
                0,
            ),
            (r#"{"word":{"a":1},"object":"a"}"#, "{}", 2),
            (r#"{"word":[1],"object":null}"#, "{}", 2),
            (r#"{"word":null,"object":false}"#, r#"{"word":null}"#, 1),
        ],
    );
    is_refused(
        &SHAPE,
        Violation::WrongKind,
        &[r#"{"object":[]}"#, r#"{"object":{"a":[]}}"#],
    );
}

#[test]
fn a_name_that_must_be_granted_is_not_readable_because_it_always_is() {
    static SHAPE: Shape = Shape::Properties {
        of: CONTACT,
        granted: true,
        value: &Shape::Any,
        bare: &Shape::Any,
    };
    comes_out(
        &SHAPE,
        &[(r#"{"createdate":[1],"email":[2]}"#, r#"{"email":[2]}"#, 1)],
    );
}

#[test]
fn nothing_of_a_position_without_a_view_is_readable_even_where_nothing_is_bounded() {
    static SHAPE: Shape = Shape::Array(&Shape::Properties {
        of: CONTACT,
        granted: false,
        value: &Shape::Any,
        bare: &Shape::Any,
    });
    let answer = br#"[{"email":1,"createdate":2}]"#;
    let mut filter = Filter::new(&SHAPE, Views::default(), SCRATCH_BYTES);
    let mut out = Vec::new();
    filter.push(answer, &mut out).unwrap();
    assert_eq!(out, br#"[{"createdate":2}]"#);
    let expected = model::filtered(&SHAPE, &Views::default(), answer).unwrap();
    assert_eq!(model::parsed(&out).ok(), expected.tree);
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
