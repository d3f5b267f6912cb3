//! How it is shown when a credential is due for rotation.

use std::time::Duration;

use jiff::Timestamp;

use crate::access::rotation::{RotationDue, rotation_at, rotation_due};
use crate::cli::admin::short;
use crate::store::ConnectionRow;

/// When the credential is due for rotation, or since when and why.
pub(super) fn text(row: &ConnectionRow, max_age: Duration, now: Timestamp) -> String {
    let marked = row.rotation_marked.as_ref().and_then(|(_, why)| why.as_deref());
    match rotation_due(&row.credential_age(), max_age, now) {
        Some(RotationDue { since, why }) => {
            let why = marked.unwrap_or(why.as_str());
            format!("due since {}: {why}", short(since))
        }
        None => match rotation_at(row.credential_at, max_age) {
            Some(at) => format!("due at {}", short(at)),
            None => "never due by age".to_owned(),
        },
    }
}
