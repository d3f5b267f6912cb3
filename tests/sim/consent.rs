//! HubSpot's consent page: what it asks, what it shows instead of coming back, and the steps of its marketplace.

use serde_json::json;

use crate::world::{HUB, World};
use scopegate::sim::{AppCredentials, AppScopes};

const BACK: &str = "https://a.example/cb";

async fn world() -> (World, AppCredentials) {
    let world = World::plain().await;
    let app = world.sim.oauth_app("Reports & more", &[BACK]);
    (world, app)
}

fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    query.finish()
}

#[tokio::test]
async fn a_person_who_agrees_is_sent_back_with_a_code_that_works_once() {
    let (world, app) = world().await;
    let asked = [
        ("client_id", &*app.client_id),
        ("redirect_uri", BACK),
        ("scope", "oauth crm.objects.contacts.read"),
        ("optional_scope", "crm.lists.read files"),
        ("state", "s"),
    ];
    let page = world
        .get(&format!("/oauth/{HUB}/authorize?{}", query(&asked)))
        .await;
    let text = page.text();
    assert_eq!(page.status, 200);
    for shown in [
        "Reports &amp; more",
        "crm.lists.read",
        &format!("value=\"{HUB}\" selected"),
    ] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    world.sim.withhold_scopes(HUB, &["files"]);
    let form = format!("{}&portal={HUB}&decision=allow", query(&asked));
    let back = world.form("/oauth/authorize", &form).await;
    let location = back.header("location").to_owned();
    assert_eq!(back.status, 302);
    assert!(
        location.starts_with(&format!("{BACK}?code=na1-")) && location.ends_with("&state=s"),
        "{location}"
    );
    let code = location.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let (id, secret) = (&app.client_id, app.client_secret.expose());
    let exchange = format!(
        "grant_type=authorization_code&client_id={id}&client_secret={secret}&code={code}&redirect_uri={BACK}"
    );
    let tokens = world.form("/oauth/2026-03/token", &exchange).await.json();
    assert_eq!(
        tokens["scopes"],
        json!(["crm.lists.read", "crm.objects.contacts.read", "oauth"])
    );
    let again = world.form("/oauth/2026-03/token", &exchange).await.json();
    assert_eq!(again["status"], "BAD_AUTH_CODE");
    let no = format!("{}&portal={HUB}&decision=cancel", query(&asked));
    let no = world.form("/oauth/authorize", &no).await;
    assert!(
        no.header("location").contains("error=access_denied"),
        "{}",
        no.header("location")
    );
}

#[tokio::test]
async fn mistakes_of_the_question_are_shown_and_never_sent_to_the_app() {
    let (world, app) = world().await;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    world.sim.configure_scopes(
        &app.client_id,
        AppScopes {
            required: names(&["tickets"]),
            conditional: names(&["forms"]),
            optional: names(&["files"]),
        },
    );
    let good = [
        ("client_id", &*app.client_id),
        ("redirect_uri", BACK),
        ("scope", "oauth tickets forms"),
        ("optional_scope", "files"),
    ];
    assert_eq!(
        world
            .get(&format!("/oauth/authorize?{}", query(&good)))
            .await
            .status,
        200
    );
    for (name, value, word) in [
        ("client_id", "nobody", "BAD_CLIENT_ID"),
        ("redirect_uri", "https://a.example/cb/", "MISMATCH_REDIRECT_URI"),
        ("scope", "", "BAD_SCOPES"),
        ("scope", "oauth", "scopes are insufficient"),
        ("scope", "tickets files", "Scope mismatch"),
        ("scope", "tickets offline", "Scope mismatch"),
        ("scope", "tickets contacts", "DEPRECATED_CONTACTS_SCOPE"),
        ("optional_scope", "forms", "Scope mismatch"),
    ] {
        let mut asked = good;
        for pair in &mut asked {
            if pair.0 == name {
                pair.1 = value;
            }
        }
        let shown = world.get(&format!("/oauth/authorize?{}", query(&asked))).await;
        assert_eq!(shown.status, 400, "{name}={value}");
        assert!(shown.text().contains(word), "{name}={value}: {}", shown.text());
    }
    for (portal, user, word) in [
        ("1", "", "HUB_UNAUTHORIZED"),
        (&*HUB.to_string(), "77", "USER_UNAUTHORIZED"),
    ] {
        let form = format!("{}&portal={portal}&user_id={user}&decision=allow", query(&good));
        let shown = world.form("/oauth/authorize", &form).await;
        assert_eq!(shown.status, 403);
        assert!(shown.text().contains(word), "{}", shown.text());
    }
    world.sim.withhold_scopes(HUB, &["tickets"]);
    let form = format!("{}&portal={HUB}&decision=allow", query(&good));
    assert!(
        world
            .form("/oauth/authorize", &form)
            .await
            .text()
            .contains("MISSING_SCOPE_GROUP")
    );
}

#[tokio::test]
async fn the_marketplace_asks_the_app_first_and_comes_back_twice() {
    let (world, app) = world().await;
    let first = world
        .get(&format!("/oauth/marketplace?client_id={}", app.client_id))
        .await;
    let location = first.header("location").to_owned();
    assert!(
        location.starts_with(&format!("{BACK}?step=authorize&returnUrl=http")),
        "{location}"
    );
    let asked = [
        ("client_id", &*app.client_id),
        ("redirect_uri", BACK),
        ("scope", "oauth"),
        ("step", "finalize"),
    ];
    let form = format!("{}&portal={HUB}&decision=allow", query(&asked));
    let back = world.form("/oauth/authorize", &form).await;
    let location = back.header("location").to_owned();
    assert!(
        location.contains("step=finalize") && location.contains("returnUrl="),
        "{location}"
    );
}
