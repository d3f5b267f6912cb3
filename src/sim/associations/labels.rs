//! Association types and labels: what exists between two object types, and defining more.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Pair;
use super::types::{self, Category};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::problem::{Handled, Problem};

/// Labels between two types; HubSpot's own limit.
const LABELS: usize = 50;

/// `GET …/labels`.
pub(super) fn list(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let data = cx.who.portal.read();
    let plain = types::unlabelled(pair.from, pair.to);
    let mut results = vec![json!({ "category": plain.category, "typeId": plain.id, "label": null })];
    if let Some(primary) = types::primary(pair.from, pair.to) {
        results.push(json!({ "category": primary.category, "typeId": primary.id, "label": "Primary" }));
    }
    results.extend(data.associations.labels(pair.from, pair.to).iter().map(described));
    Ok(Answer::ok(&json!({ "results": results })))
}

/// `GET …/types`, the v3 spelling.
pub(super) fn types_v3(pair: Pair) -> Handled<Answer> {
    let plain = types::unlabelled(pair.from, pair.to);
    let results: Vec<Value> = [types::primary(pair.from, pair.to), Some(plain)]
        .into_iter()
        .flatten()
        .map(|how| json!({ "id": how.id.to_string(), "name": types::v3_name(pair.from, pair.to, how) }))
        .collect();
    Ok(Answer::ok(&json!({ "results": results })))
}

#[derive(Deserialize)]
struct NewLabel {
    name: String,
    label: String,
}

/// `POST …/labels`.
pub(super) fn define(cx: Cx<'_>, pair: Pair) -> Handled<Answer> {
    let new: NewLabel = cx.call.json()?;
    let mut data = cx.who.portal.write();
    let labels = data.associations.labels(pair.from, pair.to);
    if labels.len() >= LABELS || labels.iter().any(|label| label.name == new.name) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            Some("CONFLICT"),
            "The label exists, or there are as many as there can be.",
        ));
    }
    data.associations
        .define(pair.from, pair.to, &new.name, &new.label);
    let both: Vec<Value> = [(pair.from, pair.to), (pair.to, pair.from)]
        .iter()
        .filter_map(|(from, to)| data.associations.labels(*from, *to).last().map(described))
        .collect();
    Ok(Answer::ok(&json!({ "results": both })))
}

fn described(label: &super::store::Label) -> Value {
    json!({ "category": Category::UserDefined, "typeId": label.id, "label": label.text })
}

/// `DELETE …/labels/{id}`.
pub(super) fn undefine(cx: Cx<'_>, pair: Pair, id: &str) -> Handled<Answer> {
    let id = id
        .parse()
        .map_err(|_| Problem::validation("label ids are numeric"))?;
    if cx
        .who
        .portal
        .write()
        .associations
        .undefine(pair.from, pair.to, id)
    {
        return Ok(Answer::no_content());
    }
    Err(Problem::not_found())
}
