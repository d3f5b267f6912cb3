//! What a request is and what would be decided, offline: the same steps as on the live path.

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::{BodyNeed, Catalogue};
use super::decide::{Question, decide};
use super::decision::Decision;
use super::facts::Facts;
use super::gather::gather;
use super::json::{JudgedBody, check_content_type};
use super::policy::Policy;
use super::policy::ceiling::Ceiling;
use super::policy::tables::ConnectionRef;
use super::policy_text::written::Selector;
use super::refusal::{Reason, Refusal};
use super::target::Target;

/// A request to explain.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// As on the request line.
    pub method: &'a str,
    /// As on the request line: path and query.
    pub target: &'a str,
    /// Its body; none is an empty one.
    pub body: Option<&'a [u8]>,
    /// Its `Content-Type`, if one is to be judged.
    pub content_type: Option<&'a str>,
}

/// By whose rules, and where.
#[derive(Clone, Copy, Debug)]
pub struct Under<'a> {
    /// The integration's policy.
    pub policy: &'a Policy,
    /// The ceiling, if there is one.
    pub ceiling: Option<&'a Ceiling>,
    /// The connection.
    pub connection: ConnectionRef<'a>,
    /// Now.
    pub now: Timestamp,
}

/// The answer; its JSON is contract (contracts.md §3, `explain --json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The operation's id, if it was recognised.
    pub operation: Option<String>,
    /// Method-less template of the catalogue's row.
    pub template: Option<String>,
    /// The request's effect.
    pub effect: Option<&'static str>,
    /// Types touched, by their one name.
    pub object_types: Vec<String>,
    /// All scopes needed, of each requirement the narrowest alternative.
    pub scopes: Vec<String>,
    /// `allow`, `deny` or `refuse`; null without an integration.
    pub decision: Option<&'static str>,
    /// Why not; null when allowed.
    pub reason: Option<&'static str>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// What was wrong with a refused request: for people, not part of the contract's JSON.
    #[serde(skip)]
    pub cause: Option<&'static str>,
    /// What is missing, as written in a policy: for people, not part of the contract's JSON.
    #[serde(skip)]
    pub lacks: Vec<String>,
    /// Whether it passes only because the policy observes: for people, likewise.
    #[serde(skip)]
    pub observed: bool,
}

/// Explains a request, and decides it if rules are given.
pub fn explain(catalogue: &Catalogue, asked: &Asked<'_>, under: Option<&Under<'_>>) -> Explanation {
    let mut answer = Explanation {
        operation: None,
        template: None,
        effect: None,
        object_types: Vec::new(),
        scopes: Vec::new(),
        decision: None,
        reason: None,
        rule: None,
        remedy: None,
        cause: None,
        lacks: Vec::new(),
        observed: false,
    };
    match understand(catalogue, asked, &mut answer) {
        Ok(facts) => {
            answer.describe(catalogue, &facts);
            if let Some(under) = under {
                answer.decide(catalogue, &facts, under);
            }
        }
        Err(refusal) => {
            answer.decision = Some("refuse");
            answer.reason = Some(refusal.reason.as_str());
            answer.cause = Some(refusal.cause);
            answer.remedy = Some(refusal.remedy.to_owned());
        }
    }
    answer
}

/// The steps of the live path up to the decision.
fn understand(catalogue: &Catalogue, asked: &Asked<'_>, answer: &mut Explanation) -> Result<Facts, Refusal> {
    let target = Target::parse(asked.method, asked.target)?;
    target.check_holds_no_key()?;
    let recognised = catalogue.recognise(&target)?;
    answer.operation = catalogue
        .operation(recognised.operation)
        .map(|operation| operation.id.to_string());
    if let Some(row) = catalogue.row(recognised.row) {
        answer.template = Some(row.template.to_string());
        answer.effect = Some(row.effect.as_str());
    }
    answer.object_types = names(recognised.types.iter().map(|o| catalogue.object_name(o)));
    let body = match recognised.body_need() {
        BodyNeed::None => None,
        BodyNeed::Judge => {
            check_content_type(asked.content_type)?;
            Some(JudgedBody::parse(asked.body.unwrap_or_default())?)
        }
    };
    gather(catalogue, &recognised, &target, body.as_ref())
}

/// Each name once, in the order given.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in all {
        if !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    }
    names
}

impl Explanation {
    fn describe(&mut self, catalogue: &Catalogue, facts: &Facts) {
        self.effect = Some(facts.effect().as_str());
        let touches = || facts.needs.iter().flat_map(|need| &need.touches);
        self.object_types = names(
            touches()
                .filter_map(|touch| touch.object.as_ref())
                .map(|object| catalogue.object_name(object)),
        );
        let needed = touches().filter_map(|touch| touch.requirement.first());
        self.scopes = names(needed.flat_map(|term| catalogue.scope_names(term)));
    }

    fn decide(&mut self, catalogue: &Catalogue, facts: &Facts, under: &Under<'_>) {
        if !under.policy.covers(under.connection) {
            self.decision = Some("deny");
            self.reason = Some(Reason::ConnectionForeign.as_str());
            self.remedy = Some("add the connection to the policy's `connections`".to_owned());
            return;
        }
        let decision = decide(&Question {
            policy: under.policy,
            ceiling: under.ceiling,
            catalogue,
            facts,
            connection: under.connection,
            now: under.now,
        });
        match decision {
            Decision::Allow(permit) => {
                self.decision = Some("allow");
                self.rule = Some(permit.rule().to_string());
                self.observed = permit.observed_deny();
            }
            Decision::Deny(denial) => {
                self.decision = Some("deny");
                self.reason = Some(denial.reason.as_str());
                self.rule = denial.rule;
                self.lacks = denial.lacks;
                self.remedy = Some(denial.remedy);
            }
        }
    }
}

/// A connection of the policy, when none is named: the first it lists.
pub fn usual_connection(policy: &Policy) -> ConnectionRef<'_> {
    match policy.connections.first() {
        Some(Selector::Name(name)) => ConnectionRef { name, app: None },
        Some(Selector::App(app)) => ConnectionRef {
            name: "",
            app: Some(app),
        },
        Some(Selector::All) | None => ConnectionRef { name: "", app: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &str, target: &str, body: Option<&str>) -> Explanation {
        let catalogue = Catalogue::embedded().unwrap();
        let asked = Asked {
            method,
            target,
            body: body.map(str::as_bytes),
            content_type: None,
        };
        explain(&catalogue, &asked, None)
    }

    #[test]
    fn the_json_has_the_members_of_the_contract_and_no_others() {
        let found = serde_json::to_value(answer(
            "GET",
            "/crm/v3/objects/contacts/1?associations=deals",
            None,
        ))
        .unwrap();
        let members: Vec<_> = found.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = vec![
            "operation",
            "template",
            "effect",
            "object_types",
            "scopes",
            "decision",
            "reason",
            "rule",
            "remedy",
        ];
        let mut sorted = members.clone();
        sorted.sort_unstable();
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        assert_eq!(found["operation"], "crm.objects.get");
        assert_eq!(found["decision"], serde_json::Value::Null);
        assert_eq!(found["object_types"], serde_json::json!(["contacts", "deals"]));
        assert_eq!(
            found["scopes"],
            serde_json::json!(["crm.objects.contacts.read", "crm.objects.deals.read"])
        );
    }

    #[test]
    fn a_refused_request_is_refused_without_an_integration_too() {
        let unknown = answer("GET", "/nothing/v1/here", None);
        assert_eq!(unknown.decision, Some("refuse"));
        assert_eq!(unknown.operation, None);
        assert!(unknown.remedy.is_some() && unknown.cause.is_some());
        let inline = r#"{"properties":{},"associations":[{"to":{"id":"1"}}]}"#;
        let create = answer("POST", "/crm/v3/objects/contacts", Some(inline));
        assert_eq!(create.decision, Some("refuse"));
        assert_eq!(create.operation.as_deref(), Some("crm.objects.create"));
        assert_eq!(
            answer("POST", "/crm/v3/objects/contacts", Some("{\"properties\":{}}")).decision,
            None
        );
        assert_eq!(
            answer("POST", "/crm/v3/objects/contacts", Some("not json")).reason,
            Some("refused_body")
        );
    }
}
