//! What became of refresh tokens, and how late expired access tokens were used: for tests that look over
//! the shoulder of whoever refreshes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::simulator::Sim;
use crate::secret::Secret;

/// Calls kept; the oldest go first.
const CALLS: usize = 100_000;

/// One call of a token endpoint with a refresh token.
#[derive(Clone, Debug)]
pub struct TokenCall {
    /// When it was answered.
    pub at: Instant,
    /// The refresh token it came with.
    pub refresh_token: Secret,
    /// Whose token was given out; `None` when it was refused.
    pub hub_id: Option<u64>,
    /// Version of the endpoint.
    pub version: String,
}

#[derive(Debug, Default)]
pub(super) struct TokenLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    calls: VecDeque<TokenCall>,
    expired_uses: u64,
    latest_ms: i64,
}

impl TokenLog {
    pub(super) fn call(&self, refresh_token: &str, hub_id: Option<u64>, version: &str) {
        let mut log = self.lock();
        if log.calls.len() >= CALLS {
            log.calls.pop_front();
        }
        log.calls.push_back(TokenCall {
            at: Instant::now(),
            refresh_token: Secret::new(refresh_token.to_owned()),
            hub_id,
            version: version.to_owned(),
        });
    }

    /// An access token was used this long after its end.
    pub(super) fn expired_use(&self, late_ms: i64) {
        let mut log = self.lock();
        log.expired_uses += 1;
        log.latest_ms = log.latest_ms.max(late_ms);
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sim {
    /// Calls of the token endpoints with refresh tokens, oldest first, as many as are kept.
    pub fn token_calls(&self) -> Vec<TokenCall> {
        self.token_log.lock().calls.iter().cloned().collect()
    }

    /// How often an expired access token was used, and the longest time after its end.
    pub fn expired_uses(&self) -> (u64, Duration) {
        let log = self.token_log.lock();
        let latest = u64::try_from(log.latest_ms).unwrap_or_default();
        (log.expired_uses, Duration::from_millis(latest))
    }

    /// The refresh token that works for an app in a portal now.
    pub fn current_refresh_token(&self, client_id: &str, hub_id: u64) -> Option<Secret> {
        let credentials = self.credentials();
        let app = credentials.app(client_id)?.id;
        let grants = credentials.grants_of(app, hub_id);
        let alive = grants
            .iter()
            .filter_map(|id| credentials.grant(*id))
            .filter(|grant| grant.alive && grant.installed)
            .max_by_key(|grant| grant.id)?;
        Some(Secret::new(alive.refresh_token.clone()))
    }
}
