//! What adding a connection finds out, and what it leaves behind when it fails.

use super::*;
use crate::store::Resumed;
use crate::tokens::{EnrolError, ResumeError};

async fn with_app(client_secret: &str) -> World {
    let world = World::empty().await;
    world
        .enrolment(&Endpoints::default())
        .add_app("marketing", "client-1", &secret(client_secret), None, &by_test())
        .unwrap();
    world
}

async fn add(world: &World, portal: u64, app: &str, refresh: &str) -> Result<bool, EnrolError> {
    let endpoints = Endpoints::default();
    let portal = PortalId::new(portal).unwrap();
    let enrolment = world.enrolment(&endpoints);
    let added = enrolment
        .add_grant(&name("acme"), portal, app, &secret(refresh), &by_test())
        .await?;
    Ok(added.unverified.is_none())
}

#[tokio::test]
async fn a_known_grant_is_stored_with_scopes_and_installer_and_not_used_up() {
    let world = with_app("canary-app-secret").await;
    assert!(
        add(&world, PORTAL, "marketing", "canary-refresh-0")
            .await
            .unwrap()
    );
    let row = world.row();
    assert_eq!((row.standing, row.user_id), (Standing::Ok, Some(77)));
    assert_eq!(row.scopes, ["oauth"]);
    assert_eq!(world.fake.calls(), 0);
    world.assert_no_canary_on_disk();
}

#[tokio::test]
async fn what_is_wrong_for_certain_leaves_nothing_behind() {
    let world = with_app("canary-app-secret").await;
    let wrong_portal = add(&world, 1, "marketing", "canary-refresh-0").await;
    assert!(matches!(
        wrong_portal,
        Err(EnrolError::WrongPortal { found: PORTAL, .. })
    ));
    let dead = add(&world, PORTAL, "marketing", "dead").await;
    assert!(matches!(dead, Err(EnrolError::NotGood)));
    let no_app = add(&world, PORTAL, "sales", "canary-refresh-0").await;
    assert!(matches!(no_app, Err(EnrolError::NoSuchApp(_))));
    let other = with_app("wrong").await;
    let wrong_client = add(&other, PORTAL, "marketing", "canary-refresh-0").await;
    assert!(matches!(wrong_client, Err(EnrolError::WrongClient(_))));
    for world in [&world, &other] {
        assert!(world.store.connections().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_connected_to_a_portal_once() {
    let world = with_app("canary-app-secret").await;
    add(&world, PORTAL, "marketing", "canary-refresh-0")
        .await
        .unwrap();
    let endpoints = Endpoints::default();
    let again = world
        .enrolment(&endpoints)
        .add_grant(
            &name("acme-2"),
            portal(),
            "marketing",
            &secret("canary-refresh-0"),
            &by_test(),
        )
        .await;
    let message = again.unwrap_err().to_string();
    assert!(
        message.contains("connected to portal 62515 already, as `acme`"),
        "{message}"
    );
}

#[tokio::test]
async fn a_grant_of_another_portal_is_resumed_only_by_what_hubspot_says() {
    let world = with_app("canary-app-secret").await;
    add(&world, PORTAL, "marketing", "canary-refresh-0")
        .await
        .unwrap();
    let endpoints = Endpoints::default();
    let id = world.row().id;
    world.store.suspend_foreign(&id, "why", "x", &by_test()).unwrap();
    let resume = async || world.enrolment(&endpoints).resume(&world.row(), &by_test()).await;
    world.fake.set(|state| state.hub_id = Some(1));
    assert!(matches!(
        resume().await,
        Err(ResumeError::WrongPortal { found: 1, .. })
    ));
    assert_eq!(world.standing(), Standing::Suspended);
    world.fake.set(|state| state.hub_id = Some(PORTAL));
    assert_eq!(resume().await.unwrap(), Resumed::Passes(Standing::Ok));
    assert_eq!(world.fake.calls(), 0, "asking uses nothing up");
}
