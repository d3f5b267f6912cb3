//! Resuming a connection: what HubSpot never vouched for is not vouched for by an operator either.

use crate::access::connection::{CredentialKind, PortalId, Standing};
use crate::hubspot::oauth::{self, Introspection};
use crate::store::{ConnectionRow, Provenance, Resumed, StoreError};
use crate::tokens::enrol::{EnrolError, Enrolment};
use crate::tokens::stock::REFRESH;
use crate::tokens::verify;
use crate::vault::{Owner, Place, VaultError};

/// Why a connection stays suspended or pending.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Still another account's.
    #[error(
        "connection `{name}` stays {standing}: its credential belongs to portal {found}, not to portal {expected}"
    )]
    WrongPortal {
        /// The connection.
        name: String,
        /// What it stays.
        standing: &'static str,
        /// What HubSpot says.
        found: u64,
        /// What it was added for.
        expected: PortalId,
    },
    /// It was another account's, or nobody knows whose, and HubSpot does not say that it is its own.
    #[error(
        "connection `{name}` stays {standing}: HubSpot has not said that its credential is its portal's, and {why}"
    )]
    NotTold {
        /// The connection.
        name: String,
        /// What it stays.
        standing: &'static str,
        /// The reason, for people.
        why: &'static str,
    },
    /// Somebody changed the connection in the meantime.
    #[error(
        "connection `{0}` was changed while HubSpot was asked about it: see what it is now and try again"
    )]
    Changed(String),
    /// Asking failed on our side, or storing.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

impl From<StoreError> for ResumeError {
    fn from(error: StoreError) -> Self {
        Self::Enrol(error.into())
    }
}

impl Enrolment<'_> {
    /// Resumes a suspended connection, or accepts a pending one. One whose credential was another portal's is resumed only when
    /// HubSpot, asked now, says that it is the connection's own; a suspended one that was never verified
    /// becomes `unverified` again, and about a pending one HubSpot is asked first.
    pub async fn resume(&self, row: &ConnectionRow, by: &Provenance) -> Result<Resumed, ResumeError> {
        let done = self.store.resume(&row.id, by)?;
        self.resume_asked(row, done, by).await
    }

    /// The rest of it, after the store said `done`: what may be resumed only by HubSpot's word.
    pub async fn resume_asked(
        &self,
        row: &ConnectionRow,
        done: Resumed,
        by: &Provenance,
    ) -> Result<Resumed, ResumeError> {
        let unasked = match done {
            Resumed::Foreign => false,
            Resumed::Unasked => true,
            done => return Ok(done),
        };
        let not_told = |why| ResumeError::NotTold {
            name: row.name.to_string(),
            standing: row.standing.as_str(),
            why,
        };
        let identity = match self.whose_is(row).await? {
            Introspection::Known(identity) => identity,
            Introspection::NotGood => return Err(not_told("HubSpot says it is expired, revoked or unknown")),
            Introspection::WrongClient => {
                return Err(not_told(
                    "HubSpot does not know its app by its client id and secrets",
                ));
            }
            Introspection::CantTell(why) if unasked => {
                if !self.store.resume_unverified(row, why, by)? {
                    return Err(ResumeError::Changed(row.name.to_string()));
                }
                return Ok(Resumed::Passes(Standing::Unverified));
            }
            Introspection::CantTell(why) => return Err(not_told(why)),
        };
        if identity.hub_id != row.portal.get() {
            return Err(ResumeError::WrongPortal {
                name: row.name.to_string(),
                standing: row.standing.as_str(),
                found: identity.hub_id,
                expected: row.portal,
            });
        }
        let (user_id, email) = (identity.user_id, identity.user.as_deref());
        let resumed = self
            .store
            .resume_verified(row, user_id, email, &identity.scopes, by)?;
        if !resumed {
            return Err(ResumeError::Changed(row.name.to_string()));
        }
        Ok(Resumed::Passes(Standing::Ok))
    }

    /// Asks HubSpot whose a stored credential is. Uses nothing up.
    async fn whose_is(&self, row: &ConnectionRow) -> Result<Introspection, EnrolError> {
        if row.kind != CredentialKind::OAuth {
            let (token, _) = verify::open(row, self.vault)?;
            return Ok(oauth::introspect_static(self.client, self.endpoints, &token)
                .await
                .1);
        }
        let name = row.app.as_deref().unwrap_or_default();
        let app = self
            .store
            .app(name)?
            .ok_or_else(|| EnrolError::NoSuchApp(name.to_owned()))?;
        let owner = Owner::connection(&row.id);
        let place = Place {
            owner: &owner,
            field: REFRESH,
            version: row.generation,
        };
        let sealed = row.refresh.as_ref().ok_or(VaultError::DoesNotOpen)?;
        let grant = self.vault.data_key(&owner, &row.data_key)?.open(place, sealed)?;
        self.introspect(&app, &grant).await
    }
}
