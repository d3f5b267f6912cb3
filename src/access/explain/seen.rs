//! What the decision looked at, in words, for people: no part of the contract's JSON.

use super::super::catalogue::{Catalogue, Recognised};
use super::super::effect::Effect;
use super::super::facts::{Facts, Need, Surface};
use super::super::fields::plan::plain_name;
use super::super::fields::{AnswerRule, Plan};
use super::super::json::{Json, JudgedBody};
use super::super::policy::Policy;
use super::super::policy::ceiling::Ceiling;
use super::super::policy::lint::key_span;
use super::super::policy::tables::ConnectionRef;
use super::super::policy_text::mistake::Span;
use super::super::query::Query;
use super::super::target::Target;

/// Everything that was looked at, and where in the request a denial stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Each thing the request asks for.
    pub needs: Vec<NeedSeen>,
    /// Types the request concerns without asking for anything of theirs.
    pub concerns: Vec<String>,
    /// How many records a batch names.
    pub batch: Option<u32>,
    /// Where it goes.
    pub connection: Option<String>,
    /// Where in the request what was refused or denied stands: `errors[].in`.
    pub place: Option<String>,
    /// File and line of the rule that decided.
    pub rule_at: Option<String>,
    /// What property rules do to an allowed request and its answer, a sentence each.
    pub properties: Vec<String>,
}

/// One thing the request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeedSeen {
    /// The operation's id.
    pub operation: String,
    /// Its effect in this request.
    pub effect: &'static str,
    /// The row's effect, if query or body raised it.
    pub raised_from: Option<&'static str>,
    /// What is touched: one thing for most operations, both ends for pairs.
    pub touches: Vec<TouchSeen>,
    /// Its risks.
    pub risks: Vec<&'static str>,
}

/// One type, or a surface without a type, that is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TouchSeen {
    /// `contacts`, `contacts definitions`; empty without a type.
    pub on: String,
    /// Alternatives of scopes that open it, each a list of which all are needed; empty = no scope does.
    pub scopes: Vec<Vec<String>>,
}

impl Seen {
    /// What was gathered.
    pub(super) fn gathered(&mut self, catalogue: &Catalogue, recognised: &Recognised, facts: &Facts) {
        let row_effect = catalogue.row(recognised.row).map(|row| row.effect);
        self.needs = facts
            .needs
            .iter()
            .enumerate()
            .map(|(index, need)| {
                let of_row = row_effect.filter(|effect| index == 0 && *effect != need.effect);
                need_seen(catalogue, need, of_row)
            })
            .collect();
        let concerns = facts.concerns.iter();
        self.concerns = concerns
            .map(|object| catalogue.object_name(object).to_owned())
            .collect();
        self.batch = facts.batch;
    }

    /// Where the request goes.
    pub(super) fn goes_to(&mut self, connection: ConnectionRef<'_>) {
        self.connection = match (connection.name, connection.app) {
            ("", None) => Some("any".to_owned()),
            ("", Some(app)) => Some(format!("any of app {app}")),
            (name, None) => Some(name.to_owned()),
            (name, Some(app)) => Some(format!("{name} of app {app}")),
        };
    }

    /// What becomes of an allowed request under property rules.
    pub(super) fn planned(&mut self, plan: Option<&Plan>, target: &Target, body: Option<&JudgedBody>) {
        let Some(plan) = plan else {
            return;
        };
        if let Some(query) = &plan.query {
            self.narrowed(&in_query(target.query()), &in_query(query));
        }
        if let Some(narrowed) = &plan.body {
            let before = body.map(|body| in_body(body.value())).unwrap_or_default();
            self.narrowed(&before, &in_body(narrowed));
        }
        self.properties.push(match &plan.answer {
            AnswerRule::Pass => "the answer passes as it is: no bounded property can stand in it".to_owned(),
            AnswerRule::Errors => {
                "the answer passes as it is, but for the words of an error: they may quote values".to_owned()
            }
            AnswerRule::Filter(_) => "the answer is filtered: hidden properties are taken out".to_owned(),
        });
    }

    fn narrowed(&mut self, before: &[String], after: &[String]) {
        let asked = match after.is_empty() {
            true => "none".to_owned(),
            false => after.join(", "),
        };
        let dropped: Vec<&str> = before
            .iter()
            .filter(|name| !after.contains(name))
            .map(String::as_str)
            .collect();
        self.properties.push(match dropped.is_empty() {
            true => format!("narrowed to {asked}"),
            false => format!("narrowed to {asked}; left out: {}", dropped.join(", ")),
        });
    }
}

fn need_seen(catalogue: &Catalogue, need: &Need, raised_from: Option<Effect>) -> NeedSeen {
    let touches = need.touches.iter().map(|touch| {
        let name = touch.object.as_ref().map(|object| catalogue.object_name(object));
        let terms = touch.requirement.iter();
        TouchSeen {
            on: match (name, touch.surface) {
                (None, _) => String::new(),
                (Some(name), Surface::Definitions) => format!("{name} definitions"),
                (Some(name), Surface::Records | Surface::Fixed) => name.to_owned(),
            },
            scopes: terms
                .map(|term| {
                    catalogue
                        .scope_names(term)
                        .iter()
                        .map(|s| (*s).to_owned())
                        .collect()
                })
                .collect(),
        }
    });
    NeedSeen {
        operation: catalogue
            .operation(need.operation)
            .map_or_else(String::new, |operation| operation.id.to_string()),
        effect: need.effect.as_str(),
        raised_from: raised_from.map(Effect::as_str),
        touches: touches.collect(),
        risks: need.risks.names().collect(),
    }
}

/// Parameters that name properties to be read.
const PROPERTY_PARAMETERS: [&str; 3] = ["properties", "property", "propertiesWithHistory"];

/// Members of bodies that list properties to be read.
const PROPERTY_MEMBERS: [&str; 2] = ["properties", "propertiesWithHistory"];

/// Properties a query asks for, as they may be repeated.
fn in_query(query: &Query) -> Vec<String> {
    let values = PROPERTY_PARAMETERS.iter().flat_map(|name| query.all(name));
    plain(values.flat_map(|value| value.split(',')).map(str::trim))
}

/// Properties a body asks for.
fn in_body(body: &Json) -> Vec<String> {
    let lists = PROPERTY_MEMBERS.iter().filter_map(|name| body.get(name));
    let items = lists.filter_map(|list| match list {
        Json::Array(items) => Some(items),
        _ => None,
    });
    plain(items.flatten().filter_map(|item| match item {
        Json::String(name) => Some(name.as_str()),
        _ => None,
    }))
}

fn plain<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut plain: Vec<String> = Vec::new();
    for name in names.filter(|name| !name.is_empty()).map(plain_name) {
        if !plain.contains(&name) {
            plain.push(name);
        }
    }
    plain
}

/// File and line of a rule by its id, of policy or ceiling: `policies/a.yaml:12`.
pub fn rule_at(policy: &Policy, ceiling: Option<&Ceiling>, id: &str) -> Option<String> {
    let allow = policy.allow.iter().map(|rule| (&rule.id, &rule.span));
    let deny = policy.deny.iter().map(|rule| (&rule.id, &rule.span));
    if let Some((_, span)) = allow.chain(deny).find(|(known, _)| &***known == id) {
        return Some(line(&policy.file, span));
    }
    if let Some(ceiling) = ceiling {
        let allow = ceiling.allow.iter().flatten().map(|rule| (&rule.id, &rule.span));
        let deny = ceiling.deny.iter().map(|rule| (&rule.id, &rule.span));
        if let Some((_, span)) = allow.chain(deny).find(|(known, _)| &***known == id) {
            return Some(line(&ceiling.file, span));
        }
    }
    // What is no rule of a list is named after its key.
    let (owner, key) = id.split_once('#')?;
    let has_key = |text: &str| {
        let begins = |line: &str| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        text.lines().any(begins)
    };
    let is_own = owner == &*policy.integration && has_key(&policy.text);
    if is_own {
        return Some(line(&policy.file, &key_span(&policy.text, key)));
    }
    let ceiling = ceiling.filter(|ceiling| has_key(&ceiling.text))?;
    Some(line(&ceiling.file, &key_span(&ceiling.text, key)))
}

fn line(file: &str, span: &Span) -> String {
    format!("{file}:{}", span.line)
}
