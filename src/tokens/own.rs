//! The gate's own questions to HubSpot about people: the one use of a token without a permit.
//!
//! Narrow on purpose: only connections that configuration sets aside for it and that no integration
//! may use, only `GET`, only the fixed paths of [`PeopleQuestion`]. The token does not leave this
//! module.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::access::connection::Standing;
use crate::hubspot::control::{ControlAnswer, ControlError};
use crate::hubspot::people::PeopleQuestion;
use crate::tokens::connection::ConnectionState;
use crate::tokens::lease::CredentialError;
use crate::tokens::live::Live;

/// How often a question under way looks whether its connection may still be used: questions are few.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OwnQuestionError {
    /// The connection is an integration's.
    #[error("the connection is not set aside for watching people")]
    NotOurs,
    /// Nobody knows yet whose account its credential opens: another account's people are not these.
    #[error("HubSpot has not said yet whose the watcher's credential is")]
    Unverified,
    /// Its standing forbids it, or there is no token for now.
    #[error("the watcher's connection has no token to ask with")]
    NoToken(CredentialError),
    /// HubSpot could not be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Live {
    /// Asks with the token of a connection that is set aside for it.
    ///
    /// # Errors
    /// The connection is not set aside, not verified, has no token, or HubSpot did not answer. Whatever
    /// HubSpot answers is an answer.
    pub async fn ask(
        &self,
        connection: &Arc<ConnectionState>,
        question: &PeopleQuestion,
    ) -> Result<ControlAnswer, OwnQuestionError> {
        if !connection.is_watcher() {
            return Err(OwnQuestionError::NotOurs);
        }
        let lease = self.lend(connection).await.map_err(OwnQuestionError::NoToken)?;
        // After the lending: a grant is verified by refreshing it.
        if connection.standing() == Standing::Unverified {
            return Err(OwnQuestionError::Unverified);
        }
        let client = &self.engine().parts.client;
        let path = question.path();
        // As a call's read: given up when its connection is stopped, sent or not.
        let answer = tokio::select! {
            biased;
            error = blocked(connection) => return Err(OwnQuestionError::NoToken(error)),
            answer = client.get(&path, Some(lease.authorization().clone())) => answer?,
        };
        if answer.status == StatusCode::UNAUTHORIZED {
            // As for a call: one forced refresh, and the next round asks with what it brought.
            let _ = self.rejected(&lease).await;
        } else {
            lease.accepted();
        }
        Ok(answer)
    }
}

/// Waits until the connection may no longer be used.
async fn blocked(connection: &ConnectionState) -> CredentialError {
    loop {
        if let Err(error) = connection.check_standing() {
            return error;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
