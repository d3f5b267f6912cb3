//! crm-associations v1: associations by definition id, which is the association type's id.

use http::Method;
use serde::Deserialize;
use serde_json::json;

use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::associations::types::{AssociationType, Category, exists};
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::problem::{Handled, Problem};

/// Links of one batch.
const INPUTS: usize = 100;
const PAGE: u64 = 20;
const PAGE_MOST: u64 = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    from_object_id: u64,
    to_object_id: u64,
    category: String,
    definition_id: u32,
}

/// Everything under `/crm-associations/v1/associations`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::PUT, []) => change(cx, vec![cx.call.json()?], true),
        (&Method::PUT, ["create-batch"]) => change(cx, cx.call.json()?, true),
        (&Method::PUT, ["delete"]) => change(cx, vec![cx.call.json()?], false),
        (&Method::PUT, ["delete-batch"]) => change(cx, cx.call.json()?, false),
        (&Method::GET, [id, "HUBSPOT_DEFINED", definition]) => list(cx, id, definition),
        (_, [] | [_]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// The two types a definition is between.
fn ends(cx: Cx<'_>, definition: u32) -> Handled<(ObjectKind, ObjectKind, AssociationType)> {
    let how = AssociationType {
        category: Category::HubspotDefined,
        id: definition,
    };
    let data = cx.who.portal.read();
    let kinds: Vec<ObjectKind> = data.properties.keys().copied().collect();
    let pairs = kinds
        .iter()
        .flat_map(|from| kinds.iter().map(move |to| (*from, *to)));
    let mut fitting = pairs.filter(|(from, to)| exists(*from, *to, how));
    fitting
        .next()
        .map(|(from, to)| (from, to, how))
        .ok_or_else(|| Problem::validation(format!("No association definition {definition}")))
}

fn change(cx: Cx<'_>, links: Vec<Link>, adding: bool) -> Handled<Answer> {
    if !(1..=INPUTS).contains(&links.len()) {
        return Err(Problem::validation(format!("1 to {INPUTS} associations")));
    }
    let mut resolved = Vec::new();
    for link in &links {
        if link.category != "HUBSPOT_DEFINED" {
            return Err(Problem::validation("category must be HUBSPOT_DEFINED"));
        }
        let (from, to, how) = ends(cx, link.definition_id)?;
        access::allow_both(cx, from, to, Access::Write)?;
        let end = |kind, id: u64| {
            let data = cx.who.portal.read();
            let there = data.table(kind).is_some_and(|table| table.get(id).is_some());
            there
                .then_some(End { kind, id })
                .ok_or_else(|| Problem::object_not_found(&id.to_string()))
        };
        resolved.push((end(from, link.from_object_id)?, end(to, link.to_object_id)?, how));
    }
    let mut data = cx.who.portal.write();
    for (from, to, how) in resolved {
        if adding {
            data.associations.add(from, to, how);
        } else {
            data.associations.remove_type(from, to, how);
        }
    }
    Ok(Answer::no_content())
}

fn list(cx: Cx<'_>, id: &str, definition: &str) -> Handled<Answer> {
    let definition = definition.parse().map_err(|_| Problem::not_found())?;
    let (from, to, how) = ends(cx, definition)?;
    access::allow_both(cx, from, to, Access::Read)?;
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let limit = cx.call.query.limit(PAGE, PAGE_MOST)?;
    let after = cx.call.query.number("offset")?.unwrap_or(0);
    let data = cx.who.portal.read();
    let mut found = data
        .associations
        .of(End { kind: from, id }, to)
        .filter(|(id, types)| *id > after && types.contains(&how))
        .map(|(id, _)| id);
    let results: Vec<u64> = found.by_ref().take(limit).collect();
    Ok(Answer::ok(&json!({
        "hasMore": found.next().is_some(),
        "offset": results.last().copied().unwrap_or(after),
        "results": results,
    })))
}
