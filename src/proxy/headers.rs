//! Header fields: what a request may carry, and what of it goes up. What of an answer comes down stands
//! in `downward`.
//!
//! Both directions are allow-lists. `Authorization`, cookies, forwarding, override, hop-by-hop and
//! tracing fields never travel; what HubSpot needs of them the gate writes itself.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Version};

use crate::access::refusal::{Reason, Refusal};
use crate::secret::Secret;

/// Names a client may not send twice: two of them could be read two ways.
const SINGULAR: [HeaderName; 8] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::HOST,
    header::EXPECT,
    SELECTOR,
];

/// The header by which an unbound key's request names its connection.
pub const SELECTOR: HeaderName = HeaderName::from_static("x-scopegate-connection");

/// What goes up as it came.
const UP: [HeaderName; 3] = [header::CONTENT_TYPE, header::ACCEPT, header::ACCEPT_LANGUAGE];

/// The name of a request's field that the gate reads, however it is spelled. What nobody reads is not made into a
/// header.
pub fn read_name(name: &[u8]) -> Option<HeaderName> {
    let is = |one: HeaderName| name.eq_ignore_ascii_case(one.as_str().as_bytes()).then_some(one);
    match name.len() {
        4 => is(header::HOST),
        6 => is(header::ACCEPT).or_else(|| is(header::EXPECT)),
        7 => is(header::UPGRADE),
        12 => is(header::CONTENT_TYPE),
        13 => is(header::AUTHORIZATION),
        14 => is(header::CONTENT_LENGTH),
        15 => is(header::ACCEPT_LANGUAGE),
        16 => is(header::CONTENT_ENCODING),
        17 => is(header::TRANSFER_ENCODING),
        22 => is(SELECTOR),
        _ => None,
    }
}

/// Names one value may be read from two places, or that open another protocol.
fn refuse(cause: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(Reason::RefusedHeader, cause, remedy)
}

/// Checks a request's head beyond its target.
pub fn check(parts: &Parts) -> Result<(), Refusal> {
    // As nearly always, each name stands once: then there is nothing to look for.
    let has_repeats = parts.headers.len() > parts.headers.keys_len();
    for name in SINGULAR.iter().filter(|_| has_repeats) {
        if parts.headers.get_all(name).iter().nth(1).is_some() {
            return Err(refuse(
                "a header field that may stand once stands twice",
                "send it once",
            ));
        }
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Refusal::new(
            Reason::RefusedMethod,
            "this method is never served",
            "use GET, POST, PUT, PATCH or DELETE",
        ));
    }
    if parts.headers.contains_key(header::UPGRADE) {
        return Err(refuse("protocol upgrades are not served", "leave `Upgrade` out"));
    }
    if parts
        .headers
        .get(header::EXPECT)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(refuse(
            "only `Expect: 100-continue` is understood",
            "leave `Expect` out",
        ));
    }
    if parts
        .headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(refuse(
            "a compressed request body can't be judged",
            "send the body uncompressed",
        ));
    }
    check_authority(parts)
}

/// One authority, and an origin-form target. HTTP/2 carries it in `:authority`.
fn check_authority(parts: &Parts) -> Result<(), Refusal> {
    let host = parts.headers.get(header::HOST);
    let bad = || {
        Refusal::new(
            Reason::RefusedHost,
            "the request must name one host",
            "send `Host`, once",
        )
    };
    if parts.version == Version::HTTP_2 {
        let authority = parts.uri.authority().ok_or_else(bad)?;
        if authority.as_str().contains('@')
            || host.is_some_and(|host| host.as_bytes() != authority.as_str().as_bytes())
        {
            return Err(bad());
        }
        return Ok(());
    }
    if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
        return Err(Refusal::new(
            Reason::RefusedHost,
            "the request target must be a path, not a URL",
            "configure the gate as the client's base URL, not as its proxy",
        ));
    }
    host.map(|_| ()).ok_or_else(bad)
}

/// The host the client asked for, as it spelled it.
pub fn authority(parts: &Parts) -> Option<&str> {
    match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => parts
            .headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok()),
    }
}

/// There is a credential, but it is not `Bearer` and one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBearer;

/// Takes the credential out of the map, so that nothing later can see it.
///
/// `Ok(None)`: there is none.
pub fn take_bearer(headers: &mut HeaderMap) -> Result<Option<Secret>, NotBearer> {
    let Some(value) = headers.remove(header::AUTHORIZATION) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| NotBearer)?;
    let (scheme, token) = text.split_once(' ').ok_or(NotBearer)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return Err(NotBearer);
    }
    Ok(Some(Secret::new(token.to_owned())))
}

/// The header fields of the upstream request, but for credential, host and framing.
///
/// The coding of the answer is the gate's own choice: it reads every answer, so it asks for plain
/// bytes, or for gzip, which it undoes. `Range` and conditions don't go up: a part of an answer, or
/// the word that it is unchanged, can't be judged.
pub fn upward(from: &HeaderMap, compression: bool) -> HeaderMap {
    let mut up = HeaderMap::with_capacity(8);
    for name in &UP {
        if let Some(value) = from.get(name) {
            up.insert(name.clone(), value.clone());
        }
    }
    let coding = if compression { "gzip" } else { "identity" };
    up.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding));
    up.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("scopegate/", env!("CARGO_PKG_VERSION"))),
    );
    up
}

/// Whether a content type is JSON: then links are looked for.
pub fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        let media = value
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        media.eq_ignore_ascii_case(b"application/json") || media.to_ascii_lowercase().ends_with(b"+json")
    })
}

/// Whether a content type is JSON, and says no other charset than UTF-8: then it can be filtered.
pub fn is_json_in_utf8(headers: &HeaderMap) -> bool {
    let Some(text) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let mut parameters = text.split(';').skip(1).map(str::trim);
    is_json(headers)
        && parameters.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_is_judged_or_goes_up_is_read() {
        let judged = [
            header::UPGRADE,
            header::EXPECT,
            header::CONTENT_ENCODING,
            header::HOST,
        ];
        for name in SINGULAR.iter().chain(&UP).chain(&judged) {
            for spelled in [name.as_str().to_owned(), name.as_str().to_uppercase()] {
                assert_eq!(read_name(spelled.as_bytes()).as_ref(), Some(name));
            }
        }
        for other in [
            &b""[..],
            b"cookie",
            b"user-agent",
            b"x-scopegate-connectiom",
            b"hosts",
        ] {
            assert_eq!(read_name(other), None);
        }
    }

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        build(http::Request::builder().uri("/x").header("host", "gate"))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[test]
    fn doubled_singular_fields_upgrades_and_odd_expectations_are_refused() {
        assert!(check(&parts(|b| b)).is_ok());
        assert!(check(&parts(|b| b.header("expect", "100-Continue"))).is_ok());
        let bad: Vec<Parts> = vec![
            parts(|b| {
                b.header("authorization", "Bearer a")
                    .header("authorization", "Bearer a")
            }),
            parts(|b| {
                b.header("x-scopegate-connection", "a")
                    .header("x-scopegate-connection", "b")
            }),
            parts(|b| b.header("host", "gate")),
            parts(|b| b.header("upgrade", "h2c")),
            parts(|b| b.header("expect", "1")),
            parts(|b| b.header("content-encoding", "gzip")),
            parts(|b| b.method("TRACE")),
            parts(|b| b.uri("http://api.hubapi.com/x")),
        ];
        for parts in bad {
            assert!(check(&parts).is_err(), "{parts:?}");
        }
    }

    #[test]
    fn the_credential_leaves_the_map_even_when_it_is_malformed() {
        for value in [
            "Bearer sg_x",
            "bearer  sg_x",
            "Basic abc",
            "Bearer",
            "Bearer a b",
            "sg_x",
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            let taken = take_bearer(&mut headers);
            assert!(headers.is_empty());
            assert_eq!(
                taken.is_ok(),
                value.contains("sg_x") && value.contains(' '),
                "{value}"
            );
        }
    }

    #[test]
    fn only_json_in_utf8_can_be_filtered() {
        for (value, expected) in [
            (Some("application/json"), true),
            (Some("application/json;charset=utf-8"), true),
            (Some("application/json; Charset=\"UTF-8\""), true),
            (Some("application/problem+json"), true),
            (Some("application/json; charset=utf-16"), false),
            (Some("application/json; a=b; charset=utf-7"), false),
            (Some("text/html"), false),
            (Some("application/jsonl"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            }
            assert_eq!(is_json_in_utf8(&headers), expected, "{value:?}");
        }
    }

    #[test]
    fn only_listed_fields_travel() {
        let mut from = HeaderMap::new();
        for name in [
            "cookie",
            "x-forwarded-for",
            "forwarded",
            "x-http-method-override",
            "x-original-url",
            "connection",
            "traceparent",
            "proxy-authorization",
            "te",
            "x-hubspot-anything",
            "referer",
            "origin",
            "content-type",
            "range",
            "user-agent",
            "set-cookie",
            "location",
            "x-hubspot-ratelimit-remaining",
            "etag",
            "server",
        ] {
            from.insert(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let names = |map: HeaderMap| {
            let mut names: Vec<String> = map.keys().map(|name| name.to_string()).collect();
            names.sort();
            names
        };
        assert_eq!(
            names(upward(&from, false)),
            ["accept-encoding", "content-type", "user-agent"]
        );
        assert_eq!(upward(&from, false)["accept-encoding"], "identity");
        assert_eq!(upward(&from, true)["accept-encoding"], "gzip");
        assert_ne!(upward(&from, false)["user-agent"], "v");
    }
}
