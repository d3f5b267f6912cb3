//! The callback: what HubSpot sent a browser back with, and whether it is this browser's to bring.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use super::finish::{Attempt, Origin};
use super::pages::{Page, Reply};
use super::question::{CallbackQuestion, Refusal, Step, cookie};
use super::random::{Random, is_same};
use super::start::{CONSENT_LIFE, VERIFIER, broken_off};
use super::{Inner, serve, ticket};
use crate::clock;
use crate::config::AppSettings;
use crate::secret::Secret;
use crate::store::{InstallPhase, InstallRow};
use crate::vault::{Owner, Place, VaultError};

impl Inner {
    pub(super) async fn callback(
        self: &Arc<Self>,
        app: &str,
        settings: &AppSettings,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Reply {
        let Some(mut question) = CallbackQuestion::read(query) else {
            return self.refused(None, "callback_malformed", malformed());
        };
        let browser = cookie(headers);
        if question.step == Some(Step::Authorize) {
            return self.from_marketplace(app, settings, &question, browser).await;
        }
        match question.state.take() {
            Some(state) => self.come_back(app, settings, question, state, browser).await,
            None => self.without_state(app, settings, question).await,
        }
    }

    /// Back from HubSpot with a state: it must be one that was given to this browser and not used yet.
    async fn come_back(
        self: &Arc<Self>,
        app: &str,
        settings: &AppSettings,
        question: CallbackQuestion,
        state: Option<Random>,
        browser: Option<Random>,
    ) -> Reply {
        let Some(state) = state.map(|state| state.hash()) else {
            return self.refused(None, "state_unknown", unknown_state());
        };
        let row = match self.on_disk(move |store| store.install_of_state(&state)).await {
            Ok(Some(row)) if row.app == app => row,
            Ok(_) => return self.refused(None, "state_unknown", unknown_state()),
            Err(error) => return serve::store_failed(&error).into(),
        };
        let is_its_browser = row
            .browser
            .zip(browser)
            .is_some_and(|(bound, browser)| is_same(&bound, &browser.hash()));
        if !is_its_browser {
            return self.refused(Some(&row), "other_browser", other_browser());
        }
        match row.phase {
            InstallPhase::Begun => {}
            InstallPhase::Open => return self.refused(Some(&row), "state_used", used()),
            InstallPhase::Exchanging => return self.refused(Some(&row), "state_used", broken_off()),
            InstallPhase::Done => return self.refused(Some(&row), "state_used", done()),
        }
        let now = clock::now();
        // The ticket's own end is signed into it: no consent that began before it lasts longer.
        let last = row.expires.checked_add(CONSENT_LIFE).unwrap_or(row.expires);
        if now >= last || row.back_until.is_none_or(|until| now >= until) {
            return self.refused(Some(&row), "state_expired", expired());
        }
        if !row.genuine || (row.ticket.is_some() && !ticket::is_sound(&self.parts.vault, &row)) {
            return self.refused(Some(&row), "install_altered", unknown_state());
        }
        let Some(code) = question.code else {
            return self.without_code(&row, state, question.error).await;
        };
        let verifier = match self.verifier(&row) {
            Ok(verifier) => verifier,
            Err(error) => return serve::failed(&error).into(),
        };
        let Ok(room) = Arc::clone(&self.exchanges).try_acquire_owned() else {
            return serve::busy().into();
        };
        let id = row.id.clone();
        let attempt = match self.on_disk(move |store| store.take_install(&id, &state)).await {
            Ok(Some(attempt)) => attempt,
            Ok(None) => return self.refused(Some(&row), "state_used", used()),
            Err(error) => return serve::store_failed(&error).into(),
        };
        let attempt = Attempt {
            app: app.to_owned(),
            settings: settings.clone(),
            origin: Origin::of(row, attempt),
            code,
            verifier,
            return_url: question.return_url.filter(|url| self.return_hosts.accept(url)),
        };
        self.carry_out(attempt, room).await
    }

    /// HubSpot sent the browser back without a code. The state is used up, the ticket is not.
    async fn without_code(
        self: &Arc<Self>,
        row: &InstallRow,
        state: crate::store::Hash,
        error: Option<Refusal>,
    ) -> Reply {
        let Some(error) = error else {
            return self.refused(Some(row), "callback_malformed", malformed());
        };
        let id = row.id.clone();
        let given_back = self.on_disk(move |store| {
            let attempt = store.take_install(&id, &state)?;
            attempt.map_or(Ok(()), |attempt| store.reopen_install(&id, attempt))
        });
        if let Err(error) = given_back.await {
            return serve::store_failed(&error).into();
        }
        match error {
            Refusal::Cancelled => self.refused(Some(row), "access_denied", cancelled()),
            Refusal::Other => self.refused(Some(row), "hubspot_refused", hubspot_refused()),
        }
    }

    fn verifier(&self, row: &InstallRow) -> Result<Option<Secret>, VaultError> {
        let Some((data_key, sealed)) = &row.verifier else {
            return Ok(None);
        };
        let owner = Owner::install(&row.id);
        let place = Place {
            owner: &owner,
            field: VERIFIER,
            version: 1,
        };
        let key = self.parts.vault.data_key(&owner, data_key)?;
        key.open(place, sealed).map(Some)
    }
}

pub(super) fn malformed() -> Page {
    Page::bad(StatusCode::BAD_REQUEST, "Nothing was connected").say(
        "This page is where HubSpot sends people back to after they agreed, and it was opened without what \
             HubSpot adds. To connect an account, open the link that was given to you.",
    )
}

fn unknown_state() -> Page {
    Page::bad(StatusCode::FORBIDDEN, "Nothing was connected")
        .say(
            "HubSpot sent you back with an answer to a question that nobody asked here, or that is too old. Open the \
             link that was given to you, and go through it in one browser.",
        )
        .note("If you did not try to connect an account, somebody may have tricked you into opening this page. It did no harm.")
}

fn other_browser() -> Page {
    Page::bad(StatusCode::FORBIDDEN, "Nothing was connected")
        .say(
            "This was begun in another browser, or your browser keeps no cookies for this site. Open the link that \
             was given to you, and go through it in one browser.",
        )
        .note("If you did not try to connect an account, somebody may have tricked you into opening this page. It did no harm.")
}

fn used() -> Page {
    Page::bad(StatusCode::CONFLICT, "This answer of HubSpot was used before")
        .say("Open the link that was given to you again if the account is not connected yet.")
}

fn done() -> Page {
    Page::bad(StatusCode::CONFLICT, "This answer of HubSpot was used before")
        .say("The account is connected. There is nothing more to do; you can close this window.")
}

fn expired() -> Page {
    Page::bad(StatusCode::GONE, "This took too long")
        .say("Nothing was connected. Ask whoever gave you the link for a new one.")
}

pub(super) fn cancelled() -> Page {
    Page::bad(StatusCode::OK, "You did not agree, so nothing was connected").say(
        "If that was a mistake, open the link that was given to you again: it still works in this browser.",
    )
}

pub(super) fn hubspot_refused() -> Page {
    Page::bad(StatusCode::BAD_GATEWAY, "HubSpot did not let you connect the account")
        .say(
            "The usual reason is that you may not install apps in it: a super admin can, or somebody with access to \
             the App Marketplace. Open the link again as such a person, or ask for help whoever gave it to you.",
        )
}
