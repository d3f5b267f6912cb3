//! Header fields: what a request may carry, and what of it goes up. What of an answer comes down stands
//! in `downward`.
//!
//! Both directions are allow-lists. `Authorization`, cookies, forwarding, override, hop-by-hop and
//! tracing fields never travel; what HubSpot needs of them the gate writes itself.

use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Version};

use super::downward::{self, Grammar};
use super::fields::{Fields, Known};
use super::guard::request::Line;
use crate::access::key;
use crate::access::refusal::{Reason, Refusal};
use crate::heads;
use crate::secret::Secret;

/// What goes up as it came, if it is of its grammar.
const UP: [(Known, Grammar); 3] = [
    (Known::ContentType, downward::is_media_type),
    (Known::Accept, is_plain_list),
    (Known::AcceptLanguage, is_plain_list),
];

/// Longest list of what a client takes. Browsers' have 150.
const LIST_BYTES: usize = 512;

/// Names one value may be read from two places, or that open another protocol.
fn refuse(cause: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(Reason::RefusedHeader, cause, remedy)
}

/// Checks a request's head beyond its target.
pub fn check(line: &Line, fields: &Fields) -> Result<(), Refusal> {
    if fields.has_repeats() {
        return Err(refuse(
            "a header field that may stand once stands twice",
            "send it once",
        ));
    }
    if line.method == Method::CONNECT || line.method == Method::TRACE {
        return Err(Refusal::new(
            Reason::RefusedMethod,
            "this method is never served",
            "use GET, POST, PUT, PATCH or DELETE",
        ));
    }
    if fields.has(Known::Upgrade) {
        return Err(refuse("protocol upgrades are not served", "leave `Upgrade` out"));
    }
    let is_other = |known: Known, only: &[u8]| {
        let value = fields.get(known);
        value.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(only))
    };
    if is_other(Known::Expect, b"100-continue") {
        return Err(refuse(
            "only `Expect: 100-continue` is understood",
            "leave `Expect` out",
        ));
    }
    if is_other(Known::ContentEncoding, b"identity") {
        return Err(refuse(
            "a compressed request body can't be judged",
            "send the body uncompressed",
        ));
    }
    check_authority(line, fields)
}

/// What a body is that goes up as it comes. Out of its grammar, or with a key in it, the field would be left out, and
/// HubSpot's 415 would not say why.
pub fn check_type_of_stream(fields: &Fields) -> Result<(), Refusal> {
    let goes_up = |value: &HeaderValue| downward::is_media_type(value.as_bytes()) && !holds_key(value);
    match fields.all(Known::ContentType).all(goes_up) {
        true => Ok(()),
        false => Err(refuse(
            "`Content-Type` is not `type/subtype` with parameters of the form `name=value`",
            "write it so; a value with other characters than letters, digits and `!#$%&'*+-.^_`|~` stands in quotes",
        )),
    }
}

/// One authority, and an origin-form target. HTTP/2 carries it in `:authority`.
fn check_authority(line: &Line, fields: &Fields) -> Result<(), Refusal> {
    let host = fields.get(Known::Host);
    let bad = || {
        Refusal::new(
            Reason::RefusedHost,
            "the request must name one host",
            "send `Host`, once",
        )
    };
    if line.version == Version::HTTP_2 {
        let authority = line.target.authority().ok_or_else(bad)?;
        if authority.as_str().contains('@')
            || host.is_some_and(|host| host.as_bytes() != authority.as_str().as_bytes())
        {
            return Err(bad());
        }
        return Ok(());
    }
    if line.target.authority().is_some() || line.target.scheme().is_some() {
        return Err(Refusal::new(
            Reason::RefusedHost,
            "the request target must be a path, not a URL",
            "configure the gate as the client's base URL, not as its proxy",
        ));
    }
    host.map(|_| ()).ok_or_else(bad)
}

/// The host the client asked for, as it spelled it.
pub fn authority(line: &Line, fields: &Fields) -> Option<HeaderValue> {
    match line.target.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => fields.get(Known::Host).cloned(),
    }
}

/// There is a credential, but it is not `Bearer` and one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotBearer;

/// Takes the credential out of the fields, so that nothing later can see it.
///
/// `Ok(None)`: there is none.
pub fn take_bearer(fields: &mut Fields) -> Result<Option<Secret>, NotBearer> {
    let Some(value) = fields.take(Known::Authorization) else {
        return Ok(None);
    };
    let (scheme, mut token) = value.as_bytes().split_first_chunk::<7>().ok_or(NotBearer)?;
    while let [b' ', rest @ ..] | [rest @ .., b' '] = token {
        token = rest;
    }
    let is_word = !token.is_empty() && token.iter().all(u8::is_ascii_graphic);
    if !scheme.eq_ignore_ascii_case(b"bearer ") || !is_word {
        return Err(NotBearer);
    }
    let token = std::str::from_utf8(token).map_err(|_| NotBearer)?;
    Ok(Some(Secret::new(token.to_owned())))
}

/// The header fields of the upstream request, but for credential, host and framing.
///
/// The coding of the answer is the gate's own choice: it reads every answer, so it asks for plain
/// bytes, or for gzip, which it undoes. `Range` and conditions don't go up: a part of an answer, or
/// the word that it is unchanged, can't be judged.
pub fn upward(from: &Fields, compression: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut up = Vec::with_capacity(UP.len() + 3);
    for (known, grammar) in UP {
        let fits = |value: &&HeaderValue| grammar(value.as_bytes()) && !holds_key(value);
        for value in from.all(known).filter(fits) {
            up.push((known.name(), value.clone()));
        }
    }
    let coding = if compression { "gzip" } else { "identity" };
    up.push((header::ACCEPT_ENCODING, HeaderValue::from_static(coding)));
    up.push((
        header::USER_AGENT,
        HeaderValue::from_static(concat!("scopegate/", env!("CARGO_PKG_VERSION"))),
    ));
    up
}

/// Words, their parameters and the marks between them: RFC 9110 §12.5.1, §12.5.4.
fn is_plain_list(value: &[u8]) -> bool {
    let fits = |byte: &u8| heads::is_token(*byte) || b" ,;=/\t\"".contains(byte);
    value.len() <= LIST_BYTES && value.iter().all(fits)
}

/// A key of the gate's goes nowhere.
fn holds_key(value: &HeaderValue) -> bool {
    value.to_str().map_or(true, key::stands_in)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn fields(of: &[(&'static str, &'static str)]) -> Fields {
        let mut map = HeaderMap::new();
        for (name, value) in of {
            map.append(*name, HeaderValue::from_static(value));
        }
        Fields::of(&map)
    }

    fn line(method: Method, target: &'static str) -> Line {
        Line {
            method,
            target: target.parse().unwrap(),
            version: Version::HTTP_11,
        }
    }

    #[test]
    fn doubled_singular_fields_upgrades_and_odd_expectations_are_refused() {
        let with = |more: &[(&'static str, &'static str)]| {
            let all = [&[("host", "gate")], more].concat();
            check(&line(Method::GET, "/x"), &fields(&all))
        };
        assert!(with(&[]).is_ok());
        assert!(with(&[("expect", "100-Continue"), ("content-encoding", "Identity")]).is_ok());
        for bad in [
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")][..],
            &[("x-scopegate-connection", "a"), ("x-scopegate-connection", "b")],
            &[("host", "gate")],
            &[("upgrade", "h2c")],
            &[("expect", "1")],
            &[("content-encoding", "gzip")],
        ] {
            assert!(with(bad).is_err(), "{bad:?}");
        }
        let host = fields(&[("host", "gate")]);
        for bad in [
            line(Method::TRACE, "/x"),
            line(Method::CONNECT, "/x"),
            line(Method::GET, "http://api.hubapi.com/x"),
        ] {
            assert!(check(&bad, &host).is_err(), "{bad:?}");
        }
        assert!(check(&line(Method::GET, "/x"), &fields(&[])).is_err());
    }

    #[test]
    fn the_credential_leaves_the_fields_even_when_it_is_malformed() {
        for value in [
            "Bearer sg_x",
            "bearer  sg_x",
            "Basic abc",
            "Bearer",
            "Bearer a b",
            "sg_x",
        ] {
            let mut fields = fields(&[("authorization", value)]);
            let taken = take_bearer(&mut fields);
            assert!(!fields.has(Known::Authorization));
            assert_eq!(
                taken.is_ok(),
                value.contains("sg_x") && value.contains(' '),
                "{value}"
            );
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
        for (name, value) in [
            ("content-type", "multipart/form-data; boundary=\"a b\""),
            ("accept", "application/json, text/*;q=0.5"),
            ("accept", "*/*"),
            ("accept-language", "de-CH, en;q=0.8"),
        ] {
            from.append(name, HeaderValue::from_static(value));
        }
        let up = |compression| -> Vec<(String, String)> {
            let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
            let all = upward(&Fields::of(&from), compression);
            all.iter()
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect()
        };
        let agent = concat!("scopegate/", env!("CARGO_PKG_VERSION"));
        for (compression, coding) in [(false, "identity"), (true, "gzip")] {
            let expected = [
                ("content-type", "multipart/form-data; boundary=\"a b\""),
                ("accept", "application/json, text/*;q=0.5"),
                ("accept", "*/*"),
                ("accept-language", "de-CH, en;q=0.8"),
                ("accept-encoding", coding),
                ("user-agent", agent),
            ];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(up(compression), expected);
        }
    }

    #[test]
    fn what_a_stream_is_must_be_said_in_its_grammar() {
        let key = format!(
            "text/csv; a=sg_L_{}_{}_{}",
            "A".repeat(12),
            "b".repeat(43),
            "0".repeat(6)
        );
        let check = |value: &str| {
            let mut map = HeaderMap::new();
            map.insert("content-type", HeaderValue::from_str(value).unwrap());
            check_type_of_stream(&Fields::of(&map))
        };
        assert!(check_type_of_stream(&fields(&[])).is_ok());
        for good in [
            "text/csv",
            "multipart/form-data; boundary=b",
            "multipart/form-data; boundary=\"a=b\"",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "csv",
            "multipart/form-data; boundary=a=b",
            "text/csv, text/html",
            &key,
        ] {
            let refusal = check(bad).unwrap_err();
            assert_eq!(refusal.reason, Reason::RefusedHeader, "{bad}");
        }
    }

    #[test]
    fn what_is_not_of_its_grammar_or_holds_a_key_does_not_go_up() {
        let long = "a".repeat(LIST_BYTES + 1);
        let key = format!("sg_L_{}_{}_{}", "A".repeat(12), "b".repeat(43), "0".repeat(6));
        assert!(key::stands_in(&key));
        for bad in [&long, &key, "a{b}", "\u{e9}", "a(b)", "a\\b"] {
            let mut from = HeaderMap::new();
            for name in ["accept", "accept-language", "content-type"] {
                from.insert(name, HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            }
            assert_eq!(upward(&Fields::of(&from), false).len(), 2, "{bad}");
        }
    }
}
