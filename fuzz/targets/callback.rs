//! Any query and any cookies, as a browser may bring them to the install pages: a code never passes beside an error, a
//! doubled parameter never decides, and what is doubled is not there.
#![no_main]

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use scopegate::install;

fuzz_target!(|bytes: &[u8]| {
    let (query, cookies) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for line in cookies.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(COOKIE, value);
        }
    }
    let (ticket, callback, cookie) = install::read_hostile(query, &headers);
    // Everything twice is nothing.
    let doubled = format!("{query}&{query}");
    let twice: HeaderMap = headers
        .iter()
        .chain(headers.iter())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let (ticket_twice, _, cookie_twice) = install::read_hostile(&doubled, &twice);
    assert!(!(ticket && ticket_twice), "a doubled ticket");
    assert!(!cookie_twice || !cookie, "a doubled cookie");
    let has_code = query.split('&').any(|pair| pair.starts_with("code="));
    if has_code && callback {
        assert!(!install::read_hostile(&doubled, &headers).1, "a doubled code");
    }
});
