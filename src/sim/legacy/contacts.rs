//! contacts v1: pages of all contacts, one by id or by address, searching.

use serde_json::{Value, json};

use super::nested::{self, Depth};
use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};
use crate::sim::records::Record;

const PAGE: u64 = 20;
const PAGE_MOST: u64 = 100;
/// Shown in a page unless properties are named.
const DEFAULTS: &[&str] = &["firstname", "lastname", "company", "lastmodifieddate"];

/// Everything under `/contacts/v1/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let kind = super::readable(cx, "contacts")?;
    match words {
        ["lists", "all" | "recently_updated", "contacts", "all" | "recent"] => page(cx, kind),
        ["contact", "vid", id, "profile"] => {
            let data = cx.who.portal.read();
            let id = id.parse().ok();
            profile(cx, kind, &data, id.and_then(|id| data.table(kind)?.get(id)))
        }
        ["contact", "email", email, "profile"] => {
            let data = cx.who.portal.read();
            let found = data
                .table(kind)
                .and_then(|table| table.get(table.find_unique("email", email)?));
            profile(cx, kind, &data, found)
        }
        ["contact", "vids", "batch"] => batch(cx, kind, "vid"),
        ["contact", "emails", "batch"] => batch(cx, kind, "email"),
        ["search", "query"] => search(cx, kind),
        _ => Err(Problem::not_found()),
    }
}

fn count(cx: Cx<'_>) -> Handled<usize> {
    let count = cx.call.query.number("count")?.unwrap_or(PAGE).clamp(1, PAGE_MOST);
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn names(cx: Cx<'_>) -> Vec<String> {
    let mut names: Vec<String> = DEFAULTS.iter().map(|name| (*name).to_owned()).collect();
    names.extend(nested::names(cx, &["property"]));
    names
}

fn depth(cx: Cx<'_>) -> Depth {
    if cx.call.query.first("propertyMode") == Some("value_and_history") {
        Depth::Versions
    } else {
        Depth::Value
    }
}

fn page(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let after = cx.call.query.number("vidOffset")?.unwrap_or(0);
    let (count, names, depth) = (count(cx)?, names(cx), depth(cx));
    let data = cx.who.portal.read();
    let mut records = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.after(after))
        .filter(|record| record.archived_ms.is_none());
    let mut offset = after;
    let mut contacts = Vec::new();
    for record in records.by_ref().take(count) {
        offset = record.id;
        contacts.push(contact(cx, kind, &data, record, &names, depth));
    }
    Ok(Answer::ok(&json!({
        "contacts": contacts,
        "has-more": records.next().is_some(),
        "vid-offset": offset,
    })))
}

/// One contact with every property it has.
fn profile(cx: Cx<'_>, kind: ObjectKind, data: &PortalData, found: Option<&Record>) -> Handled<Answer> {
    let record = found
        .filter(|record| record.archived_ms.is_none())
        .ok_or_else(|| Problem::new(http::StatusCode::NOT_FOUND, None, "contact does not exist"))?;
    let mut names = nested::names(cx, &["property"]);
    if names.is_empty() {
        names = nested::all(data, kind);
    }
    let depth = if cx.call.query.first("propertyMode") == Some("value_only") {
        Depth::Value
    } else {
        Depth::Versions
    };
    let mut profile = contact(cx, kind, data, record, &names, depth);
    if let (Some(company), Some(members)) = (
        associated_company(cx, kind, data, record),
        profile.as_object_mut(),
    ) {
        members.insert("associated-company".to_owned(), company);
    }
    Ok(Answer::ok(&profile))
}

/// The company of a contact with all it has: a profile shows it unasked.
fn associated_company(cx: Cx<'_>, kind: ObjectKind, data: &PortalData, record: &Record) -> Option<Value> {
    let companies = ObjectKind::named("companies")?;
    let mut linked = data.associations.of(End { kind, id: record.id }, companies);
    let company = data.table(companies)?.get(linked.next()?.0)?;
    let names = nested::all(data, companies);
    Some(json!({
        "company-id": company.id,
        "portal-id": cx.who.portal.hub_id(),
        "properties": nested::properties(data, companies, company, &names, Depth::Value),
    }))
}

/// Up to a hundred contacts by id or by address, in a map.
fn batch(cx: Cx<'_>, kind: ObjectKind, by: &str) -> Handled<Answer> {
    let ids = nested::names(cx, &[by]);
    let (names, depth) = (names(cx), depth(cx));
    let data = cx.who.portal.read();
    let mut contacts = serde_json::Map::new();
    for id in ids.iter().take(usize::try_from(PAGE_MOST).unwrap_or(usize::MAX)) {
        let table = data.table(kind);
        let id = match by {
            "email" => table.and_then(|table| table.find_unique("email", id)),
            _ => id.parse().ok(),
        };
        let record = id.and_then(|id| table?.get(id));
        if let Some(record) = record.filter(|record| record.archived_ms.is_none()) {
            contacts.insert(
                record.id.to_string(),
                contact(cx, kind, &data, record, &names, depth),
            );
        }
    }
    Ok(Answer::ok(&Value::Object(contacts)))
}

fn search(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let words = cx.call.query.first("q").unwrap_or_default().to_lowercase();
    let offset = cx.call.query.number("offset")?.unwrap_or(0);
    let (count, names, depth) = (count(cx)?, names(cx), depth(cx));
    let data = cx.who.portal.read();
    let mentions = |record: &&Record| {
        ["email", "firstname", "lastname", "company", "phone"]
            .iter()
            .filter_map(|name| record.value(name))
            .any(|value| value.to_lowercase().contains(&words))
    };
    let found: Vec<&Record> = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.live())
        .filter(mentions)
        .collect();
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let contacts: Vec<Value> = found
        .iter()
        .skip(start)
        .take(count)
        .map(|record| contact(cx, kind, &data, record, &names, depth))
        .collect();
    let next = start.saturating_add(contacts.len());
    Ok(Answer::ok(&json!({
        "query": words,
        "offset": next,
        "has-more": next < found.len(),
        "total": found.len(),
        "contacts": contacts,
    })))
}

fn contact(
    cx: Cx<'_>,
    kind: ObjectKind,
    data: &PortalData,
    record: &Record,
    names: &[String],
    depth: Depth,
) -> Value {
    let identities: Vec<Value> = record
        .value("email")
        .map(|email| {
            json!({ "type": "EMAIL", "value": email, "timestamp": record.created_ms, "is-primary": true })
        })
        .into_iter()
        .collect();
    json!({
        "addedAt": record.created_ms,
        "vid": record.id,
        "canonical-vid": record.id,
        "merged-vids": [],
        "portal-id": cx.who.portal.hub_id(),
        "is-contact": true,
        "properties": nested::properties(data, kind, record, names, depth),
        "profile-url": format!("https://app.hubspot.com/contacts/{}/contact/{}", cx.who.portal.hub_id(), record.id),
        "form-submissions": [],
        "identity-profiles": [{
            "vid": record.id,
            "saved-at-timestamp": record.created_ms,
            "deleted-changed-timestamp": 0,
            "identities": identities,
        }],
        "merge-audits": [],
    })
}
