//! What recognising a request costs: parsing the target, walking the tree, gathering the facts.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use scopegate::access::catalogue::Catalogue;
use scopegate::access::gather::gather;
use scopegate::access::target::Target;

fn recognise(criterion: &mut Criterion) {
    let Ok(catalogue) = Catalogue::embedded() else {
        return;
    };
    for (name, method, path) in [
        (
            "read a contact",
            "GET",
            "/crm/v3/objects/contacts/123?properties=email",
        ),
        (
            "batch read by alias and twin",
            "POST",
            "/crm/objects/v3/0-1/batch/read",
        ),
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
        let Ok(recognised) = catalogue.recognise(&target) else {
            continue;
        };
        criterion.bench_function(&format!("{name}: parse"), |b| {
            b.iter(|| Target::parse(black_box(method), black_box(path)));
        });
        criterion.bench_function(&format!("{name}: recognise"), |b| {
            b.iter(|| catalogue.recognise(black_box(&target)));
        });
        criterion.bench_function(&format!("{name}: gather"), |b| {
            b.iter(|| gather(&catalogue, black_box(&recognised), &target, None));
        });
    }
    criterion.bench_function("build the catalogue", |b| b.iter(Catalogue::embedded));
}

criterion_group!(benches, recognise);
criterion_main!(benches);
