//! A policy against the ceiling, on paper: for people. The guarantee itself is in the decision.

mod properties;

use jiff::{Timestamp, ToSpan};

use super::Policy;
use super::ceiling::Ceiling;
use super::opens::{Opened, Unbound, opened_by};
use crate::access::catalogue::Catalogue;
use crate::access::policy_text::mistake::{Mistake, Span, code};
use crate::access::policy_text::written::Required;

/// Most operations named in one message.
const NAMED_MAX: usize = 5;

/// Everything the policy asks for that the ceiling does not allow, and everything the ceiling
/// requires that the policy lacks. As errors: `policy check` fails; a running gate only clips.
pub fn with_ceiling(
    policy: &Policy,
    ceiling: &Ceiling,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    requirements(policy, ceiling, now, &mut mistakes);
    if ceiling.observe_never && policy.observe.is_some() {
        mistakes.push(
            Mistake::error(
                code::BEYOND_CEILING,
                Span::start(),
                "the ceiling forbids observing, so `observe` has no effect",
            )
            .help("remove `observe`"),
        );
    }
    let allowed = ceiling.allow.as_ref().map(|rules| Unbound::new(rules, catalogue));
    let opened = opened_by(&policy.allow, &policy.deny, catalogue);
    let (inside, outside): (Vec<&Opened>, Vec<&Opened>) = opened.iter().partition(|opening| {
        let inside = allowed.as_ref().is_none_or(|all| all.opens(&opening.opening));
        inside && !opening.is_denied_by(&ceiling.deny)
    });
    properties::beyond(policy, ceiling, &inside, catalogue, &mut mistakes);
    for (index, rule) in policy.allow.iter().enumerate() {
        let of_rule = outside.iter().filter(|opening| opening.rules.contains(&index));
        let beyond: Vec<&Opened> = of_rule.copied().collect();
        if let Some(message) = beyond_message(&beyond, catalogue) {
            mistakes.push(
                Mistake::error(code::BEYOND_CEILING, rule.span.clone(), message)
                    .help("narrow the rule, or ask whoever keeps `_ceiling.yaml`; a running gate denies these calls"),
            );
        }
    }
    mistakes.into_iter().map(|m| m.in_file(&policy.file)).collect()
}

fn beyond_message(beyond: &[&Opened], catalogue: &Catalogue) -> Option<String> {
    let mut names: Vec<String> = beyond.iter().map(|opened| opened.label(catalogue)).collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!names.is_empty()).then(|| format!("the ceiling does not allow {}{rest}", names.join(", ")))
}

fn requirements(policy: &Policy, ceiling: &Ceiling, now: Timestamp, mistakes: &mut Vec<Mistake>) {
    let mut lacking = |key: &str, help: &str| {
        let message = format!("the ceiling requires `{key}`");
        mistakes.push(Mistake::error(code::CEILING_REQUIRES, Span::start(), message).help(help));
    };
    for required in &ceiling.require {
        match required {
            Required::Owner => {}
            Required::ReviewBy if policy.review_by.is_none() => {
                lacking("review_by", "say when this policy is to be reviewed");
            }
            Required::Expires if policy.expires.is_none() => {
                lacking("expires", "say until when this policy holds");
            }
            Required::ReviewBy | Required::Expires => {}
        }
    }
    let Some(days) = ceiling.expires_within_days else {
        return;
    };
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let latest = today.checked_add(i64::from(days).days()).unwrap_or(today);
    if policy.expires.is_none() && ceiling.require.contains(&Required::Expires) {
        return; // said already
    }
    if policy.expires.is_none_or(|day| day > latest) {
        let help = format!("write `expires: {latest}` or an earlier day");
        lacking(&format!("expires within {days} days"), &help);
    }
}
