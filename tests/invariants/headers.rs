//! Which header fields travel, in either direction, and who chooses the upstream's host.

use scopegate::sim::{Action, Canned, Fault, Matching};

use crate::support::World;
use crate::wire::{Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// All that may ever stand in a request of the gate's.
const UP: [&str; 9] = [
    "host",
    "authorization",
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "content-length",
    "transfer-encoding",
    "user-agent",
];

/// All that may ever stand in an answer of the upstream's as the gate passes it.
const DOWN: [&str; 20] = [
    "cache-control",
    "connection",
    "content-disposition",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "retry-after",
    "transfer-encoding",
    "vary",
    "x-hubspot-correlation-id",
    "x-hubspot-ratelimit-daily",
    "x-hubspot-ratelimit-interval-milliseconds",
    "x-scopegate-connection",
    "x-scopegate-decision",
    "x-scopegate-source",
    "x-should-retry",
];

#[tokio::test(flavor = "multi_thread")]
async fn forwarding_override_cookie_credential_and_hop_by_hop_fields_never_go_up() {
    let world = World::plain().await;
    let key = world.key("writer");
    let names = [
        "Cookie",
        "Cookie2",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Prefix",
        "Forwarded",
        "Via",
        "X-Real-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Original-Host",
        "X-Host",
        "X-HTTP-Host-Override",
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "Proxy-Authorization",
        "Proxy-Connection",
        "X-Api-Key",
        "X-Authorization",
        "X-HubSpot-Token",
        "HapiKey",
        "X-Hubspot-Anything",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Range",
        "If-Range",
        "If-None-Match",
        "If-Match",
        "If-Modified-Since",
        "Referer",
        "Origin",
        "DNT",
        "Traceparent",
        "Tracestate",
        "Baggage",
        "X-Request-Id",
        "X-B3-TraceId",
        "Sec-Fetch-Mode",
        "X-Stainless-Lang",
        "Max-Forwards",
        "Upgrade-Insecure-Requests",
        "Accept-Charset",
        "X_Forwarded_For",
        "Content-MD5",
        "Content-Length-X",
        "Digest",
        "Signature",
    ];
    let marked: Vec<String> = names
        .iter()
        .map(|name| format!("{name}: canary-{name}"))
        .collect();
    let mut lines: Vec<&str> = marked.iter().map(String::as_str).collect();
    lines.extend([
        "Connection: authorization, host, x-forwarded-for, keep-alive",
        "User-Agent: canary-agent",
    ]);
    lines.push("Accept-Encoding: br, gzip;q=0.1, canary-coding");
    let body = r#"{"properties":{"email":"headers@example.com"}}"#;
    let mut wire = Wire::open(world.gate).await;
    for (bytes, status) in [
        (request("GET", GOOD, &key, &lines, ""), 200),
        (
            request("POST", "/crm/v3/objects/contacts", &key, &lines, body),
            201,
        ),
    ] {
        let reply = wire.ask(bytes).await;
        assert_eq!(reply.status, status, "{reply:?}");
    }
    let received = world.sim.received();
    assert_eq!(received.len(), 2);
    for received in received {
        for name in received.headers.keys() {
            assert!(UP.contains(&name.as_str()), "{name} went up");
        }
        let text = format!("{received:?}");
        assert!(!text.contains("canary") && !text.contains(&key), "{text}");
        assert_eq!(
            received.header("authorization"),
            Some(&*format!("Bearer {}", world.upstream_token))
        );
        assert_eq!(received.header("host"), world.sim_origin.strip_prefix("http://"));
        assert_eq!(received.header("accept-encoding"), Some("identity"));
        assert_eq!(received.headers.get_all("authorization").iter().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_request_chooses_the_upstream_and_no_redirect_is_followed_or_passed_on() {
    let world = World::plain().await;
    let key = world.key("reader");
    let mut wire = Wire::open(world.gate).await;
    for host in [
        "api.hubapi.com",
        "evil.example",
        "127.0.0.1:1",
        "[::1]:1",
        "localhost",
    ] {
        let bytes = format!("GET {GOOD} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
        assert_eq!(wire.ask(bytes).await.status, 200, "{host}");
    }
    let own = world.sim_origin.strip_prefix("http://");
    for received in world.sim.received() {
        let seen = (received.method.as_str(), received.target.as_str());
        assert_eq!(received.header("host"), own, "{seen:?}");
    }
    world.sim.forget_received();

    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/steal", trap.local_addr().unwrap());
    let mut asked = 0;
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        for location in [
            elsewhere.clone(),
            format!("{}{GOOD}", world.sim_origin),
            GOOD.to_owned(),
        ] {
            let canned = Canned::new(status, "")
                .header("location", &location)
                .header("refresh", "0; url=/");
            world
                .sim
                .fault(Fault::once(Matching::any(), Action::Answer(canned)));
            let reply = wire.ask(get(GOOD, &key)).await;
            asked += 1;
            assert_eq!(
                (reply.status, reply.sub_category().as_str()),
                (502, "scopegate.upstream"),
                "{status} {reply:?}"
            );
            assert!(reply.header("location").is_none() && reply.header("refresh").is_none());
            assert!(!reply.text().contains(&location));
        }
    }
    assert_eq!(
        world.sim.received().len(),
        asked,
        "each was asked once, and no redirect was followed"
    );
    assert!(trap.accept().is_err(), "somebody followed a redirect elsewhere");
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_answer_only_listed_fields_come_down_and_interim_answers_do_not() {
    let world = World::plain().await;
    let key = world.key("writer");
    let extra = [
        ("set-cookie", "a=b"),
        ("server", "x"),
        ("via", "1.1 x"),
        ("alt-svc", "h2=\":1\""),
        ("link", "<x>; rel=next"),
        ("x-scopegate-decision", "allow; id=forged"),
        ("x-scopegate-source", "gate"),
        ("x-scopegate-stripped", "0"),
        ("access-control-allow-origin", "*"),
        ("strict-transport-security", "max-age=1"),
        ("x-powered-by", "x"),
        ("www-authenticate", "Bearer"),
        ("proxy-authenticate", "x"),
        ("content-location", "/x"),
        ("location", "/x"),
        ("x-hubspot-notfound", "true"),
        ("report-to", "{}"),
        ("trailer", "x"),
        ("upgrade", "h2c"),
        ("keep-alive", "x"),
        ("accept-ranges", "bytes"),
        ("content-range", "bytes 0-1/2"),
        ("authorization", "Bearer x"),
    ];
    let pairs = extra
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    world
        .sim
        .fault(Fault::once(Matching::any(), Action::AddHeaders(pairs)));
    let mut wire = Wire::open(world.gate).await;
    let reply = wire.ask(get(GOOD, &key)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    for name in reply
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.to_ascii_lowercase())
    {
        let known = DOWN.contains(&name.as_str()) || name.starts_with("x-hubspot-ratelimit-");
        assert!(known, "{name} came down: {reply:?}");
    }
    assert!(
        reply
            .header("x-scopegate-decision")
            .unwrap()
            .starts_with("allow; id=")
    );
    assert!(!reply.head.contains("forged") && reply.header("x-scopegate-source") == Some("upstream"));

    let early = "HTTP/1.1 103 Early Hints\r\nLink: </canary>; rel=preload\r\nX-Canary: 1\r\n\r\n";
    let after = "HTTP/1.1 200 canary reason\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    for interim in [
        early,
        "HTTP/1.1 100 Continue\r\nX-Canary: 1\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
    ] {
        let raw = Action::Raw(format!("{interim}{after}").into());
        world.sim.fault(Fault::once(Matching::any(), raw));
        let reply = wire.ask(get(GOOD, &key)).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{reply:?}");
        assert!(!reply.head.to_lowercase().contains("canary"), "{reply:?}");
    }
    world
        .sim
        .fault(Fault::once(Matching::any(), Action::SwitchProtocols));
    let reply = wire.ask(get(GOOD, &key)).await;
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (502, "scopegate.upstream"),
        "{reply:?}"
    );
    assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_for_100_continue_gets_it_only_when_its_body_is_wanted() {
    let world = World::plain().await;
    let (writer, reader) = (world.key("writer"), world.key("reader"));
    let body = r#"{"properties":{"email":"expect@example.com"}}"#;
    let bytes = |key: &str| {
        post("/crm/v3/objects/contacts", key, body).replace("Host:", "Expect: 100-continue\r\nHost:")
    };
    let head = |key: &str| bytes(key).strip_suffix(body).unwrap().to_owned();
    let mut wire = Wire::open(world.gate).await;
    assert_eq!(wire.ask(head(&writer)).await.status, 100);
    assert_eq!(wire.ask(body).await.status, 201);

    // A wrong key is refused without the body being asked for; what follows is never half a body.
    let mut wire = Wire::open(world.gate).await;
    let refused = wire.ask(head("sg_l_wrong")).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    assert!(
        refused.header("connection") == Some("close") || !wire.write(body).await || wire.has_ended().await
    );
    let mut wire = Wire::open(world.gate).await;
    wire.write(format!(
        "{}{}",
        bytes(&reader),
        get("/crm/v3/objects/contacts/1002", &reader)
    ))
    .await;
    let mut replies = Vec::new();
    while let Some(reply) = wire.reply().await {
        replies.push(reply.status);
        if reply.status == 200 {
            break;
        }
    }
    assert!(
        [&[403][..], &[100, 403], &[403, 200], &[100, 403, 200]].contains(&replies.as_slice()),
        "{replies:?}"
    );
}
