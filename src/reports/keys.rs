//! Keys as programs and people read them: never their hashes.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::integration::Binding;
use crate::store::{ConnectionRow, KeyRow};

/// `ok`, `expired` or `revoked`.
pub fn state_of(row: &KeyRow, now: Timestamp) -> &'static str {
    if row.revoked.is_some() {
        "revoked"
    } else if row.expires.is_some_and(|at| now >= at) {
        "expired"
    } else {
        "ok"
    }
}

/// The name of the connection a key is bound to; `None`: it is bound to none.
pub fn connection_of(row: &KeyRow, connections: &[ConnectionRow]) -> Option<String> {
    match row.binding {
        Binding::Any => None,
        Binding::Connection(id) => {
            let known = connections.iter().find(|connection| connection.id == id);
            Some(known.map_or_else(
                || "(removed)".to_owned(),
                |connection| connection.name.to_string(),
            ))
        }
    }
}

/// A key, for programs.
pub fn json_of(row: &KeyRow, connections: &[ConnectionRow], now: Timestamp) -> Value {
    json!({
        "id": row.id.as_str(), "integration": row.integration, "connection": connection_of(row, connections),
        "state": state_of(row, now), "expires": row.expires.map(|at| at.to_string()),
        "created": row.created.to_string(), "created_by": row.created_by,
        "revoked": row.revoked.map(|at| at.to_string()),
    })
}
