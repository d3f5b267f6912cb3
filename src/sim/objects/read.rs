//! Listing records and getting one.

use serde::Serialize;

use super::render::{Rendered, Selection};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};

/// Default and largest page of a list.
const PAGE: u64 = 10;
const PAGE_MOST: u64 = 100;

#[derive(Serialize)]
struct Page {
    results: Vec<Rendered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paging: Option<Paging>,
}

#[derive(Serialize)]
pub(super) struct Paging {
    pub(super) next: Next,
}

#[derive(Serialize)]
pub(super) struct Next {
    pub(super) after: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
}

/// `GET …/{type}`.
pub(super) fn list(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let query = &cx.call.query;
    let limit = query.limit(PAGE, PAGE_MOST)?;
    let after = query.number("after")?.unwrap_or(0);
    let archived = query.flag("archived");
    let selection = Selection::of_query(cx, kind)?;
    let data = cx.who.portal.read();
    let mut records = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.after(after))
        .filter(|record| record.archived_ms.is_some() == archived);
    let mut last = 0;
    let mut results = Vec::with_capacity(limit);
    for record in records.by_ref().take(limit) {
        last = record.id;
        results.push(selection.render(&data, record));
    }
    let paging = records.next().map(|_| Paging {
        next: next_page(cx, kind, last),
    });
    Ok(Answer::ok(&Page { results, paging }))
}

/// The next page's link comes back with the version in third place whatever the request's spelling.
fn next_page(cx: Cx<'_>, kind: ObjectKind, last: u64) -> Next {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(cx.call.raw_query.as_bytes()) {
        if name != "after" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("after", &last.to_string());
    let (origin, version) = (&cx.call.origin, &cx.call.version);
    Next {
        after: last.to_string(),
        link: Some(format!(
            "{origin}/crm/objects/{version}/{}?{}",
            kind.path_name(),
            query.finish()
        )),
    }
}

/// `GET …/{type}/{id}`.
pub(super) fn get(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let selection = Selection::of_query(cx, kind)?;
    let data = cx.who.portal.read();
    let found = find(&data, kind, id, cx.call.query.first("idProperty"))?;
    let record = data
        .table(kind)
        .and_then(|table| table.get(found))
        .ok_or_else(|| Problem::object_not_found(id))?;
    if record.archived_ms.is_some() && !cx.call.query.flag("archived") {
        return Err(Problem::object_not_found(id));
    }
    Ok(Answer::ok(&selection.render(&data, record)))
}

/// The id a path or input means: the record's own, or a unique property's value.
pub(in crate::sim) fn find(
    data: &PortalData,
    kind: ObjectKind,
    id: &str,
    id_property: Option<&str>,
) -> Handled<u64> {
    let missing = || Problem::object_not_found(id);
    let table = data.table(kind).ok_or_else(missing)?;
    match id_property.filter(|name| !name.is_empty() && *name != "hs_object_id") {
        None => {
            let number = id.parse().map_err(|_| missing())?;
            table.get(number).map(|record| record.id).ok_or_else(missing)
        }
        Some(name) if table.is_unique(name) => table.find_unique(name, id).ok_or_else(missing),
        Some(name) => Err(Problem::validation(format!(
            "{name} is not a unique property of {}",
            kind.path_name()
        ))),
    }
}
