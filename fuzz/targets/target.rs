//! A target that was accepted means one thing: what is forwarded is read as the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::target::Target;
use scopegate_fuzz::request_line;

fuzz_target!(|text: &str| {
    let Some((method, target)) = request_line(text) else {
        return;
    };
    let Ok(parsed) = Target::parse(method, target) else {
        return;
    };
    let written = parsed.path_and_query();
    assert!(
        written.starts_with('/') && !written.starts_with("//"),
        "{written}"
    );
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>');
    assert!(written.bytes().all(plain), "{written}");
    for segment in parsed.segments() {
        assert!(!matches!(segment, "" | "." | ".."), "{segment:?}");
        assert!(!segment.contains(['/', '\\', '%', '?', '#', ';']), "{segment:?}");
    }
    let again = Target::parse(parsed.method().as_str(), &written).expect("what is forwarded can be read");
    assert_eq!(again, parsed);
    assert_eq!(again.path_and_query(), written);
});
