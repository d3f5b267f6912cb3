//! Any text as a policy: it loads as the same policy every time, or its mistakes stand in the text.
#![no_main]

use std::sync::Arc;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::policy::Policy;
use scopegate_fuzz::access::policy::ceiling::Ceiling;
use scopegate_fuzz::catalogue;

fuzz_target!(|text: &str| {
    let (file, text) = (Arc::from("t.yaml"), Arc::from(text));
    let load = || Policy::load(&file, "t", &text, catalogue(), Timestamp::UNIX_EPOCH);
    match (load(), load()) {
        (Ok((policy, warnings)), Ok((again, warnings_again))) => {
            assert_eq!(
                (policy.allow.len(), policy.deny.len()),
                (again.allow.len(), again.deny.len())
            );
            assert_eq!(warnings.len(), warnings_again.len());
            assert!(warnings.iter().all(|warning| !warning.is_error()));
        }
        (Err(mistakes), Err(again)) => {
            assert!(
                mistakes.iter().any(|mistake| mistake.is_error()),
                "it failed without a mistake"
            );
            assert_eq!(mistakes.len(), again.len());
        }
        _ => panic!("one text, two readings"),
    }
    let _ = Ceiling::load(&file, &text, catalogue());
});
