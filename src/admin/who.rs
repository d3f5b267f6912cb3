//! Who asks: the credential behind a request. Looked up in the store every time.

use jiff::Timestamp;

use super::refusal::Refusal;
use crate::access::admin_key::{AdminKeyHash, PresentedAdminKey};
use crate::access::role::Role;
use crate::clock;
use crate::metrics::Metrics;
use crate::store::{Store, StoreError};

/// Somebody whose credential is good now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// The credential's name.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// What stands in events.
    pub actor: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// Looks a credential up, in the file that others write to. Blocks on the store.
///
/// Unknown, wrong, damaged, expired and revoked are one answer, after one look and one comparison each.
///
/// # Errors
/// It is not good, or the store can't tell: then nobody is let in.
pub(super) fn who_is(
    presented: &PresentedAdminKey,
    store: &Store,
    metrics: &Metrics,
) -> Result<Who, Refusal> {
    // In a file that was replaced nothing is revoked that others revoke in the new one.
    store
        .in_place()
        .map_err(|error| Refusal::of_store(&error, metrics))?;
    let row = match store.admin_credential(&presented.id) {
        // Whatever its row says now, nobody wrote it who may: it opens nothing, like one that is not there.
        Err(StoreError::Damaged(_)) => {
            tracing::error!(
                event = "admin.credential_damaged",
                credential = presented.id.as_str(),
                "an admin credential can't be read, or was changed by another program than scopegate, and opens nothing: \
                 run `scopegate store check`"
            );
            None
        }
        other => other.map_err(|error| Refusal::of_store(&error, metrics))?,
    };
    let stored = row.as_ref().map_or(AdminKeyHash::NOBODY, |row| row.hash);
    let same = stored.matches(&presented.hash);
    match row {
        Some(row) if same && row.is_good(clock::now()) => Ok(Who {
            actor: row.actor(),
            name: row.name,
            role: row.role,
            expires: row.expires,
        }),
        _ => Err(Refusal::unauthenticated()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::access::key::KeyId;
    use crate::admin::refusal::Code;
    use crate::metrics::MetricsBounds;
    use crate::store::NewAdminCredential;
    use crate::store::testing::{by_test, store};

    /// A store with one credential that is good.
    fn world() -> (tempfile::TempDir, Store, PresentedAdminKey) {
        let (dir, store) = store();
        let presented = PresentedAdminKey {
            id: KeyId::parse("aaaaaaaaaaaa").unwrap(),
            hash: AdminKeyHash::from_stored([7; 32]),
        };
        let new = NewAdminCredential {
            id: presented.id,
            hash: AdminKeyHash::from_stored([7; 32]),
            name: "alice".to_owned(),
            role: Role::Viewer,
            expires: clock::now() + Duration::from_secs(600),
        };
        store
            .add_admin_credential(&new, clock::now(), &by_test())
            .unwrap();
        (dir, store, presented)
    }

    fn asked(presented: &PresentedAdminKey, store: &Store) -> Result<Role, Code> {
        let bounds = MetricsBounds {
            series: 100,
            connections: 1,
        };
        who_is(presented, store, &Metrics::new(bounds).unwrap())
            .map(|who| who.role)
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn nobody_is_let_in_on_the_word_of_a_file_that_was_replaced() {
        let (dir, store, presented) = world();
        assert_eq!(asked(&presented, &store), Ok(Role::Viewer));
        let away = dir.path().join("away");
        std::fs::rename(store.path(), &away).unwrap();
        assert_eq!(asked(&presented, &store), Err(Code::Failed), "removed");
        std::fs::copy(&away, store.path()).unwrap();
        assert_eq!(asked(&presented, &store), Err(Code::Failed), "replaced");
    }

    #[test]
    fn a_credential_that_somebody_wrote_more_into_is_nobodys() {
        let (_dir, store, presented) = world();
        let raw = rusqlite::Connection::open(store.path()).unwrap();
        for change in [
            "role = 'security'",
            "expires_at = expires_at + 1",
            "role = 'root'",
        ] {
            raw.execute_batch(&format!("UPDATE admin_credentials SET {change}"))
                .unwrap();
            assert_eq!(asked(&presented, &store), Err(Code::Unauthenticated), "{change}");
        }
    }
}
