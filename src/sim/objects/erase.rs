//! What cannot be taken back: merging two records, and erasing one for good.

use serde::Deserialize;
use serde_json::Value;

use super::read::find;
use super::render::Selection;
use super::write::plain_id;
use crate::sim::access::Access;
use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::problem::{Handled, Problem};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Merge {
    primary_object_id: Value,
    object_id_to_merge: Value,
}

/// `POST …/{type}/merge`.
pub(super) fn merge(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: Merge = cx.call.json()?;
    let (primary, other) = (
        plain_id(&asked.primary_object_id)?,
        plain_id(&asked.object_id_to_merge)?,
    );
    if primary == other {
        return Err(Problem::validation("A record cannot be merged with itself."));
    }
    let selection = Selection::new(cx, kind, &[], &[], Access::Write)?;
    let mut data = cx.who.portal.write();
    if !data.table_mut(kind).merge(primary, other, cx.call.now_ms) {
        return Err(Problem::object_not_found(&other.to_string()));
    }
    data.associations
        .forget(End { kind, id: other }, Some(End { kind, id: primary }));
    let record = data.table(kind).and_then(|table| table.get(primary));
    let record = record.ok_or_else(|| Problem::object_not_found(&primary.to_string()))?;
    Ok(Answer::ok(&selection.render(&data, record)))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GdprDelete {
    object_id: Value,
    #[serde(default)]
    id_property: Option<String>,
}

/// `POST …/{type}/gdpr-delete`.
pub(super) fn gdpr_delete(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    let asked: GdprDelete = cx.call.json()?;
    let id = match &asked.object_id {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut data = cx.who.portal.write();
    let found = find(&data, kind, &id, asked.id_property.as_deref())?;
    data.table_mut(kind).erase(found, cx.call.now_ms);
    data.associations.forget(End { kind, id: found }, None);
    Ok(Answer::no_content())
}
