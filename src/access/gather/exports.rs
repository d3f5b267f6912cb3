//! Exports: the type of the records, the types that are written out along with them, and what the view
//! filters by (HubSpot's documentation of the exports API).

use super::Gathering;
use super::search;
use super::shape::{self, member};
use crate::access::effect::Effect;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::Refusal;

const DECIDING: [&str; 6] = [
    "exportType",
    "listId",
    "objectType",
    "associatedObjectType",
    "objectProperties",
    "publicCrmSearchRequest",
];

/// Members whose names speak of types and which name none.
const HARMLESS: [&str; 3] = [
    "overrideAssociatedObjectsPerDefinitionPerRowLimit",
    "includePrimaryDisplayPropertyForAssociatedObjects",
    "includeLabeledAssociations",
];

pub(super) fn read(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &DECIDING, &At::BODY)?;
    let known: Vec<&str> = DECIDING.iter().chain(&HARMLESS).copied().collect();
    shape::no_more_types(members, &known, &At::BODY)?;
    let at = At::BODY.key("objectType");
    let given = shape::needed(members, "objectType", &At::BODY)?;
    let own = shape::object_type(gathering.catalogue, given, &at)?;
    gathering.need_main(std::slice::from_ref(&own))?;
    if exports_list(members)? {
        // Records of which type are in it, only HubSpot knows, whatever the request calls them.
        gathering.any_type()?;
    }
    for other in associated(gathering, members)? {
        gathering.need_main(std::slice::from_ref(&other))?;
        gathering.need_link(&own, &other, Effect::Read)?;
    }
    let at = At::BODY.key("objectProperties");
    for (index, name) in shape::list(member(members, "objectProperties"), &at)?
        .iter()
        .enumerate()
    {
        let at = at.index(index);
        search::property(gathering, &own, shape::text(name, &at)?, &at)?;
    }
    match member(members, "publicCrmSearchRequest") {
        None => Ok(()),
        Some(request) => search::of_type(gathering, &own, request, &At::BODY.key("publicCrmSearchRequest")),
    }
}

/// Whether a list is exported, or may be.
fn exports_list(members: &shape::Members) -> Result<bool, Refusal> {
    let at = At::BODY.key("exportType");
    let is_view = match member(members, "exportType") {
        None => true,
        Some(kind) => shape::text(kind, &at)? == "VIEW",
    };
    Ok(!is_view || member(members, "listId").is_some())
}

/// One type, or a list of them.
fn associated(gathering: &Gathering<'_>, members: &shape::Members) -> Result<Vec<ObjectType>, Refusal> {
    let at = At::BODY.key("associatedObjectType");
    match member(members, "associatedObjectType") {
        None => Ok(Vec::new()),
        Some(one @ Json::String(_)) => Ok(vec![shape::object_type(gathering.catalogue, one, &at)?]),
        several => shape::list(several, &at)?
            .iter()
            .enumerate()
            .map(|(index, one)| shape::object_type(gathering.catalogue, one, &at.index(index)))
            .collect(),
    }
}
