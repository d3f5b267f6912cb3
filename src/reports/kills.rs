//! Emergency stops, what they stop now, and whether running gates have put them in force.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::integration::Binding;
use crate::access::kill::{KillKind, KillSubject};
use crate::clock;
use crate::store::{ConnectionRow, Follower, KeyRow, KillRow, Store, StoreError};

/// What a stop stops now.
pub struct Reach {
    /// These connections.
    pub connections: Vec<ConnectionRow>,
    /// So many keys that work but for it.
    pub keys: usize,
}

impl Reach {
    /// Works it out.
    ///
    /// # Errors
    /// The store's.
    pub fn of(subject: &KillSubject, store: &Store) -> Result<Self, StoreError> {
        Ok(Self::among(
            subject,
            &store.connections()?,
            &store.keys()?,
            clock::now(),
        ))
    }

    /// The same of rows that were read.
    pub fn among(
        subject: &KillSubject,
        connections: &[ConnectionRow],
        keys: &[KeyRow],
        now: Timestamp,
    ) -> Self {
        let connections: Vec<ConnectionRow> = connections
            .iter()
            .filter(|row| subject.covers(row.covered()))
            .cloned()
            .collect();
        let good = keys
            .iter()
            .filter(|key| key.revoked.is_none() && key.expires.is_none_or(|expires| expires > now));
        let keys = good
            .filter(|key| match (subject.kind(), key.binding) {
                (KillKind::All, _) => true,
                (KillKind::Integration, _) => key.integration == subject.name(),
                (_, Binding::Connection(id)) => connections.iter().any(|row| row.id == id),
                (_, Binding::Any) => false,
            })
            .count();
        Self { connections, keys }
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let connections = self.connections.len();
        write!(
            f,
            "{connections} connection{}, {} key{}",
            plural(connections),
            self.keys,
            plural(self.keys)
        )
    }
}

/// A stop with what it stops now.
pub fn json_of(kill: &KillRow, reach: &Reach) -> Value {
    json!({
        "kind": kill.subject.kind().as_str(),
        "subject": kill.subject.name(),
        "since": kill.at.to_string(),
        "actor": kill.actor,
        "reason": kill.reason,
        "connections": reach.connections.len(),
        "keys": reach.keys,
    })
}

/// What running gates said: each with the time after which it had followed, or null.
pub fn gates(followers: &[Follower]) -> Value {
    let of = |follower: &Follower| match follower {
        Follower::InForce { instance, after } => {
            json!({ "instance": instance, "in_force_after_seconds": after.as_secs_f64() })
        }
        Follower::Silent { instance } => {
            json!({ "instance": instance, "in_force_after_seconds": Value::Null })
        }
    };
    followers.iter().map(of).collect()
}
