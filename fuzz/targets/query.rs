//! A query that was accepted, and one that the gate changed, is read as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::query::{PARAMETERS, Query};
use scopegate_fuzz::access::target::Target;

/// As it goes up.
fn written(query: &Query) -> String {
    let target = Target::parse("GET", "/x").expect("a plain path");
    let all = target.path_with(query);
    let query = all.strip_prefix("/x").expect("the path comes first");
    query.strip_prefix('?').unwrap_or(query).to_owned()
}

fuzz_target!(|text: &str| {
    let Ok(parsed) = Query::parse(text) else {
        return;
    };
    let again = Query::parse(&written(&parsed)).expect("what is forwarded can be read");
    assert_eq!(again, parsed);

    let mut changed = parsed.clone();
    changed.set("properties", "email,firstname".to_owned());
    // What the gate adds to as many as a client may send is one more than it reads.
    if changed.iter().count() > PARAMETERS {
        return;
    }
    let again = Query::parse(&written(&changed)).expect("what the gate made can be read");
    assert_eq!(again, changed);
    let values: Vec<&str> = again.all("properties").collect();
    assert_eq!(values, ["email,firstname"], "every other value is gone");
    changed.remove("properties");
    assert!(changed.get("properties").is_none());
    let others = |query: &Query| {
        let kept = query.iter().filter(|(name, _)| *name != "properties");
        kept.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(others(&changed), others(&parsed), "nothing else changed");
});
