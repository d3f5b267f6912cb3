//! Cases of a policy: requests and what must become of them (contracts.md §2, item 11).
//!
//! They run through the same steps as a live request.

use std::sync::Arc;

use jiff::Timestamp;

use super::catalogue::Catalogue;
use super::explain::{Asked, Explanation, Under, explain, usual_connection};
use super::policy::Policy;
use super::policy::ceiling::Ceiling;
use super::policy::tables::ConnectionRef;
use super::policy_text::mistake::{Mistake, Span, code};
use super::policy_text::nearest::did_you_mean;
use super::policy_text::read::selector;
use super::policy_text::reader::{Reader, shown};
use super::policy_text::tree::{self, Located, Node};
use super::policy_text::written::Selector;

const KEYS: [&str; 5] = ["request", "body", "connection", "expect", "because"];

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It passes.
    Allow,
    /// A rule is missing or denies it.
    Deny,
    /// It is not understood.
    Refuse,
}

impl Expected {
    const WORDS: [(&'static str, Expected); 3] = [
        ("allow", Expected::Allow),
        ("deny", Expected::Deny),
        ("refuse", Expected::Refuse),
    ];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
            Expected::Refuse => "refuse",
        }
    }
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// `GET`, as written.
    pub method: String,
    /// Path and query, as written.
    pub target: String,
    /// The body's bytes.
    pub body: Option<Vec<u8>>,
    /// Where it goes; `None` = the policy's usual one.
    pub connection: Option<Selector>,
    /// What must become of it.
    pub expect: Expected,
    /// Why.
    pub because: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether it is what was expected.
    pub holds: bool,
    /// The answer.
    pub explanation: Explanation,
}

/// Reads a cases file.
///
/// # Errors
/// Every mistake in it.
pub fn parse(file: &Arc<str>, text: &str) -> Result<Vec<Case>, Vec<Mistake>> {
    let named =
        |mistakes: Vec<Mistake>| -> Vec<Mistake> { mistakes.into_iter().map(|m| m.in_file(file)).collect() };
    let tree = tree::parse(text).map_err(|mistake| named(vec![mistake]))?;
    let mut reader = Reader::default();
    let items = reader.sequence("cases", tree);
    let cases: Vec<Case> = items
        .into_iter()
        .filter_map(|item| case(&mut reader, item))
        .collect();
    match reader.mistakes.is_empty() {
        true => Ok(cases),
        false => Err(named(reader.mistakes)),
    }
}

/// Runs a case.
pub fn run(
    case: &Case,
    catalogue: &Catalogue,
    policy: &Policy,
    ceiling: Option<&Ceiling>,
    now: Timestamp,
) -> Outcome {
    let connection = match &case.connection {
        None | Some(Selector::All) => usual_connection(policy),
        Some(Selector::Name(name)) => ConnectionRef { name, app: None },
        Some(Selector::App(app)) => ConnectionRef {
            name: "",
            app: Some(app),
        },
    };
    let asked = Asked {
        method: &case.method,
        target: &case.target,
        body: case.body.as_deref(),
        content_type: None,
    };
    let under = Under {
        policy,
        ceiling,
        connection,
        now,
    };
    let explanation = explain(catalogue, &asked, Some(&under));
    Outcome {
        holds: explanation.decision == Some(case.expect.as_str()),
        explanation,
    }
}

fn case(reader: &mut Reader, item: Located) -> Option<Case> {
    let mut entries = reader.entries("case", item)?;
    let span = entries.span.clone();
    let request = match entries.take("request") {
        Some(value) => request(reader, value),
        None => {
            reader.missing(&span, "request", "write it like `GET /crm/v3/objects/contacts`");
            None
        }
    };
    let body = entries.take("body").and_then(|value| body(reader, value));
    let connection = entries
        .take("connection")
        .and_then(|value| selector(reader, value));
    let expect = match entries.take("expect") {
        Some(value) => expect(reader, value),
        None => {
            reader.missing(&span, "expect", "write `allow`, `deny` or `refuse`");
            None
        }
    };
    let because = entries.take("because").and_then(|v| reader.text("because", v));
    reader.finish(entries, &KEYS, &[]);
    let (method, target) = request?;
    Some(Case {
        method,
        target,
        body,
        connection: connection.map(|c| c.value),
        expect: expect?,
        because: because.map(|b| b.value),
        span,
    })
}

fn request(reader: &mut Reader, value: Located) -> Option<(String, String)> {
    let line = reader.text("request", value)?;
    match line.value.split_once(' ') {
        Some((method, target)) => Some((method.to_owned(), target.to_owned())),
        None => {
            reader.error(
                code::BAD_CASE,
                &line.span,
                format!("`{}` is no request", shown(&line.value)),
                "write a method, a space and a target: `GET /crm/v3/objects/contacts`",
            );
            None
        }
    }
}

fn expect(reader: &mut Reader, value: Located) -> Option<Expected> {
    let word = reader.text("expect", value)?;
    let found = Expected::WORDS.iter().find(|(name, _)| *name == word.value);
    if found.is_none() {
        reader.error(
            code::BAD_CASE,
            &word.span,
            format!("`{}` can't be expected", shown(&word.value)),
            did_you_mean(
                &word.value,
                Expected::WORDS.iter().map(|(name, _)| *name),
                "write `allow`, `deny` or `refuse`",
            ),
        );
    }
    found.map(|(_, expected)| *expected)
}

/// Text is the body as it is; a list or a mapping is written as JSON.
fn body(reader: &mut Reader, value: Located) -> Option<Vec<u8>> {
    let span = value.span.clone();
    match value.node {
        Node::Text(text) => Some(text.into_bytes()),
        node @ (Node::List(_) | Node::Map(_)) => Some(json(node).to_string().into_bytes()),
        _ => {
            reader.error(
                code::BAD_CASE,
                &span,
                "this is no body",
                "write a mapping, a list, or JSON in quotes",
            );
            None
        }
    }
}

/// The depth is bounded by the tree's.
fn json(node: Node) -> serde_json::Value {
    match node {
        Node::Null => serde_json::Value::Null,
        Node::Bool(value) => value.into(),
        Node::Number(text) => match serde_json::from_str::<serde_json::Number>(&text) {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
        Node::Text(text) => text.into(),
        Node::List(items) => items.into_iter().map(|item| json(item.node)).collect(),
        Node::Map(entries) => entries
            .into_iter()
            .map(|(key, value)| (key.name, json(value.node)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(text: &str) -> Result<Vec<Case>, Vec<&'static str>> {
        parse(&Arc::from("t.cases.yaml"), text).map_err(|m| m.iter().map(|m| m.code).collect())
    }

    #[test]
    fn a_case_has_a_request_and_what_is_expected() {
        let read = cases(
            "- request: GET /crm/v3/objects/contacts?limit=1\n  expect: allow\n  because: pages\n- {request: POST /x/y, body: {a: [1, x]}, connection: acme, expect: deny}\n",
        )
        .unwrap();
        assert_eq!(
            (read[0].method.as_str(), read[0].target.as_str()),
            ("GET", "/crm/v3/objects/contacts?limit=1")
        );
        assert_eq!(read[0].because.as_deref(), Some("pages"));
        assert_eq!(read[1].body.as_deref(), Some(&br#"{"a":[1,"x"]}"#[..]));
        assert_eq!(read[1].connection, Some(Selector::Name("acme".to_owned())));
        assert_eq!(read[1].span.line, 4);
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let found = cases("- request: GET\n  expect: alow\n- expect: deny\n  reqest: GET /a\n- {request: GET /a, expect: deny, body: 5}\n").unwrap_err();
        assert_eq!(
            found,
            [
                code::BAD_CASE,
                code::BAD_CASE,
                code::MISSING_KEY,
                code::UNKNOWN_KEY,
                code::BAD_CASE
            ]
        );
        assert!(cases("request: GET /a\n").is_err());
    }

    #[test]
    fn cases_run_through_the_steps_of_the_live_path() {
        let catalogue = Catalogue::embedded().unwrap();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let text = "integration: t\nowner: t\nconnections: [acme, {app: shop}]\nallow:\n  - scope: crm.objects.contacts.read\n  - scope: crm.objects.contacts.write\n    connections: [{app: shop}]\n";
        let (policy, _) = Policy::load(&Arc::from("t.yaml"), "t", &Arc::from(text), &catalogue, now).unwrap();
        let text = "
- {request: GET /crm/v3/objects/contacts, expect: allow}
- {request: GET /crm/objects/v3/0-1/17/, expect: allow}
- {request: GET /crm/v3/objects/notes, expect: deny}
- {request: GET /crm/v3/objects/nothing, expect: refuse}
- {request: GET /crm/v3/objects/contacts/1%2f2, expect: refuse}
- {request: PATCH /crm/v3/objects/contacts/1, body: {properties: {}}, expect: deny}
- {request: PATCH /crm/v3/objects/contacts/1, body: {properties: {}}, connection: {app: shop}, expect: allow}
- {request: GET /crm/v3/objects/contacts, connection: elsewhere, expect: deny}
";
        for case in cases(text).unwrap() {
            let outcome = run(&case, &catalogue, &policy, None, now);
            assert!(outcome.holds, "{case:?} {outcome:?}");
        }
    }
}
