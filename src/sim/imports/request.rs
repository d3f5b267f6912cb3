//! The part `importRequest`: which file's columns become which properties of which type.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::sim::object_types::ObjectKind;

/// As far as the simulator understands it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportRequest {
    #[serde(default)]
    pub(super) name: String,
    /// Type id to `CREATE`, `UPDATE` or `UPSERT`.
    #[serde(default)]
    import_operations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) files: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    pub(super) file_name: String,
    pub(super) file_import_page: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) has_header: bool,
    #[serde(default)]
    pub(super) column_mappings: Vec<Column>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Column {
    column_object_type_id: Option<String>,
    pub(super) property_name: Option<String>,
    column_type: Option<String>,
}

impl Column {
    /// The type a column belongs to; contacts unless named.
    pub(super) fn object_type(&self) -> &str {
        self.column_object_type_id.as_deref().unwrap_or("0-1")
    }

    /// Whether the column says which record is meant.
    pub(super) fn is_key(&self) -> bool {
        matches!(
            self.column_type.as_deref(),
            Some("HUBSPOT_OBJECT_ID" | "HUBSPOT_ALTERNATE_ID")
        )
    }
}

impl ImportRequest {
    /// What is done to records of a type.
    pub(super) fn operation(&self, kind: ObjectKind) -> &str {
        self.import_operations
            .get(&kind.type_id())
            .map_or("UPSERT", String::as_str)
    }
}
