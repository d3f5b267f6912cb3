//! Engagements of version 1: calls, e-mails, meetings, notes and tasks behind one set of URLs (HubSpot's
//! legacy documentation of engagements). No scope opens them, for none names all they reach.

use super::Gathering;
use super::shape::{self, member};
use crate::access::catalogue::ENGAGEMENTS;
use crate::access::effect::Effect;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::{Reason, Refusal};

/// `engagement.type`, and the type it means today.
const TYPES: [(&str, &str); 7] = [
    ("CALL", "calls"),
    ("EMAIL", "emails"),
    ("INCOMING_EMAIL", "emails"),
    ("FORWARDED_EMAIL", "emails"),
    ("MEETING", "meetings"),
    ("NOTE", "notes"),
    ("TASK", "tasks"),
];

/// Members of `associations`, and the types of the records they list; owners are no records.
const LINKS: [(&str, Option<&str>); 5] = [
    ("contactIds", Some("contacts")),
    ("companyIds", Some("companies")),
    ("dealIds", Some("deals")),
    ("ticketIds", Some("tickets")),
    ("ownerIds", None),
];

/// A new engagement: its type, and a link to each record it names.
pub(super) fn create(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["engagement", "associations"], &At::BODY)?;
    shape::no_more_types(members, &["associations"], &At::BODY)?;
    let at = At::BODY.key("engagement");
    let engagement = shape::object(shape::needed(members, "engagement", &At::BODY)?, &at)?;
    shape::spelt(engagement, &["type"], &at)?;
    let at = at.key("type");
    let word = shape::text(
        shape::needed(engagement, "type", &At::BODY.key("engagement"))?,
        &at,
    )?;
    let known = TYPES.iter().find(|(known, _)| *known == word);
    let own = known.and_then(|(_, object)| gathering.catalogue.object_type(object));
    let own = own.ok_or_else(|| at.refuse(UNKNOWN_TYPE))?;
    gathering.need_main(std::slice::from_ref(&own))?;
    links(gathering, &own, members)
}

fn links(gathering: &mut Gathering<'_>, own: &ObjectType, members: &shape::Members) -> Result<(), Refusal> {
    let at = At::BODY.key("associations");
    let Some(associations) = member(members, "associations") else {
        return Ok(());
    };
    for (name, ids) in shape::object(associations, &at)? {
        let at = at.key(name);
        if ids.is_empty() {
            continue;
        }
        let known = LINKS.iter().find(|(known, _)| known == name);
        let (_, object) = known.ok_or_else(|| at.refuse(UNKNOWN_LINK))?;
        shape::list(Some(ids), &at)?;
        if let Some(to) = object.and_then(|object| gathering.catalogue.object_type(object)) {
            gathering.need_link(own, &to, Effect::Write)?;
        }
    }
    Ok(())
}

/// A change: of which type, only HubSpot knows. Its links would be replaced, and what that removes
/// can't be seen.
pub(super) fn update(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["associations"], &At::BODY)?;
    if member(members, "associations").is_some() {
        return Err(At::BODY.key("associations").refuse(RELINKED));
    }
    any(gathering)
}

/// Whichever of the five types: only the operation's name opens it, and a `deny` on one of them
/// catches it.
pub(super) fn any(gathering: &mut Gathering<'_>) -> Result<(), Refusal> {
    gathering.need_main(&[])?;
    for name in ENGAGEMENTS {
        if let Some(object) = gathering.catalogue.object_type(name) {
            gathering.concern(object);
        }
    }
    if let Some(word) = gathering.row.segment_at(gathering.target, "{objectType}") {
        let object = gathering.catalogue.object_type(word);
        gathering.concern(object.ok_or(crate::access::catalogue::UNKNOWN_OBJECT)?);
    }
    Ok(())
}

const UNKNOWN_TYPE: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the engagement's type is none that the gate knows",
    "say NOTE, EMAIL, CALL, MEETING or TASK, or use the object's own operation",
);
const UNKNOWN_LINK: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the engagement is linked to records of a kind the gate does not know",
    "link it with `crm.associations.create` after it is made",
);
const RELINKED: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the change carries `associations`, which would replace the engagement's links",
    "leave them out, and change links with `crm.associations.create` and `crm.associations.archive`",
);
