//! Timeline events: which record an event is put on depends on how it is addressed (HubSpot's
//! documentation of timeline events). By e-mail address or user token it is a contact, by domain a
//! company; by `objectId` alone the event's template says, which only HubSpot knows.

use super::Gathering;
use super::shape::{self, member};
use crate::access::catalogue::Catalogue;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::{Reason, Refusal};

const BY: [(&str, &str); 3] = [
    ("email", "contacts"),
    ("utk", "contacts"),
    ("domain", "companies"),
];

/// The types an event can be addressed to without the record's id, which may be of any.
pub(crate) fn types(catalogue: &Catalogue) -> Vec<ObjectType> {
    let mut types: Vec<ObjectType> = BY
        .iter()
        .filter_map(|(_, name)| catalogue.object_type(name))
        .collect();
    types.dedup();
    types
}

/// One event, or the lists of both generations: `inputs` and `eventWrappers`.
pub(super) fn read(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["inputs", "eventWrappers"], &At::BODY)?;
    let mut lists = 0;
    for name in ["inputs", "eventWrappers"] {
        if member(members, name).is_some() {
            lists += 1;
            let at = At::BODY.key(name);
            for (index, event) in shape::list(member(members, name), &at)?.iter().enumerate() {
                one(gathering, event, &at.index(index))?;
            }
        }
    }
    match lists {
        0 => one(gathering, body, &At::BODY),
        _ => Ok(()),
    }
}

fn one(gathering: &mut Gathering<'_>, event: &Json, at: &At<'_>) -> Result<(), Refusal> {
    let members = shape::object(event, at)?;
    shape::spelt(members, &["objectId", "email", "utk", "domain"], at)?;
    shape::no_more_types(members, &["objectId", "eventTemplateId"], at)?;
    if member(members, "objectId").is_some() {
        return gathering.any_type();
    }
    let mut found = false;
    for (name, object) in BY {
        if member(members, name).is_some() {
            let object = gathering.catalogue.object_type(object);
            gathering.need_main(&[object.ok_or(NO_RECORD)?])?;
            found = true;
        }
    }
    match found {
        true => Ok(()),
        false => Err(at.refuse(NO_RECORD)),
    }
}

const NO_RECORD: Refusal = Refusal::new(
    Reason::RefusedBody,
    "a timeline event does not say which record it belongs to",
    "give it `email`, `utk`, `domain` or `objectId`",
);
