//! What a decision costs, with few rules and with many, and what a reload costs.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use scopegate::access::catalogue::Catalogue;
use scopegate::access::decide::{Question, decide};
use scopegate::access::gather::gather;
use scopegate::access::policy::Policy;
use scopegate::access::policy::ceiling::Ceiling;
use scopegate::access::policy::tables::ConnectionRef;
use scopegate::access::policy_set::{PolicyFile, PolicySet};
use scopegate::access::target::Target;

const HEAD: &str = "owner: o\nconnections: [acme]\nallow:\n  - scope: [crm.objects.contacts.read, crm.objects.companies.read, crm.objects.companies.write, crm.objects.contacts.write]\n";
const DENY: &str = "deny:\n  - effects: [irreversible]\n  - risks: [bulk-export]\n";

fn text(name: &str, more_rules: usize) -> String {
    let mut text = format!("integration: {name}\n{HEAD}");
    for i in 0..more_rules {
        text.push_str(&format!(
            "  - operation: [crm.objects.get, crm.objects.search]\n    objects: [2-{i}]\n"
        ));
    }
    text.push_str(DENY);
    text
}

fn decisions(criterion: &mut Criterion) {
    let Ok(catalogue) = Catalogue::embedded() else {
        return;
    };
    let ceiling_text = Arc::from("deny:\n  - effects: [irreversible]\n");
    let Ok((ceiling, _)) = Ceiling::load(&Arc::from("_ceiling.yaml"), &ceiling_text, &catalogue) else {
        return;
    };
    for (rules, label) in [(0, "few rules"), (900, "900 rules")] {
        let text = Arc::from(text("a", rules));
        let loaded = Policy::load(
            &Arc::from("a.yaml"),
            "a",
            &text,
            &catalogue,
            Timestamp::UNIX_EPOCH,
        );
        let Ok((policy, _)) = loaded else { return };
        for (name, method, path) in [
            ("allow a read", "GET", "/crm/v3/objects/contacts/1"),
            (
                "allow a pair",
                "PUT",
                "/crm/v4/objects/contacts/1/associations/default/companies/2",
            ),
            ("deny a merge", "POST", "/crm/v3/objects/contacts/merge"),
        ] {
            let facts = Target::parse(method, path)
                .and_then(|target| gather(&catalogue, &catalogue.recognise(&target)?, &target, None));
            let Ok(facts) = facts else { return };
            let question = Question {
                policy: &policy,
                ceiling: Some(&ceiling),
                catalogue: &catalogue,
                facts: &facts,
                request: None,
                connection: ConnectionRef {
                    name: "acme",
                    app: None,
                },
                now: Timestamp::UNIX_EPOCH,
            };
            criterion.bench_function(&format!("{label}: {name}"), |b| {
                b.iter(|| decide(black_box(&question)))
            });
        }
    }
}

fn reloads(criterion: &mut Criterion) {
    let Ok(catalogue) = Catalogue::embedded() else {
        return;
    };
    let files: Vec<PolicyFile> = (0..1000)
        .map(|i| PolicyFile {
            path: format!("p{i}.yaml").into(),
            inside: format!("p{i}.yaml"),
            text: Ok(text(&format!("p{i}"), 10).into()),
        })
        .collect();
    let build = |previous: Option<&PolicySet>| {
        PolicySet::build(
            &files,
            &catalogue,
            previous,
            Timestamp::UNIX_EPOCH,
            Duration::from_secs(1),
        )
        .0
    };
    let before = build(None);
    let mut group = criterion.benchmark_group("a thousand policies");
    group.sample_size(10);
    group.bench_function("from nothing", |b| b.iter(|| build(None)));
    group.bench_function("unchanged", |b| b.iter(|| build(Some(&before))));
    group.finish();
}

criterion_group!(benches, decisions, reloads);
criterion_main!(benches);
