//! Emergency stops: what may be stopped, what a stop covers, and the flags that requests look at.
//!
//! A stop names its subject, which need not exist: what appears later is covered from its first moment.
//! Deliberately absent: degrees and dates. A stop is in force until somebody revives its subject.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::connection::{ConnectionName, PortalId, is_name};

/// Longest address of a person (RFC 5321 §4.5.3.1.3, without its angle brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// What can be stopped (contracts.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KillKind {
    /// One integration: all its keys.
    Integration,
    /// One connection.
    Connection,
    /// All connections of an app.
    App,
    /// All connections to a portal.
    Portal,
    /// All connections that one person installed.
    Person,
    /// Everything.
    All,
}

impl KillKind {
    /// Every kind, in the order of `catalogue/reasons.tsv`.
    pub const ALL: [Self; 6] = [
        Self::Integration,
        Self::Connection,
        Self::App,
        Self::Portal,
        Self::Person,
        Self::All,
    ];

    /// The set's name in `catalogue/reasons.tsv`.
    pub const SET: &'static str = "kill_kind";

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::Connection => "connection",
            Self::App => "app",
            Self::Portal => "portal",
            Self::Person => "person",
            Self::All => "all",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What a stop is about, in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KillSubject {
    kind: KillKind,
    name: String,
}

impl KillSubject {
    /// Everything.
    pub fn all() -> Self {
        Self {
            kind: KillKind::All,
            name: String::new(),
        }
    }

    /// A subject of `kind`; `None` when `name` can't be one's.
    pub fn parse(kind: KillKind, name: &str) -> Option<Self> {
        let name = match kind {
            KillKind::Integration | KillKind::App => is_name(name).then(|| name.to_owned()),
            KillKind::Connection => ConnectionName::parse(name).map(|name| name.to_string()),
            KillKind::Portal => PortalId::parse(name).map(|portal| portal.to_string()),
            KillKind::Person => email(name),
            KillKind::All => name.is_empty().then(String::new),
        }?;
        Some(Self { kind, name })
    }

    /// What it is.
    pub fn kind(&self) -> KillKind {
        self.kind
    }

    /// Which; empty for everything.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a connection is covered.
    pub fn covers(&self, connection: Covered<'_>) -> bool {
        match self.kind {
            KillKind::Integration => false,
            KillKind::Connection => connection.name == self.name,
            KillKind::App => connection.app == Some(&*self.name),
            KillKind::Portal => connection.portal.to_string() == self.name,
            KillKind::Person => connection
                .addresses()
                .any(|person| person_of(person) == self.name),
            KillKind::All => true,
        }
    }
}

impl fmt::Display for KillSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            KillKind::All => f.write_str("everything"),
            kind => write!(f, "{} `{}`", kind.as_str(), self.name),
        }
    }
}

/// An address as it is compared: HubSpot's are the same in upper and lower case.
pub fn person_of(email: &str) -> String {
    email.trim().to_lowercase()
}

fn email(text: &str) -> Option<String> {
    let email = person_of(text);
    let (local, domain) = email.rsplit_once('@')?;
    let plain = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let fine = plain && !local.is_empty() && !domain.is_empty() && email.len() <= EMAIL_BYTES_MAX;
    fine.then_some(email)
}

/// What of a connection a stop may name.
#[derive(Clone, Copy, Debug)]
pub struct Covered<'a> {
    /// Its name.
    pub name: &'a str,
    /// The app of its grant.
    pub app: Option<&'a str>,
    /// Its account.
    pub portal: PortalId,
    /// Who installed it, as far as is known: the address at the install, and the one that people have
    /// seen since. A stop by either covers it, since nobody can tell which an operator has read.
    pub person: [Option<&'a str>; 2],
}

impl<'a> Covered<'a> {
    fn addresses(self) -> impl Iterator<Item = &'a str> {
        self.person.into_iter().flatten()
    }
}

/// All stops in force at one moment.
#[derive(Clone, Debug, Default)]
pub struct Kills {
    /// Grows with every kill and every revival.
    pub version: u64,
    subjects: HashSet<KillSubject>,
}

impl Kills {
    /// The stops as of `version`.
    pub fn new(version: u64, subjects: impl IntoIterator<Item = KillSubject>) -> Self {
        Self {
            version,
            subjects: subjects.into_iter().collect(),
        }
    }

    /// Whether an integration is stopped.
    pub fn stop_integration(&self, integration: &str) -> bool {
        self.has(KillKind::All, "") || self.has(KillKind::Integration, integration)
    }

    /// Whether a connection is stopped.
    pub fn stop_connection(&self, connection: Covered<'_>) -> bool {
        self.has(KillKind::All, "")
            || self.has(KillKind::Connection, connection.name)
            || connection.app.is_some_and(|app| self.has(KillKind::App, app))
            || self.has(KillKind::Portal, &connection.portal.to_string())
            || connection
                .addresses()
                .any(|person| self.has(KillKind::Person, &person_of(person)))
    }

    /// How many of a kind there are.
    pub fn count(&self, kind: KillKind) -> usize {
        self.subjects
            .iter()
            .filter(|subject| subject.kind == kind)
            .count()
    }

    fn has(&self, kind: KillKind, name: &str) -> bool {
        !self.subjects.is_empty()
            && self.subjects.contains(&KillSubject {
                kind,
                name: name.to_owned(),
            })
    }
}

/// One integration's flag, shared by all its keys in old and new snapshots.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    /// Whether the integration is stopped.
    pub fn is_off(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The flags of all integrations that have keys.
#[derive(Debug, Default)]
pub struct Switches(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kills: Arc<Kills>,
    switches: HashMap<Arc<str>, Switch>,
}

impl Switches {
    /// Flags as `kills` wants them.
    pub fn new(kills: Arc<Kills>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            kills,
            switches: HashMap::new(),
        })))
    }

    /// An integration's flag, and its name as all who have the flag hold it; a new one is as the stops in force
    /// want it.
    pub fn of(&self, integration: &Arc<str>) -> (Arc<str>, Switch) {
        let mut inner = self.lock();
        if let Some((name, known)) = inner.switches.get_key_value(integration) {
            return (Arc::clone(name), known.clone());
        }
        let off = inner.kills.stop_integration(integration);
        let new = Switch(Arc::new(AtomicBool::new(off)));
        inner.switches.insert(Arc::clone(integration), new.clone());
        (Arc::clone(integration), new)
    }

    /// Takes other stops in force: every flag follows before this returns.
    pub fn apply(&self, kills: &Arc<Kills>) {
        let mut inner = self.lock();
        for (integration, switch) in &inner.switches {
            switch
                .0
                .store(kills.stop_integration(integration), Ordering::Release);
        }
        inner.kills = Arc::clone(kills);
        // Nobody holds the flag of an integration whose last key is gone.
        inner
            .switches
            .retain(|_, switch| Arc::strong_count(&switch.0) > 1);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(kind: KillKind, name: &str) -> KillSubject {
        KillSubject::parse(kind, name).unwrap()
    }

    fn acme() -> Covered<'static> {
        Covered {
            name: "acme",
            app: Some("marketing"),
            portal: PortalId::new(62515).unwrap(),
            person: [Some("Ada@Example.com"), Some("ada.king@example.com")],
        }
    }

    #[test]
    fn a_stop_covers_a_connection_by_name_app_portal_person_or_all() {
        for (kind, name, covers) in [
            (KillKind::Connection, "acme", true),
            (KillKind::Connection, "acm", false),
            (KillKind::App, "marketing", true),
            (KillKind::App, "acme", false),
            (KillKind::Portal, "62515", true),
            (KillKind::Portal, "6251", false),
            (KillKind::Person, " aDA@example.COM ", true),
            (KillKind::Person, "Ada.King@example.com", true),
            (KillKind::Person, "ada@example.org", false),
            (KillKind::All, "", true),
            (KillKind::Integration, "acme", false),
        ] {
            let stop = subject(kind, name);
            assert_eq!(stop.covers(acme()), covers, "{stop}");
            assert_eq!(Kills::new(1, [stop]).stop_connection(acme()), covers, "{name}");
        }
        let nobody = Covered {
            person: [None, None],
            app: None,
            ..acme()
        };
        assert!(!subject(KillKind::Person, "ada@example.com").covers(nobody));
        assert!(!subject(KillKind::App, "marketing").covers(nobody));
    }

    #[test]
    fn a_subject_has_one_spelling_and_nonsense_is_none() {
        for (kind, name) in [
            (KillKind::Integration, "Report"),
            (KillKind::Integration, ""),
            (KillKind::Connection, "123"),
            (KillKind::App, "a b"),
            (KillKind::Portal, "007"),
            (KillKind::Portal, "acme"),
            (KillKind::Person, "ada"),
            (KillKind::Person, "@example.com"),
            (KillKind::Person, "ada@"),
            (KillKind::Person, "a da@example.com"),
            (KillKind::Person, "a\nb@example.com"),
            (KillKind::All, "x"),
        ] {
            assert!(KillSubject::parse(kind, name).is_none(), "{kind:?} {name:?}");
        }
        assert_eq!(
            subject(KillKind::Person, "Ada@Example.com").name(),
            "ada@example.com"
        );
        assert_eq!(subject(KillKind::All, ""), KillSubject::all());
    }

    #[test]
    fn flags_follow_the_stops_and_new_ones_are_born_as_they_should_be() {
        let switches = Switches::default();
        let (_, old) = switches.of(&"report".into());
        assert!(!old.is_off());
        switches.apply(&Arc::new(Kills::new(
            1,
            [
                subject(KillKind::Integration, "report"),
                subject(KillKind::Integration, "later"),
            ],
        )));
        assert!(old.is_off() && switches.of(&"later".into()).1.is_off());
        assert!(!switches.of(&"other".into()).1.is_off());
        let everything = [KillSubject::all(), subject(KillKind::Integration, "report")];
        switches.apply(&Arc::new(Kills::new(2, everything)));
        assert!(switches.of(&"other".into()).1.is_off());
        switches.apply(&Arc::new(Kills::new(
            3,
            [subject(KillKind::Integration, "report")],
        )));
        assert!(old.is_off() && !switches.of(&"other".into()).1.is_off());
        switches.apply(&Arc::new(Kills::new(4, [])));
        assert!(!old.is_off());
    }
}
