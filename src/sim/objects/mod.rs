//! CRM records of every type: list, get, search, batches, create, update, archive, merge, erase.

mod batch;
mod erase;
mod filter;
mod read;
mod render;
mod search;
mod write;

use http::Method;

use super::access::{self, Access};
use super::answer::Answer;
use super::associations;
use super::call::Cx;
use super::problem::{Handled, Problem};

pub(super) use self::read::find;
pub(super) use self::render::value as property_value;
pub(super) use self::write::{TypeInput, create_plain, plain_id, update_plain};

/// Everything under `/crm/…/objects/`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let method = &cx.call.method;
    match (method, words) {
        (&Method::GET, [word]) => read::list(cx, access::open(cx, word, Access::Read)?),
        (&Method::POST, [word]) => write::create(cx, access::open(cx, word, Access::Write)?),
        (&Method::POST, [word, "search"]) => search::search(cx, access::open(cx, word, Access::Read)?),
        (&Method::POST, [word, "merge"]) => erase::merge(cx, access::open(cx, word, Access::Write)?),
        (&Method::POST, [word, "gdpr-delete"]) => {
            erase::gdpr_delete(cx, access::open(cx, word, Access::Write)?)
        }
        (&Method::POST, [word, "batch", "read"]) => batch::read(cx, access::open(cx, word, Access::Read)?),
        (&Method::POST, [word, "batch", "create"]) => {
            batch::create(cx, access::open(cx, word, Access::Write)?)
        }
        (&Method::POST, [word, "batch", "update"]) => {
            batch::update(cx, access::open(cx, word, Access::Write)?)
        }
        (&Method::POST, [word, "batch", "upsert"]) => {
            batch::upsert(cx, access::open(cx, word, Access::Write)?)
        }
        (&Method::POST, [word, "batch", "archive"]) => {
            batch::archive(cx, access::open(cx, word, Access::Write)?)
        }
        (&Method::GET, [word, id]) => read::get(cx, access::open(cx, word, Access::Read)?, id),
        (&Method::PATCH, [word, id]) => write::update(cx, access::open(cx, word, Access::Write)?, id),
        (&Method::DELETE, [word, id]) => write::archive(cx, access::open(cx, word, Access::Write)?, id),
        (_, [word, id, "associations", rest @ ..]) => associations::of_record(cx, word, id, rest),
        (_, [_] | [_, _] | [_, "batch", _]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}
