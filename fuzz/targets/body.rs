//! Facts are gathered from any body of any operation whose body decides, and never milder than its row.
//!
//! The first two bytes choose the operation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::json::JudgedBody;
use scopegate_fuzz::{facts, judged_rows};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_at_checked(2) else {
        return;
    };
    let Ok(body) = JudgedBody::parse(text) else {
        return;
    };
    let choice = usize::from(u16::from_le_bytes([choice[0], choice[1]]));
    let rows = judged_rows();
    let (target, recognised) = rows[choice % rows.len()];
    let found = facts(target, recognised, Some(&body));
    // What is forwarded is judged as what came.
    let again = JudgedBody::parse(&body.rebuild()).expect("what is forwarded can be read");
    assert_eq!(facts(target, recognised, Some(&again)), found);
});
