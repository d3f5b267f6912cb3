//! Every route, as everybody who may ask and everybody who may not. The table of who gets what stands in
//! `routes.txt`, so that a change of it is a difference that people can read.
//!
//! After a change that is meant: `UPDATE_ADMIN_ROUTES=1 cargo test --test admin walk`.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use scopegate::access::admin_key::IssuedAdminKey;
use scopegate::access::key::KeyRandomness;
use scopegate::access::role::Role;
use scopegate::admin::{ROUTES, Route};
use scopegate::config::{KeyCommand, MasterKeySource};
use scopegate::store::{NewAdminCredential, Provenance, Store};
use scopegate::tokens::unlock;

use crate::ask::{Asked, Line, credential, id_of};
use crate::support::World;

const UPDATE: &str = "UPDATE_ADMIN_ROUTES";

/// Somebody who asks, and what they show.
struct Person {
    name: &'static str,
    shows: Option<String>,
    role: Option<Role>,
}

/// What the walk may end.
struct Spare {
    credential: String,
    finding: i64,
}

impl Spare {
    async fn of(world: &World) -> Self {
        let store = store(world);
        world
            .until("a finding", async |_| !store.open_findings().unwrap().is_empty())
            .await;
        Self {
            credential: credential(world, "spare", "viewer"),
            finding: store.open_findings().unwrap()[0].id,
        }
    }
}

fn store(world: &World) -> Store {
    let store = Store::open_existing(&world.home().join("data/scopegate.db")).unwrap();
    let key = MasterKeySource::File(world.home().join("data/master.key"));
    unlock(&store, &key, &KeyCommand::default()).unwrap();
    store
}

/// A route with its braces filled in, and a body for it. A route without one here fails the walk.
fn sample(route: &Route, world: &World, spare: &Spare) -> (String, Option<String>) {
    let because = Some(r#"{"reason":"walk"}"#.to_owned());
    let fixed = |path: &str| (path.to_owned(), None);
    match (route.method, route.path) {
        ("GET", "/v1/policies/{integration}") => fixed("/v1/policies/reader"),
        ("GET", "/v1/connections/{name}") => fixed("/v1/connections/acme"),
        (
            "GET",
            path @ ("/v1/status" | "/v1/integrations" | "/v1/connections" | "/v1/keys" | "/v1/kills"
            | "/v1/denials" | "/v1/findings" | "/v1/credentials" | "/v1/events"),
        ) => fixed(path),
        ("POST", "/v1/explain") => (
            "/v1/explain".to_owned(),
            Some(
                r#"{"method":"GET","target":"/crm/v3/objects/contacts/1","integration":"reader"}"#.to_owned(),
            ),
        ),
        ("POST", "/v1/connections/{name}/labels") => (
            "/v1/connections/acme/labels".to_owned(),
            Some(r#"{"set":["region=eu"],"reason":"walk"}"#.to_owned()),
        ),
        (
            "POST",
            "/v1/connections/{name}/suspend"
            | "/v1/connections/{name}/resume"
            | "/v1/connections/{name}/kill",
        ) => (route.path.replace("{name}", "acme"), because),
        ("POST", "/v1/integrations/{name}/kill") => ("/v1/integrations/writer/kill".to_owned(), because),
        ("POST", "/v1/keys/{id}/revoke") => {
            let key = world.key("writer");
            (format!("/v1/keys/{}/revoke", &key[5..17]), because)
        }
        ("POST", "/v1/findings/{id}/acknowledge") => {
            (format!("/v1/findings/{}/acknowledge", spare.finding), because)
        }
        ("POST", "/v1/kill" | "/v1/revive") => (
            route.path.to_owned(),
            Some(r#"{"kind":"portal","subject":"4242","reason":"walk"}"#.to_owned()),
        ),
        ("POST", "/v1/credentials/{id}/revoke") => (
            format!("/v1/credentials/{}/revoke", id_of(&spare.credential)),
            because,
        ),
        (method, path) => panic!("the walk does not know {method} {path}: add it, and say who gets what"),
    }
}

/// A credential that the store holds, already expired.
fn expired(world: &World) -> String {
    let random = KeyRandomness {
        id: [9; 12],
        secret: zeroize::Zeroizing::new([9; 32]),
    };
    let issued = IssuedAdminKey::generate(&random);
    let now = Timestamp::now();
    let new = NewAdminCredential {
        id: issued.id,
        hash: issued.hash,
        name: "late".to_owned(),
        role: Role::Security,
        expires: now - SignedDuration::from_secs(1),
    };
    let by = Provenance {
        actor: "test".to_owned(),
        reason: None,
    };
    store(world).add_admin_credential(&new, now, &by).unwrap();
    issued.text.expose().to_owned()
}

fn unknown() -> String {
    let random = KeyRandomness {
        id: [8; 12],
        secret: zeroize::Zeroizing::new([8; 32]),
    };
    IssuedAdminKey::generate(&random).text.expose().to_owned()
}

fn people(world: &World) -> Vec<Person> {
    let good = |name: &'static str, role: Role| Person {
        name,
        shows: Some(credential(world, name, role.as_str())),
        role: Some(role),
    };
    let bad = |name: &'static str, shows: Option<String>| Person {
        name,
        shows,
        role: None,
    };
    let revoked = credential(world, "gone", "security");
    assert!(world.command(&["admin", "revoke", "gone"]).status.success());
    let security = good("security", Role::Security);
    // Another's id with a secret that is none of theirs: well-formed, and wrong.
    let stolen_id = security.shows.as_deref().map(|text| mixed(text, &unknown()));
    vec![
        bad("stranger", None),
        bad("gate-key", Some(world.key("reader"))),
        bad("unknown", Some(unknown())),
        bad("wrong-secret", stolen_id),
        bad("expired", Some(expired(world))),
        bad("revoked", Some(revoked)),
        good("viewer", Role::Viewer),
        good("operator", Role::Operator),
        security,
    ]
}

/// The id of one credential with the secret of another, and the checksum of both.
fn mixed(id: &str, secret: &str) -> String {
    let text = format!("{}{}", &id[..17], &secret[17..60]);
    let crc = crc32fast::hash(text.as_bytes());
    let crc = scopegate::access::base62::encode_u32(crc);
    format!("{text}_{}", std::str::from_utf8(&crc).unwrap())
}

#[tokio::test]
async fn every_route_gives_each_exactly_what_the_table_says() {
    let world = World::plain().await;
    let people = people(&world);
    let spare = Spare::of(&world).await;
    let mut table = format!("{:<38} {:<9}", "route", "least");
    for person in &people {
        table.push_str(&format!(" {}", person.name));
    }
    table.push('\n');
    for (n, route) in ROUTES.iter().enumerate() {
        let (target, body) = sample(route, &world, &spare);
        let mut row = format!(
            "{:<38} {:<9}",
            format!("{} {}", route.method, route.path),
            route.least.as_str()
        );
        for (m, person) in people.iter().enumerate() {
            // Each fails from an address of its own: too many failures of one are another answer.
            let from = Ipv4Addr::new(127, 1, u8::try_from(n).unwrap(), u8::try_from(m + 1).unwrap());
            let asked = Asked {
                method: route.method,
                target: &target,
                credential: person.shows.as_deref(),
                body: body.as_deref(),
                content_type: body.as_ref().map(|_| "application/json"),
                ..Asked::default()
            };
            let told = Line::open_from(world.monitor, from.into())
                .await
                .ask(&asked)
                .await;
            let expected = match person.role {
                None => Some(StatusCode::UNAUTHORIZED),
                Some(role) if !role.may(route.least) => Some(StatusCode::FORBIDDEN),
                Some(_) => None,
            };
            match expected {
                Some(status) => assert_eq!(told.status, status, "{} {target}: {}", person.name, told.text),
                None => assert!(
                    told.status.is_success(),
                    "{} {target}: {}",
                    person.name,
                    told.text
                ),
            }
            assert_guarded(&told.headers, &target);
            let width = person.name.len() + 1;
            row.push_str(&format!("{:>width$}", told.status.as_u16()));
        }
        table.push_str(&row);
        table.push('\n');
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/admin/routes.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &table).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden, table,
        "if that is meant: {UPDATE}=1 cargo test --test admin walk"
    );
}

#[tokio::test]
async fn no_route_answers_by_a_foreign_name_to_a_page_or_to_a_form() {
    let world = World::plain().await;
    let security = credential(&world, "security", "security");
    let spare = Spare::of(&world).await;
    for route in ROUTES {
        let (target, body) = sample(route, &world, &spare);
        let good = Asked {
            method: route.method,
            target: &target,
            credential: Some(&security),
            body: body.as_deref(),
            content_type: body.as_ref().map(|_| "application/json"),
            ..Asked::default()
        };
        let mut refused = vec![
            (
                StatusCode::MISDIRECTED_REQUEST,
                Asked {
                    host: Some("evil.example:9465"),
                    ..good
                },
            ),
            (
                StatusCode::FORBIDDEN,
                Asked {
                    origin: Some("https://evil.example"),
                    ..good
                },
            ),
            (
                StatusCode::FORBIDDEN,
                Asked {
                    origin: Some("null"),
                    ..good
                },
            ),
            (
                StatusCode::METHOD_NOT_ALLOWED,
                Asked {
                    method: "PUT",
                    ..good
                },
            ),
            (
                StatusCode::METHOD_NOT_ALLOWED,
                Asked {
                    method: "OPTIONS",
                    ..good
                },
            ),
        ];
        if route.method == "POST" {
            for kind in [
                None,
                Some("text/plain"),
                Some("application/x-www-form-urlencoded"),
                Some("multipart/form-data; boundary=x"),
            ] {
                refused.push((
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    Asked {
                        content_type: kind,
                        ..good
                    },
                ));
            }
        }
        for (status, asked) in refused {
            let told = Line::open(world.monitor).await.ask(&asked).await;
            assert_eq!(told.status, status, "{} {target}: {}", asked.method, told.text);
            assert_guarded(&told.headers, &target);
        }
    }
    // None of it changed anything.
    let output = world.command(&["connection", "list", "--json"]);
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&line["state"], &line["labels"]),
        (&"ok".into(), &serde_json::json!({}))
    );
    assert!(world.command(&["kill", "--list", "--json"]).stdout.is_empty());
}

#[tokio::test]
async fn what_is_no_route_is_told_to_nobody_who_may_not_ask() {
    let world = World::plain().await;
    let viewer = credential(&world, "viewer", "viewer");
    for target in [
        "/",
        "/v1",
        "/v2/status",
        "/v1/status/",
        "/v1/tokens",
        "/admin",
        "/v1//status",
        "/livez/x",
    ] {
        let mut line = Line::open_from(world.monitor, Ipv4Addr::new(127, 2, 0, 1).into()).await;
        let stranger = Asked {
            method: "GET",
            target,
            ..Asked::default()
        };
        assert_eq!(
            line.ask(&stranger).await.status,
            StatusCode::UNAUTHORIZED,
            "{target}"
        );
        let mut line = Line::open(world.monitor).await;
        assert_eq!(
            line.ask(&Asked::get(target, &viewer)).await.status,
            StatusCode::NOT_FOUND,
            "{target}"
        );
    }
}

fn assert_guarded(headers: &http::HeaderMap, target: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
        ("referrer-policy", "no-referrer"),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        assert_eq!(
            headers.get(name).map(|one| one.to_str().unwrap()),
            Some(value),
            "{target}"
        );
    }
    let names = headers.keys().map(http::HeaderName::as_str);
    assert!(
        names
            .filter(|name| name.starts_with("access-control-") || *name == "set-cookie")
            .count()
            == 0,
        "{target}: {headers:?}"
    );
}
