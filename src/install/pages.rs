//! Pages for people: what happened, and what to do next. Plain HTML without scripts; every word that is
//! not ours is escaped, and nothing of a request is repeated.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use http_body_util::Full;

use super::question::COOKIE_NAME;
use super::random::Random;

const STYLE: &str = include_str!("pages.css");

/// How long a browser keeps the cookie: the life of a ticket and of a consent, with room to spare.
const COOKIE_SECONDS: u32 = 3_600;

/// What a page is about, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// Something to do.
    Plain,
    /// It worked.
    Good,
    /// It did not.
    Bad,
}

/// A page as it is built.
#[derive(Clone, Debug)]
pub struct Page {
    status: StatusCode,
    tone: Tone,
    title: &'static str,
    body: String,
}

impl Page {
    pub(super) fn new(status: StatusCode, tone: Tone, title: &'static str) -> Self {
        Self {
            status,
            tone,
            title,
            body: String::new(),
        }
    }

    /// Something went wrong, and the person can do something about it.
    pub(super) fn bad(status: StatusCode, title: &'static str) -> Self {
        Self::new(status, Tone::Bad, title)
    }

    /// A paragraph.
    pub(super) fn say(mut self, text: &str) -> Self {
        self.body.push_str(&format!("<p>{}</p>\n", escaped(text)));
        self
    }

    /// A small paragraph.
    pub(super) fn note(mut self, text: &str) -> Self {
        self.body
            .push_str(&format!("<p class=\"note\">{}</p>\n", escaped(text)));
        self
    }

    /// Names and values.
    pub(super) fn facts(mut self, facts: &[(&str, String)]) -> Self {
        self.body.push_str("<dl>\n");
        for (name, value) in facts {
            let line = format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value));
            self.body.push_str(&line);
        }
        self.body.push_str("</dl>\n");
        self
    }

    /// A list under a heading; nothing when it is empty.
    pub(super) fn list<T: AsRef<str>>(mut self, heading: &str, items: &[T]) -> Self {
        if items.is_empty() {
            return self;
        }
        self.body
            .push_str(&format!("<h2>{}</h2>\n<ul>\n", escaped(heading)));
        for item in items {
            let line = format!("<li><code>{}</code></li>\n", escaped(item.as_ref()));
            self.body.push_str(&line);
        }
        self.body.push_str("</ul>\n");
        self
    }

    /// A button that leads on.
    pub(super) fn action(mut self, label: &str, href: &str) -> Self {
        let (label, href) = (escaped(label), escaped(href));
        self.body.push_str(&format!(
            "<p><a class=\"button\" href=\"{href}\">{label}</a></p>\n"
        ));
        self
    }

    fn html(&self) -> String {
        let tone = match self.tone {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
        };
        let Self { title, body, .. } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title} - scopegate</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <p class=\"brand\">scopegate</p>\n<h1 class=\"{tone}\">{title}</h1>\n{body}</main>\n</body>\n</html>\n"
        )
    }
}

/// What a browser gets.
pub(super) enum Reply {
    /// A page, and the cookie to keep.
    Page(Page, Option<Random>),
    /// To HubSpot, with the cookie to keep.
    Go(String, Option<Random>),
}

impl From<Page> for Reply {
    fn from(page: Page) -> Self {
        Self::Page(page, None)
    }
}

/// The one style sheet, allowed by its hash.
pub(super) struct Style(HeaderValue);

impl Style {
    pub(super) fn new() -> Self {
        let hash = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        // Invariant: base64 and our own words are a header's; the fall-back shows pages unstyled.
        Self(HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        )))
    }

    /// As HTTP has it.
    pub(super) fn response(&self, reply: Reply) -> Response<Full<Bytes>> {
        let (status, body, cookie, location) = match reply {
            Reply::Page(page, cookie) => (page.status, page.html(), cookie, None),
            Reply::Go(url, cookie) => (StatusCode::SEE_OTHER, String::new(), cookie, Some(url)),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_FRAME_OPTIONS, "DENY"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (CONTENT_TYPE, "text/html; charset=utf-8"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_SECURITY_POLICY, self.0.clone());
        if let Some(cookie) = cookie {
            let text = format!(
                "{COOKIE_NAME}={}; Max-Age={COOKIE_SECONDS}; Path=/; Secure; HttpOnly; SameSite=Lax",
                cookie.secret().expose()
            );
            if let Ok(mut value) = HeaderValue::from_str(&text) {
                value.set_sensitive(true);
                headers.insert(SET_COOKIE, value);
            }
        }
        if let Some(url) = location {
            match HeaderValue::from_str(&url) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.insert(LOCATION, value);
                }
                // Invariant: every URL here was built or checked to be printable ASCII.
                Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            }
        }
        response
    }
}

/// Text as it can stand in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ours_is_escaped_and_no_page_can_be_framed_cached_or_scripted() {
        let page = Page::bad(StatusCode::BAD_REQUEST, "Title")
            .say("<script>alert('x')</script>")
            .facts(&[("who", "a\"b".to_owned())])
            .list("h", &["<li>"])
            .action("go", "/start?a=\"&b");
        let html = page.html();
        for raw in ["<script", "a\"b", "<li></code>", "=\"&b"] {
            assert!(!html.contains(raw), "{raw}\n{html}");
        }
        let response = Style::new().response(page.into());
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert!(response.headers().get("set-cookie").is_none());
    }

    #[test]
    fn the_cookie_is_for_this_host_alone_and_out_of_a_scripts_reach() {
        let cookie = Random::new().unwrap();
        let reply = Reply::Go("https://app.hubspot.com/oauth/authorize".to_owned(), Some(cookie));
        let response = Style::new().response(reply);
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let set = response.headers()["set-cookie"].to_str().unwrap();
        assert!(set.starts_with("__Host-scopegate-install="), "{set}");
        assert!(set.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{set}");
        assert!(!set.contains("Domain"));
    }
}
