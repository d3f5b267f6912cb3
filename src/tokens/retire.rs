//! Ending a stopped connection's grant at HubSpot. Only ever asked for by an operator, never a side effect:
//! a grant that another connection lives on is left alone.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderValue;
use tokio::time::Instant;

use crate::access::connection::{ConnectionName, CredentialKind, Standing};
use crate::hubspot::oauth::ClientCredentials;
use crate::hubspot::retire::{self, NotEnded};
use crate::secret::Secret;
use crate::store::{AppRow, ConnectionRow, Provenance, StoreError};
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::{Engine, LiveParts, Need};
use crate::tokens::refresh;
use crate::tokens::stock::{APP_SECRET, REFRESH, key_of, take_up};
use crate::vault::{DataKey, Owner, Place, VaultError};

/// A step at HubSpot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetireStep {
    /// The app leaves the portal.
    Uninstall,
    /// The refresh token ends.
    Revoke,
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// It holds no grant.
    #[error("it holds a {0} token, which only HubSpot's settings can end: deactivate or delete it there")]
    Static(&'static str),
    /// Another connection lives on what would end.
    #[error(
        "connection `{with}` lives on the same {what} and is not stopped: stop it, too, or leave this be"
    )]
    Shared {
        /// The other one.
        with: ConnectionName,
        /// Grant or install.
        what: &'static str,
    },
    /// Whether it does can't be told.
    #[error("whether connection `{0}` lives on the same grant can't be told, its credential does not open")]
    CantCompare(ConnectionName),
    /// Uninstalling takes an access token.
    #[error("no access token is to be had for it ({0}), and uninstalling takes one")]
    NoToken(&'static str),
    /// HubSpot did not do it.
    #[error(transparent)]
    NotEnded(#[from] NotEnded),
    /// There is no such app.
    #[error("its app `{0}` is missing")]
    NoSuchApp(String),
    /// It was removed meanwhile.
    #[error("it is gone")]
    Gone,
    /// What is sealed does not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends grants at HubSpot, on an operator's behalf. Blocks on the disk.
pub struct Retirement {
    engine: Engine,
}

impl Retirement {
    /// Works with these parts. Its refreshes, where one is needed, are saved before use like a gate's.
    pub fn new(parts: LiveParts) -> Self {
        Self {
            engine: Engine::new(parts),
        }
    }

    /// Does one step for a connection. `living` are the other connections that no stop covers. The
    /// connection is `dead` afterwards, if it was in order.
    pub async fn carry_out(
        &self,
        step: RetireStep,
        connection: &ConnectionRow,
        living: &[ConnectionRow],
        by: &Provenance,
    ) -> Result<(), RetireError> {
        if connection.kind != CredentialKind::OAuth {
            return Err(RetireError::Static(connection.kind.as_str()));
        }
        let store = &self.engine.parts.store;
        // An earlier step may have brought another refresh token.
        let row = store.connection(&connection.id)?.ok_or(RetireError::Gone)?;
        let app = self.app_of(&row)?;
        self.check_alone(step, &row, &app, living)?;
        let why = match step {
            RetireStep::Uninstall => {
                self.uninstall(&row).await?;
                "its app was uninstalled by `scopegate kill --uninstall`"
            }
            RetireStep::Revoke => {
                self.revoke(&row, &app).await?;
                "its grant was revoked by `scopegate kill --revoke`"
            }
        };
        let passing = [Standing::Ok, Standing::Unverified];
        store.change_standing(
            &row.id,
            &passing,
            Standing::Dead,
            Some(why),
            "connection grant ended",
            by,
        )?;
        Ok(())
    }

    fn check_alone(
        &self,
        step: RetireStep,
        row: &ConnectionRow,
        app: &AppRow,
        living: &[ConnectionRow],
    ) -> Result<(), RetireError> {
        let grant = self.grant_of(row)?;
        for other in living.iter().filter(|other| other.id != row.id) {
            if other.kind != CredentialKind::OAuth || self.app_of(other)?.client_id != app.client_id {
                continue;
            }
            let shared = |what| RetireError::Shared {
                with: other.name.clone(),
                what,
            };
            if step == RetireStep::Uninstall && other.portal == row.portal {
                return Err(shared("install"));
            }
            let others = self
                .grant_of(other)
                .map_err(|_| RetireError::CantCompare(other.name.clone()))?;
            if verify_slices_are_equal(grant.expose().as_bytes(), others.expose().as_bytes()).is_ok() {
                return Err(shared("grant"));
            }
        }
        Ok(())
    }

    /// With the stored access token if it is still good; a refresh is the second choice.
    async fn uninstall(&self, row: &ConnectionRow) -> Result<(), RetireError> {
        let key = key_of(row, &self.engine.parts.vault);
        let account = Account::of_row(row, &self.engine.scope_lists);
        let print = key.as_ref().map(DataKey::print);
        let connection = Arc::new(ConnectionState::of_row(row, false, account, print));
        take_up(&connection, row, key.as_ref())?;
        let mut need = Need::Now;
        if let Some((token, _)) = connection.current(Instant::now()) {
            match self.ask_uninstall(token.authorization().clone()).await {
                Err(NotEnded::Unauthorised) => need = Need::Replace(row.generation),
                ended => return Ok(ended?),
            }
        }
        // How it ended is told by what there is now.
        let _ = refresh::attempt(&self.engine, &connection, &connection.grant(), need).await;
        let token = connection
            .current(Instant::now())
            .filter(|(token, _)| need == Need::Now || token.generation > row.generation);
        match token {
            Some((token, _)) => Ok(self.ask_uninstall(token.authorization().clone()).await?),
            None if connection.standing().refusal().is_some() => {
                Err(RetireError::NoToken("HubSpot says its grant is dead"))
            }
            None => Err(RetireError::NoToken("its refresh failed, see above")),
        }
    }

    async fn ask_uninstall(&self, authorization: HeaderValue) -> Result<(), NotEnded> {
        let parts = &self.engine.parts;
        retire::uninstall(&parts.client, &parts.endpoints, authorization).await
    }

    async fn revoke(&self, row: &ConnectionRow, app: &AppRow) -> Result<(), RetireError> {
        let (grant, parts) = (self.grant_of(row)?, &self.engine.parts);
        let owner = Owner::app(&app.name);
        let key = parts.vault.data_key(&owner, &app.data_key)?;
        let mut ended = Err(NotEnded::WrongClient);
        for (sealed, version) in [Some(&app.secret), app.other_secret.as_ref()]
            .into_iter()
            .flatten()
        {
            let place = Place {
                owner: &owner,
                field: APP_SECRET,
                version: *version,
            };
            let secret = key.open(place, sealed)?;
            let credentials = ClientCredentials {
                id: &app.client_id,
                secret: &secret,
            };
            ended = retire::revoke(&parts.client, &parts.endpoints, credentials, &grant).await;
            if !matches!(ended, Err(NotEnded::WrongClient)) {
                break;
            }
        }
        Ok(ended?)
    }

    fn app_of(&self, row: &ConnectionRow) -> Result<AppRow, RetireError> {
        let name = row.app.as_deref().unwrap_or_default();
        let app = self.engine.parts.store.app(name)?;
        app.ok_or_else(|| RetireError::NoSuchApp(name.to_owned()))
    }

    fn grant_of(&self, row: &ConnectionRow) -> Result<Secret, VaultError> {
        let owner = Owner::connection(&row.id);
        let place = Place {
            owner: &owner,
            field: REFRESH,
            version: row.generation,
        };
        let sealed = row.refresh.as_ref().ok_or(VaultError::DoesNotOpen)?;
        self.engine
            .parts
            .vault
            .data_key(&owner, &row.data_key)?
            .open(place, sealed)
    }
}
