//! From a stored row to a live token.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::store::ConnectionRow;
use crate::tokens::connection::ConnectionState;
use crate::tokens::engine::jitter;
use crate::tokens::expiry::Validity;
use crate::tokens::lease::LiveToken;
use crate::vault::{Owner, Place, Vault, VaultError};

/// Field name of the access token, or the static token, in what it is sealed for.
pub(super) const ACCESS: &str = "access";

/// Field name of the refresh token.
pub(super) const REFRESH: &str = "refresh";

/// Field name of an app's secret.
pub(super) const APP_SECRET: &str = "secret";

/// Takes up the row's token if it is later than the one at hand and still good by plausible times.
pub(super) fn take_up(
    connection: &ConnectionState,
    row: &ConnectionRow,
    vault: &Vault,
) -> Result<(), VaultError> {
    let Some(stored) = &row.access else {
        return Ok(());
    };
    if connection.generation() >= row.generation {
        return Ok(());
    }
    let validity = match stored.expires {
        None => Some(Validity::Forever),
        Some(expires) => Validity::of_stored(
            stored.obtained,
            expires,
            Timestamp::now(),
            Instant::now(),
            jitter(),
        ),
    };
    let Some(validity) = validity else {
        return Ok(());
    };
    let owner = Owner::connection(&row.id);
    let key = vault.data_key(&owner, &row.data_key)?;
    let place = Place {
        owner: &owner,
        field: ACCESS,
        version: row.generation,
    };
    let plain = key.open(place, &stored.sealed)?;
    let token = LiveToken::new(plain, row.generation, validity, stored.expires);
    connection.publish(token.ok_or(VaultError::DoesNotOpen)?);
    Ok(())
}
