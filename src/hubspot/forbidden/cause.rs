//! The words for why HubSpot refuses, as `catalogue/reasons.tsv` explains them.

/// Why HubSpot refuses a request of a credential that is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each variant is its word, explained in catalogue/reasons.tsv
pub enum ForbiddenCause {
    MissingScope,
    UserPermission,
    Tier,
    PortalPaused,
    Archived,
    EdgeBlock,
    Unknown,
}

impl ForbiddenCause {
    /// Every cause.
    pub const ALL: &'static [Self] = &[
        Self::MissingScope,
        Self::UserPermission,
        Self::Tier,
        Self::PortalPaused,
        Self::Archived,
        Self::EdgeBlock,
        Self::Unknown,
    ];
    /// The set's name in `catalogue/reasons.tsv`.
    pub const SET: &'static str = "forbidden_cause";

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingScope => "missing_scope",
            Self::UserPermission => "user_permission",
            Self::Tier => "tier",
            Self::PortalPaused => "portal_paused",
            Self::Archived => "archived",
            Self::EdgeBlock => "edge_block",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.as_str() == word)
    }
}

/// What else is known of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each variant is its word, explained in catalogue/reasons.tsv
pub enum ForbiddenDetail {
    Corrected,
    NamedByHubspot,
    Granted,
    GrantedUnknown,
    SensitiveData,
    NotJson,
    TooLong,
}

impl ForbiddenDetail {
    /// Every detail.
    pub const ALL: &'static [Self] = &[
        Self::Corrected,
        Self::NamedByHubspot,
        Self::Granted,
        Self::GrantedUnknown,
        Self::SensitiveData,
        Self::NotJson,
        Self::TooLong,
    ];
    /// The set's name in `catalogue/reasons.tsv`.
    pub const SET: &'static str = "forbidden_detail";

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::NamedByHubspot => "named_by_hubspot",
            Self::Granted => "granted",
            Self::GrantedUnknown => "granted_unknown",
            Self::SensitiveData => "sensitive_data",
            Self::NotJson => "not_json",
            Self::TooLong => "too_long",
        }
    }
}
