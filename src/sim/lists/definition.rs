//! Making a list, changing what it means, deleting it; and which records a filter means.

use std::collections::BTreeSet;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{List, MEMBERS, WRITE, described};
use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};
use crate::sim::records::Record;

/// Lists of one portal.
const LISTS: usize = 1_000;
/// Branches within branches.
const DEPTH: usize = 12;
const PROCESSING: [&str; 3] = ["MANUAL", "SNAPSHOT", "DYNAMIC"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewList {
    name: String,
    object_type_id: String,
    processing_type: String,
    #[serde(default)]
    filter_branch: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewFilters {
    filter_branch: Value,
}

/// `POST …/lists`. Filters are read from the records, so the type's own scope is needed as well.
pub(super) fn create(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(WRITE)?;
    let asked: NewList = cx.call.json()?;
    let kind = access::open(cx, &asked.object_type_id, Access::Read)?;
    let Some(processing) = PROCESSING.iter().find(|known| **known == asked.processing_type) else {
        return Err(Problem::validation(format!(
            "Unknown processing type: {}",
            asked.processing_type
        )));
    };
    if (*processing == "MANUAL") != asked.filter_branch.is_none() {
        return Err(Problem::validation(
            "a filterBranch is needed unless the list is MANUAL",
        ));
    }
    let mut data = cx.who.portal.write();
    if data.lists.len() >= LISTS {
        return Err(Problem::validation(
            "The portal has as many lists as it can have.",
        ));
    }
    if data
        .lists
        .iter()
        .any(|list| list.kind == kind && list.name == asked.name)
    {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            Some("VALIDATION_ERROR"),
            format!("A list named {} already exists.", asked.name),
        ));
    }
    let members = match &asked.filter_branch {
        Some(branch) => meant(&data, kind, branch)?,
        None => BTreeSet::new(),
    };
    let list = List {
        id: data.lists.iter().map(|list| list.id).max().unwrap_or(500) + 1,
        name: asked.name,
        kind,
        members,
        created_ms: cx.call.now_ms,
        processing,
        filter_branch: asked.filter_branch,
    };
    let answer = Answer::ok(&json!({ "list": described(&list) }));
    data.lists.push(list);
    Ok(answer)
}

/// `PUT …/{id}/update-list-filters`: whoever does not fit any more leaves the list.
pub(super) fn update_filters(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(WRITE)?;
    let asked: NewFilters = cx.call.json()?;
    let place = super::place(&cx.who.portal.read(), id)?;
    let mut data = cx.who.portal.write();
    let kind = super::at(&data, place)?.kind;
    access::allow(cx, kind, Access::Read)?;
    let members = meant(&data, kind, &asked.filter_branch)?;
    let list = data.lists.get_mut(place).ok_or_else(Problem::not_found)?;
    if list.processing == "MANUAL" {
        return Err(Problem::validation(
            "The filters of a MANUAL list can't be changed.",
        ));
    }
    list.members = members;
    list.filter_branch = Some(asked.filter_branch);
    Ok(Answer::ok(&json!({ "updatedList": described(list) })))
}

/// `DELETE …/{id}`.
pub(super) fn delete(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(WRITE)?;
    let mut data = cx.who.portal.write();
    let place = super::place(&data, id)?;
    data.lists.remove(place);
    Ok(Answer::no_content())
}

/// The records a filter means, as far as a list holds.
fn meant(data: &PortalData, kind: ObjectKind, branch: &Value) -> Handled<BTreeSet<u64>> {
    let mut members = BTreeSet::new();
    for record in data.table(kind).into_iter().flat_map(|table| table.live()) {
        if holds(data, kind, record, branch, 0)? && members.len() < MEMBERS {
            members.insert(record.id);
        }
    }
    Ok(members)
}

/// `OR` and `AND` over filters and further branches.
fn holds(
    data: &PortalData,
    kind: ObjectKind,
    record: &Record,
    branch: &Value,
    depth: usize,
) -> Handled<bool> {
    let any = match branch.get("filterBranchType").and_then(Value::as_str) {
        Some("OR") => true,
        Some("AND") => false,
        _ => return Err(Problem::validation("filterBranchType must be OR or AND")),
    };
    if depth >= DEPTH {
        return Err(Problem::validation("The filter branches are nested too deeply."));
    }
    let of = |name: &str| branch.get(name).and_then(Value::as_array).into_iter().flatten();
    let mut outcomes = Vec::new();
    for filter in of("filters") {
        outcomes.push(fits(data, kind, record, filter)?);
    }
    for inner in of("filterBranches") {
        outcomes.push(holds(data, kind, record, inner, depth + 1)?);
    }
    Ok(match any {
        true => outcomes.contains(&true),
        false => !outcomes.contains(&false),
    })
}

/// One filter on a property.
fn fits(data: &PortalData, kind: ObjectKind, record: &Record, filter: &Value) -> Handled<bool> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let name =
        text(filter, "property").ok_or_else(|| Problem::validation("only PROPERTY filters are known"))?;
    if data.property(kind, &name).is_none() {
        return Err(Problem::validation(format!("Property \"{name}\" does not exist")));
    }
    let operation = filter.get("operation").unwrap_or(&Value::Null);
    let operator = text(operation, "operator").unwrap_or_default();
    let mut values: Vec<String> = operation
        .get("values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(operation.get("value"))
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
                .to_lowercase()
        })
        .collect();
    values.sort();
    let value = record.value(&name).map(str::to_lowercase);
    let equal = value.as_ref().is_some_and(|value| values.contains(value));
    let contains = |value: &String| values.iter().any(|part| value.contains(part));
    let order = |bound: &String| {
        let (value, bound) = (value.as_ref()?.parse::<f64>().ok()?, bound.parse::<f64>().ok()?);
        value.partial_cmp(&bound)
    };
    let compared = values.first().and_then(order);
    Ok(match operator.as_str() {
        "IS_EQUAL_TO" | "IS_ANY_OF" => equal,
        "IS_NOT_EQUAL_TO" | "IS_NONE_OF" => !equal,
        "CONTAINS" => value.as_ref().is_some_and(contains),
        "IS_KNOWN" => value.is_some(),
        "IS_UNKNOWN" => value.is_none(),
        "IS_GREATER_THAN" => compared == Some(std::cmp::Ordering::Greater),
        "IS_LESS_THAN" => compared == Some(std::cmp::Ordering::Less),
        _ => return Err(Problem::validation(format!("Unknown operator: {operator}"))),
    })
}
