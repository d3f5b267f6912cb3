//! What a caller sees of a call that is too much, or too much for now.

use http::StatusCode;
use serde_json::json;

use super::{Face, RETRY_AFTER_MOST_SECONDS};
use crate::access::refusal::Reason;
use crate::proxy::stop::{Denied, Limited, Shed};
use crate::quota::Exceeded;

/// HubSpot's word for its ten-second budget: the one on which its Node SDK waits, and tries again.
const WAIT_TEN_SECONDS: &str = "TEN_SECONDLY_ROLLING";

/// Waiting does not help, so there is no `policyName`, on which SDKs would wait and try again. What
/// reads `Retry-After` alone is held off as long as it can be.
pub(super) fn batch_face(denied: &Denied) -> Face {
    let message = format!(
        "scopegate: the request names more records than this integration's policy lets one request name. Split it into smaller batches: the same request is never let through. Ask the policy's owner, {}, for more.",
        denied.owner
    );
    let mut face = Face::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITS", "limit", message);
    face.retry_after_seconds = Some(RETRY_AFTER_MOST_SECONDS);
    face
}

/// More than a limit lets through in its whole window, or a number that nobody can tell: waiting does not
/// help, as with a batch.
pub(super) fn beyond_face(denied: &Denied) -> Face {
    never_face(&denied.owner)
}

fn never_face(owner: &str) -> Face {
    let message = format!(
        "scopegate: the request is about more records than this integration's policy ever lets one request be about, or about a number that can't be told before. Make it smaller: the same request is never let through. Ask the policy's owner, {owner}, for more.",
    );
    let mut face = Face::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITS", "limit", message);
    face.retry_after_seconds = Some(RETRY_AFTER_MOST_SECONDS);
    face
}

/// Used up for now, or an answer that is more than the whole limit. SDKs wait and try again on
/// `policyName`, others on `Retry-After`; the real time stands in the context.
pub(super) fn limited_face(limited: &Limited) -> Face {
    let Exceeded {
        counted,
        cap,
        used,
        asked,
        fits_in,
    } = limited.exceeded;
    let name = counted.as_str();
    let seconds = fits_in.map(|wait| (wait.as_millis().div_ceil(1_000) as u64).max(1));
    let mut face = match seconds {
        None => never_face(&limited.owner),
        Some(seconds) => {
            let message = format!(
                "scopegate: this integration has used up its limit `{name}` on this connection: at most {} in {}, {used} used, and this request needs {asked}. It fits again in {seconds} s. Ask the policy's owner, {}, for more.",
                cap.most,
                cap.window(),
                limited.owner,
            );
            let mut face = Face::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITS", "limit", message)
                .retry(u32::try_from(seconds).unwrap_or(u32::MAX));
            face.policy_name = Some(WAIT_TEN_SECONDS);
            face
        }
    };
    face.code = counted.reason().as_str();
    for (key, value) in [
        ("lacks", format!("limit:{name}")),
        ("limit", name.to_owned()),
        ("cap", cap.to_string()),
        ("used", used.to_string()),
        ("asked", asked.to_string()),
    ] {
        face.context.insert(key.to_owned(), json!([value]));
    }
    if let Some(seconds) = seconds {
        let value = json!([seconds.to_string()]);
        face.context.insert("retryAfterSeconds".to_owned(), value);
    }
    face
}

pub(super) fn uncounted_face() -> Face {
    let message = "scopegate: what this would delete can't be counted in the store, so nothing was forwarded. Try again; the operator must look at the store's disk.";
    let mut face = Face::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        "limit",
        message,
    )
    .retry(2);
    face.code = Reason::LimitStore.as_str();
    face
}

pub(super) fn shed_face(shed: Shed) -> Face {
    let (message, code) = match shed {
        Shed::InFlight | Shed::Waiting => (
            "scopegate: this integration has as many requests under way as the gate lets it. Send fewer at once, and try again.",
            Reason::LimitInFlight,
        ),
        Shed::Connections => (
            "scopegate: this key holds as many connections as the gate lets it. Keep connections and reuse them, and try again.",
            Reason::LimitConnections,
        ),
    };
    let mut face = Face::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITS", "limit", message).retry(1);
    face.policy_name = Some(WAIT_TEN_SECONDS);
    face.code = code.as_str();
    face
}
