//! HubSpot's consent: the page a person agrees on, its errors, and the way back to the app.
//!
//! Errors of the question are shown here and never sent to the app, as HubSpot does. How a browser is
//! led from page to page is this simulator's own: HubSpot publishes parameters and answers only.

use std::fmt::Write as _;

use http::{Method, StatusCode};

use crate::sim::answer::Answer;
use crate::sim::call::{Call, Query};
use crate::sim::credentials::{App, OnInstallerRemoved};
use crate::sim::portal::UserState;
use crate::sim::problem::{Handled, Problem};
use crate::sim::scopes::{BASE, Scopes};
use crate::sim::simulator::{Install, Sim};

/// Parameters that the page carries from the question to the decision.
const CARRIED: [&str; 8] = [
    "client_id",
    "redirect_uri",
    "scope",
    "optional_scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "step",
];

/// Why HubSpot's own page shows an error, with its word where one is known.
struct Shown(StatusCode, &'static str, String);

/// `/oauth/authorize` and `/oauth/{portal}/authorize`.
pub(super) fn handle(sim: &Sim, call: &Call, portal: Option<&str>) -> Handled<Answer> {
    let shown = match call.method {
        Method::GET => question(sim, &call.query).map(|asked| page(sim, &asked, &call.query, portal)),
        Method::POST => {
            let form = Query::parse(std::str::from_utf8(&call.body).unwrap_or_default());
            question(sim, &form).and_then(|asked| decide(sim, call, &asked, &form))
        }
        _ => return Err(Problem::method_not_allowed()),
    };
    Ok(shown.unwrap_or_else(|Shown(status, word, message)| error_page(status, word, &message)))
}

/// `/oauth/marketplace?client_id=…`: the Install button of a marketplace listing. The app is asked first,
/// and sends the browser back to the consent.
pub(super) fn marketplace(sim: &Sim, call: &Call) -> Handled<Answer> {
    let client_id = call.query.first("client_id").unwrap_or_default();
    let app = sim.credentials().app(client_id).cloned();
    let app = app.ok_or_else(Problem::not_found)?;
    let redirect_uri = app.redirect_uris.first().ok_or_else(Problem::not_found)?;
    let (scope, optional) = match &app.scopes {
        Some(scopes) => (scopes.required.join(" "), scopes.optional.join(" ")),
        None => (BASE.to_owned(), String::new()),
    };
    let consent = form_urlencoded::Serializer::new(format!("{}/oauth/authorize?", call.origin))
        .append_pair("client_id", client_id)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("scope", &scope)
        .append_pair("optional_scope", &optional)
        .append_pair("step", "finalize")
        .finish();
    let asked = with(
        redirect_uri,
        &[("step", "authorize"), ("returnUrl", &consent.replace('+', "%20"))],
    );
    Ok(see_other(&asked))
}

/// `/oauth/installed`: where the marketplace wants the browser back at the end.
pub(super) fn installed() -> Answer {
    html(StatusCode::OK, "App installed", "<p>The app is installed.</p>")
}

/// A question that HubSpot would put to a person.
struct Asked {
    app: App,
    redirect_uri: String,
    required: Vec<String>,
    optional: Vec<String>,
}

fn question(sim: &Sim, query: &Query) -> Result<Asked, Shown> {
    let wrong = |word, message: &str| Shown(StatusCode::BAD_REQUEST, word, message.to_owned());
    let client_id = query.first("client_id").unwrap_or_default();
    let app = sim.credentials().app(client_id).cloned();
    let app = app.ok_or_else(|| {
        wrong(
            "BAD_CLIENT_ID",
            "We couldn't find the app: its client id is unknown.",
        )
    })?;
    let redirect_uri = query.first("redirect_uri").unwrap_or_default().to_owned();
    let is_registered = app.redirect_uris.contains(&redirect_uri);
    if !is_registered || redirect_uri.is_empty() {
        return Err(wrong(
            "MISMATCH_REDIRECT_URI",
            "The redirect URL doesn't match one that is registered for the app.",
        ));
    }
    let words = |name: &str| -> Vec<String> {
        let text = query.first(name).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    let (required, optional) = (words("scope"), words("optional_scope"));
    if required.is_empty() {
        return Err(wrong(
            "BAD_SCOPES",
            "The scopes are insufficient: `scope` is missing.",
        ));
    }
    if required.iter().chain(&optional).any(|scope| scope == "contacts") {
        return Err(wrong(
            "DEPRECATED_CONTACTS_SCOPE",
            "The scope `contacts` is not granted any more.",
        ));
    }
    if let Some(scopes) = &app.scopes {
        let lacks = |scope: &&String| !required.contains(scope);
        if scopes
            .required
            .iter()
            .filter(|scope| *scope != BASE)
            .any(|scope| lacks(&scope))
        {
            return Err(wrong(
                "BAD_SCOPES",
                "The scopes are insufficient: one that the app requires is not asked for.",
            ));
        }
        let is_known = |scope: &String| scope == BASE || scopes.required.contains(scope);
        let is_mismatch = required
            .iter()
            .any(|scope| !is_known(scope) && !scopes.conditional.contains(scope))
            || optional.iter().any(|scope| !scopes.optional.contains(scope));
        if is_mismatch {
            return Err(wrong(
                "BAD_SCOPES",
                "Scope mismatch: the app is not configured for what is asked, or it stands in the wrong parameter.",
            ));
        }
    }
    Ok(Asked {
        app,
        redirect_uri,
        required,
        optional,
    })
}

/// What the person decided.
fn decide(sim: &Sim, call: &Call, asked: &Asked, form: &Query) -> Result<Answer, Shown> {
    let state = form.first("state");
    let back = |more: &[(&str, &str)]| {
        let mut pairs = more.to_vec();
        pairs.extend(state.map(|state| ("state", state)));
        see_other(&with(&asked.redirect_uri, &pairs))
    };
    if form.first("decision") != Some("allow") {
        return Ok(back(&[
            ("error", "access_denied"),
            ("error_description", "The user denied the request"),
        ]));
    }
    let forbidden = |word, message: &str| Shown(StatusCode::FORBIDDEN, word, message.to_owned());
    let hub_id: u64 = form
        .first("portal")
        .and_then(|portal| portal.parse().ok())
        .unwrap_or_default();
    let portal = sim
        .portal(hub_id)
        .ok_or_else(|| forbidden("HUB_UNAUTHORIZED", "You can't use this account."))?;
    let withheld = sim.withheld_scopes(hub_id);
    if asked.required.iter().any(|scope| withheld.contains(scope)) {
        return Err(forbidden(
            "MISSING_SCOPE_GROUP",
            "This account doesn't have access to everything the app needs.",
        ));
    }
    let user_id = form
        .first("user_id")
        .filter(|id| !id.is_empty())
        .map(|id| id.parse::<u64>().unwrap_or_default());
    if let Some(id) = user_id
        && portal.read().user(id).map(|user| user.state) != Some(UserState::Active)
    {
        return Err(forbidden(
            "USER_UNAUTHORIZED",
            "You don't have permission to install apps.",
        ));
    }
    let granted = asked
        .required
        .iter()
        .chain(asked.optional.iter().filter(|scope| !withheld.contains(*scope)));
    let install = Install {
        client_id: asked.app.client_id.clone(),
        hub_id,
        scopes: Scopes::new(granted),
        user_id,
        on_installer_removed: OnInstallerRemoved::default(),
    };
    let challenge = form.first("code_challenge").filter(|text| !text.is_empty());
    let code = sim
        .authorization_code(install, &asked.redirect_uri, challenge)
        .ok_or_else(|| forbidden("HUB_UNAUTHORIZED", "You can't use this account."))?;
    if form.first("step") == Some("finalize") {
        let end = format!("{}/oauth/installed", call.origin);
        return Ok(back(&[
            ("code", code.expose()),
            ("step", "finalize"),
            ("returnUrl", &end),
        ]));
    }
    Ok(back(&[("code", code.expose())]))
}

fn page(sim: &Sim, asked: &Asked, query: &Query, preselected: Option<&str>) -> Answer {
    let mut body = format!(
        "<p>The app <strong>{}</strong> wants to use a HubSpot account.</p>\n\
         <form method=\"post\" action=\"/oauth/authorize\">\n",
        escaped(&asked.app.name)
    );
    for name in CARRIED {
        if let Some(value) = query.first(name) {
            // Writing to a string can't fail.
            let _ = writeln!(
                body,
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                escaped(value)
            );
        }
    }
    body.push_str("<p><label for=\"portal\">Account</label> <select id=\"portal\" name=\"portal\">\n");
    for hub_id in sim.hub_ids() {
        let selected = match preselected == Some(&*hub_id.to_string()) {
            true => " selected",
            false => "",
        };
        let _ = writeln!(body, "<option value=\"{hub_id}\"{selected}>{hub_id}</option>");
    }
    body.push_str("</select></p>\n");
    for (heading, scopes) in [
        ("It needs", &asked.required),
        ("It would like, if the account has it", &asked.optional),
    ] {
        if scopes.is_empty() {
            continue;
        }
        let _ = writeln!(body, "<h2>{heading}</h2>\n<ul>");
        for scope in scopes {
            let _ = writeln!(body, "<li><code>{}</code></li>", escaped(scope));
        }
        body.push_str("</ul>\n");
    }
    body.push_str(
        "<p><button id=\"allow\" name=\"decision\" value=\"allow\">Connect app</button> \
         <button id=\"cancel\" name=\"decision\" value=\"cancel\">Cancel</button></p>\n</form>",
    );
    html(StatusCode::OK, "Connect app", &body)
}

fn error_page(status: StatusCode, word: &str, message: &str) -> Answer {
    let body = format!(
        "<p id=\"error\">{}</p>\n<p><code>{word}</code></p>",
        escaped(message)
    );
    html(status, "Authorization failed", &body)
}

fn html(status: StatusCode, title: &str, body: &str) -> Answer {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title} - HubSpot simulator</title>\n\
         <style>body{{font:16px/1.5 sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem;color:#213343}}\
         h1{{border-top:.3rem solid #ff7a59;padding-top:1rem}}button{{font-size:1rem;padding:.5rem 1.2rem}}</style></head>\n\
         <body>\n<p>HubSpot simulator</p>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
    );
    let mut answer = Answer::bytes(status, text.into());
    answer.set(
        "content-type",
        http::HeaderValue::from_static("text/html; charset=utf-8"),
    );
    answer
}

fn see_other(url: &str) -> Answer {
    let mut answer = Answer::bytes(StatusCode::FOUND, Default::default());
    match http::HeaderValue::from_str(url) {
        Ok(value) => answer.set("location", value),
        // Every redirect URI was registered as printable text; a test that registers another one sees this.
        Err(_) => answer.status = StatusCode::BAD_REQUEST,
    }
    answer
}

fn with(url: &str, pairs: &[(&str, &str)]) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{url}{separator}{}", query.finish())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
