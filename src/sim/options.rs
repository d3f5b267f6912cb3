//! What a simulator is told at its start: bounds, and a switch for every behaviour nobody could verify.
//!
//! A switch exists where public sources are silent or contradict each other; its default is the best
//! documented answer. No fact of that kind is a constant elsewhere in the simulator.

use std::time::Duration;

/// Whether a refresh hands out a new refresh token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rotation {
    /// The same token comes back, as live tests in 2026 saw it.
    #[default]
    Stable,
    /// A new token comes back; the previous one is refused from then on.
    Rotate,
    /// As `Rotate`, and using a previous token ends the whole grant.
    RotateWithReuseDetection,
}

/// Whether HubSpot's limits are enforced. The headers are sent either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RateLimits {
    /// Nothing is ever answered 429.
    #[default]
    Off,
    /// The burst, daily and search limits of the portal's tier apply.
    Enforced,
}

/// What stands where a record has no value for a requested property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbsentValues {
    /// `"name": null`, as clients report.
    #[default]
    Null,
    /// The name is left out, as the documentation says.
    Omitted,
}

/// How scope pairs (products, line items, quotes, …) are combined; HubSpot's versions contradict each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PairedScopes {
    /// Either scope passes.
    #[default]
    AnyOf,
    /// Both are needed.
    AllOf,
    /// Both in versions 2025-09 and 2026-09, either elsewhere: as the OpenAPI files write it.
    ByVersion,
}

/// Whether e-mail activities need `sales-email-read` on top of the contact scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmailContent {
    /// Without it the call is refused.
    #[default]
    Refused,
    /// Without it the content properties come back empty.
    Redacted,
}

/// Which side's scopes an association call needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AssociationScopes {
    /// Both record types' scopes.
    #[default]
    BothSides,
    /// Either type's scope is enough.
    EitherSide,
}

/// Whom `userId` in the security log names; the documentation does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActivityNames {
    /// The person it happened to.
    #[default]
    Affected,
    /// The person who did it; `objectId` has the other.
    Acting,
}

/// The shape of an error of `/oauth/v1/token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum V1Errors {
    /// `status`, `message`, `correlationId` alone.
    #[default]
    Old,
    /// The RFC 6749 members as well.
    Standard,
}

/// Everything that can be set before a simulator starts.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Lifetime of access tokens; HubSpot's is 1800 s.
    pub expires_in: Duration,
    /// Whether refresh tokens rotate.
    pub rotation: Rotation,
    /// Whether an answer to a refresh leaves the refresh token out unless it is a new one (RFC 6749 §6 allows it).
    pub refresh_token_only_when_new: bool,
    /// Whether a refresh ends access tokens issued earlier (unverified; presumably not).
    pub refresh_ends_earlier_tokens: bool,
    /// Whether revoking a refresh token ends its access tokens (second-hand: it does not).
    pub revoke_cascades: bool,
    /// Lifetime of an authorization code; unstated by HubSpot.
    pub code_lifetime: Duration,
    /// Status of `BAD_HUB`: 400 as documented, 403 as seen.
    pub bad_hub_status: u16,
    /// The error shape of the v1 token endpoint.
    pub v1_errors: V1Errors,
    /// Whether token answers of v3 and later name `hub_id`, `user_id` and `scopes`.
    pub token_details: bool,
    /// Whom `userId` in the security log names.
    pub activity_names: ActivityNames,
    /// Whether limits are enforced.
    pub rate_limits: RateLimits,
    /// `Retry-After` on a 429; undocumented, so absent by default.
    pub retry_after: Option<Duration>,
    /// Origin that links in answers carry; `None` = what the client called, from `Host`.
    pub public_origin: Option<String>,
    /// Absent property values.
    pub absent_values: AbsentValues,
    /// Scope pairs.
    pub paired_scopes: PairedScopes,
    /// E-mail content.
    pub email_content: EmailContent,
    /// Association calls.
    pub association_scopes: AssociationScopes,
    /// Whether literal path words are matched in any case (type names always are).
    pub literal_case_insensitive: bool,
    /// How long a write stays invisible to search.
    pub search_lag: Duration,
    /// Whether answers are compressed when the client accepts gzip.
    pub compression: bool,
    /// Whether answers carry the edge's `set-cookie`.
    pub edge_cookies: bool,
    /// Largest JSON or form body.
    pub body_limit_bytes: usize,
    /// Largest uploaded file.
    pub upload_limit_bytes: u64,
    /// Size of the fixture file that exists to be downloaded.
    pub big_file_bytes: u64,
    /// Received requests that are kept; the oldest go first. 0 = none.
    pub recorded_requests: usize,
    /// Bytes of each received body that are kept; its hash covers all of it.
    pub recorded_body_bytes: usize,
    /// Most records of one type in one portal.
    pub records_per_type: usize,
    /// Most open connections.
    pub connections: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            expires_in: Duration::from_secs(1800),
            rotation: Rotation::default(),
            refresh_token_only_when_new: false,
            refresh_ends_earlier_tokens: false,
            revoke_cascades: false,
            code_lifetime: Duration::from_secs(300),
            bad_hub_status: 400,
            v1_errors: V1Errors::default(),
            token_details: true,
            activity_names: ActivityNames::default(),
            rate_limits: RateLimits::default(),
            retry_after: None,
            public_origin: None,
            absent_values: AbsentValues::default(),
            paired_scopes: PairedScopes::default(),
            email_content: EmailContent::default(),
            association_scopes: AssociationScopes::default(),
            literal_case_insensitive: false,
            search_lag: Duration::ZERO,
            compression: true,
            edge_cookies: true,
            body_limit_bytes: 10 * 1024 * 1024,
            upload_limit_bytes: 512 * 1024 * 1024,
            big_file_bytes: 200 * 1024 * 1024,
            recorded_requests: 2_000,
            recorded_body_bytes: 16 * 1024,
            records_per_type: 100_000,
            connections: 10_000,
        }
    }
}
