//! Adding apps and connections: whose is the credential? Sealed and stored only if it is the portal's
//! it was said to be, or if HubSpot can't tell at the moment.

use jiff::Timestamp;

use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::{self, ClientCredentials, Endpoints, Introspection, StaticKind};
use crate::secret::Secret;
use crate::store::{AppRow, NewApp, NewConnection, Provenance, Store, StoreError, StoredToken};
use crate::tokens::stock::{ACCESS, APP_SECRET, REFRESH};
use crate::vault::{DataKey, Owner, Place, Sealed, Vault, VaultError};

/// What enrolling works with. Blocks on the disk: for commands and for the start of a process.
pub struct Enrolment<'a> {
    /// Where to store.
    pub store: &'a Store,
    /// What seals.
    pub vault: &'a Vault,
    /// How HubSpot is asked.
    pub client: &'a ControlClient,
    /// Where.
    pub endpoints: &'a Endpoints,
}

/// A connection as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Its id.
    pub id: ConnectionId,
    /// What credential it turned out to be.
    pub kind: CredentialKind,
    /// Why it is `unverified`; `None`: it is `ok`.
    pub unverified: Option<&'static str>,
}

/// Why nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Another account's.
    #[error("the credential belongs to portal {found}, not to portal {expected}: nothing was stored")]
    WrongPortal {
        /// What HubSpot says.
        found: u64,
        /// What was given.
        expected: PortalId,
    },
    /// HubSpot refuses it.
    #[error("HubSpot says the credential is expired, revoked or unknown: nothing was stored")]
    NotGood,
    /// HubSpot refuses the app.
    #[error("HubSpot does not know app `{0}` by its client id and secrets: nothing was stored")]
    WrongClient(String),
    /// There is no such app.
    #[error("there is no app `{0}`: add it with `scopegate app add`")]
    NoSuchApp(String),
    /// Sealing failed, or the app's secrets do not open.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Storing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gave no random bytes.
    #[error("the system has no random bytes")]
    NoRandomness,
}

impl Enrolment<'_> {
    /// Stores an app's client id and its secrets, one or, while one is being rotated, two.
    pub fn add_app(
        &self,
        name: &str,
        client_id: &str,
        secret: &Secret,
        other_secret: Option<&Secret>,
        by: &Provenance,
    ) -> Result<(), EnrolError> {
        let owner = Owner::app(name);
        let (key, data_key) = self.vault.new_data_key(&owner)?;
        let app = NewApp {
            name: name.to_owned(),
            client_id: client_id.to_owned(),
            secret: seal(&key, &owner, APP_SECRET, 1, secret)?,
            other_secret: other_secret
                .map(|other| seal(&key, &owner, APP_SECRET, 2, other))
                .transpose()?,
            data_key,
        };
        Ok(self.store.add_app(&app, by)?)
    }

    /// Adds a connection by a private-app token or a service key.
    pub async fn add_static(
        &self,
        name: &ConnectionName,
        portal: PortalId,
        token: &Secret,
        by: &Provenance,
    ) -> Result<Enrolled, EnrolError> {
        self.store.check_connection_free(name, None, portal)?;
        let (kind, told) = oauth::introspect_static(self.client, self.endpoints, token).await;
        let kind = match kind {
            StaticKind::ServiceKey => CredentialKind::ServiceKey,
            StaticKind::PrivateApp | StaticKind::Unknown => CredentialKind::PrivateApp,
        };
        self.add(name, portal, kind, None, token, told, by)
    }

    /// Adds a connection by an OAuth grant. The grant's refresh token is asked about, not used: a
    /// server that rotates must not be made to rotate before the store can keep up.
    pub async fn add_grant(
        &self,
        name: &ConnectionName,
        portal: PortalId,
        app: &str,
        refresh_token: &Secret,
        by: &Provenance,
    ) -> Result<Enrolled, EnrolError> {
        let row = self
            .store
            .app(app)?
            .ok_or_else(|| EnrolError::NoSuchApp(app.to_owned()))?;
        self.store.check_connection_free(name, Some(app), portal)?;
        let told = self.introspect(&row, refresh_token).await?;
        self.add(
            name,
            portal,
            CredentialKind::OAuth,
            Some(app),
            refresh_token,
            told,
            by,
        )
    }

    /// Asks whose a grant is, with the app's secrets in turn.
    pub(super) async fn introspect(
        &self,
        app: &AppRow,
        refresh_token: &Secret,
    ) -> Result<Introspection, EnrolError> {
        let mut told = Introspection::WrongClient;
        for secret in self.app_secrets(app)? {
            let credentials = ClientCredentials {
                id: &app.client_id,
                secret: &secret,
            };
            told = oauth::introspect_grant(self.client, self.endpoints, credentials, refresh_token).await;
            if told != Introspection::WrongClient {
                break;
            }
        }
        Ok(told)
    }

    #[allow(clippy::too_many_arguments)] // each is one column of the row
    fn add(
        &self,
        name: &ConnectionName,
        portal: PortalId,
        kind: CredentialKind,
        app: Option<&str>,
        credential: &Secret,
        told: Introspection,
        by: &Provenance,
    ) -> Result<Enrolled, EnrolError> {
        let (identity, unverified) = match told {
            Introspection::Known(identity) if identity.hub_id != portal.get() => {
                return Err(EnrolError::WrongPortal {
                    found: identity.hub_id,
                    expected: portal,
                });
            }
            Introspection::Known(identity) => (Some(identity), None),
            Introspection::NotGood => return Err(EnrolError::NotGood),
            Introspection::WrongClient => {
                return Err(EnrolError::WrongClient(app.unwrap_or_default().to_owned()));
            }
            Introspection::CantTell(why) => (None, Some(why)),
        };
        let mut random = [0; 12];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| EnrolError::NoRandomness)?;
        let id = ConnectionId::generate(random);
        let owner = Owner::connection(&id);
        let (key, data_key) = self.vault.new_data_key(&owner)?;
        let grant = kind == CredentialKind::OAuth;
        let field = if grant { REFRESH } else { ACCESS };
        let sealed = seal(&key, &owner, field, 1, credential)?;
        let (access, refresh) = if grant {
            (None, Some(sealed))
        } else {
            let token = StoredToken {
                sealed,
                obtained: Timestamp::now(),
                expires: None,
            };
            (Some(token), None)
        };
        let connection = NewConnection {
            id,
            name: name.clone(),
            portal,
            kind,
            app: app.map(str::to_owned),
            standing: if unverified.is_some() {
                Standing::Unverified
            } else {
                Standing::Ok
            },
            standing_why: unverified.map(str::to_owned),
            user_id: identity.as_ref().and_then(|identity| identity.user_id),
            scopes: identity.map(|identity| identity.scopes).unwrap_or_default(),
            data_key,
            access,
            refresh,
        };
        self.store.add_connection(&connection, by)?;
        Ok(Enrolled { id, kind, unverified })
    }
}

pub(super) fn seal(
    key: &DataKey,
    owner: &Owner,
    field: &'static str,
    version: u64,
    plain: &Secret,
) -> Result<Sealed, VaultError> {
    let place = Place {
        owner,
        field,
        version,
    };
    key.seal(place, plain)
}
