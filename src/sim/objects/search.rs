//! Searching: filters, text, order, pages, and HubSpot's bounds on all of them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::filter::{self, FilterGroup};
use super::read::{Next, Paging};
use super::render::{Rendered, Selection, value};
use crate::sim::access::Access;
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::clock::{millis, parse_time_ms};
use crate::sim::object_types::ObjectKind;
use crate::sim::problem::{Handled, Problem};
use crate::sim::records::Record;

const GROUPS: usize = 5;
const FILTERS_A_GROUP: usize = 6;
const FILTERS: usize = 18;
const PAGE: usize = 10;
const PAGE_MOST: usize = 200;
/// Results beyond this one cannot be reached.
const REACH: usize = 10_000;
/// Longest body in characters.
const BODY_CHARACTERS: usize = 3_000;
const QUERY_CHARACTERS: usize = 3_000;

/// Properties a `query` looks through, besides the type's defaults.
const SEARCHED: &[&str] = &[
    "phone",
    "hs_additional_emails",
    "company",
    "website",
    "description",
    "hs_note_body",
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Search {
    filter_groups: Vec<FilterGroup>,
    /// A single group may be written without its brackets.
    filters: Vec<filter::Filter>,
    query: Option<String>,
    sorts: Vec<Sort>,
    properties: Vec<String>,
    limit: Option<usize>,
    after: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sort {
    /// `name` or `-name`.
    Word(String),
    Full {
        #[serde(rename = "propertyName")]
        property_name: String,
        #[serde(default)]
        direction: Option<String>,
    },
}

#[derive(Serialize)]
struct Found {
    total: usize,
    results: Vec<Rendered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paging: Option<Paging>,
}

/// `POST …/{type}/search`.
pub(super) fn search(cx: Cx<'_>, kind: ObjectKind) -> Handled<Answer> {
    if String::from_utf8_lossy(&cx.call.body).chars().count() > BODY_CHARACTERS {
        return Err(Problem::validation(
            "The request body is too long: at most 3000 characters.",
        ));
    }
    let mut asked: Search = cx.call.json()?;
    if !asked.filters.is_empty() {
        asked.filter_groups.push(FilterGroup {
            filters: std::mem::take(&mut asked.filters),
        });
    }
    let (limit, after) = bounds(&asked)?;
    let selection = Selection::new(cx, kind, &asked.properties, &[], Access::Read)?;
    let order = order(cx, kind, &asked.sorts)?;
    let groups = filter::prepare(cx, kind, std::mem::take(&mut asked.filter_groups))?;
    let words = asked.query.map(|query| query.to_lowercase());
    let indexed_ms = cx.call.now_ms - millis(cx.sim.options.search_lag);

    let data = cx.who.portal.read();
    let mut found: Vec<&Record> = data
        .table(kind)
        .into_iter()
        .flat_map(|table| table.live())
        .filter(|record| record.updated_ms <= indexed_ms)
        .filter(|record| words.as_ref().is_none_or(|words| mentions(kind, record, words)))
        .filter(|record| filter::passes(&groups, kind, &data, record))
        .collect();
    if let Some(order) = &order {
        found.sort_by(|left, right| order.compare(kind, left, right));
    }
    let total = found.len();
    let results: Vec<Rendered> = found
        .iter()
        .skip(after)
        .take(limit)
        .map(|record| selection.render(&data, record))
        .collect();
    let reached = after + results.len();
    let paging = (reached < total).then(|| Paging {
        next: Next {
            after: reached.to_string(),
            link: None,
        },
    });
    Ok(Answer::ok(&Found {
        total,
        results,
        paging,
    }))
}

fn bounds(asked: &Search) -> Handled<(usize, usize)> {
    let filters: usize = asked.filter_groups.iter().map(|group| group.filters.len()).sum();
    let crowded = asked
        .filter_groups
        .iter()
        .any(|group| group.filters.len() > FILTERS_A_GROUP);
    if asked.filter_groups.len() > GROUPS || crowded || filters > FILTERS {
        return Err(Problem::validation(
            "Too many filters: at most 5 filterGroups with 6 filters each and 18 in total.",
        ));
    }
    if asked
        .query
        .as_ref()
        .is_some_and(|query| query.chars().count() > QUERY_CHARACTERS)
    {
        return Err(Problem::validation(
            "The query is too long: at most 3000 characters.",
        ));
    }
    if asked.sorts.len() > 1 {
        return Err(Problem::validation("Only one sort is supported."));
    }
    let limit = asked.limit.unwrap_or(PAGE);
    if limit > PAGE_MOST {
        return Err(Problem::validation("limit must be at most 200"));
    }
    let after = match &asked.after {
        None | Some(serde_json::Value::Null) => Ok(0),
        Some(serde_json::Value::String(text)) if text.is_empty() => Ok(0),
        Some(serde_json::Value::String(text)) => text.parse::<usize>().map_err(drop),
        Some(other) => other.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or(()),
    };
    let after = after.map_err(|()| Problem::validation("after must be an integer"))?;
    if after.saturating_add(limit) > REACH {
        return Err(Problem::validation(
            "Paging beyond 10000 results is not supported.",
        ));
    }
    Ok((limit, after))
}

/// Whether one of the searched properties contains all words.
fn mentions(kind: ObjectKind, record: &Record, words: &str) -> bool {
    let texts: Vec<String> = kind
        .spec()
        .defaults
        .iter()
        .chain(SEARCHED)
        .filter_map(|name| record.value(name))
        .map(str::to_lowercase)
        .collect();
    words
        .split_whitespace()
        .all(|word| texts.iter().any(|text| text.contains(word)))
}

struct Order {
    property: String,
    value_type: String,
    descending: bool,
}

fn order(cx: Cx<'_>, kind: ObjectKind, sorts: &[Sort]) -> Handled<Option<Order>> {
    let (property, descending) = match sorts.first() {
        None => return Ok(None),
        Some(Sort::Word(word)) => match word.strip_prefix('-') {
            Some(name) => (name.to_owned(), true),
            None => (word.clone(), false),
        },
        Some(Sort::Full {
            property_name,
            direction,
        }) => (property_name.clone(), direction.as_deref() == Some("DESCENDING")),
    };
    let data = cx.who.portal.read();
    let definition = data
        .property(kind, &property)
        .ok_or_else(|| filter::unknown_property(&property))?;
    let (value_type, sensitivity) = (definition.value_type.clone(), definition.sensitivity);
    drop(data);
    crate::sim::access::allow_sensitive(cx, kind, sensitivity, Access::Read)?;
    Ok(Some(Order {
        property,
        value_type,
        descending,
    }))
}

impl Order {
    /// Records without the value come last in either direction.
    fn compare(&self, kind: ObjectKind, left: &Record, right: &Record) -> Ordering {
        let (left, right) = (
            value(kind, left, &self.property),
            value(kind, right, &self.property),
        );
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            (left, right) => return right.is_some().cmp(&left.is_some()),
        };
        let order = match self.value_type.as_str() {
            "date" | "datetime" => parse_time_ms(&left).cmp(&parse_time_ms(&right)),
            other => filter::compare(&left, &right, other).unwrap_or(Ordering::Equal),
        };
        if self.descending { order.reverse() } else { order }
    }
}
