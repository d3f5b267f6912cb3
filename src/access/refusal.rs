//! A request that was not understood, or not unambiguously: what was wrong and what to do.
//!
//! Nothing the client sent is repeated here: a refusal's text reaches other people's logs and,
//! through MCP clients, a model.

/// Why a call did not pass. The words are contract (`catalogue/reasons.tsv`): metrics, audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each variant is its word below, explained in catalogue/reasons.tsv
pub enum Reason {
    None,
    KeyMissing,
    KeyMalformed,
    KeyUnknown,
    KeyRevoked,
    KeyExpired,
    Killed,
    PolicyMissing,
    PolicyExpired,
    PolicyInvalid,
    ConnectionUnnamed,
    ConnectionForeign,
    ConnectionPending,
    ConnectionSuspended,
    ConnectionInstallerRemoved,
    ConnectionInstallerLostRights,
    ConnectionReauthorise,
    ConnectionDead,
    ConnectionKilled,
    ConnectionRejected,
    NoRule,
    DenyRule,
    Ceiling,
    Effect,
    Object,
    Property,
    Value,
    Risk,
    LimitBatch,
    LimitRequests,
    LimitRecordsRead,
    LimitRecordsWritten,
    LimitRecordsDeleted,
    LimitRecordsIrreversible,
    LimitInFlight,
    LimitConnections,
    LimitStore,
    RefusedMethod,
    RefusedHost,
    RefusedPath,
    RefusedQuery,
    RefusedHeader,
    RefusedBody,
    RefusedFraming,
    RefusedUnjudged,
    UnknownOperation,
    UnknownVersion,
    UnknownObject,
    Credential,
    Audit,
    TooLarge,
    Overloaded,
    Upstream,
    TokenEcho,
    Timeout,
    Draining,
}

impl Reason {
    /// Every reason, in the order of `catalogue/reasons.tsv`.
    pub const ALL: [Reason; 56] = [
        Reason::None,
        Reason::KeyMissing,
        Reason::KeyMalformed,
        Reason::KeyUnknown,
        Reason::KeyRevoked,
        Reason::KeyExpired,
        Reason::Killed,
        Reason::PolicyMissing,
        Reason::PolicyExpired,
        Reason::PolicyInvalid,
        Reason::ConnectionUnnamed,
        Reason::ConnectionForeign,
        Reason::ConnectionPending,
        Reason::ConnectionSuspended,
        Reason::ConnectionInstallerRemoved,
        Reason::ConnectionInstallerLostRights,
        Reason::ConnectionReauthorise,
        Reason::ConnectionDead,
        Reason::ConnectionKilled,
        Reason::ConnectionRejected,
        Reason::NoRule,
        Reason::DenyRule,
        Reason::Ceiling,
        Reason::Effect,
        Reason::Object,
        Reason::Property,
        Reason::Value,
        Reason::Risk,
        Reason::LimitBatch,
        Reason::LimitRequests,
        Reason::LimitRecordsRead,
        Reason::LimitRecordsWritten,
        Reason::LimitRecordsDeleted,
        Reason::LimitRecordsIrreversible,
        Reason::LimitInFlight,
        Reason::LimitConnections,
        Reason::LimitStore,
        Reason::RefusedMethod,
        Reason::RefusedHost,
        Reason::RefusedPath,
        Reason::RefusedQuery,
        Reason::RefusedHeader,
        Reason::RefusedBody,
        Reason::RefusedFraming,
        Reason::RefusedUnjudged,
        Reason::UnknownOperation,
        Reason::UnknownVersion,
        Reason::UnknownObject,
        Reason::Credential,
        Reason::Audit,
        Reason::TooLarge,
        Reason::Overloaded,
        Reason::Upstream,
        Reason::TokenEcho,
        Reason::Timeout,
        Reason::Draining,
    ];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::None => "none",
            Reason::KeyMissing => "key_missing",
            Reason::KeyMalformed => "key_malformed",
            Reason::KeyUnknown => "key_unknown",
            Reason::KeyRevoked => "key_revoked",
            Reason::KeyExpired => "key_expired",
            Reason::Killed => "killed",
            Reason::PolicyMissing => "policy_missing",
            Reason::PolicyExpired => "policy_expired",
            Reason::PolicyInvalid => "policy_invalid",
            Reason::ConnectionUnnamed => "connection_unnamed",
            Reason::ConnectionForeign => "connection_foreign",
            Reason::ConnectionPending => "connection_pending",
            Reason::ConnectionSuspended => "connection_suspended",
            Reason::ConnectionInstallerRemoved => "connection_installer_removed",
            Reason::ConnectionInstallerLostRights => "connection_installer_lost_rights",
            Reason::ConnectionReauthorise => "connection_reauthorise",
            Reason::ConnectionDead => "connection_dead",
            Reason::ConnectionKilled => "connection_killed",
            Reason::ConnectionRejected => "connection_rejected",
            Reason::NoRule => "no_rule",
            Reason::DenyRule => "deny_rule",
            Reason::Ceiling => "ceiling",
            Reason::Effect => "effect",
            Reason::Object => "object",
            Reason::Property => "property",
            Reason::Value => "value",
            Reason::Risk => "risk",
            Reason::LimitBatch => "limit_batch",
            Reason::LimitRequests => "limit_requests",
            Reason::LimitRecordsRead => "limit_records_read",
            Reason::LimitRecordsWritten => "limit_records_written",
            Reason::LimitRecordsDeleted => "limit_records_deleted",
            Reason::LimitRecordsIrreversible => "limit_records_irreversible",
            Reason::LimitInFlight => "limit_in_flight",
            Reason::LimitConnections => "limit_connections",
            Reason::LimitStore => "limit_store",
            Reason::RefusedMethod => "refused_method",
            Reason::RefusedHost => "refused_host",
            Reason::RefusedPath => "refused_path",
            Reason::RefusedQuery => "refused_query",
            Reason::RefusedHeader => "refused_header",
            Reason::RefusedBody => "refused_body",
            Reason::RefusedFraming => "refused_framing",
            Reason::RefusedUnjudged => "refused_unjudged",
            Reason::UnknownOperation => "unknown_operation",
            Reason::UnknownVersion => "unknown_version",
            Reason::UnknownObject => "unknown_object",
            Reason::Credential => "credential",
            Reason::Audit => "audit",
            Reason::TooLarge => "too_large",
            Reason::Overloaded => "overloaded",
            Reason::Upstream => "upstream",
            Reason::TokenEcho => "token_echo",
            Reason::Timeout => "timeout",
            Reason::Draining => "draining",
        }
    }
}

/// Where in a request something stands, for `errors[].in`: a JSON pointer into the body (RFC 6901), the
/// name of a query parameter, or `path`.
///
/// Never a value. Names in it come from HubSpot's documentation, or are plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(std::borrow::Cow<'static, str>);

impl Place {
    /// The path.
    pub const PATH: Place = Place(std::borrow::Cow::Borrowed("path"));
    /// The body as a whole.
    pub const BODY: Place = Place(std::borrow::Cow::Borrowed("/"));

    /// A query parameter that is known by name.
    pub const fn parameter(name: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(name))
    }

    /// A place in the body, as a JSON pointer whose names are plain.
    pub fn pointer(pointer: impl Into<String>) -> Self {
        Self(std::borrow::Cow::Owned(pointer.into()))
    }

    /// As it stands in `errors[].in`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A request that was not understood. The caller answers it with the status that belongs to
/// `reason`; nothing of it goes upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of `refused_*`, `unknown_*` or `too_large`.
    pub reason: Reason,
    /// What is wrong, lower case, no full stop, nothing the client sent.
    pub cause: &'static str,
    /// What to do about it, likewise.
    pub remedy: &'static str,
    /// Where, if one place is to blame.
    pub place: Option<Place>,
}

impl Refusal {
    /// A refusal with its cause and remedy.
    pub const fn new(reason: Reason, cause: &'static str, remedy: &'static str) -> Self {
        Self {
            reason,
            cause,
            remedy,
            place: None,
        }
    }

    /// The same refusal, of this place.
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|r| r.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
