//! What is looked at before anybody asks who it is: the shape of a head, by which name the gate was
//! asked, and from which web page.
//!
//! A browser can be made to send requests here, by a page that a person looks at or by a name that turns
//! into this address (DNS rebinding). It then says so in `Origin` or `Host`, which the page can't change.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, Request, Version, header};

use super::refusal::{Code, Refusal};
use super::routes::Route;
use crate::access::admin_key::PresentedAdminKey;
use crate::access::json::check_content_type;
use crate::config::AdminSettings;

/// Longest query.
const QUERY_BYTES: usize = 1024;

/// Names and origins by which the listener may be asked.
pub(super) struct Known {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Known {
    /// Those of this machine, the listener's own address, and what the settings add.
    pub fn new(listen: SocketAddr, settings: &AdminSettings) -> Self {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).to_vec();
        if !listen.ip().is_unspecified() {
            hosts.push(written(listen.ip()));
        }
        hosts.extend(settings.hosts.iter().map(|host| match host.parse() {
            Ok(address) => written(address),
            Err(_) => host.clone(),
        }));
        Self {
            hosts,
            origins: settings.origins.clone(),
        }
    }

    /// Whether a request may be looked at any further.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let malformed =
            |what: &'static str| Refusal::new(Code::Malformed, what, "send a plain HTTP/1.1 request");
        let (uri, headers) = (request.uri(), request.headers());
        if request.version() != Version::HTTP_11 {
            return Err(malformed("the request is not HTTP/1.1"));
        }
        if uri.scheme().is_some() || uri.authority().is_some() || !uri.path().starts_with('/') {
            return Err(malformed("the target is not a path"));
        }
        if headers.get_all(header::AUTHORIZATION).iter().count() > 1 {
            return Err(malformed("the request shows two credentials"));
        }
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Refusal::new(
                Code::LengthRequired,
                "the request has a body of unknown length",
                "send `Content-Length`",
            ));
        }
        let host =
            one(headers, &header::HOST).ok_or_else(|| malformed("the request names no host, or two"))?;
        if !self
            .hosts
            .iter()
            .any(|known| *known == without_port(host).to_ascii_lowercase())
        {
            return Err(Refusal::new(
                Code::ForeignHost,
                "the admin API is not asked by this name",
                "ask by `localhost` or the listener's address, or add the name to `admin.hosts`",
            ));
        }
        let known = |origin: &http::HeaderValue| {
            self.origins
                .iter()
                .any(|known| known.as_bytes() == origin.as_bytes())
        };
        if !headers.get_all(header::ORIGIN).iter().all(known) {
            return Err(Refusal::new(
                Code::ForeignOrigin,
                "a web page of another origin may not ask",
                "ask without a browser, or add the origin to `admin.origins`",
            ));
        }
        Ok(())
    }
}

fn written(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V6(v6) => format!("[{v6}]"),
        v4 => v4.to_string(),
    }
}

/// A header's only value, if it is text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// `gate:9465` and `[::1]:9465` without their ports. What is no port stays, and is no known name.
fn without_port(host: &str) -> &str {
    let is_port = |text: &str| text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => host,
    }
}

/// The credential: the only `Authorization`, and a bearer's.
pub(super) fn presented(headers: &HeaderMap) -> Option<PresentedAdminKey> {
    let (scheme, text) = one(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    PresentedAdminKey::parse(scheme.eq_ignore_ascii_case("bearer").then_some(text)?)
}

/// The query of a route: names it takes, each once, with values that stand for themselves.
pub(super) fn query<'a>(text: Option<&'a str>, route: &Route) -> Result<Vec<(&'a str, &'a str)>, Refusal> {
    let wrong = |what: &'static str| Refusal::new(Code::Malformed, what, "see the table of routes");
    let Some(text) = text else { return Ok(Vec::new()) };
    if text.len() > QUERY_BYTES {
        return Err(wrong("the query is too long"));
    }
    let mut found: Vec<(&str, &str)> = Vec::new();
    for pair in text.split('&') {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| wrong("the query is not `name=value`"))?;
        if value.contains(['%', '+', '=']) {
            return Err(wrong(
                "the query holds encoded characters: no value here needs any",
            ));
        }
        if !route.query.contains(&name) {
            return Err(wrong("the query holds a name that this route does not take"));
        }
        if found.iter().any(|(known, _)| *known == name) {
            return Err(wrong("the query holds a name twice"));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// A change is JSON and says so: a form of a web page can't.
pub(super) fn content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = one(headers, &header::CONTENT_TYPE);
    match given.is_some()
        && !headers.contains_key(header::CONTENT_ENCODING)
        && check_content_type(given).is_ok()
    {
        true => Ok(()),
        false => Err(Refusal::new(
            Code::NotJson,
            "the body is not JSON, by its own word",
            "send `Content-Type: application/json`, not encoded",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let settings = AdminSettings {
            tls: None,
            hosts: vec!["gate.example.com".to_owned(), "2001:db8::1".to_owned()],
            origins: vec!["https://console.example.com".to_owned()],
        };
        Known::new("192.0.2.7:9465".parse().unwrap(), &settings)
    }

    fn check(target: &str, headers: &[(&str, &str)]) -> Result<(), Code> {
        let mut request = Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        known()
            .check(&request.body(()).unwrap())
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn the_gate_is_asked_by_its_own_names_only_with_any_port() {
        for host in [
            "localhost",
            "localhost:9465",
            "LOCALHOST:1",
            "127.0.0.1:9465",
            "[::1]:9465",
            "[::1]",
            "192.0.2.7:9465",
            "gate.example.com",
            "[2001:db8::1]:443",
        ] {
            assert_eq!(check("/v1/status", &[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "evil.example:9465",
            "127.0.0.1.evil.example",
            "127.0.0.1:9465:1",
            "localhost:x",
            "localhost:123456",
            "user@localhost",
            "127.0.0.2",
            "192.0.2.8",
            "::1",
            "",
        ] {
            assert_eq!(
                check("/v1/status", &[("host", host)]),
                Err(Code::ForeignHost),
                "{host}"
            );
        }
        assert_eq!(check("/v1/status", &[]), Err(Code::Malformed));
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(check("/v1/status", &two), Err(Code::Malformed));
    }

    #[test]
    fn a_page_of_another_origin_may_not_ask_whatever_else_it_says() {
        let ask = |origins: &[&str]| {
            let mut headers = vec![("host", "localhost")];
            headers.extend(origins.iter().map(|origin| ("origin", *origin)));
            check("/v1/status", &headers)
        };
        assert_eq!(ask(&["https://console.example.com"]), Ok(()));
        for origins in [
            &["null"][..],
            &[""],
            &["http://localhost:9465"],
            &["https://console.example.com.evil.example"],
            &["https://console.example.com/"],
            &["http://console.example.com"],
            &["https://console.example.com", "https://evil.example"],
        ] {
            assert_eq!(ask(origins), Err(Code::ForeignOrigin), "{origins:?}");
        }
    }

    #[test]
    fn a_target_is_a_path_and_a_body_has_a_length() {
        let host = ("host", "localhost");
        let two = [host, ("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(check("/v1/status", &two), Err(Code::Malformed));
        assert_eq!(check("http://localhost/v1/status", &[host]), Err(Code::Malformed));
        assert_eq!(check("*", &[host]), Err(Code::Malformed));
        for coding in ["chunked", "gzip, chunked", "identity"] {
            let headers = [host, ("transfer-encoding", coding)];
            assert_eq!(
                check("/v1/status", &headers),
                Err(Code::LengthRequired),
                "{coding}"
            );
        }
    }

    #[test]
    fn a_query_is_what_its_route_takes_and_stands_for_itself() {
        let route = |path: &str| {
            super::super::ROUTES
                .iter()
                .find(|route| route.path == path)
                .unwrap()
        };
        let connections = route("/v1/connections");
        assert_eq!(
            query(Some("limit=5&after=acme"), connections).unwrap(),
            [("limit", "5"), ("after", "acme")]
        );
        assert_eq!(query(None, connections).unwrap(), []);
        for wrong in [
            "",
            "limit",
            "limit=5&",
            "limit=5&limit=6",
            "Limit=5",
            "token=x",
            "limit=%35",
            "after=a+b",
            "a=b=c",
        ] {
            assert!(query(Some(wrong), connections).is_err(), "{wrong}");
        }
        let long = format!("after={}", "a".repeat(QUERY_BYTES));
        assert!(query(Some(&long), connections).is_err());
        assert!(query(Some("limit=5"), route("/v1/status")).is_err());
    }
}
