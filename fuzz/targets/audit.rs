//! Any bytes as the lines of an audit log: reading never panics, counts what it can't read, and prints nothing that a
//! terminal would act upon.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::cli::denials;

fuzz_target!(|bytes: &[u8]| {
    let (text, unread) = denials::read_hostile(bytes);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(unread <= lines);
    assert!(
        unread < lines || text.is_empty(),
        "nothing was read, and something is shown"
    );
});
