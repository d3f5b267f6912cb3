//! What HubSpot's edge adds to every answer: correlation and trace ids, its own headers, compression.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::answer::{Answer, AnswerBody};
use super::random;
use super::simulator::Sim;

/// Smaller bodies are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 512;

/// Adds the headers public dumps show.
pub(super) fn headers(sim: &Sim, answer: &mut Answer, correlation_id: &str) {
    if let Ok(value) = HeaderValue::from_str(correlation_id) {
        answer.set("x-hubspot-correlation-id", value);
    }
    let trace = random::uuid().replace('-', "").to_ascii_uppercase();
    if let Ok(value) = HeaderValue::from_str(&format!("2B{trace}0000000000000000000000")) {
        answer.set("x-trace", value);
    }
    if let Ok(value) =
        HeaderValue::from_str(&format!("{}-LHR", trace.get(..16).unwrap_or("0").to_lowercase()))
    {
        answer.set("cf-ray", value);
    }
    for (name, value) in [
        ("server", "cloudflare"),
        ("vary", "origin, Accept-Encoding"),
        (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains; preload",
        ),
        ("access-control-allow-credentials", "false"),
        ("cf-cache-status", "DYNAMIC"),
        ("alt-svc", "h3=\":443\"; ma=86400"),
    ] {
        answer.set(name, HeaderValue::from_static(value));
    }
    if sim.options.edge_cookies {
        let cookie = format!(
            "__cf_bm={}; path=/; domain=.hubapi.com; HttpOnly; Secure; SameSite=None",
            random::uuid()
        );
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            answer.set("set-cookie", value);
        }
    }
}

/// Whether the client takes gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|part| {
                let mut words = part.split(';').map(str::trim);
                let name = words.next().unwrap_or_default();
                let refused = words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
                matches!(name, "gzip" | "*") && !refused
            })
        })
}

/// Compresses a body that is held in memory and large enough.
pub(super) fn compress(answer: &mut Answer) {
    if let AnswerBody::Whole(Some(body)) = &answer.body
        && body.len() >= COMPRESS_FROM_BYTES
        && !answer.headers.contains_key(CONTENT_ENCODING)
    {
        answer.body = AnswerBody::whole(gzip(body));
        answer
            .headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
}

/// Gzip of some bytes.
pub(super) fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    Bytes::from(encoder.finish().unwrap_or_default())
}

/// Gzip of so many zero bytes.
pub(super) fn gzip_bomb(decoded_bytes: u64) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = [0u8; 64 * 1024];
    let mut left = decoded_bytes;
    while left > 0 {
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        let _ = encoder.write_all(zeros.get(..take).unwrap_or(&zeros));
        left -= take as u64;
    }
    Bytes::from(encoder.finish().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_accepted_unless_it_is_refused_by_weight() {
        for (value, accepted) in [
            ("gzip, deflate, br", true),
            ("gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("br", false),
            ("*", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), accepted, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
