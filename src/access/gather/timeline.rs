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

/// The lists of both generations.
const LISTS: [&str; 2] = ["inputs", "eventWrappers"];

/// One event, or a list of them.
pub(super) fn read(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &LISTS, &At::BODY)?;
    let stands = |name: &&str| member(members, name).is_some();
    let mut lists = LISTS.iter().filter(|name| stands(name));
    let Some(name) = lists.next() else {
        return one(gathering, body, &At::BODY);
    };
    // Which of them HubSpot reads depends on the path: a body that says two things is none.
    if lists.next().is_some()
        || members
            .iter()
            .any(|(key, value)| key != name && *value != Json::Null)
    {
        return Err(At::BODY.refuse(BESIDE_LIST));
    }
    let at = At::BODY.key(name);
    for (index, event) in shape::list(member(members, name), &at)?.iter().enumerate() {
        one(gathering, event, &at.index(index))?;
    }
    Ok(())
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

const BESIDE_LIST: Refusal = Refusal::new(
    Reason::RefusedBody,
    "something stands beside the list of timeline events, which may be an event of its own",
    "send the list alone, or one event",
);
const NO_RECORD: Refusal = Refusal::new(
    Reason::RefusedBody,
    "a timeline event does not say which record it belongs to",
    "give it `email`, `utk`, `domain` or `objectId`",
);
