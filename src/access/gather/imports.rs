//! Imports: the part `importRequest` names the types (HubSpot's documentation of the imports API).
//!
//! The rows of the files decide which records are written, so an import needs to be allowed for each
//! type that an operation or a column names, and for links between every two of them: records in one
//! row are linked, and so are rows of several files that share a key.

use super::Gathering;
use super::shape::{self, TOO_MANY_TYPES, member};
use crate::access::effect::Effect;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::{Reason, Refusal};

/// Most types of one import.
const TYPES: usize = 20;

/// Members of a column that name a type.
const COLUMN_TYPES: [&str; 4] = [
    "columnObjectTypeId",
    "columnObjectType",
    "toColumnObjectTypeId",
    "toColumnObjectType",
];

/// What `foreignKeyType` says of a link: its id, its category.
const COLUMN_LINKS: [&str; 2] = ["foreignKeyType", "associationIdentifierColumn"];

pub(super) fn read(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    let deciding = ["importOperations", "files", "createContactListFromImport"];
    shape::spelt(members, &deciding, &At::BODY)?;
    shape::no_more_types(members, &deciding, &At::BODY)?;
    let mut types: Vec<ObjectType> = Vec::new();
    let mut links: Vec<(ObjectType, ObjectType)> = Vec::new();
    operations(gathering, members, &mut types)?;
    let at = At::BODY.key("files");
    for (index, file) in shape::list(member(members, "files"), &at)?.iter().enumerate() {
        columns(gathering, file, &at.index(index), &mut types, &mut links)?;
    }
    if types.len() > TYPES {
        return Err(TOO_MANY_TYPES);
    }
    for object in &types {
        gathering.need_main(std::slice::from_ref(object))?;
    }
    for (index, one) in types.iter().enumerate() {
        for other in types.iter().skip(index + 1) {
            gathering.need_link(one, other, Effect::Write)?;
        }
    }
    for (from, to) in &links {
        gathering.need_link(from, to, Effect::Write)?;
    }
    if members
        .iter()
        .any(|(key, value)| key == "createContactListFromImport" && !is_no(value))
    {
        // The list of what was imported is a list like any other.
        let operation = gathering.catalogue.parts().lists_create;
        let touches = operation.map(|operation| gathering.catalogue.touches(operation, None));
        gathering.need_part(operation, Effect::Write, touches.unwrap_or_default().into())?;
    }
    Ok(())
}

fn is_no(value: &Json) -> bool {
    matches!(value, Json::Null | Json::Bool(false))
}

/// `{"0-1": "UPSERT"}`.
fn operations(
    gathering: &Gathering<'_>,
    members: &shape::Members,
    types: &mut Vec<ObjectType>,
) -> Result<(), Refusal> {
    let at = At::BODY.key("importOperations");
    let Some(operations) = member(members, "importOperations") else {
        return Ok(());
    };
    for (name, what) in shape::object(operations, &at)? {
        let at = at.key(name);
        let object = shape::named_type(gathering.catalogue, name, &at)?;
        if !["CREATE", "UPDATE", "UPSERT"].contains(&shape::text(what, &at)?) {
            return Err(at.refuse(UNKNOWN_OPERATION));
        }
        push_once(types, object);
    }
    Ok(())
}

/// The types of a file's columns, and the links that a column makes by itself.
fn columns(
    gathering: &Gathering<'_>,
    file: &Json,
    at: &At<'_>,
    types: &mut Vec<ObjectType>,
    links: &mut Vec<(ObjectType, ObjectType)>,
) -> Result<(), Refusal> {
    let members = shape::object(file, at)?;
    shape::spelt(members, &["fileImportPage"], at)?;
    shape::no_more_types(members, &["fileImportPage"], at)?;
    let at = at.key("fileImportPage");
    let Some(page) = member(members, "fileImportPage") else {
        return Err(at.refuse(shape::MISSING));
    };
    let page = shape::object(page, &at)?;
    shape::spelt(page, &["columnMappings"], &at)?;
    shape::no_more_types(page, &["columnMappings"], &at)?;
    let at = at.key("columnMappings");
    for (index, column) in shape::list(member(page, "columnMappings"), &at)?
        .iter()
        .enumerate()
    {
        let at = at.index(index);
        let column = shape::object(column, &at)?;
        shape::spelt(column, &COLUMN_TYPES, &at)?;
        shape::spelt(column, &COLUMN_LINKS, &at)?;
        let known: Vec<&str> = COLUMN_TYPES.iter().chain(&COLUMN_LINKS).copied().collect();
        shape::no_more_types(column, &known, &at)?;
        let named = |names: &[&str]| -> Result<Vec<ObjectType>, Refusal> {
            let given = names
                .iter()
                .filter_map(|name| Some((*name, member(column, name)?)));
            given
                .map(|(name, value)| shape::object_type(gathering.catalogue, value, &at.key(name)))
                .collect()
        };
        let (own, others) = (named(&COLUMN_TYPES[..2])?, named(&COLUMN_TYPES[2..])?);
        if member(column, "foreignKeyType").is_some() && (own.is_empty() || others.is_empty()) {
            return Err(at.key("foreignKeyType").refuse(LINK_TO_NOWHERE));
        }
        for from in &own {
            for to in &others {
                push_once(links, (from.clone(), to.clone()));
            }
        }
        own.into_iter()
            .chain(others)
            .for_each(|object| push_once(types, object));
        if types.len() > TYPES {
            return Err(at.refuse(TOO_MANY_TYPES));
        }
    }
    Ok(())
}

fn push_once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

const UNKNOWN_OPERATION: Refusal = Refusal::new(
    Reason::RefusedBody,
    "an import operation is none that HubSpot documents",
    "say CREATE, UPDATE or UPSERT for each object type",
);
const LINK_TO_NOWHERE: Refusal = Refusal::new(
    Reason::RefusedBody,
    "a column links records and does not say of which types",
    "give it `columnObjectTypeId` and `toColumnObjectTypeId`",
);
