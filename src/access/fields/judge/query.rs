//! Query and path of an operation on records: the names they ask for, filter, sort and look up by.

use super::form::{Family, Form, family, sets_values};
use super::free_text;
use super::names::{ID, granted, must_read, must_write};
use super::whose::Whose;
use super::words::{self, Way};
use super::{Case, Stopped, known};
use crate::access::effect::Effect;
use crate::access::refusal::Place;

/// Parameters that HubSpot's record operations take and that name no property. What is neither here
/// nor among [`CARRIERS`] is refused: it may be a carrier nobody told us of.
/// Sources: HubSpot's public OpenAPI files and legacy documentation; the last three are what clients add.
const PLAIN: [&str; 35] = [
    "after",
    "archived",
    "associations",
    "auditId",
    "before",
    "count",
    "dataSensitivity",
    "formSubmissionMode",
    "includeAssociations",
    "includeDeleted",
    "includeDeletes",
    "includeMergeAudits",
    "includePropertyVersions",
    "includeVersion",
    "includeVersionCount",
    "limit",
    "offset",
    "paginateAssociations",
    "propertyMode",
    "recentOnly",
    "showListMemberships",
    "since",
    "timeOffset",
    "vid",
    "vidOffset",
    "includeAllProperties",
    "allPropertiesFetchMode",
    "includeAllValues",
    "includeSourceNames",
    "toObjectType",
    "objectType",
    "id",
    "portalId",
    "clienttimeout",
    "_",
];

/// Parameters that name properties, or values of one.
const CARRIERS: [&str; 12] = [
    "email",
    "hubspotutk",
    "idProperty",
    "order",
    "properties",
    "propertiesWithHistory",
    "property",
    "q",
    "query",
    "sort",
    "sorts",
    "utk",
];

/// Words of contacts v1 that stand in `sort` for no property.
const NO_PROPERTY_TO_SORT_BY: [&str; 2] = ["vid", "relevance"];
/// Always asked for beside what is granted, where a request must say what it wants.
const ALWAYS: [&str; 3] = [ID, "createdate", "lastmodifieddate"];
/// Most names the gate itself puts into a query: each at most 100 bytes, and a target is bounded.
const MOST_NAMED: usize = 200;

pub(super) fn judge(case: &mut Case<'_>, whose: &Whose, form: Form) -> Result<(), Stopped> {
    check_parameters(case)?;
    check_path(case, whose)?;
    check_look_ups(case, whose)?;
    if let Some(text) = ["q", "query"]
        .iter()
        .find_map(|name| Some((*name, case.request.target.query().get(name)?)))
    {
        free_text::judge(case, whose, text.1, Place::parameter(text.0))?;
    }
    check_order(case, whose)?;
    if !whose.view.reads_all() {
        narrow(case, whose, form)?;
    }
    Ok(())
}

fn check_parameters(case: &Case<'_>) -> Result<(), Stopped> {
    for (name, _) in case.request.target.query().iter() {
        if !PLAIN.contains(&name) && !CARRIERS.contains(&name) {
            return Err(words::refused(
                words::UNKNOWN_PARAMETER,
                Place::parameter("query"),
            ));
        }
    }
    Ok(())
}

/// Parameters of templates that look a record up by a property, and which.
const IN_PATHS: [(&str, &[&str]); 5] = [
    ("{email}", &["email"]),
    ("{utk}", &["hubspotutk"]),
    ("{domain}", &["domain"]),
    ("{emailToAdd}", &["email", "hs_additional_emails"]),
    ("{emailToDelete}", &["email", "hs_additional_emails"]),
];

fn check_path(case: &Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    // Removing a secondary address sets `hs_additional_emails`, although its effect is `delete`.
    let sets = sets_values(case.row) || case.row.effect == Effect::Delete;
    for (parameter, names) in IN_PATHS {
        let Some(given) = case.parameter(parameter) else {
            continue;
        };
        for name in names {
            must_read(case, whose, name, Place::PATH)?;
            if sets {
                must_take(case, whose, name, given, Place::PATH)?;
            }
        }
    }
    Ok(())
}

/// A property that a look-up also sets, to the value looked up.
pub(super) fn must_take(
    case: &Case<'_>,
    whose: &Whose,
    name: &str,
    given: &str,
    place: Place,
) -> Result<(), Stopped> {
    must_write(case, whose, name, place.clone())?;
    match whose.view.may_be(name, given) {
        true => Ok(()),
        false => Err(words::value(case.bounds, whose, name, place)),
    }
}

fn check_look_ups(case: &Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    let query = case.request.target.query();
    for (parameter, property) in [
        ("email", "email"),
        ("utk", "hubspotutk"),
        ("hubspotutk", "hubspotutk"),
    ] {
        if query.get(parameter).is_some() {
            must_read(case, whose, property, Place::parameter(parameter))?;
        }
    }
    let Some(property) = query.get("idProperty") else {
        return Ok(());
    };
    let place = || Place::parameter("idProperty");
    must_read(case, whose, property, place())?;
    if sets_values(case.row) && !is_the_id(property) {
        // The record stands in the last segment, by the value of that property.
        let last = case.request.target.segment_count().saturating_sub(1);
        let given = case.request.target.segment(last).unwrap_or_default();
        must_take(case, whose, property, given, place())?;
    }
    Ok(())
}

/// A record named by its id is not written by it.
pub(super) fn is_the_id(property: &str) -> bool {
    property.eq_ignore_ascii_case(ID)
}

fn check_order(case: &Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    for (parameter, is_direction) in [("sort", false), ("sorts", false), ("order", true)] {
        for value in case.request.target.query().all(parameter) {
            for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let direction = name.eq_ignore_ascii_case("asc") || name.eq_ignore_ascii_case("desc");
                if is_direction && direction || NO_PROPERTY_TO_SORT_BY.contains(&name) {
                    continue;
                }
                let name = name.strip_prefix('-').unwrap_or(name);
                must_read(case, whose, name, Place::parameter(parameter))?;
            }
        }
    }
    Ok(())
}

/// Reads of a bounded type ask for what may be read, and for no more.
fn narrow(case: &mut Case<'_>, whose: &Whose, form: Form) -> Result<(), Stopped> {
    let family = family(case.row);
    let own = match family {
        Family::ContactsV1 => "property",
        _ => "properties",
    };
    let mut asked = false;
    for (parameter, way) in [
        ("properties", Way::Read),
        ("property", Way::Read),
        ("propertiesWithHistory", Way::History),
    ] {
        asked |= narrow_list(case, whose, parameter, way)? && parameter == own;
    }
    let query = case.request.target.query();
    for all in ["includeAllProperties", "allPropertiesFetchMode"] {
        if query.get(all).is_some() {
            case.query_mut().remove(all);
        }
    }
    if form != Form::Query || case.row.effect != Effect::Read {
        return Ok(());
    }
    if family == Family::ContactsV1 {
        case.query_mut().set("formSubmissionMode", "none".to_owned());
    }
    if !asked {
        name_the_defaults(case, whose, family);
    }
    Ok(())
}

/// Narrows one parameter, keeping its form (repeated, comma-joined); says whether it still stands.
fn narrow_list(
    case: &mut Case<'_>,
    whose: &Whose,
    parameter: &'static str,
    way: Way,
) -> Result<bool, Stopped> {
    let query = case.request.target.query();
    let mut stands = false;
    let mut changed = false;
    let mut blank = true;
    let mut kept: Vec<String> = Vec::new();
    for value in query.all(parameter) {
        stands = true;
        blank &= value.split(',').all(|name| name.trim().is_empty());
        let names = granted(case, whose, way, value.split(','), || Place::parameter(parameter))?;
        let joined = names.join(",");
        changed |= joined != value;
        if !joined.is_empty() {
            kept.push(joined);
        }
    }
    if !stands {
        return Ok(false);
    }
    if kept.is_empty() && !blank && way == Way::Read {
        kept.push(ID.to_owned());
        changed = true;
    }
    let stands = !kept.is_empty();
    if changed {
        case.query_mut().set_all(parameter, kept);
    }
    Ok(stands)
}

/// A read that names nothing gets HubSpot's choice. Where that is known and holds a hidden property,
/// the rest of it is named.
fn name_the_defaults(case: &mut Case<'_>, whose: &Whose, family: Family) {
    match family {
        Family::Modern => {
            if let Some(names) = visible_defaults(whose) {
                case.query_mut().set("properties", names.join(","));
            }
        }
        // A profile without `property` is every property there is.
        Family::ContactsV1 if case.row.template.starts_with("/contacts/v1/contact/") => {
            let Some(names) = whose.view.readable_names() else {
                return;
            };
            let names: Vec<String> = ALWAYS
                .iter()
                .map(|name| (*name).to_owned())
                .chain(names.iter().map(|name| name.to_string()))
                .collect();
            if names.len() <= MOST_NAMED {
                case.query_mut().set_all("property", names);
            }
        }
        _ => {}
    }
}

/// The defaults of a type that may be read, if one of them may not; never empty.
pub(super) fn visible_defaults(whose: &Whose) -> Option<Vec<&'static str>> {
    let (visible, hidden): (Vec<_>, Vec<_>) =
        known::defaults(&whose.name)?.partition(|name| whose.reads(name));
    match (hidden.is_empty(), visible.is_empty()) {
        (true, _) => None,
        (false, true) => Some(vec![ID]),
        (false, false) => Some(visible),
    }
}
