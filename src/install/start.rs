//! The start: a ticket is looked at, and on the second step bound to the browser that has it.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};

use super::link::Asked;
use super::pages::{Page, Reply, Tone};
use super::question::{StartQuestion, cookie};
use super::random::{Random, is_same};
use super::ticket::{Presented, TicketFault};
use super::{Inner, serve};
use crate::clock;
use crate::config::START_PATH;
use crate::events::{InstallMoved, InstallRefused};
use crate::store::{Beginning, ConnectionRow, InstallPhase, InstallRow};
use crate::vault::{Owner, Place, VaultError};

/// How long a person may take at HubSpot.
pub(super) const CONSENT_LIFE: SignedDuration = SignedDuration::from_mins(15);

/// Field name of the PKCE verifier in what it is sealed for.
pub(super) const VERIFIER: &str = "verifier";

impl Inner {
    pub(super) async fn start(self: &Arc<Self>, query: Option<&str>, headers: &HeaderMap) -> Reply {
        let question = StartQuestion::read(query);
        let Some(ticket) = question.ticket else {
            return no_ticket().into();
        };
        let id = ticket.id.clone();
        let row = match self.on_disk(move |store| store.install(&id)).await {
            Ok(Some(row)) => row,
            Ok(None) => return self.refused(None, "ticket_unknown", unknown()),
            Err(error) => return serve::store_failed(&error).into(),
        };
        let is_open = match ticket.check(&self.parts.vault, &row, clock::now()) {
            Ok(()) => true,
            Err(TicketFault::Unknown) => return self.refused(None, "ticket_unknown", unknown()),
            Err(TicketFault::Expired) => false,
        };
        match row.phase {
            InstallPhase::Done => return self.refused(Some(&row), "ticket_used", done()),
            InstallPhase::Exchanging => return self.refused(Some(&row), "ticket_broken_off", broken_off()),
            InstallPhase::Open | InstallPhase::Begun if !is_open => {
                return self.refused(Some(&row), "ticket_expired", expired(&row));
            }
            InstallPhase::Open | InstallPhase::Begun if !row.genuine => {
                return self.refused(Some(&row), "install_altered", unknown());
            }
            InstallPhase::Open | InstallPhase::Begun => {}
        }
        let browser = cookie(headers);
        let is_bound_elsewhere = row.browser.is_some_and(|bound| {
            !browser
                .as_ref()
                .is_some_and(|browser| is_same(&browser.hash(), &bound))
        });
        if is_bound_elsewhere {
            return self.refused(Some(&row), "other_browser", other_browser());
        }
        match (question.goes_on, browser) {
            (true, Some(browser)) => self.go_on(&row, browser).await,
            (true, None) => self.refused(Some(&row), "no_cookie", no_cookie(&ticket)),
            (false, browser) => self.introduce(&row, &ticket, browser).await,
        }
    }

    /// The page that says what is going to happen. Nothing is written down: a scanner may be looking.
    async fn introduce(
        self: &Arc<Self>,
        row: &InstallRow,
        ticket: &Presented,
        browser: Option<Random>,
    ) -> Reply {
        let before = match row.connection {
            None => None,
            Some(id) => match self.on_disk(move |store| store.connection(&id)).await {
                Ok(Some(before)) => Some(before),
                Ok(None) => return self.refused(Some(row), "connection_gone", gone()),
                Err(error) => return serve::store_failed(&error).into(),
            },
        };
        let browser = match browser.map_or_else(Random::new, Ok) {
            Ok(browser) => browser,
            Err(error) => return serve::failed(&error).into(),
        };
        Reply::Page(introduction(row, before.as_ref(), ticket), Some(browser))
    }

    /// Binds the ticket to this browser, and sends it to HubSpot.
    async fn go_on(self: &Arc<Self>, row: &InstallRow, browser: Random) -> Reply {
        let Some(settings) = self.parts.apps.get(&row.app) else {
            return self.refused(Some(row), "app_not_configured", serve::not_set_up());
        };
        let app = row.app.clone();
        let app = match self.on_disk(move |store| store.app(&app)).await {
            Ok(Some(app)) => app,
            Ok(None) => return self.refused(Some(row), "app_gone", serve::not_set_up()),
            Err(error) => return serve::store_failed(&error).into(),
        };
        let (beginning, state, verifier) = match self.beginning(&row.id, &browser) {
            Ok(begun) => begun,
            Err(error) => return serve::failed(&error).into(),
        };
        let id = row.id.clone();
        match self
            .on_disk(move |store| store.begin_install(&id, &beginning))
            .await
        {
            Ok(true) => {}
            Ok(false) => return self.refused(Some(row), "other_browser", other_browser()),
            Err(error) => return serve::store_failed(&error).into(),
        }
        InstallMoved {
            app: &row.app,
            connection: row.name.as_ref(),
            portal: row.portal,
            step: "begun",
        }
        .emit();
        let asked = Asked {
            client_id: &app.client_id,
            app: settings,
            required: &row.required,
            optional: &row.optional,
            portal: row.portal.map(|portal| portal.get()),
        };
        Reply::Go(self.authorize_url(asked, &state, &verifier), Some(browser))
    }

    /// A fresh state and verifier for a browser.
    fn beginning(&self, id: &str, browser: &Random) -> Result<(Beginning, Random, Random), VaultError> {
        let (state, verifier) = (Random::new()?, Random::new()?);
        let owner = Owner::install(id);
        let (key, data_key) = self.parts.vault.new_data_key(&owner)?;
        let place = Place {
            owner: &owner,
            field: VERIFIER,
            version: 1,
        };
        let sealed = key.seal(place, verifier.secret())?;
        let beginning = Beginning {
            browser: browser.hash(),
            state: state.hash(),
            verifier: Some((data_key, sealed)),
            back_until: back_until(),
        };
        Ok((beginning, state, verifier))
    }

    /// Says no, in the log as well.
    pub(super) fn refused(&self, row: Option<&InstallRow>, reason: &'static str, page: Page) -> Reply {
        InstallRefused {
            app: row.map(|row| row.app.as_str()),
            connection: row.and_then(|row| row.name.as_ref()),
            reason,
        }
        .emit(&self.parts.metrics);
        page.into()
    }
}

/// The end of a consent that begins now.
pub(super) fn back_until() -> Timestamp {
    let now = clock::now();
    now.checked_add(CONSENT_LIFE).unwrap_or(now)
}

fn introduction(row: &InstallRow, before: Option<&ConnectionRow>, ticket: &Presented) -> Page {
    let name = row.name.as_ref().map_or(String::new(), ToString::to_string);
    let title = match before {
        None => "Connect a HubSpot account",
        Some(_) => "Renew the consent for a HubSpot account",
    };
    let account = match row.portal {
        Some(portal) => format!("{portal}; no other one will be connected"),
        None => "the one you choose at HubSpot".to_owned(),
    };
    let mut page = Page::new(StatusCode::OK, Tone::Plain, title)
        .say(
            "Somebody who looks after your company's integrations asks you to let them use a HubSpot account. \
             HubSpot will ask you to agree, and send you back here.",
        )
        .facts(&[
            ("Account", account),
            ("Connection", name),
            ("HubSpot app", row.app.clone()),
        ]);
    if let Some(before) = before {
        let asked = || row.required.iter().chain(&row.optional);
        let more: Vec<&String> = asked().filter(|scope| !before.scopes.contains(scope)).collect();
        let fewer: Vec<&String> = before
            .scopes
            .iter()
            .filter(|scope| !asked().any(|asked| asked == *scope))
            .collect();
        page = page
            .list("New, compared with what was granted before", &more)
            .list("No longer asked for", &fewer);
    }
    let href = format!("{START_PATH}?ticket={}&continue=1", ticket.text().expose());
    page.list("What HubSpot will ask you to grant", &row.required)
        .list("And, as far as the account has it", &row.optional)
        .action("Continue to HubSpot", &href)
        .note(
            "Should HubSpot show an error instead of asking you: about permission, a super admin of the account can \
             agree in your place; about scopes or the app, tell whoever gave you this link what it says.",
        )
        .note(&format!(
            "This link works once and in one browser, until {}.",
            row.expires.strftime("%H:%M UTC")
        ))
}

fn no_ticket() -> Page {
    Page::bad(StatusCode::BAD_REQUEST, "This link is not complete")
        .say("Open the link exactly as it was given to you: it is long, and mail programs sometimes cut it.")
}

fn unknown() -> Page {
    Page::bad(StatusCode::NOT_FOUND, "This link is not known here")
        .say("It is not complete, or it is an old one. Ask whoever gave it to you for a new link.")
}

fn expired(row: &InstallRow) -> Page {
    Page::bad(StatusCode::GONE, "This link has expired")
        .say(&format!(
            "It could be used until {}. Ask whoever gave it to you for a new link.",
            row.expires.strftime("%Y-%m-%d %H:%M UTC")
        ))
        .note("Nothing was connected by it.")
}

fn done() -> Page {
    Page::bad(StatusCode::GONE, "This link has been used")
        .say("The account is connected. There is nothing more to do; you can close this window.")
}

pub(super) fn broken_off() -> Page {
    Page::bad(StatusCode::GONE, "This was begun and not finished").say(
        "The link was used, and nobody knows how that ended. Ask whoever gave it to you for a new link, and \
             connect the account again: that does no harm.",
    )
}

fn other_browser() -> Page {
    Page::bad(StatusCode::FORBIDDEN, "This link is in use in another browser")
        .say(
            "It was opened before, in another browser or a private window, and works in that one only. Go on there, \
             or ask whoever gave it to you for a new link.",
        )
        .note("If you did not open it, tell them so: somebody else has seen the link.")
}

fn no_cookie(ticket: &Presented) -> Page {
    let href = format!("{START_PATH}?ticket={}", ticket.text().expose());
    Page::bad(StatusCode::BAD_REQUEST, "Your browser keeps no cookie for this site")
        .say("One is needed to know you again when HubSpot sends you back. Allow cookies for this site, then begin again.")
        .action("Begin again", &href)
}

fn gone() -> Page {
    Page::bad(StatusCode::GONE, "This connection has been removed")
        .say("The consent can't be renewed any more. Ask whoever gave you the link for a new one.")
}
