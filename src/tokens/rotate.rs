//! Rotating what is long-lived, in place: a connection's credential, an app's secret.
//!
//! For a token the old one must be ended at HubSpot as well. For an OAuth grant a rotation is a new
//! authorisation by a person: refreshing only hands out tokens of the same grant.

use crate::access::connection::{CredentialKind, Standing};
use crate::hubspot::oauth::{self, ClientCredentials, Introspection};
use crate::secret::Secret;
use crate::store::{AppRow, ConnectionRow, NewCredential, Provenance, SecretChange};
use crate::tokens::enrol::{EnrolError, Enrolment, own, seal};
use crate::tokens::stock::{ACCESS, APP_SECRET, REFRESH};
use crate::vault::{CredentialDigest, Owner, Place, VaultError};

/// How often a write is tried again that a refresh in the meantime has overtaken.
const TRIES: usize = 5;

/// No refresh token of anybody's: what is asked about to learn whether a client secret is good.
const NO_TOKEN: &str = "00000000-0000-0000-0000-000000000000";

/// What became of a connection whose credential was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// What it is now.
    pub kind: CredentialKind,
    /// Its standing now.
    pub standing: Standing,
    /// It was the credential that the connection had already.
    pub same: bool,
}

/// What became of an app's secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretRotated {
    /// The new secret is tried first; HubSpot took it, or was not asked.
    First,
    /// The new secret is tried first; HubSpot could not be asked: the reason, for people.
    Unchecked(&'static str),
    /// It was the second one and is tried first again.
    Back,
    /// It is tried first already.
    Already,
}

/// How an app's secret is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretRotation {
    /// The old secret is dropped at once.
    pub now: bool,
    /// HubSpot is not asked whether it takes the new one.
    pub unchecked: bool,
}

/// Why an app's secrets stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// HubSpot does not take it.
    #[error("HubSpot does not take this secret for app `{0}`: nothing was changed")]
    Refused(String),
    /// There are two already.
    #[error("app `{0}` has two secrets already: a rotation is under way")]
    UnderWay(String),
    /// Nothing says that the secret to be kept works.
    #[error(
        "nothing says that the secret works which app `{app}` would be left with: {why}; nothing was changed"
    )]
    NotProven {
        /// The app.
        app: String,
        /// The reason, for people.
        why: &'static str,
    },
    /// Everything else.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

impl From<crate::store::StoreError> for SecretError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Enrol(error.into())
    }
}

impl From<VaultError> for SecretError {
    fn from(error: VaultError) -> Self {
        Self::Enrol(error.into())
    }
}

impl Enrolment<'_> {
    /// Replaces a connection's credential after HubSpot said that the new one is its portal's.
    ///
    /// # Errors
    /// It is not, HubSpot can't tell, or the credential is of another kind: nothing is changed.
    pub async fn rotate(
        &self,
        row: &ConnectionRow,
        kind: CredentialKind,
        credential: &Secret,
        by: &Provenance,
    ) -> Result<Rotated, EnrolError> {
        let oauth = CredentialKind::OAuth;
        if (row.kind == oauth) != (kind == oauth) {
            return Err(EnrolError::OtherKind(row.name.to_string()));
        }
        let app = row.app.as_deref();
        let (kind, told) = self.ask(app, credential).await?;
        let identity = own(told, row.portal, app)?;
        let mut row = row.clone();
        for _ in 0..TRIES {
            // A record that no longer opens is one more reason to replace it.
            let same = self.holds(&row, credential).unwrap_or(false);
            let sealed = self.seal_new(&row.id, kind, row.generation + 1, credential)?;
            let new = NewCredential {
                kind,
                data_key: sealed.data_key,
                access: sealed.access,
                refresh: sealed.refresh,
                user_id: identity.user_id,
                email: identity.user.clone(),
                scopes: identity.scopes.clone(),
                handed: CredentialDigest::of(credential),
                same,
            };
            if let Some(standing) = self.store.replace_credential(&row, &new, by)? {
                return Ok(Rotated { kind, standing, same });
            }
            // A refresh was quicker, or it is gone.
            match self.store.connection(&row.id)? {
                Some(now) if now.portal == row.portal => row = now,
                _ => break,
            }
        }
        Err(EnrolError::Changed(row.name.to_string()))
    }

    /// Whether a connection's credential is this one, or came from it by refreshing.
    pub fn holds(&self, row: &ConnectionRow, credential: &Secret) -> Result<bool, EnrolError> {
        if row.handed == Some(CredentialDigest::of(credential)) {
            return Ok(true);
        }
        let (field, sealed) = match (row.kind, &row.access) {
            (CredentialKind::OAuth, _) => (REFRESH, row.refresh.as_ref()),
            (_, access) => (ACCESS, access.as_ref().map(|token| &token.sealed)),
        };
        let owner = Owner::connection(&row.id);
        let place = Place {
            owner: &owner,
            field,
            version: row.generation,
        };
        let sealed = sealed.ok_or(VaultError::DoesNotOpen)?;
        let stored = self.vault.data_key(&owner, &row.data_key)?.open(place, sealed)?;
        Ok(stored.expose() == credential.expose())
    }

    /// Makes `secret` the one that is tried first. The one tried first so far is tried second, until the
    /// rotation is finished: one of the two works at every moment, whenever HubSpot changes over.
    ///
    /// # Errors
    /// HubSpot refuses it, there are two already, or the old one is to be dropped at once and HubSpot can't
    /// say whether it takes the new one: nothing is changed.
    pub async fn rotate_secret(
        &self,
        app: &AppRow,
        secret: &Secret,
        how: SecretRotation,
        by: &Provenance,
    ) -> Result<SecretRotated, SecretError> {
        let [first, other] = self.secrets(app)?;
        let is = |known: &Option<Secret>| {
            known
                .as_ref()
                .is_some_and(|known| known.expose() == secret.expose())
        };
        if is(&first) && !(how.now && other.is_some()) {
            return Ok(SecretRotated::Already);
        }
        if other.is_some() && !is(&other) && !is(&first) && !how.now {
            return Err(SecretError::UnderWay(app.name.clone()));
        }
        let told = if how.unchecked {
            Ok(())
        } else {
            match self.takes(app, secret).await {
                Introspection::WrongClient => return Err(SecretError::Refused(app.name.clone())),
                Introspection::CantTell(why) => Err(why),
                Introspection::Known(_) | Introspection::NotGood => Ok(()),
            }
        };
        if how.now
            && let Err(why) = told
        {
            return Err(SecretError::NotProven {
                app: app.name.clone(),
                why,
            });
        }
        let back = is(&other) && !how.now;
        let change = if back {
            SecretChange::Swap
        } else if is(&first) {
            SecretChange::Finish
        } else {
            let owner = Owner::app(&app.name);
            let key = self.vault.data_key(&owner, &app.data_key)?;
            SecretChange::First {
                sealed: seal(&key, &owner, APP_SECRET, app.next_version(), secret)?,
                keep_other: !how.now,
            }
        };
        if !self.store.change_secrets(app, &change, by)? {
            return Err(EnrolError::Changed(app.name.clone()).into());
        }
        Ok(match told {
            Err(why) => SecretRotated::Unchecked(why),
            Ok(()) if back => SecretRotated::Back,
            Ok(()) => SecretRotated::First,
        })
    }

    /// Drops the second secret, if there is one; says whether there was. Only when the first is known to
    /// work, by a refresh or by asking now, unless `unchecked`.
    ///
    /// # Errors
    /// It is not known to: nothing is changed.
    pub async fn finish_secret(
        &self,
        app: &AppRow,
        unchecked: bool,
        by: &Provenance,
    ) -> Result<bool, SecretError> {
        let [first, other] = self.secrets(app)?;
        let (Some(first), Some(_)) = (first, other) else {
            return Ok(false);
        };
        if !unchecked {
            let why = match self.takes(app, &first).await {
                Introspection::WrongClient => Some("HubSpot does not take it"),
                Introspection::CantTell(_)
                    if app.worked.is_some_and(|(version, _)| version == app.secret.1) =>
                {
                    None
                }
                Introspection::CantTell(why) => Some(why),
                Introspection::Known(_) | Introspection::NotGood => None,
            };
            if let Some(why) = why {
                return Err(SecretError::NotProven {
                    app: app.name.clone(),
                    why,
                });
            }
        }
        if !self.store.change_secrets(app, &SecretChange::Finish, by)? {
            return Err(EnrolError::Changed(app.name.clone()).into());
        }
        Ok(true)
    }

    /// An app's secrets, in the order they are tried.
    fn secrets(&self, app: &AppRow) -> Result<[Option<Secret>; 2], SecretError> {
        let owner = Owner::app(&app.name);
        let key = self.vault.data_key(&owner, &app.data_key)?;
        let open = |sealed: &(crate::vault::Sealed, u64)| {
            let place = Place {
                owner: &owner,
                field: APP_SECRET,
                version: sealed.1,
            };
            key.open(place, &sealed.0)
        };
        Ok([
            Some(open(&app.secret)?),
            app.other_secret.as_ref().map(open).transpose()?,
        ])
    }

    /// Whether HubSpot takes a secret of an app: asked about a token that is nobody's, it says
    /// `inactive` to who may ask, and refuses all others.
    async fn takes(&self, app: &AppRow, secret: &Secret) -> Introspection {
        let credentials = ClientCredentials {
            id: &app.client_id,
            secret,
        };
        let nobodys = Secret::new(NO_TOKEN.to_owned());
        oauth::introspect_grant(self.client, self.endpoints, credentials, &nobodys).await
    }
}
