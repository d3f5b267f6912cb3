//! A gate in front of an upstream that says what a test wants.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::{Setup, World, policy, samples, writer};
use crate::upstream::{Script, Upstream};
use crate::wire::{Reply, Wire, get, post};

/// Gate, upstream, and a key for each policy that a test uses.
pub struct Place {
    pub world: World,
    pub upstream: Upstream,
    keys: [OnceLock<String>; 3],
    next: AtomicU64,
}

/// Each answer is the only one, and nobody minds how bad they are.
const ONE_TRY: &str = "breaker_failures: 0, retry_percent: 0, retry_reserve: 0";

impl Place {
    pub async fn new() -> Self {
        Self::with("").await
    }

    pub async fn with(config: &str) -> Self {
        let upstream = Upstream::start().await;
        let reads = "allow:\n  - scope: crm.objects.contacts.read\n";
        let narrow = format!("{reads}properties:\n  contacts: {{ read: [email] }}\n");
        let world = World::with(Setup {
            policies: vec![
                ("reader", policy("reader", reads)),
                ("narrow", policy("narrow", &narrow)),
                ("writer", writer()),
            ],
            // What is sent here is meant to be no answer, time and again.
            config: match config {
                "" => format!("limits: {{ {ONE_TRY} }}\n"),
                limits => limits.replacen("limits: {", &format!("limits: {{ {ONE_TRY},"), 1),
            },
            upstream: Some(upstream.origin.clone()),
            ..Setup::default()
        })
        .await;
        Self {
            world,
            upstream,
            keys: Default::default(),
            next: AtomicU64::new(1),
        }
    }

    /// A key that reads contacts, without property rules.
    pub fn reader(&self) -> &str {
        self.keys[0].get_or_init(|| self.world.key("reader"))
    }

    /// A key that reads one property of contacts.
    pub fn narrow(&self) -> &str {
        self.keys[1].get_or_init(|| self.world.key("narrow"))
    }

    /// A key that writes contacts.
    pub fn writer(&self) -> &str {
        self.keys[2].get_or_init(|| self.world.key("writer"))
    }

    /// What a client sees of this answer to its reading of a contact; `None` when the connection just ends.
    pub async fn under(&self, key: &str, script: Script) -> Option<Reply> {
        self.upstream.say(script);
        let mut wire = Wire::open(self.world.gate).await;
        wire.write(get("/crm/v3/objects/contacts/1001", key)).await;
        wire.reply().await
    }

    /// What a client sees of this answer to its creating of a contact.
    pub async fn under_a_write(&self, script: Script) -> Option<Reply> {
        self.upstream.say(script);
        let mut wire = Wire::open(self.world.gate).await;
        let body = r#"{"properties":{"email":"a@example.com"}}"#;
        wire.write(post("/crm/v3/objects/contacts", self.writer(), body))
            .await;
        wire.reply().await
    }

    /// The next requests get their own answers, whatever was said before, on either worker.
    pub async fn next_ones_are_right(&self, what: &str) {
        let mut wires = [
            Wire::open(self.world.gate).await,
            Wire::open(self.world.gate).await,
        ];
        for wire in &mut wires {
            let id = 5_000 + self.next.fetch_add(1, Ordering::Relaxed);
            let reply = wire
                .ask(get(&format!("/crm/v3/objects/contacts/{id}"), self.reader()))
                .await;
            assert_eq!(
                (reply.status, reply.text()),
                (200, format!(r#"{{"id":"{id}"}}"#)),
                "after {what}"
            );
        }
    }

    /// Connections by which something was asked after the request for contact 1001 that they carried last.
    pub fn used_again(&self, since: usize) -> BTreeSet<usize> {
        let asked = self.upstream.asked();
        let bad = asked[since].connection;
        asked[since + 1..]
            .iter()
            .map(|asked| asked.connection)
            .filter(|connection| *connection == bad)
            .collect()
    }

    /// A count of `scopegate_upstream_errors_total`.
    pub async fn failures(&self, kind: &str) -> f64 {
        let errors = samples(&self.world.metrics().await, "scopegate_upstream_errors_total");
        errors
            .get(&format!(r#"{{kind="{kind}"}}"#))
            .copied()
            .unwrap_or_default()
    }
}

/// Whether the gate itself said that the answer is withheld.
pub fn is_withheld(reply: &Reply) -> bool {
    reply.status == 502
        && reply.whole
        && reply.header("x-scopegate-source") == Some("gate")
        && reply.sub_category() == "scopegate.upstream"
        && reply.verdict() == "allow"
}
