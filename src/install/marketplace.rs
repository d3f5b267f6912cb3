//! Installs that no operator asked for: HubSpot's marketplace, or a link that the app's maker published.
//!
//! HubSpot's marketplace sends the browser here first (`step=authorize`, with a `returnUrl` of its
//! own), so a state and a cookie can be given to it; a published link sends it here with a code and
//! nothing else. Neither says anything about an operator's wish, so all they can do is make a new
//! connection, as the app's `new_portals` says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{StatusCode, Uri};

use super::callback::{cancelled, hubspot_refused, malformed};
use super::finish::{Attempt, Origin};
use super::pages::{Page, Reply};
use super::question::{CallbackQuestion, Refusal, Step};
use super::random::Random;
use super::start::back_until;
use super::{Inner, serve};
use crate::config::{AppSettings, NewPortals};
use crate::store::{Beginning, NewInstall};

/// Codes without a state that are exchanged in [`WINDOW`]: strangers can make them up, and HubSpot
/// counts the questions they cause.
const WITHOUT_STATE_MAX: usize = 600;
const WINDOW: Duration = Duration::from_secs(60);

/// Longest URL that HubSpot wants a browser back at.
const RETURN_URL_MAX: usize = 4_000;

impl Inner {
    /// The marketplace asks before the consent: gives the browser a state, and sends it on.
    pub(super) async fn from_marketplace(
        self: &Arc<Self>,
        app: &str,
        settings: &AppSettings,
        question: &CallbackQuestion,
        browser: Option<Random>,
    ) -> Reply {
        if settings.new_portals == NewPortals::Refuse {
            return self.refused(None, "new_portals_refused", by_link_only());
        }
        let url = question.return_url.as_ref();
        let Some(url) = url.filter(|url| self.return_hosts.accept(url) && !names_state(url)) else {
            return self.refused(None, "return_url_refused", malformed());
        };
        let made = browser.map_or_else(Random::new, Ok);
        let (browser, state, id) = match (made, Random::new(), Random::new()) {
            (Ok(browser), Ok(state), Ok(id)) => (browser, state, id),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return serve::failed(&error).into(),
        };
        let until = back_until();
        let new = NewInstall {
            id: id.secret().expose().to_owned(),
            ticket: None,
            app: app.to_owned(),
            name: None,
            connection: None,
            portal: None,
            labels: String::new(),
            required: Vec::new(),
            optional: Vec::new(),
            expires: until,
        };
        let beginning = Beginning {
            browser: browser.hash(),
            state: state.hash(),
            // HubSpot builds this authorize URL: there is no place for a challenge in it.
            verifier: None,
            back_until: until,
        };
        let by = self.provenance();
        let added = self.on_disk(move |store| store.add_begun_install(&new, &beginning, &by));
        match added.await {
            Ok(true) => Reply::Go(with_state(url, &state), Some(browser)),
            Ok(false) => serve::busy().into(),
            Err(error) => serve::store_failed(&error).into(),
        }
    }

    /// A code, or nothing, without a state of ours.
    pub(super) async fn without_state(
        self: &Arc<Self>,
        app: &str,
        settings: &AppSettings,
        question: CallbackQuestion,
    ) -> Reply {
        let Some(code) = question.code else {
            return match question.error {
                Some(Refusal::Cancelled) => self.refused(None, "access_denied", cancelled()),
                Some(Refusal::Other) => self.refused(None, "hubspot_refused", hubspot_refused()),
                None => self.refused(None, "callback_malformed", malformed()),
            };
        };
        if settings.new_portals == NewPortals::Refuse {
            return self.refused(None, "new_portals_refused", by_link_only());
        }
        if question.step == Some(Step::Finalize) {
            // The marketplace asked first and got a state: without it this is somebody else's browser.
            return self.refused(None, "state_missing", malformed());
        }
        let Ok(room) = Arc::clone(&self.exchanges).try_acquire_owned() else {
            return serve::busy().into();
        };
        if !self.without_ticket.spend(Instant::now()) {
            return serve::busy().into();
        }
        let attempt = Attempt {
            app: app.to_owned(),
            settings: settings.clone(),
            origin: Origin::Nobody,
            code,
            verifier: None,
            return_url: None,
        };
        self.carry_out(attempt, room).await
    }
}

/// How many codes without a state may still be exchanged.
#[derive(Default)]
pub(super) struct Allowance(Mutex<VecDeque<Instant>>);

impl Allowance {
    fn spend(&self, now: Instant) -> bool {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while spent.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            spent.pop_front();
        }
        let is_left = spent.len() < WITHOUT_STATE_MAX;
        if is_left {
            spent.push_back(now);
        }
        is_left
    }
}

/// Where a browser may be sent at the wish of a request: HubSpot's own pages, and nothing else.
pub(super) enum ReturnHosts {
    /// `app.hubspot.com` and, for its regions, `app-eu1.hubspot.com` and the like.
    HubSpot,
    /// The origin of a configured authorize URL that is not HubSpot's.
    Origin(String),
}

impl ReturnHosts {
    pub(super) fn of(authorize_url: &str) -> Self {
        let uri = authorize_url.parse::<Uri>().unwrap_or_default();
        match is_hubspot(&uri) {
            true => Self::HubSpot,
            false => Self::Origin(origin(&uri)),
        }
    }

    /// Whether `url` leads there, and can be read in one way.
    pub(super) fn accept(&self, url: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>'`{}|^".contains(&byte);
        if url.len() > RETURN_URL_MAX || !url.bytes().all(plain) {
            return false;
        }
        let Ok(uri) = url.parse::<Uri>() else {
            return false;
        };
        let has_user = uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        let is_there = match self {
            Self::HubSpot => is_hubspot(&uri) && url.starts_with("https://"),
            Self::Origin(allowed) => origin(&uri) == *allowed,
        };
        is_there && !has_user && uri.path().starts_with('/')
    }
}

fn is_hubspot(uri: &Uri) -> bool {
    let name = uri
        .authority()
        .and_then(|authority| authority.as_str().strip_suffix(".hubspot.com"));
    let is_app = match name.and_then(|name| name.strip_prefix("app")) {
        Some("") => true,
        Some(region) => region.strip_prefix('-').is_some_and(|region| {
            (1..=10).contains(&region.len())
                && region
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        }),
        None => false,
    };
    is_app && uri.scheme_str() == Some("https")
}

fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", uri.scheme_str().unwrap_or_default())
}

fn names_state(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "state")
}

fn with_state(url: &str, state: &Random) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}state={}", state.secret().expose())
}

fn by_link_only() -> Page {
    Page::bad(StatusCode::FORBIDDEN, "This app is installed by a personal link")
        .say(
            "Nothing was connected. Ask whoever looks after your integrations for a link: it says which account is \
             meant, and works once.",
        )
        .note("The app does not count as installed by what you did at HubSpot.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_hubspots_own_pages_and_nowhere_else() {
        let hosts = ReturnHosts::of("https://app.hubspot.com/oauth/authorize");
        for good in [
            "https://app.hubspot.com/oauth/1/authorize?client_id=x&scope=a%20b",
            "https://app-eu1.hubspot.com/x",
            "https://app-na2.hubspot.com/",
        ] {
            assert!(hosts.accept(good), "{good}");
        }
        for bad in [
            "",
            "/x",
            "//app.hubspot.com/x",
            "http://app.hubspot.com/x",
            "https://app.hubspot.com:8443/x",
            "https://app.hubspot.com.evil.example/x",
            "https://evil.example/app.hubspot.com",
            "https://evil.example?https://app.hubspot.com/",
            "https://app.hubspot.com@evil.example/x",
            "https://user@app.hubspot.com/x",
            "https://app.hubspot.com\\@evil.example/x",
            "https://app-.hubspot.com/x",
            "https://app-eu1.evil.hubspot.com/x",
            "https://app-eu1-x.hubspot.com/x",
            "https://apps.hubspot.com/x",
            "https://hubspot.com/x",
            "https://app.hubspot.com/x#y",
            "https://app.hubspot.com/\r\nx",
            "javascript:alert(1)",
            "https:app.hubspot.com/x",
            &format!("https://app.hubspot.com/{}", "x".repeat(4_000)),
        ] {
            assert!(!hosts.accept(bad), "{bad}");
        }
        let other = ReturnHosts::of("http://127.0.0.1:8100/oauth/authorize");
        assert!(other.accept("http://127.0.0.1:8100/x?y=1"));
        for bad in [
            "http://127.0.0.1:8101/x",
            "https://127.0.0.1:8100/x",
            "https://app.hubspot.com/x",
        ] {
            assert!(!other.accept(bad), "{bad}");
        }
    }

    #[test]
    fn a_state_is_added_and_never_a_second_one() {
        let state = Random::new().unwrap();
        let text = state.secret().expose();
        assert_eq!(
            with_state("https://a/x?b=1", &state),
            format!("https://a/x?b=1&state={text}")
        );
        assert_eq!(
            with_state("https://a/x", &state),
            format!("https://a/x?state={text}")
        );
        assert!(names_state("https://a/x?b=1&st%61te=2") && !names_state("https://a/x?b=state"));
    }

    #[test]
    fn strangers_codes_are_counted_by_the_minute() {
        let allowance = Allowance::default();
        let now = Instant::now();
        assert!((0..WITHOUT_STATE_MAX).all(|_| allowance.spend(now)));
        assert!(!allowance.spend(now + Duration::from_secs(59)));
        assert!(allowance.spend(now + WINDOW));
    }
}
