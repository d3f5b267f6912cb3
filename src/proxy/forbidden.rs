//! What HubSpot's answers tell of a connection: that it works, or why HubSpot refuses.
//!
//! Only HubSpot's own 403s have a cause here; what the gate denies says so by itself.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;

use super::case::Case;
use super::outcome::Refused;
use super::stop;
use crate::access::catalogue::Catalogue;
use crate::access::connection::CredentialKind;
use crate::access::effect::Effect;
use crate::access::facts::Facts;
use crate::events::UpstreamForbade;
use crate::hubspot::forbidden::{Forbidden, Need, Question};
use crate::tokens::FailureCause;

impl Case {
    /// A 2xx: reads, or writes, of the connection work.
    pub(super) fn note_success(&self, status: StatusCode) {
        if status.is_success()
            && let Some(class) = self.outcome.effect.and_then(Effect::class)
            && let (Some(connection), Some(integration)) = (&self.connection, &self.outcome.integration)
        {
            connection.note_success(class, integration, Timestamp::now());
        }
    }

    /// A 403, with its body unless that was too long: decoded, counted, and kept for the answer's head
    /// and the record.
    pub(super) fn note_forbidden(&mut self, facts: &Facts, headers: &HeaderMap, body: Option<&[u8]>) {
        let (Some(connection), Some(integration)) = (&self.connection, &self.outcome.integration) else {
            return;
        };
        let account = connection.account();
        let catalogue = &*self.snapshot.catalogue;
        let content_type = headers.get(header::CONTENT_TYPE);
        let needs = needs(catalogue, facts);
        let forbidden = body.map_or_else(Forbidden::too_long, |body| {
            Forbidden::decode(&Question {
                content_type: content_type.and_then(|value| value.to_str().ok()),
                body,
                // Every credential has a scope: none at all means that HubSpot has not told.
                granted: Some(&*account.scopes).filter(|scopes| !scopes.is_empty()),
                needs: &needs,
                is_scope: &|name| catalogue.scope_by_name(name).is_some(),
                follows_person: connection.kind() != CredentialKind::OAuth,
            })
        });
        UpstreamForbade {
            id: self.outcome.id(),
            integration,
            connection: connection.name().as_str(),
            operation: self.operation.as_deref(),
            forbidden: &forbidden,
        }
        .emit(self.worker.metrics());
        if let Some(class) = self.outcome.effect.and_then(Effect::class) {
            connection.note_failure(class, FailureCause::Forbidden(forbidden.cause), Timestamp::now());
        }
        self.outcome.refused = Some(Box::new(Refused {
            forbidden,
            connection: connection.name().as_str().into(),
            operation: self.operation.as_ref().map(Arc::clone),
        }));
    }

    /// Says why in the head of HubSpot's 403.
    pub(super) fn insert_cause(&self, headers: &mut HeaderMap) {
        let refused = self.outcome.refused.as_ref();
        // Words and scopes of ours, so it always fits.
        let value = refused.and_then(|refused| HeaderValue::try_from(refused.forbidden.header()).ok());
        if let Some(value) = value {
            headers.insert(stop::CAUSE, value);
        }
    }
}

/// What the catalogue says that a call needs, by the scopes' names.
fn needs<'c>(catalogue: &'c Catalogue, facts: &Facts) -> Vec<Need<'c>> {
    let touches = facts.needs.iter().flat_map(|need| &need.touches);
    touches
        .map(|touch| {
            let terms = touch.requirement.iter();
            terms.map(|term| catalogue.scope_names(term).into_vec()).collect()
        })
        .collect()
}
