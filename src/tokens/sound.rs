//! Whether everything sealed in the store opens with the master key at hand.

use crate::store::{DamagedRow, KeptKey, Store, StoreError};
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

/// One line, with the remedy, for every data key that the master key does not open; and how many there are.
pub fn unopened_keys(store: &Store, vault: &Vault) -> Result<(usize, Vec<String>), StoreError> {
    let kept = store.kept_keys()?;
    let opens = |key: &KeptKey| {
        let owner = key.owner.as_ref();
        owner.is_some_and(|owner| vault.data_key(owner, &key.wrapped).is_ok())
    };
    let closed = kept.iter().filter(|key| !opens(key)).map(|key| {
        let name = &key.name;
        let remedy = match key.kind {
            "connection" => format!("give it its credential again with `scopegate connection rotate {name}`"),
            "app" => {
                format!("remove it and its connections, and add it anew with `scopegate app add {name}`")
            }
            "store" => "restore the store from a backup".to_owned(),
            _ => "make another link with `scopegate connection install`".to_owned(),
        };
        format!("{} `{name}`: its data key does not open; {remedy}", key.kind)
    });
    Ok((kept.len(), closed.collect()))
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
