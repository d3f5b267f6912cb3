//! engagements v1: notes, calls, e-mails, tasks and meetings in one place, their values in `metadata`.

use std::collections::BTreeMap;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::sim::answer::Answer;
use crate::sim::associations::store::End;
use crate::sim::associations::types;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::objects;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Handled, Problem};
use crate::sim::records::Record;
use crate::sim::scopes::Need;

const READ: Need = &[
    &["crm.objects.contacts.read"],
    &["crm.objects.companies.read"],
    &["crm.objects.deals.read"],
    &["tickets"],
    &["e-commerce"],
];
const WRITE: Need = &[
    &["crm.objects.contacts.write"],
    &["crm.objects.companies.write"],
    &["crm.objects.deals.write"],
    &["tickets"],
    &["e-commerce"],
];
const PAGE: u64 = 100;
const PAGE_MOST: u64 = 250;
/// Records one engagement is associated with when it is made.
const LINKS: usize = 100;

/// `type`, the object type, and its `metadata` members with the properties they show.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const KINDS: &[Row] = &[
    ("NOTE", "notes", &[("body", "hs_note_body")]),
    (
        "CALL",
        "calls",
        &[
            ("title", "hs_call_title"),
            ("body", "hs_call_body"),
            ("durationMilliseconds", "hs_call_duration"),
            ("toNumber", "hs_call_to_number"),
        ],
    ),
    (
        "EMAIL",
        "emails",
        &[
            ("subject", "hs_email_subject"),
            ("html", "hs_email_html"),
            ("text", "hs_email_text"),
        ],
    ),
    (
        "TASK",
        "tasks",
        &[
            ("subject", "hs_task_subject"),
            ("body", "hs_task_body"),
            ("status", "hs_task_status"),
        ],
    ),
    (
        "MEETING",
        "meetings",
        &[
            ("title", "hs_meeting_title"),
            ("body", "hs_meeting_body"),
            ("internalMeetingNotes", "hs_internal_meeting_notes"),
        ],
    ),
];

/// Members of `associations` and the types they hold ids of.
const LINKED: &[(&str, &str)] = &[
    ("contactIds", "contacts"),
    ("companyIds", "companies"),
    ("dealIds", "deals"),
    ("ticketIds", "tickets"),
];

/// Everything under `/engagements/v1/engagements`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let reads = cx.call.method == Method::GET;
    cx.who.scopes().require(if reads { READ } else { WRITE })?;
    match (&cx.call.method, words) {
        (&Method::GET, ["paged"] | ["recent", "modified"]) => page(cx, None),
        (&Method::GET, ["associated", word, id, "paged"]) => {
            let kind = cx.who.portal.kind(word).ok_or_else(Problem::not_found)?;
            let id = objects::find(&cx.who.portal.read(), kind, id, None)?;
            page(cx, Some(End { kind, id }))
        }
        (&Method::POST, []) => create(cx),
        (&Method::GET, [id]) => {
            let data = cx.who.portal.read();
            let (row, kind, record) = find(&data, id)?;
            Ok(Answer::ok(&engagement(cx, &data, row, kind, record)))
        }
        (&Method::PATCH, [id]) => update(cx, id),
        (&Method::DELETE, [id]) => {
            let mut data = cx.who.portal.write();
            let (_, kind, record) = find(&data, id)?;
            let id = record.id;
            data.table_mut(kind).archive(id, cx.call.now_ms);
            Ok(Answer::no_content())
        }
        (_, [] | [_]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn kinds() -> impl Iterator<Item = (&'static Row, ObjectKind)> {
    KINDS
        .iter()
        .filter_map(|row| ObjectKind::named(row.1).map(|kind| (row, kind)))
}

/// Ids are told apart by type, so one of them names one engagement.
fn find<'a>(data: &'a PortalData, id: &str) -> Handled<(&'static Row, ObjectKind, &'a Record)> {
    let id: u64 = id.parse().map_err(|_| Problem::not_found())?;
    kinds()
        .find_map(|(row, kind)| {
            let record = data.table(kind)?.get(id)?;
            record.archived_ms.is_none().then_some((row, kind, record))
        })
        .ok_or_else(Problem::not_found)
}

fn page(cx: Cx<'_>, of: Option<End>) -> Handled<Answer> {
    let limit = match cx.call.query.number("count")? {
        Some(count) => usize::try_from(count.min(PAGE_MOST)).unwrap_or(1),
        None => cx.call.query.limit(PAGE, PAGE_MOST)?,
    };
    let after = cx.call.query.number("offset")?.unwrap_or(0);
    let data = cx.who.portal.read();
    let mut all: Vec<(&Row, ObjectKind, &Record)> = kinds()
        .flat_map(|(row, kind)| {
            let records = data.table(kind).into_iter().flat_map(|table| table.live());
            records.map(move |record| (row, kind, record))
        })
        .filter(|(_, kind, record)| {
            let linked = |end: End| {
                let own = End {
                    kind: *kind,
                    id: record.id,
                };
                data.associations.of(own, end.kind).any(|(id, _)| id == end.id)
            };
            record.id > after && of.is_none_or(linked)
        })
        .collect();
    all.sort_by_key(|(_, _, record)| record.id);
    let results: Vec<Value> = all
        .iter()
        .take(limit)
        .map(|(row, kind, record)| engagement(cx, &data, row, *kind, record))
        .collect();
    let last = all
        .get(results.len().wrapping_sub(1))
        .map_or(after, |(_, _, record)| record.id);
    Ok(Answer::ok(&json!({
        "results": results,
        "hasMore": all.len() > results.len(),
        "offset": last,
        "total": all.len(),
    })))
}

fn engagement(cx: Cx<'_>, data: &PortalData, row: &Row, kind: ObjectKind, record: &Record) -> Value {
    let own = End { kind, id: record.id };
    let mut associations = Map::new();
    for (member, word) in LINKED {
        let ids: Vec<u64> = ObjectKind::named(word)
            .into_iter()
            .flat_map(|to| data.associations.of(own, to))
            .map(|(id, _)| id)
            .collect();
        associations.insert((*member).to_owned(), json!(ids));
    }
    let mut metadata = Map::new();
    for (member, name) in row.2 {
        if let Some(value) = record.value(name) {
            metadata.insert((*member).to_owned(), json!(value));
        }
    }
    let preview = row.2.iter().find_map(|(_, name)| record.value(name));
    json!({
        "engagement": {
            "id": record.id,
            "portalId": cx.who.portal.hub_id(),
            "active": true,
            "createdAt": record.created_ms,
            "lastUpdated": record.updated_ms,
            "type": row.0,
            "timestamp": record.created_ms,
            "ownerId": record.value("hubspot_owner_id").and_then(|id| id.parse::<u64>().ok()),
            "bodyPreview": preview,
        },
        "associations": associations,
        "attachments": [],
        "metadata": metadata,
    })
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    engagement: Head,
    #[serde(default)]
    associations: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    metadata: Map<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    #[serde(rename = "type")]
    name: Option<String>,
    owner_id: Option<Value>,
}

/// What `metadata` sets, as properties; members nobody knows are dropped, as HubSpot does.
fn properties(row: &Row, sent: &Sent) -> BTreeMap<String, Value> {
    let shown = row.2.iter();
    let mut values: BTreeMap<String, Value> = shown
        .filter_map(|(member, name)| Some(((*name).to_owned(), sent.metadata.get(*member)?.clone())))
        .collect();
    if let Some(owner) = &sent.engagement.owner_id {
        values.insert("hubspot_owner_id".to_owned(), owner.clone());
    }
    values
}

/// The records to associate with, all of which must exist.
fn linked(cx: Cx<'_>, sent: &Sent) -> Handled<Vec<End>> {
    let data = cx.who.portal.read();
    let mut ends = Vec::new();
    for (member, ids) in &sent.associations {
        let Some((_, word)) = LINKED.iter().find(|(known, _)| known == member) else {
            continue;
        };
        for id in ids {
            let kind = ObjectKind::named(word).ok_or_else(Problem::not_found)?;
            let id = objects::find(&data, kind, &objects::plain_id(id)?.to_string(), None)?;
            ends.push(End { kind, id });
        }
    }
    match ends.len() > LINKS {
        true => Err(Problem::validation("Too many associations in one engagement.")),
        false => Ok(ends),
    }
}

fn create(cx: Cx<'_>) -> Handled<Answer> {
    let sent: Sent = cx.call.json()?;
    let asked = sent.engagement.name.as_deref().unwrap_or_default();
    let found = kinds().find(|(row, _)| row.0 == asked);
    let (row, kind) =
        found.ok_or_else(|| Problem::validation(format!("Unknown engagement type: {asked}")))?;
    let ends = linked(cx, &sent)?;
    let id = objects::create_plain(cx, kind, properties(row, &sent))?;
    let mut data = cx.who.portal.write();
    for end in ends {
        data.associations
            .add(End { kind, id }, end, types::unlabelled(kind, end.kind));
    }
    let (row, kind, record) = find(&data, &id.to_string())?;
    Ok(Answer::ok(&engagement(cx, &data, row, kind, record)))
}

fn update(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    let sent: Sent = cx.call.json()?;
    let (row, kind) = {
        let data = cx.who.portal.read();
        let (row, kind, _) = find(&data, id)?;
        (row, kind)
    };
    let ends = linked(cx, &sent)?;
    let values = properties(row, &sent);
    if !values.is_empty() {
        objects::update_plain(cx, kind, id, None, values)?;
    }
    let mut data = cx.who.portal.write();
    let own = End {
        kind,
        id: objects::find(&data, kind, id, None)?,
    };
    for end in ends {
        data.associations.add(own, end, types::unlabelled(kind, end.kind));
    }
    let (row, kind, record) = find(&data, id)?;
    Ok(Answer::ok(&engagement(cx, &data, row, kind, record)))
}
