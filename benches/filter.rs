//! What filtering an answer costs, beside parsing it into a tree and printing that.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scopegate::access::fields::shape::{Members, Of, Shape, Unknown, Views};
use scopegate::access::fields::{Bounds, Entry, Filter, Names, OnExtra, Properties};
use scopegate::access::object_type::ObjectType;

/// Answers up to this size are filtered whole.
const WHOLE_BYTES: usize = 256 * 1024;

static LIST: Shape = Shape::Object(&Members {
    known: &[("results", Shape::Array(&RECORD)), ("paging", Shape::Any)],
    unknown: Unknown::Refused,
});

const CONTACT: Of = Of::Type(0);

const RECORD: Shape = Shape::Object(&Members {
    known: &[
        ("id", Shape::Scalar),
        (
            "properties",
            Shape::Properties {
                of: CONTACT,
                granted: false,
                value: &Shape::Scalar,
                bare: &Shape::Scalar,
            },
        ),
        ("createdAt", Shape::Scalar),
        ("updatedAt", Shape::Scalar),
        ("archived", Shape::Scalar),
        ("archivedAt", Shape::Scalar),
        ("url", Shape::IfAll(CONTACT, &Shape::Scalar, &Shape::Drop)),
    ],
    unknown: Unknown::Dropped,
});

/// A list of contacts with twelve properties each, as HubSpot writes it.
fn list(contacts: usize) -> Vec<u8> {
    let mut text = String::from(r#"{"results":["#);
    for n in 0..contacts {
        let comma = if n == 0 { "" } else { "," };
        let id = 51_234_000 + n * 37;
        let (first, last) = (
            ["Ana", "Björn", "Chidi", "Dorothea"][n % 4],
            ["Ng", "Schmidt-Rottluff", "Oyelaran"][n % 3],
        );
        let city = ["Berlin", "Dublin", "Cambridge", "São Paulo", "Tōkyō"][n % 5];
        let owner = if n % 7 == 0 {
            "null".to_owned()
        } else {
            format!("\"{}\"", 4_000_000 + n % 11)
        };
        text.push_str(&format!(
            "{comma}{{\"id\":\"{id}\",\"properties\":{{\"address\":\"{n} Rue de l'Église, 3\u{e8}me \u{e9}tage\",\"city\":\"{city}\",\
             \"company\":\"Company \\\"{first}\\\" \\u0026 Partners {n}\",\"createdate\":\"2024-03-{:02}T09:41:27.{:03}Z\",\
             \"email\":\"{}.{n}@example-company.com\",\"firstname\":\"{first}\",\"hs_analytics_source\":\"ORGANIC_SEARCH\",\
             \"hs_object_id\":\"{id}\",\"hubspot_owner_id\":{owner},\"lastmodifieddate\":\"2025-11-{:02}T17:03:55.{:03}Z\",\
             \"lastname\":\"{last}\",\"notes_last_updated\":\"Called, wants an offer for {} seats; talk to procurement in Q{} and send the contract to legal, then call back. Prefers e-mail over the telephone, and German over English.\"}},\
             \"createdAt\":\"2024-03-{:02}T09:41:27.{:03}Z\",\"updatedAt\":\"2025-11-{:02}T17:03:55.{:03}Z\",\"archived\":false,\
             \"url\":\"https://app.hubspot.com/contacts/1234567/record/0-1/{id}\"}}",
            n % 28 + 1, n % 1000, last.to_lowercase(), n % 28 + 1, n % 1000, n % 90, n % 4 + 1, n % 28 + 1, n % 1000, n % 28 + 1, n % 1000,
        ));
    }
    text.push_str(r#"],"paging":{"next":{"after":"51243213","link":"https://api.hubapi.com/crm/v3/objects/contacts?after=51243213&limit=100"}}}"#);
    text.into_bytes()
}

fn views(read: Names) -> Views {
    let contacts = Entry {
        read,
        write: Names::none(),
        values: BTreeMap::new(),
    };
    let contact = ObjectType::Known(1);
    let types = vec![(
        contact.clone(),
        vec!["contacts".to_owned(), "0-1".to_owned()],
        contacts,
    )];
    let bounds = Bounds {
        policy: Some(Arc::new(Properties::new(types, None, OnExtra::Strip))),
        ceiling: None,
    };
    Views {
        types: [bounds.view(&contact)].into_iter().collect(),
        bounds,
    }
}

fn filtered(answer: &[u8], piece_bytes: usize, views: &Views, out: &mut Vec<u8>) {
    out.clear();
    let mut filter = Filter::new(&LIST, views.clone(), WHOLE_BYTES);
    let pieces = answer.chunks(piece_bytes);
    let taken = pieces.into_iter().try_for_each(|piece| filter.push(piece, out));
    assert!(taken.and_then(|()| filter.finish(out)).is_ok());
}

fn parsed_and_printed(answer: &[u8]) -> Vec<u8> {
    let tree = serde_json::from_slice::<serde_json::Value>(answer);
    tree.and_then(|tree| serde_json::to_vec(&tree))
        .unwrap_or_default()
}

fn throughput(criterion: &mut Criterion) {
    let three = || Names::listed(["email", "firstname", "lastname"]);
    let nearly_all = || Names::except(["*secret*", "phone"]);
    let mut table = Vec::new();
    for (label, contacts, read) in [
        ("200 KB, 3 of 12 properties", 240, three()),
        ("200 KB, nearly all", 240, nearly_all()),
        ("20 KB, 3 of 12 properties", 24, three()),
        ("20 KB, nearly all", 24, nearly_all()),
    ] {
        let answer = list(contacts);
        let views = views(read);
        let mut out = Vec::with_capacity(answer.len());
        let mut group = criterion.benchmark_group(label);
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_function("filter", |b| {
            b.iter(|| filtered(black_box(&answer), usize::MAX, &views, &mut out))
        });
        group.bench_function("filter, pieces of 16 KiB", |b| {
            b.iter(|| filtered(black_box(&answer), 16 * 1024, &views, &mut out))
        });
        group.bench_function("serde_json, parse and print", |b| {
            b.iter(|| parsed_and_printed(black_box(&answer)))
        });
        group.finish();
        let [ours, theirs] = side_by_side(
            || filtered(black_box(&answer), usize::MAX, &views, &mut out),
            || drop(black_box(parsed_and_printed(black_box(&answer)))),
        );
        let rate = |time: Duration| answer.len() as f64 / time.as_nanos() as f64;
        table.push(format!(
            "{label:<28} {:>7} bytes  filter {:5.2} GB/s  serde_json {:5.2} GB/s  ratio {:4.1}",
            answer.len(),
            rate(ours),
            rate(theirs),
            rate(ours) / rate(theirs),
        ));
    }
    eprintln!("\nmedians of runs that take turns:\n{}\n", table.join("\n"));
}

/// The median times of two runs that take turns.
fn side_by_side(mut one: impl FnMut(), mut other: impl FnMut()) -> [Duration; 2] {
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..401 {
        times[0].push(time(&mut one));
        times[1].push(time(&mut other));
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    })
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = throughput
}
criterion_main!(benches);
