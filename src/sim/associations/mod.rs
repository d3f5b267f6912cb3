//! Associations between records, in the v3 spelling and in that of v4 and the dated versions.

mod labels;
mod read;
pub(super) mod store;
pub(super) mod types;
mod write;

use http::Method;

use self::store::End;
use super::access::{self, Access};
use super::answer::Answer;
use super::call::Cx;
use super::object_types::ObjectKind;
use super::objects;
use super::problem::{Handled, Problem};

/// Two types and whether their associations are spoken of as in v3.
#[derive(Clone, Copy, Debug)]
struct Pair {
    from: ObjectKind,
    to: ObjectKind,
    v3: bool,
}

/// Opens both types under the rule for associations.
fn pair(cx: Cx<'_>, from: &str, to: &str, access: Access) -> Handled<Pair> {
    let (from, to) = (access::kind(cx, from)?, access::kind(cx, to)?);
    access::allow_both(cx, from, to, access)?;
    Ok(Pair {
        from,
        to,
        v3: cx.call.version == "v3",
    })
}

/// Everything under `/crm/…/associations/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::POST, [from, to, "batch", "read"]) => read::batch(cx, pair(cx, from, to, Access::Read)?),
        (&Method::POST, [from, to, "batch", "create"]) => {
            write::batch_create(cx, pair(cx, from, to, Access::Write)?)
        }
        (&Method::POST, [from, to, "batch", "associate", "default"]) => {
            write::batch_default(cx, pair(cx, from, to, Access::Write)?)
        }
        (&Method::POST, [from, to, "batch", "archive"]) => {
            write::batch_archive(cx, pair(cx, from, to, Access::Write)?)
        }
        (&Method::POST, [from, to, "batch", "labels", "archive"]) => {
            write::batch_labels_archive(cx, pair(cx, from, to, Access::Write)?)
        }
        (&Method::GET, [from, to, "labels"]) => labels::list(cx, pair(cx, from, to, Access::Read)?),
        (&Method::GET, [from, to, "types"]) => labels::types_v3(pair(cx, from, to, Access::Read)?),
        (&Method::POST, [from, to, "labels"]) => labels::define(cx, pair(cx, from, to, Access::SchemaWrite)?),
        (&Method::DELETE, [from, to, "labels", id]) => {
            labels::undefine(cx, pair(cx, from, to, Access::SchemaWrite)?, id)
        }
        (_, [_, _, "batch", ..] | [_, _, "labels" | "types", ..]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// Everything under `/crm/…/objects/{type}/{id}/associations/`.
pub(super) fn of_record(cx: Cx<'_>, word: &str, id: &str, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::GET, [to]) => {
            let pair = pair(cx, word, to, Access::Read)?;
            read::list(cx, pair, end(cx, pair.from, id)?)
        }
        (&Method::PUT, ["default", to, to_id]) => {
            let (from, to) = ends(cx, (word, id), (to, to_id))?;
            write::put_default(cx, from, to)
        }
        (&Method::PUT, [to, to_id]) => {
            let (from, to) = ends(cx, (word, id), (to, to_id))?;
            write::put(cx, from, to)
        }
        (&Method::DELETE, [to, to_id]) => {
            let (from, to) = ends(cx, (word, id), (to, to_id))?;
            cx.who.portal.write().associations.remove(from, to);
            Ok(Answer::no_content())
        }
        (&Method::PUT, [to, to_id, how]) => {
            let (from, to) = ends(cx, (word, id), (to, to_id))?;
            write::put_v3(cx, from, to, how)
        }
        (&Method::DELETE, [to, to_id, how]) => {
            let (from, to) = ends(cx, (word, id), (to, to_id))?;
            write::delete_v3(cx, from, to, how)
        }
        (_, [_] | [_, _] | [_, _, _]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

/// A record that exists.
fn end(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<End> {
    let id = objects::find(&cx.who.portal.read(), kind, id, None)?;
    Ok(End { kind, id })
}

/// Both records of a write, which must exist.
fn ends(cx: Cx<'_>, from: (&str, &str), to: (&str, &str)) -> Handled<(End, End)> {
    let kinds = pair(cx, from.0, to.0, Access::Write)?;
    Ok((end(cx, kinds.from, from.1)?, end(cx, kinds.to, to.1)?))
}
