//! The closed sets of words that labels take, besides [`Reason`](crate::access::refusal::Reason):
//! explained in `catalogue/reasons.tsv`, part of the contract.

/// A closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $set:literal { $($variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)] // each variant is its word, explained in catalogue/reasons.tsv
        pub enum $name { $($variant,)+ }

        impl $name {
            /// Every word of the set.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// The set's name in `catalogue/reasons.tsv`.
            pub const SET: &'static str = $set;

            /// Where it stands in [`Self::ALL`].
            pub fn index(self) -> usize {
                self as usize
            }

            /// The contract's word.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What failed between the gate and the upstream (`scopegate_upstream_errors_total{kind}`).
    UpstreamErrorKind, "upstream_error" {
        Resolve = "resolve",
        Address = "address",
        Connect = "connect",
        Tls = "tls",
        ConnectTimeout = "connect_timeout",
        HeadTimeout = "head_timeout",
        BodyTimeout = "body_timeout",
        TotalTimeout = "total_timeout",
        Closed = "closed",
        Protocol = "protocol",
        Encoding = "encoding",
        Unauthorised = "unauthorised",
        RateLimited = "rate_limited",
        ServerError = "server_error",
        AnswerShape = "answer_shape",
        TokenEcho = "token_echo",
        BreakerOpen = "breaker_open",
        NoConnection = "no_connection",
        Abandoned = "abandoned",
        Unawaited = "unawaited",
    }
}

words! {
    /// How a token refresh ended (`scopegate_token_refreshes_total{result}`).
    RefreshResult, "refresh_result" {
        Ok = "ok",
        Rotated = "rotated",
        NotDurable = "not_durable",
        Superseded = "superseded",
        Transient = "transient",
        WrongClient = "wrong_client",
        Configuration = "configuration",
        DeadGrant = "dead_grant",
    }
}

words! {
    /// Why a token refresh failed (`scopegate_token_refresh_failures_total{cause}`).
    RefreshCause, "refresh_cause" {
        Resolve = "resolve",
        Address = "address",
        Connect = "connect",
        Tls = "tls",
        ConnectTimeout = "connect_timeout",
        Unsendable = "unsendable",
        Timeout = "timeout",
        Closed = "closed",
        Protocol = "protocol",
        TooLarge = "too_large",
        NotJson = "not_json",
        NoToken = "no_token",
        RateLimited = "rate_limited",
        ServerError = "server_error",
        Locked = "locked",
        WrongClient = "wrong_client",
        Refused = "refused",
        DeadGrant = "dead_grant",
        LostGrant = "lost_grant",
        NotOpened = "not_opened",
        Store = "store",
    }
}

words! {
    /// What the gate wanted of its store (`scopegate_store_errors_total{op}`).
    StoreOp, "store_op" {
        Open = "open",
        Poll = "poll",
        Read = "read",
        Write = "write",
        Anchor = "anchor",
        RefreshBegin = "refresh_begin",
        RefreshSave = "refresh_save",
        RefreshEnd = "refresh_end",
    }
}

words! {
    /// How the wall clock was set (`scopegate_clock_jumps_total{direction}`).
    ClockJump, "clock_jump" {
        Forward = "forward",
        Back = "back",
    }
}

words! {
    /// What somebody should act upon about the people behind credentials
    /// (`scopegate_findings{kind}`).
    FindingKind, "finding" {
        InstallerRemoved = "installer_removed",
        InstallerDeactivated = "installer_deactivated",
        InstallerOffboarded = "installer_offboarded",
        InstallerLostRights = "installer_lost_rights",
        InstallerUnknown = "installer_unknown",
        InstallerIsNoServiceUser = "installer_is_no_service_user",
        InstallerIsSuperAdmin = "installer_is_super_admin",
        WatchUnknown = "watch_unknown_24h",
        WatcherCoveredByPolicy = "watcher_covered_by_policy",
    }
}

words! {
    /// What became of audit records (`scopegate_audit_records_total{result}`).
    AuditResult, "audit_result" {
        Written = "written",
        Folded = "folded",
        Refused = "refused",
    }
}

words! {
    /// Why the gate gave a client connection up (`scopegate_client_connections_ended_total{why}`).
    ClientEnd, "client_end" {
        Connections = "connections",
        ConnectionsPerAddress = "connections_per_address",
        Handshake = "handshake",
        FirstByteWait = "first_byte_wait",
        HeadWait = "head_wait",
        IdleWait = "idle_wait",
        AnswerWait = "answer_wait",
        BodyRate = "body_rate",
        Flood = "flood",
    }
}

words! {
    /// Whether a client connection holds what it takes to serve (`scopegate_client_connections{state}`).
    ClientConnection, "client_connection" {
        Awake = "awake",
        Asleep = "asleep",
    }
}

words! {
    /// What became of requests to the admin API (`scopegate_admin_requests_total{result}`).
    AdminResult, "admin_result" {
        Done = "done",
        Unauthenticated = "unauthenticated",
        Forbidden = "forbidden",
        Refused = "refused",
        Failed = "failed",
    }
}

words! {
    /// An upstream connection's condition (`scopegate_upstream_connections{state}`).
    UpstreamConnection, "upstream_connection" {
        Active = "active",
        Idle = "idle",
        Connecting = "connecting",
    }
}

words! {
    /// What the breaker in front of the upstream is doing (`scopegate_upstream_breaker_state{state}`).
    BreakerState, "breaker_state" {
        Closed = "closed",
        HalfOpen = "half_open",
        Open = "open",
    }
}

words! {
    /// Why something went up a second time (`scopegate_upstream_retries_total{why}`).
    RetryWhy, "retry_why" {
        Unsent = "unsent",
        Closed = "closed",
        Unauthorised = "unauthorised",
    }
}

words! {
    /// What came of it (`scopegate_upstream_retries_total{result}`).
    RetryResult, "retry_result" {
        Ok = "ok",
        Failed = "failed",
        NoBudget = "no_budget",
    }
}

impl UpstreamErrorKind {
    /// What a failed connect failed at: name, address, TLS, or the connection itself.
    pub fn of_connect(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let inner = error.get_ref();
        if inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return Self::Tls;
        }
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Address,
            ErrorKind::TimedOut => Self::ConnectTimeout,
            // The other side ended it in the middle of the handshake.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Tls,
            // The resolver's errors have no kind of their own: whatever the system's calls to
            // connect can't return.
            ErrorKind::NotFound | ErrorKind::Other => Self::Resolve,
            _ if error.raw_os_error().is_none() && inner.is_some() => Self::Resolve,
            _ => Self::Connect,
        }
    }
}

impl RefreshCause {
    /// What a failed connect to the token endpoint failed at.
    pub fn of_connect(error: &std::io::Error) -> Self {
        match UpstreamErrorKind::of_connect(error) {
            UpstreamErrorKind::Resolve => Self::Resolve,
            UpstreamErrorKind::Address => Self::Address,
            UpstreamErrorKind::Tls => Self::Tls,
            UpstreamErrorKind::ConnectTimeout => Self::ConnectTimeout,
            _ => Self::Connect,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn a_failed_connect_says_what_it_failed_at() {
        let tls = Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(UpstreamErrorKind::of_connect(&tls), UpstreamErrorKind::Tls);
        let cut = Error::new(ErrorKind::UnexpectedEof, "tls handshake eof");
        assert_eq!(UpstreamErrorKind::of_connect(&cut), UpstreamErrorKind::Tls);
        let refused = Error::from_raw_os_error(111);
        assert_eq!(
            UpstreamErrorKind::of_connect(&refused),
            UpstreamErrorKind::Connect
        );
        let inside = Error::new(ErrorKind::PermissionDenied, "private");
        assert_eq!(UpstreamErrorKind::of_connect(&inside), UpstreamErrorKind::Address);
        // Too long for a name: the resolver says no without asking anybody.
        let name = format!("{}:1", "a".repeat(300));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let unknown = runtime.block_on(async { tokio::net::lookup_host(name).await.map(drop) });
        let kind = UpstreamErrorKind::of_connect(&unknown.unwrap_err());
        assert_eq!(kind, UpstreamErrorKind::Resolve);
    }
}
