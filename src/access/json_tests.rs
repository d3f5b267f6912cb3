//! What strict JSON accepts, and what it refuses.

use proptest::prelude::*;

use super::*;

fn rebuilt(body: &str) -> Result<String, &'static str> {
    JudgedBody::parse(body.as_bytes())
        .map(|body| String::from_utf8(body.rebuild()).unwrap())
        .map_err(|refusal| refusal.cause)
}

#[test]
fn a_body_is_forwarded_as_it_was_read() {
    for (given, expected) in [
        (r#" { "a" : [ 1 , 2.50e+3 , -0 ] } "#, r#"{"a":[1,2.50e+3,-0]}"#),
        (
            r#"{"n":12345678901234567890.000}"#,
            r#"{"n":12345678901234567890.000}"#,
        ),
        (r#""\u0041\/\ud83d\ude00\n""#, "\"A/😀\\u000a\""),
        ("[]", "[]"),
        ("null", "null"),
    ] {
        assert_eq!(rebuilt(given).as_deref(), Ok(expected), "{given}");
    }
}

#[test]
fn what_parsers_disagree_on_is_refused() {
    let deep = format!("{}{}", "[".repeat(DEPTH + 1), "]".repeat(DEPTH + 1));
    for hostile in [
        "",
        " ",
        "{",
        "{}x",
        "{} {}",
        "{\"a\":1,}",
        "[1,]",
        "{'a':1}",
        "{a:1}",
        "01",
        "+1",
        ".5",
        "1.",
        "1e",
        "-",
        "NaN",
        "Infinity",
        "0x1",
        "nul",
        "truee",
        "\"\t\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u12\"",
        "\"",
        "/*c*/1",
        "1//c",
        "\u{feff}{}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"x\":{\"a\":1,\"a\":1}}",
        "\u{a0}1",
        deep.as_str(),
    ] {
        assert!(rebuilt(hostile).is_err(), "{hostile:?}");
    }
    for bytes in [&b"\"\xff\""[..], b"\"\xed\xa0\x80\"", b"\xff\xfe{\0}\0"] {
        assert!(JudgedBody::parse(bytes).is_err(), "{bytes:?}");
    }
}

#[test]
fn a_key_that_stands_twice_is_seen_wherever_and_among_however_many() {
    for count in [1, 2, FEW - 1, FEW, FEW + 1, FEW + 2, 100] {
        let keys: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        let object = |keys: &[String]| format!("{{{}}}", keys.join(","));
        assert!(rebuilt(&object(&keys)).is_ok(), "{count}");
        for at in 0..count {
            let doubled = object(&[&keys[..], &keys[at..=at]].concat());
            assert_eq!(rebuilt(&doubled), Err(DUPLICATE_KEY.cause), "{at} of {count}");
            let doubled = object(&[&keys[at..=at], &keys[..]].concat());
            assert_eq!(rebuilt(&doubled), Err(DUPLICATE_KEY.cause), "{at} of {count}");
        }
    }
}

#[test]
fn every_byte_of_a_string_is_judged_alike_wherever_it_stands() {
    for (byte, length) in (0..=0x7f_u8).flat_map(|byte| (0..20).map(move |length| (byte, length))) {
        for at in 0..=length {
            let mut text = "é".repeat(length);
            text.insert(at * 2, char::from(byte));
            let plain = !matches!(byte, b'"' | b'\\' | 0..=0x1f);
            assert_eq!(
                leading_plain(text.as_bytes()),
                if plain { text.len() } else { at * 2 }
            );
            let escaped = match byte {
                b'"' | b'\\' => format!("\\{}", char::from(byte)),
                0..=0x1f => format!("\\u{byte:04x}"),
                _ => char::from(byte).to_string(),
            };
            let body = format!("[\"{}\"]", text.replacen(char::from(byte), &escaped, 1));
            assert_eq!(rebuilt(&body).as_deref(), Ok(&body[..]));
            assert_eq!(
                rebuilt(&format!("[\"{text}\"]")).is_ok(),
                plain,
                "{byte:#x} at {at}"
            );
        }
    }
}

#[test]
fn size_is_bounded_in_depth_elements_and_keys() {
    let fits = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    assert!(rebuilt(&fits).is_ok());
    assert!(rebuilt(&format!("[{}1]", "1,".repeat(ELEMENTS))).is_err());
    assert!(rebuilt(&format!("{{\"{}\":1}}", "k".repeat(KEY_BYTES + 1))).is_err());
}

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(|n| Json::Number(n.to_string().into())),
        any::<String>().prop_map(|text| Json::String(text.into())),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| Json::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (key.into(), value))
                    .collect()
            )),
        ]
    })
}

#[test]
fn a_refusal_says_where_and_repeats_no_value() {
    let deep = format!("{{\"a\":[{}1{}]}}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let deepest = format!("/a{}", "/0".repeat(DEPTH - 1));
    for (body, expected) in [
        ("", "/"),
        ("{} {}", "/"),
        ("\u{feff}{}", "/"),
        (r#"{"inputs":[{"id":1},{"id":01}]}"#, "/inputs/1/id"),
        (r#"{"inputs":[{"id":1},{"id":1,"\u0069d":2}]}"#, "/inputs/1/id"),
        (r#"{"properties":{"salary@example.com":nul}}"#, "/properties/?"),
        (r#"{"a/b":{"c d":[1,]}}"#, "/?/?/1"),
        (&deep, &deepest),
    ] {
        let place = JudgedBody::parse(body.as_bytes()).unwrap_err().place;
        assert_eq!(place.as_ref().map(Place::as_str), Some(expected), "{body}");
    }
    assert_eq!(
        JudgedBody::parse(b"\xff")
            .unwrap_err()
            .place
            .as_ref()
            .map(Place::as_str),
        Some("/")
    );
}

proptest! {
    #[test]
    fn rebuilding_and_reading_again_gives_the_same_value(value in values()) {
        let bytes = JudgedBody { value: value.clone() }.rebuild();
        let read = JudgedBody::parse(&bytes).unwrap();
        prop_assert_eq!(&read.value, &value);
        prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
    }

    #[test]
    fn whatever_is_accepted_another_parser_accepts_too(text in "[\\[\\]{}\",:0-9eE+.\\\\u a-f\\-ntrl]{0,40}") {
        if JudgedBody::parse(text.as_bytes()).is_ok() {
            let other = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text);
            prop_assert!(other.is_ok());
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = JudgedBody::parse(&bytes);
    }
}
