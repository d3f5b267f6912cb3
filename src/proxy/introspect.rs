//! Questions about the credential itself, answered by the gate.
//!
//! Real clients ask HubSpot who their token is, with the token in the path, in a form or in JSON.
//! Passing that on would leak the upstream's identity, or fail. The key asked about is the
//! credential of the request: an `Authorization` that differs is an unknown key.

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, Version};
use serde_json::{Value, json};

use super::account;
use super::answer::Answer;
use super::ask::Ask;
use super::case::Case;
use super::judged::{self, Share};
use super::pace::Rate;
use super::rights;
use super::stop::Stop;
use crate::access::connection::Selector;
use crate::access::effect::Effect;
use crate::access::introspection::Question;
use crate::access::policy::Policy;
use crate::access::refusal::Reason;
use crate::access::verdict::Verdict;
use crate::audit;
use crate::clock;
use crate::secret::Secret;
use crate::tokens::ConnectionState;

/// Bounds of a question's body: a key and a client's id and secret, from a caller who is a stranger
/// until it was read.
const BODY_BOUNDS: judged::Bounds = judged::Bounds {
    bytes: 16 * 1024,
    idle: std::time::Duration::from_secs(5),
    total: std::time::Duration::from_secs(5),
    // All of it must be there by then.
    rate: Rate {
        bytes_per_second: 0,
        over: std::time::Duration::from_secs(5),
    },
};

/// Questions being read at one time, in bytes.
pub const QUESTIONS_BYTES: usize = 16 * 1024 * 1024;

/// The life HubSpot's own tokens have; keys have no expiry a client could act on.
const EXPIRES_IN_SECONDS: u32 = 1800;

impl Question {
    /// The key in the body. HubSpot's docs call the field three names.
    pub fn key_in_body(self, body: &[u8]) -> Option<Secret> {
        match self {
            Question::PrivateApp => {
                let value: Value = serde_json::from_slice(body).ok()?;
                value
                    .get("tokenKey")?
                    .as_str()
                    .map(|key| Secret::new(key.to_owned()))
            }
            Question::Introspect => form_urlencoded::parse(body)
                .find(|(name, _)| matches!(&**name, "token" | "access_token"))
                .map(|(_, value)| Secret::new(value.into_owned())),
            Question::AccessToken | Question::Token => None,
        }
    }

    /// What an unknown key is told where HubSpot does not say 401.
    pub fn unknown(self) -> Option<(StatusCode, Bytes)> {
        match self {
            Question::Introspect => Some((StatusCode::OK, Bytes::from_static(b"{\"active\":false}"))),
            Question::Token => Some((
                StatusCode::BAD_REQUEST,
                json!({
                    "error": "invalid_grant",
                    "error_description": "scopegate issues no tokens: send the scopegate key itself as the bearer token",
                    "status": "BAD_REFRESH_TOKEN",
                    "message": "scopegate issues no tokens: send the scopegate key itself as the bearer token",
                })
                .to_string()
                .into(),
            )),
            Question::AccessToken | Question::PrivateApp => None,
        }
    }

    /// Who the key is: the policy's scopes within the granted ones, the policy's owner, never the
    /// installer's address.
    pub fn answer(
        self,
        key: &Secret,
        policy: &Policy,
        connection: &ConnectionState,
        scopes: &[&str],
    ) -> Bytes {
        let account = connection.account();
        let (hub, user) = (connection.portal().get(), account.user_id.unwrap_or(0));
        let value = match self {
            Question::PrivateApp => json!({ "userId": user, "hubId": hub, "appId": 0, "scopes": scopes }),
            _ => json!({
                "active": true,
                "token": key.expose(),
                "token_type": "access",
                "token_use": "access_token",
                "client_id": "",
                "user": policy.owner,
                "user_id": user,
                "hub_id": hub,
                "hub_domain": "",
                "app_id": 0,
                "expires_in": EXPIRES_IN_SECONDS,
                "scopes": scopes,
            }),
        };
        value.to_string().into()
    }
}

/// Wide scopes that HubSpot accepts wherever the narrower ones stand, as its specifications list
/// them side by side.
const COVERS: [(&str, &[&str]); 5] = [
    ("files", &["files."]),
    ("hubdb", &["hubdb."]),
    ("content", &["content.", "marketing.email.", "cms.domains."]),
    (
        "communication_preferences.read_write",
        &[
            "communication_preferences.read",
            "communication_preferences.write",
        ],
    ),
    (
        "e-commerce",
        &[
            "crm.objects.products.",
            "crm.objects.line_items.",
            "crm.objects.quotes.",
        ],
    ),
];

/// Whether a granted scope includes a narrower one.
fn covers(granted: &str, wanted: &str) -> bool {
    COVERS
        .iter()
        .any(|(wide, narrow)| *wide == granted && narrow.iter().any(|prefix| wanted.starts_with(prefix)))
}

impl Case {
    /// What the key stands for now, if it opens anything.
    async fn usable(
        &mut self,
        key: Secret,
        selector: Option<Selector>,
        version: Version,
    ) -> Result<(Arc<Policy>, Arc<ConnectionState>), Stop> {
        let caller = self.identify(key, selector).await?;
        self.admit(&caller, version).await?;
        // It may have waited for its place: what was withdrawn meanwhile is not told of as good.
        if let Some(fault) = caller.key().fault(clock::now) {
            return Err(Stop::Key(fault.reason()));
        }
        self.renew();
        let policy = self.policy(&caller)?;
        let connection = self.connection(&caller, &policy)?;
        Ok((policy, connection))
    }

    /// Whether the key opens anything as things stand, reads at least.
    fn opens(&self, policy: &Policy, connection: &ConnectionState) -> Result<(), Stop> {
        match &self.key {
            Some(key) => rights::check(key, connection, policy, Effect::Meta),
            None => Err(Stop::Key(Reason::KeyUnknown)),
        }
    }

    /// With a key that opens nothing here, whatever the reason, nothing else may be told where HubSpot does not say 401.
    fn untold(&mut self, question: Question, stop: Stop) -> Result<Answer, Stop> {
        let (Stop::Key(_) | Stop::Policy(_) | Stop::Connection(_), Some((status, body))) =
            (&stop, question.unknown())
        else {
            return Err(stop);
        };
        let stop = self.note(stop);
        self.verdict = Some(stop.verdict());
        self.outcome.reason = stop.reason();
        match stop {
            Stop::Audit => Err(stop),
            _ => Ok(Answer::Own(status, body)),
        }
    }

    /// Answers a question about the credential itself.
    pub async fn introspect(
        &mut self,
        question: Question,
        in_path: Option<Secret>,
        mut ask: Ask,
    ) -> Result<Answer, Stop> {
        self.template = Some(question.template().into());
        let authorization = ask.take_optional_credential()?;
        let selector = ask.take_selector();
        let key = match (in_path, ask.body.take()) {
            (Some(key), _) => Some(key),
            (None, Some(body)) => {
                // Nobody is authenticated yet: a small budget apart, so that strangers can't use up
                // the room of those who are.
                let mut share = Share::of(&self.worker.gate().questions);
                let body = judged::read(body, &mut share, BODY_BOUNDS).await?;
                question.key_in_body(&body)
            }
            (None, None) => None,
        };
        let differs =
            authorization.is_some_and(|sent| key.as_ref().is_none_or(|key| sent.expose() != key.expose()));
        let known = match &key {
            Some(key) if !differs => self.usable(key.clone(), selector, ask.line.version).await,
            Some(_) => Err(Stop::Key(Reason::KeyUnknown)),
            None => Err(Stop::Key(Reason::KeyMissing)),
        };
        let (policy, connection, key) = match (known, key) {
            (Ok((policy, connection)), Some(key)) => (policy, connection, key),
            (Err(stop), _) => return self.untold(question, stop),
            (Ok(_), None) => return Err(Stop::Key(Reason::KeyMissing)),
        };
        self.outcome.effect = Some(Effect::Auth);
        // Asked about a key that nothing works with, the gate does not say that it is good.
        if let Err(stop) = self.opens(&policy, &connection) {
            return self.untold(question, stop);
        }
        let record = self
            .decision_record(Verdict::Allow, Reason::None)
            .ok_or(Stop::Unready)?;
        let handed = self.worker.audit().decided(&record);
        self.recorded = true;
        self.outcome.owes_record = handed.is_ok();
        audit::on_disk(handed).await.map_err(|why| self.unrecorded(why))?;
        // With `audit.durable: all` that was a wait: what was withdrawn meanwhile is not told of as good.
        if let Err(stop) = self.opens(&policy, &connection) {
            return self.untold(question, stop);
        }
        self.verdict = Some(Verdict::Allow);
        self.count(Verdict::Allow, Reason::None);
        let catalogue = &self.snapshot.catalogue;
        let account = connection.account();
        let granted = |wanted: &&str| {
            account.scopes.is_empty()
                || account
                    .scopes
                    .iter()
                    .any(|scope| scope == wanted || covers(scope, wanted))
        };
        let allowed = policy.granted_scopes(account::as_ref(&connection), self.snapshot.policies.ceiling());
        let scopes: Vec<&str> = catalogue
            .scope_names(&allowed)
            .into_iter()
            .filter(granted)
            .collect();
        Ok(Answer::Own(
            StatusCode::OK,
            question.answer(&key, &policy, &connection, &scopes),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_scope_covers_its_narrower_ones_and_no_other() {
        assert!(covers("files", "files.write"));
        assert!(covers("e-commerce", "crm.objects.quotes.read"));
        assert!(
            !covers("files", "files"),
            "the same scope is granted, not covered"
        );
        assert!(!covers("files.read", "files.write"));
        assert!(!covers("content", "crm.objects.contacts.read"));
    }
}
