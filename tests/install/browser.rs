//! A browser, as far as installs need one: cookies by origin, redirects, forms. Speaks plain HTTP to
//! whatever address stands for an origin, as a TLS proxy in front of the gate would.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::support::{canaries, within};

/// Cookies by origin and name.
#[derive(Clone, Default)]
pub struct Browser {
    pub origins: BTreeMap<String, SocketAddr>,
    pub cookies: BTreeMap<(String, String), String>,
}

/// What came back.
#[derive(Debug)]
pub struct Seen {
    pub url: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn location(&self) -> Option<&str> {
        Some(self.headers.get("location")?.to_str().unwrap())
    }

    pub fn title(&self) -> &str {
        between(&self.body, "<h1", "</h1>")
            .split_once('>')
            .map_or("", |(_, title)| title)
    }

    pub fn says(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// The target of the page's button.
    pub fn action(&self) -> String {
        let href = between(&self.body, "class=\"button\" href=\"", "\"");
        href.replace("&amp;", "&")
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let Some((_, rest)) = text.split_once(start) else {
        return "";
    };
    rest.split_once(end).map_or("", |(inside, _)| inside)
}

impl Browser {
    /// One that knows where these origins are.
    pub fn new(origins: &[(&str, SocketAddr)]) -> Self {
        Self {
            origins: origins
                .iter()
                .map(|(origin, address)| ((*origin).to_owned(), *address))
                .collect(),
            cookies: BTreeMap::new(),
        }
    }

    /// Another browser of another person.
    pub fn another(&self) -> Self {
        Self {
            origins: self.origins.clone(),
            cookies: BTreeMap::new(),
        }
    }

    pub async fn request(&mut self, method: Method, url: &str, form: &[(&str, &str)]) -> Seen {
        let (scheme, rest) = url.split_once("://").unwrap();
        let at = rest.find('/').unwrap_or(rest.len());
        let origin = format!("{scheme}://{}", &rest[..at]);
        let target = if at == rest.len() { "/" } else { &rest[at..] };
        let address = *self
            .origins
            .get(&origin)
            .unwrap_or_else(|| panic!("the browser was sent to {origin}"));
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), _)| *of == origin)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", &rest[..at])
            .header("content-type", "application/x-www-form-urlencoded");
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        let request = request.body(Full::<Bytes>::from(body)).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let response = within(sender.send_request(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = within(body.collect()).await.unwrap().to_bytes();
        driver.abort();
        for set in parts.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("domain=") {
                continue; // another site's
            }
            self.cookies
                .insert((origin.clone(), name.to_owned()), value.to_owned());
        }
        canaries::seen_from(address, &body);
        Seen {
            url: url.to_owned(),
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// One page, redirects not followed.
    pub async fn get(&mut self, url: &str) -> Seen {
        self.request(Method::GET, url, &[]).await
    }

    /// Opens a page and follows where it sends to.
    pub async fn open(&mut self, url: &str) -> Seen {
        let seen = self.get(url).await;
        self.followed(seen).await
    }

    async fn followed(&mut self, mut seen: Seen) -> Seen {
        for _ in 0..10 {
            let Some(location) = seen.location().map(str::to_owned) else {
                return seen;
            };
            assert!(location.contains("://"), "{location}");
            seen = self.get(&location).await;
        }
        panic!("redirected ten times, last to {}", seen.url);
    }

    /// Presses the button of a page of ours.
    pub async fn press(&mut self, page: &Seen) -> Seen {
        let action = page.action();
        assert!(action.starts_with('/'), "no button on {}", page.body);
        let origin = &page.url[..page.url.find("://").unwrap() + 3];
        let host = page.url[origin.len()..].split('/').next().unwrap();
        self.open(&format!("{origin}{host}{action}")).await
    }

    /// Decides on HubSpot's consent page; where HubSpot sends to is not opened yet.
    pub async fn decide(&mut self, consent: &Seen, portal: u64, decision: &str) -> Seen {
        assert!(
            consent.says("<form method=\"post\""),
            "no consent page: {}",
            consent.body
        );
        let portal = portal.to_string();
        let mut fields: Vec<(String, String)> = Vec::new();
        for input in consent.body.split("<input type=\"hidden\" name=\"").skip(1) {
            let (name, rest) = input.split_once('"').unwrap();
            let value = between(rest, "value=\"", "\"")
                .replace("&quot;", "\"")
                .replace("&amp;", "&");
            fields.push((name.to_owned(), value));
        }
        let mut form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        form.push(("portal", &portal));
        form.push(("decision", decision));
        let at = consent.url.find("/oauth/").unwrap();
        let url = format!("{}/oauth/authorize", &consent.url[..at]);
        self.request(Method::POST, &url, &form).await
    }

    /// Agrees for an account, and goes where HubSpot sends to.
    pub async fn agree(&mut self, consent: &Seen, portal: u64) -> Seen {
        let seen = self.decide(consent, portal, "allow").await;
        self.followed(seen).await
    }
}
