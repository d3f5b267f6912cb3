//! Any text as a GraphQL query: it is refused, or every type it asks for is needed as a read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::effect::Effect;
use scopegate_fuzz::access::json::JudgedBody;
use scopegate_fuzz::access::target::Target;
use scopegate_fuzz::{catalogue, facts};

fuzz_target!(|query: &str| {
    let target = Target::parse("POST", "/collector/graphql").expect("a plain path");
    let recognised = catalogue().recognise(&target).expect("it is in the catalogue");
    let body = serde_json::json!({ "query": query }).to_string();
    let Ok(body) = JudgedBody::parse(body.as_bytes()) else {
        return;
    };
    if let Some(found) = facts(&target, &recognised, Some(&body)) {
        assert!(found.needs.iter().all(|need| need.effect == Effect::Read));
    }
});
