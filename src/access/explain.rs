//! What a request is and what would be decided, offline: the same steps as on the live path.

mod seen;

use jiff::Timestamp;
use serde::Serialize;

pub use seen::{NeedSeen, Seen, TouchSeen, rule_at};

use super::catalogue::{BodyNeed, Catalogue, Recognised};
use super::decide::{Question, body_need, decide};
use super::decision::Decision;
use super::effect::Effect;
use super::facts::Facts;
use super::fields::Request;
use super::gather::gather;
use super::introspection;
use super::json::{JudgedBody, check_content_type};
use super::multipart::import_request;
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
    /// Why not; null when allowed by a rule.
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
    /// What was looked at: for people, likewise.
    #[serde(skip)]
    pub seen: Seen,
}

/// The reason given for a request that the gate answers itself, without asking any rule.
pub const ANSWERED_BY_THE_GATE: &str = "answered by the gate";

/// Explains a request, and decides it if rules are given.
pub fn explain(catalogue: &Catalogue, asked: &Asked<'_>, under: Option<&Under<'_>>) -> Explanation {
    let mut answer = Explanation::nothing();
    if let Some(under) = under {
        answer.seen.goes_to(under.connection);
    }
    if let Some((target, question)) = own_question(asked) {
        answer.answered_by_the_gate(catalogue, &target, question, under);
        return answer;
    }
    match understand(catalogue, asked, under, &mut answer) {
        Ok(read) => {
            answer.describe(catalogue, &read.facts);
            answer.seen.gathered(catalogue, &read.recognised, &read.facts);
            if let Some(under) = under {
                answer.decide(catalogue, &read, under);
            }
        }
        Err(refusal) => answer.refuse(&refusal),
    }
    answer
}

/// A request as the live path would have read it.
#[derive(Debug)]
pub struct Read {
    /// Method, path, query.
    pub target: Target,
    /// Its row and the types its path names.
    pub recognised: Recognised,
    /// Its body, where it decides.
    pub body: Option<JudgedBody>,
    /// What it asks for.
    pub facts: Facts,
}

/// Reads a request, whoever sends it.
///
/// # Errors
/// It is not understood.
pub fn read(catalogue: &Catalogue, asked: &Asked<'_>) -> Result<Read, Refusal> {
    understand(catalogue, asked, None, &mut Explanation::nothing())
}

/// Whether the gate answers a request itself, without asking any rule.
pub fn is_own_question(asked: &Asked<'_>) -> bool {
    own_question(asked).is_some()
}

/// A question about the credential itself, which the live path answers before all else.
fn own_question(asked: &Asked<'_>) -> Option<(Target, introspection::Question)> {
    let target = Target::parse(asked.method, asked.target).ok()?;
    let (question, _) = introspection::Question::recognise(&target)?;
    Some((target, question))
}

/// The steps of the live path up to the decision.
fn understand(
    catalogue: &Catalogue,
    asked: &Asked<'_>,
    under: Option<&Under<'_>>,
    answer: &mut Explanation,
) -> Result<Read, Refusal> {
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
    let need = under.map_or(recognised.body_need(), |under| {
        body_need(catalogue, &recognised, under.policy, under.ceiling)
    });
    let body = match need {
        BodyNeed::None => None,
        // Without a content type an import's body is its `importRequest` alone, as cases write it.
        BodyNeed::Import if asked.content_type.is_some() => {
            let body = asked.body.unwrap_or_default();
            Some(import_request(body, asked.content_type)?)
        }
        BodyNeed::Judge | BodyNeed::Import => {
            check_content_type(asked.content_type)?;
            // An empty body is none: whether one is needed, `gather` says.
            asked
                .body
                .filter(|body| !body.is_empty())
                .map(JudgedBody::parse)
                .transpose()?
        }
    };
    let facts = gather(catalogue, &recognised, &target, body.as_ref())?;
    Ok(Read {
        target,
        recognised,
        body,
        facts,
    })
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
    fn nothing() -> Self {
        Self {
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
            seen: Seen::default(),
        }
    }

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

    fn answered_by_the_gate(
        &mut self,
        catalogue: &Catalogue,
        target: &Target,
        question: introspection::Question,
        under: Option<&Under<'_>>,
    ) {
        self.operation = catalogue
            .recognise(target)
            .ok()
            .and_then(|recognised| catalogue.operation(recognised.operation))
            .map(|operation| operation.id.to_string());
        self.template = Some(question.template().to_owned());
        self.effect = Some(Effect::Auth.as_str());
        self.reason = Some(ANSWERED_BY_THE_GATE);
        if question == introspection::Question::Token {
            self.decision = Some("refuse");
            self.cause = Some("the gate issues no tokens");
            self.remedy = Some("send the scopegate key itself as the bearer token".to_owned());
            return;
        }
        let Some(under) = under else {
            return;
        };
        if under.policy.is_expired(under.now) {
            self.decision = Some("deny");
            self.reason = Some(Reason::PolicyExpired.as_str());
            self.remedy = Some("review the policy and set a later `expires`".to_owned());
        } else if !self.denied_there(under) {
            self.decision = Some("allow");
        }
    }

    /// Whether the policy does not hold for the connection at all.
    fn denied_there(&mut self, under: &Under<'_>) -> bool {
        let is_foreign = !under.policy.covers(under.connection);
        if is_foreign {
            self.decision = Some("deny");
            self.reason = Some(Reason::ConnectionForeign.as_str());
            self.remedy = Some("add the connection to the policy's `connections`".to_owned());
        }
        is_foreign
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.decision = Some("refuse");
        self.reason = Some(refusal.reason.as_str());
        self.cause = Some(refusal.cause);
        self.remedy = Some(refusal.remedy.to_owned());
        self.seen.place = refusal.place.as_ref().map(|place| place.as_str().to_owned());
    }

    fn decide(&mut self, catalogue: &Catalogue, read: &Read, under: &Under<'_>) {
        if self.denied_there(under) {
            return;
        }
        let decision = decide(&Question {
            policy: under.policy,
            ceiling: under.ceiling,
            catalogue,
            facts: &read.facts,
            request: Some(Request {
                recognised: &read.recognised,
                target: &read.target,
                body: read.body.as_ref().map(JudgedBody::value),
            }),
            connection: under.connection,
            now: under.now,
        });
        match decision {
            Decision::Allow(permit) => {
                self.decision = Some("allow");
                self.rule = Some(permit.rule().to_string());
                self.observed = permit.observed_deny();
                self.seen.planned(permit.plan(), &read.target, read.body.as_ref());
            }
            Decision::Deny(denial) => {
                self.decision = Some("deny");
                self.reason = Some(denial.reason.as_str());
                self.rule = denial.rule;
                self.lacks = denial.lacks;
                self.remedy = Some(denial.remedy);
                self.seen.place = denial.place.as_ref().map(|place| place.as_str().to_owned());
            }
            Decision::Refuse(refusal) => self.refuse(&refusal),
        }
        let rule = self.rule.as_deref();
        self.seen.rule_at = rule.and_then(|rule| rule_at(under.policy, under.ceiling, rule));
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
    fn what_the_gate_answers_itself_needs_no_rule_but_a_policy_in_force() {
        let catalogue = Catalogue::embedded().unwrap();
        let day = |text: &str| text.parse::<Timestamp>().unwrap();
        let text = "integration: t\nowner: o\nconnections: [acme]\nexpires: 2027-01-31\n";
        let (policy, _) = Policy::load(
            &"t.yaml".into(),
            "t",
            &text.into(),
            &catalogue,
            day("2026-11-22T10:00:00Z"),
        )
        .unwrap();
        let decided = |method: &str, target: &str, connection: &str, now: &str| {
            let asked = Asked {
                method,
                target,
                body: Some(b"token=x"),
                content_type: Some("application/x-www-form-urlencoded"),
            };
            let under = Under {
                policy: &policy,
                ceiling: None,
                connection: ConnectionRef {
                    name: connection,
                    app: None,
                },
                now: day(now),
            };
            let found = explain(&catalogue, &asked, Some(&under));
            assert!(found.scopes.is_empty() && found.rule.is_none());
            assert_eq!(found.effect, Some("auth"));
            (found.operation, found.decision.unwrap(), found.reason.unwrap())
        };
        let now = "2026-11-22T10:00:00Z";
        for (method, target, operation, decision) in [
            (
                "GET",
                "/oauth/v1/access-tokens/x",
                Some("oauth.access-tokens.get"),
                "allow",
            ),
            (
                "POST",
                "/oauth/2026-03/token/introspect",
                Some("oauth.token.introspect"),
                "allow",
            ),
            ("POST", "/oauth/v9/token/introspect", None, "allow"),
            ("POST", "/oauth/v1/token", Some("oauth.token.create"), "refuse"),
        ] {
            let expected = (operation.map(str::to_owned), decision, ANSWERED_BY_THE_GATE);
            assert_eq!(
                decided(method, target, "acme", now),
                expected,
                "{method} {target}"
            );
        }
        let private = "/oauth/v2/private-apps/get/access-token-info";
        assert_eq!(decided("POST", private, "acme", now).1, "allow");
        let elsewhere = decided("POST", private, "beta", now);
        assert_eq!(
            (elsewhere.1, elsewhere.2),
            ("deny", Reason::ConnectionForeign.as_str())
        );
        let expired = decided("POST", private, "acme", "2027-02-01T00:00:00Z");
        assert_eq!((expired.1, expired.2), ("deny", Reason::PolicyExpired.as_str()));
        let nobody = answer("GET", "/oauth/v1/access-tokens/x", None);
        assert_eq!(
            (nobody.decision, nobody.reason),
            (None, Some(ANSWERED_BY_THE_GATE))
        );
        let revoke = answer("POST", "/oauth/v1/token/revoke", None);
        assert_ne!(revoke.reason, Some(ANSWERED_BY_THE_GATE));
    }

    #[test]
    fn an_import_is_explained_as_it_is_sent_and_as_cases_write_it() {
        let catalogue = Catalogue::embedded().unwrap();
        let request = r#"{"name":"x","files":[{"fileName":"a.csv","fileFormat":"CSV","fileImportPage":{"columnMappings":[{"columnObjectTypeId":"0-1","columnName":"e","propertyName":"email"}]}}]}"#;
        let part = |name: &str, text: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
        };
        let file = part("files\"; filename=\"a.csv", "e\r\na@example.com");
        let whole = format!("{}{file}--b--\r\n", part("importRequest", request));
        let multipart = Some("multipart/form-data; boundary=b");
        for (body, content_type, refused) in [
            (request, None, None),
            (&*whole, multipart, None),
            (&*whole, None, Some("refused_body")),
            (
                &*whole,
                Some("multipart/form-data; boundary=other"),
                Some("refused_body"),
            ),
            (&*whole, Some("multipart/form-data"), Some("refused_body")),
            (request, Some("application/json"), Some("refused_body")),
            (request, multipart, Some("refused_body")),
            ("", multipart, Some("refused_body")),
        ] {
            let asked = Asked {
                method: "POST",
                target: "/crm/v3/imports",
                body: Some(body.as_bytes()),
                content_type,
            };
            let found = explain(&catalogue, &asked, None);
            assert_eq!(found.reason, refused, "{content_type:?} {body} {:?}", found.cause);
            if refused.is_none() {
                assert_eq!(found.object_types, ["contacts"], "{content_type:?}");
            }
        }
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

    /// No rule opens these; observing lets them pass, and property rules hold them like any other.
    #[test]
    fn an_observed_request_is_held_to_property_rules() {
        let catalogue = Catalogue::embedded().unwrap();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let text = "integration: t\nowner: o\nconnections: [acme]\nallow:\n  - scope: crm.objects.owners.read\nobserve: {until: 2027-01-15, effects: [read, write]}\nproperties:\n  contacts: {read: [email], write: [email]}\n";
        let (policy, _) = Policy::load(&"t.yaml".into(), "t", &text.into(), &catalogue, now).unwrap();
        let under = Under {
            policy: &policy,
            ceiling: None,
            connection: usual_connection(&policy),
            now,
        };
        let search =
            |name: &str| format!(r#"{{"filters":[{{"propertyName":"{name}","operator":"HAS_PROPERTY"}}]}}"#);
        let set = |name: &str| format!(r#"{{"properties":{{"{name}":"1"}}}}"#);
        let contacts = "/crm/v3/objects/contacts";
        for (method, target, body, expected) in [
            ("POST", format!("{contacts}/search"), search("email"), "allow"),
            ("POST", format!("{contacts}/search"), search("salary"), "deny"),
            (
                "GET",
                format!("{contacts}/1?idProperty=salary"),
                String::new(),
                "deny",
            ),
            ("PATCH", format!("{contacts}/1"), set("email"), "allow"),
            ("PATCH", format!("{contacts}/1"), set("salary"), "deny"),
        ] {
            let asked = Asked {
                method,
                target: &target,
                body: (!body.is_empty()).then_some(body.as_bytes()),
                content_type: None,
            };
            let found = explain(&catalogue, &asked, Some(&under));
            assert_eq!(found.decision, Some(expected), "{method} {target} {body}");
            assert_eq!(found.observed, expected == "allow", "{method} {target} {body}");
        }
    }
}
