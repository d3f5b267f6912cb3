//! From a stored row to a live token.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::store::{ConnectionRow, MachineTime};
use crate::tokens::connection::ConnectionState;
use crate::tokens::engine::jitter;
use crate::tokens::expiry::Validity;
use crate::tokens::lease::LiveToken;
use crate::vault::{GrantPrint, Owner, Place, Vault, VaultError};

/// Field name of the access token, or the static token, in what it is sealed for.
pub(super) const ACCESS: &str = "access";

/// Field name of the refresh token.
pub(super) const REFRESH: &str = "refresh";

/// Field name of an app's secret.
pub(super) const APP_SECRET: &str = "secret";

/// By what the row's refresh token is recognised elsewhere; `None` when it has none.
pub(super) fn print_of(row: &ConnectionRow, vault: &Vault) -> Result<Option<GrantPrint>, VaultError> {
    let Some(sealed) = &row.refresh else {
        return Ok(None);
    };
    let owner = Owner::connection(&row.id);
    let place = Place {
        owner: &owner,
        field: REFRESH,
        version: row.generation,
    };
    let refresh = vault.data_key(&owner, &row.data_key)?.open(place, sealed)?;
    Ok(Some(vault.grant_print(&refresh)))
}

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
        Some(expires) => {
            let elapsed = row
                .access_clock
                .as_ref()
                .and_then(|then| MachineTime::now()?.since(then));
            match elapsed {
                Some(elapsed) => {
                    Validity::of_stored_this_run(stored.obtained, expires, elapsed, Instant::now(), jitter())
                }
                None => {
                    let wall = Timestamp::now();
                    Validity::of_stored(stored.obtained, expires, wall, Instant::now(), jitter())
                }
            }
        }
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
    connection.publish(token.ok_or(VaultError::DoesNotOpen)?, &row.data_key);
    Ok(())
}
