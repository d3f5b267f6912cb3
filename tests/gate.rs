//! The gate as integrations meet it: what passes, what does not, and what they are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use scopegate::sim::SimTls;
use serde_json::json;
use support::canaries::heard::Overheard;
use support::{PORTAL, Setup, World, policy, samples};

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_read_passes_with_the_gates_own_token_and_links_lead_back_to_the_gate() {
    let world = World::plain().await;
    let key = world.key("reader");
    let answer = world.get("/crm/v3/objects/contacts?limit=2", &key).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.json()["results"].as_array().unwrap().len(), 2);
    assert!(
        answer.decision().starts_with("allow; id="),
        "{}",
        answer.decision()
    );
    assert!(answer.decision().contains("; rule=reader#allow[0]"));
    assert_eq!(answer.headers["x-scopegate-source"], "upstream");
    assert_eq!(answer.headers["x-scopegate-connection"], "acme");
    let link = answer.json()["paging"]["next"]["link"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        link.starts_with(&format!("http://{}/crm/objects/v3/contacts", world.gate)),
        "{link}"
    );
    let next = world
        .get(
            link.strip_prefix(&format!("http://{}", world.gate)).unwrap(),
            &key,
        )
        .await;
    assert_eq!(next.status, 200, "{:?}", next.body);

    let received = world.sim.received();
    assert_eq!(received.len(), 2);
    assert_eq!(
        received[0].header("authorization"),
        Some(format!("Bearer {}", world.upstream_token).as_str())
    );
    assert!(!format!("{received:?}").contains(&key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_a_read_and_a_write_is_not() {
    let world = World::plain().await;
    let key = world.key("reader");
    let search = world
        .send(
            "POST",
            "/crm/v3/objects/contacts/search",
            &key,
            Some(r#"{"limit":1}"#),
        )
        .await;
    assert_eq!(search.status, 200, "{:?}", search.body);
    world.sim.forget_received();
    let write = world
        .send(
            "PATCH",
            "/crm/v3/objects/contacts/1001",
            &key,
            Some(r#"{"properties":{"phone":"1"}}"#),
        )
        .await;
    assert_eq!(write.status, 403);
    let body = write.json();
    assert_eq!(body["category"], "MISSING_SCOPES");
    assert_eq!(body["subCategory"], "scopegate.denied");
    assert_eq!(
        body["errors"][0]["context"]["requiredScopes"],
        json!(["crm.objects.contacts.write"])
    );
    assert_eq!(
        body["errors"][0]["context"]["lacks"][0],
        "scope:crm.objects.contacts.write"
    );
    assert_eq!(write.verdict(), "deny");
    assert_eq!(write.headers["x-should-retry"], "false");
    assert_eq!(world.sim.received().len(), 0, "nothing of it went up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_scope_writes_but_never_deletes_merges_or_erases() {
    let world = World::plain().await;
    let key = world.key("writer");
    let created = world
        .send(
            "POST",
            "/crm/v3/objects/contacts",
            &key,
            Some(r#"{"properties":{"email":"new@example.com"}}"#),
        )
        .await;
    assert_eq!(created.status, 201, "{:?}", created.body);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let patch = world
        .send(
            "PATCH",
            &format!("/crm/v3/objects/contacts/{id}"),
            &key,
            Some(r#"{"properties":{"firstname":"N"}}"#),
        )
        .await;
    assert_eq!(patch.status, 200);
    for (method, target, body) in [
        ("DELETE", format!("/crm/v3/objects/contacts/{id}"), None),
        (
            "POST",
            "/crm/v3/objects/contacts/merge".into(),
            Some(r#"{"primaryObjectId":"1","objectIdToMerge":"2"}"#),
        ),
        (
            "POST",
            "/crm/v3/objects/contacts/gdpr-delete".into(),
            Some(r#"{"objectId":"1"}"#),
        ),
        (
            "POST",
            "/crm/v3/objects/contacts/batch/archive".into(),
            Some(r#"{"inputs":[{"id":"1"}]}"#),
        ),
    ] {
        let answer = world.send(method, &target, &key, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.verdict().as_str()),
            (403, "deny"),
            "{method} {target}"
        );
        let lacks = answer.json()["errors"][0]["context"]["lacks"].to_string();
        assert!(lacks.contains("effect:"), "{lacks}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_of_a_call_gets_the_decision_of_its_plain_one() {
    let world = World::plain().await;
    let key = world.key("reader");
    for target in [
        "/crm/v3/objects/contacts/1001",
        "/crm/v3/objects/contact/1001",
        "/crm/v3/objects/0-1/1001",
        "/crm/v3/objects/CONTACT/1001",
        "/crm/v3/objects/contacts/1001/",
        "/crm/v3/objects/%63ontacts/1001",
        "/crm/objects/v3/contacts/1001",
        "/crm/objects/2026-03/contacts/1001",
        "/crm/objects/2026-03/0-1/1001",
    ] {
        let read = world.get(target, &key).await;
        assert_eq!(
            (read.status.as_u16(), read.verdict().as_str()),
            (200, "allow"),
            "{target} {:?}",
            read.body
        );
        let write = world
            .send("PATCH", target, &key, Some(r#"{"properties":{}}"#))
            .await;
        assert_eq!(
            (write.status.as_u16(), write.verdict().as_str()),
            (403, "deny"),
            "{target}"
        );
    }
    for target in [
        "/crm/v3/objects/deals/1",
        "/crm/v3/objects/0-3/1",
        "/crm/objects/2026-03/DEAL/1",
    ] {
        assert_eq!(world.get(target, &key).await.verdict(), "deny", "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gate_does_not_know_is_refused_with_403_and_what_is_malformed_with_400() {
    let world = World::plain().await;
    let key = world.key("reader");
    for target in [
        "/crm/v3/nothing",
        "/crm/v9/objects/contacts",
        "/crm/v3/objects/unicorns",
        "/",
    ] {
        let answer = world.get(target, &key).await;
        assert_eq!(answer.status, 403, "{target}");
        assert_eq!(
            (answer.verdict().as_str(), answer.sub_category().as_str()),
            ("refuse", "scopegate.unknown_operation"),
            "{target}"
        );
    }
    for target in [
        "//crm/v3/objects/contacts",
        "/crm/v3/objects//contacts",
        "/crm/v3/objects/contacts/../deals",
        "/crm/v3/objects/contacts%2f1",
        "/crm/v3/objects/contacts/%2e%2e/deals",
        "/crm/v3/objects/contacts/1%00",
        "/crm/v3/objects/contacts/%zz",
        "/crm/v3/objects/contacts?hapikey=x",
        "/crm/v3/objects/contacts?limit=1&access_token=x",
        "/crm/v3/objects/contacts?archived=true&archived=false",
    ] {
        let answer = world.get(target, &key).await;
        assert_eq!(
            (answer.status.as_u16(), answer.sub_category().as_str()),
            (400, "scopegate.refused"),
            "{target}"
        );
    }
    assert_eq!(world.sim.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_missing_malformed_unknown_or_revoked_gets_one_and_the_same_answer() {
    let world = World::plain().await;
    let key = world.key("reader");
    let id = key.split('_').nth(2).unwrap();
    let good = world.get("/crm/v3/objects/contacts?limit=1", &key).await;
    assert_eq!(good.status, 200);
    let revoked = world.command(&["key", "revoke", id, "--reason", "test"]);
    assert!(
        revoked.status.success(),
        "{}",
        String::from_utf8_lossy(&revoked.stderr)
    );
    world
        .until("the revocation is in force", async |world| {
            world.get("/crm/v3/objects/contacts?limit=1", &key).await.status == 401
        })
        .await;
    let mut bodies = Vec::new();
    for wrong in [key.as_str(), "", "sg_l_nonsense", &world.upstream_token] {
        let answer = world.get("/crm/v3/objects/contacts?limit=1", wrong).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer error=\"invalid_token\""
        );
        let mut body = answer.json();
        body["correlationId"] = json!("");
        bodies.push(body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["subCategory"], "scopegate.key");
    assert!(
        bodies[0]["message"]
            .as_str()
            .unwrap()
            .contains("do not rotate the HubSpot token")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_audit_say_what_happened_and_never_a_secret() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world
        .get(
            "/crm/v3/objects/contacts/ursula%40example.com?idProperty=email",
            &key,
        )
        .await;
    world
        .send("DELETE", "/crm/v3/objects/contacts/1001", &key, None)
        .await;
    world.get("/crm/v3/nothing", &key).await;
    world.get("/crm/v3/objects/contacts", "sg_l_wrong").await;
    let metrics = world.metrics().await;
    let requests = samples(&metrics, "scopegate_requests_total");
    let count = |labels: &str| requests.get(labels).copied().unwrap_or(0.0);
    assert_eq!(
        count(
            r#"{decision="allow",effect="read",integration="reader",operation="crm.objects.get",reason="none"}"#
        ),
        1.0,
        "{requests:#?}"
    );
    assert_eq!(
        count(
            r#"{decision="deny",effect="delete",integration="reader",operation="crm.objects.archive",reason="no_rule"}"#
        ),
        1.0,
        "{requests:#?}"
    );
    assert_eq!(
        count(
            r#"{decision="refuse",effect="-",integration="reader",operation="other",reason="unknown_operation"}"#
        ),
        1.0,
        "{requests:#?}"
    );
    assert_eq!(
        count(r#"{decision="deny",effect="-",integration="-",operation="other",reason="key_malformed"}"#),
        1.0,
        "{requests:#?}"
    );
    world.stop().await;
    let audit = world.audit();
    // Each worker's records stand in its own order; by time they stand in everybody's.
    let mut decisions: Vec<_> = audit.iter().filter(|line| line["kind"] == "decision").collect();
    decisions.sort_by_key(|line| line["time"].to_string());
    assert_eq!(decisions.len(), 3, "{audit:#?}");
    assert_eq!(decisions[0]["operation"], "crm.objects.get");
    assert_eq!(decisions[0]["connection"], "acme");
    assert_eq!(decisions[0]["portal"], PORTAL);
    assert_eq!(decisions[0]["object_types"], json!(["contacts"]));
    assert_eq!(decisions[1]["decision"], "deny");
    let outcome = audit.iter().find(|line| line["kind"] == "outcome").unwrap();
    assert_eq!(outcome["id"], decisions[0]["id"]);
    let text = world.audit_text();
    for secret in [key.as_str(), &world.upstream_token, "ursula", "example.com"] {
        assert!(!text.contains(secret), "{secret} in the audit log");
        assert!(!metrics.contains(secret), "{secret} in the metrics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inline_associations_are_refused_and_a_body_without_them_is_rebuilt() {
    let world = World::plain().await;
    let key = world.key("writer");
    let with = r#"{"properties":{"email":"a@example.com"},"associations":[{"to":{"id":"1"},"types":[]}]}"#;
    let refused = world
        .send("POST", "/crm/v3/objects/contacts", &key, Some(with))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.verdict().as_str()),
        (403, "refuse"),
        "{:?}",
        refused.body
    );
    let twice = r#"{"properties":{"email":"a@example.com"},"properties":{"email":"b@example.com"}}"#;
    let ambiguous = world
        .send("POST", "/crm/v3/objects/contacts", &key, Some(twice))
        .await;
    assert_eq!(
        (ambiguous.status.as_u16(), ambiguous.sub_category().as_str()),
        (400, "scopegate.refused")
    );
    assert_eq!(world.sim.received().len(), 0);
    let spaced = "{ \"properties\" : { \"email\" : \"c@example.com\" },\n \"associations\" : [ ] }";
    let passed = world
        .send("POST", "/crm/v3/objects/contacts", &key, Some(spaced))
        .await;
    assert_eq!(passed.status, 201, "{:?}", passed.body);
    let received = world.sim.received();
    assert_eq!(
        received[0].body,
        br#"{"properties":{"email":"c@example.com"},"associations":[]}"#.as_slice()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn associations_asked_for_on_a_read_need_their_own_permission() {
    let rules = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read]\n";
    let world = World::with(Setup {
        policies: vec![("reader", support::reader()), ("both", policy("both", rules))],
        ..Setup::default()
    })
    .await;
    let (one, both) = (world.key("reader"), world.key("both"));
    for target in [
        "/crm/v3/objects/contacts/1001?associations=companies",
        "/crm/v3/objects/contacts/1001?associations=0-2",
    ] {
        assert_eq!(world.get(target, &one).await.verdict(), "deny", "{target}");
        let answer = world.get(target, &both).await;
        assert_eq!(
            (answer.status.as_u16(), answer.verdict().as_str()),
            (200, "allow"),
            "{target} {:?}",
            answer.body
        );
    }
    let mixed = "/crm/v3/objects/contacts/1001?associations=companies,deals";
    assert_eq!(world.get(mixed, &both).await.verdict(), "deny");
    let unknown = world
        .get("/crm/v3/objects/contacts/1001?associations=unicorns", &both)
        .await;
    assert_eq!(unknown.verdict(), "refuse");
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_is_answered_by_the_gate_about_the_key_itself() {
    let world = World::plain().await;
    let key = world.key("reader");
    let answer = world.get(&format!("/oauth/v1/access-tokens/{key}"), "").await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let body = answer.json();
    assert_eq!(body["scopes"], json!(["crm.objects.contacts.read"]));
    assert_eq!(
        (body["hub_id"].as_u64(), body["app_id"].as_u64()),
        (Some(PORTAL), Some(0))
    );
    assert_eq!(body["user"], "test@example.com");
    assert_eq!(answer.headers["x-scopegate-source"], "gate");
    let info = format!(r#"{{"tokenKey":"{key}"}}"#);
    let info = world
        .send(
            "POST",
            "/oauth/v2/private-apps/get/access-token-info",
            &key,
            Some(&info),
        )
        .await;
    assert_eq!(info.json()["hubId"], PORTAL, "{:?}", info.body);
    let other = world.key("writer");
    let differs = world.get(&format!("/oauth/v1/access-tokens/{key}"), &other).await;
    assert_eq!(differs.status, 401);
    let unknown = world
        .send(
            "POST",
            "/oauth/2026-03/token/introspect",
            "",
            Some("token=sg_l_nonsense"),
        )
        .await;
    assert_eq!(
        (unknown.status.as_u16(), unknown.json()),
        (200, json!({"active": false}))
    );
    let known = world
        .send(
            "POST",
            "/oauth/2026-03/token/introspect",
            "",
            Some(&format!("token={key}&client_id=x")),
        )
        .await;
    assert_eq!(known.json()["active"], true);
    let token = world
        .send(
            "POST",
            "/oauth/2026-03/token",
            "",
            Some("grant_type=refresh_token&refresh_token=x"),
        )
        .await;
    assert_eq!(
        (token.status.as_u16(), token.json()["error"].clone()),
        (400, json!("invalid_grant"))
    );
    assert_eq!(world.sim.received().len(), 0, "nothing of it went up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_connection_stops_at_once_and_resumes() {
    let world = World::plain().await;
    let key = world.key("reader");
    let target = "/crm/v3/objects/contacts?limit=1";
    assert_eq!(world.get(target, &key).await.status, 200);
    assert!(
        world
            .command(&["connection", "suspend", "acme", "--reason", "test"])
            .status
            .success()
    );
    world
        .until("the suspension is in force", async |world| {
            world.get(target, &key).await.status == 401
        })
        .await;
    let answer = world.get(target, &key).await;
    assert_eq!(answer.sub_category(), "scopegate.connection");
    assert_eq!(answer.json()["context"]["state"], json!(["suspended"]));
    assert!(world.command(&["connection", "resume", "acme"]).status.success());
    world
        .until("it is resumed", async |world| {
            world.get(target, &key).await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_in_force_soon_and_a_broken_one_keeps_its_last_version() {
    let world = World::plain().await;
    let key = world.key("reader");
    let file = world.home().join("policies/reader.yaml");
    let deals = "/crm/v3/objects/deals?limit=1";
    assert_eq!(world.get(deals, &key).await.verdict(), "deny");
    std::fs::write(
        &file,
        policy("reader", "allow:\n  - scope: crm.objects.deals.read\n"),
    )
    .unwrap();
    world
        .until("the change is in force", async |world| {
            world.get(deals, &key).await.verdict() == "allow"
        })
        .await;
    assert_eq!(
        world
            .get("/crm/v3/objects/contacts?limit=1", &key)
            .await
            .verdict(),
        "deny"
    );
    std::fs::write(&file, "integration: reader\nallow: [").unwrap();
    let invalid = r#"{integration="reader"}"#;
    world
        .until("the mistake is noticed", async |world| {
            samples(&world.metrics().await, "scopegate_policy_invalid").get(invalid) == Some(&1.0)
        })
        .await;
    assert_eq!(world.get(deals, &key).await.verdict(), "allow");
    std::fs::write(
        world.home().join("policies/_ceiling.yaml"),
        "deny:\n  - objects: [deals]\n    effects: [read]\n",
    )
    .unwrap();
    world
        .until("the ceiling is in force", async |world| {
            world.get(deals, &key).await.verdict() == "deny"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_the_gate_would_read_otherwise_than_hubspot_is_refused() {
    let world = World::plain().await;
    let key = world.key("writer");
    let send = async |content_type: &'static str, method: &str, body: &'static str| {
        let request = http::Request::builder()
            .method(method)
            .uri("/crm/v3/objects/contacts")
            .header("host", world.gate.to_string())
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", content_type)
            .body(http_body_util::Full::from(body))
            .unwrap();
        world.request(request).await.unwrap()
    };
    let body = r#"{"properties":{"email":"charset@example.com"}}"#;
    for content_type in [
        "application/json;charset=utf-16",
        "text/plain",
        "multipart/form-data; boundary=x",
    ] {
        let answer = send(content_type, "POST", body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.sub_category().as_str()),
            (400, "scopegate.refused"),
            "{content_type}"
        );
    }
    assert_eq!(
        send("application/json", "GET", body).await.status,
        400,
        "a GET has no body"
    );
    assert!(world.sim.received().is_empty());
    let passed = send("application/json; charset=UTF-8", "POST", body).await;
    assert_eq!(passed.status, 201, "{:?}", passed.body);
    assert_eq!(
        world.sim.received()[0].header("content-type"),
        Some("application/json")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_folder_that_is_swapped_as_a_whole_is_noticed() {
    let world = World::plain().await;
    let key = world.key("reader");
    let target = "/crm/v3/objects/contacts?limit=1";
    assert_eq!(world.get(target, &key).await.status, 200);
    let (home, tighter) = (world.home(), world.home().join("tighter"));
    std::fs::create_dir(&tighter).unwrap();
    let rules = "allow:\n  - scope: crm.objects.contacts.read\ndeny:\n  - effects: [read]\n";
    std::fs::write(tighter.join("reader.yaml"), policy("reader", rules)).unwrap();
    std::fs::rename(home.join("policies"), home.join("before")).unwrap();
    std::os::unix::fs::symlink(&tighter, home.join("policies")).unwrap();
    world
        .until("the link is followed", async |world| {
            world.get(target, &key).await.status == 403
        })
        .await;
    std::fs::write(tighter.join("reader.yaml"), support::reader()).unwrap();
    world
        .until("edits behind the link are seen", async |world| {
            world.get(target, &key).await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_upstream_ca_is_followed_on_connections_that_are_open_too() {
    let world = World::with(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    let key = world.key("reader");
    let target = "/crm/v3/objects/contacts?limit=1";
    assert_eq!(world.get(target, &key).await.status, 200);
    let ca = world.dir.path().join("ca.pem");
    let (ours, another) = (std::fs::read(&ca).unwrap(), SimTls::generate(&[]).unwrap().ca_pem);
    for (pem, status) in [(another.as_bytes(), 502), (&ours, 200)] {
        std::fs::write(&ca, pem).unwrap();
        world
            .until("the upstream is verified by the new file", async |world| {
                world.get(target, &key).await.status == status
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_does_not_outlive_a_tightening() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::plain().await;
    let key = world.key("writer");
    let body = r#"{"properties":{"email":"slow@example.com"}}"#;
    let head = format!(
        "POST /crm/v3/objects/contacts HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        world.gate,
        body.len()
    );
    let mut stream = Overheard::connect(world.gate).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..5]).await.unwrap();
    let rules = "allow:\n  - scope: crm.objects.contacts.write\ndeny:\n  - effects: [write]\n";
    std::fs::write(world.home().join("policies/writer.yaml"), policy("writer", rules)).unwrap();
    world
        .until("the tightening is in force", async |world| {
            world
                .send("POST", "/crm/v3/objects/contacts", &key, Some(body))
                .await
                .status
                == 403
        })
        .await;
    world.sim.forget_received();
    stream.write_all(&body.as_bytes()[5..]).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    assert!(world.sim.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_an_answer_that_is_being_read() {
    use scopegate::sim::{Action, Fault, Matching};
    let world = World::plain().await;
    // Of a short answer nothing has gone down yet, of a long one something has.
    for (page, is_short) in [("limit=50", true), ("limit=100", false)] {
        let key = world.key("reader");
        let target = format!("/crm/v3/objects/contacts?{page}");
        let trickle = Action::Trickle {
            piece_bytes: 20,
            pause: std::time::Duration::from_millis(50),
        };
        world.sim.clear_faults();
        world.sim.forget_received();
        world.sim.fault(Fault::always(Matching::path(&target), trickle));
        let request = http::Request::get(&target)
            .header("host", world.gate.to_string())
            .header("authorization", format!("Bearer {key}"))
            .body(http_body_util::Full::default())
            .unwrap();
        let id = key.split('_').nth(2).unwrap().to_owned();
        let (answer, revoked) = tokio::join!(world.request(request), async {
            world
                .until("the read is under way", async |world| {
                    !world.sim.received().is_empty()
                })
                .await;
            if !is_short {
                // Until its head is down, a long one is answered like a short one.
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            world.command(&["key", "revoke", &id])
        });
        assert!(revoked.status.success());
        match (is_short, answer) {
            (true, answer) => {
                let answer = answer.unwrap();
                assert_eq!(
                    (answer.status.as_u16(), answer.sub_category().as_str()),
                    (401, "scopegate.key")
                );
            }
            (false, answer) => assert!(answer.is_err(), "cut off, never a shorter whole"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_says_of_days_is_held_against_today() {
    let day = |days: i64| {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        today.checked_add(jiff::Span::new().days(days)).unwrap()
    };
    let observes = |until| format!("observe: {{ until: {until}, effects: [read] }}\n");
    let expires = |on| format!("expires: {on}\nallow:\n  - scope: crm.objects.contacts.read\n");
    let rules = [
        ("observes", observes(day(1)), 200),
        ("observed", observes(day(-1)), 403),
        ("expires", expires(day(1)), 200),
        ("expired", expires(day(-1)), 401),
    ];
    let policies = rules
        .iter()
        .map(|(name, rules, ..)| (*name, policy(name, rules)))
        .collect();
    let world = World::with(Setup {
        policies,
        ..Setup::default()
    })
    .await;
    for (name, _, status) in &rules {
        let key = world.key(name);
        let answer = world.get("/crm/v3/objects/contacts/1001", &key).await;
        assert_eq!(answer.status, *status, "{name}: {:?}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_tells_the_scopes_that_hold_here_and_under_the_ceiling() {
    let rules = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read]\n  - scope: crm.objects.deals.read\n    connections: [other]\n";
    let text = format!("integration: wide\nowner: test@example.com\nconnections: [acme, other]\n{rules}");
    let ceiling = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.deals.read]\n";
    let world = World::with(Setup {
        policies: vec![("wide", text), ("_ceiling", ceiling.to_owned())],
        ..Setup::default()
    })
    .await;
    let key = world.key("wide");
    let answer = world.get(&format!("/oauth/v1/access-tokens/{key}"), "").await;
    assert_eq!(
        answer.json()["scopes"],
        json!(["crm.objects.contacts.read"]),
        "{:?}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_works_beside_a_running_gate_and_leaves_no_trace() {
    let world = World::plain().await;
    let folder = world.home().join("data/audit");
    let folder = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let checked = world.command(&["run", "--check"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("a gate runs on this store"), "{said}");
    let mut runs = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        assert!(!file.file_name().to_string_lossy().contains("check"));
        let text = std::fs::read_to_string(file.path()).unwrap();
        runs += text.matches(r#""kind":"gate""#).count();
    }
    assert_eq!(runs, 1, "the start of the gate that runs, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_that_can_name_nothing_is_answered_like_an_unknown_connection() {
    let world = World::plain().await;
    let key = world.key("reader");
    let target = "/crm/v3/objects/contacts?limit=1";
    for selector in ["unknown", "Bad!", "../x", ""] {
        let answer = world.get(target, &format!("{key}~{selector}")).await;
        assert_eq!(answer.status, 401, "{selector}");
        assert_eq!(answer.sub_category(), "scopegate.connection", "{selector}");
    }
    assert_eq!(world.sim.received().len(), 0);
}

#[test]
fn a_command_that_only_looks_makes_no_store() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("scopegate.yaml");
    std::fs::write(&path, "store: sqlite:data/x.db\n").unwrap();
    for words in [&["store", "check"][..], &["connection", "list"], &["key", "list"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_scopegate"))
            .arg("--config")
            .arg(&path)
            .args(words)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains("data/x.db"), "{words:?}: {said}");
        assert!(!home.path().join("data").exists(), "{words:?}");
    }
}
