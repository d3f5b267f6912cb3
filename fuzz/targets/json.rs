//! A body that was accepted is JSON to everybody, and what is forwarded says the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::json::JudgedBody;
use serde::de::IgnoredAny;
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = JudgedBody::parse(bytes) else {
        return;
    };
    let rebuilt = body.rebuild();
    let again = JudgedBody::parse(&rebuilt).expect("what is forwarded can be read");
    assert_eq!(again, body);
    assert_eq!(again.rebuild(), rebuilt);
    let is_json = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    assert!(is_json(bytes) && is_json(&rebuilt), "another parser refuses it");
    // The other parser holds no number beyond a double's range; ours keeps any as it was written.
    if let Ok(theirs) = serde_json::from_slice::<Value>(bytes) {
        let ours: Value = serde_json::from_slice(&rebuilt).expect("what is forwarded is no larger");
        assert_eq!(ours, theirs);
    }
});
