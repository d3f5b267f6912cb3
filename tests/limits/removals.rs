//! What the limits that outlive the gate are on: records that are deleted, and what can't be undone.

/// One of those limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Deletes,
    Erases,
}

pub const REMOVALS: [Removal; 2] = [Removal::Deletes, Removal::Erases];

/// Rules that open every call below.
pub const RULES: &str =
    "  - operation: [crm.objects.archive, crm.objects.batch.archive, crm.objects.gdpr-delete]
    objects: [contacts]
  - operation: cms.hubdb.tables.rows.draft.batch.purge
";

impl Removal {
    /// The policy's word for its limit.
    pub fn limit(self) -> &'static str {
        match self {
            Removal::Deletes => "records_deleted",
            Removal::Erases => "records_irreversible",
        }
    }

    /// The effect of its calls.
    pub fn effect(self) -> &'static str {
        match self {
            Removal::Deletes => "delete",
            Removal::Erases => "irreversible",
        }
    }

    /// Method, target and body of a call for one contact.
    pub fn one(self, id: usize) -> (&'static str, String, Option<String>) {
        match self {
            Removal::Deletes => ("DELETE", format!("/crm/v3/objects/contacts/{id}"), None),
            Removal::Erases => (
                "POST",
                "/crm/v3/objects/contacts/gdpr-delete".to_owned(),
                Some(format!(r#"{{"objectId":"{id}"}}"#)),
            ),
        }
    }

    /// Target and body of a `POST` for three records at once. Contacts are erased one by one, so what can't
    /// be undone are rows.
    pub fn three(self) -> (&'static str, &'static str) {
        match self {
            Removal::Deletes => (
                "/crm/v3/objects/contacts/batch/archive",
                r#"{"inputs":[{"id":"1002"},{"id":"1003"},{"id":"1004"}]}"#,
            ),
            Removal::Erases => (
                "/cms/v3/hubdb/tables/7/rows/draft/batch/purge",
                r#"{"inputs":["1002","1003","1004"]}"#,
            ),
        }
    }
}
