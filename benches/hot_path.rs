//! What the gate adds to a request without a body before it is forwarded: from the key's text, on a connection
//! that has brought it before, to the permit. The budget is 300 ns; `tests/allocations.rs` shows that nothing is allocated.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use scopegate::access::catalogue::Catalogue;
use scopegate::access::decide::{Question, body_need, decide};
use scopegate::access::fields::Request;
use scopegate::access::gather::gather;
use scopegate::access::integration::{Binding, KeyEntry, KeyIndex};
use scopegate::access::key::{Environment, IssuedKey, KeyRandomness, LastKey, PresentedKey};
use scopegate::access::policy::Policy;
use scopegate::access::policy::ceiling::Ceiling;
use scopegate::access::policy::tables::ConnectionRef;
use scopegate::access::target::Target;

/// No property rules: an integration without them pays nothing for them.
const POLICY: &str = "\
integration: t
owner: o
connections: [acme]
allow:
  - scope: [crm.objects.contacts.read, crm.objects.contacts.write, crm.objects.companies.read]
  - scope: [crm.objects.companies.write, crm.objects.owners.read]
deny:
  - effects: [irreversible]
  - risks: [bulk-export]
";
const CEILING: &str = "deny:\n  - effects: [irreversible]\n";
const KEYS: u16 = 1_000;

fn issue(n: u16) -> IssuedKey {
    let [high, low] = n.to_be_bytes();
    let mut id = [high; 12];
    id[5] = low;
    let random = KeyRandomness {
        id,
        secret: [low; 32].into(),
    };
    IssuedKey::generate(Environment::Live, &random)
}

fn hot_path(criterion: &mut Criterion) {
    let Ok(catalogue) = Catalogue::embedded() else {
        return;
    };
    let now = Timestamp::UNIX_EPOCH;
    let policy = Policy::load(&Arc::from("t.yaml"), "t", &Arc::from(POLICY), &catalogue, now);
    let ceiling = Ceiling::load(&Arc::from("_ceiling.yaml"), &Arc::from(CEILING), &catalogue);
    let (Ok((policy, _)), Ok((ceiling, _))) = (policy, ceiling) else {
        return;
    };
    let issued: Vec<IssuedKey> = (0..KEYS).map(issue).collect();
    let entry = |key: &IssuedKey| KeyEntry::new(key.id, key.hash, Arc::from("t"), Binding::Any, None, false);
    let keys = KeyIndex::build(issued.iter().map(entry));
    let Some(key) = issued.get(777).map(|key| key.text.expose().to_owned()) else {
        return;
    };
    for (name, method, path) in [
        (
            "list contacts",
            "GET",
            "/crm/v3/objects/contacts?limit=100&properties=email",
        ),
        (
            "read a contact by alias and twin",
            "GET",
            "/crm/objects/2026-03/0-1/123",
        ),
        ("change a contact", "PATCH", "/crm/v3/objects/contacts/123"),
        (
            "link two records",
            "PUT",
            "/crm/v4/objects/contacts/1/associations/default/companies/2",
        ),
        ("list owners", "GET", "/crm/v3/owners/"),
    ] {
        let Ok(target) = Target::parse(method, path) else {
            continue;
        };
        let mut last = LastKey::default();
        let mut call = || {
            let presented = last.read(black_box(&key)).ok()?;
            let entry = keys.authenticate(presented, || now).ok()?;
            black_box(entry);
            let recognised = catalogue.recognise(black_box(&target)).ok()?;
            black_box(body_need(&catalogue, &recognised, &policy, Some(&ceiling)));
            let facts = gather(&catalogue, &recognised, &target, None).ok()?;
            let question = Question {
                policy: &policy,
                ceiling: Some(&ceiling),
                catalogue: &catalogue,
                facts: &facts,
                request: Some(Request {
                    recognised: &recognised,
                    target: &target,
                    body: None,
                }),
                connection: ConnectionRef {
                    name: "acme",
                    app: None,
                },
                now,
            };
            decide(&question).permit()
        };
        assert!(call().is_some(), "{name} must be allowed");
        criterion.bench_function(&format!("{name}: key, recognition, decision"), |b| {
            b.iter(&mut call)
        });
        criterion.bench_function(&format!("{name}: recognition alone"), |b| {
            b.iter(|| {
                let recognised = catalogue.recognise(black_box(&target)).ok()?;
                gather(&catalogue, &recognised, &target, None).ok()
            });
        });
    }
    let mut last = LastKey::default();
    criterion.bench_function("key alone, as a connection's later requests bring it", |b| {
        b.iter(|| {
            let presented = last.read(black_box(&key)).ok()?;
            keys.authenticate(presented, || now).ok().map(Arc::clone)
        });
    });
    criterion.bench_function("key alone", |b| {
        b.iter(|| {
            let presented = PresentedKey::read(black_box(&key)).ok()?;
            keys.authenticate(&presented, || now).ok().map(Arc::clone)
        });
    });
}

criterion_group!(benches, hot_path);
criterion_main!(benches);
