//! The HubSpot apps that people install: a map of free names, so its members stand in a table of their
//! own. And the addresses an install goes by, each held to what HubSpot accepts.

use http::Uri;

use super::value::{Reading, Value};
use crate::access::connection::is_name;

/// The section that holds the apps, by name.
pub(super) const SECTION: &str = "apps";

/// Longest redirect URI and authorize URL in bytes.
const URL_BYTES: usize = 300;

/// One HubSpot app, as far as it is no secret: client id and secrets are in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppSettings {
    /// Where HubSpot sends the browser back to, byte for byte as registered with the app.
    pub redirect_uri: String,
    /// What becomes of installs that no operator asked for.
    pub new_portals: NewPortals,
}

impl AppSettings {
    /// The path of the redirect URI.
    pub fn callback_path(&self) -> &str {
        path_of(&self.redirect_uri)
    }
}

/// What becomes of an install that HubSpot or a public link started, without a ticket of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewPortals {
    /// Nothing is asked of HubSpot, nothing is stored.
    #[default]
    Refuse,
    /// Stored, and nothing passes until an operator resumes it.
    Pending,
    /// Stored, and in order.
    Accept,
}

/// One member of an app.
pub(super) struct Member {
    pub(super) name: &'static str,
    /// Its default, as it would be written.
    pub(super) default: &'static str,
    pub(super) apply: fn(&mut AppSettings, &Value) -> Reading<()>,
}

/// The members, in the order in which they are printed.
pub(super) static MEMBERS: [Member; 2] = [
    Member {
        name: "redirect_uri",
        default: "null",
        apply: |app, value| {
            app.redirect_uri = redirect_uri(value)?;
            Ok(())
        },
    },
    Member {
        name: "new_portals",
        default: "refuse",
        apply: |app, value| {
            app.new_portals = match value.word(&["refuse", "pending", "accept"])? {
                "pending" => NewPortals::Pending,
                "accept" => NewPortals::Accept,
                _ => NewPortals::Refuse,
            };
            Ok(())
        },
    },
];

/// The member of this name.
pub(super) fn member(name: &str) -> Option<&'static Member> {
    MEMBERS.iter().find(|member| member.name == name)
}

/// The app and the member that a variable of the environment means:
/// `SCOPEGATE_APPS_MARKETING_EU_REDIRECT_URI` is `apps.marketing-eu.redirect_uri`. Names have no `_`,
/// so there is one way to read it.
pub(super) fn of_variable(variable: &str) -> Option<(String, &'static str)> {
    let rest = variable.strip_prefix("SCOPEGATE_APPS_")?;
    MEMBERS.iter().find_map(|member| {
        let end = format!("_{}", member.name.to_ascii_uppercase());
        let name = rest.strip_suffix(&*end)?.to_ascii_lowercase().replace('_', "-");
        is_name(&name).then_some((name, member.name))
    })
}

/// Where people's browsers reach the install listener. The browser keeps the flow's cookie for https
/// only, and for `localhost`; and HubSpot sends nobody back to an IP address.
pub(super) fn public_url(value: &Value) -> Reading<String> {
    let origin = value.origin()?;
    if origin.starts_with("https://") || host_of(&origin) == "localhost" {
        return Ok(origin);
    }
    Err(
        "an https origin is needed here, as `https://connect.example.com`; http is accepted for `http://localhost` alone"
            .to_owned(),
    )
}

/// Where HubSpot asks people for their consent.
pub(super) fn authorize_url(value: &Value) -> Reading<String> {
    let text = value.text()?;
    let is_local = ["localhost", "127.0.0.1"].contains(&host_of(text));
    if !is_plain_url(text) || !(text.starts_with("https://") || is_local) {
        return Err(
            "a URL of https without query is needed here, as `https://app.hubspot.com/oauth/authorize`"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// HubSpot's rule: https, or `http://localhost`; a name, never an IP address.
fn redirect_uri(value: &Value) -> Reading<String> {
    let text = value.text()?;
    if !is_plain_url(text) || matches!(path_of(text), "" | "/") {
        return Err(
            "a URL with a plain path is needed here, as `https://connect.example.com/callback`, exactly as \
             registered with the app"
                .to_owned(),
        );
    }
    let host = host_of(text);
    if host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok() {
        return Err("HubSpot takes no IP address here: a host name is needed".to_owned());
    }
    if !text.starts_with("https://") && host != "localhost" {
        return Err("HubSpot takes https alone here, and http for `http://localhost`".to_owned());
    }
    Ok(text.to_owned())
}

/// A URL of scheme, host, perhaps a port, and a path that has one spelling.
fn is_plain_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let path = uri.path();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.len() <= URL_BYTES
        && (text.starts_with("https://") || text.starts_with("http://"))
        && uri
            .authority()
            .is_some_and(|authority| !authority.as_str().contains('@'))
        && !text.contains(['?', '#'])
        && path.bytes().all(plain)
        && !path.contains("//")
        && path.split('/').all(|segment| !matches!(segment, "." | ".."))
}

/// Scheme, host and port, in lower case.
pub(super) fn origin_of(url: &str) -> String {
    let path = path_of(url).len();
    url.get(..url.len() - path)
        .unwrap_or_default()
        .to_ascii_lowercase()
}

fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(_) => authority.split_inclusive(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading<String> {
        redirect_uri(&Value::Text(text.to_owned()))
    }

    #[test]
    fn a_redirect_uri_is_what_hubspot_would_register_and_kept_byte_for_byte() {
        for good in [
            "https://connect.example.com/callback",
            "https://Connect.Example.com:8443/hubspot/callback/",
            "http://localhost:3000/callback",
        ] {
            assert_eq!(read(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "connect.example.com/callback",
            "http://connect.example.com/callback",
            "https://192.0.2.1/callback",
            "https://[2001:db8::1]/callback",
            "http://127.0.0.1:1/callback",
            "https://connect.example.com",
            "https://connect.example.com/",
            "https://connect.example.com/a?b",
            "https://connect.example.com/a#b",
            "https://user@connect.example.com/a",
            "https://connect.example.com/a/../b",
            "https://connect.example.com//a",
            "https://connect.example.com/%61",
            "HTTPS://connect.example.com/a",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_names_one_app_and_one_member() {
        let app = |name: &str, member| Some((name.to_owned(), member));
        assert_eq!(
            of_variable("SCOPEGATE_APPS_MARKETING_EU_REDIRECT_URI"),
            app("marketing-eu", "redirect_uri")
        );
        assert_eq!(
            of_variable("SCOPEGATE_APPS_A_NEW_PORTALS"),
            app("a", "new_portals")
        );
        for other in [
            "SCOPEGATE_APPS_REDIRECT_URI",
            "SCOPEGATE_APPS_A_SECRET",
            "SCOPEGATE_APPS",
        ] {
            assert_eq!(of_variable(other), None, "{other}");
        }
    }

    #[test]
    fn the_parts_of_a_url_are_found() {
        assert_eq!(
            origin_of("https://A.example.com:8443/x/y"),
            "https://a.example.com:8443"
        );
        assert_eq!(origin_of("http://localhost:1"), "http://localhost:1");
        assert_eq!(host_of("https://[::1]:8/x"), "[::1]");
        assert_eq!(path_of("https://a/x/y"), "/x/y");
    }
}
