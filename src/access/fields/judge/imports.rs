//! Imports: the part `importRequest` says which column of the files becomes which property. The
//! files are not read, so a property whose values are bounded can't be imported at all.

use super::body::{each, members, object, text};
use super::names::{must_read, must_write};
use super::query::is_the_id;
use super::whose::Whose;
use super::words::{self, OTHER_FORM, refused};
use super::{Case, Stopped};
use crate::access::catalogue::UNKNOWN_OBJECT;
use crate::access::json::Json;
use crate::access::pointer::At;

const FILE: [&str; 5] = [
    "dateFormat",
    "fileFormat",
    "fileImportPage",
    "fileName",
    "characterEncoding",
];
const PAGE: [&str; 4] = ["columnMappings", "hasHeader", "sheetName", "startRow"];
/// What `marketableContact` sets.
const MARKETABLE: &str = "hs_marketable_status";
/// Kinds of a column that identifies nothing; `null` and nothing are one, too.
const IDENTIFIES_NOTHING: [&str; 2] = ["", "STANDARD"];
const COLUMN: [&str; 15] = [
    "associationCategory",
    "associationIdentifierColumn",
    "associationTypeId",
    "columnName",
    "columnObjectType",
    "columnObjectTypeId",
    "columnType",
    "foreignKeyType",
    "idColumnType",
    "importFileId",
    "isAssociationIdentifier",
    "marketableContact",
    "propertyName",
    "toColumnObjectTypeId",
    "toColumnObjectType",
];

pub(super) fn judge(case: &Case<'_>) -> Result<(), Stopped> {
    let request = case.body()?;
    // Members beside `files` set up the whole import; one that holds mappings would be a list.
    for (member, value) in object(request, &At::BODY)? {
        let is_mapping = ["columnMappings", "files", "fileImportPage"]
            .iter()
            .any(|name| member.eq_ignore_ascii_case(name) && member != "files");
        if is_mapping || (member != "files" && matches!(value, Json::Array(_))) {
            return Err(refused(words::UNKNOWN_MEMBER, At::BODY.key(member).place()));
        }
    }
    marketable(case, request)?;
    each(request, "files", &At::BODY, |file, at| {
        members(file, at, &FILE)?;
        let at = at.key("fileImportPage");
        match file.get("fileImportPage") {
            None | Some(Json::Null) => Ok(()),
            Some(page) => {
                members(page, &at, &PAGE)?;
                if page.get("columnMappings").is_none_or(Json::is_empty) {
                    // What HubSpot makes of columns that nobody maps, it alone knows.
                    return Err(refused(OTHER_FORM, at.key("columnMappings").place()));
                }
                each(page, "columnMappings", &at, |mapping, at| {
                    column(case, mapping, at)
                })
            }
        }
    })
}

/// `marketableContactImport` sets a property of every contact of the import.
fn marketable(case: &Case<'_>, request: &Json) -> Result<(), Stopped> {
    const MEMBER: &str = "marketableContactImport";
    for (member, value) in object(request, &At::BODY)? {
        if !member.eq_ignore_ascii_case(MEMBER) {
            continue;
        }
        let at = At::BODY.key(member);
        if member != MEMBER && *value != Json::Null {
            return Err(refused(words::UNKNOWN_MEMBER, at.place()));
        }
        let contacts = Whose::named(case.catalogue, case.bounds, "contacts");
        market(case, &contacts, value, &at)?;
    }
    Ok(())
}

/// Rows become marketing contacts, or others: the status is a property, although no column names it, and `false` sets it
/// as `true` does (HubSpot's guide to imports).
fn market(case: &Case<'_>, whose: &Whose, value: &Json, at: &At<'_>) -> Result<(), Stopped> {
    if *value == Json::Null {
        return Ok(());
    }
    must_write(case, whose, MARKETABLE, at.place())?;
    match whose.view.has_values(MARKETABLE) {
        true => Err(words::value(case.bounds, whose, MARKETABLE, at.place())),
        false => Ok(()),
    }
}

fn column(case: &Case<'_>, mapping: &Json, at: &At<'_>) -> Result<(), Stopped> {
    members(mapping, at, &COLUMN)?;
    let Some(property) = text(mapping, "propertyName", at)?.filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let type_at = at.key("columnObjectTypeId");
    let known = |member| -> Result<_, Stopped> {
        let spelling = text(mapping, member, at)?;
        let known = spelling.map(|spelling| case.catalogue.object_type(spelling));
        known
            .map(|object| object.ok_or_else(|| refused(UNKNOWN_OBJECT, type_at.place())))
            .transpose()
    };
    let object = match (known("columnObjectTypeId")?, known("columnObjectType")?) {
        // Of two types HubSpot alone knows which counts.
        (Some(one), Some(other)) if one != other => return Err(refused(OTHER_FORM, type_at.place())),
        (Some(object), _) | (None, Some(object)) => object,
        (None, None) => return Err(refused(OTHER_FORM, type_at.place())),
    };
    let whose = Whose::of(case.catalogue, case.bounds, &object);
    look_up_other(case, mapping, property, at)?;
    let place = || at.key("propertyName").place();
    let identifies = |member: &str| mapping.get(member).is_some_and(|value| !value.is_empty());
    let kind = text(mapping, "columnType", at)?.unwrap_or_default();
    let identifies = identifies("idColumnType")
        || matches!(mapping.get("associationIdentifierColumn"), Some(Json::Bool(true)));
    if let Some(marketable) = mapping.get("marketableContact") {
        market(case, &whose, marketable, &at.key("marketableContact"))?;
    }
    if identifies || !IDENTIFIES_NOTHING.contains(&kind) {
        if is_the_id(property) {
            return Ok(());
        }
        // Rows are matched with records by it: the import's counts tell which values exist.
        must_read(case, &whose, property, place())?;
    }
    must_write(case, &whose, property, place())?;
    match whose.view.has_values(property) {
        true => Err(words::value(case.bounds, &whose, property, place())),
        false => Ok(()),
    }
}

/// A column that links rows to records of another type finds those by a property of that type.
fn look_up_other(case: &Case<'_>, mapping: &Json, property: &str, at: &At<'_>) -> Result<(), Stopped> {
    for member in ["toColumnObjectTypeId", "toColumnObjectType"] {
        let Some(spelling) = text(mapping, member, at)? else {
            continue;
        };
        let object = case
            .catalogue
            .object_type(spelling)
            .ok_or_else(|| refused(UNKNOWN_OBJECT, at.key(member).place()))?;
        let other = Whose::of(case.catalogue, case.bounds, &object);
        if !is_the_id(property) {
            must_read(case, &other, property, at.key("propertyName").place())?;
        }
    }
    Ok(())
}
