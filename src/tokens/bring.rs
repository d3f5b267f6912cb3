//! Bringing a connection to what a file of tokens says: added, left as it is, or given a new grant.
//! Doing it again changes nothing.

use crate::access::connection::{ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::label::Labels;
use crate::secret::Secret;
use crate::store::{ConnectionRow, Provenance, StoreError};
use crate::tokens::enrol::{Candidate, EnrolError, Enrolment};

/// What one line of a file says.
pub struct Wished {
    /// What to call it; `None`: whatever it is called, and `default_name` if it is new.
    pub name: Option<ConnectionName>,
    /// What to call it otherwise.
    pub default_name: ConnectionName,
    /// The account.
    pub portal: PortalId,
    /// The app.
    pub app: String,
    /// The grant's refresh token.
    pub refresh_token: Secret,
    /// Labels it must have; others it may have.
    pub labels: Labels,
}

/// What was done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It is new, and why HubSpot did not vouch for it, if so.
    Added(Option<&'static str>),
    /// It was so already.
    Unchanged,
    /// Its labels were brought to what the line says.
    Labelled,
    /// It has a new grant, and stands so now.
    Replaced(Standing),
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum BringError {
    /// The app is connected to the portal under another name.
    #[error("the portal is connected already, as `{0}`: say that name, or none")]
    OtherName(ConnectionName),
    /// By another grant.
    #[error(
        "the portal is connected already, as `{0}`, by another grant: say `--replace` to put this one in its place"
    )]
    OtherGrant(ConnectionName),
    /// Too many labels.
    #[error("with its other labels, {0}")]
    Labels(#[from] crate::access::label::LabelMistake),
    /// As when one is added or rotated.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

impl From<StoreError> for BringError {
    fn from(error: StoreError) -> Self {
        Self::Enrol(error.into())
    }
}

impl Enrolment<'_> {
    /// Brings the connection of an app to a portal to what is wished. `replace`: another grant is put in
    /// the place of the one there is.
    pub async fn bring(
        &self,
        wished: &Wished,
        replace: bool,
        by: &Provenance,
    ) -> Result<Brought, BringError> {
        let Some(row) = self.store.connection_of(&wished.app, wished.portal)? else {
            let candidate = Candidate {
                name: wished.name.as_ref().unwrap_or(&wished.default_name),
                portal: wished.portal,
                app: Some(&wished.app),
                credential: &wished.refresh_token,
                labels: &wished.labels,
            };
            return Ok(Brought::Added(self.enrol(candidate, by).await?.unverified));
        };
        if wished.name.as_ref().is_some_and(|name| *name != row.name) {
            return Err(BringError::OtherName(row.name));
        }
        // Before anything is changed: a line that can't be met whole changes nothing.
        let labels = Labels::of_stored(&row.labels).with(&wished.labels)?;
        let holds = match self.holds(&row, &wished.refresh_token) {
            // A record that no longer opens is one more reason to replace it.
            Err(_) if replace => false,
            holds => holds?,
        };
        if !holds && !replace {
            return Err(BringError::OtherGrant(row.name));
        }
        if holds {
            let labelled = self.label(&row, labels, by)?;
            return Ok(if labelled {
                Brought::Labelled
            } else {
                Brought::Unchanged
            });
        }
        let rotated = self
            .rotate(&row, CredentialKind::OAuth, &wished.refresh_token, by)
            .await?;
        self.label(&row, labels, by)?;
        Ok(Brought::Replaced(rotated.standing))
    }

    /// Whether labels had to be changed.
    fn label(&self, row: &ConnectionRow, labels: Labels, by: &Provenance) -> Result<bool, BringError> {
        if labels == Labels::of_stored(&row.labels) {
            return Ok(false);
        }
        self.store.set_labels(&[(row.id, labels)], by)?;
        Ok(true)
    }
}
