//! One decision for every spelling: a trick never gets a milder one than the plain call, and what goes
//! up is always the canonical form.

use std::collections::BTreeSet;

use crate::support::World;
use crate::wire::{Wire, get, post, request};

/// Sends each target over as few connections as the gate allows; returns status and verdict.
async fn ask(world: &World, wire: &mut Option<Wire>, bytes: &str) -> (u16, String) {
    loop {
        let fresh = wire.is_none();
        let open = match wire {
            Some(open) => open,
            None => wire.insert(Wire::open(world.gate).await),
        };
        let reply = if open.write(bytes).await {
            open.reply().await
        } else {
            None
        };
        match reply {
            Some(reply) => return (reply.status, reply.verdict()),
            None if fresh => panic!("no answer to {bytes:?}"),
            None => *wire = None,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_denied_call_is_decided_more_mildly_than_its_plain_one() {
    let world = World::plain().await;
    let key = world.key("reader");
    let mut wire = None;
    for (method, plain) in [
        ("GET", "/crm/v3/objects/deals/2001"),
        ("PATCH", "/crm/v3/objects/contacts/1001"),
        ("DELETE", "/crm/v3/objects/contacts/1001"),
        ("POST", "/crm/v3/objects/contacts/gdpr-delete"),
        ("GET", "/crm/v4/objects/contacts/1001/associations/deals"),
    ] {
        let call = |target: &str| request(method, target, &key, &["Content-Type: application/json"], "");
        let (status, verdict) = ask(&world, &mut wire, &call(plain)).await;
        assert!(
            ["deny", "refuse"].contains(&verdict.as_str()) && status >= 400,
            "{method} {plain}"
        );
        for spelling in spellings(plain) {
            let (status, verdict) = ask(&world, &mut wire, &call(&spelling)).await;
            assert!((400..404).contains(&status), "{method} {spelling}: {status}");
            assert!(
                ["deny", "refuse"].contains(&verdict.as_str()),
                "{method} {spelling}: {verdict}"
            );
        }
    }
    assert!(world.sim.received().is_empty(), "{:?}", world.sim.received());
}

/// Everything an attacker would try to write for `plain`.
fn spellings(plain: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let cut = |at: usize| (&plain[..at], &plain[at..]);
    for (at, byte) in plain.bytes().enumerate() {
        let (before, after) = (&plain[..at], &plain[at + 1..]);
        all.insert(format!("{before}%{byte:02x}{after}"));
        all.insert(format!("{before}%{byte:02X}{after}"));
        all.insert(format!("{before}%25{byte:02x}{after}"));
        all.insert(format!(
            "{before}{}{after}",
            char::from(byte.to_ascii_uppercase())
        ));
        if byte == b'/' {
            let inserted = [
                "//",
                "/./",
                "/../",
                "/%2e/",
                "/%2e%2e/",
                "/.%2e/",
                "/%2E./",
                "/x/../",
                "/x/%2e%2e/",
                "/..;/",
                "/;/",
                "/;a=b/",
                "\\",
                "/\\",
                "%5c",
                "%5C",
                "%2f",
                "%2F",
                "/%2f",
                "%c0%af",
                "%e0%80%af",
                "%252f",
                "/%20/",
                "/%00/",
                "%00/",
                "/%0d%0a/",
                "/%ef%bc%8f",
                "/%e2%80%8b",
                "/%09/",
                "/%7f/",
                "/%c2%85/",
                "/...//",
                "/crm/../",
                "/oauth/v1/../../",
            ];
            all.extend(inserted.iter().map(|trick| format!("{before}{trick}{after}")));
        }
    }
    for suffix in [
        "/",
        "//",
        "/.",
        "/..",
        "/%2e",
        ";",
        ";x=y",
        ".json",
        ".",
        "%20",
        "%00",
        "%0a",
        "%0d%0a",
        "%09",
        "?",
        "??",
        "?a=b",
        "#",
        "%23",
        "%3f",
        "%3Fa=b",
        "*",
        "~",
        "/*",
        "%",
        "%2",
        "%zz",
        "?%",
        "?a=%zz",
        "?a=%c3%28",
        "?\"",
        "/search",
        "/batch/read",
        "?_method=GET",
        "?x-http-method-override=GET",
    ] {
        all.insert(format!("{plain}{suffix}"));
    }
    for (from, to) in [
        ("v3", "V3"),
        ("v3", "v03"),
        ("v3", "v3.0"),
        ("v4", "V4"),
        ("crm", "CRM"),
        ("objects", "Objects"),
    ] {
        all.insert(plain.replacen(from, to, 1));
    }
    // Layouts in which the version stands elsewhere, and prefixes that proxies strip.
    let (_, rest) = cut("/crm/v3/objects".len());
    all.insert(format!("/crm/objects/v3{rest}"));
    all.insert(format!("/crm/objects/2026-03{rest}"));
    for prefix in [
        "/api",
        "/proxy",
        "/crm/v3/objects/contacts/1001/..",
        "/crm/v3/objects/contacts/..",
        "/.",
        "/;",
        "/%2e",
    ] {
        all.insert(format!("{prefix}{plain}"));
    }
    all.remove(plain);
    // A `#` or a blank ends the target for the parsers before ours: those have tests of their own.
    all.retain(|spelling| !spelling.contains(['#', ' ']));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_up_is_the_canonical_form_of_what_was_decided() {
    let world = World::plain().await;
    let key = world.key("reader");
    let table = [
        ("/crm/v3/objects/contacts/1001", "/crm/v3/objects/contacts/1001"),
        ("/crm/v3/objects/contacts/1001/", "/crm/v3/objects/contacts/1001"),
        ("/crm/v3/objects/contacts/1001?", "/crm/v3/objects/contacts/1001"),
        (
            "/crm/v3/objects/contacts/1001?&&",
            "/crm/v3/objects/contacts/1001",
        ),
        (
            "/%63rm/v3/objects/%63ontacts/%31001",
            "/crm/v3/objects/contacts/1001",
        ),
        (
            "/crm/v3/objects/contacts/a@b.test?idProperty=email",
            "/crm/v3/objects/contacts/a%40b.test?idProperty=email",
        ),
        (
            "/crm/v3/objects/contacts/a%40b.test?idProperty=email",
            "/crm/v3/objects/contacts/a%40b.test?idProperty=email",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&properties=a,b",
            "/crm/v3/objects/contacts?limit=1&properties=a%2Cb",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&properties=a%2cb",
            "/crm/v3/objects/contacts?limit=1&properties=a%2Cb",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&x=a+b",
            "/crm/v3/objects/contacts?limit=1&x=a%20b",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&x",
            "/crm/v3/objects/contacts?limit=1&x",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&x=",
            "/crm/v3/objects/contacts?limit=1&x=",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&x=a=b",
            "/crm/v3/objects/contacts?limit=1&x=a%3Db",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&x=%26y%3D1",
            "/crm/v3/objects/contacts?limit=1&x=%26y%3D1",
        ),
        (
            "/crm/v3/objects/contacts?%6Cimit=1",
            "/crm/v3/objects/contacts?limit=1",
        ),
        (
            "/crm/v3/objects/contacts?limit=1&x=/../?y",
            "/crm/v3/objects/contacts?limit=1&x=%2F..%2F%3Fy",
        ),
    ];
    let mut wire = Wire::open(world.gate).await;
    for (sent, expected) in table {
        world.sim.forget_received();
        let reply = wire.ask(get(sent, &key)).await;
        assert_eq!(reply.verdict(), "allow", "{sent}: {reply:?}");
        let received = world.sim.received();
        assert_eq!(
            (received.len(), received[0].target.as_str()),
            (1, expected),
            "{sent}"
        );
        assert_eq!(received[0].method, "GET");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_method_overrides_in_a_query_are_refused_in_every_spelling() {
    let world = World::plain().await;
    let key = world.key("writer");
    let mut wire = None;
    for name in [
        "hapikey",
        "HAPIKEY",
        "hapi_key",
        "hapi-key",
        "%68apikey",
        "hapike%79",
        "access_token",
        "accessToken",
        "access%5Ftoken",
        "refresh_token",
        "client_secret",
        "Authorization",
        "oauth_token",
        "api_key",
        "apikey",
        "bearer_token",
        "private_app_token",
        "_method",
        "Method",
        "X-HTTP-Method-Override",
        "x_http_method",
        "x-method-override",
        "http_method",
    ] {
        for query in [
            format!("{name}=x"),
            format!("limit=1&{name}=x"),
            name.to_owned(),
            format!("limit=1&{name}="),
        ] {
            let target = format!("/crm/v3/objects/contacts?{query}");
            let (status, verdict) = ask(&world, &mut wire, &get(&target, &key)).await;
            assert_eq!((status, verdict.as_str()), (400, "refuse"), "{target}");
            let body = r#"{"properties":{"email":"q@example.com"}}"#;
            let (status, verdict) = ask(&world, &mut wire, &post(&target, &key, body)).await;
            assert_eq!((status, verdict.as_str()), (400, "refuse"), "POST {target}");
        }
    }
    for doubled in [
        "archived",
        "idProperty",
        "objectType",
        "objectTypeId",
        "toObjectType",
        "q",
        "query",
    ] {
        for second in [
            doubled.to_owned(),
            doubled.to_ascii_uppercase(),
            format!("%{:02x}{}", doubled.as_bytes()[0], &doubled[1..]),
        ] {
            let target = format!("/crm/v3/objects/contacts?{doubled}=a&{second}=b");
            let (status, verdict) = ask(&world, &mut wire, &get(&target, &key)).await;
            assert_eq!((status, verdict.as_str()), (400, "refuse"), "{target}");
        }
    }
    let long = format!("/crm/v3/objects/contacts?x={}", "y".repeat(40_000));
    assert_eq!(
        ask(&world, &mut wire, &get(&long, &key)).await,
        (400, "refuse".to_owned())
    );
    let many = format!("/crm/v3/objects/contacts?{}", "a&".repeat(2_049));
    assert_eq!(
        ask(&world, &mut wire, &get(&many, &key)).await,
        (400, "refuse".to_owned())
    );
    assert!(world.sim.received().is_empty(), "{:?}", world.sim.received());
}
