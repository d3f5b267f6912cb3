//! Nothing that opens anything comes out of any route, and nothing a caller wrote comes back in a no.

use std::fmt::Write as _;

use scopegate::admin::ROUTES;

use crate::ask::{Asked, Line, ask, credential};
use crate::support::{Setup, World, policy};

/// A text as itself, in base64 (both alphabets, at every offset) and in hexadecimal.
fn forms(secret: &str) -> Vec<String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let hex = secret.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let mut forms = vec![secret.to_owned(), hex.to_ascii_uppercase(), hex];
    for skip in 0..3 {
        let rest = &secret.as_bytes()[skip..];
        let whole = &rest[..rest.len() / 3 * 3];
        forms.push(STANDARD_NO_PAD.encode(whole));
        forms.push(URL_SAFE_NO_PAD.encode(whole));
    }
    forms
}

#[tokio::test]
async fn no_route_gives_out_a_token_a_secret_a_hash_or_a_hidden_value() {
    let hiding = policy(
        "reader",
        "allow:\n  - scope: crm.objects.contacts.read\nproperties:\n  contacts: { read: { except: [email] } }\n",
    );
    let world = World::with(Setup {
        policies: vec![("reader", hiding), ("writer", crate::support::writer())],
        ..Setup::default()
    })
    .await;
    let security = credential(&world, "sec", "security");
    let key = world.key("reader");
    // Traffic, so that health, denials and findings have something to tell.
    let seen = world.get("/crm/v3/objects/contacts/1001", &key).await;
    assert!(seen.status.is_success());
    world
        .send("DELETE", "/crm/v3/objects/contacts/1001", &key, None)
        .await;
    let master = std::fs::read_to_string(world.home().join("data/master.key")).unwrap();
    let mut secrets = vec![
        ("upstream token", world.upstream_token.clone()),
        ("key", key[18..61].to_owned()),
        ("credential", security[17..60].to_owned()),
        ("master key", master.trim().to_owned()),
    ];
    let hidden = hidden_value(&world).await;
    secrets.push(("hidden value", hidden));
    let store = scopegate::store::Store::open_existing(&world.home().join("data/scopegate.db")).unwrap();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    };
    let key_hash = hex(&store.keys().unwrap()[0].hash.to_stored());
    let credential_hash = hex(&store.admin_credentials().unwrap()[0].hash.to_stored());
    let mut answers = 0;
    for route in ROUTES {
        for named in ["acme", "reader", &key[5..17], "1"] {
            let target = ["{name}", "{integration}", "{id}"]
                .iter()
                .fold(route.path.to_owned(), |path, braces| path.replace(braces, named));
            let bodies: &[&str] = match route.method {
                "GET" => &[""],
                _ => &[
                    r#"{"reason":"canary"}"#,
                    r#"{"set":["a=b"],"reason":"canary"}"#,
                    r#"{"kind":"portal","subject":"4242","reason":"canary"}"#,
                    r#"{"method":"GET","target":"/crm/v3/objects/contacts/1001","integration":"reader"}"#,
                ],
            };
            for body in bodies {
                let asked = match route.method {
                    "GET" => Asked::get(&target, &security),
                    _ => Asked::post(&target, &security, body),
                };
                let told = ask(&world, &asked).await;
                answers += 1;
                let whole = format!("{:?}\n{}", told.headers, told.text);
                for (what, secret) in &secrets {
                    for form in forms(secret) {
                        assert!(
                            !whole.contains(&form),
                            "{what} in {} {target}: {whole}",
                            route.method
                        );
                    }
                }
                for hash in [&key_hash, &credential_hash] {
                    assert!(!whole.to_ascii_lowercase().contains(hash.as_str()), "{target}");
                }
            }
        }
    }
    assert!(answers > 150, "{answers}");
}

/// The e-mail address of the contact: what the policy hides, as HubSpot has it.
async fn hidden_value(world: &World) -> String {
    let key = world.key("writer");
    let told = world
        .get("/crm/v3/objects/contacts/1001?properties=email", &key)
        .await;
    told.json()["properties"]["email"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_no_repeats_nothing_of_what_was_asked() {
    const CANARY: &str = "canary7f3a91";
    let world = World::plain().await;
    let security = credential(&world, "sec", "security");
    let path = format!("/v1/connections/{CANARY}");
    let query = format!("/v1/keys?after={CANARY}&{CANARY}=1");
    let limit = format!("/v1/keys?limit={CANARY}");
    let since = format!("/v1/denials?since={CANARY}");
    let suspend = format!("/v1/connections/{CANARY}/suspend");
    let field = format!(r#"{{"reason":"x","{CANARY}":1}}"#);
    let kind = format!(r#"{{"kind":"{CANARY}","subject":"{CANARY}","reason":"x"}}"#);
    let label = format!(r#"{{"set":["{CANARY}"],"reason":"x"}}"#);
    let integration = format!(r#"{{"method":"GET","target":"/","integration":"{CANARY}"}}"#);
    let token = format!("sga_{CANARY}");
    let mut asked = vec![
        Asked::get(&path, &security),
        Asked::get(&query, &security),
        Asked::get(&limit, &security),
        Asked::get(&since, &security),
        Asked::get("/v1/status", &token),
        Asked::post(&suspend, &security, r#"{"reason":"x"}"#),
        Asked::post("/v1/kill", &security, &field),
        Asked::post("/v1/kill", &security, &kind),
        Asked::post("/v1/connections/acme/labels", &security, &label),
        Asked::post("/v1/explain", &security, &integration),
    ];
    let good = Asked::get("/v1/status", &security);
    asked.push(Asked {
        host: Some(CANARY),
        ..good
    });
    asked.push(Asked {
        origin: Some(CANARY),
        ..good
    });
    for asked in asked {
        let told = Line::open(world.monitor).await.ask(&asked).await;
        assert!(told.status.is_client_error(), "{}: {}", asked.target, told.text);
        let whole = format!("{:?}\n{}", told.headers, told.text);
        assert!(!whole.contains(CANARY), "{}: {whole}", asked.target);
    }
}
