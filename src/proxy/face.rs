//! What a caller sees of a call that ended at the gate: status, words, and HubSpot's own shape.

mod limits;

use http::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use self::limits::{batch_face, beyond_face, limited_face, shed_face, uncounted_face};
use super::stop::{Denied, Stop};
use crate::access::refusal::{Place, Reason, Refusal};

/// Longest `Retry-After`: clients take longer ones for a mistake.
const RETRY_AFTER_MOST_SECONDS: u32 = 60;

/// What a caller sees of a call that ended at the gate.
pub(super) struct Face {
    pub(super) status: StatusCode,
    category: &'static str,
    sub: &'static str,
    message: String,
    code: &'static str,
    place: Option<Place>,
    context: Map<String, Value>,
    /// What SDKs wait and try again on: they know three words, and wait ten seconds on this one.
    policy_name: Option<&'static str>,
    /// When to try again, for those that wait by this alone.
    pub(super) retry_after_seconds: Option<u32>,
    /// Whether the same request can't pass later either.
    pub(super) is_final: bool,
}

impl Face {
    /// What the caller of a call that ended so is told.
    pub(super) fn of(stop: &Stop) -> Self {
        match stop {
            Stop::Key(Reason::Killed) => Face::unauthorized(
                "key",
                "killed",
                "scopegate: this integration was stopped in an emergency. Ask whoever runs the gate; do not rotate the HubSpot token.",
            ),
            Stop::Key(_) => Face::unauthorized(
                "key",
                "invalid_key",
                "scopegate: this key is not valid here. Ask whoever runs the gate for a key; do not rotate the HubSpot token.",
            ),
            Stop::Policy(reason) => Face::unauthorized(
                "policy",
                reason.as_str(),
                "scopegate: no policy is in force for this integration. Ask its policy's owner; do not rotate the HubSpot token.",
            ),
            Stop::Connection(reason) => Face::unauthorized("connection", connection_state(*reason), connection_text(*reason)),
            Stop::ConnectionUnnamed => Face::new(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                "refused",
                "scopegate: the request names no connection, or more than one. Append `~NAME` to the key, or send `x-scopegate-connection: NAME`, once.",
            ),
            Stop::Refused(refusal) => refused_face(refusal),
            Stop::Denied(denied) => denied_face(denied),
            Stop::Limited(limited) => limited_face(limited),
            Stop::Shed(shed) => shed_face(*shed),
            Stop::Uncounted => uncounted_face(),
            Stop::Credential { retry_after_seconds } => Face::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "credential",
                "scopegate: no HubSpot token is to be had for this connection at the moment. Try again; do not rotate the HubSpot token.",
            )
            .retry(*retry_after_seconds),
            Stop::Audit => Face::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "audit",
                "scopegate: the decision can't be recorded, so nothing was forwarded. Try again; the operator must look at the audit disk.",
            )
            .retry(2),
            Stop::Overloaded => Face::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "overloaded",
                "scopegate: too many requests are under way. Try again.",
            )
            .retry(1),
            Stop::Unready => Face::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "unready",
                "scopegate: this gate is not ready to decide. Try again.",
            )
            .retry(2),
            Stop::Upstream { unsure } => Face::new(
                StatusCode::BAD_GATEWAY,
                "BAD_GATEWAY",
                "upstream",
                with_doubt("scopegate: HubSpot could not be reached, or broke off.", *unsure),
            )
            .retry(1),
            Stop::Held { retry_after_seconds } => Face::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "upstream",
                "scopegate: HubSpot can't be reached at the moment, so nothing was sent. Try again.",
            )
            .retry(*retry_after_seconds),
            Stop::Answer(what) => {
                Face::new(StatusCode::BAD_GATEWAY, "BAD_GATEWAY", "upstream", *what).retry(1)
            }
            Stop::TokenEcho { unsure } => Face::new(
                StatusCode::BAD_GATEWAY,
                "BAD_GATEWAY",
                "upstream",
                with_doubt("scopegate: HubSpot's answer holds what must not be passed on. Tell whoever runs the gate.", *unsure),
            )
            .retry(RETRY_AFTER_MOST_SECONDS),
            Stop::Timeout { unsure } => Face::new(
                StatusCode::GATEWAY_TIMEOUT,
                "GATEWAY_TIMEOUT",
                "upstream",
                with_doubt("scopegate: HubSpot did not answer in time.", *unsure),
            )
            .retry(2),
            Stop::Body => Face::new(
                StatusCode::BAD_REQUEST,
                "VALIDATION_ERROR",
                "refused",
                "scopegate: the request body did not arrive whole and in time. Send it again.",
            ),
        }
    }

    fn new(
        status: StatusCode,
        category: &'static str,
        sub: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            category,
            sub,
            message: message.into(),
            code: sub,
            place: None,
            context: Map::new(),
            policy_name: None,
            retry_after_seconds: None,
            is_final: true,
        }
    }

    fn unauthorized(sub: &'static str, state: &'static str, message: &'static str) -> Self {
        let mut face = Self::new(StatusCode::UNAUTHORIZED, "INVALID_AUTHENTICATION", sub, message);
        face.context.insert("state".to_owned(), json!([state]));
        face
    }

    fn retry(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds.clamp(1, RETRY_AFTER_MOST_SECONDS));
        self.is_final = false;
        self
    }

    /// HubSpot's error envelope. Typed SDKs trip over a `context` that is not lists of strings and
    /// `links` that are not strings.
    pub(super) fn body(&self, id: Uuid) -> Vec<u8> {
        let detail = Detail {
            message: &self.message,
            code: self.code,
            place: self.place.as_ref().map(Place::as_str),
            context: &self.context,
        };
        let envelope = Envelope {
            status: "error",
            message: &self.message,
            correlation_id: id,
            category: self.category,
            error_type: self.policy_name.map(|_| "RATE_LIMIT"),
            policy_name: self.policy_name,
            sub_category: format!("scopegate.{}", self.sub),
            errors: [detail],
            context: &self.context,
            links: Map::new(),
        };
        // Strings and lists of strings always serialise.
        serde_json::to_vec(&envelope).unwrap_or_default()
    }
}

/// The body of an answer whose status is HubSpot's and whose words may hold a value; `unsure`: a change may have
/// been made all the same.
pub(super) fn withheld(id: Uuid, unsure: bool) -> Vec<u8> {
    let message = match unsure {
        false => {
            "scopegate: HubSpot answered with an error in a form that is not known, so its words are withheld. The status is HubSpot's."
        }
        true => {
            "scopegate: HubSpot answered with an error in a form that is not known, so its words are withheld. The status is HubSpot's. Whether the change took effect is not known: look before repeating it."
        }
    };
    Face::new(StatusCode::BAD_GATEWAY, "UPSTREAM_ERROR", "upstream", message).body(id)
}

fn connection_state(reason: Reason) -> &'static str {
    match reason {
        Reason::ConnectionPending => "pending",
        Reason::ConnectionSuspended => "suspended",
        Reason::ConnectionInstallerRemoved => "installer_removed",
        Reason::ConnectionInstallerLostRights => "installer_lost_rights",
        Reason::ConnectionReauthorise => "reauthorise",
        Reason::ConnectionDead => "dead",
        Reason::ConnectionKilled => "killed",
        Reason::ConnectionRejected => "rejected",
        _ => "unknown",
    }
}

fn connection_text(reason: Reason) -> &'static str {
    match reason {
        Reason::ConnectionSuspended => {
            "scopegate: this connection is suspended. Ask whoever runs the gate to resume it; do not rotate the HubSpot token."
        }
        Reason::ConnectionInstallerRemoved | Reason::ConnectionInstallerLostRights => {
            "scopegate: the person who authorised this connection has left or lost rights, and this integration's policy lets nothing pass then. Somebody else must authorise it: ask whoever runs the gate; do not rotate the HubSpot token."
        }
        Reason::ConnectionDead | Reason::ConnectionReauthorise => {
            "scopegate: HubSpot no longer accepts this connection. It must be authorised again by whoever runs the gate; do not rotate the HubSpot token."
        }
        Reason::ConnectionKilled => {
            "scopegate: this connection was stopped in an emergency. Ask whoever runs the gate; do not rotate the HubSpot token."
        }
        Reason::ConnectionPending | Reason::ConnectionRejected => {
            "scopegate: this connection is not in service. Ask whoever runs the gate; do not rotate the HubSpot token."
        }
        _ => {
            "scopegate: this key has no such connection. Check the selector, or ask whoever runs the gate; do not rotate the HubSpot token."
        }
    }
}

fn refused_face(refusal: &Refusal) -> Face {
    let message = format!("scopegate: {}. {}.", refusal.cause, capitalised(refusal.remedy));
    let mut face = match refusal.reason {
        Reason::TooLarge => Face::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            "too_large",
            message,
        ),
        Reason::UnknownOperation
        | Reason::UnknownVersion
        | Reason::UnknownObject
        | Reason::RefusedUnjudged => Face::new(
            StatusCode::FORBIDDEN,
            "MISSING_SCOPES",
            "unknown_operation",
            message,
        ),
        _ => Face::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "refused", message),
    };
    face.code = refusal.reason.as_str();
    face.place = refusal.place.clone();
    face
}

fn denied_face(denied: &Denied) -> Face {
    let mut face = match denied.reason {
        Reason::Property | Reason::Value => property_face(denied),
        Reason::LimitBatch => batch_face(denied),
        Reason::LimitRecordsRead
        | Reason::LimitRecordsWritten
        | Reason::LimitRecordsDeleted
        | Reason::LimitRecordsIrreversible => beyond_face(denied),
        Reason::ConnectionInstallerRemoved | Reason::ConnectionInstallerLostRights => installer_face(),
        _ => rule_face(denied),
    };
    face.code = denied.reason.as_str();
    face.place = denied.place.clone();
    face.context.insert("lacks".to_owned(), json!(denied.lacks));
    let remedy = format!("for the policy's owner: {}", denied.remedy);
    face.context.insert("remedy".to_owned(), json!([remedy]));
    face
}

/// Names of properties came with the request: they stand in the context, never in the message.
fn property_face(denied: &Denied) -> Face {
    let what = match denied.reason {
        Reason::Value => "sets a property to a value that this integration's policy does not allow",
        _ => "names a property that this integration's policy does not allow it to use so",
    };
    let message = format!(
        "scopegate: the request {what}. Leave it out, or ask the policy's owner, {}.",
        denied.owner
    );
    let mut face = Face::new(StatusCode::FORBIDDEN, "MISSING_SCOPES", "property", message);
    face.context
        .insert("deniedProperties".to_owned(), json!(denied.properties));
    face
}

/// Not the policy's owner can repair it, so the message names whoever runs the gate.
fn installer_face() -> Face {
    let message = "scopegate: the person who authorised this connection has left or lost rights, and this integration's policy lets only reads pass then. Somebody else must authorise it: ask whoever runs the gate; do not rotate the HubSpot token.";
    Face::new(StatusCode::FORBIDDEN, "MISSING_SCOPES", "denied", message)
}

fn rule_face(denied: &Denied) -> Face {
    // Through an MCP client a model reads this: what is missing and whom to ask, nothing to try.
    let message = format!(
        "scopegate: this integration's policy does not allow this operation, it lacks {}. Ask the policy's owner, {}.",
        denied
            .lacks
            .iter()
            .map(|lack| format!("`{lack}`"))
            .collect::<Vec<_>>()
            .join(", "),
        denied.owner,
    );
    let mut face = Face::new(StatusCode::FORBIDDEN, "MISSING_SCOPES", "denied", message);
    if !denied.scopes.is_empty() {
        face.context
            .insert("requiredScopes".to_owned(), json!(denied.scopes));
        face.context
            .insert("requiredGranularScopes".to_owned(), json!(denied.scopes));
    }
    face
}

/// A write whose answer is missing may have been done: whoever repeats it must look first.
fn with_doubt(what: &str, unsure: bool) -> String {
    if unsure {
        format!("{what} Whether the change took effect is not known: look before repeating it.")
    } else {
        format!("{what} Nothing was changed: try again.")
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Members in HubSpot's order: people read these bodies.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: &'a str,
    message: &'a str,
    correlation_id: Uuid,
    category: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<&'a str>,
    sub_category: String,
    errors: [Detail<'a>; 1],
    context: &'a Map<String, Value>,
    links: Map<String, Value>,
}

#[derive(serde::Serialize)]
struct Detail<'a> {
    message: &'a str,
    code: &'a str,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    place: Option<&'a str>,
    context: &'a Map<String, Value>,
}
