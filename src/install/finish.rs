//! From a code to a stored connection. Once begun it goes on whether or not the browser waits.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::ending::{Connected, Ending};
use super::pages::Reply;
use super::{Inner, serve};
use crate::access::connection::{ConnectionId, ConnectionName, NAME_LENGTH_MAX, PortalId, Standing};
use crate::config::{AppSettings, NewPortals};
use crate::events::{InstallMoved, InstallRefused};
use crate::hubspot::oauth::AuthorizationCode;
use crate::secret::Secret;
use crate::store::{AppRow, ConnectionRow, Grant, InstallRow, Provenance, StoreError};
use crate::tokens::{ConsentError, Consented};
use crate::vault::VaultError;

/// How often a connection that changes at the same moment is read again.
const TRIES: usize = 3;

/// Why a connection without a ticket is pending, for people.
const WITHOUT_TICKET: &str =
    "installed without a link of ours; `scopegate connection resume` lets calls pass";

/// What a code is exchanged for.
pub(super) struct Attempt {
    pub(super) app: String,
    pub(super) settings: AppSettings,
    pub(super) origin: Origin,
    pub(super) code: Secret,
    pub(super) verifier: Option<Secret>,
    /// Where HubSpot wants the browser back; checked.
    pub(super) return_url: Option<String>,
}

/// Who began it.
pub(super) enum Origin {
    /// An operator, by a ticket; with the number of this use of a code.
    Ticket(Box<InstallRow>, u64),
    /// HubSpot's marketplace, with a state of ours.
    Marketplace(Box<InstallRow>, u64),
    /// A public link: nothing of ours.
    Nobody,
}

impl Origin {
    pub(super) fn of(row: InstallRow, attempt: u64) -> Self {
        match row.ticket {
            Some(_) => Self::Ticket(Box::new(row), attempt),
            None => Self::Marketplace(Box::new(row), attempt),
        }
    }

    fn install(&self) -> Option<(&str, u64)> {
        match self {
            Self::Ticket(row, attempt) | Self::Marketplace(row, attempt) => Some((&row.id, *attempt)),
            Self::Nobody => None,
        }
    }

    fn ticket(&self) -> Option<&InstallRow> {
        match self {
            Self::Ticket(row, _) => Some(row),
            Self::Marketplace(..) | Self::Nobody => None,
        }
    }
}

impl Inner {
    /// Exchanges the code and stores what it brings, in a task of its own.
    pub(super) async fn carry_out(self: &Arc<Self>, attempt: Attempt, room: OwnedSemaphorePermit) -> Reply {
        let inner = Arc::clone(self);
        let task = self.tasks.spawn(async move {
            let _room = room;
            let ending = inner.attempt(&attempt).await;
            inner.settle(&attempt, ending).await
        });
        match task.await {
            Ok(reply) => reply,
            Err(error) => {
                // Not the error itself: it repeats what the panic said.
                tracing::error!(panicked = error.is_panic(), "an install broke off");
                Ending::Unknown.page().into()
            }
        }
    }

    async fn attempt(self: &Arc<Self>, attempt: &Attempt) -> Ending {
        let name = attempt.app.clone();
        let app = match self.on_disk(move |store| store.app(&name)).await {
            Ok(Some(app)) => app,
            Ok(None) => return Ending::AppGone,
            Err(error) => return Ending::Store(error),
        };
        let before = match self.before(attempt).await {
            Ok(before) => before,
            Err(ending) => return ending,
        };
        let code = AuthorizationCode {
            code: &attempt.code,
            redirect_uri: &attempt.settings.redirect_uri,
            verifier: attempt.verifier.as_ref(),
        };
        let consented = match self.enrolment().consent(&app, code).await {
            Ok(consented) => consented,
            Err(error) => return Ending::of_error(error),
        };
        match self.keep(attempt, &app, before, &consented).await {
            Ok(connected) => Ending::Connected(Box::new(connected)),
            Err(ending) => ending,
        }
    }

    /// The connection that is authorised again, if it is one; what stands in the way before a code is
    /// used up on it.
    async fn before(self: &Arc<Self>, attempt: &Attempt) -> Result<Option<ConnectionRow>, Ending> {
        let Some(row) = attempt.origin.ticket() else {
            return Ok(None);
        };
        let (connection, name) = (row.connection, row.name.clone());
        let found = self.on_disk(move |store| match (connection, name) {
            (Some(id), _) => store.connection(&id),
            (None, Some(name)) => store.connection_by_name(&name),
            (None, None) => Ok(None),
        });
        match (found.await.map_err(Ending::Store)?, connection) {
            (None, Some(_)) => Err(Ending::ConnectionGone),
            (Some(_), None) => Err(Ending::NameTaken),
            (found, _) => Ok(found),
        }
    }

    /// Compares what was granted with what was expected, and stores it.
    async fn keep(
        self: &Arc<Self>,
        attempt: &Attempt,
        app: &AppRow,
        mut before: Option<ConnectionRow>,
        consented: &Consented,
    ) -> Result<Connected, Ending> {
        let portal = PortalId::new(consented.hub_id)
            .ok_or(Ending::NotTold("HubSpot names an account that can't be one"))?;
        let ticket = attempt.origin.ticket();
        let expected = before
            .as_ref()
            .map(|before| before.portal)
            .or(ticket.and_then(|row| row.portal));
        if let Some(expected) = expected.filter(|expected| *expected != portal) {
            return Err(Ending::WrongPortal {
                expected,
                found: portal,
            });
        }
        let lacking = |asked: &[String]| -> Vec<String> {
            let missing = asked.iter().filter(|scope| !consented.scopes.contains(scope));
            missing.cloned().collect()
        };
        let missing = ticket.map(|row| lacking(&row.required)).unwrap_or_default();
        if !missing.is_empty() {
            return Err(Ending::MissingScopes(missing));
        }
        let not_granted = ticket.map(|row| lacking(&row.optional)).unwrap_or_default();
        for _ in 0..TRIES {
            let grant = self
                .grant(attempt, app, before.as_ref(), consented, portal)
                .await?;
            let connected = Connected {
                name: grant.name.clone(),
                portal,
                email: consented.email.clone(),
                scopes: consented.scopes.clone(),
                not_granted: not_granted.clone(),
                before: before.as_ref().map(|before| before.scopes.clone()),
                is_pending: grant.standing == Standing::Pending,
                stays: before
                    .as_ref()
                    .map(|before| before.standing)
                    .filter(|standing| matches!(standing, Standing::Suspended | Standing::Killed)),
            };
            let by = self.who(attempt);
            let install = attempt
                .origin
                .install()
                .map(|(id, attempt)| (id.to_owned(), attempt));
            fail::fail_point!("install-before-save");
            let stored = self.on_disk(move |store| {
                let install = install.as_ref().map(|(id, attempt)| (id.as_str(), *attempt));
                store.complete_install(install, &grant, &by)
            });
            match stored.await {
                Ok(true) => return Ok(connected),
                // A refresh was first: over its grant, then.
                Ok(false) => before = self.before(attempt).await?,
                Err(StoreError::PortalTaken { .. }) if ticket.is_none() => {
                    return Err(Ending::ConnectedAlready { portal });
                }
                Err(StoreError::PortalTaken { connection, .. }) => {
                    return Err(Ending::PortalTaken { portal, connection });
                }
                Err(StoreError::NameTaken { .. }) => return Err(Ending::NameTaken),
                Err(error) => return Err(Ending::Store(error)),
            }
        }
        Err(Ending::Store(StoreError::Busy))
    }

    async fn grant(
        self: &Arc<Self>,
        attempt: &Attempt,
        app: &AppRow,
        before: Option<&ConnectionRow>,
        consented: &Consented,
        portal: PortalId,
    ) -> Result<Grant, Ending> {
        let id = match before {
            Some(before) => before.id,
            None => {
                let mut random = [0; 12];
                aws_lc_rs::rand::fill(&mut random).map_err(|_| Ending::Vault(VaultError::NoRandomness))?;
                ConnectionId::generate(random)
            }
        };
        let over = before.map(|before| before.generation);
        let sealed = self
            .enrolment()
            .seal_consent(&id, over, consented)
            .map_err(Ending::Vault)?;
        let ticket = attempt.origin.ticket();
        let name = match (before, ticket.and_then(|row| row.name.clone())) {
            (Some(before), _) => before.name.clone(),
            (None, Some(name)) => name,
            (None, None) => self.free_name(&app.name, portal).await?,
        };
        let is_pending = ticket.is_none() && attempt.settings.new_portals != NewPortals::Accept;
        let (standing, standing_why) = match is_pending {
            true => (Standing::Pending, Some(WITHOUT_TICKET)),
            false => (Standing::Ok, None),
        };
        let asked = |row: &InstallRow| row.required.iter().chain(&row.optional).cloned().collect();
        Ok(Grant {
            id,
            name,
            portal,
            app: app.name.clone(),
            standing,
            standing_why,
            over,
            data_key: sealed.data_key,
            handed: sealed.handed,
            access: sealed.access,
            refresh: sealed.refresh,
            obtained: sealed.obtained,
            expires: sealed.expires,
            user_id: consented.user_id,
            email: consented.email.clone(),
            rights: consented
                .standpoint
                .and_then(|standpoint| serde_json::to_string(&standpoint).ok()),
            scopes: consented.scopes.clone(),
            requested: ticket.map(asked).unwrap_or_default(),
            labels: ticket.map(|row| row.labels.clone()).unwrap_or_default(),
        })
    }

    /// `APP-PORTAL`, or with a number if somebody has given that name to another connection.
    async fn free_name(self: &Arc<Self>, app: &str, portal: PortalId) -> Result<ConnectionName, Ending> {
        let names = names_of(app, portal);
        let found = self.on_disk(move |store| {
            for name in names {
                if store.connection_by_name(&name)?.is_none() {
                    return Ok(Some(name));
                }
            }
            Ok(None)
        });
        found.await.map_err(Ending::Store)?.ok_or(Ending::NameTaken)
    }

    /// The operator who made the ticket, or the gate itself.
    fn who(&self, attempt: &Attempt) -> Provenance {
        match attempt.origin.ticket() {
            Some(row) => row.by.clone(),
            None => self.provenance(),
        }
    }

    /// Log, ticket and page.
    async fn settle(self: &Arc<Self>, attempt: &Attempt, ending: Ending) -> Reply {
        if ending.reopens()
            && let Some((id, number)) = attempt.origin.install()
        {
            let id = id.to_owned();
            let reopened = self.on_disk(move |store| store.reopen_install(&id, number));
            if let Err(error) = reopened.await {
                tracing::warn!(%error, "a ticket was not opened again: a new link is needed");
            }
        }
        let ticket = attempt.origin.ticket();
        match &ending {
            Ending::Connected(connected) => {
                InstallMoved {
                    app: &attempt.app,
                    connection: Some(&connected.name),
                    portal: Some(connected.portal),
                    step: ending.word(),
                }
                .emit();
                if let (Some(url), false) = (&attempt.return_url, connected.is_pending) {
                    // HubSpot's marketplace wants the browser back.
                    return Reply::Go(url.clone(), None);
                }
            }
            _ => InstallRefused {
                app: Some(&attempt.app),
                connection: ticket.and_then(|row| row.name.as_ref()),
                reason: ending.word(),
            }
            .emit(&self.parts.metrics),
        }
        match &ending {
            Ending::Store(error) => return serve::store_failed(error).into(),
            Ending::Vault(error) => {
                tracing::error!(app = attempt.app, %error, "an install's secrets can't be used")
            }
            Ending::NotTold(why) => {
                tracing::warn!(app = attempt.app, why, "a grant was obtained and not kept")
            }
            _ => {}
        }
        ending.page().into()
    }
}

/// The names a connection without a ticket may get, the first that is free.
fn names_of(app: &str, portal: PortalId) -> Vec<ConnectionName> {
    let number = format!("-{portal}");
    let kept = app
        .get(..app.len().min(NAME_LENGTH_MAX - number.len() - 2))
        .unwrap_or_default();
    let ends = std::iter::once(String::new()).chain((2..=9).map(|n| format!("-{n}")));
    ends.filter_map(|end| ConnectionName::parse(&format!("{kept}{number}{end}")))
        .collect()
}

impl Ending {
    fn of_error(error: ConsentError) -> Self {
        use crate::hubspot::control::ControlError;
        use crate::hubspot::oauth::ExchangeError;
        use crate::tokens::EnrolError;
        match error {
            ConsentError::Exchange(ExchangeError::Refused(failure)) => Self::Refused(failure),
            ConsentError::Exchange(ExchangeError::Control(ControlError::NotSent(_))) => Self::Unreachable,
            ConsentError::Exchange(
                ExchangeError::Control(ControlError::NoAnswer(_)) | ExchangeError::NotUnderstood,
            ) => Self::Unknown,
            ConsentError::NotTold(why) => Self::NotTold(why),
            ConsentError::Enrol(EnrolError::Store(error)) => Self::Store(error),
            ConsentError::Enrol(EnrolError::Vault(error)) => Self::Vault(error),
            ConsentError::Enrol(_) => Self::AppGone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_a_ticket_is_named_after_app_and_portal() {
        let portal = PortalId::new(9_007_199_254_740_991).unwrap();
        let names = names_of("agency", portal);
        assert_eq!(names[0].as_str(), "agency-9007199254740991");
        assert_eq!(names[1].as_str(), "agency-9007199254740991-2");
        assert_eq!(names_of(&"a".repeat(64), portal)[8].as_str().len(), 64);
    }
}
