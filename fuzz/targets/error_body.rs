//! Error bodies: whatever comes in, what goes out is JSON of known members, and a token that was planted in
//! any form is found.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::echo_forms::holds;
use scopegate_fuzz::error_body::rebuild;

const TOKEN: &str = "pat-na1-0f9e8d7c-6b5a-4c3d~>?";

/// The token in a form of the input's choice.
fn form(choice: u8) -> Vec<u8> {
    let each = |form: fn(u8) -> String| TOKEN.bytes().map(form).collect::<String>();
    match choice % 8 {
        0 => TOKEN.to_owned(),
        1 => TOKEN.to_uppercase(),
        2 => each(|byte| format!("{byte:02X}")),
        3 => each(|byte| format!("%{byte:02x}")),
        4 => each(|byte| format!("\\u{byte:04x}")),
        5 => STANDARD.encode(format!("Bearer {TOKEN}")),
        6 => STANDARD.encode(format!("x{TOKEN}xy")),
        _ => URL_SAFE_NO_PAD.encode(format!("xy{TOKEN}")),
    }
    .into_bytes()
}

fuzz_target!(|input: &[u8]| {
    let [choice, at, body @ ..] = input else {
        return;
    };
    if let Some(rebuilt) = rebuild(body) {
        let value: serde_json::Value = serde_json::from_slice(&rebuilt).expect("JSON");
        assert!(value.as_object().is_some_and(|members| !members.is_empty()));
        assert_eq!(
            rebuild(&rebuilt).as_deref(),
            Some(&rebuilt[..]),
            "only known members are left"
        );
        assert!(holds(TOKEN.as_bytes(), body) || !holds(TOKEN.as_bytes(), &rebuilt));
    }
    let (before, after) = body.split_at(usize::from(*at).min(body.len()));
    // An escape that begins before the form is another text.
    if !before.contains(&b'\\') && !before.contains(&b'%') {
        let planted = [before, &form(*choice), after].concat();
        assert!(holds(TOKEN.as_bytes(), &planted));
    }
});
