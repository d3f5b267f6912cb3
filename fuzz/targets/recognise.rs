//! What was recognised is recognised in what is forwarded, and in its plainest spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::catalogue::BodyNeed;
use scopegate_fuzz::access::target::Target;
use scopegate_fuzz::{catalogue, facts, request_line};

fuzz_target!(|text: &str| {
    let Some((method, target)) = request_line(text) else {
        return;
    };
    let Ok(parsed) = Target::parse(method, target) else {
        return;
    };
    let recognised = catalogue().recognise(&parsed);
    let again = Target::parse(method, &parsed.path_and_query()).expect("what is forwarded can be read");
    assert_eq!(catalogue().recognise(&again), recognised);
    let Ok(recognised) = recognised else {
        return;
    };
    let operation = catalogue()
        .operation(recognised.operation)
        .expect("an operation of this catalogue");
    assert!(operation.rows.contains(&recognised.row));

    // Every type by the one name that policies and records use.
    let named = parsed
        .segments()
        .map(|segment| match catalogue().object_type(segment) {
            Some(object) if recognised.types.contains(&object) => catalogue().object_name(&object).to_owned(),
            _ => segment.to_owned(),
        });
    let named: Vec<String> = named.map(|segment| encoded(&segment)).collect();
    let plain = Target::parse(method, &format!("/{}", named.join("/"))).expect("names of types are plain");
    if let Ok(found) = catalogue().recognise(&plain) {
        assert_eq!(
            (found.operation, &found.types),
            (recognised.operation, &recognised.types)
        );
    }
    if recognised.body_need() == BodyNeed::None
        && let Some(found) = facts(&parsed, &recognised, None)
    {
        assert_eq!(Some(found), facts(&again, &recognised, None));
    }
});

fn encoded(segment: &str) -> String {
    segment.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
