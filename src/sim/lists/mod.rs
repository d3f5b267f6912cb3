//! Lists: all, one, search, members, adding and removing by hand, and by filters.

mod definition;

use std::collections::BTreeSet;

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::clock::iso;
use crate::sim::object_types::ObjectKind;
use crate::sim::objects::plain_id;
use crate::sim::people::page_of;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};
use crate::sim::scopes::Need;

const READ: Need = &[&["crm.lists.read"]];
const WRITE: Need = &[&["crm.lists.write"]];
const MEMBERS_PAGE: u64 = 100;
const MEMBERS_MOST: u64 = 250;
/// Members of one list.
const MEMBERS: usize = 100_000;

/// A list.
#[derive(Clone, Debug)]
pub(in crate::sim) struct List {
    pub(in crate::sim) id: u64,
    pub(in crate::sim) name: String,
    pub(in crate::sim) kind: ObjectKind,
    pub(in crate::sim) members: BTreeSet<u64>,
    pub(in crate::sim) created_ms: i64,
    /// `MANUAL`, `SNAPSHOT` or `DYNAMIC`.
    pub(in crate::sim) processing: &'static str,
    /// What the list means, unless it is kept by hand.
    pub(in crate::sim) filter_branch: Option<Value>,
}

/// Everything under `/crm/…/lists`.
pub(in crate::sim) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::GET, []) => all(cx),
        (&Method::POST, []) => definition::create(cx),
        (&Method::POST, ["search"]) => search(cx),
        (&Method::POST, ["records", "memberships", "batch", "read"]) => memberships_of(cx),
        (&Method::GET, [id]) => one(cx, id),
        (&Method::DELETE, [id]) => definition::delete(cx, id),
        (&Method::PUT, [id, "update-list-filters"]) => definition::update_filters(cx, id),
        (&Method::GET, [id, "memberships"]) => members(cx, id),
        (&Method::PUT, [id, "memberships", change @ ("add" | "remove")]) => edit(cx, id, change),
        (&Method::PUT, [id, "memberships", "add-and-remove"]) => add_and_remove(cx, id),
        (&Method::DELETE, [id, "memberships"]) => clear(cx, id),
        (_, [] | ["search"] | [_] | [_, "memberships" | "update-list-filters"] | [_, "memberships", _]) => {
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
        "processingType": list.processing,
        "processingStatus": "COMPLETE",
        "size": list.members.len(),
        "createdAt": iso(list.created_ms),
        "updatedAt": iso(list.created_ms),
    })
}

/// With what the list means, if asked for.
fn described_with_filters(cx: Cx<'_>, list: &List) -> Value {
    let mut described = described(list);
    if let (true, Some(branch)) = (cx.call.query.flag("includeFilters"), &list.filter_branch)
        && let Some(members) = described.as_object_mut()
    {
        members.insert("filterBranch".to_owned(), branch.clone());
    }
    described
}

/// Where a list stands.
fn place(data: &PortalData, id: &str) -> Handled<usize> {
    let found = data.lists.iter().position(|list| list.id.to_string() == id);
    found.ok_or_else(Problem::not_found)
}

fn at(data: &PortalData, place: usize) -> Handled<&List> {
    data.lists.get(place).ok_or_else(Problem::not_found)
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
        &json!({ "lists": found.map(|list| described_with_filters(cx, list)).collect::<Vec<_>>() }),
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
    let list = at(&data, place(&data, id)?)?;
    Ok(Answer::ok(&json!({ "list": described_with_filters(cx, list) })))
}

fn members(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let limit = cx.call.query.limit(MEMBERS_PAGE, MEMBERS_MOST)?;
    let after = cx.call.query.number("after")?.unwrap_or(0);
    let data = cx.who.portal.read();
    let list = at(&data, place(&data, id)?)?;
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
    let ids: Vec<Value> = cx.call.json()?;
    match change {
        "add" => change_members(cx, id, &ids, &[]),
        _ => change_members(cx, id, &[], &ids),
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct AddAndRemove {
    record_ids_to_add: Vec<Value>,
    record_ids_to_remove: Vec<Value>,
}

fn add_and_remove(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    let asked: AddAndRemove = cx.call.json()?;
    change_members(cx, id, &asked.record_ids_to_add, &asked.record_ids_to_remove)
}

/// `DELETE …/{id}/memberships`: everybody leaves.
fn clear(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(WRITE)?;
    let mut data = cx.who.portal.write();
    let place = place(&data, id)?;
    if let Some(list) = data.lists.get_mut(place) {
        list.members.clear();
    }
    Ok(Answer::no_content())
}

fn change_members(cx: Cx<'_>, id: &str, add: &[Value], remove: &[Value]) -> Handled<Answer> {
    cx.who.scopes().require(WRITE)?;
    let add: Vec<u64> = add.iter().map(plain_id).collect::<Handled<_>>()?;
    let remove: Vec<u64> = remove.iter().map(plain_id).collect::<Handled<_>>()?;
    let mut data = cx.who.portal.write();
    let place = place(&data, id)?;
    let kind = at(&data, place)?.kind;
    let known = |id: &u64| data.table(kind).is_some_and(|table| table.get(*id).is_some());
    let (add, mut missing): (Vec<u64>, Vec<u64>) = add.into_iter().partition(known);
    let (remove, gone): (Vec<u64>, Vec<u64>) = remove.into_iter().partition(known);
    missing.extend(gone);
    let list = data.lists.get_mut(place).ok_or_else(Problem::not_found)?;
    if list.processing == "DYNAMIC" {
        return Err(Problem::validation(
            "The members of a DYNAMIC list can't be changed by hand.",
        ));
    }
    let text = |ids: Vec<u64>| ids.iter().map(u64::to_string).collect::<Vec<_>>();
    let mut added = add;
    added.retain(|id| list.members.len() < MEMBERS && list.members.insert(*id));
    let mut removed = remove;
    removed.retain(|id| list.members.remove(id));
    Ok(Answer::ok(&json!({
        "recordIdsMissing": text(missing),
        "recordsIdsAdded": text(added),
        "recordIdsRemoved": text(removed),
    })))
}

#[derive(Deserialize)]
struct RecordInputs {
    inputs: Vec<RecordInput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordInput {
    object_type_id: String,
    record_id: Value,
}

/// `POST …/records/memberships/batch/read`: which lists the named records are in.
fn memberships_of(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let asked: RecordInputs = cx.call.json()?;
    let mut results = Vec::new();
    for input in &asked.inputs {
        let kind = access::open(cx, &input.object_type_id, Access::Read)?;
        let id = plain_id(&input.record_id)?;
        let data = cx.who.portal.read();
        let lists = data
            .lists
            .iter()
            .filter(|list| list.kind == kind && list.members.contains(&id));
        let memberships: Vec<Value> = lists
            .map(|list| json!({ "listId": list.id.to_string(), "listVersion": 1, "isPublicList": false }))
            .collect();
        results.push(json!({
            "objectTypeId": kind.type_id(),
            "recordId": id.to_string(),
            "recordListMemberships": memberships,
        }));
    }
    Ok(Answer::ok(&json!({
        "status": "COMPLETE",
        "results": results,
        "startedAt": iso(cx.call.now_ms),
        "completedAt": iso(cx.call.now_ms),
    })))
}
