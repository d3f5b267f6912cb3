//! Replacing what is long-lived while a gate runs: an app's secret, a connection's credential.

use super::*;
use crate::access::connection::CredentialKind;
use crate::access::label::Labels;
use crate::store::Resumed;
use crate::tokens::{
    BringError, Brought, EnrolError, ResumeError, SecretError, SecretRotated, SecretRotation, Wished,
};

const CHECKED: SecretRotation = SecretRotation {
    now: false,
    unchecked: false,
};

const UNCHECKED: SecretRotation = SecretRotation {
    now: false,
    unchecked: true,
};

fn app(world: &World) -> crate::store::AppRow {
    world.store.app("marketing").unwrap().unwrap()
}

async fn rotate_secret(world: &World, text: &str, how: SecretRotation) -> Result<SecretRotated, SecretError> {
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    enrolment
        .rotate_secret(&app(world), &secret(text), how, &by_test())
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_because_of_a_wrong_secret_asks_at_once_when_it_is_changed() {
    let world = World::new().await;
    let gate = world.gate();
    world.fake.set(|state| state.secret = "canary-new".to_owned());
    for _ in 0..3 {
        assert!(matches!(
            gate.lease().await,
            Err(CredentialError::Unavailable { .. })
        ));
    }
    let calls = world.fake.calls();
    assert_eq!(calls, 1, "the others waited");
    assert_eq!(world.standing(), Standing::Ok);
    let refused = rotate_secret(&world, "wrong", CHECKED).await;
    assert!(matches!(refused, Err(SecretError::Refused(_))));
    assert_eq!(
        rotate_secret(&world, "canary-new", CHECKED).await.unwrap(),
        SecretRotated::First
    );
    gate.follow();
    assert!(gate.lease().await.is_ok());
    assert_eq!(world.row().health, None);
    world.assert_no_canary_on_disk();
}

#[tokio::test]
async fn a_secret_that_nobody_can_check_is_stored_on_request_and_rolled_back() {
    let world = World::new().await;
    let rotated = rotate_secret(&world, "not-yet", UNCHECKED).await.unwrap();
    assert_eq!(rotated, SecretRotated::First);
    let third = rotate_secret(&world, "third", UNCHECKED).await;
    assert!(matches!(third, Err(SecretError::UnderWay(_))));
    let again = rotate_secret(&world, "not-yet", CHECKED).await.unwrap();
    assert_eq!(again, SecretRotated::Already);

    // The first does not work, so the second must not be dropped.
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let finished = enrolment.finish_secret(&app(&world), false, &by_test()).await;
    assert!(matches!(finished, Err(SecretError::NotProven { .. })));
    let back = rotate_secret(&world, "canary-app-secret", CHECKED).await.unwrap();
    assert_eq!(back, SecretRotated::Back);
    assert!(
        enrolment
            .finish_secret(&app(&world), false, &by_test())
            .await
            .unwrap()
    );
    assert!(
        !enrolment
            .finish_secret(&app(&world), false, &by_test())
            .await
            .unwrap()
    );
    assert!(app(&world).other_secret.is_none());
    let gate = world.gate();
    assert!(gate.lease().await.is_ok());
}

#[tokio::test]
async fn a_leaked_secret_is_dropped_at_once() {
    let world = World::new().await;
    world.fake.set(|state| state.secret = "canary-new".to_owned());
    let now = SecretRotation {
        now: true,
        unchecked: false,
    };
    assert_eq!(
        rotate_secret(&world, "canary-new", now).await.unwrap(),
        SecretRotated::First
    );
    let row = app(&world);
    assert_eq!((row.secret.1, row.other_secret.is_none()), (2, true));
}

#[tokio::test]
async fn the_secret_that_works_is_not_dropped_at_once_for_one_that_nobody_vouches_for() {
    let world = World::new().await;
    world.fake.set(|state| state.introspects = false);
    let now = |unchecked| SecretRotation { now: true, unchecked };
    let refused = rotate_secret(&world, "a-slip", now(false)).await;
    assert!(matches!(refused, Err(SecretError::NotProven { .. })));
    let row = app(&world);
    assert_eq!((row.secret.1, row.other_secret.is_none()), (1, true));
    // On an operator's word, and beside the old one.
    assert!(matches!(
        rotate_secret(&world, "new", CHECKED).await.unwrap(),
        SecretRotated::Unchecked(_)
    ));
    assert_eq!(
        rotate_secret(&world, "canary-new", now(true)).await.unwrap(),
        SecretRotated::First
    );
    assert!(app(&world).other_secret.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_secret_that_works_is_told_apart() {
    let world = World::new().await;
    rotate_secret(&world, "not-yet", UNCHECKED).await.unwrap();
    let gate = world.gate();
    assert!(gate.lease().await.is_ok());
    eventually("noted", || app(&world).worked.is_some()).await;
    assert_eq!(app(&world).worked.map(|(version, _)| version), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_gate_forgets_the_old_grants_token_and_asks_with_the_new_one() {
    let world = World::new().await;
    let gate = world.gate();
    let old = token_of(&gate.lease().await.unwrap());
    world.fake.set(|state| state.refresh = "canary-other".to_owned());
    let endpoints = Endpoints::default();
    let rotated = world
        .enrolment(&endpoints)
        .rotate(
            &world.row(),
            CredentialKind::OAuth,
            &secret("canary-other"),
            &by_test(),
        )
        .await
        .unwrap();
    assert_eq!((rotated.standing, rotated.same), (Standing::Ok, false));
    gate.follow();
    let new = token_of(&gate.lease().await.unwrap());
    assert_ne!(old, new);
    assert_eq!(world.fake.calls(), 2);
    world.assert_no_canary_on_disk();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_grant_is_replaced_and_what_is_not_the_portals_is_not_taken() {
    let world = World::new().await;
    let gate = world.gate();
    world.fake.set(|state| state.refresh = "canary-other".to_owned());
    assert_eq!(
        gate.lease().await.unwrap_err(),
        CredentialError::Blocked(Standing::Dead)
    );
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let rotate = async |kind, text: &str| {
        enrolment
            .rotate(&world.row(), kind, &secret(text), &by_test())
            .await
    };
    let before = world.row();
    world.fake.set(|state| state.hub_id = Some(1));
    let foreign = rotate(CredentialKind::OAuth, "canary-other").await;
    assert!(matches!(foreign, Err(EnrolError::WrongPortal { found: 1, .. })));
    world.fake.set(|state| state.hub_id = Some(PORTAL));
    let unknown = rotate(CredentialKind::OAuth, "nobodys").await;
    assert!(matches!(unknown, Err(EnrolError::NotGood)));
    let kind = rotate(CredentialKind::PrivateApp, "pat-na1-canary").await;
    assert!(matches!(kind, Err(EnrolError::OtherKind(_))));
    assert_eq!(world.row().generation, before.generation);
    rotate(CredentialKind::OAuth, "canary-other").await.unwrap();
    gate.follow();
    assert!(gate.lease().await.is_ok());
    assert_eq!(world.standing(), Standing::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_grant_that_was_replaced_meanwhile_stops_nobody() {
    let world = World::new().await;
    let gate = world.gate();
    world.fake.set(|state| {
        state.refresh = "canary-other".to_owned();
        state.delay = Duration::from_secs(1);
    });
    let asking = {
        let (live, acme) = (gate.live.clone(), gate.acme());
        tokio::spawn(async move { live.lease(&acme, permit()).await.map(|_| ()) })
    };
    eventually("asked with the old grant", || world.row().intent.is_some()).await;
    let endpoints = Endpoints::default();
    let (row, other) = (world.row(), secret("canary-other"));
    let sealed = world
        .enrolment(&endpoints)
        .seal_new(&row.id, row.kind, row.generation + 1, &other)
        .unwrap();
    let new = crate::store::NewCredential {
        kind: row.kind,
        data_key: sealed.data_key,
        access: None,
        refresh: sealed.refresh,
        user_id: Some(77),
        email: None,
        scopes: Vec::new(),
        handed: crate::vault::CredentialDigest::of(&other),
        same: false,
    };
    world.store.replace_credential(&row, &new, &by_test()).unwrap();
    world.fake.set(|state| state.delay = Duration::ZERO);
    assert!(asking.await.unwrap().is_err());
    assert_eq!(world.standing(), Standing::Ok);
    gate.follow();
    assert_eq!(gate.acme().standing(), Standing::Ok);
    for _ in 0..400 {
        if gate.lease().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the new grant is never asked with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_brought_in_again_changes_nothing_even_when_the_server_has_rotated_the_grant() {
    let world = World::new().await;
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let wished = |name: Option<&str>, token: &str, labels: &str| Wished {
        name: name.map(super::name),
        default_name: super::name("marketing-62515"),
        portal: portal(),
        app: "marketing".to_owned(),
        refresh_token: secret(token),
        labels: Labels::new([labels.parse().unwrap()]).unwrap(),
    };
    let bring = async |wished: Wished, replace| enrolment.bring(&wished, replace, &by_test()).await;
    let first = || wished(None, "canary-refresh-0", "region=eu");
    assert_eq!(bring(first(), false).await.unwrap(), Brought::Labelled);
    assert_eq!(bring(first(), false).await.unwrap(), Brought::Unchanged);
    let gate = world.gate();
    assert!(gate.lease().await.is_ok());
    assert_eq!(world.row().generation, 2, "the grant has rotated");
    assert_eq!(bring(first(), true).await.unwrap(), Brought::Unchanged);
    assert_eq!(
        bring(wished(None, "canary-refresh-1", "region=eu"), true)
            .await
            .unwrap(),
        Brought::Unchanged
    );

    let other = || wished(None, "canary-other", "tier=gold");
    assert!(matches!(
        bring(other(), false).await,
        Err(BringError::OtherGrant(_))
    ));
    let named = wished(Some("other"), "canary-refresh-0", "region=eu");
    assert!(matches!(bring(named, false).await, Err(BringError::OtherName(_))));
    world.fake.set(|state| state.refresh = "canary-other".to_owned());
    assert_eq!(
        bring(other(), true).await.unwrap(),
        Brought::Replaced(Standing::Ok)
    );
    let labels = Labels::of_stored(&world.row().labels).to_text();
    assert_eq!(labels, "region=eu tier=gold");
    assert_eq!(world.row().name, name("acme"));
}

#[tokio::test]
async fn a_line_that_can_not_be_met_whole_changes_nothing_and_a_damaged_record_is_replaced() {
    let world = World::new().await;
    let endpoints = Endpoints::default();
    let enrolment = world.enrolment(&endpoints);
    let label = |number: usize| format!("k{number}=v").parse().unwrap();
    let sixteen = Labels::new((0..16).map(label)).unwrap();
    world
        .store
        .set_labels(&[(world.row().id, sixteen)], &by_test())
        .unwrap();
    world.fake.set(|state| state.refresh = "canary-other".to_owned());
    let wished = |labels: Labels| Wished {
        name: None,
        default_name: name("marketing-62515"),
        portal: portal(),
        app: "marketing".to_owned(),
        refresh_token: secret("canary-other"),
        labels,
    };
    let bring = async |wished: Wished, replace| enrolment.bring(&wished, replace, &by_test()).await;
    let one_more = Labels::new([label(16)]).unwrap();
    let refused = bring(wished(one_more), true).await;
    assert!(matches!(refused, Err(BringError::Labels(_))));
    assert_eq!(world.row().generation, 1, "nor is the grant replaced");

    let rusqlite = rusqlite::Connection::open(world.store.path()).unwrap();
    rusqlite
        .execute(
            "UPDATE connections SET refresh_token = x'00', handed_digest = NULL",
            [],
        )
        .unwrap();
    let none = Labels::default;
    assert!(matches!(
        bring(wished(none()), false).await,
        Err(BringError::Enrol(EnrolError::Vault(_)))
    ));
    assert_eq!(
        bring(wished(none()), true).await.unwrap(),
        Brought::Replaced(Standing::Ok)
    );
}

#[tokio::test]
async fn a_pending_connection_is_accepted_when_hubspot_vouches_for_it_or_can_not_tell() {
    let endpoints = Endpoints::default();
    let pending = async || {
        let world = World::new().await;
        let id = world.row().id;
        let rusqlite = rusqlite::Connection::open(world.store.path()).unwrap();
        rusqlite
            .execute(
                "UPDATE connections SET standing = 'pending', whose = 'unknown'",
                [],
            )
            .unwrap();
        (world, id)
    };
    let (world, _) = pending().await;
    let resumed = world.enrolment(&endpoints).resume(&world.row(), &by_test()).await;
    assert_eq!(resumed.unwrap(), Resumed::Passes(Standing::Ok));
    assert_eq!(world.standing(), Standing::Ok);

    let (world, _) = pending().await;
    world.fake.set(|state| state.hub_id = None);
    let resumed = world.enrolment(&endpoints).resume(&world.row(), &by_test()).await;
    assert_eq!(resumed.unwrap(), Resumed::Passes(Standing::Unverified));
    assert_eq!(world.standing(), Standing::Unverified);

    for (hub_id, refresh) in [(1, "canary-refresh-0"), (PORTAL, "gone")] {
        let (world, _) = pending().await;
        world.fake.set(|state| {
            state.hub_id = Some(hub_id);
            state.refresh = refresh.to_owned();
        });
        let error = world
            .enrolment(&endpoints)
            .resume(&world.row(), &by_test())
            .await
            .unwrap_err();
        assert!(matches!(
            error,
            ResumeError::WrongPortal { .. } | ResumeError::NotTold { .. }
        ));
        assert!(error.to_string().contains("stays pending"), "{error}");
        assert_eq!(world.standing(), Standing::Pending);
    }

    // Vouched for at the install already.
    let (world, id) = pending().await;
    let rusqlite = rusqlite::Connection::open(world.store.path()).unwrap();
    rusqlite
        .execute("UPDATE connections SET whose = 'own'", [])
        .unwrap();
    assert_eq!(
        world.store.resume(&id, &by_test()).unwrap(),
        Resumed::Passes(Standing::Ok)
    );
}
