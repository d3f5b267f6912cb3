//! Every way a call ends at the gate, and the one place that turns it into an answer.
//!
//! The shape is HubSpot's, so that SDKs raise their own typed errors; `message` begins with
//! `scopegate` and the headers say who answered, so that nobody takes it for HubSpot's. Nothing the
//! client sent is repeated: a message reaches a model through MCP clients.

use bytes::Bytes;
use http::StatusCode;
use uuid::Uuid;

use super::face::Face;
use crate::access::refusal::{Place, Reason, Refusal};
use crate::access::verdict::{Source, Verdict};
use crate::answer_fields::{AnswerFields, Known};
use crate::audit::LimitRecord;
use crate::quota::Exceeded;

/// HubSpot's own spelling, byte for byte: one extractor reads `message` only under exactly this.
pub const JSON_UTF8: &str = "application/json;charset=utf-8";

/// Most of what is lacking that a record names.
const LACKS_RECORDED: usize = 16;

/// What a policy did not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The word for metrics and audit.
    pub reason: Reason,
    /// What is missing, as written in a policy.
    pub lacks: Vec<String>,
    /// Scopes, when a scope is what is missing.
    pub scopes: Vec<String>,
    /// The smallest change that would allow it.
    pub remedy: String,
    /// Properties that are denied, by their plain names.
    pub properties: Vec<String>,
    /// Where in the request the first of them stands.
    pub place: Option<Place>,
    /// Whom to ask.
    pub owner: String,
}

/// A call that a cap of its policy does not let through now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Which, and by how much.
    pub exceeded: Exceeded,
    /// Whom to ask.
    pub owner: String,
}

/// A call that was turned away before anything was looked at but its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shed {
    /// Its integration has as many calls under way as it may, and none ended in time.
    InFlight,
    /// As many of them wait as may.
    Waiting,
    /// Its key holds as many connections as it may.
    Connections,
}

/// Every way a call ends at the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing works with this key: missing, malformed, unknown, revoked, expired, killed.
    Key(Reason),
    /// The integration's policy is missing, invalid or expired.
    Policy(Reason),
    /// The connection is foreign, or in a state that needs a person.
    Connection(Reason),
    /// An unbound key, and the request names no connection, or two.
    ConnectionUnnamed,
    /// Not understood.
    Refused(Refusal),
    /// Understood, and not opened by the policy. Boxed: it is much larger than the rest.
    Denied(Box<Denied>),
    /// Allowed, and more than a limit of the policy has left.
    Limited(Box<Limited>),
    /// One integration has too much under way.
    Shed(Shed),
    /// What it would delete could not be counted durably.
    Uncounted,
    /// No token for now; it passes by itself.
    Credential {
        /// Whole seconds until it may work again.
        retry_after_seconds: u32,
    },
    /// The decision can't be recorded.
    Audit,
    /// Too much is under way.
    Overloaded,
    /// The store could not be read for too long, or the gate goes down.
    Unready,
    /// The upstream can't be reached, or broke off.
    Upstream {
        /// A change may have been made all the same.
        unsure: bool,
    },
    /// The upstream can't be reached, as earlier calls found out: nothing was tried.
    Held {
        /// Whole seconds until it may work again.
        retry_after_seconds: u32,
    },
    /// The upstream answered something the gate does not pass on.
    Answer(&'static str),
    /// The answer repeats the token.
    TokenEcho {
        /// A change may have been made all the same.
        unsure: bool,
    },
    /// The upstream took too long.
    Timeout {
        /// A change may have been made all the same.
        unsure: bool,
    },
    /// The client's body did not arrive in time, or broke off.
    Body,
}

impl Stop {
    /// The word for metrics and audit.
    pub fn reason(&self) -> Reason {
        match self {
            Stop::Key(reason) | Stop::Policy(reason) | Stop::Connection(reason) => *reason,
            Stop::ConnectionUnnamed => Reason::ConnectionUnnamed,
            Stop::Refused(refusal) => refusal.reason,
            Stop::Denied(denied) => denied.reason,
            Stop::Limited(limited) => limited.exceeded.counted.reason(),
            Stop::Shed(Shed::InFlight | Shed::Waiting) => Reason::LimitInFlight,
            Stop::Shed(Shed::Connections) => Reason::LimitConnections,
            Stop::Uncounted => Reason::LimitStore,
            Stop::Credential { .. } => Reason::Credential,
            Stop::Audit => Reason::Audit,
            Stop::Overloaded => Reason::Overloaded,
            Stop::Unready => Reason::Draining,
            Stop::Upstream { .. } | Stop::Held { .. } | Stop::Answer(_) => Reason::Upstream,
            Stop::TokenEcho { .. } => Reason::TokenEcho,
            Stop::Timeout { .. } => Reason::Timeout,
            Stop::Body => Reason::RefusedBody,
        }
    }

    /// What a policy lacks, for the record: never the name of a property, which came with the request.
    pub fn lacks(&self) -> Vec<Box<str>> {
        if let Stop::Limited(limited) = self {
            return vec![format!("limit:{}", limited.exceeded.counted.as_str()).into()];
        }
        let Stop::Denied(denied) = self else {
            return Vec::new();
        };
        let mut lacks: Vec<Box<str>> = Vec::new();
        for lack in &denied.lacks {
            let lack = match lack.split_once(':') {
                Some((kind @ ("property" | "value"), _)) => kind,
                _ => lack,
            };
            if lacks.len() < LACKS_RECORDED && lacks.iter().all(|known| **known != *lack) {
                lacks.push(lack.into());
            }
        }
        lacks
    }

    /// The limit that stands in the way, in numbers, for the record.
    pub fn limit(&self) -> Option<LimitRecord> {
        let Stop::Limited(limited) = self else {
            return None;
        };
        let Exceeded {
            counted,
            cap,
            used,
            asked,
            ..
        } = limited.exceeded;
        Some(LimitRecord {
            name: counted.as_str(),
            most: cap.most,
            window_seconds: cap.window_seconds,
            used,
            asked,
        })
    }

    /// The decision this is, in one word.
    pub fn verdict(&self) -> Verdict {
        match self {
            Stop::Key(_) | Stop::Policy(_) | Stop::Connection(_) | Stop::Denied(_) | Stop::Limited(_) => {
                Verdict::Deny
            }
            Stop::ConnectionUnnamed
            | Stop::Shed(_)
            | Stop::Uncounted
            | Stop::Refused(_)
            | Stop::Credential { .. }
            | Stop::Audit
            | Stop::Overloaded
            | Stop::Unready
            | Stop::Upstream { .. }
            | Stop::Held { .. }
            | Stop::Answer(_)
            | Stop::TokenEcho { .. }
            | Stop::Timeout { .. }
            | Stop::Body => Verdict::Refuse,
        }
    }

    /// The answer, with its correlation id and the rule that decided, if one did.
    ///
    /// `decided` is the decision's word when it was made before the call ended (an upstream that
    /// can't be reached does not turn an allow into a refusal).
    pub fn answer(&self, id: Uuid, decided: Option<Verdict>, rule: Option<&str>) -> OwnAnswer {
        let face = Face::of(self);
        let body = face.body(id);
        let mut fields = AnswerFields::with_room();
        fields.set(Known::ContentType, JSON_UTF8);
        let verdict = decided.unwrap_or_else(|| self.verdict());
        insert_decision(&mut fields, verdict, id, rule);
        fields.set(Known::Source, Source::Gate.as_str());
        if face.status == StatusCode::UNAUTHORIZED {
            fields.set(Known::WwwAuthenticate, "Bearer error=\"invalid_token\"");
        }
        if let Some(seconds) = face.retry_after_seconds {
            fields.set_text(Known::RetryAfter, seconds.to_string());
        }
        if face.is_final {
            fields.set(Known::ShouldRetry, "false");
        }
        OwnAnswer {
            status: face.status,
            fields,
            body: body.into(),
        }
    }
}

/// An answer in the gate's own words.
pub struct OwnAnswer {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub fields: AnswerFields,
    /// JSON.
    pub body: Bytes,
}

/// Adds `x-scopegate-decision` and the correlation id.
pub fn insert_decision(fields: &mut AnswerFields, verdict: Verdict, id: Uuid, rule: Option<&str>) {
    let word = match verdict {
        Verdict::Allow | Verdict::WouldDeny => "allow",
        Verdict::Deny => "deny",
        Verdict::Refuse => "refuse",
    };
    let mut text = String::with_capacity(96);
    text.push_str(word);
    text.push_str("; id=");
    let mut buffer = Uuid::encode_buffer();
    let id = id.hyphenated().encode_lower(&mut buffer);
    text.push_str(id);
    if let Some(rule) = rule {
        text.push_str("; rule=");
        text.push_str(rule);
    }
    if verdict == Verdict::WouldDeny {
        text.push_str("; observed=deny");
    }
    // Rule ids are checked when a policy is read; one that is no header value is left out.
    fields.set_text(Known::Decision, text);
    // HubSpot's own id is what its support asks for; ours stands in the decision header, too.
    if fields.get(Known::Correlation).is_none() {
        fields.set_text(Known::Correlation, id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::access::limits::{Cap, Counted};

    fn said(answer: &OwnAnswer, known: Known) -> Option<&str> {
        answer
            .fields
            .get(known)
            .map(|value| std::str::from_utf8(value).unwrap())
    }

    fn denied(denied: Denied) -> Stop {
        Stop::Denied(Box::new(denied))
    }

    fn by_property(reason: Reason) -> Denied {
        let word = if reason == Reason::Value {
            "value"
        } else {
            "property"
        };
        Denied {
            reason,
            lacks: vec![format!("{word}:salary")],
            scopes: Vec::new(),
            remedy: "add `salary` to `properties.contacts`".to_owned(),
            properties: vec!["salary".to_owned()],
            place: Some(Place::pointer("/filterGroups/0/filters/1/propertyName")),
            owner: "data-team@example.com".to_owned(),
        }
    }

    fn by_batch() -> Denied {
        Denied {
            lacks: vec!["limit:batch".to_owned()],
            properties: Vec::new(),
            place: Some(Place::pointer("/inputs")),
            ..by_property(Reason::LimitBatch)
        }
    }

    fn limited(fits_in: Option<std::time::Duration>) -> Stop {
        Stop::Limited(Box::new(Limited {
            exceeded: Exceeded {
                counted: Counted::RecordsRead,
                cap: Cap::parse("5000/1h").unwrap(),
                used: 4_950,
                asked: 100,
                fits_in,
            },
            owner: "data-team@example.com".to_owned(),
        }))
    }

    fn all() -> Vec<Stop> {
        vec![
            Stop::Key(Reason::KeyUnknown),
            Stop::Policy(Reason::PolicyInvalid),
            Stop::Connection(Reason::ConnectionSuspended),
            Stop::ConnectionUnnamed,
            Stop::Refused(Refusal::new(
                Reason::RefusedPath,
                "the path is odd",
                "send another",
            )),
            Stop::Refused(Refusal::new(
                Reason::UnknownOperation,
                "no such operation",
                "look it up",
            )),
            Stop::Refused(Refusal::new(
                Reason::TooLarge,
                "the body is over the bound",
                "send less",
            )),
            denied(Denied {
                reason: Reason::NoRule,
                lacks: vec!["scope:crm.objects.deals.read".to_owned()],
                scopes: vec!["crm.objects.deals.read".to_owned()],
                remedy: "add a rule".to_owned(),
                properties: Vec::new(),
                place: None,
                owner: "data-team@example.com".to_owned(),
            }),
            denied(by_property(Reason::Property)),
            denied(by_property(Reason::Value)),
            denied(by_batch()),
            Stop::Credential {
                retry_after_seconds: 5,
            },
            Stop::Audit,
            Stop::Overloaded,
            Stop::Unready,
            Stop::Upstream { unsure: true },
            Stop::Answer("scopegate: HubSpot answered with a redirect."),
            Stop::TokenEcho { unsure: true },
            Stop::Timeout { unsure: false },
            Stop::Body,
            Stop::Held {
                retry_after_seconds: 3,
            },
            limited(Some(std::time::Duration::from_millis(3_200))),
            Stop::Shed(Shed::InFlight),
            Stop::Shed(Shed::Connections),
            Stop::Uncounted,
            Stop::Connection(Reason::ConnectionInstallerRemoved),
            denied(Denied {
                reason: Reason::ConnectionInstallerRemoved,
                lacks: vec!["installer".to_owned()],
                properties: Vec::new(),
                place: None,
                ..by_property(Reason::Property)
            }),
        ]
    }

    #[test]
    fn every_answer_of_the_gate_is_shaped_like_hubspots_and_says_it_is_not() {
        let id = Uuid::from_u128(7);
        for stop in all() {
            let response = stop.answer(id, None, Some("report#allow[0]"));
            let said = |known| said(&response, known);
            assert_eq!(said(Known::ContentType), Some(JSON_UTF8));
            assert_eq!(said(Known::Source), Some("gate"));
            assert_eq!(said(Known::Correlation), Some(&id.to_string()[..]));
            assert!(
                said(Known::Decision)
                    .unwrap()
                    .contains(&format!("id={id}; rule=report#allow[0]"))
            );
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            assert_eq!(body["status"], "error");
            assert!(
                body["message"].as_str().unwrap().starts_with("scopegate"),
                "{body}"
            );
            assert_eq!(body["correlationId"], id.to_string());
            assert!(body["subCategory"].as_str().unwrap().starts_with("scopegate."));
            for context in [&body["context"], &body["errors"][0]["context"]] {
                for list in context.as_object().unwrap().values() {
                    assert!(list.as_array().unwrap().iter().all(Value::is_string));
                }
            }
        }
    }

    #[test]
    fn statuses_are_the_contracts() {
        let statuses: Vec<u16> = all()
            .iter()
            .map(|stop| stop.answer(Uuid::nil(), None, None).status.as_u16())
            .collect();
        assert_eq!(
            statuses,
            [
                401, 401, 401, 400, 400, 403, 413, 403, 403, 403, 429, 503, 503, 503, 503, 502, 502, 502,
                504, 400, 503, 429, 429, 429, 503, 401, 403
            ]
        );
    }

    #[test]
    fn what_passes_by_itself_says_when_and_what_does_not_says_never_to_retry() {
        for stop in all() {
            let response = stop.answer(Uuid::nil(), None, None);
            let is_limit = response.status == 429;
            // A limit that one request alone is beyond never passes.
            let never = matches!(stop, Stop::Denied(_));
            let passing = response.status.is_server_error() || (is_limit && !never);
            assert_eq!(
                said(&response, Known::RetryAfter).is_some(),
                passing || is_limit,
                "{stop:?}"
            );
            assert_eq!(
                said(&response, Known::ShouldRetry).is_some(),
                !passing,
                "{stop:?}"
            );
            assert_eq!(
                said(&response, Known::WwwAuthenticate).is_some(),
                response.status == 401
            );
        }
    }

    fn body(stop: &Stop) -> Value {
        serde_json::from_slice(&stop.answer(Uuid::nil(), None, None).body).unwrap()
    }

    #[test]
    fn a_denied_property_is_named_in_the_context_with_its_place_and_never_in_the_message() {
        for (reason, lack) in [
            (Reason::Property, "property:salary"),
            (Reason::Value, "value:salary"),
        ] {
            let body = body(&denied(by_property(reason)));
            assert_eq!(body["category"], "MISSING_SCOPES");
            assert_eq!(body["subCategory"], "scopegate.property");
            assert_eq!(body["context"]["deniedProperties"], json!(["salary"]));
            let error = &body["errors"][0];
            assert_eq!(error["context"]["lacks"], json!([lack]));
            assert_eq!(error["code"], reason.as_str());
            assert_eq!(error["in"], "/filterGroups/0/filters/1/propertyName");
            assert!(error["context"].get("requiredScopes").is_none());
            let message = body["message"].as_str().unwrap();
            assert!(!message.contains("salary") && message.contains("data-team@example.com"));
        }
    }

    #[test]
    fn a_batch_over_its_limit_is_a_429_that_no_sdk_repeats_by_itself() {
        let stop = denied(by_batch());
        let response = stop.answer(Uuid::nil(), None, None);
        assert_eq!(said(&response, Known::RetryAfter), Some("60"));
        assert_eq!(said(&response, Known::ShouldRetry), Some("false"));
        assert_eq!(stop.verdict(), Verdict::Deny);
        let body = body(&stop);
        assert_eq!(body["subCategory"], "scopegate.limit");
        assert!(body.get("policyName").is_none() && body["context"].get("deniedProperties").is_none());
        assert_eq!(body["errors"][0]["code"], "limit_batch");
        assert!(body["message"].as_str().unwrap().contains("Split it"));
    }

    #[test]
    fn a_limit_that_is_used_up_says_which_by_how_much_and_when_it_fits_again() {
        let seconds = std::time::Duration::from_secs;
        for (fits_in, header, context) in [
            (seconds(3), "3", "3"),
            (seconds(2_400), "60", "2400"),
            (seconds(0), "1", "1"),
        ] {
            let stop = limited(Some(fits_in));
            let response = stop.answer(Uuid::nil(), None, None);
            assert_eq!(said(&response, Known::RetryAfter), Some(header));
            assert!(said(&response, Known::ShouldRetry).is_none());
            let body = body(&stop);
            assert_eq!(body["subCategory"], "scopegate.limit");
            assert_eq!(
                (&body["policyName"], &body["errorType"]),
                (&json!("TEN_SECONDLY_ROLLING"), &json!("RATE_LIMIT"))
            );
            let error = &body["errors"][0];
            assert_eq!(error["code"], "limit_records_read");
            assert_eq!(
                error["context"],
                json!({
                    "lacks": ["limit:records_read"], "limit": ["records_read"], "cap": ["5000/1h"],
                    "used": ["4950"], "asked": ["100"], "retryAfterSeconds": [context],
                })
            );
            assert!(
                body["message"]
                    .as_str()
                    .unwrap()
                    .contains("data-team@example.com")
            );
        }
        let record = limited(None).limit().unwrap();
        assert_eq!(
            serde_json::to_value(&record).unwrap(),
            json!({ "name": "records_read", "most": 5000, "window_seconds": 3600, "used": 4950, "asked": 100 })
        );
        assert_eq!(limited(None).lacks(), ["limit:records_read".into()]);
    }

    #[test]
    fn an_answer_that_never_fits_is_not_to_be_asked_for_again() {
        let stop = limited(None);
        let response = stop.answer(Uuid::nil(), None, None);
        assert_eq!(said(&response, Known::ShouldRetry), Some("false"));
        assert_eq!(said(&response, Known::RetryAfter), Some("60"));
        let body = body(&stop);
        assert!(body.get("policyName").is_none() && body.get("errorType").is_none());
        assert!(body["message"].as_str().unwrap().contains("never let through"));
        let error = &body["errors"][0];
        assert_eq!(error["code"], "limit_records_read");
        assert_eq!(
            error["context"],
            json!({
                "lacks": ["limit:records_read"], "limit": ["records_read"], "cap": ["5000/1h"],
                "used": ["4950"], "asked": ["100"],
            })
        );
    }

    #[test]
    fn a_refusal_says_its_place_if_it_knows_it() {
        let refusal = Refusal::new(Reason::RefusedBody, "the body is odd", "send another");
        assert!(
            body(&Stop::Refused(refusal.clone()))["errors"][0]
                .get("in")
                .is_none()
        );
        let placed = body(&Stop::Refused(refusal.at(Place::parameter("sorts"))));
        assert_eq!(placed["errors"][0]["in"], "sorts");
    }

    #[test]
    fn required_scopes_appear_only_when_a_scope_is_missing() {
        let with = |scopes: Vec<String>| {
            let denied = Denied {
                reason: Reason::Effect,
                lacks: vec!["effect:delete".into()],
                scopes,
                remedy: "ask".into(),
                properties: Vec::new(),
                place: None,
                owner: "o@example.com".into(),
            };
            let response = Stop::Denied(Box::new(denied)).answer(Uuid::nil(), None, None);
            serde_json::from_slice::<Value>(&response.body).unwrap()["errors"][0]["context"].clone()
        };
        assert_eq!(with(vec![])["lacks"], json!(["effect:delete"]));
        assert!(with(vec![]).get("requiredScopes").is_none());
        assert_eq!(
            with(vec!["tickets".into()])["requiredGranularScopes"],
            json!(["tickets"])
        );
    }
}
