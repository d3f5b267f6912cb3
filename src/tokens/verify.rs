//! Finding out later what could not be found out when a private-app token or a service key was added.

use std::sync::Arc;

use crate::access::connection::Standing;
use crate::hubspot::oauth::{self, Introspection};
use crate::metrics::StoreOp;
use crate::secret::Secret;
use crate::store::ConnectionRow;
use crate::tokens::connection::ConnectionState;
use crate::tokens::engine::Engine;
use crate::tokens::flight::Outcome;
use crate::tokens::give_up::{suspend_foreign, verified};
use crate::tokens::lease::Trouble;
use crate::tokens::refresh::Ended;
use crate::tokens::stock::ACCESS;
use crate::vault::{KeyPrint, Owner, Place, Vault, VaultError};

/// Asks HubSpot whose the token is, and settles the connection's standing.
pub(super) async fn attempt(engine: &Engine, connection: &Arc<ConnectionState>) -> Ended {
    let failed = |trouble| (Outcome::Failed(trouble), None);
    let Ok(_slot) = engine.at_once.acquire().await else {
        return failed(Trouble::Slow);
    };
    if connection.is_killed() {
        return (Outcome::Settled, None);
    }
    let id = connection.id();
    let row = match engine.on_disk(move |store| store.connection(&id)).await {
        Ok(Some(row)) => row,
        Ok(None) => return (Outcome::Settled, None),
        Err(error) => {
            engine.store_failed(StoreOp::Read, &error);
            return failed(Trouble::Store);
        }
    };
    if row.standing != Standing::Unverified {
        return (Outcome::Settled, None);
    }
    let (token, key) = match open(&row, &engine.parts.vault) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::error!(connection = %connection.name(), error = %error, "token can't be opened");
            return failed(Trouble::Configuration);
        }
    };
    let parts = &engine.parts;
    let (_, told) = oauth::introspect_static(&parts.client, &parts.endpoints, &token).await;
    if !connection.holds(key) {
        // It was given another token meanwhile: the answer is about nobody's.
        return (Outcome::Settled, None);
    }
    match told {
        Introspection::Known(identity) if identity.hub_id == row.portal.get() => {
            match verified(engine, connection, identity).await {
                Ok(()) => (Outcome::Settled, None),
                Err(error) => {
                    engine.store_failed(StoreOp::Write, &error);
                    failed(Trouble::Store)
                }
            }
        }
        Introspection::Known(_) => {
            let why = "its token belongs to another portal";
            suspend_foreign(engine, connection, why, "connection verified").await;
            (Outcome::Settled, None)
        }
        Introspection::NotGood | Introspection::WrongClient => {
            note_rejected(engine, &row).await;
            failed(Trouble::Rejected)
        }
        Introspection::CantTell(_) => failed(Trouble::Unreachable),
    }
}

/// Lets `connection list` show that HubSpot refuses the token; one alert when it begins.
async fn note_rejected(engine: &Engine, row: &ConnectionRow) {
    let word = Trouble::Rejected.as_str();
    if row.health.as_deref() == Some(word) {
        return;
    }
    tracing::error!(
        connection = %row.name,
        "HubSpot refuses the token of an unverified connection: it is wrong, rotated or deactivated; give a good \
         one with `scopegate connection rotate`"
    );
    let id = row.id;
    let noted = engine
        .on_disk(move |store| store.note_health(&id, Some(word)))
        .await;
    if let Err(error) = noted {
        tracing::debug!(error = %error, "rejection not noted");
    }
}

/// The static token of a row, in plain form, and by what its credential is recognised.
pub(super) fn open(row: &ConnectionRow, vault: &Vault) -> Result<(Secret, KeyPrint), VaultError> {
    let stored = row.access.as_ref().ok_or(VaultError::DoesNotOpen)?;
    let owner = Owner::connection(&row.id);
    let place = Place {
        owner: &owner,
        field: ACCESS,
        version: row.generation,
    };
    let key = vault.data_key(&owner, &row.data_key)?;
    Ok((key.open(place, &stored.sealed)?, key.print()))
}
