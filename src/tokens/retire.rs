//! Ending a stopped connection's grant at HubSpot. Only ever asked for by an operator, never a side effect:
//! a grant that another connection lives on is left alone.
//!
//! Invariant: a grant counts as revoked only if its refresh token was revoked while nobody else could be
//! refreshing it, and no earlier refresh broke off. HubSpot says the same of a token that it has replaced.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderValue;
use tokio::time::Instant;

use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, Standing};
use crate::hubspot::oauth::ClientCredentials;
use crate::hubspot::retire::{self, NotEnded};
use crate::secret::Secret;
use crate::store::{AppRow, Begin, ConnectionRow, Provenance, StoreError, Ticket};
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::{Engine, LiveParts, Need};
use crate::tokens::refresh;
use crate::tokens::stock::{APP_SECRET, REFRESH, key_of, take_up};
use crate::vault::{DataKey, Owner, Place, VaultError};

/// How long a revocation waits for a refresh under way, besides what a question may take: as long as a write
/// waits for the disk.
const HOLD_SPARE: Duration = Duration::from_secs(5);

/// How often it looks whether that has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
    /// Somebody refreshes the grant, and does not end.
    #[error(
        "a refresh of it is under way and does not end, and what that brings would live on: the token in the \
         store is revoked; do it again in two minutes"
    )]
    UnderWay,
    /// An earlier refresh has no known end.
    #[error(
        "a refresh of it broke off, and HubSpot may have given out another token by then, which would live on: \
         the token in the store is revoked; uninstalling the app ends both"
    )]
    BrokeOff,
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
        let (row, _) = self.read(step, &connection.id, living)?;
        let why = match step {
            RetireStep::Uninstall => {
                self.uninstall(&row).await?;
                "its app was uninstalled by `scopegate kill --uninstall`"
            }
            RetireStep::Revoke => {
                self.revoke_alone(&row.id, living).await?;
                "its grant was revoked by `scopegate kill --revoke`"
            }
        };
        let passing = [Standing::Ok, Standing::Unverified];
        self.engine.parts.store.change_standing(
            &row.id,
            &passing,
            Standing::Dead,
            Some(why),
            "connection grant ended",
            by,
        )?;
        Ok(())
    }

    /// What there is now, an earlier step may have brought another refresh token, if nobody lives on it.
    fn read(
        &self,
        step: RetireStep,
        id: &ConnectionId,
        living: &[ConnectionRow],
    ) -> Result<(ConnectionRow, AppRow), RetireError> {
        let row = self.engine.parts.store.connection(id)?;
        let row = row.ok_or(RetireError::Gone)?;
        let app = self.app_of(&row)?;
        self.check_alone(step, &row, &app, living)?;
        Ok((row, app))
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

    /// Revokes while nobody else may refresh the grant.
    async fn revoke_alone(&self, id: &ConnectionId, living: &[ConnectionRow]) -> Result<(), RetireError> {
        let held = self.hold(id).await?;
        // A refresh that was waited for has brought another refresh token.
        let revoked = match self.read(RetireStep::Revoke, id, living) {
            Ok((row, app)) => self.revoke(&row, &app).await,
            Err(error) => Err(error),
        };
        if let Some(ticket) = &held {
            let members: Vec<_> = ticket.members().cloned().collect();
            if let Err(error) = self.engine.parts.store.leave_alone(&members) {
                // They end by themselves.
                tracing::debug!(error = %error, "leases not given back");
            }
        }
        revoked?;
        match held {
            None => Err(RetireError::UnderWay),
            Some(ticket) if ticket.uncertain => Err(RetireError::BrokeOff),
            Some(_) => Ok(()),
        }
    }

    /// Takes the right to refresh the grant, so that nobody else does; who is at it has as long as a question
    /// may take. `None`: they do not end.
    async fn hold(&self, id: &ConnectionId) -> Result<Option<Ticket>, RetireError> {
        let parts = &self.engine.parts;
        let until = Instant::now() + parts.client.longest() + HOLD_SPARE;
        let length = refresh::lease_length(&self.engine);
        loop {
            match parts.store.hold_grant(id, &parts.instance, length)? {
                Begin::Started(ticket) => return Ok(Some(*ticket)),
                Begin::Gone => return Err(RetireError::Gone),
                Begin::Busy { .. } if Instant::now() >= until => return Ok(None),
                Begin::Busy { .. } => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
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
