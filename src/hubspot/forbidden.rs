//! Why HubSpot answered 403: a closed set of causes, because its texts mislead. "permission" and
//! "portal" stand in the texts of several causes, so the tests run in a fixed order and the first
//! hit wins.
//!
//! Deliberately absent: advice to the integration. HubSpot's answer is passed on as it is; the cause
//! is for the operator's metrics.

use serde::Deserialize;

/// Why HubSpot refuses a request of a credential that is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // each variant is its word, explained in catalogue/reasons.tsv
pub enum ForbiddenCause {
    MissingScope,
    UserPermission,
    Tier,
    PortalPaused,
    Archived,
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
            Self::Unknown => "unknown",
        }
    }

    /// Reads the body of a 403, whole or its beginning.
    pub fn of(body: &[u8]) -> Self {
        let Ok(error) = serde_json::from_slice::<ErrorBody>(body) else {
            return Self::Unknown; // an edge's page, not HubSpot's API
        };
        let category = error.category.unwrap_or_default();
        let message = error.message.unwrap_or_default().to_ascii_lowercase();
        let says = |text: &str| message.contains(text);
        let anywhere = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
        if category == "MISSING_SCOPES" {
            // Adding scopes does not help against "isn't available for public use".
            let gated = says("available for public use");
            return if gated { Self::Tier } else { Self::MissingScope };
        }
        if says("does not have proper permissions") && says("requires a") {
            return Self::MissingScope;
        }
        if anywhere("USER_DOES_NOT_HAVE_PERMISSIONS") {
            return Self::UserPermission;
        }
        if says("do not have permissions") && says("in portal") {
            return if says("product library") {
                Self::Tier
            } else {
                Self::UserPermission
            };
        }
        if category == "GATED" || says("gated for this portal") {
            return Self::Tier;
        }
        if anywhere("HIGH_RISK_PORTAL") || says("suspended") || says("paused") {
            return Self::PortalPaused;
        }
        if category == "BANNED" && says("portal") {
            return Self::PortalPaused;
        }
        if says("archived") || says("deleted object") {
            return Self::Archived;
        }
        if says("sensitive") && says("scope") {
            return Self::MissingScope;
        }
        Self::Unknown
    }
}

/// What is looked at; every other member is ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    category: Option<String>,
    message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_the_wild_have_the_cause_that_helps() {
        let cases = [
            (
                "<html>Cloudflare: you have been banned</html>",
                ForbiddenCause::Unknown,
            ),
            (
                r#"{"category":"MISSING_SCOPES","message":"This endpoint isn't available for public use."}"#,
                ForbiddenCause::Tier,
            ),
            (
                r#"{"category":"MISSING_SCOPES","message":"This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.contacts.read"]}}]}"#,
                ForbiddenCause::MissingScope,
            ),
            (
                r#"{"message":"The scope for this app does not have proper permissions! (requires any of [contacts-read])"}"#,
                ForbiddenCause::MissingScope,
            ),
            (
                r#"{"category":"MISSING_PERMISSIONS","message":"x","errors":[{"code":"USER_DOES_NOT_HAVE_PERMISSIONS"}]}"#,
                ForbiddenCause::UserPermission,
            ),
            (
                r#"{"message":"You do not have permissions to view object type TICKET in portal 62515 (requires one of [tickets-read])"}"#,
                ForbiddenCause::UserPermission,
            ),
            (
                r#"{"category":"MISSING_PERMISSIONS","message":"This feature is gated for this portal"}"#,
                ForbiddenCause::Tier,
            ),
            (r#"{"category":"GATED","message":"x"}"#, ForbiddenCause::Tier),
            (
                r#"{"category":"BANNED","message":"This portal has been suspended"}"#,
                ForbiddenCause::PortalPaused,
            ),
            (
                r#"{"category":"BANNED","message":"client not allowed"}"#,
                ForbiddenCause::Unknown,
            ),
            (
                r#"{"message":"cannot update archived object"}"#,
                ForbiddenCause::Archived,
            ),
            (
                r#"{"message":"There was a problem with the request"}"#,
                ForbiddenCause::Unknown,
            ),
            (r#"{"message":7}"#, ForbiddenCause::Unknown),
            ("", ForbiddenCause::Unknown),
        ];
        for (body, cause) in cases {
            assert_eq!(ForbiddenCause::of(body.as_bytes()), cause, "{body}");
        }
    }
}
