//! Injected faults: which requests they meet, how often, and what happens then.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Deserializer};

use super::canned::Canned;

/// Faults that can wait at a time.
const FAULTS: usize = 1_000;

/// A fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests it meets.
    #[serde(default)]
    pub when: Matching,
    /// Matching requests that pass before it strikes.
    #[serde(default)]
    pub skip: u64,
    /// How often it strikes; `None` = until cleared.
    pub times: Option<u64>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// Strikes the next matching request, once.
    pub fn once(when: Matching, action: Action) -> Self {
        Self {
            when,
            skip: 0,
            times: Some(1),
            action,
        }
    }

    /// Strikes every matching request until cleared.
    pub fn always(when: Matching, action: Action) -> Self {
        Self {
            when,
            skip: 0,
            times: None,
            action,
        }
    }

    /// Strikes the next `times` matching requests.
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets so many matching requests pass first.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }
}

/// Which requests: every given condition must hold; none given = every request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matching {
    /// Exact method.
    pub method: Option<String>,
    /// The target begins with this.
    pub target_prefix: Option<String>,
    /// The target contains this.
    pub target_contains: Option<String>,
    /// The `Authorization` header contains this.
    pub authorization_contains: Option<String>,
}

impl Matching {
    /// Every request.
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests whose target begins with `prefix`.
    pub fn path(prefix: &str) -> Self {
        Self {
            target_prefix: Some(prefix.to_owned()),
            ..Self::default()
        }
    }

    /// And whose method is this.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    fn holds(&self, method: &str, target: &str, authorization: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self
                .target_prefix
                .as_deref()
                .is_none_or(|prefix| target.starts_with(prefix))
            && self
                .target_contains
                .as_deref()
                .is_none_or(|part| target.contains(part))
            && self
                .authorization_contains
                .as_deref()
                .is_none_or(|part| authorization.contains(part))
    }
}

/// What a fault does.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Answers this instead of doing what was asked.
    Answer(Canned),
    /// One of HubSpot's own failures, by name.
    Known(super::canned::KnownFault),
    /// Waits, then goes on.
    #[serde(deserialize_with = "milliseconds")]
    Delay(Duration),
    /// Reads the request, never answers.
    HangBeforeHead,
    /// Closes the connection without an answer, before anything was done.
    CloseBeforeHead,
    /// Does what was asked, then closes the connection without an answer.
    LoseAnswer,
    /// Announces the whole body, sends half of it, closes.
    HalfBody,
    /// Announces the whole body, sends half of it, then nothing.
    HangMidBody,
    /// Sends the body in pieces with a pause before each.
    Trickle {
        /// Bytes in a piece.
        piece_bytes: usize,
        /// The pause.
        #[serde(deserialize_with = "milliseconds")]
        pause: Duration,
    },
    /// Repeats the request's `Authorization` in the answer.
    EchoAuthorization(EchoPlace),
    /// Compresses the answer whatever the client accepts.
    ForceGzip,
    /// Says gzip, sends something else.
    BadGzip,
    /// Sends a small gzip body that grows to so many bytes.
    GzipBomb {
        /// Decoded size in bytes.
        decoded_bytes: u64,
    },
    /// Adds headers to the answer.
    AddHeaders(Vec<(String, String)>),
    /// `101 Switching Protocols` although nobody asked.
    SwitchProtocols,
    /// Writes these bytes to the connection in place of an answer, then closes it.
    #[serde(deserialize_with = "text_bytes")]
    Raw(Bytes),
}

/// Where a token is repeated.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoPlace {
    /// In a header of this name.
    Header(String),
    /// In a JSON error body, as an old scope error does.
    Body,
    /// In a JSON body, base64-encoded.
    Base64,
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// Bytes written as text.
pub(super) fn text_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    String::deserialize(deserializer).map(Bytes::from)
}

/// Names a fault that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultId(pub u64);

#[derive(Debug)]
struct Waiting {
    id: u64,
    fault: Fault,
    struck: u64,
}

/// The faults that wait.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Mutex<(u64, Vec<Waiting>)>,
}

impl Faults {
    /// Adds a fault; beyond the bound the oldest goes.
    pub(super) fn add(&self, fault: Fault) -> FaultId {
        let mut list = self.lock();
        list.0 += 1;
        let id = list.0;
        if list.1.len() >= FAULTS {
            list.1.remove(0);
        }
        list.1.push(Waiting { id, fault, struck: 0 });
        FaultId(id)
    }

    /// Removes one fault; `false` when it is gone already.
    pub(super) fn remove(&self, id: FaultId) -> bool {
        let mut list = self.lock();
        let before = list.1.len();
        list.1.retain(|waiting| waiting.id != id.0);
        list.1.len() < before
    }

    /// Removes all faults.
    pub(super) fn clear(&self) {
        self.lock().1.clear();
    }

    /// How often a fault has struck; `None` when it was removed.
    pub(super) fn struck(&self, id: FaultId) -> Option<u64> {
        self.lock()
            .1
            .iter()
            .find(|waiting| waiting.id == id.0)
            .map(|waiting| waiting.struck)
    }

    /// What happens to this request: every matching fault, in the order they were added.
    pub(super) fn strike(&self, method: &str, target: &str, authorization: &str) -> Vec<Action> {
        let mut list = self.lock();
        let mut actions = Vec::new();
        for waiting in &mut list.1 {
            let spent = waiting.fault.times.is_some_and(|times| waiting.struck >= times);
            if spent || !waiting.fault.when.holds(method, target, authorization) {
                continue;
            }
            if waiting.fault.skip > 0 {
                waiting.fault.skip -= 1;
                continue;
            }
            waiting.struck += 1;
            actions.push(waiting.fault.action.clone());
        }
        actions
    }

    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Waiting>)> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_matching_requests_after_its_skip_and_as_often_as_told() {
        let faults = Faults::default();
        let when = Matching::path("/crm").method("GET");
        let id = faults.add(Fault::once(when, Action::CloseBeforeHead).times(2).skip(1));
        let struck: Vec<usize> = [
            ("GET", "/crm/a"),
            ("POST", "/crm/a"),
            ("GET", "/files"),
            ("GET", "/crm/b"),
            ("GET", "/crm/c"),
            ("GET", "/crm/d"),
        ]
        .iter()
        .map(|(method, target)| faults.strike(method, target, "").len())
        .collect();
        assert_eq!(struck, [0, 0, 0, 1, 1, 0]);
        assert_eq!(faults.struck(id), Some(2));
        assert!(faults.remove(id) && !faults.remove(id));
    }

    #[test]
    fn faults_are_read_from_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"when":{"target_contains":"/search"},"times":3,"action":{"answer":{"status":502,"body":"x"}}}"#,
        )
        .unwrap();
        assert!(matches!(fault.action, Action::Answer(ref canned) if canned.status == 502));
        let fault: Fault = serde_json::from_str(r#"{"times":null,"action":{"known":"edge_block"}}"#).unwrap();
        assert!(matches!(
            fault.action,
            Action::Known(super::super::canned::KnownFault::EdgeBlock)
        ));
        assert!(serde_json::from_str::<Fault>(r#"{"action":"close_before_head","tiems":1}"#).is_err());
    }
}
