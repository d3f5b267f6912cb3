//! Installed apps and portals: uninstalling, secrets, removed installers, portals that move.

use serde_json::{Value, json};

use crate::world::{HUB, World};
use scopegate::sim::{Install, OnInstallerRemoved, PortalOptions, PortalState, Scopes, UserState};

#[tokio::test]
async fn an_app_that_uninstalls_itself_is_gone_at_once() {
    let world = World::plain().await;
    let (app, refresh) = world.installed();
    let access = world.refresh("/oauth/v3/token", &app, &refresh).await.json()["access_token"].clone();
    let access = access.as_str().unwrap();
    let answer = world
        .as_token("DELETE", "/appinstalls/2026-03/external-install", access, "")
        .await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        world
            .as_token("GET", "/crm/v3/objects/contacts", access, "")
            .await
            .status,
        401
    );
    assert_eq!(
        world.refresh("/oauth/v3/token", &app, &refresh).await.json()["status"],
        "BAD_REFRESH_TOKEN"
    );
}

#[tokio::test]
async fn two_client_secrets_are_valid_while_one_is_rotated() {
    let world = World::plain().await;
    let (app, refresh) = world.installed();
    let mut newer = app.clone();
    newer.client_secret = world.sim.rotate_client_secret(&app.client_id).unwrap();
    for app in [&app, &newer] {
        assert_eq!(world.refresh("/oauth/v3/token", app, &refresh).await.status, 200);
    }
    world.sim.retire_client_secrets(&app.client_id);
    assert_eq!(
        world.refresh("/oauth/v3/token", &app, &refresh).await.json()["status"],
        "BAD_CLIENT_SECRET"
    );
    assert_eq!(
        world.refresh("/oauth/v3/token", &newer, &refresh).await.status,
        200
    );
}

#[tokio::test]
async fn what_a_removed_installer_means_is_set_per_install() {
    let world = World::plain().await;
    for (rule, read, write, refreshed) in [
        (OnInstallerRemoved::ReadOnly, 200, 403, 200),
        (OnInstallerRemoved::Unaffected, 200, 200, 200),
        (OnInstallerRemoved::Revoked, 401, 401, 400),
    ] {
        let app = world.sim.oauth_app("test", &[]);
        let mut install = Install::new(&app.client_id, HUB, Scopes::All);
        install.user_id = Some(9003);
        install.on_installer_removed = rule;
        let refresh = world.sim.install(install).unwrap();
        let access = world
            .refresh("/oauth/v3/token", &app, refresh.expose())
            .await
            .json()["access_token"]
            .clone();
        let access = access.as_str().unwrap();
        world.sim.set_user_state(HUB, 9003, UserState::Removed);
        let target = "/crm/v3/objects/contacts/1001";
        assert_eq!(
            world.as_token("GET", target, access, "").await.status,
            read,
            "{rule:?}"
        );
        let change = r#"{"properties":{"city":"Bonn"}}"#;
        let written = world.as_token("PATCH", target, access, change).await;
        assert_eq!(written.status, write, "{rule:?}");
        assert_eq!(
            written.text().contains("USER_DOES_NOT_HAVE_PERMISSIONS"),
            write == 403
        );
        let search = world
            .as_token("POST", "/crm/v3/objects/contacts/search", access, "{}")
            .await;
        assert_eq!(search.status, read, "a search is a read");
        assert_eq!(
            world
                .refresh("/oauth/v3/token", &app, refresh.expose())
                .await
                .status,
            refreshed,
            "{rule:?}"
        );
        world.sim.set_user_state(HUB, 9003, UserState::Active);
    }
}

#[tokio::test]
async fn a_portal_that_moves_or_is_suspended_answers_so() {
    let world = World::plain().await;
    world.sim.set_portal_state(
        HUB,
        PortalState::Migrating {
            retry_after_seconds: 90,
        },
    );
    let moving = world.get("/crm/v3/objects/contacts").await;
    assert_eq!((moving.status, moving.header("retry-after")), (477, "90"));
    world.sim.set_portal_state(HUB, PortalState::Paused);
    assert_eq!(world.get("/crm/v3/objects/contacts").await.status, 403);
    world.sim.set_portal_state(HUB, PortalState::Open);
    assert_eq!(world.get("/crm/v3/objects/contacts").await.status, 200);
}

#[tokio::test]
async fn a_token_opens_its_own_portal_and_no_other() {
    let world = World::plain().await;
    world.sim.add_portal(PortalOptions {
        hublet: "eu1".into(),
        ..PortalOptions::new(2002)
    });
    let token = world.sim.private_app(2002, Scopes::All);
    assert!(token.expose().starts_with("pat-eu1-"));
    let change = r#"{"properties":{"city":"Here"}}"#;
    world
        .as_token("PATCH", "/crm/v3/objects/contacts/1001", token.expose(), change)
        .await;
    let here = world
        .as_token(
            "GET",
            "/crm/v3/objects/contacts/1001?properties=city",
            token.expose(),
            "",
        )
        .await;
    let there = world.get("/crm/v3/objects/contacts/1001?properties=city").await;
    assert_eq!(here.json()["properties"]["city"], "Here");
    assert_ne!(there.json()["properties"]["city"], "Here");
    let details: Value = world
        .as_token("GET", "/account-info/v3/details", token.expose(), "")
        .await
        .json();
    assert_eq!(
        (details["portalId"].clone(), details["uiDomain"].clone()),
        (json!(2002), json!("app-eu1.hubspot.com"))
    );
}
