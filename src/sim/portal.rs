//! A HubSpot account: its data, its people, its state.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::associations::store::Associations;
use super::exports::Export;
use super::files::StoredFile;
use super::imports::Import;
use super::lists::List;
use super::object_types::ObjectKind;
use super::property::Property;
use super::records::Table;
use super::timeline::TimelineEvent;

/// What an account pays for: decides limits and features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// Free tools.
    Free,
    /// Starter.
    Starter,
    /// Professional.
    #[default]
    Professional,
    /// Enterprise: custom objects, sensitive data.
    Enterprise,
}

/// Whether the account answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortalState {
    /// It does.
    #[default]
    Open,
    /// Moving to another data centre: 477 with this `Retry-After` in seconds.
    Migrating {
        /// Seconds.
        retry_after_seconds: u32,
    },
    /// Suspended: 403. The real body is unverified.
    Paused,
}

/// What data a new portal starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fixtures {
    /// 250 contacts, 120 companies, 30 deals and their friends, the same in every start.
    #[default]
    Standard,
    /// Definitions only.
    Empty,
}

/// How a portal is made.
#[derive(Clone, Debug)]
pub struct PortalOptions {
    /// The account's number.
    pub hub_id: u64,
    /// `na1` or `eu1`: stands in tokens.
    pub hublet: String,
    /// Tier.
    pub tier: Tier,
    /// Minutes ahead of UTC; the daily limit turns at local midnight.
    pub utc_offset_minutes: i32,
    /// Data.
    pub fixtures: Fixtures,
}

impl PortalOptions {
    /// A professional account in `na1` with the standard data.
    pub fn new(hub_id: u64) -> Self {
        Self {
            hub_id,
            hublet: "na1".to_owned(),
            tier: Tier::default(),
            utc_offset_minutes: 60,
            fixtures: Fixtures::default(),
        }
    }
}

/// Whether a person may sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserState {
    /// Yes.
    #[default]
    Active,
    /// Deactivated: still listed as a user, archived as an owner.
    Deactivated,
    /// Removed: gone from both.
    Removed,
}

/// A person with access to the account.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) owner_id: u64,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) role_id: Option<u64>,
    pub(super) super_admin: bool,
    pub(super) team_id: Option<u64>,
    pub(super) state: UserState,
    pub(super) created_ms: i64,
}

/// An entry of the account's security log.
#[derive(Clone, Debug)]
pub(super) struct SecurityEvent {
    pub(super) kind: &'static str,
    /// Whom it happened to.
    pub(super) user_id: u64,
    pub(super) at_ms: i64,
}

/// Entries of the security log that are kept.
const SECURITY_EVENTS: usize = 10_000;

/// A custom object type.
#[derive(Clone, Debug)]
pub(super) struct CustomSchema {
    pub(super) number: u32,
    /// The bare name.
    pub(super) name: String,
    pub(super) singular: String,
    pub(super) plural: String,
    pub(super) primary_property: String,
    pub(super) created_ms: i64,
}

/// A stage of a pipeline.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) metadata: Vec<(&'static str, &'static str)>,
}

/// A pipeline of deals, tickets, …
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) stages: Vec<Stage>,
}

/// Everything an account holds.
#[derive(Debug, Default)]
pub(super) struct PortalData {
    pub(super) tables: HashMap<ObjectKind, Table>,
    pub(super) properties: HashMap<ObjectKind, BTreeMap<String, Property>>,
    pub(super) pipelines: HashMap<ObjectKind, Vec<Pipeline>>,
    pub(super) associations: Associations,
    pub(super) schemas: Vec<CustomSchema>,
    pub(super) users: Vec<User>,
    pub(super) security: Vec<SecurityEvent>,
    pub(super) lists: Vec<List>,
    pub(super) files: BTreeMap<u64, StoredFile>,
    pub(super) imports: Vec<Import>,
    pub(super) exports: Vec<Export>,
    pub(super) timeline: Vec<TimelineEvent>,
}

impl PortalData {
    /// The records of a type; made on first use.
    pub(super) fn table_mut(&mut self, kind: ObjectKind) -> &mut Table {
        self.tables
            .entry(kind)
            .or_insert_with(|| Table::new(first_id(kind)))
    }

    /// The records of a type, if it ever had any.
    pub(super) fn table(&self, kind: ObjectKind) -> Option<&Table> {
        self.tables.get(&kind)
    }

    /// A definition that is in use.
    pub(super) fn property(&self, kind: ObjectKind, name: &str) -> Option<&Property> {
        self.properties
            .get(&kind)?
            .get(name)
            .filter(|property| !property.archived)
    }

    /// Writes an entry into the security log.
    pub(super) fn log_security(&mut self, kind: &'static str, user_id: u64, at_ms: i64) {
        if self.security.len() >= SECURITY_EVENTS {
            self.security.remove(0);
        }
        self.security.push(SecurityEvent { kind, user_id, at_ms });
    }

    /// The user with this provisioning id.
    pub(super) fn user(&self, id: u64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }
}

/// Ids count from 1001, 2001, … by type, so that a reader of a log can tell them apart.
pub(super) fn first_id(kind: ObjectKind) -> u64 {
    kind.number() * 1_000 + 1
}

/// An account.
#[derive(Debug)]
pub(super) struct Portal {
    pub(super) options: PortalOptions,
    state: Mutex<PortalState>,
    data: RwLock<PortalData>,
}

impl Portal {
    pub(super) fn new(options: PortalOptions, data: PortalData) -> Self {
        Self {
            options,
            state: Mutex::default(),
            data: RwLock::new(data),
        }
    }

    pub(super) fn hub_id(&self) -> u64 {
        self.options.hub_id
    }

    /// Shared access. A panic elsewhere does not matter here: the data is a test double's.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, PortalData> {
        self.data.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exclusive access.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, PortalData> {
        self.data.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> PortalState {
        *self.lock_state()
    }

    pub(super) fn set_state(&self, state: PortalState) {
        *self.lock_state() = state;
    }

    fn lock_state(&self) -> MutexGuard<'_, PortalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The type a path word means here: standard by every spelling, custom as `2-N`, `p_name`,
    /// `pHUB_name` and, as HubSpot may accept too, the bare name.
    pub(super) fn kind(&self, word: &str) -> Option<ObjectKind> {
        if let Some(kind) = ObjectKind::standard(word) {
            return Some(kind);
        }
        let word = word.to_ascii_lowercase();
        let data = self.read();
        let own = format!("p{}_", self.hub_id());
        let name = word
            .strip_prefix("p_")
            .or_else(|| word.strip_prefix(&own))
            .unwrap_or(&word);
        let number = word
            .strip_prefix("2-")
            .and_then(|digits| digits.parse::<u32>().ok());
        let schema = data.schemas.iter().find(|schema| match number {
            Some(number) => schema.number == number,
            None => schema.name.eq_ignore_ascii_case(name),
        })?;
        Some(ObjectKind::Custom(schema.number))
    }
}
