//! What HubSpot's answers tell of a connection: that it works, or why HubSpot refuses.
//!
//! Only HubSpot's own 403s have a cause here; what the gate denies says so by itself.

use std::sync::Arc;

use http::StatusCode;

use super::case::Case;
use super::outcome::Refused;
use crate::access::catalogue::Catalogue;
use crate::access::connection::CredentialKind;
use crate::access::effect::Effect;
use crate::access::facts::Facts;
use crate::answer_fields::{AnswerFields, Known};
use crate::clock;
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
            connection.note_success(class, integration, clock::now());
        }
    }

    /// A 403, with its body unless that was too long: decoded, counted, and kept for the answer's head
    /// and the record.
    pub(super) fn note_forbidden(&mut self, facts: &Facts, fields: &AnswerFields, body: Option<&[u8]>) {
        let (Some(connection), Some(integration)) = (&self.connection, &self.outcome.integration) else {
            return;
        };
        let account = connection.account();
        let catalogue = &*self.snapshot.catalogue;
        let content_type = fields.get(Known::ContentType);
        let needs = needs(catalogue, facts);
        let forbidden = body.map_or_else(Forbidden::too_long, |body| {
            Forbidden::decode(&Question {
                content_type: content_type.and_then(|value| std::str::from_utf8(value).ok()),
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
            connection.note_failure(class, FailureCause::Forbidden(forbidden.cause), clock::now());
        }
        self.outcome.refused = Some(Box::new(Refused {
            forbidden,
            connection: connection.name().as_str().into(),
            operation: self.operation.as_ref().map(Arc::clone),
        }));
    }

    /// Says why in the head of HubSpot's 403.
    pub(super) fn insert_cause(&self, fields: &mut AnswerFields) {
        if let Some(refused) = &self.outcome.refused {
            // Words and scopes of ours, so it always fits.
            fields.set_text(Known::Cause, refused.forbidden.header());
        }
    }
}

/// What the catalogue says that a call needs, by the scopes' names: first what it requires, then what
/// HubSpot takes as well.
fn needs<'c>(catalogue: &'c Catalogue, facts: &Facts) -> Vec<Need<'c>> {
    let mut needs = Vec::new();
    for need in &facts.needs {
        for touch in &need.touches {
            let terms = touch.requirement.iter();
            let mut terms: Need<'c> = terms.map(|term| catalogue.scope_names(term).into_vec()).collect();
            if touch.object.is_none() && !terms.is_empty() {
                let others = catalogue.accepted(need.operation);
                terms.extend(others.map(|scope| catalogue.scope_names(&[scope]).into_vec()));
            }
            needs.push(terms);
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::access::facts;

    #[test]
    fn a_broader_scope_that_hubspot_takes_as_well_is_no_missing_scope() {
        let catalogue = Catalogue::embedded().unwrap();
        let operation = catalogue.operation_by_id("crm.owners.list").unwrap();
        let touch = catalogue.touches(operation, None).remove(0);
        let facts = Facts {
            needs: smallvec![facts::Need {
                operation,
                effect: Effect::Read,
                risks: facts::Risks::default(),
                touches: smallvec![touch],
            }],
            concerns: smallvec![],
            batch: None,
        };
        let needs = needs(&catalogue, &facts);
        assert_eq!(needs[0][0], ["crm.objects.owners.read"], "the least comes first");
        let body = br#"{"message":"You don't have permission to do this."}"#;
        let decoded = |granted: &str| {
            Forbidden::decode(&Question {
                content_type: None,
                body,
                granted: Some(&[granted.to_owned()]),
                needs: &needs,
                is_scope: &|_| true,
                follows_person: false,
            })
        };
        assert_eq!(decoded("automation").header(), "unknown");
        assert_eq!(
            decoded("forms").header(),
            "missing_scope; lacks=\"crm.objects.owners.read\""
        );
    }
}
