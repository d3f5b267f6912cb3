//! Lists, as far as extractors read them: all, one, search, members, adding and removing by hand.

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::object_types::ObjectKind;
use super::objects::plain_id;
use super::people::page_of;
use super::problem::{Handled, Problem};
use super::scopes::Need;

const READ: Need = &[&["crm.lists.read"]];
const WRITE: Need = &[&["crm.lists.write"]];
const MEMBERS_PAGE: u64 = 100;
const MEMBERS_MOST: u64 = 250;
/// Members of one list.
const MEMBERS: usize = 100_000;

/// A list kept by hand.
#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) kind: ObjectKind,
    pub(super) members: BTreeSet<u64>,
    pub(super) created_ms: i64,
}

/// Everything under `/crm/…/lists`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::GET, []) => all(cx),
        (&Method::POST, ["search"]) => search(cx),
        (&Method::GET, [id]) => one(cx, id),
        (&Method::GET, [id, "memberships"]) => members(cx, id),
        (&Method::PUT, [id, "memberships", change @ ("add" | "remove")]) => edit(cx, id, change),
        (_, [] | ["search"] | [_] | [_, "memberships"] | [_, "memberships", "add" | "remove"]) => {
            Err(Problem::method_not_allowed())
        }
        _ => Err(Problem::not_found()),
    }
}

fn described(list: &List) -> Value {
    json!({
        "listId": list.id.to_string(),
        "listVersion": 1,
        "name": list.name,
        "objectTypeId": list.kind.type_id(),
        "processingType": "MANUAL",
        "processingStatus": "COMPLETE",
        "size": list.members.len(),
        "createdAt": iso(list.created_ms),
        "updatedAt": iso(list.created_ms),
    })
}

fn all(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let wanted = cx.call.query.list("listIds");
    let data = cx.who.portal.read();
    let found = data
        .lists
        .iter()
        .filter(|list| wanted.is_empty() || wanted.contains(&list.id.to_string()));
    Ok(Answer::ok(
        &json!({ "lists": found.map(described).collect::<Vec<_>>() }),
    ))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Search {
    query: Option<String>,
    offset: usize,
    count: Option<usize>,
}

fn search(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let asked: Search = cx.call.json()?;
    let words = asked.query.unwrap_or_default().to_lowercase();
    let data = cx.who.portal.read();
    let found: Vec<&List> = data
        .lists
        .iter()
        .filter(|list| list.name.to_lowercase().contains(&words))
        .collect();
    let page: Vec<Value> = found
        .iter()
        .skip(asked.offset)
        .take(asked.count.unwrap_or(20).min(500))
        .map(|list| described(list))
        .collect();
    let offset = asked.offset + page.len();
    Ok(Answer::ok(&json!({
        "lists": page,
        "offset": offset,
        "total": found.len(),
        "hasMore": offset < found.len(),
    })))
}

fn one(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let data = cx.who.portal.read();
    let list = data
        .lists
        .iter()
        .find(|list| list.id.to_string() == id)
        .ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&json!({ "list": described(list) })))
}

fn members(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let limit = cx.call.query.limit(MEMBERS_PAGE, MEMBERS_MOST)?;
    let after = cx.call.query.number("after")?.unwrap_or(0);
    let data = cx.who.portal.read();
    let list = data
        .lists
        .iter()
        .find(|list| list.id.to_string() == id)
        .ok_or_else(Problem::not_found)?;
    let mut found = list.members.range(after.saturating_add(1)..);
    let page: Vec<u64> = found.by_ref().take(limit).copied().collect();
    let next = page.last().copied().filter(|_| found.next().is_some());
    let at = iso(list.created_ms);
    let results = page
        .iter()
        .map(|id| json!({ "recordId": id.to_string(), "membershipTimestamp": at }))
        .collect();
    let path = format!("/crm/lists/{}/{id}/memberships", cx.call.version);
    Ok(Answer::ok(&page_of(cx, results, next, &path)))
}

fn edit(cx: Cx<'_>, id: &str, change: &str) -> Handled<Answer> {
    cx.who.scopes().require(WRITE)?;
    let asked: Vec<Value> = cx.call.json()?;
    let ids: Vec<u64> = asked.iter().map(plain_id).collect::<Handled<_>>()?;
    let mut data = cx.who.portal.write();
    let place = data
        .lists
        .iter()
        .position(|list| list.id.to_string() == id)
        .ok_or_else(Problem::not_found)?;
    let kind = data
        .lists
        .get(place)
        .map(|list| list.kind)
        .ok_or_else(Problem::not_found)?;
    let (known, missing): (Vec<u64>, Vec<u64>) = ids
        .into_iter()
        .partition(|id| data.table(kind).is_some_and(|table| table.get(*id).is_some()));
    let Some(list) = data.lists.get_mut(place) else {
        return Err(Problem::not_found());
    };
    let mut changed = Vec::new();
    for id in known {
        let done = match change {
            "add" => list.members.len() < MEMBERS && list.members.insert(id),
            _ => list.members.remove(&id),
        };
        if done {
            changed.push(id.to_string());
        }
    }
    let missing: Vec<String> = missing.iter().map(u64::to_string).collect();
    let (added, removed) = if change == "add" {
        (changed, Vec::new())
    } else {
        (Vec::new(), changed)
    };
    Ok(Answer::ok(&json!({
        "recordIdsMissing": missing,
        "recordsIdsAdded": added,
        "recordIdsRemoved": removed,
    })))
}
