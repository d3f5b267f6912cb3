//! What the head guard passes, httparse and a real hyper server read as the same requests, with the same
//! bodies and the same borders between them, in whatever pieces it comes.
//!
//! The first byte chooses the size of the pieces; `W` and every other letter above 63 gives it whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::guard;

#[path = "../../tests/support/differential.rs"]
mod differential;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, input)) = bytes.split_first() else {
        return;
    };
    let cut = if *cut < 64 { usize::from(*cut) } else { usize::MAX };
    let passed = differential::check(input, cut);
    // Where it was cut changes nothing but when a mistake is noticed.
    let at_once = differential::check(input, usize::MAX);
    assert_eq!(passed.refused, at_once.refused, "cut by {cut}");
    assert_eq!(passed.messages, at_once.messages, "cut by {cut}");
});
