//! How an attempt ends that brought no tokens: as its failure deserves, and no harder. Nothing is ever
//! revoked upstream here.

use std::sync::Arc;

use http::StatusCode;

use crate::access::connection::Standing;
use crate::events::{ConnectionChanged, RefreshFailure};
use crate::hubspot::control::{ControlError, Unanswered, Unsent};
use crate::hubspot::errors::TokenFailure;
use crate::hubspot::oauth::{Identity, RefreshError};
use crate::metrics::{RefreshCause, RefreshResult, StoreOp};
use crate::store::StoreError;
use crate::tokens::connection::{Account, ConnectionState};
use crate::tokens::engine::Engine;
use crate::tokens::flight::Outcome;
use crate::tokens::lease::Trouble;
use crate::tokens::refresh::{Attempt, Ended, read_again};
use crate::vault::VaultError;

impl Attempt<'_> {
    /// Ends an attempt that HubSpot did not answer with tokens.
    pub(super) async fn give_up(&self, error: RefreshError) -> Ended {
        let failure = failure_of(&error);
        let (result, acted_upon, trouble, asked) = match error {
            RefreshError::Refused { failure: refused, .. } => match refused {
                TokenFailure::DeadGrant => return self.bury(failure).await,
                TokenFailure::WrongClient => {
                    (RefreshResult::WrongClient, false, Trouble::Configuration, None)
                }
                TokenFailure::Configuration => {
                    (RefreshResult::Configuration, false, Trouble::Configuration, None)
                }
                TokenFailure::Busy {
                    retry_after,
                    acted_upon,
                } => (RefreshResult::Transient, acted_upon, Trouble::Busy, retry_after),
                TokenFailure::Locked { retry_after } => {
                    (RefreshResult::Transient, false, Trouble::Busy, retry_after)
                }
            },
            RefreshError::Control(ControlError::NotSent(_)) => {
                (RefreshResult::Transient, false, Trouble::Unreachable, None)
            }
            RefreshError::Control(ControlError::NoAnswer(_)) | RefreshError::NotUnderstood { .. } => {
                (RefreshResult::Transient, true, Trouble::Unreachable, None)
            }
        };
        self.tell_failed(result, failure);
        self.end(acted_upon || self.ticket.uncertain, Some(trouble)).await;
        (Outcome::Failed(trouble), asked)
    }

    /// The grant is dead. After an attempt of unknown end, it may be our own loss: then somebody has
    /// to install again, and nobody revoked anything.
    async fn bury(&self, mut failure: RefreshFailure) -> Ended {
        let (standing, why) = if self.ticket.uncertain {
            failure.cause = RefreshCause::LostGrant;
            (
                Standing::Reauthorise,
                "its grant was lost when a refresh broke off; it must be installed again",
            )
        } else {
            (
                Standing::Dead,
                "HubSpot says its grant is expired, revoked or uninstalled",
            )
        };
        let (ticket, by) = (Arc::clone(&self.ticket), self.engine.provenance());
        let action = "connection grant ended";
        let ended = self
            .engine
            .on_disk(move |store| store.end_grant(&ticket, (standing, why, action), &by))
            .await;
        match ended {
            Ok(true) => {}
            // Somebody has put another grant in its place: the end of the old one is nobody's.
            Ok(false) => {
                self.tell(RefreshResult::Superseded);
                return read_again(self.engine, self.connection).await;
            }
            Err(error) => {
                self.engine.store_failed(StoreOp::RefreshEnd, &error);
                tracing::error!(connection = %self.connection.name(), error = %error, "standing not written");
            }
        }
        self.tell_failed(RefreshResult::DeadGrant, failure);
        // All that hold the grant have lost it.
        for (member, key) in self.members() {
            let Some(holder) = self.holder(member, key) else {
                continue;
            };
            holder.set_uncertain(false);
            note_standing(&holder, standing, why);
        }
        (Outcome::Settled, None)
    }

    /// The store's record does not open: that record is marked, nothing is guessed.
    pub(super) async fn not_opened(&self, error: VaultError) -> Ended {
        tracing::error!(connection = %self.connection.name(), error = %error, "credentials can't be opened");
        self.tell_failed(RefreshResult::Configuration, RefreshCause::NotOpened.into());
        self.end(self.ticket.uncertain, Some(Trouble::Configuration))
            .await;
        (Outcome::Failed(Trouble::Configuration), None)
    }

    async fn end(&self, keep_intent: bool, trouble: Option<Trouble>) {
        let ticket = Arc::clone(&self.ticket);
        let health = trouble.map(Trouble::as_str);
        let ended = self
            .engine
            .on_disk(move |store| store.end_refresh(&ticket, keep_intent, health))
            .await;
        if let Err(error) = ended {
            // The lease ends by itself; the intent stays, which errs towards caution.
            self.engine.store_failed(StoreOp::RefreshEnd, &error);
            tracing::error!(connection = %self.connection.name(), error = %error, "end of a refresh not written");
        }
    }
}

/// The word for what went wrong, and the status if HubSpot said it.
pub(super) fn failure_of(error: &RefreshError) -> RefreshFailure {
    let cause = match error {
        RefreshError::Control(ControlError::NotSent(error)) => match error {
            Unsent::Path | Unsent::Name => RefreshCause::Unsendable,
            Unsent::Slow => RefreshCause::ConnectTimeout,
            Unsent::Connect(error) => RefreshCause::of_connect(error),
        },
        RefreshError::Control(ControlError::NoAnswer(error)) => match error {
            Unanswered::Refused(_) => RefreshCause::Protocol,
            Unanswered::Broken(_) => RefreshCause::Closed,
            Unanswered::TooLong => RefreshCause::TooLarge,
            Unanswered::Slow => RefreshCause::Timeout,
        },
        RefreshError::NotUnderstood { is_json: true } => RefreshCause::NoToken,
        RefreshError::NotUnderstood { is_json: false } => RefreshCause::NotJson,
        RefreshError::Refused { failure, status } => {
            let cause = match failure {
                TokenFailure::DeadGrant => RefreshCause::DeadGrant,
                TokenFailure::WrongClient => RefreshCause::WrongClient,
                TokenFailure::Configuration => RefreshCause::Refused,
                TokenFailure::Locked { .. } => RefreshCause::Locked,
                TokenFailure::Busy { .. } if *status == Some(StatusCode::TOO_MANY_REQUESTS) => {
                    RefreshCause::RateLimited
                }
                TokenFailure::Busy { .. } => RefreshCause::ServerError,
            };
            let status = status.map(|status| status.as_u16());
            return RefreshFailure { cause, status };
        }
    };
    cause.into()
}

/// Suspends a connection whose credential turned out to be another portal's, in memory and in the store.
pub(super) async fn suspend_foreign(
    engine: &Engine,
    connection: &ConnectionState,
    why: &'static str,
    action: &'static str,
) {
    note_standing(connection, Standing::Suspended, why);
    let (id, by) = (connection.id(), engine.provenance());
    let written = engine
        .on_disk(move |store| store.suspend_foreign(&id, why, action, &by))
        .await;
    if let Err(error) = written {
        engine.store_failed(StoreOp::Write, &error);
        tracing::error!(connection = %connection.name(), error = %error, "suspension not written");
    }
}

/// Notes that a connection's credential is its portal's, in the store and in memory: an unverified one
/// becomes `ok`.
pub(super) async fn verified(
    engine: &Engine,
    connection: &ConnectionState,
    identity: Identity,
) -> Result<(), StoreError> {
    if connection.standing_beneath() != Standing::Unverified {
        return Ok(());
    }
    let (id, by) = (connection.id(), engine.provenance());
    let account = Account {
        scopes: engine.scope_lists.of(&identity.scopes),
        user_id: identity.user_id,
    };
    engine
        .on_disk(move |store| {
            let (user_id, email) = (identity.user_id, identity.user.as_deref());
            store.verify_connection(&id, user_id, email, &identity.scopes, &by)
        })
        .await?;
    connection.set_account(account);
    note_standing(connection, Standing::Ok, "verified");
    Ok(())
}

/// Takes on a standing in memory alone; an operator's stays.
pub(super) fn note_standing(connection: &ConnectionState, to: Standing, why: &'static str) {
    if let Some(from) = connection.settle_standing(to).filter(|from| *from != to) {
        let event = ConnectionChanged {
            connection: connection.name().as_str(),
            from: from.as_str(),
            to: to.as_str(),
            why,
        };
        event.emit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_word_and_its_status_and_what_is_no_answer_has_none() {
        let (retry_after, acted_upon) = (None, false);
        let busy = TokenFailure::Busy {
            retry_after,
            acted_upon,
        };
        for (said, failure, word) in [
            (400, TokenFailure::DeadGrant, "dead_grant"),
            (401, TokenFailure::WrongClient, "wrong_client"),
            (302, TokenFailure::Configuration, "refused"),
            (423, TokenFailure::Locked { retry_after }, "locked"),
            (429, busy, "rate_limited"),
            (408, busy, "server_error"),
            (503, busy, "server_error"),
        ] {
            let status = StatusCode::from_u16(said).ok();
            let found = failure_of(&RefreshError::Refused { failure, status });
            assert_eq!((found.cause.as_str(), found.status), (word, Some(said)));
        }
        let tls = std::io::Error::new(std::io::ErrorKind::InvalidData, rustls::Error::DecryptError);
        for (error, word) in [
            (ControlError::NotSent(Unsent::Connect(tls)), "tls"),
            (ControlError::NotSent(Unsent::Slow), "connect_timeout"),
            (ControlError::NoAnswer(Unanswered::Slow), "timeout"),
        ] {
            let found = failure_of(&error.into());
            assert_eq!((found.cause.as_str(), found.status), (word, None));
        }
    }
}
