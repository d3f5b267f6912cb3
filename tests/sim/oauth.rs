//! Tokens in their three spellings, codes, rotation, expiry, introspection, revocation.

use std::time::Duration;

use serde_json::json;

use crate::world::{HUB, World};
use scopegate::sim::{Install, Rotation, Scopes, SimOptions};

const PATHS: [&str; 4] = [
    "/oauth/v1/token",
    "/oauth/v3/token",
    "/oauth/2026-03/token",
    "/oauth/2026-09/token",
];

#[tokio::test]
async fn every_token_endpoint_refreshes_and_the_token_works() {
    let world = World::plain().await;
    let (app, refresh) = world.installed();
    for path in PATHS {
        let answer = world.refresh(path, &app, &refresh).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, body["expires_in"].clone()),
            (200, json!(1800)),
            "{path}"
        );
        assert_eq!(body["token_type"], "bearer");
        assert_eq!(body["refresh_token"], refresh.as_str());
        let dated = path != "/oauth/v1/token";
        assert_eq!(body["hub_id"] == json!(HUB), dated, "{path}");
        assert_eq!(body["scopes"].is_array(), dated, "{path}");
        let access = body["access_token"].as_str().unwrap();
        assert!(access.starts_with('C') && access.len() > 100);
        assert_eq!(
            world
                .as_token("GET", "/crm/v3/objects/contacts", access, "")
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn refusals_carry_the_status_that_clients_branch_on() {
    let world = World::plain().await;
    let (app, refresh) = world.installed();
    let (other, _) = world.installed();
    let id = &app.client_id;
    let secret = app.client_secret.expose();
    let other_secret = other.client_secret.expose();
    let other_id = &other.client_id;
    for (form, status, error) in [
        (
            format!("grant_type=refresh_token&client_id={id}&client_secret={secret}&refresh_token=na1-x"),
            "BAD_REFRESH_TOKEN",
            "invalid_grant",
        ),
        (
            format!(
                "grant_type=refresh_token&client_id={other_id}&client_secret={other_secret}&refresh_token={refresh}"
            ),
            "MISMATCH_REFRESH_TOKEN_CLIENT",
            "invalid_grant",
        ),
        (
            format!("grant_type=refresh_token&client_id=x&client_secret={secret}&refresh_token={refresh}"),
            "BAD_CLIENT_ID",
            "invalid_client",
        ),
        (
            format!("grant_type=refresh_token&client_id={id}&client_secret=x&refresh_token={refresh}"),
            "BAD_CLIENT_SECRET",
            "invalid_client",
        ),
        (
            format!("grant_type=password&client_id={id}&client_secret={secret}"),
            "BAD_GRANT_TYPE",
            "unsupported_grant_type",
        ),
        (
            format!("grant_type=authorization_code&client_id={id}&client_secret={secret}&code=x"),
            "BAD_AUTH_CODE",
            "invalid_grant",
        ),
        (
            format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=tickets"),
            "BAD_SCOPES",
            "invalid_scope",
        ),
    ] {
        let dated = world.form("/oauth/2026-03/token", &form).await;
        assert_eq!(
            (dated.status, dated.json()["status"].clone()),
            (400, json!(status))
        );
        assert_eq!(dated.json()["error"], error);
        assert_eq!(dated.json()["error_description"], dated.json()["message"]);
        let old = world.form("/oauth/v1/token", &form).await;
        assert_eq!(
            (old.json()["status"].clone(), old.json().get("error")),
            (json!(status), None)
        );
    }
    let json = json!({"grant_type": "refresh_token"});
    assert_eq!(
        world.send("POST", "/oauth/v3/token", json).await.json()["status"],
        "BAD_GRANT_TYPE"
    );
    assert_eq!(world.get("/oauth/v3/token").await.status, 405);
}

#[tokio::test]
async fn a_code_works_once_with_its_redirect_uri_and_verifier() {
    let world = World::plain().await;
    let app = world.sim.oauth_app("test", &["https://a.example/cb"]);
    // RFC 7636, appendix B.
    let (verifier, challenge) = (
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    );
    let code = || {
        let install = Install::new(&app.client_id, HUB, Scopes::All);
        world
            .sim
            .authorization_code(install, "https://a.example/cb", Some(challenge))
            .unwrap()
            .expose()
            .to_owned()
    };
    let exchange = async |code: &str, redirect: &str, verifier: &str| {
        let (id, secret) = (&app.client_id, app.client_secret.expose());
        let form = format!(
            "grant_type=authorization_code&client_id={id}&client_secret={secret}&code={code}&redirect_uri={redirect}&code_verifier={verifier}"
        );
        world.form("/oauth/v3/token", &form).await
    };
    let good = code();
    assert_eq!(
        exchange(&good, "https://a.example/other", verifier).await.json()["status"],
        "MISMATCH_REDIRECT_URI_AUTH_CODE"
    );
    assert_eq!(
        exchange(&good, "https://a.example/cb", "wrong").await.json()["status"],
        "BAD_CODE_VERIFIER"
    );
    assert_eq!(
        exchange(&good, "https://a.example/cb", verifier).await.status,
        200
    );
    assert_eq!(
        exchange(&good, "https://a.example/cb", verifier).await.json()["status"],
        "BAD_AUTH_CODE"
    );
    let late = code();
    world.sim.advance(Duration::from_secs(301));
    assert_eq!(
        exchange(&late, "https://a.example/cb", verifier).await.json()["status"],
        "EXPIRED_AUTH_CODE"
    );
}

#[tokio::test]
async fn access_tokens_run_out_and_say_since_when() {
    let world = World::with(SimOptions {
        expires_in: Duration::from_secs(60),
        ..SimOptions::default()
    })
    .await;
    let (app, refresh) = world.installed();
    let token = || async {
        let body = world.refresh("/oauth/v3/token", &app, &refresh).await.json();
        body["access_token"].as_str().unwrap().to_owned()
    };
    let first = token().await;
    world.sim.advance(Duration::from_secs(65));
    let expired = world
        .as_token("GET", "/crm/v3/objects/contacts", &first, "")
        .await;
    assert_eq!(
        (expired.status, expired.json()["category"].clone()),
        (401, json!("EXPIRED_AUTHENTICATION"))
    );
    let message = expired.json()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("The OAuth token used to make this call expired 5 second(s) ago"),
        "{message}"
    );
    assert_eq!(expired.header("x-hubspot-auth-failure"), "401 Unauthorized");
    let second = token().await;
    assert_eq!(
        world
            .as_token("GET", "/crm/v3/objects/contacts", &second, "")
            .await
            .status,
        200
    );
    world.sim.expire_access_tokens();
    assert_eq!(
        world
            .as_token("GET", "/crm/v3/objects/contacts", &second, "")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_missing_malformed_or_unknown_credential_is_one_and_the_same_401() {
    let world = World::plain().await;
    for token in ["", "pat-na1-unknown", "x y"] {
        let answer = world.as_token("GET", "/crm/v3/objects/contacts", token, "").await;
        assert_eq!(
            (answer.status, answer.json()["category"].clone()),
            (401, json!("INVALID_AUTHENTICATION"))
        );
    }
    let target = format!("/crm/v3/objects/contacts?hapikey={}", world.token);
    assert_eq!(world.as_token("GET", &target, "", "").await.status, 401);
}

#[tokio::test]
async fn introspection_tells_an_app_about_its_own_tokens_only() {
    let world = World::plain().await;
    let (app, refresh) = world.installed();
    let (other, _) = world.installed();
    let access = world.refresh("/oauth/v3/token", &app, &refresh).await.json()["access_token"].clone();
    let access = access.as_str().unwrap();
    let ask = async |app: &scopegate::sim::AppCredentials, field: &str, token: &str| {
        let form = format!(
            "client_id={}&client_secret={}&{field}={token}",
            app.client_id,
            app.client_secret.expose()
        );
        world.form("/oauth/2026-03/token/introspect", &form).await.json()
    };
    for field in ["token", "access_token"] {
        let known = ask(&app, field, access).await;
        assert_eq!(
            (known["active"].clone(), known["token_use"].clone()),
            (json!(true), json!("access_token"))
        );
        assert_eq!(
            (known["hub_id"].clone(), known["user_id"].clone()),
            (json!(HUB), json!(9001))
        );
    }
    assert_eq!(ask(&app, "token", &refresh).await["token_use"], "refresh_token");
    for (app, token) in [(&other, access), (&other, refresh.as_str()), (&app, "x")] {
        assert_eq!(ask(app, "token", token).await, json!({"active": false}));
    }
    let v1 = world
        .get(&format!("/oauth/v1/access-tokens/{access}"))
        .await
        .json();
    assert_eq!(
        (v1["hub_id"].clone(), v1["token_type"].clone()),
        (json!(HUB), json!("access"))
    );
    assert_eq!(
        world
            .get(&format!("/oauth/v1/refresh-tokens/{refresh}"))
            .await
            .json()["client_id"],
        app.client_id
    );
    assert_eq!(world.get("/oauth/v1/access-tokens/x").await.status, 404);
}

#[tokio::test]
async fn a_private_app_token_and_a_service_key_are_told_by_the_info_endpoint() {
    let world = World::plain().await;
    let key = world.sim.service_key(HUB, Scopes::new(["tickets"]));
    for token in [world.token.as_str(), key.expose()] {
        let body = json!({"tokenKey": token}).to_string();
        let info = world
            .as_token("POST", "/oauth/v2/private-apps/get/access-token-info", "", &body)
            .await;
        assert_eq!((info.status, info.json()["hubId"].clone()), (200, json!(HUB)));
    }
    let body = json!({"tokenKey": "pat-na1-x"}).to_string();
    assert_eq!(
        world
            .as_token("POST", "/oauth/v2/private-apps/get/access-token-info", "", &body)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn revoking_ends_refreshing_but_not_the_tokens_already_out() {
    let world = World::plain().await;
    for path in ["/oauth/v1/refresh-tokens/", "/oauth/v3/token/revoke"] {
        let (app, refresh) = world.installed();
        let access = world.refresh("/oauth/v3/token", &app, &refresh).await.json()["access_token"].clone();
        let revoked = if path.ends_with('/') {
            world.call("DELETE", &format!("{path}{refresh}")).await.status
        } else {
            let secret = app.client_secret.expose();
            world
                .form(
                    path,
                    &format!(
                        "client_id={}&client_secret={secret}&token={refresh}",
                        app.client_id
                    ),
                )
                .await
                .status
        };
        assert!(matches!(revoked, 200 | 204));
        assert_eq!(
            world.refresh("/oauth/v3/token", &app, &refresh).await.json()["status"],
            "BAD_REFRESH_TOKEN"
        );
        let still = world
            .as_token("GET", "/crm/v3/objects/contacts", access.as_str().unwrap(), "")
            .await;
        assert_eq!(still.status, 200);
    }
}

#[tokio::test]
async fn rotation_of_refresh_tokens_is_a_switch() {
    for rotation in [
        Rotation::Stable,
        Rotation::Rotate,
        Rotation::RotateWithReuseDetection,
    ] {
        let world = World::with(SimOptions {
            rotation,
            ..SimOptions::default()
        })
        .await;
        let (app, first) = world.installed();
        let answer = world.refresh("/oauth/2026-03/token", &app, &first).await.json();
        let second = answer["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(first == second, rotation == Rotation::Stable);
        let again = world.refresh("/oauth/2026-03/token", &app, &first).await;
        assert_eq!(again.status == 200, rotation == Rotation::Stable, "{rotation:?}");
        let newest = world.refresh("/oauth/2026-03/token", &app, &second).await;
        assert_eq!(
            newest.status == 200,
            rotation != Rotation::RotateWithReuseDetection,
            "{rotation:?}"
        );
    }
}
