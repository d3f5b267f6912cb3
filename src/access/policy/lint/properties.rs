//! What a reviewer should look at in the `properties:` block, and when it is missing.

use crate::access::catalogue::{Catalogue, Takes};
use crate::access::fields::grant::ALWAYS_READABLE;
use crate::access::fields::judge::known;
use crate::access::fields::{Bounds, Direction, Entry, Names};
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy::opens::{Opened, carries, object_label, types_of};
use crate::access::policy::resolve::properties::{Subject, names, subject_of};
use crate::access::policy::rule::{AllowRule, Objects, Opens};
use crate::access::policy_text::mistake::{Mistake, Span, code};
use crate::access::policy_text::properties::{WrittenEntry, WrittenNames};
use crate::access::policy_text::written::At;

/// Most types named in one message.
const TYPES_MAX: usize = 5;

/// `opened`: what the rules open and no denial takes back.
pub(super) fn findings(
    policy: &Policy,
    opened: &[Opened],
    catalogue: &Catalogue,
    findings: &mut Vec<Mistake>,
) {
    let Some(written) = policy.written_properties() else {
        if opened.iter().any(|found| carries(catalogue, found).is_some()) {
            findings.push(
                Mistake::warning(
                    code::LINT_NO_PROPERTIES,
                    Span::start(),
                    "no `properties` block: every property of every type is unrestricted",
                )
                .help("list what is needed, or write `properties: {\"*\": all}`"),
            );
        }
        return;
    };
    let star = written.entries.iter().find(|entry| entry.object.value == "*");
    for entry in &written.entries {
        for (direction, names) in entry.grant.directions() {
            if let Some(names) = names {
                spelling(names, findings);
                if direction == Direction::Read.as_str() {
                    always_readable(names, findings);
                    derived(names, &known::derived_from, findings);
                }
            }
        }
        if let Some(star) = star.filter(|star| *star != entry) {
            closed_by_star(entry, star, findings);
        }
        idle(policy, entry, catalogue, findings);
    }
    for rule in policy.allow.iter().enumerate() {
        without_values(policy, rule, opened, catalogue, findings);
    }
}

fn spelling(names: &WrittenNames, findings: &mut Vec<Mistake>) {
    for name in names.names() {
        if name.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            findings.push(
                Mistake::warning(
                    code::LINT_CAPITALS,
                    name.span.clone(),
                    format!("`{}` has capitals, and HubSpot's names have none", name.value),
                )
                .help(format!(
                    "write `{}`, which is how it is read; a label is no name",
                    name.value.to_lowercase()
                )),
            );
        }
        if name.value.eq_ignore_ascii_case("all") && matches!(names, WrittenNames::Listed(_)) {
            findings.push(
                Mistake::warning(
                    code::LINT_ALL_IN_LIST,
                    name.span.clone(),
                    "in a list `all` is a property of that name",
                )
                .help("write `all` without brackets if every property is meant"),
            );
        }
    }
}

fn always_readable(names: &WrittenNames, findings: &mut Vec<Mistake>) {
    let is_listed = matches!(names, WrittenNames::Listed(_));
    for name in names.names() {
        if !ALWAYS_READABLE.contains(&name.value.to_lowercase().as_str()) {
            continue;
        }
        let (message, help) = match is_listed {
            true => (
                format!(
                    "`{}` can be read anyway; listed, its history can, too",
                    name.value
                ),
                "remove it, unless its history is meant",
            ),
            false => (
                format!("`{}` can be read anyway; excepted, its history can't", name.value),
                "remove it, unless its history is to be hidden",
            ),
        };
        findings.push(Mistake::warning(code::LINT_ALWAYS_READABLE, name.span.clone(), message).help(help));
    }
}

/// The derived properties of which a source is hidden.
type DerivedFrom = dyn Fn(&dyn Fn(&str) -> bool) -> Box<[Box<str>]>;

/// A property that HubSpot makes of others is granted when it is listed, and tells of them.
fn derived(written: &WrittenNames, derived_from: &DerivedFrom, findings: &mut Vec<Mistake>) {
    let WrittenNames::Listed(listed) = written else {
        return;
    };
    let granted = names(Some(written));
    let hidden = |name: &str| !granted.hold(name) && !ALWAYS_READABLE.contains(&name);
    let telling = derived_from(&hidden);
    for name in listed {
        let lower = name.value.to_lowercase();
        if telling.iter().any(|known| **known == lower) {
            findings.push(
                Mistake::warning(
                    code::LINT_DERIVED,
                    name.span.clone(),
                    format!(
                        "`{}` tells of a property that is not listed; it is granted since it is named",
                        name.value
                    ),
                )
                .help("list what it is made of, too, or remove it"),
            );
        }
    }
}

/// Both entries of a type must grant: `"*"` takes back what it does not name.
fn closed_by_star(entry: &WrittenEntry, star: &WrittenEntry, findings: &mut Vec<Mistake>) {
    let pairs = entry.grant.directions().into_iter().zip(star.grant.directions());
    for ((direction, own), (_, of_star)) in pairs {
        let (Some(own), most) = (own, names(of_star)) else {
            continue;
        };
        if most.is_none() {
            let message = format!(
                "`{direction}` of `{}` is closed by `\"*\"`, which does not name `{direction}`: both must grant",
                entry.object.value
            );
            let help = format!("add `{direction}: all` to `\"*\"`, or remove it here");
            let span = entry.object.span.clone();
            findings.push(Mistake::warning(code::LINT_STAR_CLOSES, span, message).help(help));
            continue;
        }
        let WrittenNames::Listed(listed) = own else {
            continue;
        };
        let closed: Vec<&At<String>> = listed
            .iter()
            .filter(|name| !most.hold(&name.value.to_lowercase()))
            .collect();
        for name in closed {
            let message = format!(
                "`{}` is closed by `\"*\"`, whose `{direction}` does not hold it: both must grant",
                name.value
            );
            findings.push(
                Mistake::warning(code::LINT_STAR_CLOSES, name.span.clone(), message)
                    .help("remove it here, or let `\"*\"` hold it"),
            );
        }
    }
}

/// An entry for a type that no rule opens says nothing. What is only observed counts as opened, and
/// operations that are named and take no type may look somebody up by a property all the same.
fn idle(policy: &Policy, entry: &WrittenEntry, catalogue: &Catalogue, findings: &mut Vec<Mistake>) {
    let takes_none = |rule: &AllowRule| match &rule.opens {
        Opens::Scopes { .. } => false,
        Opens::Operations { grants, .. } => grants
            .iter()
            .filter_map(|grant| catalogue.operation(grant.operation))
            .any(|operation| operation.takes == Takes::Nothing),
    };
    if policy.observe.is_some() || policy.allow.iter().any(takes_none) {
        return;
    }
    let subject = match subject_of(catalogue, &entry.object.value) {
        None | Some(Subject::Every) => return,
        Some(subject) => subject,
    };
    let is_custom = |object: &ObjectType| matches!(object, ObjectType::Custom(_));
    let meant = |objects: &Objects| match &subject {
        Subject::Every => true,
        Subject::AnyCustom => objects.all || objects.any_custom || objects.named.iter().any(is_custom),
        Subject::One(object) => objects.contains(Some(object)),
    };
    let mut objects = policy.allow.iter().flat_map(AllowRule::objects);
    if !objects.any(meant) {
        findings.push(
            Mistake::warning(
                code::LINT_IDLE_PROPERTIES,
                entry.object.span.clone(),
                format!(
                    "no rule opens `{}`: its properties say nothing",
                    entry.object.value
                ),
            )
            .help("remove the entry, or name the type in the `objects` of a rule; properties open nothing"),
        );
    }
}

/// A rule that opens reading or writing records of a type, of which no property is granted.
fn without_values(
    policy: &Policy,
    (index, rule): (usize, &AllowRule),
    opened: &[Opened],
    catalogue: &Catalogue,
    findings: &mut Vec<Mistake>,
) {
    let bounds = Bounds {
        policy: policy.properties.clone(),
        ceiling: None,
    };
    for direction in Direction::BOTH {
        let of_rule = opened
            .iter()
            .filter(|found| found.rules.contains(&index) && carries(catalogue, found) == Some(direction));
        let mut types = types_of(of_rule);
        types.retain(|object| {
            bounds.view(object).names(direction).is_none() && !is_closed_by_star(policy, object, direction)
        });
        if types.is_empty() {
            continue;
        }
        let more = types.len().saturating_sub(TYPES_MAX);
        let mut named: Vec<&str> = types
            .into_iter()
            .take(TYPES_MAX)
            .map(|object| object_label(catalogue, object))
            .collect();
        let rest = format!("{more} more");
        if more > 0 {
            named.push(&rest);
        }
        let named = named.join(", ");
        let (message, key) = match direction {
            Direction::Read => (
                format!(
                    "`{}` opens reading {named}, and no property of it may be read: answers have ids and times alone",
                    rule.id
                ),
                "read",
            ),
            Direction::Write => (
                format!(
                    "`{}` opens writing {named}, and no property of it may be written",
                    rule.id
                ),
                "write",
            ),
        };
        findings.push(
            Mistake::warning(code::LINT_NO_VALUES, rule.span.clone(), message)
                .help(format!("say in `properties` what to `{key}`, or narrow the rule")),
        );
    }
}

/// Whether it is the entry of `"*"` that closes a direction: that is a finding of its own.
fn is_closed_by_star(policy: &Policy, object: &ObjectType, direction: Direction) -> bool {
    let Some(block) = &policy.properties else {
        return false;
    };
    let of = |entry: &Entry| match direction {
        Direction::Read => entry.read.clone(),
        Direction::Write => entry.write.clone(),
    };
    let own = block
        .types()
        .find(|(known, _)| *known == object)
        .map(|(_, entry)| of(entry));
    let is_granted = |names: Names| !names.is_none();
    own.is_some_and(is_granted) && block.star().map(of).is_some_and(|names| names.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::policy::lint::lint;

    fn found(rest: &str) -> Vec<(&'static str, u32, u32)> {
        let catalogue = Catalogue::embedded().unwrap();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let head = "# yaml-language-server: $schema=x\nintegration: t\nowner: t\nconnections: [a]\n";
        let text = format!("{head}{rest}").into();
        let (policy, _) = Policy::load(&"t.yaml".into(), "t", &text, &catalogue, now).unwrap();
        lint(&policy, &catalogue, now)
            .into_iter()
            .map(|finding| (finding.code, finding.span.line, finding.span.column))
            .collect()
    }

    const READS: &str = "allow:\n  - scope: crm.objects.contacts.read\n";

    const WRITES: &str = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]\n";

    #[test]
    fn a_policy_that_opens_records_says_which_properties() {
        assert_eq!(found(READS), [(code::LINT_NO_PROPERTIES, 1, 1)]);
        for rest in [
            "properties: {contacts: {read: [email]}}\n",
            "properties: {\"*\": all}\n",
        ] {
            assert_eq!(found(&format!("{READS}{rest}")), [], "{rest}");
        }
        for rules in [
            "allow:\n  - scope: crm.objects.owners.read\n",
            "allow:\n  - operation: crm.associations.list\n    objects: [contacts, deals]\n",
            "deny:\n  - effects: [write]\n",
        ] {
            assert_eq!(found(rules), [], "{rules}");
        }
    }

    #[test]
    fn each_lint_finds_its_case_at_its_place() {
        for (rules, block, expected) in [
            (READS, "contacts: {read: [Email]}", (code::LINT_CAPITALS, 8, 21)),
            (
                READS,
                "contacts: {read: {except: [\"*SSN*\"]}}",
                (code::LINT_CAPITALS, 8, 30),
            ),
            (READS, "contacts: {read: [all]}", (code::LINT_ALL_IN_LIST, 8, 21)),
            (
                READS,
                "contacts: {read: [email, createdate]}",
                (code::LINT_ALWAYS_READABLE, 8, 28),
            ),
            (
                READS,
                "contacts: {read: {except: [hs_object_id]}}",
                (code::LINT_ALWAYS_READABLE, 8, 30),
            ),
            (
                READS,
                "{contacts: {read: [email]}, notes: {read: [hs_note_body]}}",
                (code::LINT_IDLE_PROPERTIES, 8, 31),
            ),
            (
                READS,
                "{contacts: {read: [email]}, custom: all}",
                (code::LINT_IDLE_PROPERTIES, 8, 31),
            ),
            (
                READS,
                "{contacts: {read: [email]}, p_car: all}",
                (code::LINT_IDLE_PROPERTIES, 8, 31),
            ),
            (READS, "contacts: {write: [email]}", (code::LINT_NO_VALUES, 6, 5)),
            (READS, "{}", (code::LINT_NO_VALUES, 6, 5)),
            (WRITES, "contacts: {read: all}", (code::LINT_NO_VALUES, 6, 5)),
            (
                WRITES,
                "{contacts: all, \"*\": {read: {except: [ssn]}}}",
                (code::LINT_STAR_CLOSES, 8, 4),
            ),
            (
                WRITES,
                "{contacts: {read: [email], write: [email]}, \"*\": {write: all}}",
                (code::LINT_STAR_CLOSES, 8, 4),
            ),
            (
                READS,
                "{contacts: {read: [email, my_ssn]}, \"*\": {read: {except: [\"*ssn*\"]}}}",
                (code::LINT_STAR_CLOSES, 8, 29),
            ),
        ] {
            let text = format!("{rules}properties:\n  {block}\n");
            assert_eq!(found(&text), [expected], "{block}");
        }
        let denied =
            format!("{WRITES}deny:\n  - effects: [write]\nproperties: {{contacts: {{read: all}}}}\n");
        assert_eq!(found(&denied), [], "what a denial takes back needs no property");
    }

    #[test]
    fn a_derived_property_is_found_where_a_source_is_not_listed() {
        let of_email = |hidden: &dyn Fn(&str) -> bool| -> Box<[Box<str>]> {
            match hidden("email") {
                true => ["hs_email_domain".into()].into(),
                false => Box::default(),
            }
        };
        for (listed, expected) in [
            (&["hs_email_domain", "phone"][..], &["hs_email_domain"][..]),
            (&["phone", "HS_Email_Domain"], &["HS_Email_Domain"]),
            (&["hs_email_domain", "email"], &[]),
            (&["phone"], &[]),
        ] {
            let listed = listed.iter().map(|name| At {
                value: (*name).to_owned(),
                span: Span::start(),
            });
            let mut findings = Vec::new();
            derived(&WrittenNames::Listed(listed.collect()), &of_email, &mut findings);
            let found: Vec<&str> = findings
                .iter()
                .filter(|finding| finding.code == code::LINT_DERIVED)
                .filter_map(|finding| finding.message.split('`').nth(1))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_is_only_observed_or_takes_no_type_counts_as_opened() {
        let enrolling =
            "allow:\n  - operation: automation.workflows.enrol\nproperties: {contacts: {read: [email]}}\n";
        assert_eq!(found(enrolling), []);
        let block = "properties: {contacts: {read: [email]}, notes: {read: [hs_note_body]}}\n";
        let observing = format!("{READS}{block}observe: {{until: 2026-12-01, effects: [read]}}\n");
        assert_eq!(found(&observing), []);
    }
}
