//! Requests under property rules: what goes up, what is denied and where, what is refused.

mod clients;
mod definitions;
mod evasions;
mod legacy;
mod oracles;
mod outside;
mod random;
mod reads;
mod writes;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use smallvec::{SmallVec, smallvec};

use super::{Request, Stopped, body_need, judge_with};
use crate::access::catalogue::{BodyNeed, Catalogue, Row};
use crate::access::facts::{Facts, Need, Surface, Touch};
use crate::access::fields::plan::{AnswerRule, Plan};
use crate::access::fields::shape::Shape;
use crate::access::fields::shapes::AnswerShape;
use crate::access::fields::{Bounds, Entry, Names, OnExtra, Properties};
use crate::access::gather::gather;
use crate::access::json::{Json, JudgedBody};
use crate::access::target::Target;

pub(super) fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| Catalogue::embedded().unwrap())
}

/// `all`, `none`, `a,b`, or `!a,b` for all but these.
fn names(text: &str) -> Names {
    match (text, text.strip_prefix('!')) {
        ("all", _) => Names::All,
        ("none", _) => Names::none(),
        (_, Some(patterns)) => Names::except(patterns.split(',')),
        (listed, None) => Names::listed(listed.split(',')),
    }
}

/// `TYPE read=… write=… PROPERTY:a|b`, entries parted by `;`. `deny` in front: `on_extra_property`.
pub(super) fn properties(text: &str) -> Properties {
    let (text, on_extra) = match text.strip_prefix("deny ") {
        Some(rest) => (rest, OnExtra::Deny),
        None => (text, OnExtra::Strip),
    };
    let mut types = Vec::new();
    let mut star = None;
    for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let mut words = entry.split_whitespace();
        let name = words.next().unwrap();
        let mut entry = Entry {
            read: Names::none(),
            write: Names::none(),
            values: BTreeMap::new(),
        };
        for word in words {
            if let Some(read) = word.strip_prefix("read=") {
                entry.read = names(read);
            } else if let Some(write) = word.strip_prefix("write=") {
                entry.write = names(write);
            } else {
                let (property, values) = word.split_once(':').unwrap();
                let values = values.split('|').map(Into::into).collect();
                entry.values.insert(property.into(), values);
            }
        }
        match name {
            "*" => star = Some(entry),
            name => {
                let object = catalogue().object_type(name).unwrap();
                let spellings = catalogue().object_spellings(&object);
                types.push((object, spellings, entry));
            }
        }
    }
    Properties::new(types, star, on_extra)
}

pub(super) fn bounds(text: &str) -> Bounds {
    Bounds {
        policy: Some(Arc::new(properties(text))),
        ceiling: None,
    }
}

pub(super) fn some_shape(_: &str, _: &Row) -> Option<AnswerShape> {
    Some(AnswerShape::Known(&Shape::Any))
}

/// The facts of a request; those of one whose body decides touch the types given.
fn facts(request: &Request<'_>, parsed: Option<&JudgedBody>, touched: &[&str]) -> Facts {
    let Request {
        recognised, target, ..
    } = *request;
    if let (true, Ok(facts)) = (
        touched.is_empty(),
        gather(catalogue(), recognised, target, parsed),
    ) {
        return facts;
    }
    let row = catalogue().row(recognised.row).unwrap();
    let touch = |name: &&str| Touch {
        object: catalogue().object_type(name),
        surface: Surface::Records,
        requirement: crate::access::facts::Requirement::NONE,
    };
    let touches: SmallVec<[Touch; 2]> = touched.iter().map(touch).collect();
    Facts {
        needs: smallvec![Need {
            operation: recognised.operation,
            effect: row.effect,
            risks: row.risks,
            touches,
        }],
        concerns: SmallVec::new(),
        batch: None,
    }
}

/// One request: `METHOD TARGET`, a body or nothing, and the types its body touches.
pub(super) fn judged(request: &str, body: &str, touched: &[&str], bounds: &Bounds) -> Result<Plan, Stopped> {
    let (method, text) = request.split_once(' ').unwrap();
    let target = Target::parse(method, text).unwrap_or_else(|refusal| panic!("{request}: {refusal:?}"));
    let recognised = catalogue()
        .recognise(&target)
        .unwrap_or_else(|refusal| panic!("{request}: {refusal:?}"));
    let parsed = (!body.is_empty()).then(|| JudgedBody::parse(body.as_bytes()).unwrap());
    let request = Request {
        recognised: &recognised,
        target: &target,
        body: parsed.as_ref().map(JudgedBody::value),
    };
    let facts = facts(&request, parsed.as_ref(), touched);
    let plan = judge_with(catalogue(), &facts, request, bounds, &some_shape);
    // Invariant: a body that is judged was asked for.
    if plan.as_ref().is_ok_and(|plan| plan.body.is_some()) {
        assert_ne!(
            body_need(catalogue(), &recognised, bounds),
            BodyNeed::None,
            "{text}"
        );
    }
    plan
}

/// `same`; `up QUERY BODY`; `deny REASON NAMES at PLACE`; `refuse REASON at PLACE`. `up` shows only
/// what was changed.
pub(super) fn outcome(request: &str, body: &str, rules: &str) -> String {
    shown(judged(request, body, &[], &bounds(rules)))
}

pub(super) fn shown(outcome: Result<Plan, Stopped>) -> String {
    match outcome {
        Ok(Plan {
            query: None,
            body: None,
            ..
        }) => "same".to_owned(),
        Ok(Plan { query, body, .. }) => {
            let mut out = "up".to_owned();
            if let Some(query) = query {
                let pairs: Vec<_> = query
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                out += &format!(" ?{}", pairs.join("&"));
            }
            if let Some(body) = body {
                out += &format!(" {}", rebuilt(body));
            }
            out
        }
        Err(Stopped::Denied(denial)) => format!(
            "deny {} {} at {}",
            denial.reason.as_str(),
            denial.properties.join(","),
            denial.place.as_str()
        ),
        Err(Stopped::Refused(refusal)) => format!(
            "refuse {} at {}",
            refusal.reason.as_str(),
            refusal.place.as_ref().map_or("-", |place| place.as_str())
        ),
    }
}

pub(super) fn rebuilt(body: Json) -> String {
    String::from_utf8(JudgedBody::from(body).rebuild()).unwrap()
}

/// A table: request, body, rules, outcome.
pub(super) fn check(cases: &[(&str, &str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (request, body, rules, expected) in cases {
        let got = outcome(request, body, rules);
        if got != *expected {
            wrong.push(format!(
                "{request} {body}\n  under {rules}\n  expected {expected}\n  got      {got}"
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn without_rules_nothing_is_touched() {
    let plan = judged(
        "POST /crm/v3/objects/contacts/search",
        r#"{"weird":1}"#,
        &[],
        &Bounds::default(),
    );
    assert_eq!(plan, Ok(Plan::free()));
}

#[test]
fn a_type_without_a_bound_is_not_touched_either() {
    check(&[
        (
            "POST /crm/v3/objects/deals/search",
            r#"{"weird":1,"properties":["salary"]}"#,
            "contacts read=email; * read=all write=all",
            "same",
        ),
        (
            "GET /crm/v3/objects/deals?whatever=1",
            "",
            "contacts read=email; * read=all write=all",
            "same",
        ),
    ]);
}

#[test]
fn answers_are_filtered_where_values_may_stand_that_are_hidden() {
    for (request, rules, filtered) in [
        ("GET /crm/v3/objects/deals", "* read=all", false),
        (
            "GET /crm/v3/objects/deals",
            "contacts read=email; * read=all",
            false,
        ),
        (
            "GET /crm/v3/objects/contacts",
            "contacts read=email; * read=all",
            true,
        ),
        ("GET /crm/v3/objects/0-1", "contacts read=email; * read=all", true),
        ("DELETE /crm/v3/objects/contacts/1", "contacts read=email", true),
        ("GET /crm/v3/properties/contacts", "contacts read=email", true),
        (
            "GET /crm/v4/objects/deals/1/associations/contacts",
            "contacts read=email; * read=all",
            true,
        ),
        (
            "GET /crm/v4/objects/deals/1/associations/tickets",
            "contacts read=email; * read=all",
            false,
        ),
        ("GET /crm/v3/owners", "contacts read=email", false),
        ("GET /crm-object-schemas/v3/schemas", "contacts read=email", true),
    ] {
        let plan = judged(request, "", &[], &bounds(rules)).unwrap();
        assert_eq!(
            matches!(plan.answer, AnswerRule::Filter(_)),
            filtered,
            "{request} {rules}"
        );
    }
}

#[test]
fn an_answer_of_unknown_shape_is_refused_before_the_request_goes_up() {
    let target = Target::parse("GET", "/crm/v3/objects/contacts/1").unwrap();
    let recognised = catalogue().recognise(&target).unwrap();
    let request = Request {
        recognised: &recognised,
        target: &target,
        body: None,
    };
    let facts = facts(&request, None, &[]);
    let with = |shape: Option<AnswerShape>, rules| {
        judge_with(catalogue(), &facts, request, &bounds(rules), &move |_, _| shape)
    };
    assert_eq!(
        shown(with(None, "contacts read=email")),
        "refuse refused_unjudged at -"
    );
    assert_eq!(
        with(None, "contacts read=all write=none").unwrap().answer,
        AnswerRule::Pass
    );
    let free = with(Some(AnswerShape::Free), "contacts read=email").unwrap();
    assert_eq!(free.answer, AnswerRule::Errors);
}

#[test]
fn remedies_name_the_line_to_add_and_whose_file_it_is() {
    let ceiling = Bounds {
        policy: Some(Arc::new(properties("contacts read=all write=all"))),
        ceiling: Some(Arc::new(properties("contacts read=email"))),
    };
    let remedy = |request, body, bounds: &Bounds| match judged(request, body, &[], bounds) {
        Err(Stopped::Denied(denial)) => denial.remedy,
        other => panic!("{other:?}"),
    };
    let by_filter = r#"{"filters":[{"propertyName":"salary","operator":"GT","value":"1"}]}"#;
    let search = "POST /crm/v3/objects/contacts/search";
    for (text, expected) in [
        (
            remedy(search, by_filter, &bounds("contacts read=email")),
            "add `salary` to `properties.contacts.read`, or leave it out of the request",
        ),
        (
            remedy(search, by_filter, &ceiling),
            "add `salary` to `properties.contacts.read` of the ceiling, or leave it out of the request",
        ),
        (
            remedy(
                "PATCH /crm/v3/objects/contacts/1",
                r#"{"properties":{"a b":1}}"#,
                &bounds("contacts read=all write=email"),
            ),
            "name only properties that `properties.contacts.write` grants",
        ),
        (
            remedy(
                "PATCH /crm/v3/objects/contacts/1",
                r#"{"properties":{"stage":"x"}}"#,
                &bounds("contacts read=all write=stage stage:lead"),
            ),
            "send a value that `properties.contacts.values` lists for `stage`, or add this one there",
        ),
    ] {
        assert_eq!(text, expected);
    }
}

#[test]
fn a_body_is_read_only_where_it_may_name_what_is_bounded() {
    let need = |request: &str, rules: &str| {
        let (method, text) = request.split_once(' ').unwrap();
        let target = Target::parse(method, text).unwrap();
        let recognised = catalogue().recognise(&target).unwrap();
        body_need(catalogue(), &recognised, &bounds(rules))
    };
    let contacts = "contacts read=email; * read=all write=all";
    for (request, rules, expected) in [
        ("POST /crm/v3/objects/contacts/search", contacts, BodyNeed::Judge),
        ("POST /crm/v3/objects/deals/search", contacts, BodyNeed::None),
        ("POST /crm/v3/objects/deals", contacts, BodyNeed::None),
        ("POST /crm/v3/objects/deals", "* read=all", BodyNeed::Judge),
        ("POST /crm/v3/objects/deals/search", "* read=all", BodyNeed::None),
        ("GET /crm/v3/objects/contacts", contacts, BodyNeed::None),
        ("DELETE /crm/v3/objects/contacts/1", contacts, BodyNeed::None),
        (
            "PUT /contacts/v1/secondary-email/1/email/a@b",
            contacts,
            BodyNeed::None,
        ),
        (
            "PUT /crm/v4/objects/contacts/1/associations/deals/2",
            contacts,
            BodyNeed::None,
        ),
        ("POST /crm/v3/imports", contacts, BodyNeed::Import),
        ("POST /crm/v3/lists", contacts, BodyNeed::Judge),
        ("POST /crm/v3/lists/search", contacts, BodyNeed::None),
        ("POST /events/v3/send", contacts, BodyNeed::Judge),
        (
            "POST /events/v3/send",
            "deals read=none; * read=all write=all",
            BodyNeed::None,
        ),
        ("POST /files/v3/files", contacts, BodyNeed::None),
        (
            "GET /scheduler/v3/meetings/meeting-links/book/x",
            contacts,
            BodyNeed::None,
        ),
    ] {
        assert_eq!(need(request, rules), expected, "{request} under {rules}");
    }
    let target = Target::parse("POST", "/crm/v3/objects/contacts/search").unwrap();
    let recognised = catalogue().recognise(&target).unwrap();
    assert_eq!(
        body_need(catalogue(), &recognised, &Bounds::default()),
        BodyNeed::None
    );
}

#[test]
fn an_operation_that_nobody_has_reviewed_passes_only_where_nothing_is_bounded() {
    let extra = "method\tpath\tid\teffect\tresolve\n\
                 GET\t/crm/v3/dossiers/{objectType}/{id}\tcrm.dossiers.get\tread\ttype:{objectType}\n\
                 GET\t/summaries/v3/all\tsummaries.all.get\tread\tfixed\n";
    let catalogue = Catalogue::with(Some(extra), &[]).unwrap();
    for (path, rules, expected) in [
        (
            "/crm/v3/dossiers/contacts/1",
            "contacts read=email; * read=all write=all",
            "refuse refused_unjudged at -",
        ),
        (
            "/crm/v3/dossiers/deals/1",
            "contacts read=email; * read=all write=all",
            "same",
        ),
        (
            "/summaries/v3/all",
            "contacts read=email; * read=all write=all",
            "refuse refused_unjudged at -",
        ),
        ("/summaries/v3/all", "* read=all write=all", "same"),
    ] {
        let target = Target::parse("GET", path).unwrap();
        let recognised = catalogue.recognise(&target).unwrap();
        let request = Request {
            recognised: &recognised,
            target: &target,
            body: None,
        };
        let facts = gather(&catalogue, &recognised, &target, None).unwrap();
        let plan = judge_with(&catalogue, &facts, request, &bounds(rules), &some_shape);
        assert_eq!(shown(plan), expected, "{path} under {rules}");
    }
}
