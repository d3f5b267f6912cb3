//! Hostile and harmless targets.

use proptest::prelude::*;

use super::*;

fn canonical(target: &str) -> Result<String, &'static str> {
    Target::parse("GET", target)
        .map(|target| target.path_and_query())
        .map_err(|refusal| refusal.reason.as_str())
}

#[test]
fn spellings_of_one_target_have_one_canonical_form() {
    for (given, expected) in [
        ("/crm/v3/objects/contacts", "/crm/v3/objects/contacts"),
        ("/crm/v3/objects/contacts/", "/crm/v3/objects/contacts"),
        ("/crm/v3/objects/%63ontacts", "/crm/v3/objects/contacts"),
        (
            "/crm/v3/objects/contacts/a%40x.io",
            "/crm/v3/objects/contacts/a%40x.io",
        ),
        (
            "/crm/v3/objects/contacts/a@x.io",
            "/crm/v3/objects/contacts/a%40x.io",
        ),
        ("/a/b+c", "/a/b%2Bc"),
        ("/a/%C3%A9t%c3%a9", "/a/%C3%A9t%C3%A9"),
        ("/", "/"),
        ("/a?", "/a"),
        ("/a/?limit=1", "/a?limit=1"),
    ] {
        assert_eq!(canonical(given).as_deref(), Ok(expected), "{given}");
    }
}

#[test]
fn what_two_parsers_may_read_differently_is_refused() {
    for hostile in [
        "",
        "*",
        "crm/v3",
        "http://api.hubapi.com/crm",
        "https://evil/",
        "//crm/v3",
        "//evil.com/crm",
        "/crm//v3",
        "/crm/v3//",
        "//",
        "/crm/./v3",
        "/crm/../v3",
        "/crm/..",
        "/crm/.",
        "/crm/%2e%2e/v3",
        "/crm/%2E/v3",
        "/crm/.%2e/v3",
        "/crm%2fv3",
        "/crm%2Fv3",
        "/crm%5cv3",
        "/crm\\v3",
        "/crm/v3;x=1",
        "/crm/v3%3bx",
        "/crm/%252e%252e/v3",
        "/crm/%2525",
        "/crm/%",
        "/crm/%2",
        "/crm/%zz",
        "/crm/%+1",
        "/crm/%00",
        "/crm/%0d%0a",
        "/crm/\u{7f}",
        "/crm/%7f",
        "/crm/ v3",
        "/crm/\tv3",
        "/crm/v3#x",
        "/crm/v3%23",
        "/crm/v3%3Fx",
        "/crm/é",
        "/crm/%ff",
        "/crm/%c0%af",
        "/crm/%c0%ae",
        "/crm/%ed%a0%80",
        "/crm/%c2%85",
        "/crm/{id}",
        "/crm/<x>",
        "/crm/\"x\"",
        "/crm/a|b",
        "/crm/a^b",
        "/crm/a`b",
        "/crm/%e0%80%af",
    ] {
        assert_eq!(canonical(hostile), Err("refused_path"), "{hostile:?}");
    }
}

#[test]
fn a_trailing_slash_in_the_base_url_is_explained() {
    let refusal = Target::parse("GET", "//crm/v3/objects/contacts").unwrap_err();
    assert!(refusal.remedy.contains("base URL"));
}

#[test]
fn only_the_five_methods_pass_in_capitals() {
    for method in [
        "get", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "", "GET ", "GET\r\n",
    ] {
        let refusal = Target::parse(method, "/crm").unwrap_err();
        assert_eq!(refusal.reason, Reason::RefusedMethod, "{method:?}");
    }
}

#[test]
fn length_and_segments_are_bounded() {
    let long = format!("/crm?q={}", "a".repeat(TARGET_BYTES));
    assert_eq!(canonical(&long), Err("refused_path"));
    // What must be escaped is three bytes as it goes up.
    let fits = (TARGET_BYTES - 1) / 3;
    for escaped in ["&", "+"] {
        let longest = canonical(&format!("/{}", escaped.repeat(fits))).unwrap();
        assert_eq!(longest.len(), 1 + 3 * fits);
        assert_eq!(canonical(&longest), Ok(longest.clone()));
        let longer = format!("/{}", escaped.repeat(fits + 1));
        assert_eq!(canonical(&longer), Err("refused_path"));
    }
    assert_eq!(canonical(&"/a".repeat(SEGMENTS + 1)), Err("refused_path"));
    assert_eq!(canonical(&"/a".repeat(SEGMENTS)).unwrap().len(), 2 * SEGMENTS);
}

proptest! {
    #[test]
    fn canonicalising_twice_is_canonicalising_once(target in "/[a-zA-Z0-9%./@+?&=; é{}-]{0,60}") {
        if let Ok(once) = canonical(&target) {
            prop_assert_eq!(canonical(&once), Ok(once.clone()));
        }
    }

    #[test]
    fn an_accepted_target_means_the_same_as_its_rebuilt_form(
        segments in prop::collection::vec("[^/\\\\%?#;\\p{Cc}]{1,12}", 1..6),
        values in prop::collection::vec("\\PC{0,12}", 0..4),
    ) {
        let mut target = String::new();
        for segment in &segments {
            target.push('/');
            encode_into(&mut target, segment);
        }
        for (index, value) in values.iter().enumerate() {
            target.push(if index == 0 { '?' } else { '&' });
            target.push_str("k=");
            encode_into(&mut target, value);
        }
        match Target::parse("GET", &target) {
            Err(_) => prop_assert!(segments.iter().any(|s| s == "." || s == "..")),
            Ok(parsed) => {
                prop_assert_eq!(parsed.segments().collect::<Vec<_>>(), segments);
                prop_assert_eq!(parsed.query().all("k").collect::<Vec<_>>(), values);
                prop_assert_eq!(Target::parse("GET", &parsed.path_and_query()).unwrap(), parsed);
            }
        }
    }

    #[test]
    fn no_bytes_at_all_make_the_parser_panic(target in "\\PC*", method in "\\PC{0,8}") {
        let _ = Target::parse(&method, &target);
        let _ = Target::parse("POST", &format!("/{target}"));
    }
}

#[test]
fn a_target_that_holds_a_key_of_the_gate_is_refused_wherever_it_stands() {
    let key = "sg_l_vso8EmzYk4j1_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF1_0PPX3R";
    let reason = |target: String| {
        let target = Target::parse("GET", &target).unwrap();
        target.check_holds_no_key().err().map(|refusal| refusal.reason)
    };
    for path in [
        "/oauth/access-tokens/v1/",
        "/oauth/v1/refresh-tokens/",
        "/oauth/refresh-tokens/v1/",
        "/oauth/access-tokens/2026-03/",
        "/crm/v3/objects/contacts/",
    ] {
        assert_eq!(
            reason(format!("{path}{key}")),
            Some(Reason::RefusedPath),
            "{path}"
        );
        assert_eq!(
            reason(format!("{path}{key}~acme/x")),
            Some(Reason::RefusedPath),
            "{path}"
        );
    }
    let encoded = key.replace('_', "%5F");
    assert_eq!(
        reason(format!("/oauth/v1/refresh-tokens/{encoded}")),
        Some(Reason::RefusedPath)
    );
    for query in ["token=", "after=1&x=a%2C", ""] {
        let found = reason(format!("/oauth/token/2026-03?{query}{key}"));
        assert_eq!(found, Some(Reason::RefusedQuery), "{query}");
    }
    assert_eq!(
        reason("/crm/v3/objects/contacts/sg_l_1?q=sg_l_vso8EmzYk4j1".to_owned()),
        None
    );
}

#[test]
fn text_is_encoded_byte_by_byte_wherever_what_is_plain_begins_and_ends() {
    let pieces = ["", "a", "x_y-9.~", "%", " ", "é", "€€", "/", "\u{10ffff}"];
    let count = pieces.len();
    for at in 0..count * count * count {
        let text = [
            pieces[at % count],
            pieces[at / count % count],
            pieces[at / count / count],
        ]
        .concat();
        let expected: String = text
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect();
        let mut encoded = "before".to_owned();
        encode_into(&mut encoded, &text);
        assert_eq!(encoded, format!("before{expected}"), "{text:?}");
    }
}
