//! Credentials of the admin listener as programs read them: never their hashes.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::store::AdminCredentialRow;

/// A credential, for programs.
pub fn json_of(row: &AdminCredentialRow, now: Timestamp) -> Value {
    json!({
        "id": row.id.as_str(),
        "name": row.name,
        "role": row.role.as_str(),
        "state": row.state(now),
        "expires": row.expires.to_string(),
        "created": row.created.to_string(),
        "created_by": row.created_by,
        "revoked": row.revoked.map(|at| at.to_string()),
    })
}
