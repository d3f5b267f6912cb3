//! One token, lent for one call.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use jiff::Timestamp;
use memchr::memmem::Finder;
use tokio::time::Instant;

use crate::access::connection::Standing;
use crate::access::refusal::Reason;
use crate::secret::{self, Secret};
use crate::tokens::connection::ConnectionState;
use crate::tokens::expiry::{Phase, Validity};

/// An upstream token in memory.
pub(super) struct LiveToken {
    authorization: HeaderValue,
    plain: Secret,
    /// What looks for the token in answers: made once, since making it costs as much as searching 10 KB.
    search: Arc<Finder<'static>>,
    /// Counts the tokens of one connection: a later token has a greater number.
    pub(super) generation: u64,
    pub(super) validity: Validity,
    /// By the wall clock, for display.
    pub(super) expires: Option<Timestamp>,
}

impl LiveToken {
    /// `Bearer …`, marked sensitive.
    pub(super) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }

    /// `None` when the text can't stand in a header: no such token was ever HubSpot's.
    pub(super) fn new(
        plain: Secret,
        generation: u64,
        validity: Validity,
        expires: Option<Timestamp>,
    ) -> Option<Self> {
        Some(Self {
            authorization: secret::bearer(&plain).ok()?,
            search: Arc::new(Finder::new(plain.expose()).into_owned()),
            plain,
            generation,
            validity,
            expires,
        })
    }
}

/// A token lent for one call. Prints nothing of it.
#[derive(Clone)]
pub struct Lease {
    pub(super) connection: Arc<ConnectionState>,
    pub(super) token: Arc<LiveToken>,
}

impl Lease {
    /// `Bearer …`, marked sensitive.
    pub fn authorization(&self) -> &HeaderValue {
        &self.token.authorization
    }

    /// Whether the token may still be sent: to be asked after each wait before it goes up.
    pub fn is_good(&self, now: Instant) -> bool {
        self.token.validity.phase(now) != Phase::Expired
    }

    /// The token itself, for those who look for it in answers.
    pub fn plain(&self) -> &Secret {
        &self.token.plain
    }

    /// The connection the token is for.
    pub fn connection(&self) -> &Arc<ConnectionState> {
        &self.connection
    }

    /// Whether `bytes` contain the token in plain form. A token across two chunks is found only if the
    /// caller carries [`Lease::token_length`]` - 1` bytes over.
    pub fn found_in(&self, bytes: &[u8]) -> bool {
        self.token.search.find(bytes).is_some()
    }

    /// What looks for the token in plain form.
    pub fn search(&self) -> &Arc<Finder<'static>> {
        &self.token.search
    }

    /// The token's length in bytes.
    pub fn token_length(&self) -> usize {
        self.token.plain.expose().len()
    }

    /// To be called when the upstream answered anything but 401: a rejected connection is well again.
    pub fn accepted(&self) {
        self.connection.accepted();
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lease({} #{})", self.connection.name(), self.token.generation)
    }
}

/// Why there is no token for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The token endpoint did not answer in time, or not at all.
    Unreachable,
    /// It answered 429 or 5xx.
    Busy,
    /// The refresh takes longer than a request waits.
    Slow,
    /// The app's client id or secret is wrong, or HubSpot said something unknown: nobody's grant is
    /// touched.
    Configuration,
    /// The store can't record what a refresh must record.
    Store,
    /// The upstream refused the token it gave out itself.
    Rejected,
    /// The connection's row in the store can't be read.
    Damaged,
}

impl Trouble {
    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Busy => "busy",
            Self::Slow => "slow",
            Self::Configuration => "configuration",
            Self::Store => "store",
            Self::Rejected => "rejected",
            Self::Damaged => "damaged",
        }
    }
}

/// Why no token was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// The connection may not be used at all: 401.
    Blocked(Standing),
    /// It passes by itself: 503 with `Retry-After`, never 401.
    Unavailable {
        /// What is the matter.
        trouble: Trouble,
        /// When to come again, at least 1 s.
        retry_after: Duration,
    },
}

impl CredentialError {
    pub(super) fn unavailable(trouble: Trouble, retry_after: Duration) -> Self {
        Self::Unavailable {
            trouble,
            retry_after: retry_after.max(Duration::from_secs(1)),
        }
    }

    /// The word in metrics and audit.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Blocked(standing) => standing.refusal().unwrap_or(Reason::Credential),
            Self::Unavailable {
                trouble: Trouble::Rejected,
                ..
            } => Reason::ConnectionRejected,
            Self::Unavailable { .. } => Reason::Credential,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_can_not_stand_in_a_header_is_none() {
        for bad in ["a\nb", "a\0", "\r\nx: y"] {
            assert!(LiveToken::new(Secret::new(bad.to_owned()), 1, Validity::Forever, None).is_none());
        }
    }

    #[test]
    fn the_header_is_marked_sensitive() {
        let token = LiveToken::new(Secret::new("canary".to_owned()), 1, Validity::Forever, None).unwrap();
        assert!(token.authorization.is_sensitive());
        assert!(!format!("{:?}", token.authorization).contains("canary"));
    }
}
