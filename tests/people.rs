//! People who leave: what a watcher sees, what each policy makes of it, and what operators are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use scopegate::sim::{Scopes, UserState};
use support::{PORTAL, Setup, World, path, policy, write_secret};

/// Who made the private app behind `acme`: the portal's first user.
const INSTALLER: u64 = 9001;

const CONTACT: &str = "/crm/v3/objects/contacts/1001";
const CONTACTS: &str = "/crm/v3/objects/contacts?limit=1";
const CHANGE: &str = r#"{"properties":{"firstname":"Ann"}}"#;

const RULES: &str = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n";

/// Three integrations, one of each rule, and a watcher that polls every second.
async fn world() -> World {
    let rule = |name, rule: &str| (name, policy(name, &format!("{RULES}{rule}")));
    let world = World::with(Setup {
        policies: vec![
            rule("blocked", ""),
            rule(
                "reading",
                "installer_removed: read-only\ninstaller_lost_rights: block\n",
            ),
            rule(
                "alerted",
                "installer_removed: alert\ninstaller_lost_rights: alert\n",
            ),
        ],
        config: "people: { watchers: [hubspot-watcher], every: 1s }\n".to_owned(),
        ..Setup::default()
    })
    .await;
    add_watcher(
        &world,
        &[
            "settings.users.read",
            "crm.objects.owners.read",
            "account-info.security.read",
        ],
    );
    world
}

fn add_watcher(world: &World, scopes: &[&str]) {
    let token = world
        .sim
        .private_app(PORTAL, Scopes::new(scopes.iter().map(ToString::to_string)));
    let file = world.dir.path().join("watcher-token");
    write_secret(&file, token.expose());
    let output = world.command(&[
        "connection",
        "add",
        "hubspot-watcher",
        "--portal",
        &PORTAL.to_string(),
        "--token-file",
        path(&file),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Status of a read and of a write.
async fn served(world: &World, key: &str) -> (u16, u16) {
    (
        world.get(CONTACTS, key).await.status.as_u16(),
        world
            .send("PATCH", CONTACT, key, Some(CHANGE))
            .await
            .status
            .as_u16(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_installer_stops_what_each_policy_says_within_two_polls() {
    let world = world().await;
    let keys = ["blocked", "reading", "alerted"].map(|name| world.key(name));
    for key in &keys {
        assert_eq!(served(&world, key).await, (200, 200));
    }
    world.sim.set_user_state(PORTAL, INSTALLER, UserState::Removed);
    world
        .until("blocked", async |world| {
            served(world, &keys[0]).await == (401, 401)
        })
        .await;
    let answer = world.get(CONTACTS, &keys[0]).await;
    assert_eq!(answer.sub_category(), "scopegate.connection");
    assert_eq!(answer.json()["context"]["state"][0], "installer_removed");
    assert_eq!(served(&world, &keys[1]).await, (200, 403));
    let answer = world.send("PATCH", CONTACT, &keys[1], Some(CHANGE)).await;
    assert_eq!(answer.sub_category(), "scopegate.denied");
    assert_eq!(answer.json()["errors"][0]["code"], "connection_installer_removed");
    assert_eq!(answer.json()["errors"][0]["context"]["lacks"][0], "installer");
    assert_eq!(answer.headers["x-should-retry"], "false");
    assert!(answer.decision().contains("rule=reading#installer_removed"));
    assert_eq!(served(&world, &keys[2]).await, (200, 200));
    let metrics = world.metrics().await;
    assert!(
        metrics.contains(r#"scopegate_installer_alerts_total{installer="gone",integration="alerted"} 2"#),
        "{metrics}"
    );
    assert!(metrics.contains(r#"scopegate_findings{kind="installer_removed"}"#));
}
