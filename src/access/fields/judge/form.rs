//! Where an operation on a type names properties: the table behind every carrier.
//!
//! Rows are told apart by their operation's id and by the family of their template. A row that is
//! not listed (HubSpot's next, or one of `catalogue.extra`) is [`Form::Unknown`], which is refused
//! wherever the type is bounded.

use crate::access::catalogue::Row;
use crate::access::effect::Effect;

/// Where an operation on a type names properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nowhere: links, pipelines, labels, counts.
    NoProperties,
    /// In query and path alone.
    Query,
    /// A search body.
    Search,
    /// A batch of ids to read, with the properties wanted.
    BatchRead,
    /// Ids of records, maybe by a property: archive, merge, erase.
    Ids,
    /// A record's `properties`.
    Write,
    /// `inputs`, each with `properties`.
    WriteMany,
    /// The bodies of the APIs before v3.
    Legacy(Legacy),
    /// Definitions of properties.
    Definition(Definition),
    /// Carries what no property rule reaches; why.
    Closed(&'static str),
    /// Nobody knows.
    Unknown,
}

/// A body of an API before v3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Legacy {
    /// `{"properties": [{"name" or "property", "value"}]}`.
    Record,
    /// `[{"name", "value"}]`.
    Pairs,
    /// An array of [`Legacy::Pairs`].
    ManyPairs,
    /// Ids to [`Legacy::Pairs`].
    PairsById,
    /// `[{"vid", "email" or "objectId", "properties": […]}]`.
    Records,
    /// `{"ids": […]}`, `{"vids": […]}`, `{"vidToMerge": …}`.
    Ids,
    /// `{"requestOptions": {"properties": […]}}`.
    DomainSearch,
}

/// A request on definitions of properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// All of a type: the answer's filter does it.
    List,
    /// One that the path names.
    One,
    /// Change of one that the path names.
    Change,
    /// A new one.
    New,
    /// New ones.
    NewMany,
    /// Names of some to read.
    ReadMany,
    /// Names of some to archive.
    ArchiveMany,
    /// A group of properties, written.
    Group,
    /// An object schema, changed.
    Schema,
}

/// Which API a template belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `/crm/…`: v3, v4 and dated.
    Modern,
    ContactsV1,
    CompaniesV2,
    DealsV1,
    ObjectsV1,
    Other,
}

pub(super) fn family(row: &Row) -> Family {
    let area = row.template.trim_start_matches('/').split('/').next();
    match area {
        Some("crm") => Family::Modern,
        Some("contacts") => Family::ContactsV1,
        Some("companies") => Family::CompaniesV2,
        Some("deals") => Family::DealsV1,
        Some("crm-objects") => Family::ObjectsV1,
        _ => Family::Other,
    }
}

/// The position of the type whose properties the request names and its answer shows.
pub(super) fn main_type(row: &Row) -> usize {
    match &*row.id {
        // Contacts of a company: `types:companies,contacts`.
        "companies.contacts.list" => 1,
        _ => 0,
    }
}

impl Form {
    /// Whether the body must be read.
    pub(super) fn reads_body(self) -> bool {
        match self {
            Form::NoProperties | Form::Query | Form::Closed(_) | Form::Unknown => false,
            Form::Definition(definition) => !matches!(definition, Definition::List | Definition::One),
            Form::Search | Form::BatchRead | Form::Ids | Form::Write | Form::WriteMany | Form::Legacy(_) => {
                true
            }
        }
    }

    /// Whether query and path name properties of records.
    pub(super) fn is_of_records(self) -> bool {
        !matches!(
            self,
            Form::NoProperties | Form::Definition(_) | Form::Closed(_) | Form::Unknown
        )
    }
}

const FILTERS: &str = "filters contacts by any property, or shows such filters";
const CHANGES: &str = "tells which property of a record changed when";

pub(super) fn of(row: &Row) -> Form {
    let id = &*row.id;
    if let Some(rest) = id.strip_prefix("crm.objects.") {
        return of_records(rest, row);
    }
    match id {
        "companies.contacts.list"
        | "companies.recent.created"
        | "companies.recent.modified"
        | "contacts.contact.utk.batch.read"
        | "contacts.contact.utk.get"
        | "contacts.lists.contacts.list"
        | "contacts.lists.contacts.recent"
        | "contacts.recent.created"
        | "contacts.recent.modified"
        | "contacts.secondary-email.archive"
        | "contacts.secondary-email.create"
        | "deals.deal.associated.list"
        | "deals.deal.recent.created"
        | "deals.deal.recent.modified" => Form::Query,
        "contacts.contact.create-or-update" => Form::Legacy(Legacy::Record),
        "companies.batch-async.update" | "deals.batch-async.update" => Form::Legacy(Legacy::Records),
        "companies.domains.search" => Form::Legacy(Legacy::DomainSearch),
        "contacts.lists.add" | "contacts.lists.remove" => Form::Legacy(Legacy::Ids),
        "contacts.lists.create" | "contacts.lists.update" => Form::Closed(FILTERS),
        "crm-objects.change-log.list" => Form::Closed(CHANGES),
        _ if has_no_properties(id) => Form::NoProperties,
        _ => of_definitions(id).map_or(Form::Unknown, Form::Definition),
    }
}

fn of_records(verb: &str, row: &Row) -> Form {
    let legacy = |body| Form::Legacy(body);
    match (family(row), verb) {
        (Family::Other, _) => Form::Unknown,
        (_, "list" | "get" | "archive") => Form::Query,
        (Family::Modern, "search") => Form::Search,
        (Family::Modern, "batch.read") => Form::BatchRead,
        (Family::Modern, "create" | "update") => Form::Write,
        (Family::Modern, "batch.create" | "batch.update" | "batch.upsert") => Form::WriteMany,
        (Family::Modern, "batch.archive" | "gdpr-delete" | "merge") => Form::Ids,
        (Family::ContactsV1, "search" | "batch.read") => Form::Query,
        (Family::ContactsV1, "batch.upsert") => legacy(Legacy::Records),
        (Family::ContactsV1, "merge") => legacy(Legacy::Ids),
        (Family::ContactsV1 | Family::CompaniesV2 | Family::DealsV1, "create" | "update") => {
            legacy(Legacy::Record)
        }
        (Family::ObjectsV1, "create" | "update") => legacy(Legacy::Pairs),
        (Family::ObjectsV1, "batch.create") => legacy(Legacy::ManyPairs),
        (Family::ObjectsV1, "batch.update") => legacy(Legacy::PairsById),
        (Family::ObjectsV1, "batch.read" | "batch.archive") => legacy(Legacy::Ids),
        _ => Form::Unknown,
    }
}

/// Links between records, pipelines, labels, counts: ids and words of the portal's set-up.
fn has_no_properties(id: &str) -> bool {
    const AREAS: [&str; 8] = [
        "crm.associations.",
        "crm.limits.",
        "crm.object-library.",
        "crm.pipelines.",
        "crm-pipelines.",
        "deals.pipelines.",
        "crm.properties.groups.archive",
        "crm.schemas.associations.archive",
    ];
    const SINGLE: [&str; 12] = [
        "contacts.statistics",
        "contacts.lists.archive",
        "contacts.lists.batch.read",
        "contacts.lists.dynamic",
        "contacts.lists.get",
        "contacts.lists.list",
        "contacts.lists.static",
        "companies.groups.archive",
        "contacts.groups.archive",
        "properties.groups.archive",
        "crm.schemas.archive",
        "crm.schemas.get",
    ];
    AREAS.iter().any(|area| id.starts_with(area)) || SINGLE.contains(&id)
}

fn of_definitions(id: &str) -> Option<Definition> {
    Some(match id {
        "crm.schemas.update" => Definition::Schema,
        "crm.property-validations.list" => Definition::List,
        "crm.property-validations.get" | "crm.property-validations.rule-type.get" => Definition::One,
        "crm.property-validations.rule-type.replace" => Definition::Change,
        "crm.properties.batch.read" => Definition::ReadMany,
        "crm.properties.batch.create" => Definition::NewMany,
        "crm.properties.batch.archive" => Definition::ArchiveMany,
        _ => {
            let (area, verb) = id.rsplit_once('.')?;
            match area {
                "crm.properties"
                | "properties"
                | "companies.properties"
                | "contacts.properties"
                | "deals.properties" => match verb {
                    "list" => Definition::List,
                    "get" | "archive" => Definition::One,
                    "create" => Definition::New,
                    "update" | "replace" => Definition::Change,
                    _ => return None,
                },
                "crm.properties.groups" | "properties.groups" | "companies.groups" | "contacts.groups" => {
                    match verb {
                        "list" | "get" => Definition::List,
                        "create" | "update" | "replace" => Definition::Group,
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    })
}

/// Whether a request through this row sets values.
pub(super) fn sets_values(row: &Row) -> bool {
    row.effect == Effect::Write
}

/// Whether a request through this row is held to what may be written: it sets values, or does away
/// with a property or one of its values, which is `delete` as an effect.
pub(super) fn changes_properties(row: &Row) -> bool {
    match of(row) {
        Form::Definition(_) => row.effect != Effect::Read,
        _ => sets_values(row) || &*row.id == "contacts.secondary-email.archive",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::catalogue::Catalogue;

    #[test]
    fn every_row_that_is_not_closed_answers_in_a_known_shape() {
        use crate::access::fields::shapes;
        let catalogue = Catalogue::embedded().unwrap();
        let mut unknown = Vec::new();
        for (_, operation) in catalogue.operations() {
            for row in operation.rows.iter().filter_map(|index| catalogue.row(*index)) {
                let in_body = row.reader().is_some() || row.is_unjudged();
                if in_body || operation.takes == crate::access::catalogue::Takes::Nothing {
                    continue;
                }
                let closed = matches!(of(row), Form::Closed(_));
                if !closed && shapes::of(&row.id, row).is_none() {
                    unknown.push(row.id.to_string());
                }
            }
        }
        unknown.dedup();
        assert!(unknown.is_empty(), "{unknown:#?}");
    }

    /// A row that HubSpot adds must be read by somebody before property rules let it pass.
    #[test]
    fn every_row_on_a_type_has_a_form() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut unknown = Vec::new();
        let mut rows = 0;
        for (_, operation) in catalogue.operations() {
            for row in operation.rows.iter().filter_map(|index| catalogue.row(*index)) {
                let in_body = row.reader().is_some() || row.is_unjudged();
                if in_body || operation.takes == crate::access::catalogue::Takes::Nothing {
                    continue;
                }
                rows += 1;
                if of(row) == Form::Unknown {
                    unknown.push(format!("{} {}", row.id, row.template));
                }
            }
        }
        assert!(rows > 1500, "{rows}");
        assert!(unknown.is_empty(), "{unknown:#?}");
    }
}
