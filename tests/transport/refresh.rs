//! A token that HubSpot no longer takes: renewed once, the call sent again, the client none the wiser.

use std::sync::Arc;
use std::time::Duration;

use scopegate::hubspot::connect::{Upstream, client_tls};
use scopegate::hubspot::control::ControlClient;
use scopegate::hubspot::errors::TokenFailure;
use scopegate::hubspot::oauth::{
    ClientCredentials, Endpoints, Introspection, RefreshError, introspect_grant, refresh,
};
use scopegate::secret::Secret;
use scopegate::sim::{
    self, Action, Fault, Install, KnownFault, Matching, PortalOptions, Rotation, Sim, SimOptions,
};

use crate::relay::Relay;
use crate::support::{Setup, World, every_scope, path, policy, write_secret};
use crate::wire::{Wire, get, post, request};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// A world with OAuth connections `one`, `two` and `three` beside its static one.
async fn world() -> (World, [String; 3]) {
    world_with("").await
}

/// With lines appended to the configuration.
async fn world_with(config: &str) -> (World, [String; 3]) {
    world_of(Setup {
        config: config.to_owned(),
        ..Setup::default()
    })
    .await
}

/// Of another kind, with policies of its own.
async fn world_of(setup: Setup) -> (World, [String; 3]) {
    let rules = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n  - operation: files.create\n";
    let sync = policy("sync", rules).replace("[acme]", "\"*\"");
    let world = World::with(Setup {
        policies: vec![("sync", sync)],
        ..setup
    })
    .await;
    let app = world.sim.oauth_app("test", &[]);
    let file = |name: &str, text: &str| {
        let file = world.dir.path().join(name);
        write_secret(&file, text);
        file
    };
    let ok = |args: &[&str]| {
        let output = world.command(args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let secret = file("secret", app.client_secret.expose());
    ok(&[
        "app",
        "add",
        "marketing",
        "--client-id",
        &app.client_id,
        "--secret-file",
        path(&secret),
    ]);
    let keys = [("one", 2001), ("two", 2002), ("three", 2003)].map(|(name, portal)| {
        world.sim.add_portal(PortalOptions::new(portal));
        let grant = world
            .sim
            .install(Install::new(&app.client_id, portal, every_scope()))
            .unwrap();
        let grant = file(name, grant.expose());
        let portal = portal.to_string();
        ok(&[
            "connection",
            "add",
            name,
            "--portal",
            &portal,
            "--app",
            "marketing",
            "--refresh-token-file",
            path(&grant),
        ]);
        ok(&["key", "create", "--integration", "sync", "--connection", name])
    });
    (world, keys)
}

/// Methods and targets that the simulator has seen since it was last told to forget.
fn seen(world: &World) -> Vec<String> {
    let received = world.sim.received();
    received
        .iter()
        .map(|received| format!("{} {}", received.method, received.target))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ran_out_early_is_renewed_and_the_call_replayed_once_with_its_body() {
    let (world, [key, large, dead]) = world().await;
    let mut wire = Wire::open(world.gate).await;
    for key in [&key, &large, &dead] {
        assert_eq!(wire.ask(get(GOOD, key)).await.status, 200);
    }
    world.sim.expire_access_tokens();
    world.sim.forget_received();
    let body = r#"{"properties":{"email":"replayed@example.com"}}"#;
    let reply = wire.ask(post("/crm/v3/objects/contacts", &key, body)).await;
    assert_eq!(
        (reply.status, reply.header("x-scopegate-source")),
        (201, Some("upstream")),
        "{reply:?}"
    );
    let [first, token, second] = &world.sim.received()[..] else {
        panic!("{:?}", seen(&world))
    };
    assert_eq!((first.status, second.status), (Some(401), Some(201)));
    assert!(token.target.starts_with("/oauth/"), "{}", token.target);
    assert_eq!((&first.target, &first.body), (&second.target, &second.body));
    assert_ne!(first.header("authorization"), second.header("authorization"));

    // A second refusal soon after: at most one forced refresh a minute, and still no 401.
    world.sim.expire_access_tokens();
    let reply = wire.ask(get(GOOD, &key)).await;
    assert_eq!(
        (reply.status, reply.sub_category().as_str()),
        (503, "scopegate.credential"),
        "{reply:?}"
    );
    assert!(reply.header("retry-after").is_some());

    // What is too long to be kept can't be replayed; the client is told to send it again, and may.
    let file = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n{}\r\n--b\r\n\
         Content-Disposition: form-data; name=\"folderPath\"\r\n\r\n/a\r\n--b\r\n\
         Content-Disposition: form-data; name=\"options\"\r\n\r\n{{\"access\":\"PRIVATE\"}}\r\n--b--\r\n",
        "x".repeat(200_000)
    );
    let upload = request(
        "POST",
        "/files/v3/files",
        &large,
        &["Content-Type: multipart/form-data; boundary=b"],
        &file,
    );
    let mut wire = Wire::open(world.gate).await;
    let reply = wire.ask(&upload).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1")),
        "{reply:?}"
    );
    let mut wire = Wire::open(world.gate).await;
    let reply = wire.ask(&upload).await;
    assert_eq!(reply.status, 201, "{reply:?}");

    // A grant that died: a person must act, so 401, and in the gate's own words.
    world.sim.fault(Fault::always(
        Matching::path("/oauth/"),
        Action::Known(KnownFault::InvalidToken),
    ));
    let reply = wire.ask(get(GOOD, &dead)).await;
    assert!(matches!(reply.status, 401 | 503), "{reply:?}");
    assert_eq!(reply.header("x-scopegate-source"), Some("gate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_that_meet_the_same_dead_token_cause_one_refresh() {
    let (world, [key, ..]) = world().await;
    assert_eq!(
        Wire::open(world.gate).await.ask(get(GOOD, &key)).await.status,
        200
    );
    world.sim.expire_access_tokens();
    world.sim.forget_received();
    let calls = (0..20).map(|_| async {
        let mut wire = Wire::open(world.gate).await;
        wire.ask(get(GOOD, &key)).await.status
    });
    let statuses = futures_util::future::join_all(calls).await;
    assert_eq!(statuses, [200; 20]);
    let refreshes = seen(&world)
        .iter()
        .filter(|call| call.contains("/oauth/") && call.contains("token"))
        .count();
    assert_eq!(refreshes, 1, "{:?}", seen(&world));
}

/// Versions × ways of rotating: what comes back is what works next, and the answer may leave it out.
#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_the_token_endpoints_serves_every_way_of_rotation() {
    let ways = [
        (Rotation::Stable, false),
        (Rotation::Stable, true),
        (Rotation::Rotate, false),
        (Rotation::RotateWithReuseDetection, true),
    ];
    for (rotation, only_when_new) in ways {
        let sim = Sim::new(SimOptions {
            rotation,
            refresh_token_only_when_new: only_when_new,
            ..SimOptions::default()
        });
        let running = sim::start(Arc::clone(&sim), None).await.unwrap();
        let ca = include_bytes!("../data/ca.pem");
        let upstream = Upstream::new(&running.origin, client_tls(Some(ca)).unwrap(), false).unwrap();
        let wait = Duration::from_secs(5);
        let client = ControlClient::new(upstream.shared(), wait, wait);
        for (portal, version) in (3001..).zip(["v1", "v3", "2026-03", "2026-09"]) {
            let case = format!("{version}, {rotation:?}, {only_when_new}");
            sim.add_portal(PortalOptions::new(portal));
            let app = sim.oauth_app("app", &[]);
            let endpoints = Endpoints::of(version).unwrap();
            let credentials = ClientCredentials {
                id: &app.client_id,
                secret: &app.client_secret,
            };
            let mut grant = sim
                .install(Install::new(&app.client_id, portal, every_scope()))
                .unwrap();
            for round in 0..3 {
                let told = introspect_grant(&client, &endpoints, credentials, &grant).await;
                let Introspection::Known(identity) = told else {
                    panic!("{case}, {round}: {told:?}")
                };
                assert_eq!(identity.hub_id, portal, "{case}");
                let answer = refresh(&client, &endpoints, credentials, &grant).await.unwrap();
                let rotates = rotation != Rotation::Stable;
                let new = answer.refresh.as_ref().map(Secret::expose);
                assert_eq!(new.is_some(), rotates || !only_when_new, "{case}");
                assert_eq!(new.is_some_and(|new| new != grant.expose()), rotates, "{case}");
                grant = answer.refresh.unwrap_or(grant);
            }
            let last = sim.token_calls().pop().unwrap();
            assert_eq!(last.version, version);
            assert_eq!(
                introspect_grant(
                    &client,
                    &endpoints,
                    credentials,
                    &Secret::new("na1-unknown".to_owned())
                )
                .await,
                Introspection::NotGood,
                "{case}"
            );
            let wrong = ClientCredentials {
                secret: &Secret::new("wrong".to_owned()),
                ..credentials
            };
            let refused = refresh(&client, &endpoints, wrong, &grant).await;
            assert!(
                matches!(
                    refused,
                    Err(RefreshError::Refused {
                        failure: TokenFailure::WrongClient,
                        ..
                    })
                ),
                "{case}: {refused:?}"
            );
            sim.uninstall(app.app_id, portal);
            let refused = refresh(&client, &endpoints, credentials, &grant).await;
            assert!(
                matches!(
                    refused,
                    Err(RefreshError::Refused {
                        failure: TokenFailure::DeadGrant,
                        ..
                    })
                ),
                "{case}: {refused:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_of_the_token_endpoints_is_a_setting() {
    for version in ["v3", "2026-09"] {
        let (world, [key, ..]) = world_with(&format!("oauth: {{ version: {version} }}\n")).await;
        let reply = Wire::open(world.gate).await.ask(get(GOOD, &key)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let calls = world.sim.token_calls();
        assert!(
            !calls.is_empty() && calls.iter().all(|call| call.version == version),
            "{version}"
        );
        let oauth = seen(&world);
        let others = oauth
            .iter()
            .filter(|call| call.contains("/oauth/") && !call.contains(&format!("/oauth/{version}/")));
        assert_eq!(others.count(), 0, "{oauth:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out_while_a_connection_is_made_is_not_sent_and_the_call_goes_up_with_the_next() {
    const LIFE: Duration = Duration::from_secs(3);
    let (mut world, [key, ..]) = world_of(Setup {
        sim: SimOptions {
            expires_in: LIFE,
            ..SimOptions::default()
        },
        // Under TLS a connection is there only when the other end has answered.
        tls: true,
        ..Setup::default()
    })
    .await;
    world.stop().await;
    let upstream = world.sim_origin.strip_prefix("https://").unwrap().to_owned();
    let (_, port) = upstream.rsplit_once(':').unwrap();
    let relay = Relay::to(format!("127.0.0.1:{port}").parse().unwrap()).await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    let origin = world.sim_origin.replace(port, &relay.address.port().to_string());
    std::fs::write(world.config(), config.replace(&world.sim_origin, &origin)).unwrap();
    world.start().await;
    let mut wire = Wire::open(world.gate).await;
    let body = r#"{"properties":{"email":"late@example.com"}}"#;
    for request in [
        get(GOOD, &key).to_owned(),
        post("/crm/v3/objects/contacts", &key, body).to_owned(),
    ] {
        assert_eq!(wire.ask(get(GOOD, &key)).await.status, 200);
        let lent = std::time::Instant::now();
        relay.hold(true);
        relay.cut();
        world
            .until("the connections are closed", async |_| relay.carrying() == 0)
            .await;
        world.sim.forget_received();
        wire.write(&request).await;
        world
            .until("a connection is being made", async |_| relay.carrying() > 0)
            .await;
        // What is waited for is the end of the token's life.
        tokio::time::sleep((LIFE + Duration::from_millis(100)).saturating_sub(lent.elapsed())).await;
        relay.hold(false);
        let reply = wire.reply().await.unwrap();
        assert!((200..300).contains(&reply.status), "{reply:?}");
        let received = world.sim.received();
        let statuses: Vec<_> = received.iter().map(|received| received.status).collect();
        assert!(!statuses.contains(&Some(401)), "{:?} {statuses:?}", seen(&world));
        let calls = received
            .iter()
            .filter(|received| received.target.starts_with("/crm/"));
        assert_eq!(calls.count(), 1, "{:?}", seen(&world));
    }
}
