//! Older APIs that real clients still call: contacts v1, companies v2, deals v1, crm-objects v1,
//! crm-associations v1, engagements v1, the timeline of integrations v1; and for reading alone
//! properties v1 and v2, owners v2, pipelines v1, integrations v1.

mod associations;
mod companies;
mod contacts;
mod deals;
mod definitions;
mod engagements;
mod nested;
mod objects;
mod write;

use http::Method;
use serde_json::json;

use super::access::{self, Access};
use super::answer::Answer;
use super::call::Cx;
use super::object_types::ObjectKind;
use super::problem::{Handled, Problem};
use super::timeline;

/// Every path that is none of the modern ones.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let known = matches!(
        (cx.call.version.as_str(), words.first()),
        (
            "v1",
            Some(
                &"contacts"
                    | &"deals"
                    | &"properties"
                    | &"integrations"
                    | &"crm-pipelines"
                    | &"crm-objects"
                    | &"crm-associations"
                    | &"engagements"
            )
        ) | ("v2", Some(&"companies" | &"properties" | &"owners"))
    );
    if !known {
        return Err(Problem::not_found());
    }
    match words {
        ["crm-objects", "objects", rest @ ..] => return objects::route(cx, rest),
        ["crm-associations", "associations", rest @ ..] => return associations::route(cx, rest),
        ["engagements", "engagements", rest @ ..] => return engagements::route(cx, rest),
        ["integrations", _app, "timeline", rest @ ..] => return timeline::older(cx, rest),
        _ => {}
    }
    if cx.call.method != Method::GET {
        return write::route(cx, words);
    }
    match words {
        ["contacts", rest @ ..] => contacts::route(cx, rest),
        ["companies", rest @ ("properties" | "groups"), more @ ..] => {
            definitions::properties(cx, "companies", &[&[*rest], more].concat())
        }
        ["deals", "properties", more @ ..] => {
            definitions::properties(cx, "deals", &[&["properties"], more].concat())
        }
        ["companies", rest @ ..] => companies::route(cx, rest),
        ["deals", rest @ ..] => deals::route(cx, rest),
        ["properties", word, rest @ ..] => definitions::properties(cx, word, rest),
        ["owners", "owners", rest @ ..] => definitions::owners(cx, rest),
        ["crm-pipelines", "pipelines", word] => definitions::pipelines(cx, word),
        ["integrations", "me"] => me(cx),
        _ => Err(Problem::not_found()),
    }
}

/// A standard type, opened for reading.
fn readable(cx: Cx<'_>, name: &str) -> Handled<ObjectKind> {
    access::open(cx, name, Access::Read)
}

fn me(cx: Cx<'_>) -> Handled<Answer> {
    let options = &cx.who.portal.options;
    Ok(Answer::ok(&json!({
        "portalId": options.hub_id,
        "timeZone": "Europe/Berlin",
        "currency": "EUR",
        "utcOffsetMilliseconds": options.utc_offset_minutes * 60_000,
    })))
}
