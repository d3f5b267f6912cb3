//! Which operations are described at all, and whether real answers come down as their shapes say.

mod names;
mod samples;
mod walk;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{AnswerShape, ERROR, GRAPHQL, KEPT_MESSAGES, WITHHELD, extra_types, of};
use crate::access::catalogue::{Catalogue, Row};
use crate::access::facts::Surface;
use crate::access::fields::grant::{Bounds, Entry, Names, OnExtra, Properties};
use crate::access::fields::shape::{Shape, Views};
use crate::access::object_type::ObjectType;
use samples::Sample;
use walk::walk;

fn catalogue() -> Catalogue {
    Catalogue::embedded().unwrap()
}

/// Every row that touches a type, or is described without one.
fn rows(catalogue: &Catalogue) -> impl Iterator<Item = (Surface, &Row)> {
    catalogue
        .operations()
        .flat_map(|(_, operation)| operation.rows.iter().map(move |row| (operation.surface, row)))
        .filter_map(|(surface, row)| Some((surface, catalogue.row(*row)?)))
}

fn word(shape: Option<AnswerShape>) -> &'static str {
    match shape {
        Some(AnswerShape::Free) => "free",
        Some(AnswerShape::Known(_)) => "known",
        None => "none",
    }
}

/// The area of a template tells the same operation's answers apart.
fn line(row: &Row) -> String {
    let area = row.template.split('/').nth(1).unwrap_or_default();
    let extra = extra_types(&row.id, row).join(",");
    let line = format!("{} /{area} {} {extra}", row.id, word(of(&row.id, row)));
    line.trim_end().to_owned()
}

/// Operations that touch a type and are not described, and why. Under a rule they are refused.
const NOT_DESCRIBED: &[(&str, &str)] = &[
    (
        "collector.graphql.query",
        "mirrors its query; `GRAPHQL` is for queries whose fields were judged",
    ),
    (
        "crm-objects.change-log.list",
        "tells which property of a record changed when",
    ),
    (
        "crm.exports.export.async",
        "leads to a file that no filter reaches",
    ),
    (
        "engagements.archive",
        "the engagements API holds values of five types in one object",
    ),
    ("engagements.associated.list", "as above"),
    ("engagements.create", "as above"),
    ("engagements.get", "as above"),
    ("engagements.list", "as above"),
    ("engagements.recent.modified", "as above"),
    ("engagements.update", "as above"),
    (
        "integrators.timeline.events.detail",
        "shows what a template makes of a record",
    ),
    ("integrators.timeline.events.render", "as above"),
    ("extensions.ecomm.imports.page", "not documented"),
    ("extensions.ecomm.sync.messages.replace", "not documented"),
    (
        "webhooks-journal.snapshots.crm",
        "leads to a journal that no filter reaches",
    ),
    ("webhooks-journal.subscriptions.create", "as above"),
];

/// A new row can't become free, known or refused without a line here.
#[test]
fn each_operation_on_a_type_is_described_as_the_list_says() {
    let catalogue = catalogue();
    let found: BTreeSet<String> = rows(&catalogue)
        .filter(|(_, row)| of(&row.id, row).is_some())
        .map(|(_, row)| line(row))
        .collect();
    let listed: BTreeSet<String> = include_str!("answers.txt").lines().map(str::to_owned).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not in the list: {new:#?}\nnot so: {gone:#?}"
    );
    for (surface, row) in rows(&catalogue) {
        let is_known_to_be_closed = NOT_DESCRIBED.iter().any(|(id, _)| *id == &*row.id);
        let is_described = of(&row.id, row).is_some();
        let touches_a_type = surface != Surface::Fixed || row.is_unjudged();
        assert!(
            !touches_a_type || is_described != is_known_to_be_closed,
            "{} {}",
            row.id,
            row.template
        );
    }
}

#[test]
fn nothing_that_reads_or_writes_values_of_records_is_free() {
    let catalogue = catalogue();
    for (surface, row) in rows(&catalogue) {
        let verb = row.id.rsplit('.').next().unwrap_or_default();
        let is_of_records = row.id.starts_with("crm.objects.") && surface == Surface::Records;
        // contacts v1 answers these two with 204 and with one word.
        let is_silent = row.template.starts_with("/contacts/v1/") && matches!(verb, "update" | "merge");
        if !is_of_records || is_silent || matches!(verb, "archive" | "gdpr-delete") {
            continue;
        }
        let shape = of(&row.id, row);
        assert!(
            matches!(shape, Some(AnswerShape::Known(_))),
            "{} {}",
            row.id,
            row.template
        );
    }
    let echo = rows(&catalogue).filter(|(_, row)| *row.id == *"crm.associations.create");
    for (_, row) in echo.filter(|(_, row)| !row.template.starts_with("/deals/")) {
        assert_eq!(word(of(&row.id, row)), "known", "{}", row.template);
    }
}

fn row<'c>(catalogue: &'c Catalogue, call: &str) -> &'c Row {
    rows(catalogue)
        .map(|(_, row)| row)
        .find(|row| format!("{} {}", row.method.as_str(), row.template) == call)
        .unwrap_or_else(|| panic!("no row {call}"))
}

/// Of the first type only `email`, of the second only `name`, of `2-7` only `model` may be read; or
/// all of all.
fn views(all: bool) -> Views {
    let entry = |name: &str| match all {
        true => Entry::all(),
        false => Entry {
            read: Names::listed([name]),
            ..Entry::all()
        },
    };
    let custom = ObjectType::Custom(Arc::from("2-7"));
    let properties = Properties::new(
        vec![
            (ObjectType::Known(1), vec!["0-1".to_owned()], entry("email")),
            (ObjectType::Known(2), vec!["0-2".to_owned()], entry("name")),
            (
                custom,
                vec!["2-7".to_owned(), "p1_car".to_owned()],
                entry("model"),
            ),
        ],
        None,
        OnExtra::Strip,
    );
    let bounds = Bounds {
        policy: Some(Arc::new(properties)),
        ceiling: None,
    };
    Views {
        types: [1, 2]
            .map(|row| bounds.view(&ObjectType::Known(row)))
            .into_iter()
            .collect(),
        bounds,
    }
}

/// Words are planted as values and names; what they begin with says what must become of them.
fn planted(answer: &str, kind: &str) -> Vec<String> {
    answer
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| word.starts_with(kind))
        .map(str::to_owned)
        .collect()
}

fn check(name: &str, shape: &Shape, answer: &str) {
    let parsed: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{name}: {error}"));
    for all in [false, true] {
        let left = walk(shape, &views(all), &parsed).unwrap_or_else(|error| panic!("{name}: {error}"));
        let left = left.to_string();
        for (kind, stays) in [("shown-", true), ("hidden-", all), ("never-", false)] {
            for word in planted(answer, kind) {
                let is_there = planted(&left, kind).contains(&word);
                assert_eq!(
                    is_there, stays,
                    "{name}: {word}, all readable: {all}, left: {left}"
                );
            }
        }
    }
}

#[test]
fn answers_come_down_with_what_may_be_read_and_nothing_else() {
    let catalogue = catalogue();
    for Sample { calls, answer } in samples::all() {
        assert!(answer.contains("shown-"), "{calls:?} shows nothing");
        for call in *calls {
            let row = row(&catalogue, call);
            let Some(AnswerShape::Known(shape)) = of(&row.id, row) else {
                panic!("{call} is not known");
            };
            check(call, shape, answer);
        }
    }
}

/// Calls that answer without a body.
const NOTHING_EXPECTED: &[&str] = &[
    "POST /contacts/v1/contact/batch",
    "POST /companies/v1/batch-async/update",
    "POST /deals/v1/batch-async/update",
];

#[test]
fn nothing_is_left_of_an_answer_where_none_is_expected() {
    let catalogue = catalogue();
    for call in NOTHING_EXPECTED {
        let row = row(&catalogue, call);
        let Some(AnswerShape::Known(shape)) = of(&row.id, row) else {
            panic!("{call} is not known");
        };
        check(
            call,
            shape,
            r#"{"failureMessages": [{"error": "never-a"}], "message": "never-b"}"#,
        );
    }
}

#[test]
fn what_holds_records_is_refused_with_a_container_nobody_knows() {
    let catalogue = catalogue();
    for (call, answer) in [
        (
            "GET /crm/v3/objects/contacts",
            r#"{"results": [], "records": [{"email": "a"}]}"#,
        ),
        (
            "POST /crm/v3/objects/contacts/batch/read",
            r#"{"results": [], "more": {"1": {}}}"#,
        ),
        ("GET /crm/v3/objects/contacts", r#"{"results": {"1": {}}}"#),
        (
            "GET /contacts/v1/lists/all/contacts/all",
            r#"{"contacts": [], "people": [{}]}"#,
        ),
        (
            "GET /companies/v2/companies/paged",
            r#"{"companies": [], "more": [{}]}"#,
        ),
        ("GET /deals/v1/deal/paged", r#"{"deals": [], "more": {}}"#),
        (
            "GET /crm-objects/v1/objects/tickets/paged",
            r#"{"objects": [], "more": {}}"#,
        ),
        (
            "GET /crm/v3/properties/{objectType}",
            r#"{"results": [{"label": "a"}]}"#,
        ),
        (
            "GET /crm/v3/properties/{objectType}",
            r#"{"results": [], "more": [{"name": "a"}]}"#,
        ),
        ("GET /crm/v3/objects/contacts/{contactId}", r#"[{"id": "1"}]"#),
    ] {
        let row = row(&catalogue, call);
        let Some(AnswerShape::Known(shape)) = of(&row.id, row) else {
            panic!("{call} is not known");
        };
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert!(walk(shape, &views(false), &answer).is_err(), "{call} {answer}");
    }
}

#[test]
fn errors_come_down_without_words_about_values() {
    for answer in samples::ERRORS {
        check("error", &ERROR, answer);
        // It must not matter what may be read: errors are filtered where no type is known, too.
        let parsed: Value = serde_json::from_str(answer).unwrap();
        let left = walk(&ERROR, &Views::default(), &parsed).unwrap();
        assert_eq!(left, walk(&ERROR, &views(false), &parsed).unwrap());
        assert!(!left.to_string().contains("never-"), "{left}");
    }
}

#[test]
fn messages_that_clients_compare_stay_and_all_others_are_replaced() {
    let message = |text: &str| {
        let error = serde_json::json!({ "status": "error", "message": text });
        let left = walk(&ERROR, &views(false), &error).unwrap();
        left["message"].as_str().unwrap().to_owned()
    };
    for kept in KEPT_MESSAGES {
        assert_eq!(message(kept), *kept);
    }
    for replaced in [
        "",
        "You have reached your secondly limit",
        "Property values were not valid: [a]",
    ] {
        assert_eq!(message(replaced), WITHHELD);
    }
    let is_plain = |text: &str| {
        text.bytes()
            .all(|b| (b' '..=b'~').contains(&b) && !matches!(b, b'"' | b'\\'))
    };
    assert!(is_plain(WITHHELD) && KEPT_MESSAGES.iter().all(|text| is_plain(text)));
}

#[test]
fn a_graphql_answer_keeps_its_data_and_loses_its_words() {
    check(
        "graphql",
        &GRAPHQL,
        r#"{"data": {"a": "shown-a"}, "errors": [{"message": "never-a", "path": ["never-b"]}], "extensions": {"b": "never-c"}}"#,
    );
}

#[test]
fn each_known_shape_is_tried_by_an_answer() {
    let catalogue = catalogue();
    let shape_of = |row: &Row| match of(&row.id, row) {
        Some(AnswerShape::Known(shape)) => Some(shape),
        Some(AnswerShape::Free) | None => None,
    };
    let tried: Vec<&Shape> = samples::all()
        .flat_map(|sample| sample.calls)
        .chain(NOTHING_EXPECTED)
        .filter_map(|call| shape_of(row(&catalogue, call)))
        .collect();
    let untried: BTreeSet<&str> = rows(&catalogue)
        .filter(|(_, row)| shape_of(row).is_some_and(|shape| !tried.contains(&shape)))
        .map(|(_, row)| &*row.id)
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}
