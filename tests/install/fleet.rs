//! Installs that no operator asked for: HubSpot's marketplace and a published link, one portal or 300.

use std::collections::BTreeSet;

use scopegate::access::connection::Standing;
use scopegate::sim::{Fixtures, PortalOptions};

use crate::browser::{Browser, Seen};
use crate::world::{Installs, PUBLIC, RULES};

/// The link that the app's maker publishes.
fn public_link(installs: &Installs) -> String {
    let redirect = format!("{PUBLIC}/callback")
        .replace(':', "%3A")
        .replace('/', "%2F");
    format!(
        "{}/oauth/authorize?client_id={}&redirect_uri={redirect}&scope=oauth%20crm.objects.contacts.read",
        installs.world.sim_origin, installs.app.client_id
    )
}

async fn by_public_link(installs: &Installs, portal: u64) -> (Browser, Seen) {
    let mut browser = installs.browser();
    let consent = browser.open(&public_link(installs)).await;
    let seen = browser.agree(&consent, portal).await;
    (browser, seen)
}

fn token_calls(installs: &Installs) -> usize {
    let received = installs.world.sim.received();
    received
        .iter()
        .filter(|request| request.path() == "/oauth/2026-03/token")
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_refuses_new_portals_exchanges_nothing() {
    let installs = Installs::with("refuse", RULES).await;
    let (_, seen) = by_public_link(&installs, 1001).await;
    assert_eq!(
        (seen.status.as_u16(), seen.title()),
        (403, "This app is installed by a personal link")
    );
    assert_eq!(
        token_calls(&installs),
        0,
        "so HubSpot does not count it as installed"
    );
    let mut browser = installs.browser();
    let market = format!(
        "{}/oauth/marketplace?client_id={}",
        installs.world.sim_origin, installs.app.client_id
    );
    let seen = browser.open(&market).await;
    assert_eq!(seen.title(), "This app is installed by a personal link");
    assert_eq!(installs.store().connections().unwrap().len(), 1, "`acme` alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_install_carries_no_call_until_an_operator_resumes_it() {
    let installs = Installs::with("pending", RULES).await;
    let (_, seen) = by_public_link(&installs, 1001).await;
    assert_eq!(seen.title(), "The app is installed, and waits", "{}", seen.body);
    let row = installs.row("agency-1001").unwrap();
    assert_eq!(
        (row.standing, row.app.as_deref()),
        (Standing::Pending, Some("agency"))
    );
    let key = installs.key("agency-1001");
    installs
        .world
        .until("the gate says that it is pending", async |world| {
            let answer = world.get("/crm/v3/objects/contacts", &key).await;
            answer.status == 401 && answer.json()["context"]["state"] == serde_json::json!(["pending"])
        })
        .await;
    let output = installs
        .world
        .command(&["connection", "resume", "agency-1001", "--reason", "a customer"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    installs
        .world
        .until("calls pass", async |world| {
            world.get("/crm/v3/objects/contacts", &key).await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_there_is_left_as_it_is() {
    let installs = Installs::with("accept", RULES).await;
    installs.install(&["ours"], 1001).await;
    let before = installs.row("ours").unwrap();
    let (_, seen) = by_public_link(&installs, 1001).await;
    assert_eq!(
        (seen.status.as_u16(), seen.title()),
        (409, "This account is connected already")
    );
    let after = installs.row("ours").unwrap();
    assert_eq!(
        (after.generation, after.installed),
        (before.generation, before.installed)
    );
    assert!(installs.row("agency-1001").is_none());
    // Made-up codes connect nothing, and neither does who changes their mind.
    let mut browser = installs.browser();
    let consent = browser.open(&public_link(&installs)).await;
    let back = browser.decide(&consent, 1001, "cancel").await;
    let seen = browser.get(back.location().unwrap()).await;
    assert_eq!(seen.title(), "You did not agree, so nothing was connected");
    let mut browser = installs.browser();
    let seen = browser.get(&format!("{PUBLIC}/callback?code=made-up")).await;
    assert_eq!(
        (seen.status.as_u16(), seen.title()),
        (410, "Nothing was connected")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marketplaces_steps_are_bound_to_a_browser_and_lead_back_to_hubspot_alone() {
    let installs = Installs::with("accept", RULES).await;
    let market = format!(
        "{}/oauth/marketplace?client_id={}",
        installs.world.sim_origin, installs.app.client_id
    );
    let mut browser = installs.browser();
    let consent = browser.open(&market).await;
    assert!(consent.url.contains("&state="), "{}", consent.url);
    let back = browser.decide(&consent, 1001, "allow").await;
    let callback = back.location().unwrap().to_owned();
    assert!(callback.contains("step=finalize"), "{callback}");
    // In another browser, without the state, and with a state of somebody else's flow.
    let mut stranger = browser.another();
    assert_eq!(stranger.get(&callback).await.status, 403);
    let state = callback.split("state=").nth(1).unwrap();
    let without = callback.replace(&format!("&state={state}"), "");
    assert_eq!(browser.get(&without).await.status, 400, "{without}");
    assert!(installs.row("agency-1001").is_none());
    let done = browser.open(&callback).await;
    assert!(
        done.url.ends_with("/oauth/installed"),
        "{}: {}",
        done.url,
        done.body
    );
    assert_eq!(installs.row("agency-1001").unwrap().standing, Standing::Ok);
    assert_eq!(browser.get(&callback).await.status, 409);

    let sim = &installs.world.sim_origin;
    for bad in [
        "https://evil.example/".to_owned(),
        format!("{sim}.evil.example/"),
        format!("{sim}@evil.example/"),
        "https://app.hubspot.com/".to_owned(), // this gate's HubSpot is the simulator
        format!("{sim}/oauth/authorize?state=mine"),
        "/oauth/authorize".to_owned(),
        String::new(),
    ] {
        let query: String = form_urlencoded::byte_serialize(bad.as_bytes()).collect();
        let seen = browser
            .get(&format!("{PUBLIC}/callback?step=authorize&returnUrl={query}"))
            .await;
        assert_eq!((seen.status.as_u16(), seen.location()), (400, None), "{bad}");
    }
}

/// An agency's app in 300 accounts, by the link it publishes. Each person has a browser of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_installed_in_300_portals_by_its_public_link() {
    let installs = Installs::with("accept", RULES).await;
    let portals: Vec<u64> = (500_001..=500_300).collect();
    for portal in &portals {
        installs.world.sim.add_portal(PortalOptions {
            fixtures: Fixtures::Empty,
            ..PortalOptions::new(*portal)
        });
    }
    for group in portals.chunks(6) {
        let seen =
            futures_util::future::join_all(group.iter().map(|portal| by_public_link(&installs, *portal)));
        for (_, seen) in seen.await {
            assert_eq!(seen.title(), "The account is connected", "{}", seen.body);
        }
    }
    let rows = installs.store().connections().unwrap();
    let connected: BTreeSet<u64> = rows
        .iter()
        .filter(|row| row.app.as_deref() == Some("agency"))
        .map(|row| row.portal.get())
        .collect();
    assert_eq!(connected, portals.iter().copied().collect());
    assert!(rows.iter().all(|row| row.standing == Standing::Ok));
    // One key without a binding reaches the portal it names.
    let output = installs
        .world
        .command(&["key", "create", "--integration", "fleet", "--any-connection"]);
    let key = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    installs
        .world
        .until("the last portal answers", async |world| {
            world
                .get("/crm/v3/objects/contacts", &format!("{key}~500300"))
                .await
                .status
                == 200
        })
        .await;
    let answer = installs
        .world
        .get("/crm/v3/objects/contacts", &format!("{key}~500150"))
        .await;
    assert_eq!(answer.headers["x-scopegate-connection"], "agency-500150");
}
