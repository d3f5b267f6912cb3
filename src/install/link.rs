//! The URLs of the flow.

use super::Inner;
use super::random::Random;
use crate::config::{AppSettings, START_PATH};
use crate::hubspot::authorize::{Authorize, Binding};
use crate::secret::Secret;

/// The link for a person: it holds the ticket, so it is a secret until it is used.
pub fn start_url(public_url: &str, ticket: &Secret) -> String {
    format!("{public_url}{START_PATH}?ticket={}", ticket.expose())
}

/// What HubSpot is asked, apart from who asks.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) client_id: &'a str,
    pub(super) app: &'a AppSettings,
    pub(super) required: &'a [String],
    pub(super) optional: &'a [String],
    pub(super) portal: Option<u64>,
}

impl Inner {
    /// Where a browser is sent for consent.
    pub(super) fn authorize_url(&self, asked: Asked<'_>, state: &Random, verifier: &Random) -> String {
        let challenge = verifier.challenge();
        Authorize {
            url: &self.parts.authorize_url,
            client_id: asked.client_id,
            redirect_uri: &asked.app.redirect_uri,
            required: asked.required,
            optional: asked.optional,
            portal: asked.portal,
            binding: Some(Binding {
                state: state.secret().expose(),
                challenge: &challenge,
            }),
        }
        .to_url()
    }
}
