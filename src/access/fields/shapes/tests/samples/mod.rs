//! Answers as HubSpot documents them, with planted words: `shown-…` must come down, `hidden-…` only
//! where all may be read, `never-…` in no case.
//!
//! What may be read otherwise: of the first type `email`, of the second `name`, of `2-7` `model`.
//! `createdate` and `hs_object_id` are always readable, their histories are not.

macro_rules! item_error {
    () => {
        r#"{
            "status": "error", "id": "shown-error", "category": "shown-category", "subCategory": {"a": "never-sub"},
            "message": "never-message", "context": {"ids": ["shown-missing"], "propertyName": ["never-name"]},
            "errors": [{"message": "never-detail", "code": "shown-code", "in": "never-in",
                        "context": {"value": ["never-value"]}}, "never-text"],
            "links": {"record": "never-link"}, "validationResults": [{"value": "never-validation"}]
        }"#
    };
}

macro_rules! batch {
    ($results:expr) => {
        concat!(
            r#"{"status": "COMPLETE", "startedAt": "shown-started", "completedAt": "shown-completed",
            "requestedAt": "shown-requested", "numErrors": 1, "note": "never-note", "links": {"a": "hidden-batch-link"},
            "errors": ["#, item_error!(), r#"], "results": "#,
            $results,
            "}"
        )
    };
}

mod definitions;
mod legacy;
mod records;
mod set_up;

/// An answer, and calls that answer so.
pub(super) struct Sample {
    pub(super) calls: &'static [&'static str],
    pub(super) answer: &'static str,
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Sample> {
    [
        records::SAMPLES,
        legacy::SAMPLES,
        definitions::SAMPLES,
        set_up::SAMPLES,
    ]
    .into_iter()
    .flatten()
}

/// Errors as HubSpot sends them, and as it may.
pub(super) const ERRORS: &[&str] = &[
    r#"{"status": "error", "message": "never-a", "correlationId": "shown-id", "category": "shown-category",
        "subCategory": "shown-sub", "requestId": "shown-request", "errorType": "shown-type", "policyName": "shown-policy",
        "groupName": "shown-group", "error": "never-error", "validationResults": [{"message": "never-b"}],
        "context": {"id": ["shown-object"], "propertyName": ["never-name"], "requiredScopes": ["shown-scope"],
                    "existing": ["never-c"]},
        "errors": [{"message": "never-d", "in": "never-in", "code": "shown-code", "subCategory": "shown-subcode",
                    "context": {"requiredGranularScopes": ["shown-granular"], "value": ["never-e"], "ids": "shown-one"}}],
        "links": {"scopes": "shown-link", "record": "never-f"}, "identityProfile": {"identity": [{"value": "never-g"}]},
        "propertiesErrors": {"ssn": "never-h"}, "failureMessages": ["never-i"], "errorTokens": {"a": ["never-j"]}}"#,
    r#"{"status": {"a": "never-a"}, "category": ["never-b"], "message": ["never-c"], "errors": {"a": "never-d"},
        "context": ["never-e"], "links": "never-f", "correlationId": "shown-id"}"#,
    r#"{"errors": ["never-a", ["never-b"], {"context": "never-c", "code": {"a": "never-d"}, "message": 7}],
        "context": {"ids": [{"a": "never-e"}, ["never-f"], "shown-id"], "id": {"a": "never-g"}}}"#,
    r#"[{"message": "never-a"}]"#,
    r#""never-a""#,
    "null",
];
