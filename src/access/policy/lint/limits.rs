//! Limits that do nothing, or more than their author may have meant.

use super::key_span;
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::limits::Counted;
use crate::access::policy::Policy;
use crate::access::policy::opens::Opened;
use crate::access::policy_text::mistake::{Mistake, code};

/// Findings about `limits`; `opened` is what the policy allows.
pub(super) fn findings(
    policy: &Policy,
    opened: &[Opened],
    catalogue: &Catalogue,
    findings: &mut Vec<Mistake>,
) {
    let mut warn = |code, message: String, help: String| {
        let span = key_span(&policy.text, "limits");
        findings.push(Mistake::warning(code, span, message).help(help));
    };
    let can = |effect: Effect| {
        let observed = policy
            .observe
            .as_ref()
            .is_some_and(|observe| observe.effects.contains(effect));
        observed || opened.iter().any(|found| found.opening.effect == effect)
    };
    for (counted, cap) in policy.limits.caps() {
        let word = counted.as_str();
        let Some(effect) = counted.effect() else {
            continue;
        };
        if !can(effect) {
            warn(
                code::LINT_IDLE_LIMIT,
                format!(
                    "`limits.{word}` counts nothing: no rule opens `{}`",
                    effect.as_str()
                ),
                "take it out, or keep it for a rule to come and silence this with that reason".to_owned(),
            );
            continue;
        }
        if let Some(batch) = policy
            .limits
            .batch
            .filter(|batch| *batch > cap.most && counted != Counted::RecordsRead)
        {
            warn(
                code::LINT_LIMIT_BELOW_BATCH,
                format!(
                    "no batch of more than {} records ever passes: `limits.{word}` is {cap}, `limits.batch` {batch}",
                    cap.most
                ),
                format!("lower `batch` to {}, or raise `{word}`", cap.most),
            );
        }
        let in_bulk = opened.iter().find(|found| {
            let operation = catalogue.operation(found.opening.operation);
            found.opening.effect == effect && operation.is_some_and(|operation| operation.in_bulk)
        });
        if let Some(found) = in_bulk {
            warn(
                code::LINT_UNCOUNTABLE,
                format!(
                    "{} is opened, and `limits.{word}` denies it: its records can't be counted before the call",
                    found.label(catalogue)
                ),
                format!("take `{word}` out if the operation is meant, else the operation"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;

    fn codes(rest: &str) -> Vec<&'static str> {
        let catalogue = Catalogue::embedded().unwrap();
        let text = format!(
            "# yaml-language-server: $schema=./policy.schema.json\nintegration: t\nowner: o@example.com\nconnections: [acme]\nproperties: {{\"*\": all}}\n{rest}"
        );
        let (file, text) = (Arc::from("t.yaml"), Arc::from(text));
        let policy = Policy::load(&file, "t", &text, &catalogue, Timestamp::UNIX_EPOCH)
            .unwrap()
            .0;
        let found = crate::access::policy::lint::lint(&policy, &catalogue, Timestamp::UNIX_EPOCH);
        let of_limits = [
            code::LINT_IDLE_LIMIT,
            code::LINT_LIMIT_BELOW_BATCH,
            code::LINT_UNCOUNTABLE,
        ];
        found
            .iter()
            .map(|m| m.code)
            .filter(|code| of_limits.contains(code))
            .collect()
    }

    #[test]
    fn limits_that_do_nothing_or_too_much_are_findings() {
        let reads = "allow:\n  - scope: crm.objects.contacts.read\n";
        let writes = "allow:\n  - scope: crm.objects.contacts.write\n";
        let exports = "allow:\n  - operation: crm.exports.export.async\n    objects: [contacts]\n    risks: [bulk-export, hands-out-url]\n";
        for (rules, limits, wanted) in [
            (reads, "{requests: 5/1s, records_read: 500/1h}", vec![]),
            (reads, "{records_deleted: 5/1h}", vec![code::LINT_IDLE_LIMIT]),
            (writes, "{records_written: 50/1h, batch: 50}", vec![]),
            (
                writes,
                "{records_written: 49/1h, batch: 50}",
                vec![code::LINT_LIMIT_BELOW_BATCH],
            ),
            (exports, "{records_read: 500/1h}", vec![code::LINT_UNCOUNTABLE]),
            (exports, "{requests: 5/1h}", vec![]),
        ] {
            assert_eq!(codes(&format!("{rules}limits: {limits}\n")), wanted, "{limits}");
        }
    }
}
