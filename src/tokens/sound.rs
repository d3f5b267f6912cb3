//! Whether everything sealed in the store opens with the master key at hand.

use crate::store::{DamagedRow, Store, StoreError};
use crate::tokens::stock::{ACCESS, APP_SECRET, REFRESH};
use crate::vault::{Owner, Place, Sealed, Vault, VaultError, WrappedKey};

/// One line for every connection or app whose credentials don't open; empty when all do.
pub fn findings(store: &Store, vault: &Vault) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let rows = store.connection_rows()?;
    findings.extend(rows.damaged.iter().map(DamagedRow::finding));
    for row in rows.sound {
        let access = row
            .access
            .as_ref()
            .map(|token| (ACCESS, row.generation, &token.sealed));
        let refresh = row
            .refresh
            .as_ref()
            .map(|sealed| (REFRESH, row.generation, sealed));
        let owner = Owner::connection(&row.id);
        if let Err(error) = open_all(vault, &owner, &row.data_key, access.into_iter().chain(refresh)) {
            findings.push(format!(
                "connection `{0}`: {error}; give it its credential again with `scopegate connection rotate {0}`, or remove \
                 it and add it anew",
                row.name
            ));
        }
        names.extend(row.app);
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let Some(row) = store.app(&name)? else {
            findings.push(format!("app `{name}` is missing"));
            continue;
        };
        let secrets = [Some(&row.secret), row.other_secret.as_ref()];
        let secrets = secrets
            .into_iter()
            .flatten()
            .map(|(sealed, version)| (APP_SECRET, *version, sealed));
        if let Err(error) = open_all(vault, &Owner::app(&name), &row.data_key, secrets) {
            findings.push(format!("app `{name}`: {error}"));
        }
    }
    Ok(findings)
}

fn open_all<'a>(
    vault: &Vault,
    owner: &Owner,
    wrapped: &WrappedKey,
    sealed: impl Iterator<Item = (&'static str, u64, &'a Sealed)>,
) -> Result<(), VaultError> {
    let key = vault.data_key(owner, wrapped)?;
    for (field, version, sealed) in sealed {
        let place = Place {
            owner,
            field,
            version,
        };
        key.open(place, sealed)?;
    }
    Ok(())
}
