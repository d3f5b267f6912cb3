//! A reload that takes long: what it must not hold up. It is made to take long, so that who waits for it is
//! found out on every machine.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use scopegate::store::Store;

use crate::place::{Place, read, until};
use crate::support::policy;

/// How long a reload takes here.
const RELOAD: &str = "sleep(4000)";

/// Far less than that: whoever waited for the rest of a reload took longer.
const PROMPT: Duration = Duration::from_secs(1);

/// How far the publisher has come in the list of changes.
fn applied(place: &Place) -> u64 {
    let store = rusqlite::Connection::open(place.store()).unwrap();
    let applied: i64 = store
        .query_row("SELECT seq FROM applied", [], |row| row.get(0))
        .unwrap();
    applied.try_into().unwrap()
}

fn last_change(place: &Place) -> u64 {
    Store::open_existing(&place.store())
        .unwrap()
        .last_change()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_in_force_while_the_publisher_is_held_up() {
    let place = Place::new("").await;
    let gate = place.start();
    assert_eq!(read(&gate, &place.reader).await.status, 200);
    place.faults().set(&[&format!("publisher-reload={RELOAD}")]).await;
    let mut rounds = 0;
    for _ in 0..10 {
        gate.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let stop = ["kill", "--integration", "reader", "--reason", "test", "--json"];
        let (code, said) = place.command(&stop).await;
        let is_held_up = applied(&place) < last_change(&place);
        assert_eq!(code, 0, "{said}");
        let first: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        let told = first["gates"][0]["in_force_after_seconds"].as_f64().unwrap();
        assert!(told < PROMPT.as_secs_f64(), "{told} s after its commit");
        place.world.sim.forget_received();
        let reply = read(&gate, &place.reader).await;
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(place.world.sim.received().is_empty());
        rounds += u32::from(is_held_up);
        if rounds == 3 {
            return;
        }
        let (code, said) = place
            .command(&["revive", "--integration", "reader", "--reason", "over"])
            .await;
        assert_eq!(code, 0, "{said}");
    }
    panic!("the publisher was held up in {rounds} rounds of ten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_revoked_while_policies_are_read() {
    let place = Place::new("").await;
    let other = place.world.key("reader");
    let gate = place.start();
    place.faults().set(&[&format!("reload-read={RELOAD}")]).await;
    let tightened = "allow:\n  - scope: crm.objects.contacts.read\ndeny:\n  - effects: [read]\n";
    let file = place.world.home().join("policies/reader.yaml");
    std::fs::write(file, policy("reader", tightened)).unwrap();
    gate.signal(Signal::HUP);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let id = place.reader.split('_').nth(2).unwrap();
    let (code, said) = place.command(&["key", "revoke", id, "--reason", "test"]).await;
    assert_eq!(code, 0, "{said}");
    let since = Instant::now();
    until("it opens nothing", async || {
        read(&gate, &place.reader).await.status == 401
    })
    .await;
    assert!(since.elapsed() < PROMPT, "{:?}", since.elapsed());
    let still = read(&gate, &other).await;
    assert_eq!(still.status, 200, "policies are being read, still: {still:?}");
    until("the new policy is in force", async || {
        read(&gate, &other).await.status == 403
    })
    .await;
}
