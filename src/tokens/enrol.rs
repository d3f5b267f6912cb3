//! Adding apps and connections: whose is the credential? Sealed and stored only if it is the portal's
//! it was said to be, or if HubSpot can't tell at the moment.

use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::label::Labels;
use crate::clock;
use crate::hubspot::control::ControlClient;
use crate::hubspot::oauth::{self, ClientCredentials, Endpoints, Identity, Introspection, StaticKind};
use crate::secret::Secret;
use crate::store::{AppRow, NewApp, NewConnection, Provenance, Store, StoreError, StoredToken};
use crate::tokens::stock::{ACCESS, APP_SECRET, REFRESH};
use crate::vault::{CredentialDigest, DataKey, Owner, Place, Sealed, Vault, VaultError, WrappedKey};

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

/// A connection to be added.
#[derive(Clone, Copy)]
pub struct Candidate<'a> {
    /// What to call it.
    pub name: &'a ConnectionName,
    /// The account, as it must turn out to be.
    pub portal: PortalId,
    /// The app whose grant it is; `None`: `credential` is a private-app token or a service key.
    pub app: Option<&'a str>,
    /// The token, or the grant's refresh token.
    pub credential: &'a Secret,
    /// Its labels.
    pub labels: &'a Labels,
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
    /// Other connections that hold the same grant.
    pub shares_with: Vec<ConnectionName>,
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
    /// HubSpot can't be asked, and this is not done without asking.
    #[error("{0}: nothing was changed")]
    NotTold(&'static str),
    /// Somebody changed it in the meantime.
    #[error("`{0}` was changed while HubSpot was asked about it: see what it is now and try again")]
    Changed(String),
    /// An OAuth grant in place of a token, or the other way round.
    #[error("connection `{0}` holds a credential of another kind: remove it and add it anew with this one")]
    OtherKind(String),
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

    /// Adds a connection by a private-app token or a service key, without labels.
    pub async fn add_static(
        &self,
        name: &ConnectionName,
        portal: PortalId,
        token: &Secret,
        by: &Provenance,
    ) -> Result<Enrolled, EnrolError> {
        let labels = Labels::default();
        let candidate = Candidate {
            name,
            portal,
            app: None,
            credential: token,
            labels: &labels,
        };
        self.enrol(candidate, by).await
    }

    /// Adds a connection by an OAuth grant, without labels.
    pub async fn add_grant(
        &self,
        name: &ConnectionName,
        portal: PortalId,
        app: &str,
        refresh_token: &Secret,
        by: &Provenance,
    ) -> Result<Enrolled, EnrolError> {
        let labels = Labels::default();
        let candidate = Candidate {
            name,
            portal,
            app: Some(app),
            credential: refresh_token,
            labels: &labels,
        };
        self.enrol(candidate, by).await
    }

    /// Adds a connection.
    pub async fn enrol(&self, candidate: Candidate<'_>, by: &Provenance) -> Result<Enrolled, EnrolError> {
        let Candidate {
            name, portal, app, ..
        } = candidate;
        if let Some(app) = app
            && self.store.app(app)?.is_none()
        {
            return Err(EnrolError::NoSuchApp(app.to_owned()));
        }
        self.store.check_connection_free(name, app, portal)?;
        let (kind, told) = self.ask(app, candidate.credential).await?;
        self.add(candidate, kind, told, by)
    }

    /// Asks whose a credential is. A grant's refresh token is asked about, not used: a server that
    /// rotates must not be made to rotate before the store can keep up.
    pub(super) async fn ask(
        &self,
        app: Option<&str>,
        credential: &Secret,
    ) -> Result<(CredentialKind, Introspection), EnrolError> {
        let Some(app) = app else {
            let (kind, told) = oauth::introspect_static(self.client, self.endpoints, credential).await;
            let kind = match kind {
                StaticKind::ServiceKey => CredentialKind::ServiceKey,
                StaticKind::PrivateApp | StaticKind::Unknown => CredentialKind::PrivateApp,
            };
            return Ok((kind, told));
        };
        let row = self
            .store
            .app(app)?
            .ok_or_else(|| EnrolError::NoSuchApp(app.to_owned()))?;
        Ok((CredentialKind::OAuth, self.introspect(&row, credential).await?))
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

    fn add(
        &self,
        candidate: Candidate<'_>,
        kind: CredentialKind,
        told: Introspection,
        by: &Provenance,
    ) -> Result<Enrolled, EnrolError> {
        let Candidate {
            name, portal, app, ..
        } = candidate;
        let (identity, unverified) = match told {
            Introspection::CantTell(why) => (None, Some(why)),
            told => (Some(own(told, portal, app)?), None),
        };
        let mut random = [0; 12];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| EnrolError::NoRandomness)?;
        let id = ConnectionId::generate(random);
        let sealed = self.seal_new(&id, kind, 1, candidate.credential)?;
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
            installer_email: identity.as_ref().and_then(|identity| identity.user.clone()),
            scopes: identity.map(|identity| identity.scopes).unwrap_or_default(),
            data_key: sealed.data_key,
            access: sealed.access,
            refresh: sealed.refresh,
            labels: candidate.labels.clone(),
            handed: Some(CredentialDigest::of(candidate.credential)),
        };
        self.store.seal_rows_with(self.vault)?;
        self.store.add_connection(&connection, by)?;
        let shares_with = if kind == CredentialKind::OAuth {
            let print = self.vault.grant_print(candidate.credential);
            self.store.note_grant(&id, 1, &print, by)?;
            self.store.sharers(&id)?
        } else {
            Vec::new()
        };
        Ok(Enrolled {
            id,
            kind,
            unverified,
            shares_with,
        })
    }

    /// Seals a credential for a connection under a new data key.
    pub(super) fn seal_new(
        &self,
        id: &ConnectionId,
        kind: CredentialKind,
        generation: u64,
        credential: &Secret,
    ) -> Result<NewlySealed, EnrolError> {
        let owner = Owner::connection(id);
        let (key, data_key) = self.vault.new_data_key(&owner)?;
        let (access, refresh) = if kind == CredentialKind::OAuth {
            (None, Some(seal(&key, &owner, REFRESH, generation, credential)?))
        } else {
            let token = StoredToken {
                sealed: seal(&key, &owner, ACCESS, generation, credential)?,
                obtained: clock::wall(),
                expires: None,
            };
            (Some(token), None)
        };
        Ok(NewlySealed {
            data_key,
            access,
            refresh,
        })
    }
}

/// A credential under a data key of its own: a static token or a grant.
pub(super) struct NewlySealed {
    pub(super) data_key: WrappedKey,
    pub(super) access: Option<StoredToken>,
    pub(super) refresh: Option<Sealed>,
}

/// The identity behind a credential, if it is the portal's.
pub(super) fn own(told: Introspection, portal: PortalId, app: Option<&str>) -> Result<Identity, EnrolError> {
    match told {
        Introspection::Known(identity) if identity.hub_id == portal.get() => Ok(identity),
        Introspection::Known(identity) => Err(EnrolError::WrongPortal {
            found: identity.hub_id,
            expected: portal,
        }),
        Introspection::NotGood => Err(EnrolError::NotGood),
        Introspection::WrongClient => Err(EnrolError::WrongClient(app.unwrap_or_default().to_owned())),
        Introspection::CantTell(why) => Err(EnrolError::NotTold(why)),
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
