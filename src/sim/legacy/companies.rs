//! companies v2: pages, one company with every property, its contacts' ids.

use serde_json::{Value, json};

use super::nested::{self, Depth};
use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};
use crate::sim::records::Record;

const PAGE_MOST: u64 = 250;

/// Everything under `/companies/v2/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let kind = super::readable(cx, "companies")?;
    match words {
        ["companies", "paged"] => paged(cx, kind),
        ["companies", id] => one(cx, kind, id),
        ["companies", id, "vids"] => vids(cx, kind, id),
        _ => Err(Problem::not_found()),
    }
}

fn paged(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let limit = cx.call.query.limit(100, PAGE_MOST)?;
    let after = cx.call.query.number("offset")?.unwrap_or(0);
    let with_history = nested::names(cx, &["propertiesWithHistory"]);
    let depth = if with_history.is_empty() {
        Depth::Value
    } else {
        Depth::Versions
    };
    let mut names = nested::names(cx, &["properties", "property"]);
    names.extend(with_history);
    let data = cx.who.portal.read();
    let mut records = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.after(after))
        .filter(|record| record.archived_ms.is_none());
    let mut offset = after;
    let mut companies = Vec::new();
    for record in records.by_ref().take(limit) {
        offset = record.id;
        companies.push(company(cx, kind, &data, record, &names, depth));
    }
    Ok(Answer::ok(&json!({
        "companies": companies,
        "has-more": records.next().is_some(),
        "offset": offset,
    })))
}

fn find<'a>(data: &'a PortalData, kind: ObjectKind, id: &str) -> Handled<&'a Record> {
    let record = id.parse().ok().and_then(|id| data.table(kind)?.get(id));
    record
        .filter(|record| record.archived_ms.is_none())
        .ok_or_else(Problem::not_found)
}

fn one(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let data = cx.who.portal.read();
    let record = find(&data, kind, id)?;
    let names = nested::all(&data, kind);
    Ok(Answer::ok(&company(
        cx,
        kind,
        &data,
        record,
        &names,
        Depth::Versions,
    )))
}

fn vids(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let contacts = ObjectKind::named("contacts").ok_or_else(Problem::not_found)?;
    let data = cx.who.portal.read();
    let record = find(&data, kind, id)?;
    let vids: Vec<u64> = data
        .associations
        .of(End { kind, id: record.id }, contacts)
        .map(|(id, _)| id)
        .take(100)
        .collect();
    let offset = vids.last().copied().unwrap_or(0);
    Ok(Answer::ok(
        &json!({ "vids": vids, "vidOffset": offset, "hasMore": false }),
    ))
}

fn company(
    cx: Cx<'_>,
    kind: ObjectKind,
    data: &PortalData,
    record: &Record,
    names: &[String],
    depth: Depth,
) -> Value {
    json!({
        "portalId": cx.who.portal.hub_id(),
        "companyId": record.id,
        "isDeleted": false,
        "properties": nested::properties(data, kind, record, names, depth),
        "additionalDomains": [],
        "stateChanges": [],
        "mergeAudits": [],
    })
}
