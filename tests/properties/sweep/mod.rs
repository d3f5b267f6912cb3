//! Every operation that the simulator serves, asked in the broadest way, under several rules: no byte of
//! what comes out is of a hidden value.

mod calls;
mod scan;

use std::collections::{BTreeMap, BTreeSet};

use scopegate::access::catalogue::{Catalogue, Takes};
use scopegate::sim::Planted;

use self::calls::{Ids, Unfiltered, served};
use self::scan::Scan;
use crate::child::Gate;
use crate::support::{Setup, World, policy};
use crate::wire::Wire;

/// A policy that opens every operation, bounded by these properties alone.
fn opens_all(name: &str, properties: &str) -> String {
    let catalogue = Catalogue::embedded().unwrap();
    let ids = |takes: Takes| {
        let taking = catalogue
            .operations()
            .filter(|(_, operation)| operation.takes == takes && !operation.unjudged);
        let ids: Vec<&str> = taking.map(|(_, operation)| &*operation.id).collect();
        ids.join(", ")
    };
    let risks = "risks: [sends-message, moves-money, bulk-export, hands-out-url, issues-credential]";
    let typed = |takes| {
        format!(
            "  - operation: [{}]\n    objects: [\"*\"]\n    {risks}\n",
            ids(takes)
        )
    };
    let rules = format!(
        "allow:\n  - operation: [{}]\n    {risks}\n{}{}properties:\n{properties}",
        ids(Takes::Nothing),
        typed(Takes::One),
        typed(Takes::Pair)
    );
    policy(name, &rules)
}

const SEEN: &str =
    "email, firstname, lastname, name, dealname, subject, hs_meeting_title, hs_note_body, model";

fn of_contacts(planted: &Planted) -> bool {
    planted.object_type == "contacts"
}

fn of_any(_: &Planted) -> bool {
    true
}

/// A name, a `properties` block, and the planted values that it hides.
type Rule = (&'static str, String, fn(&Planted) -> bool);

fn rules() -> Vec<Rule> {
    vec![
        (
            "three",
            "  contacts: { read: [email, firstname, lastname], write: [email, firstname, lastname] }\n".to_owned(),
            of_any,
        ),
        (
            "except",
            "  \"*\": { read: all, write: all }\n  contacts: { read: { except: [\"s*\", iban, date_of_birth, \"relig*\", \"hs_content*\", \"*_notes\", \"passport*\"] }, write: [email, firstname] }\n".to_owned(),
            of_contacts,
        ),
        (
            "others",
            "  \"*\": { read: all, write: all }\n  contacts: { read: [email], write: [email, firstname] }\n".to_owned(),
            of_contacts,
        ),
        (
            "each",
            format!("  \"*\": {{ read: [{SEEN}], write: [{SEEN}] }}\n"),
            of_any,
        ),
        ("nothing", "  notes: { read: [hs_object_id] }\n".to_owned(), of_any),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_in_any_spelling_lets_a_hidden_value_out() {
    let plain = World::plain().await;
    let calls = served(&plain).await;
    drop(plain);
    let succeeded = |call: &&Unfiltered| (200..300).contains(&call.status);
    let operations: BTreeSet<&str> = calls
        .iter()
        .filter(succeeded)
        .map(|one| &*one.call.operation)
        .collect();
    let sent: usize = calls.iter().map(|one| one.planted).sum();
    let with_values: BTreeSet<&str> = calls
        .iter()
        .filter(|one| one.planted > 0)
        .map(|one| &*one.call.operation)
        .collect();
    println!(
        "{} calls, {} of them 2xx, of {} operations; {sent} hidden values in answers of {} operations: {with_values:?}",
        calls.len(),
        calls.iter().filter(succeeded).count(),
        operations.len(),
        with_values.len()
    );
    assert!(
        operations.len() >= 85 && with_values.len() >= 10 && sent > 50_000,
        "the sweep is not empty"
    );
    let all = rules().into_iter().map(|(name, properties, hidden)| {
        let calls = &calls;
        async move { under(calls, name, &properties, hidden).await }
    });
    futures_util::future::join_all(all).await;
}

/// Asks everything under one rule.
async fn under(calls: &[Unfiltered], name: &'static str, properties: &str, hidden: fn(&Planted) -> bool) {
    let mut world = World::with(Setup {
        policies: vec![(name, opens_all(name, properties))],
        ..Setup::default()
    })
    .await;
    let key = world.key(name);
    let scan = Scan::of(&world, hidden);
    world.stop().await;
    let mut gate = Gate::start_with(&world.config(), "debug");
    let mut ids = Ids::of(&world).await;
    let mut wire = Wire::open(gate.gate).await;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let (mut answered, mut leaks, mut broken) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for Unfiltered { call, status, .. } in calls {
        let bytes = ids.bytes(call, &key);
        wire.write(&bytes).await;
        let reply = match wire.reply().await {
            Some(reply) => reply,
            None => {
                wire = Wire::open(gate.gate).await;
                wire.ask(&bytes).await
            }
        };
        let found = scan.found(format!("{}{}", reply.head, reply.text()).as_bytes());
        let what = format!("{} {} {}", call.method, call.target, call.body);
        if !found.is_empty() {
            leaks.push(format!("{}: {what:.300}: {:?}", call.operation, found.first()));
        }
        let source = reply.header("x-scopegate-source").unwrap_or_default();
        *outcomes
            .entry(format!("{source} {} {}", reply.status, reply.verdict()))
            .or_default() += 1;
        if source == "upstream" && (200..300).contains(&reply.status) {
            answered.insert(&*call.operation);
        }
        if reply.status == 502 || !reply.whole {
            broken.insert(format!(
                "{} ({status}): {what:.200}: {:.300}",
                call.operation,
                reply.text()
            ));
        }
    }
    println!(
        "{name}: {} operations answered 2xx by the simulator; {outcomes:?}",
        answered.len()
    );
    assert!(
        answered.len() >= 60,
        "{name}: the sweep is not empty: {outcomes:?}"
    );
    assert!(leaks.is_empty(), "{name}: {leaks:#?}");
    assert!(
        broken.is_empty(),
        "{name}: what the simulator answers is of a known shape: {broken:#?}"
    );
    let metrics = Wire::open(gate.admin)
        .await
        .ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert!(
        metrics.text().contains("scopegate_properties_stripped_total"),
        "{metrics:?}"
    );
    gate.signal(rustix::process::Signal::TERM);
    gate.wait();
    for (place, text) in [
        ("metrics", metrics.text()),
        ("log", gate.log()),
        ("audit", world.audit_text()),
    ] {
        assert!(text.len() > 1_000, "{place}: {text}");
        assert_eq!(
            scan.found(text.as_bytes()),
            Vec::<String>::new(),
            "{name}: {place}"
        );
    }
}
