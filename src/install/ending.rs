//! How the exchange of a code can end: a word for the log, whether the ticket can be opened again, and
//! the page for the person.

use http::StatusCode;

use super::pages::{Page, Tone};
use super::start::broken_off;
use crate::access::connection::{ConnectionName, PortalId, Standing};
use crate::hubspot::errors::CodeFailure;
use crate::store::StoreError;
use crate::vault::VaultError;

/// What was stored.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) name: ConnectionName,
    pub(super) portal: PortalId,
    pub(super) email: Option<String>,
    pub(super) scopes: Vec<String>,
    /// Optional scopes that the account did not grant.
    pub(super) not_granted: Vec<String>,
    /// What was granted before; `None`: it is new.
    pub(super) before: Option<Vec<String>>,
    pub(super) is_pending: bool,
    /// A standing that the new consent did not lift.
    pub(super) stays: Option<Standing>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ending {
    Connected(Box<Connected>),
    /// HubSpot said no to the code.
    Refused(CodeFailure),
    /// HubSpot was not reached: the code is unused.
    Unreachable,
    /// HubSpot gave no answer that can be read: the code may be used up.
    Unknown,
    /// The grant is there, and HubSpot does not say whose it is.
    NotTold(&'static str),
    WrongPortal {
        expected: PortalId,
        found: PortalId,
    },
    MissingScopes(Vec<String>),
    /// Without a ticket: the app is connected to this account already.
    ConnectedAlready {
        portal: PortalId,
    },
    /// With a ticket: likewise, under another name.
    PortalTaken {
        portal: PortalId,
        connection: String,
    },
    NameTaken,
    ConnectionGone,
    AppGone,
    Vault(VaultError),
    Store(StoreError),
}

impl Ending {
    /// The word in the log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Connected(connected) if connected.is_pending => "pending",
            Self::Connected(connected) if connected.before.is_some() => "connected_again",
            Self::Connected(_) => "connected",
            Self::Refused(CodeFailure::NotGood) => "code_not_good",
            Self::Refused(CodeFailure::WrongClient) => "client_secret_refused",
            Self::Refused(CodeFailure::RedirectUri) => "redirect_uri_mismatch",
            Self::Refused(CodeFailure::Verifier) => "verifier_mismatch",
            Self::Refused(CodeFailure::Scopes) => "scopes_refused",
            Self::Refused(CodeFailure::Hub) => "account_unknown",
            Self::Refused(CodeFailure::Configuration) => "exchange_refused",
            Self::Refused(CodeFailure::Busy) => "hubspot_busy",
            Self::Unreachable => "hubspot_unreachable",
            Self::Unknown => "no_answer",
            Self::NotTold(_) => "account_not_told",
            Self::WrongPortal { .. } => "wrong_portal",
            Self::MissingScopes(_) => "scopes_missing",
            Self::ConnectedAlready { .. } | Self::PortalTaken { .. } => "portal_taken",
            Self::NameTaken => "name_taken",
            Self::ConnectionGone => "connection_gone",
            Self::AppGone => "app_gone",
            Self::Vault(_) => "vault",
            Self::Store(_) => "store",
        }
    }

    /// Whether the ticket may be opened again: nothing was obtained, or what was is known and useless.
    pub(super) fn reopens(&self) -> bool {
        match self {
            Self::Refused(CodeFailure::Busy) => true,
            Self::Refused(_) | Self::Unreachable | Self::WrongPortal { .. } | Self::MissingScopes(_) => true,
            Self::PortalTaken { .. } => true,
            Self::Connected(_)
            | Self::Unknown
            | Self::NotTold(_)
            | Self::ConnectedAlready { .. }
            | Self::NameTaken
            | Self::ConnectionGone
            | Self::AppGone
            | Self::Vault(_)
            | Self::Store(_) => false,
        }
    }

    pub(super) fn page(&self) -> Page {
        const NOTHING: &str = "Nothing was connected";
        let again = "Open the link that was given to you again: it still works in this browser.";
        match self {
            Self::Connected(connected) => connected.page(),
            Self::Refused(CodeFailure::NotGood) => Page::bad(StatusCode::GONE, NOTHING)
                .say("HubSpot's answer was used before, or it took too long to come back here.")
                .say(again),
            Self::Refused(CodeFailure::Verifier) => Page::bad(StatusCode::FORBIDDEN, NOTHING)
                .say("HubSpot's answer belongs to another visit than this one.")
                .say(again),
            Self::Refused(CodeFailure::WrongClient) => for_operator(
                "HubSpot does not know the app by the client secret that is set up here.",
                "The secret has to be renewed here: it may have been rotated at HubSpot.",
            ),
            Self::Refused(CodeFailure::RedirectUri) => for_operator(
                "HubSpot does not accept the address it sent you back to.",
                "The redirect URI set up here has to be registered with the app at HubSpot, letter for letter.",
            ),
            Self::Refused(CodeFailure::Scopes) => for_operator(
                "HubSpot does not accept what was asked for.",
                "The app at HubSpot has to be configured for the scopes that the policies need.",
            ),
            Self::Refused(CodeFailure::Hub) => Page::bad(StatusCode::BAD_GATEWAY, NOTHING)
                .say("HubSpot does not know the account any more.")
                .say(again),
            Self::Refused(CodeFailure::Configuration) => for_operator(
                "HubSpot refused the request for a reason that only the people who run this can look into.",
                "The gate's log says `exchange_refused`: compare the app's settings at HubSpot with the ones here.",
            ),
            Self::Refused(CodeFailure::Busy) | Self::Unreachable => {
                Page::bad(StatusCode::SERVICE_UNAVAILABLE, NOTHING)
                    .say("HubSpot could not be asked just now. Wait a minute.")
                    .say(again)
            }
            Self::Unknown | Self::Store(_) => broken_off(),
            Self::NotTold(_) => Page::bad(StatusCode::BAD_GATEWAY, NOTHING)
                .say("HubSpot did not say which account you chose, so it can't be known whether it is the right one.")
                .say("Ask whoever gave you the link for a new one."),
            Self::WrongPortal { expected, found } => Page::bad(StatusCode::CONFLICT, "This is another account")
                .say(&format!(
                    "You chose account {found} at HubSpot, but the link is for account {expected}. Nothing was stored."
                ))
                .say(&format!("{again} At HubSpot choose account {expected}."))
                .note(&format!(
                    "The app now counts as installed in account {found}. If it should not be, uninstall it there: \
                     Settings, Integrations, Connected Apps."
                )),
            Self::MissingScopes(missing) => Page::bad(StatusCode::CONFLICT, "Something needed was not granted")
                .say("Nothing was stored, because the account did not grant all that is needed.")
                .list("Missing", missing)
                .say(
                    "The account's subscription may lack the feature, or the app at HubSpot is not configured for it. \
                     Ask whoever gave you the link.",
                ),
            Self::ConnectedAlready { portal } => {
                Page::bad(StatusCode::CONFLICT, "This account is connected already")
                    .say(&format!(
                        "Account {portal} is connected, and its connection was left as it is. To renew it, ask for \
                         a link from whoever looks after your integrations."
                    ))
            }
            Self::PortalTaken { portal, connection } => {
                Page::bad(StatusCode::CONFLICT, "This account is connected already")
                    .say(&format!(
                        "Account {portal} is connected as `{connection}`. Nothing was changed. If you meant another \
                         account, open the link again and choose that one."
                    ))
            }
            Self::NameTaken => for_operator(
                "There is a connection of the same name by now.",
                "Choose another name, and make a new link.",
            ),
            Self::ConnectionGone => for_operator(
                "The connection was removed in the meantime.",
                "Make a new link to connect the account anew.",
            ),
            Self::AppGone => for_operator(
                "The app is not set up here.",
                "Add it with `scopegate app add`, and in the configuration under `apps`.",
            ),
            Self::Vault(_) => for_operator(
                "What was stored about the app can't be opened.",
                "See the gate's log, and run `scopegate store check`.",
            ),
        }
    }
}

/// Nothing that the person could do.
pub(super) fn for_operator(what: &str, remedy: &str) -> Page {
    Page::bad(StatusCode::BAD_GATEWAY, "Nothing was connected")
        .say(what)
        .say("You can't do anything about that. Please tell whoever gave you the link:")
        .say(remedy)
}

impl Connected {
    fn page(&self) -> Page {
        let title = match (self.is_pending, &self.before) {
            (true, _) => "The app is installed, and waits",
            (false, None) => "The account is connected",
            (false, Some(_)) => "The consent is renewed",
        };
        let mut page = Page::new(StatusCode::OK, Tone::Good, title);
        if self.is_pending {
            page = page.say(
                "Nobody here asked for this install, so no program may use it yet. Whoever looks after your \
                 integrations has to confirm it.",
            );
        } else {
            page = page.say("You can close this window.");
        }
        if let Some(standing) = self.stays {
            page = page.say(&format!(
                "The connection was `{}` before and stays so, until somebody who runs this changes it.",
                standing.as_str()
            ));
        }
        let mut facts = vec![
            ("Account", self.portal.to_string()),
            ("Connection", self.name.to_string()),
        ];
        if let Some(email) = &self.email {
            facts.push(("Granted by", email.clone()));
        }
        page = page.facts(&facts);
        if let Some(before) = &self.before {
            let fresh: Vec<&String> = self
                .scopes
                .iter()
                .filter(|scope| !before.contains(scope))
                .collect();
            let lost: Vec<&String> = before
                .iter()
                .filter(|scope| !self.scopes.contains(scope))
                .collect();
            page = page
                .list("Granted now, and not before", &fresh)
                .list("No longer granted", &lost);
        }
        page.list("Granted", &self.scopes)
            .list("Asked for, and not granted by this account", &self.not_granted)
            .note(
                "You can take this back at any time in HubSpot: Settings, Integrations, Connected Apps. It stands on \
                 your user: if you leave, somebody else has to renew it.",
            )
    }
}
