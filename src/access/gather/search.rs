//! A search that filters by associations reads them: the pseudo-property `associations.TYPE` of HubSpot's
//! search documentation tells, record by record, which are linked to what.

use super::Gathering;
use super::shape::{self, member};
use crate::access::effect::Effect;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::Refusal;

const PSEUDO: &str = "associations.";

/// Judges a search request for records of the row's own type.
pub(super) fn request(gathering: &mut Gathering<'_>, body: &Json, at: &At<'_>) -> Result<(), Refusal> {
    let own = gathering.own_type().ok_or(shape::WRONG_SHAPE)?;
    of_type(gathering, &own, body, at)
}

/// Judges a search request for records of the type `own`.
pub(super) fn of_type(
    gathering: &mut Gathering<'_>,
    own: &ObjectType,
    body: &Json,
    at: &At<'_>,
) -> Result<(), Refusal> {
    let members = shape::object(body, at)?;
    shape::spelt(
        members,
        &["filterGroups", "filters", "sorts", "properties", "query"],
        at,
    )?;
    let groups = at.key("filterGroups");
    for (index, group) in shape::list(member(members, "filterGroups"), &groups)?
        .iter()
        .enumerate()
    {
        let at = groups.index(index);
        let group = shape::object(group, &at)?;
        shape::spelt(group, &["filters"], &at)?;
        let at = at.key("filters");
        filters(gathering, own, shape::list(member(group, "filters"), &at)?, &at)?;
    }
    let at_filters = at.key("filters");
    filters(
        gathering,
        own,
        shape::list(member(members, "filters"), &at_filters)?,
        &at_filters,
    )?;
    let at_sorts = at.key("sorts");
    for (index, sort) in shape::list(member(members, "sorts"), &at_sorts)?
        .iter()
        .enumerate()
    {
        let at = at_sorts.index(index);
        match sort {
            Json::String(name) => property(gathering, own, name.trim_start_matches('-'), &at)?,
            sort => filter(gathering, own, sort, &at)?,
        }
    }
    let at_properties = at.key("properties");
    let properties = shape::list(member(members, "properties"), &at_properties)?;
    for (index, name) in properties.iter().enumerate() {
        let at = at_properties.index(index);
        property(gathering, own, shape::text(name, &at)?, &at)?;
    }
    Ok(())
}

fn filters(
    gathering: &mut Gathering<'_>,
    own: &ObjectType,
    all: &[Json],
    at: &At<'_>,
) -> Result<(), Refusal> {
    all.iter()
        .enumerate()
        .try_for_each(|(index, one)| filter(gathering, own, one, &at.index(index)))
}

/// The `propertyName` of a filter or of a sort.
fn filter(gathering: &mut Gathering<'_>, own: &ObjectType, one: &Json, at: &At<'_>) -> Result<(), Refusal> {
    let members = shape::object(one, at)?;
    shape::spelt(members, &["propertyName"], at)?;
    match member(members, "propertyName") {
        None => Ok(()),
        Some(name) => {
            let at = at.key("propertyName");
            property(gathering, own, shape::text(name, &at)?, &at)
        }
    }
}

/// A property's name: of interest if it is an association in disguise.
pub(super) fn property(
    gathering: &mut Gathering<'_>,
    own: &ObjectType,
    name: &str,
    at: &At<'_>,
) -> Result<(), Refusal> {
    let name = name.trim();
    let is_pseudo = name
        .get(..PSEUDO.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PSEUDO));
    let Some(object) = name.get(PSEUDO.len()..).filter(|_| is_pseudo) else {
        return Ok(());
    };
    let to = shape::named_type(gathering.catalogue, object, at)?;
    gathering.need_link(own, &to, Effect::Read)
}
