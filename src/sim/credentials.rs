//! Who may call: apps, installs with their refresh tokens, access tokens, private-app tokens, service keys.

use std::collections::HashMap;
use std::sync::Arc;

use super::issued::Issued;
use super::random;
use super::scopes::Scopes;

/// Access tokens kept; expired ones make room first.
const ACCESS_TOKENS: usize = 200_000;

/// Replaced refresh tokens remembered, for the detection of their reuse.
const SUPERSEDED_TOKENS: usize = 200_000;

/// What kind of credential a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BearerKind {
    PrivateApp,
    ServiceKey,
    OAuth,
    /// `client_credentials`: the app, no account.
    App,
}

/// A credential that can stand in `Authorization`.
#[derive(Debug)]
pub(super) struct Bearer {
    pub(super) kind: BearerKind,
    /// `None` for an app's own token.
    pub(super) hub_id: Option<u64>,
    pub(super) app_id: u64,
    pub(super) user_id: u64,
    pub(super) scopes: Arc<Scopes>,
    /// Milliseconds since 1970; `None` = never.
    pub(super) expires_ms: Option<i64>,
    /// The install it came from.
    pub(super) grant: Option<u64>,
}

/// An OAuth app.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) client_id: String,
    /// Newest first; two are valid while one is rotated.
    pub(super) secrets: Vec<String>,
    pub(super) redirect_uris: Vec<String>,
    /// The scopes it is configured for; `None`: whatever is asked.
    pub(super) scopes: Option<AppScopes>,
}

/// The scopes an app is configured for, in HubSpot's three kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppScopes {
    /// All must be in `scope`.
    pub required: Vec<String>,
    /// May be in `scope`, never in `optional_scope`.
    pub conditional: Vec<String>,
    /// May be in `optional_scope`, never in `scope`.
    pub optional: Vec<String>,
}

/// What happens to an install's calls once its installer was removed or deactivated (unverified).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInstallerRemoved {
    /// Reads work, writes are refused as the user's lack of permission.
    #[default]
    ReadOnly,
    /// Nothing.
    Unaffected,
    /// The grant is dead.
    Revoked,
}

/// An app installed in a portal.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) id: u64,
    pub(super) app_id: u64,
    pub(super) client_id: String,
    pub(super) hub_id: u64,
    pub(super) user_id: u64,
    pub(super) scopes: Arc<Scopes>,
    pub(super) refresh_token: String,
    /// Whether the refresh token still works.
    pub(super) alive: bool,
    /// Whether the app is still installed.
    pub(super) installed: bool,
    pub(super) on_installer_removed: OnInstallerRemoved,
}

/// An authorization code that waits to be exchanged.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) grant: u64,
    pub(super) redirect_uri: String,
    /// S256 challenge, if one was given.
    pub(super) challenge: Option<String>,
    pub(super) expires_ms: i64,
}

/// All credentials of a simulator.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    bearers: HashMap<String, Arc<Bearer>>,
    apps: HashMap<String, App>,
    grants: HashMap<u64, Grant>,
    /// Current refresh tokens.
    refresh: HashMap<String, u64>,
    /// Refresh tokens that a rotation replaced.
    superseded: HashMap<String, u64>,
    codes: HashMap<String, Code>,
    next_id: u64,
}

impl Credentials {
    /// A number nobody has yet; app and install ids look like HubSpot's.
    pub(super) fn number(&mut self) -> u64 {
        self.next_id += 1;
        1_300_000 + self.next_id
    }

    pub(super) fn bearer(&self, token: &str) -> Option<Arc<Bearer>> {
        self.bearers.get(token).cloned()
    }

    /// Makes room if there is none, then takes a token in.
    pub(super) fn add_bearer(&mut self, token: String, bearer: Bearer, now_ms: i64) {
        if self.bearers.len() >= ACCESS_TOKENS {
            self.bearers
                .retain(|_, old| old.expires_ms.is_none_or(|at| at > now_ms));
        }
        if self.bearers.len() < ACCESS_TOKENS {
            self.bearers.insert(token, Arc::new(bearer));
        }
    }

    /// Ends one token.
    pub(super) fn remove_bearer(&mut self, token: &str) -> bool {
        self.bearers.remove(token).is_some()
    }

    /// Ends the access tokens of an install.
    pub(super) fn remove_bearers_of(&mut self, grant: u64) {
        self.bearers.retain(|_, bearer| bearer.grant != Some(grant));
    }

    /// Lets every OAuth access token run out at `at_ms`.
    pub(super) fn expire_bearers(&mut self, at_ms: i64) {
        for bearer in self
            .bearers
            .values_mut()
            .filter(|bearer| bearer.expires_ms.is_some_and(|old| old > at_ms))
        {
            *bearer = Arc::new(Bearer {
                expires_ms: Some(at_ms),
                scopes: Arc::clone(&bearer.scopes),
                ..**bearer
            });
        }
    }

    /// Registers an app.
    pub(super) fn add_app(&mut self, app: App) {
        self.apps.insert(app.client_id.clone(), app);
    }

    pub(super) fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.get(client_id)
    }

    pub(super) fn app_mut(&mut self, client_id: &str) -> Option<&mut App> {
        self.apps.get_mut(client_id)
    }

    /// Installs an app.
    pub(super) fn add_grant(&mut self, grant: Grant) {
        self.refresh.insert(grant.refresh_token.clone(), grant.id);
        self.grants.insert(grant.id, grant);
    }

    pub(super) fn grant(&self, id: u64) -> Option<&Grant> {
        self.grants.get(&id)
    }

    pub(super) fn grant_mut(&mut self, id: u64) -> Option<&mut Grant> {
        self.grants.get_mut(&id)
    }

    /// The install a current refresh token belongs to.
    pub(super) fn by_refresh(&self, token: &str) -> Option<&Grant> {
        self.grants.get(self.refresh.get(token)?)
    }

    /// The install a replaced refresh token belonged to.
    pub(super) fn by_superseded(&self, token: &str) -> Option<u64> {
        self.superseded.get(token).copied()
    }

    /// Installs of an app in a portal.
    pub(super) fn grants_of(&self, app_id: u64, hub_id: u64) -> Vec<u64> {
        let ours = |grant: &&Grant| grant.app_id == app_id && grant.hub_id == hub_id;
        self.grants.values().filter(ours).map(|grant| grant.id).collect()
    }

    /// Replaces an install's refresh token and returns the new one.
    pub(super) fn rotate(&mut self, id: u64, hublet: &str) -> Option<String> {
        let grant = self.grants.get_mut(&id)?;
        let fresh = random::hublet_token(hublet);
        let old = std::mem::replace(&mut grant.refresh_token, fresh.clone());
        self.refresh.remove(&old);
        if self.superseded.len() < SUPERSEDED_TOKENS {
            self.superseded.insert(old, id);
        }
        self.refresh.insert(fresh.clone(), id);
        Some(fresh)
    }

    /// Ends an install's refresh token; `tokens_too` ends its access tokens as well.
    pub(super) fn kill(&mut self, id: u64, tokens_too: bool) {
        if let Some(grant) = self.grants.get_mut(&id) {
            grant.alive = false;
        }
        if tokens_too {
            self.remove_bearers_of(id);
        }
    }

    /// Keeps a code until it is exchanged.
    pub(super) fn add_code(&mut self, code: String, entry: Code, now_ms: i64) {
        self.codes.retain(|_, old| old.expires_ms > now_ms);
        self.codes.insert(code, entry);
    }

    pub(super) fn code(&self, code: &str) -> Option<&Code> {
        self.codes.get(code)
    }

    /// Takes a code out: it works once.
    pub(super) fn use_code(&mut self, code: &str) {
        self.codes.remove(code);
    }

    /// Every secret there is or was, as far as it is remembered.
    pub(super) fn issued(&self, into: &mut Issued) {
        into.access_tokens.extend(self.bearers.keys().cloned());
        let refresh = self.refresh.keys().chain(self.superseded.keys());
        into.refresh_tokens
            .extend(refresh.chain(self.codes.keys()).cloned());
        let secrets = self.apps.values().flat_map(|app| &app.secrets);
        into.client_secrets.extend(secrets.cloned());
    }
}
