//! Meetings made by the scheduler: on a calendar with links of their own, or booked by a visitor.

use super::links;
use super::shape;
use super::{Gathering, NO_TYPE};
use crate::access::effect::Effect;
use crate::access::json::Json;
use crate::access::pointer::At;
use crate::access::refusal::Refusal;

/// A meeting, and a link to each record in `associations`.
pub(super) fn calendar(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["associations"], &At::BODY)?;
    shape::no_more_types(members, &["associations"], &At::BODY)?;
    let meetings = gathering.catalogue.object_type("meetings").ok_or(NO_TYPE)?;
    gathering.need_main(std::slice::from_ref(&meetings))?;
    links::of_record(gathering, &meetings, members, &At::BODY)
}

/// A booking makes a contact of whoever books, a meeting, and the link between the two.
pub(super) fn book(gathering: &mut Gathering<'_>) -> Result<(), Refusal> {
    let named = |name| gathering.catalogue.object_type(name).ok_or(NO_TYPE);
    let (contacts, meetings) = (named("contacts")?, named("meetings")?);
    gathering.need_main(std::slice::from_ref(&contacts))?;
    gathering.need_main(std::slice::from_ref(&meetings))?;
    gathering.need_link(&meetings, &contacts, Effect::Write)
}
