//! The simulator: its portals, credentials, faults and what it received. This is what tests hold.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::clock::{Clock, millis};
use super::credentials::{App, AppScopes, Bearer, BearerKind, Code, Credentials, Grant, OnInstallerRemoved};
use super::faults::{Fault, FaultId, Faults};
use super::fixtures::{self, Planted};
use super::object_types::ObjectKind;
use super::options::SimOptions;
use super::portal::{Portal, PortalData, PortalOptions, PortalState, UserState};
use super::random;
use super::rate_limit::Buckets;
use super::recorder::{Received, Recorder};
use super::scopes::Scopes;
use super::token_log::TokenLog;
use crate::secret::Secret;

/// A HubSpot of one's own.
#[derive(Debug)]
pub struct Sim {
    pub(super) options: SimOptions,
    pub(super) clock: Clock,
    pub(super) recorder: Recorder,
    pub(super) faults: Faults,
    pub(super) buckets: Buckets,
    pub(super) token_log: TokenLog,
    pub(super) connections: AtomicUsize,
    control: Secret,
    portals: RwLock<BTreeMap<u64, Arc<Portal>>>,
    credentials: Mutex<Credentials>,
    /// By account: scopes of features it has not bought.
    withheld: Mutex<BTreeMap<u64, Vec<String>>>,
}

/// What an app was registered with.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// What its maker calls it.
    pub name: String,
    /// The app's number.
    pub app_id: u64,
    /// Its public name.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// How an app is installed.
#[derive(Clone, Debug)]
pub struct Install {
    /// The app.
    pub client_id: String,
    /// Into which portal.
    pub hub_id: u64,
    /// Scopes the portal granted; the base scope is added.
    pub scopes: Scopes,
    /// The provisioning id of who installed it; `None` = the portal's first user.
    pub user_id: Option<u64>,
    /// What happens when that person is removed.
    pub on_installer_removed: OnInstallerRemoved,
}

impl Install {
    /// By the portal's first user.
    pub fn new(client_id: &str, hub_id: u64, scopes: Scopes) -> Self {
        Self {
            client_id: client_id.to_owned(),
            hub_id,
            scopes,
            user_id: None,
            on_installer_removed: OnInstallerRemoved::default(),
        }
    }
}

impl Sim {
    /// A simulator without portals.
    pub fn new(options: SimOptions) -> Arc<Self> {
        Arc::new(Self {
            recorder: Recorder::new(options.recorded_requests, options.recorded_body_bytes),
            options,
            clock: Clock::default(),
            faults: Faults::default(),
            buckets: Buckets::default(),
            token_log: TokenLog::default(),
            connections: AtomicUsize::new(0),
            control: Secret::new(random::uuid()),
            portals: RwLock::default(),
            credentials: Mutex::default(),
            withheld: Mutex::default(),
        })
    }

    /// Adds a portal, or replaces the one with its number.
    pub fn add_portal(&self, options: PortalOptions) -> u64 {
        let hub_id = options.hub_id;
        let data = fixtures::data(&options, self.options.big_file_bytes);
        let portal = Arc::new(Portal::new(options, data));
        self.portals
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hub_id, portal);
        hub_id
    }

    /// A legacy private app's token.
    pub fn private_app(&self, hub_id: u64, scopes: Scopes) -> Secret {
        self.static_token(BearerKind::PrivateApp, hub_id, scopes)
    }

    /// A service key.
    pub fn service_key(&self, hub_id: u64, scopes: Scopes) -> Secret {
        self.static_token(BearerKind::ServiceKey, hub_id, scopes)
    }

    /// Registers an OAuth app.
    pub fn oauth_app(&self, name: &str, redirect_uris: &[&str]) -> AppCredentials {
        let mut credentials = self.credentials();
        let app_id = credentials.number();
        let (client_id, secret) = (random::uuid(), random::uuid());
        credentials.add_app(App {
            id: app_id,
            name: name.to_owned(),
            client_id: client_id.clone(),
            secrets: vec![secret.clone()],
            redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
            scopes: None,
        });
        AppCredentials {
            name: name.to_owned(),
            app_id,
            client_id,
            client_secret: Secret::new(secret),
        }
    }

    /// Says which scopes an app is configured for. `false` when there is no such app.
    pub fn configure_scopes(&self, client_id: &str, scopes: AppScopes) -> bool {
        let mut credentials = self.credentials();
        let app = credentials.app_mut(client_id);
        app.map(|app| app.scopes = Some(scopes)).is_some()
    }

    /// Takes the features behind these scopes away from an account: asked for as optional ones they are
    /// silently not granted, as required ones they stop an install.
    pub fn withhold_scopes(&self, hub_id: u64, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.withheld
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hub_id, scopes);
    }

    /// Gives an app a second secret beside its newest; `None` when there is no such app.
    pub fn rotate_client_secret(&self, client_id: &str) -> Option<Secret> {
        let mut credentials = self.credentials();
        let app = credentials.app_mut(client_id)?;
        let secret = random::uuid();
        app.secrets.insert(0, secret.clone());
        app.secrets.truncate(2);
        Some(Secret::new(secret))
    }

    /// Takes all but an app's newest secret away.
    pub fn retire_client_secrets(&self, client_id: &str) {
        if let Some(app) = self.credentials().app_mut(client_id) {
            app.secrets.truncate(1);
        }
    }

    /// Installs an app; its refresh token, or `None` when app or portal do not exist.
    pub fn install(&self, install: Install) -> Option<Secret> {
        let grant = self.new_grant(install)?;
        let token = grant.refresh_token.clone();
        self.credentials().add_grant(grant);
        Some(Secret::new(token))
    }

    /// Installs an app up to the point where it holds an authorization code, with an S256 challenge if given.
    pub fn authorization_code(
        &self,
        install: Install,
        redirect_uri: &str,
        challenge: Option<&str>,
    ) -> Option<Secret> {
        let grant = self.new_grant(install)?;
        let hublet = self.portal(grant.hub_id)?.options.hublet.clone();
        let (code, now) = (random::hublet_token(&hublet), self.now_ms());
        let entry = Code {
            grant: grant.id,
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.map(str::to_owned),
            expires_ms: now + millis(self.options.code_lifetime),
        };
        let mut credentials = self.credentials();
        credentials.add_grant(grant);
        credentials.add_code(code.clone(), entry, now);
        Some(Secret::new(code))
    }

    /// Ends a token of any kind. `false` when there is no such token.
    pub fn revoke_token(&self, token: &str) -> bool {
        let mut credentials = self.credentials();
        if let Some(id) = credentials.by_refresh(token).map(|grant| grant.id) {
            credentials.kill(id, self.options.revoke_cascades);
            return true;
        }
        credentials.remove_bearer(token)
    }

    /// Uninstalls an app from a portal: refresh and access tokens die at once.
    pub fn uninstall(&self, app_id: u64, hub_id: u64) -> bool {
        let mut credentials = self.credentials();
        let grants = credentials.grants_of(app_id, hub_id);
        for id in &grants {
            if let Some(grant) = credentials.grant_mut(*id) {
                grant.installed = false;
            }
            credentials.kill(*id, true);
        }
        !grants.is_empty()
    }

    /// Lets every OAuth access token run out now.
    pub fn expire_access_tokens(&self) {
        let now = self.now_ms();
        self.credentials().expire_bearers(now - 1);
    }

    /// Moves simulated time forward.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Opens, suspends or moves a portal. `false` when there is none of that number.
    pub fn set_portal_state(&self, hub_id: u64, state: PortalState) -> bool {
        self.portal(hub_id)
            .map(|portal| portal.set_state(state))
            .is_some()
    }

    /// Deactivates, removes or restores a person, by provisioning id.
    pub fn set_user_state(&self, hub_id: u64, user_id: u64, state: UserState) -> bool {
        let Some(portal) = self.portal(hub_id) else {
            return false;
        };
        let mut data = portal.write();
        let Some(user) = data.users.iter_mut().find(|user| user.id == user_id) else {
            return false;
        };
        let before = std::mem::replace(&mut user.state, state);
        let kind = match (before, state) {
            (UserState::Active, UserState::Active)
            | (UserState::Deactivated, UserState::Deactivated)
            | (UserState::Removed, UserState::Removed) => return true,
            (_, UserState::Removed) => "REMOVE_USER",
            (_, UserState::Deactivated) => "DEACTIVATE_USER",
            (UserState::Deactivated, UserState::Active) => "REACTIVATE_USER",
            (UserState::Removed, UserState::Active) => "ADD_USER",
        };
        data.log_security(kind, user_id, self.now_ms());
        show_deactivated(&mut data, user_id, state != UserState::Active, self.now_ms());
        true
    }

    /// Gives a person other rights, by provisioning id. `false` when there is none of that number.
    pub fn set_user_rights(
        &self,
        hub_id: u64,
        user_id: u64,
        super_admin: bool,
        role_id: Option<u64>,
    ) -> bool {
        let Some(portal) = self.portal(hub_id) else {
            return false;
        };
        let mut data = portal.write();
        let Some(user) = data.users.iter_mut().find(|user| user.id == user_id) else {
            return false;
        };
        user.role_id = role_id;
        let before = std::mem::replace(&mut user.super_admin, super_admin);
        let kind = match (before, super_admin) {
            (true, false) => "REMOVE_ADMIN_USER",
            (false, true) => "ADD_ADMIN_USER",
            _ => return true,
        };
        data.log_security(kind, user_id, self.now_ms());
        true
    }

    /// Another person consents to an app that is installed already: from the next token on it acts for
    /// that one. `false` when it is not installed there.
    pub fn reauthorise(&self, client_id: &str, hub_id: u64, user_id: u64) -> bool {
        let mut credentials = self.credentials();
        let Some(app_id) = credentials.app(client_id).map(|app| app.id) else {
            return false;
        };
        let grants = credentials.grants_of(app_id, hub_id);
        for id in &grants {
            if let Some(grant) = credentials.grant_mut(*id) {
                grant.user_id = user_id;
            }
        }
        !grants.is_empty()
    }

    /// A person's address, by provisioning id.
    pub fn user_email(&self, hub_id: u64, user_id: u64) -> Option<String> {
        let portal = self.portal(hub_id)?;
        let data = portal.read();
        data.user(user_id).map(|user| user.email.clone())
    }

    /// Provisioning ids of a portal's people, in order.
    pub fn users(&self, hub_id: u64) -> Vec<u64> {
        let Some(portal) = self.portal(hub_id) else {
            return Vec::new();
        };
        portal.read().users.iter().map(|user| user.id).collect()
    }

    /// Every value of a portal's hidden properties that no integration should ever see, former ones included;
    /// see [`PLANTED_TEXT`](super::PLANTED_TEXT). Tests look for them in what a gate let out.
    pub fn planted(&self, hub_id: u64) -> Vec<Planted> {
        self.portal(hub_id)
            .map_or(Vec::new(), |portal| fixtures::planted_values(&portal.read()))
    }

    /// Injects a fault.
    pub fn fault(&self, fault: Fault) -> FaultId {
        self.faults.add(fault)
    }

    /// Removes a fault.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.faults.remove(id)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// How often a fault has struck.
    pub fn struck(&self, id: FaultId) -> Option<u64> {
        self.faults.struck(id)
    }

    /// Requests received, oldest first, as many as are kept.
    pub fn received(&self) -> Vec<Received> {
        self.recorder.all()
    }

    /// Requests received since the start, kept or not.
    pub fn received_count(&self) -> u64 {
        self.recorder.count()
    }

    /// Connections that were accepted and have not ended: none, and all that came by them has been received.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// Forgets the received requests.
    pub fn forget_received(&self) {
        self.recorder.clear();
    }

    /// What the control path asks for in `x-sim-control`; random at every start.
    pub fn control_secret(&self) -> &Secret {
        &self.control
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub(super) fn portal(&self, hub_id: u64) -> Option<Arc<Portal>> {
        self.portals
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&hub_id)
            .cloned()
    }

    pub(super) fn withheld_scopes(&self, hub_id: u64) -> Vec<String> {
        let withheld = self.withheld.lock().unwrap_or_else(PoisonError::into_inner);
        withheld.get(&hub_id).cloned().unwrap_or_default()
    }

    pub(super) fn hub_ids(&self) -> Vec<u64> {
        let portals = self.portals.read().unwrap_or_else(PoisonError::into_inner);
        portals.keys().copied().collect()
    }

    pub(super) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn static_token(&self, kind: BearerKind, hub_id: u64, scopes: Scopes) -> Secret {
        let portal = self.portal(hub_id);
        let hublet = portal
            .as_ref()
            .map_or("na1", |portal| portal.options.hublet.as_str());
        let user_id = portal
            .as_ref()
            .and_then(|portal| portal.read().users.first().map(|user| user.id));
        let (token, now) = (random::static_token(hublet), self.now_ms());
        let mut credentials = self.credentials();
        let bearer = Bearer {
            kind,
            hub_id: Some(hub_id),
            app_id: credentials.number(),
            user_id: user_id.unwrap_or_default(),
            scopes: Arc::new(scopes),
            expires_ms: None,
            grant: None,
        };
        credentials.add_bearer(token.clone(), bearer, now);
        Secret::new(token)
    }

    fn new_grant(&self, install: Install) -> Option<Grant> {
        let portal = self.portal(install.hub_id)?;
        let first_user = portal.read().users.first().map(|user| user.id);
        let mut credentials = self.credentials();
        let app_id = credentials.app(&install.client_id)?.id;
        Some(Grant {
            id: credentials.number(),
            app_id,
            client_id: install.client_id,
            hub_id: install.hub_id,
            user_id: install.user_id.or(first_user).unwrap_or_default(),
            scopes: Arc::new(install.scopes),
            refresh_token: random::hublet_token(&portal.options.hublet),
            alive: true,
            installed: true,
            on_installer_removed: install.on_installer_removed,
        })
    }
}

/// The same person as a CRM record says so, too.
fn show_deactivated(data: &mut PortalData, user_id: u64, deactivated: bool, now_ms: i64) {
    let Some(users) = ObjectKind::named("users") else {
        return;
    };
    let table = data.table_mut(users);
    let number = user_id.to_string();
    let record = table
        .live()
        .find(|record| record.value("hs_internal_user_id") == Some(&number))
        .map(|record| record.id);
    if let Some(id) = record {
        let values = [("hs_deactivated".to_owned(), deactivated.to_string())];
        // The property is not unique: nothing can be taken.
        let _ = table.update(id, values.into(), now_ms);
    }
}
