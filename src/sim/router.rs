//! All routes in one place: which words of a path lead to which part.

use http::Method;

use super::answer::Answer;
use super::authenticate::authenticate;
use super::call::{Call, Cx};
use super::problem::{Handled, Problem};
use super::simulator::Sim;
use super::{
    account, associations, definitions, exports, files, graphql, imports, legacy, lists, oauth, objects,
    people, rate_limit, schemas, timeline,
};

/// Words that are part of a path, not a value; folded when the simulator is case-tolerant.
pub(super) const LITERALS: &[&str] = &[
    "crm",
    "objects",
    "search",
    "batch",
    "read",
    "create",
    "update",
    "upsert",
    "archive",
    "merge",
    "gdpr-delete",
    "associations",
    "labels",
    "default",
    "owners",
    "properties",
    "groups",
    "pipelines",
    "schemas",
    "lists",
    "imports",
    "exports",
    "export",
    "collector",
    "graphql",
    "account-info",
    "details",
    "settings",
    "users",
    "files",
    "oauth",
    "token",
];

/// Does what a call asks.
pub(super) fn handle(sim: &Sim, call: &Call) -> Handled<Answer> {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    if words.first() == Some(&"oauth") {
        return oauth::route(sim, call, words.get(1..).unwrap_or_default());
    }
    if words.first() == Some(&exports::RESULTS) {
        return exports::result(sim, call, words.get(1..).unwrap_or_default());
    }
    let who = authenticate(sim, call)?;
    let limits = rate_limit::count(sim, call, &who)?;
    let cx = Cx { sim, call, who: &who };
    if who.read_only && is_write(call, &words) {
        return Err(Problem::user_permission());
    }
    match route(cx, &words) {
        Ok(mut answer) => {
            for (name, value) in limits {
                answer.set(name, value);
            }
            Ok(answer)
        }
        Err(mut problem) => {
            problem.headers.extend(limits);
            Err(problem)
        }
    }
}

fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    let modern = matches!(cx.call.version.as_str(), "v3" | "v4") || cx.call.is_dated();
    match words {
        ["crm", "objects", rest @ ..] if modern => objects::route(cx, rest),
        ["crm", "associations", rest @ ..] if modern => associations::route(cx, rest),
        ["crm", "owners", rest @ ..] if modern => people::owners(cx, rest),
        ["crm", "properties", rest @ ..] if modern => definitions::properties(cx, rest),
        ["crm", "pipelines", rest @ ..] if modern => definitions::pipelines(cx, rest),
        ["crm", "schemas", rest @ ..] | ["crm-object-schemas", "schemas", rest @ ..] if modern => {
            schemas::route(cx, rest)
        }
        ["crm", "lists", rest @ ..] if modern => lists::route(cx, rest),
        ["crm", "imports", rest @ ..] if modern => imports::route(cx, rest),
        ["crm", "exports", "export", rest @ ..] if modern => exports::route(cx, rest),
        ["integrators", "timeline", "events", rest @ ..] if modern => timeline::events(cx, rest),
        ["collector", "graphql"] => graphql::route(cx),
        ["settings", "users", rest @ ..] if modern => people::users(cx, rest),
        ["account-info", rest @ ..] if modern => account::route(cx, rest),
        ["files", "files", rest @ ..] if modern => files::route(cx, rest),
        ["appinstalls", "external-install"] if modern => account::uninstall(cx),
        _ => legacy::route(cx, words),
    }
}

/// Whether a call changes something: a POST that searches or reads does not.
fn is_write(call: &Call, words: &[&str]) -> bool {
    let reads = matches!(
        words.last(),
        Some(&"search" | &"read" | &"batch-read" | &"graphql" | &"async" | &"access-token-info")
    );
    !(call.method == Method::GET || call.method == Method::HEAD || (call.method == Method::POST && reads))
}
