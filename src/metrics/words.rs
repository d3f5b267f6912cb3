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
    }
}

words! {
    /// Why the upstream answered 403 (`scopegate_forbidden_total{cause}`).
    ForbiddenCause, "forbidden_cause" {
        MissingScope = "missing_scope",
        UserPermission = "user_permission",
        Tier = "tier",
        PortalPaused = "portal_paused",
        Archived = "archived",
        Unknown = "unknown",
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
        Configuration = "configuration",
        DeadGrant = "dead_grant",
    }
}

words! {
    /// What the gate wanted of its store (`scopegate_store_errors_total{op}`).
    StoreOp, "store_op" {
        Open = "open",
        Poll = "poll",
        Read = "read",
        Write = "write",
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
    /// An upstream connection's condition (`scopegate_upstream_connections{state}`).
    UpstreamConnection, "upstream_connection" {
        Active = "active",
        Idle = "idle",
    }
}
