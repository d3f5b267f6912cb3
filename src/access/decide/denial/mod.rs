//! Why not, and what would have to change: for people, on the slow path.
//!
//! The rules that came nearest are compared by how much each lacks; the smallest change is named.
//! A custom object's name came with the request, so it is never repeated: it is called `custom`.

mod nearest;
mod words;

use super::{Closed, Question, concerned, observing};
use crate::access::catalogue::Catalogue;
use crate::access::charge::Charge;
use crate::access::decision::Denial;
use crate::access::effect::Effect;
use crate::access::facts::{Need, Risks, ScopeIndex};
use crate::access::fields::PropertyDenial;
use crate::access::limits::Counted;
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy::rule::{AllowRule, DenyRule, Objects};
use crate::access::policy::tables::ConnectionRef;
use crate::access::refusal::Reason;

/// The words for what the rules do not let pass.
pub(super) fn of_closed(question: &Question<'_>, closed: Closed) -> Denial {
    match closed {
        Closed::Expired => expired(question.policy),
        Closed::NothingAsked => nothing_asked(),
        Closed::DenyRule(_) | Closed::NoRule => of(question),
        Closed::Ceiling => beyond_ceiling(question),
        Closed::Batch(most) => of_batch(question, most),
        Closed::Uncountable(counted) => of_uncountable(question, counted),
    }
}

/// The policy's last day is over.
fn expired(policy: &Policy) -> Denial {
    let day = policy.expires.map(|d| d.to_string()).unwrap_or_default();
    Denial {
        reason: Reason::PolicyExpired,
        lacks: Vec::new(),
        required_scopes: Vec::new(),
        rule: None,
        remedy: format!("the policy expired at the end of {day}: review it and set a later `expires`"),
        properties: Vec::new(),
        place: None,
    }
}

/// Facts without a need: nothing can open what asks for nothing.
fn nothing_asked() -> Denial {
    Denial {
        reason: Reason::NoRule,
        lacks: Vec::new(),
        required_scopes: Vec::new(),
        rule: None,
        remedy: "send a request that the catalogue knows".to_owned(),
        properties: Vec::new(),
        place: None,
    }
}

/// What a property rule denies.
pub(super) fn of_properties(question: &Question<'_>, denied: PropertyDenial) -> Denial {
    let word = match denied.reason {
        Reason::Value => "value",
        _ => "property",
    };
    let lacks = denied.properties.iter().map(|name| format!("{word}:{name}"));
    Denial {
        reason: denied.reason,
        lacks: lacks.collect(),
        required_scopes: Vec::new(),
        rule: Some(format!("{}#properties", question.policy.integration)),
        remedy: denied.remedy,
        properties: denied.properties,
        place: Some(denied.place),
    }
}

/// More records in a batch than the policy lets one request name.
fn of_batch(question: &Question<'_>, most: u32) -> Denial {
    Denial {
        reason: Reason::LimitBatch,
        lacks: vec!["limit:batch".to_owned()],
        required_scopes: Vec::new(),
        rule: Some(format!("{}#limits", question.policy.integration)),
        remedy: format!("send at most {most} records in one request, or raise `limits.batch`"),
        properties: Vec::new(),
        place: None,
    }
}

/// A cap that can't be kept: nobody knows how many records an export, an import or a query has.
fn of_uncountable(question: &Question<'_>, counted: Counted) -> Denial {
    let word = counted.as_str();
    by_limit(
        question,
        counted,
        format!(
            "the number of records can't be told before the call, so `limits.{word}` can't be kept: use lists, searches or batches, or take `limits.{word}` out"
        ),
    )
}

/// One request of more records than the cap allows in its whole window.
pub(super) fn of_beyond(question: &Question<'_>, charge: Charge) -> Denial {
    let word = charge.counted.as_str();
    let most = question
        .policy
        .limits
        .cap(charge.counted)
        .map_or(0, |cap| cap.most);
    let remedy = match charge.is_page {
        true => format!("ask for a page of at most {most} records (`limit`), or raise `limits.{word}`"),
        false => format!("send at most {most} records in one request, or raise `limits.{word}`"),
    };
    by_limit(question, charge.counted, remedy)
}

fn by_limit(question: &Question<'_>, counted: Counted, remedy: String) -> Denial {
    Denial {
        reason: counted.reason(),
        lacks: vec![format!("limit:{}", counted.as_str())],
        required_scopes: Vec::new(),
        rule: Some(format!("{}#limits", question.policy.integration)),
        remedy,
        properties: Vec::new(),
        place: None,
    }
}

/// What the policy itself denies or does not open.
fn of(question: &Question<'_>) -> Denial {
    let policy = question.policy;
    let layers = policy.tables.layers(question.connection);
    let mut findings = Vec::new();
    let concerned = concerned(question.facts);
    for need in &concerned {
        let caught = policy.tables.denied(&layers, need);
        if let Some(rule) = caught.and_then(|index| policy.deny.get(usize::from(index))) {
            findings.push(Finder::new(question, need, &policy.allow).denied(rule));
        }
    }
    for need in &question.facts.needs {
        let finder = Finder::new(question, need, &policy.allow);
        match policy.tables.denied(&layers, need) {
            Some(index) => {
                if let Some(rule) = policy.deny.get(usize::from(index)) {
                    findings.push(finder.denied(rule));
                }
            }
            None if policy.tables.opened(&layers, need).is_some() => {}
            None if observing(question, need).is_some() => {}
            None => findings.push(finder.nearest()),
        }
    }
    together(findings)
}

/// What the policy opens and the ceiling does not.
fn beyond_ceiling(question: &Question<'_>) -> Denial {
    let mut findings = Vec::new();
    if let Some(ceiling) = question.ceiling {
        let layers = ceiling.tables.layers(question.connection);
        for need in &concerned(question.facts) {
            let caught = ceiling.tables.denied(&layers, need);
            if let Some(rule) = caught.and_then(|index| ceiling.deny.get(usize::from(index))) {
                findings.push(Finder::new(question, need, &[]).denied(rule));
            }
        }
        for need in &question.facts.needs {
            let allow = ceiling.allow.as_deref().unwrap_or_default();
            let finder = Finder::new(question, need, allow);
            if let Some(rule) = ceiling
                .tables
                .denied(&layers, need)
                .and_then(|index| ceiling.deny.get(usize::from(index)))
            {
                findings.push(finder.denied(rule));
            } else if ceiling.allow.is_some() && ceiling.tables.opened(&layers, need).is_none() {
                findings.push(finder.nearest());
            }
        }
    }
    let denial = together(findings);
    Denial {
        reason: Reason::Ceiling,
        // A scope added to the policy would not help: the ceiling stands above it.
        required_scopes: Vec::new(),
        remedy: format!("ask whoever keeps `_ceiling.yaml` to {}", denial.remedy),
        ..denial
    }
}

/// What one need lacks.
struct Finding {
    reason: Reason,
    lacks: Vec<String>,
    required_scopes: Vec<String>,
    rule: Option<String>,
    remedy: String,
}

/// One denial of all findings: a `deny` rule gives the reason before anything else does.
fn together(findings: Vec<Finding>) -> Denial {
    let first = findings
        .iter()
        .position(|f| f.reason == Reason::DenyRule)
        .unwrap_or(0);
    let mut denial = Denial {
        reason: Reason::NoRule,
        lacks: Vec::new(),
        required_scopes: Vec::new(),
        rule: None,
        remedy: String::new(),
        properties: Vec::new(),
        place: None,
    };
    if let Some(finding) = findings.get(first) {
        denial.reason = finding.reason;
        denial.rule.clone_from(&finding.rule);
    }
    for finding in findings {
        for lack in finding.lacks {
            push_once(&mut denial.lacks, lack);
        }
        for scope in finding.required_scopes {
            push_once(&mut denial.required_scopes, scope);
        }
        if denial.remedy.is_empty() {
            denial.remedy = finding.remedy;
        } else if !denial.remedy.contains(&finding.remedy) {
            denial.remedy = format!("{}, and {}", denial.remedy, finding.remedy);
        }
    }
    denial
}

fn push_once(list: &mut Vec<String>, word: String) {
    if !list.contains(&word) {
        list.push(word);
    }
}

/// Something a rule lacks to open a need.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lack {
    Scope(ScopeIndex),
    Operation,
    Object(Option<ObjectType>),
    Effect(Effect),
    Risk(Risks),
}

/// A rule that could be changed, or the lack of one, and what is missing.
struct Miss<'a> {
    lacks: Vec<Lack>,
    rule: Option<&'a AllowRule>,
}

struct Finder<'a> {
    catalogue: &'a Catalogue,
    need: &'a Need,
    connection: ConnectionRef<'a>,
    allow: &'a [AllowRule],
}

impl<'a> Finder<'a> {
    fn new(question: &Question<'a>, need: &'a Need, allow: &'a [AllowRule]) -> Self {
        Self {
            catalogue: question.catalogue,
            need,
            connection: question.connection,
            allow,
        }
    }

    fn denied(&self, rule: &DenyRule) -> Finding {
        let mut lacks = Vec::new();
        if rule.effects.is_some() {
            lacks.push(Lack::Effect(self.need.effect));
        }
        if let Some(objects) = &rule.objects {
            let touched = self.need.touches.iter().map(|t| t.object.clone());
            lacks.extend(
                touched
                    .filter(|o| denied_object(objects, o.as_ref()))
                    .map(Lack::Object),
            );
        }
        if let Some(risks) = rule.risks {
            lacks.push(Lack::Risk(Risks(self.need.risks.0 & risks.0)));
        }
        if rule.operations.is_some() || lacks.is_empty() {
            // A denied scope is not missing either: asking for it would not help.
            lacks.push(Lack::Operation);
        }
        Finding {
            reason: Reason::DenyRule,
            lacks: self.words(&lacks),
            required_scopes: Vec::new(),
            rule: Some(rule.id.to_string()),
            remedy: format!("narrow or remove the rule `{}`", rule.id),
        }
    }

    fn nearest(&self) -> Finding {
        let miss = self.nearest_miss();
        let has = |wanted: fn(&Lack) -> bool| miss.lacks.iter().any(wanted);
        let reason = if has(|l| matches!(l, Lack::Scope(_) | Lack::Operation)) {
            Reason::NoRule
        } else if has(|l| matches!(l, Lack::Object(_))) {
            Reason::Object
        } else if has(|l| matches!(l, Lack::Effect(_))) {
            Reason::Effect
        } else {
            Reason::Risk
        };
        let scopes = miss.lacks.iter().filter_map(|lack| match lack {
            Lack::Scope(scope) => Some(self.scope_name(*scope).to_owned()),
            _ => None,
        });
        Finding {
            reason,
            required_scopes: scopes.collect(),
            lacks: self.words(&miss.lacks),
            rule: miss.rule.map(|rule| rule.id.to_string()),
            remedy: self.remedy(&miss),
        }
    }
}

fn denied_object(objects: &Objects, object: Option<&ObjectType>) -> bool {
    let unnamed = objects.unnamed_custom && matches!(object, Some(ObjectType::Custom(_)));
    unnamed || objects.contains(object)
}
