//! Writing through older APIs: a list of names and values, and answers of their own shapes.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::nested::{self, Depth};
use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::objects;
use crate::sim::problem::{Handled, Problem};

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    properties: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    /// contacts v1 says `property`, the others `name`.
    #[serde(alias = "name")]
    property: String,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MergeVids {
    vid_to_merge: Value,
}

/// Every older path that is not a GET.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::POST, ["contacts", "contact"]) => {
            let kind = open(cx, "contacts")?;
            let values = values(cx)?;
            if let Some(answer) = contact_exists(cx, kind, &values) {
                return Ok(answer);
            }
            let id = objects::create_plain(cx, kind, values)?;
            Ok(Answer::ok(
                &json!({ "vid": id, "portal-id": cx.who.portal.hub_id(), "is-contact": true }),
            ))
        }
        (&Method::POST, ["contacts", "contact", "createOrUpdate", "email", email]) => {
            create_or_update(cx, email)
        }
        (&Method::POST, ["contacts", "contact", "vid", id, "profile"]) => {
            update(cx, open(cx, "contacts")?, id, None).map(|_| Answer::no_content())
        }
        (&Method::POST, ["contacts", "contact", "email", email, "profile"]) => {
            update(cx, open(cx, "contacts")?, email, Some("email")).map(|_| Answer::no_content())
        }
        (&Method::POST, ["contacts", "contact", "merge-vids", id]) => merge(cx, open(cx, "contacts")?, id),
        (&Method::DELETE, ["contacts", "contact", "vid", id]) => {
            let id = archive(cx, open(cx, "contacts")?, id)?;
            Ok(Answer::ok(&json!({ "vid": id, "deleted": true, "reason": "OK" })))
        }
        (&Method::POST, ["companies", "domains", domain, "companies"]) => by_domain(cx, domain),
        (&Method::POST, ["companies", "companies"]) => {
            let id = create(cx, open(cx, "companies")?)?;
            Ok(Answer::ok(
                &json!({ "companyId": id, "portalId": cx.who.portal.hub_id(), "isDeleted": false }),
            ))
        }
        (&Method::PUT, ["companies", "companies", id]) => {
            let id = update(cx, open(cx, "companies")?, id, None)?;
            Ok(Answer::ok(
                &json!({ "companyId": id, "portalId": cx.who.portal.hub_id(), "isDeleted": false }),
            ))
        }
        (&Method::DELETE, ["companies", "companies", id]) => {
            let id = archive(cx, open(cx, "companies")?, id)?;
            Ok(Answer::ok(&json!({ "companyId": id, "deleted": true })))
        }
        (&Method::POST, ["deals", "deal"]) => {
            let id = create(cx, open(cx, "deals")?)?;
            Ok(Answer::ok(
                &json!({ "dealId": id, "portalId": cx.who.portal.hub_id(), "isDeleted": false }),
            ))
        }
        (&Method::PUT, ["deals", "deal", id]) => {
            let id = update(cx, open(cx, "deals")?, id, None)?;
            Ok(Answer::ok(
                &json!({ "dealId": id, "portalId": cx.who.portal.hub_id(), "isDeleted": false }),
            ))
        }
        (&Method::DELETE, ["deals", "deal", id]) => {
            archive(cx, open(cx, "deals")?, id).map(|_| Answer::no_content())
        }
        _ => Err(Problem::method_not_allowed()),
    }
}

fn open(cx: Cx<'_>, name: &str) -> Handled<ObjectKind> {
    access::open(cx, name, Access::Write)
}

fn values(cx: Cx<'_>) -> Handled<BTreeMap<String, Value>> {
    let body: Body = cx.call.json()?;
    Ok(body
        .properties
        .into_iter()
        .map(|pair| (pair.property, pair.value))
        .collect())
}

fn create(cx: Cx<'_>, kind: ObjectKind) -> Handled<u64> {
    objects::create_plain(cx, kind, values(cx)?)
}

fn update(cx: Cx<'_>, kind: ObjectKind, id: &str, id_property: Option<&str>) -> Handled<u64> {
    objects::update_plain(cx, kind, id, id_property, values(cx)?)
}

/// The 409 of contacts v1, which quotes the contact that is there: id and addresses.
fn contact_exists(cx: Cx<'_>, kind: ObjectKind, values: &BTreeMap<String, Value>) -> Option<Answer> {
    let email = values.get("email")?.as_str()?;
    let data = cx.who.portal.read();
    let table = data.table(kind)?;
    let there = table.get(table.find_unique("email", email)?)?;
    let identity = json!({ "type": "EMAIL", "value": there.value("email"), "timestamp": there.created_ms });
    Some(Answer::json(
        StatusCode::CONFLICT,
        &json!({
            "status": "error",
            "message": "Contact already exists",
            "error": "CONTACT_EXISTS",
            "identityProfile": {
                "vid": there.id,
                "portalId": cx.who.portal.hub_id(),
                "isContact": true,
                "identity": [identity],
                "linkedVid": [],
            },
        }),
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByDomain {
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    request_options: RequestOptions,
}

#[derive(Deserialize, Default)]
struct RequestOptions {
    #[serde(default)]
    properties: Vec<String>,
}

/// Companies of a domain: a POST that reads.
fn by_domain(cx: Cx<'_>, domain: &str) -> Handled<Answer> {
    let kind = access::open(cx, "companies", Access::Read)?;
    let asked: ByDomain = cx.call.json()?;
    let data = cx.who.portal.read();
    let records = data.table(kind).into_iter().flat_map(|table| table.live());
    let results: Vec<Value> = records
        .filter(|record| record.value("domain").is_some_and(|own| own.eq_ignore_ascii_case(domain)))
        .take(asked.limit.unwrap_or(20).min(100))
        .map(|record| {
            json!({
                "portalId": cx.who.portal.hub_id(),
                "companyId": record.id,
                "isDeleted": false,
                "properties":
                    nested::properties(&data, kind, record, &asked.request_options.properties, Depth::Versions),
            })
        })
        .collect();
    Ok(Answer::ok(
        &json!({ "results": results, "hasMore": false, "offset": { "companyId": 0 } }),
    ))
}

fn create_or_update(cx: Cx<'_>, email: &str) -> Handled<Answer> {
    let kind = open(cx, "contacts")?;
    let mut values = values(cx)?;
    let found = objects::find(&cx.who.portal.read(), kind, email, Some("email"));
    let (id, new) = match found {
        Ok(_) => (
            objects::update_plain(cx, kind, email, Some("email"), values)?,
            false,
        ),
        Err(_) => {
            values.insert("email".to_owned(), Value::String(email.to_owned()));
            (objects::create_plain(cx, kind, values)?, true)
        }
    };
    Ok(Answer::ok(&json!({ "vid": id, "isNew": new })))
}

fn archive(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<u64> {
    let mut data = cx.who.portal.write();
    let found = objects::find(&data, kind, id, None)?;
    if data.table_mut(kind).archive(found, cx.call.now_ms) {
        return Ok(found);
    }
    Err(Problem::not_found())
}

fn merge(cx: Cx<'_>, kind: ObjectKind, id: &str) -> Handled<Answer> {
    let asked: MergeVids = cx.call.json()?;
    let other = objects::plain_id(&asked.vid_to_merge)?;
    let mut data = cx.who.portal.write();
    let primary = objects::find(&data, kind, id, None)?;
    if !data.table_mut(kind).merge(primary, other, cx.call.now_ms) {
        return Err(Problem::not_found());
    }
    data.associations
        .forget(End { kind, id: other }, Some(End { kind, id: primary }));
    Ok(Answer::bytes(
        StatusCode::OK,
        bytes::Bytes::from_static(b"SUCCESS"),
    ))
}
