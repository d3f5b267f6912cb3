//! From a stored row to a live token.

use tokio::time::Instant;

use crate::clock;
use crate::store::{ConnectionRow, MachineTime};
use crate::tokens::connection::ConnectionState;
use crate::tokens::engine::jitter;
use crate::tokens::expiry::Validity;
use crate::tokens::lease::LiveToken;
use crate::vault::{DataKey, GrantPrint, KeyPrint, Owner, Place, Vault, VaultError};

/// Field name of the access token, or the static token, in what it is sealed for.
pub(super) const ACCESS: &str = "access";

/// Field name of the refresh token.
pub(super) const REFRESH: &str = "refresh";

/// Field name of an app's secret.
pub(super) const APP_SECRET: &str = "secret";

/// By what the row's refresh token is recognised elsewhere; `None` when it has none.
pub(super) fn print_of(
    row: &ConnectionRow,
    key: &DataKey,
    vault: &Vault,
) -> Result<Option<GrantPrint>, VaultError> {
    let Some(sealed) = &row.refresh else {
        return Ok(None);
    };
    let owner = Owner::connection(&row.id);
    let place = Place {
        owner: &owner,
        field: REFRESH,
        version: row.generation,
    };
    let refresh = key.open(place, sealed)?;
    Ok(Some(vault.grant_print(&refresh)))
}

/// The row's data key, by whose print its credential is told from one that replaces it. `None` when it does
/// not open. Opened once for all that is done with a row: at a start with 100,000 accounts that is a third.
pub(super) fn key_of(row: &ConnectionRow, vault: &Vault) -> Option<DataKey> {
    vault.data_key(&Owner::connection(&row.id), &row.data_key).ok()
}

/// Takes up the row's token if it is later than the one at hand and still good by plausible times.
pub(super) fn take_up(
    connection: &ConnectionState,
    row: &ConnectionRow,
    key: Option<&DataKey>,
) -> Result<(), VaultError> {
    if connection.generation() >= row.generation {
        return Ok(());
    }
    if let Some((token, of)) = stored_token(row, key)? {
        connection.publish(token, of);
    }
    Ok(())
}

/// The row's token, if it has one that is still good by plausible times, and under what it is sealed.
pub(super) fn stored_token(
    row: &ConnectionRow,
    key: Option<&DataKey>,
) -> Result<Option<(LiveToken, KeyPrint)>, VaultError> {
    let Some(stored) = &row.access else {
        return Ok(None);
    };
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
                    let wall = clock::wall();
                    Validity::of_stored(stored.obtained, expires, wall, Instant::now(), jitter())
                }
            }
        }
    };
    let Some(validity) = validity else {
        return Ok(None);
    };
    let owner = Owner::connection(&row.id);
    let key = key.ok_or(VaultError::DoesNotOpen)?;
    let place = Place {
        owner: &owner,
        field: ACCESS,
        version: row.generation,
    };
    let plain = key.open(place, &stored.sealed)?;
    let token = LiveToken::new(plain, row.generation, validity, stored.expires);
    Ok(Some((token.ok_or(VaultError::DoesNotOpen)?, key.print())))
}
