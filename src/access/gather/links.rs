//! Links made along with a record: each is a `crm.associations.create` between the record's type and the
//! type the link leads to.

use super::Gathering;
use super::shape::{self, member};
use crate::access::effect::Effect;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::{Reason, Refusal};

/// What deals v1 calls the records a deal is linked to (HubSpot's legacy deals documentation).
const V1_DEAL_LINKS: [(&str, &str); 4] = [
    ("associatedVids", "contacts"),
    ("associatedCompanyIds", "companies"),
    ("associatedDealIds", "deals"),
    ("associatedTicketIds", "tickets"),
];

/// Judges `associations` at the body's top level and in each item of `inputs`.
pub(super) fn inline(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let own = gathering.own_type().ok_or(shape::WRONG_SHAPE)?;
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["associations", "inputs"], &At::BODY)?;
    of_record(gathering, &own, members, &At::BODY)?;
    let at = At::BODY.key("inputs");
    for (index, item) in shape::list(member(members, "inputs"), &at)?.iter().enumerate() {
        let at = at.index(index);
        let members = shape::object(item, &at)?;
        shape::spelt(members, &["associations"], &at)?;
        of_record(gathering, &own, members, &at)?;
    }
    Ok(())
}

/// Judges the `associations` of one record of the type `own`.
pub(super) fn of_record(
    gathering: &mut Gathering<'_>,
    own: &ObjectType,
    members: &shape::Members,
    at: &At<'_>,
) -> Result<(), Refusal> {
    let at = at.key("associations");
    match member(members, "associations") {
        None => Ok(()),
        Some(Json::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| one(gathering, own, item, &at.index(index))),
        Some(Json::Object(by_name)) if gathering.row.version.as_deref() == Some("v1") => {
            of_v1_deal(gathering, own, by_name, &at)
        }
        Some(value) if value.is_empty() => Ok(()),
        Some(_) => Err(at.refuse(UNREADABLE)),
    }
}

/// `{to: {id}, types: [{associationCategory, associationTypeId}]}`.
fn one(gathering: &mut Gathering<'_>, own: &ObjectType, item: &Json, at: &At<'_>) -> Result<(), Refusal> {
    let members = shape::object(item, at)?;
    shape::spelt(members, &["to", "types"], at)?;
    let at = at.key("types");
    let types = shape::list(member(members, "types"), &at)?;
    if types.is_empty() {
        return Err(at.refuse(NO_LINK_TYPE));
    }
    for (index, how) in types.iter().enumerate() {
        let to = led_to(gathering, own, how, &at.index(index))?;
        gathering.need_link(own, &to, Effect::Write)?;
    }
    Ok(())
}

/// The type a link of this kind leads to from a record of the type `own`.
fn led_to(
    gathering: &Gathering<'_>,
    own: &ObjectType,
    how: &Json,
    at: &At<'_>,
) -> Result<ObjectType, Refusal> {
    let members = shape::object(how, at)?;
    shape::spelt(members, &["associationCategory", "associationTypeId"], at)?;
    let category = shape::needed(members, "associationCategory", at)?;
    if shape::text(category, &at.key("associationCategory"))? != "HUBSPOT_DEFINED" {
        return Err(at.key("associationCategory").refuse(UNKNOWN_LINK));
    }
    let at_id = at.key("associationTypeId");
    let id = shape::number(shape::needed(members, "associationTypeId", at)?, &at_id)?;
    let Some((from, to)) = gathering.catalogue.association_type(id) else {
        return Err(at_id.refuse(UNKNOWN_LINK));
    };
    match from == own {
        true => Ok(to.clone()),
        false => Err(at_id.refuse(OTHER_DIRECTION)),
    }
}

/// `{associatedVids: [], associatedCompanyIds: [], …}`.
fn of_v1_deal(
    gathering: &mut Gathering<'_>,
    own: &ObjectType,
    by_name: &shape::Members,
    at: &At<'_>,
) -> Result<(), Refusal> {
    for (name, ids) in by_name.iter().filter(|(_, ids)| !ids.is_empty()) {
        let known = V1_DEAL_LINKS.iter().find(|(known, _)| known == name);
        let to = known.and_then(|(_, object)| gathering.catalogue.object_type(object));
        let at = at.key(name);
        let to = to.ok_or_else(|| at.refuse(UNREADABLE))?;
        shape::list(Some(ids), &at)?;
        gathering.need_link(own, &to, Effect::Write)?;
    }
    Ok(())
}

const REMEDY: &str = "create the record without it, then link it with `crm.associations.create`";
const UNREADABLE: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the body carries `associations` in a form the gate does not know",
    REMEDY,
);
const NO_LINK_TYPE: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "an association says no `types`, so the type of the linked record is unknown",
    REMEDY,
);
const UNKNOWN_LINK: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "an association is of a kind whose object types HubSpot does not publish",
    REMEDY,
);
const OTHER_DIRECTION: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "an association's type leads from records of another object type",
    "use the type id of the direction that begins at the record",
);
