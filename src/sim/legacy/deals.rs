//! deals v1: pages, one deal, pipelines.

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

/// Everything under `/deals/v1/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    if let ["pipelines"] = words {
        return super::definitions::pipelines(cx, "deals");
    }
    let kind = super::readable(cx, "deals")?;
    match words {
        ["deal", "paged"] => paged(cx, kind),
        ["deal", id] => {
            let data = cx.who.portal.read();
            let record = id.parse().ok().and_then(|id| data.table(kind)?.get(id));
            let record = record
                .filter(|record| record.archived_ms.is_none())
                .ok_or_else(Problem::not_found)?;
            let names = nested::all(&data, kind);
            Ok(Answer::ok(&deal(
                cx,
                kind,
                &data,
                record,
                &names,
                Depth::Versions,
            )))
        }
        _ => Err(Problem::not_found()),
    }
}

fn paged(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let limit = cx.call.query.limit(100, PAGE_MOST)?;
    let after = cx.call.query.number("offset")?.unwrap_or(0);
    let data = cx.who.portal.read();
    let names = if cx.call.query.flag("includeAllProperties") || cx.call.query.flag("allPropertiesFetchMode")
    {
        nested::all(&data, kind)
    } else {
        nested::names(cx, &["properties", "propertiesWithHistory"])
    };
    let mut records = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.after(after))
        .filter(|record| record.archived_ms.is_none());
    let mut offset = after;
    let mut deals = Vec::new();
    for record in records.by_ref().take(limit) {
        offset = record.id;
        deals.push(deal(cx, kind, &data, record, &names, Depth::Versions));
    }
    Ok(Answer::ok(
        &json!({ "deals": deals, "hasMore": records.next().is_some(), "offset": offset }),
    ))
}

fn deal(
    cx: Cx<'_>,
    kind: ObjectKind,
    data: &PortalData,
    record: &Record,
    names: &[String],
    depth: Depth,
) -> Value {
    let ids = |name: &str| -> Vec<u64> {
        let end = End { kind, id: record.id };
        let to = ObjectKind::named(name);
        to.into_iter()
            .flat_map(|to| data.associations.of(end, to))
            .map(|(id, _)| id)
            .collect()
    };
    json!({
        "portalId": cx.who.portal.hub_id(),
        "dealId": record.id,
        "isDeleted": false,
        "associations": {
            "associatedVids": ids("contacts"),
            "associatedCompanyIds": ids("companies"),
            "associatedDealIds": ids("deals"),
        },
        "properties": nested::properties(data, kind, record, names, depth),
        "imports": [],
        "stateChanges": [],
    })
}
