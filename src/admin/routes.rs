//! Every route there is: method, path, the least role it takes, how it waits, what it does. What is not
//! here can't be reached; a test walks the table as everybody who may ask and everybody who may not.

use super::parts::{Answer, Call, Parts};
use super::{change, credentials, look, stop};
use crate::access::role::Role;

/// How a route gets its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// With everything else.
    Usual,
    /// Apart: an emergency stop never waits behind a question to HubSpot or a long list.
    Urgent,
}

/// What a route does. Blocks on the store.
type Handler = fn(&Parts, &Call<'_>) -> Answer;

/// One route.
pub struct Route {
    /// `GET` or `POST`: a look or a change, but for `explain`, whose question is too long for a target.
    pub method: &'static str,
    /// Its path; one segment may be a name in braces.
    pub path: &'static str,
    /// The weakest role that may.
    pub least: Role,
    /// How it gets its turn.
    pub lane: Lane,
    /// Names its query may have, each once.
    pub query: &'static [&'static str],
    pub(super) handler: Handler,
}

const PAGE: &[&str] = &["limit", "after"];

const fn get(path: &'static str, least: Role, query: &'static [&'static str], handler: Handler) -> Route {
    Route {
        method: "GET",
        path,
        least,
        lane: Lane::Usual,
        query,
        handler,
    }
}

const fn post(path: &'static str, least: Role, lane: Lane, handler: Handler) -> Route {
    Route {
        method: "POST",
        path,
        least,
        lane,
        query: &[],
        handler,
    }
}

/// The table. The README's is held to it.
pub static ROUTES: &[Route] = &[
    get("/v1/status", Role::Viewer, &[], look::status),
    get("/v1/integrations", Role::Viewer, PAGE, look::integrations),
    get("/v1/policies/{integration}", Role::Viewer, &[], look::policy),
    get("/v1/connections", Role::Viewer, PAGE, look::connections),
    get("/v1/connections/{name}", Role::Viewer, &[], look::connection),
    get("/v1/keys", Role::Viewer, PAGE, look::keys),
    get("/v1/kills", Role::Viewer, PAGE, look::kills),
    get(
        "/v1/denials",
        Role::Viewer,
        &["since", "integration", "connection", "limit"],
        look::denials,
    ),
    get("/v1/findings", Role::Viewer, PAGE, look::findings),
    post("/v1/explain", Role::Viewer, Lane::Usual, look::explained),
    post(
        "/v1/connections/{name}/suspend",
        Role::Operator,
        Lane::Urgent,
        change::suspend,
    ),
    post(
        "/v1/connections/{name}/resume",
        Role::Operator,
        Lane::Usual,
        change::resume,
    ),
    post(
        "/v1/connections/{name}/labels",
        Role::Operator,
        Lane::Usual,
        change::labels,
    ),
    post(
        "/v1/connections/{name}/kill",
        Role::Operator,
        Lane::Urgent,
        stop::connection,
    ),
    post(
        "/v1/integrations/{name}/kill",
        Role::Operator,
        Lane::Urgent,
        stop::integration,
    ),
    post(
        "/v1/keys/{id}/revoke",
        Role::Operator,
        Lane::Urgent,
        change::revoke_key,
    ),
    post(
        "/v1/findings/{id}/acknowledge",
        Role::Operator,
        Lane::Usual,
        change::acknowledge,
    ),
    post("/v1/kill", Role::Security, Lane::Urgent, stop::anything),
    post("/v1/revive", Role::Security, Lane::Urgent, stop::revive),
    get("/v1/credentials", Role::Security, PAGE, credentials::list),
    post(
        "/v1/credentials/{id}/revoke",
        Role::Security,
        Lane::Urgent,
        credentials::revoke,
    ),
    get("/v1/events", Role::Security, PAGE, credentials::events),
];

/// What a method and a path lead to.
pub(super) enum Found<'a> {
    /// A route, and what stood in its braces.
    Route(&'static Route, &'a str),
    /// Routes of this path, none of this method: the methods there are.
    OtherMethod(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// Looks a route up. Byte for byte: nothing is decoded, joined or repaired, so that no spelling of a path
/// means another one.
pub(super) fn find<'a>(method: &str, path: &'a str) -> Found<'a> {
    let mut others = Vec::new();
    for route in ROUTES {
        match named_in(route.path, path) {
            Some(named) if route.method == method => return Found::Route(route, named),
            Some(_) => others.push(route.method),
            None => {}
        }
    }
    match others.is_empty() {
        true => Found::Nothing,
        false => Found::OtherMethod(others),
    }
}

/// What stands in the braces of `template` if `path` is one of its paths; empty without braces.
fn named_in<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let mut named = "";
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(named),
            (Some(one), Some(other)) if one.starts_with('{') && is_name(other) => named = other,
            (Some(one), Some(other)) if one == other && !one.starts_with('{') => {}
            _ => return None,
        }
    }
}

/// What may stand in braces: names, ids, numbers.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(method: &str, path: &str) -> Option<(&'static str, String)> {
        match find(method, path) {
            Found::Route(route, named) => Some((route.path, named.to_owned())),
            Found::OtherMethod(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn each_route_is_found_by_its_own_path_and_none_stands_twice() {
        for (n, route) in ROUTES.iter().enumerate() {
            let path = route
                .path
                .replace("{integration}", "x")
                .replace("{name}", "x")
                .replace("{id}", "x");
            assert_eq!(
                route_of(route.method, &path).map(|found| found.0),
                Some(route.path)
            );
            let twice = ROUTES[..n]
                .iter()
                .any(|other| (other.method, other.path) == (route.method, route.path));
            assert!(!twice, "{} {}", route.method, route.path);
        }
        assert_eq!(
            route_of("POST", "/v1/connections/acme/suspend"),
            Some(("/v1/connections/{name}/suspend", "acme".to_owned()))
        );
    }

    #[test]
    fn what_changes_is_never_a_get_and_takes_more_than_a_viewer() {
        for route in ROUTES {
            let asks = route.method == "GET" || route.path == "/v1/explain";
            assert_eq!(
                asks,
                route.least == Role::Viewer || route.method == "GET",
                "{}",
                route.path
            );
        }
    }

    #[test]
    fn what_ends_something_never_waits_behind_what_may_take_long() {
        for route in ROUTES {
            let ends = ["suspend", "kill", "revoke", "revive"]
                .iter()
                .any(|word| route.path.ends_with(word));
            assert_eq!(ends, route.lane == Lane::Urgent, "{}", route.path);
        }
    }

    #[test]
    fn no_other_spelling_of_a_path_means_a_route() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v1/status/",
            "//v1/status",
            "/v1//status",
            "/v1/./status",
            "/v1/x/../status",
            "/V1/status",
            "/v1/Status",
            "/v1/%73tatus",
            "/v1/status;x",
            "/v1/connections/{name}",
            "/v1/connections/",
            "/v1/connections/a%2fb",
            "/v1/connections/a.b",
            "/v1/connections/a_b",
            "/v1/connections/acme/suspend/",
            "/v1/connections/acme/suspend/x",
            "/livez/v1/status",
        ] {
            assert!(matches!(find("GET", path), Found::Nothing), "{path}");
        }
        let long = format!("/v1/connections/{}", "a".repeat(65));
        assert!(matches!(find("GET", &long), Found::Nothing));
        assert!(matches!(find("get", "/v1/status"), Found::OtherMethod(_)));
        assert!(matches!(find("HEAD", "/v1/status"), Found::OtherMethod(_)));
    }
}
