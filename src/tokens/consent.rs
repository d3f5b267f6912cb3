//! A person's consent turned into a grant: the code exchanged, whose it is found out, its tokens sealed.

use jiff::Timestamp;

use super::stock::{ACCESS, APP_SECRET, REFRESH};
use crate::access::connection::ConnectionId;
use crate::clock;
use crate::hubspot::errors::CodeFailure;
use crate::hubspot::oauth::{
    self, AuthorizationCode, ClientCredentials, ExchangeError, Introspection, Standpoint, TokenAnswer,
};
use crate::secret::Secret;
use crate::store::AppRow;
use crate::tokens::enrol::{EnrolError, Enrolment, seal};
use crate::vault::{CredentialDigest, Owner, Place, Sealed, VaultError, WrappedKey};

/// What a code brought, in plain form: to be sealed at once.
pub struct Consented {
    tokens: TokenAnswer,
    refresh: Secret,
    obtained: Timestamp,
    /// The account.
    pub hub_id: u64,
    /// Who consented, if told.
    pub user_id: Option<u64>,
    /// Their address, if told.
    pub email: Option<String>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// On whose rights calls go, if told.
    pub standpoint: Option<Standpoint>,
}

impl std::fmt::Debug for Consented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consented(portal {})", self.hub_id)
    }
}

/// A grant's tokens, sealed.
#[derive(Debug)]
pub struct SealedGrant {
    /// A new data key: what was sealed under one before opens no more.
    pub data_key: WrappedKey,
    /// Field `access`.
    pub access: Sealed,
    /// Field `refresh`.
    pub refresh: Sealed,
    /// When the access token was received.
    pub obtained: Timestamp,
    /// When it expires by the server's word.
    pub expires: Timestamp,
    /// What the refresh token is.
    pub handed: CredentialDigest,
}

/// Why a code brought no grant.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    /// The token endpoint.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The code was exchanged, and HubSpot does not say whose the grant is.
    #[error("HubSpot does not say whose the grant is: {0}")]
    NotTold(&'static str),
    /// Our side.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

impl Enrolment<'_> {
    /// Exchanges a code, with the app's secrets in turn, and asks whose the grant is.
    pub async fn consent(
        &self,
        app: &AppRow,
        code: AuthorizationCode<'_>,
    ) -> Result<Consented, ConsentError> {
        let (tokens, refresh) = self.exchange(app, code).await?;
        let obtained = clock::wall();
        fail::fail_point!("install-after-exchange");
        let told = self.introspect(app, &refresh).await?;
        let (hub_id, user_id, email, scopes) = match told {
            Introspection::Known(identity) => {
                if tokens.hub_id.is_some_and(|told| told != identity.hub_id) {
                    return Err(ConsentError::NotTold("two answers of it name two accounts"));
                }
                let scopes = match identity.scopes.is_empty() {
                    true => tokens.scopes.clone().unwrap_or_default(),
                    false => identity.scopes,
                };
                (
                    identity.hub_id,
                    identity.user_id.or(tokens.user_id),
                    identity.user,
                    scopes,
                )
            }
            Introspection::NotGood => return Err(ConsentError::NotTold("it calls the fresh grant invalid")),
            Introspection::WrongClient => return Err(ConsentError::NotTold("it does not know the app")),
            // The token endpoint's own word is as good; only the address is then not known.
            Introspection::CantTell(why) => {
                let hub_id = tokens.hub_id.ok_or(ConsentError::NotTold(why))?;
                let scopes = tokens.scopes.clone().ok_or(ConsentError::NotTold(why))?;
                (hub_id, tokens.user_id, None, scopes)
            }
        };
        let standpoint = self.standpoint(app, &tokens.access).await?;
        Ok(Consented {
            standpoint,
            tokens,
            refresh,
            obtained,
            hub_id,
            user_id,
            email,
            scopes,
        })
    }

    async fn standpoint(&self, app: &AppRow, access: &Secret) -> Result<Option<Standpoint>, VaultError> {
        for secret in self.app_secrets(app)? {
            let credentials = ClientCredentials {
                id: &app.client_id,
                secret: &secret,
            };
            let told = oauth::standpoint(self.client, self.endpoints, credentials, access).await;
            if told.is_some() {
                return Ok(told);
            }
        }
        Ok(None)
    }

    async fn exchange(
        &self,
        app: &AppRow,
        code: AuthorizationCode<'_>,
    ) -> Result<(TokenAnswer, Secret), ConsentError> {
        let mut last = ExchangeError::Refused(CodeFailure::WrongClient);
        for secret in self.app_secrets(app)? {
            let credentials = ClientCredentials {
                id: &app.client_id,
                secret: &secret,
            };
            match oauth::exchange(self.client, self.endpoints, credentials, code).await {
                Ok(tokens) => return Ok(tokens),
                Err(ExchangeError::Refused(CodeFailure::WrongClient)) => {}
                Err(error) => {
                    last = error;
                    break;
                }
            }
        }
        Err(last.into())
    }

    /// Seals what a code brought, for a new connection or over a grant of this generation.
    pub fn seal_consent(
        &self,
        id: &ConnectionId,
        over: Option<u64>,
        consented: &Consented,
    ) -> Result<SealedGrant, VaultError> {
        let owner = Owner::connection(id);
        let (key, data_key) = self.vault.new_data_key(&owner)?;
        let version = over.map_or(1, |generation| generation + 1);
        let tokens = &consented.tokens;
        let life = jiff::SignedDuration::try_from(tokens.life).unwrap_or_default();
        Ok(SealedGrant {
            data_key,
            access: seal(&key, &owner, ACCESS, version, &tokens.access)?,
            refresh: seal(&key, &owner, REFRESH, version, &consented.refresh)?,
            obtained: consented.obtained,
            expires: consented.obtained.checked_add(life).unwrap_or(consented.obtained),
            handed: CredentialDigest::of(&consented.refresh),
        })
    }

    /// An app's secrets in the order in which they are tried.
    pub(super) fn app_secrets(&self, app: &AppRow) -> Result<Vec<Secret>, VaultError> {
        let owner = Owner::app(&app.name);
        let key = self.vault.data_key(&owner, &app.data_key)?;
        let sealed = [Some(&app.secret), app.other_secret.as_ref()];
        let open = |(sealed, version): &(Sealed, u64)| {
            let place = Place {
                owner: &owner,
                field: APP_SECRET,
                version: *version,
            };
            key.open(place, sealed)
        };
        sealed.into_iter().flatten().map(open).collect()
    }
}

impl From<VaultError> for ConsentError {
    fn from(error: VaultError) -> Self {
        Self::Enrol(error.into())
    }
}
