//! How long after its commit a stop of each kind is in force, under fire.

use std::time::Instant;

use crate::place::{INSTALLER, MOST, Place, READ};
use crate::wire::{Wire, get};

/// Keep-alive clients, each asking as fast as it is answered.
const CLIENTS: usize = 4;

/// A client stops after so many refusals in a row: what still passed would show in between.
const REFUSALS: usize = 40;

/// Hammers until it is refused for good; the last answer that passed, and what refusals say.
async fn hammer(gate: std::net::SocketAddr, key: String) -> (Option<Instant>, String, String) {
    let mut wire = Wire::open(gate).await;
    let (mut refused, mut last_passed, mut said) = (0, None, (String::new(), String::new()));
    while refused < REFUSALS {
        wire.write(get(READ, &key)).await;
        let Some(reply) = wire.reply().await.filter(|reply| reply.whole) else {
            // An answer that was broken off, at most before its head had left.
            wire = Wire::open(gate).await;
            continue;
        };
        if reply.status == 401 {
            refused += 1;
            let body = reply.json();
            said = (
                reply.sub_category(),
                body["context"]["state"][0].as_str().unwrap().to_owned(),
            );
            assert_eq!(body["category"], "INVALID_AUTHENTICATION");
            assert_eq!(reply.header("x-should-retry"), Some("false"));
        } else {
            assert_eq!((refused, reply.status), (0, 200), "{reply:?}");
            last_passed = Some(Instant::now());
        }
    }
    (last_passed, said.0, said.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_stop_is_in_force_within_a_second_and_a_revival_gives_back_what_was() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    let kinds: [(&[&str], &str); 6] = [
        (&["--integration", "sync"], "scopegate.key"),
        (&["--connection", "one"], "scopegate.connection"),
        (&["--app", "marketing"], "scopegate.connection"),
        (&["--portal", "2001"], "scopegate.connection"),
        (&["--person", &INSTALLER.to_uppercase()], "scopegate.connection"),
        (&["--all"], "scopegate.key"),
    ];
    println!(
        "seconds from the commit of a kill to the last upstream request and the last answer that passed"
    );
    for (subject, sub_category) in kinds {
        place.world.sim.forget_received();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(hammer(place.world.gate, place.key.clone())))
            .collect();
        place.until_received(READ).await;
        let killed = place.kill(subject).await;
        let ended = futures_util::future::join_all(clients).await;
        let ended: Vec<_> = ended.into_iter().map(Result::unwrap).collect();
        let calls = place.calls_up();
        let last_up = calls.iter().map(|(_, at)| *at).max().unwrap();
        let last_passed = ended.iter().filter_map(|(at, ..)| *at).max().unwrap();
        let after = |at: Instant| at.saturating_duration_since(killed);
        println!(
            "  {:12} {:.3} s  {:.3} s  ({} requests before)",
            subject[0],
            after(last_up).as_secs_f64(),
            after(last_passed).as_secs_f64(),
            calls.len()
        );
        assert!(after(last_up) < MOST, "{subject:?}: {:?}", after(last_up));
        for (_, told, state) in &ended {
            assert_eq!((&**told, &**state), (sub_category, "killed"), "{subject:?}");
        }
        let others_pass = subject[0] != "--all";
        let other = Wire::open(place.world.gate)
            .await
            .ask(get(READ, &place.other))
            .await;
        assert_eq!(other.status == 200, others_pass, "{subject:?}: {other:?}");
        place.revive(subject).await;
        place.passes(&place.key).await;
        place.passes(&place.other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_reload_of_thousands_of_policies() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    for number in 0..3_000 {
        let name = format!("bulk-{number}");
        let text = crate::support::policy(&name, "allow:\n  - scope: crm.objects.contacts.read\n");
        let file = place.world.home().join(format!("policies/{name}.yaml"));
        std::fs::write(file, text).unwrap();
    }
    // One reload after the other: whoever shared their thread would wait for one at least.
    let asked = std::cell::Cell::new(0);
    let reloads = async {
        loop {
            place.world.server().reload();
            asked.set(asked.get() + 1);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let mut reloads = std::pin::pin!(reloads);
    let mut beside_a_reload = 0;
    for _ in 0..20 {
        // By the command's own word: how long its process takes to start and end is the machine's affair.
        let command = ["kill", "--integration", "sync", "--reason", "test", "--json"];
        let said = tokio::select! {
            said = place.ok(&command) => said,
            () = &mut reloads => unreachable!("it never ends"),
        };
        let said: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
        let told = said["gates"][0]["in_force_after_seconds"].as_f64().unwrap();
        let publisher_is_busy = place.applied() < place.store().last_change().unwrap();
        beside_a_reload += u32::from(publisher_is_busy);
        println!("told to be in force {told:.3} s after the commit, beside a reload: {publisher_is_busy}");
        assert!(told < MOST.as_secs_f64(), "{told}");
        place.world.sim.forget_received();
        let reply = Wire::open(place.world.gate)
            .await
            .ask(get(READ, &place.key))
            .await;
        assert_eq!((reply.status, place.calls_up().len()), (401, 0));
        if beside_a_reload == 3 {
            return;
        }
        place.revive(&["--integration", "sync"]).await;
    }
    // The publisher looks at the store during a reload, too, and is seldom behind when it is asked; reloads went on
    // all the time.
    assert!(asked.get() > 100, "only {} reloads", asked.get());
}
