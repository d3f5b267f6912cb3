//! Ending a grant at HubSpot: uninstalling the app from a portal, revoking a refresh token.
//!
//! HubSpot's own order is uninstall, then revoke: the first needs an access token, which the second may
//! leave without a successor.

use http::{HeaderValue, StatusCode};

use crate::hubspot::control::{ControlClient, ControlError};
use crate::hubspot::errors::{TokenFailure, classify};
use crate::hubspot::oauth::{ClientCredentials, Endpoints, form};
use crate::secret::Secret;

/// Why a grant was not ended.
#[derive(Debug, thiserror::Error)]
pub enum NotEnded {
    /// No answer; the error says whether the question can have arrived.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The access token is not good.
    #[error("HubSpot refuses the access token")]
    Unauthorised,
    /// The app's client id or secret is wrong.
    #[error("HubSpot does not know the app by its client id and secret")]
    WrongClient,
    /// HubSpot said no.
    #[error("HubSpot answered {0}")]
    Refused(StatusCode),
}

/// Uninstalls the app from the portal whose access token this is: every grant of the app there is dead
/// afterwards, and its access tokens with it.
pub async fn uninstall(
    client: &ControlClient,
    endpoints: &Endpoints,
    authorization: HeaderValue,
) -> Result<(), NotEnded> {
    let answer = client.delete(&endpoints.uninstall, authorization).await?;
    match answer.status {
        StatusCode::UNAUTHORIZED => Err(NotEnded::Unauthorised),
        status if status.is_success() => Ok(()),
        status => Err(NotEnded::Refused(status)),
    }
}

/// Revokes a refresh token. Access tokens that are out live to their own end. A token that HubSpot does
/// not know is no error (RFC 7009 §2.2), nor is one that it has replaced: that nobody replaces it meanwhile is
/// the caller's to see to.
pub async fn revoke(
    client: &ControlClient,
    endpoints: &Endpoints,
    credentials: ClientCredentials<'_>,
    refresh_token: &Secret,
) -> Result<(), NotEnded> {
    let form = form(&[
        ("client_id", credentials.id),
        ("client_secret", credentials.secret.expose()),
        ("token", refresh_token.expose()),
        ("token_type_hint", "refresh_token"),
    ]);
    let answer = client.post_form(&endpoints.revoke, form).await?;
    if answer.status.is_success() {
        return Ok(());
    }
    match classify(answer.status, answer.retry_after, &answer.body) {
        // It is what was wanted.
        TokenFailure::DeadGrant => Ok(()),
        TokenFailure::WrongClient => Err(NotEnded::WrongClient),
        _ => Err(NotEnded::Refused(answer.status)),
    }
}
