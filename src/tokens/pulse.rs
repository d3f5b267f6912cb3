//! How a connection's reads and writes fare at HubSpot, and who last made one: counted on the request
//! path without a lock, written down by the control plane every few seconds.
//!
//! Times are whole seconds, so that a connection with a thousand calls a second stores one a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::access::connection::ConnectionId;
use crate::access::effect::Class;
use crate::hubspot::forbidden::ForbiddenCause;
use crate::store::{ClassHealth, ConnectionHealth, LastUse};

/// No such time yet.
const NEVER: i64 = i64::MIN;

/// Integrations told apart on one connection. Each has a policy file, so there are far fewer.
const INTEGRATIONS: usize = 1_000;

/// Why HubSpot refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// 401, and no other token helped.
    Unauthorised,
    /// 403.
    Forbidden(ForbiddenCause),
}

impl FailureCause {
    /// The word in lists, alerts and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::Forbidden(cause) => cause.as_str(),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "unauthorised" => Some(Self::Unauthorised),
            word => ForbiddenCause::parse(word).map(Self::Forbidden),
        }
    }

    fn all() -> impl Iterator<Item = Self> {
        let forbidden = ForbiddenCause::ALL.iter().copied().map(Self::Forbidden);
        std::iter::once(Self::Unauthorised).chain(forbidden)
    }
}

/// What is counted of one connection.
pub(super) struct Pulse {
    read: Side,
    write: Side,
    /// Only ever longer: an integration is added once and found by every later call.
    uses: ArcSwap<Vec<Arc<Use>>>,
    /// Something is to be written down.
    changed: AtomicBool,
}

struct Side {
    success: AtomicI64,
    failure: AtomicI64,
    /// Position in [`FailureCause::all`], from 1; 0 = none.
    cause: AtomicU8,
    successes: AtomicU64,
    failures: AtomicU64,
    failing_since: AtomicI64,
}

struct Use {
    integration: Arc<str>,
    read: AtomicI64,
    write: AtomicI64,
}

impl Use {
    fn of(&self, class: Class) -> &AtomicI64 {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
        }
    }
}

impl Default for Side {
    fn default() -> Self {
        Self {
            success: AtomicI64::new(NEVER),
            failure: AtomicI64::new(NEVER),
            cause: AtomicU8::new(0),
            successes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            failing_since: AtomicI64::new(NEVER),
        }
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            read: Side::default(),
            write: Side::default(),
            uses: ArcSwap::default(),
            changed: AtomicBool::new(false),
        }
    }
}

impl Pulse {
    /// HubSpot carried a call out. No lock; nothing is allocated but at an integration's first call.
    pub(super) fn succeeded(&self, class: Class, integration: &Arc<str>, now: Timestamp) {
        let (side, now) = (self.side(class), now.as_second());
        side.successes.fetch_add(1, Ordering::Relaxed);
        let is_over = side.failures.load(Ordering::Relaxed) != 0;
        if is_over {
            side.failures.store(0, Ordering::Relaxed);
            side.failing_since.store(NEVER, Ordering::Relaxed);
        }
        let is_news = moved(&side.success, now) | self.used(class, integration, now);
        if is_news || is_over {
            self.changed.store(true, Ordering::Release);
        }
    }

    /// HubSpot refused a call.
    pub(super) fn failed(&self, class: Class, cause: FailureCause, now: Timestamp) {
        let (side, now) = (self.side(class), now.as_second());
        let code = FailureCause::all().position(|known| known == cause);
        let code = code.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0);
        side.cause.store(code, Ordering::Relaxed);
        side.successes.store(0, Ordering::Relaxed);
        side.failure.store(now, Ordering::Relaxed);
        let _ = side
            .failing_since
            .compare_exchange(NEVER, now, Ordering::Relaxed, Ordering::Relaxed);
        side.failures.fetch_add(1, Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }

    fn used(&self, class: Class, integration: &Arc<str>, now: i64) -> bool {
        let is_it = |known: &&Arc<Use>| {
            Arc::ptr_eq(&known.integration, integration) || known.integration == *integration
        };
        if let Some(known) = self.uses.load().iter().find(is_it) {
            return moved(known.of(class), now);
        }
        self.uses.rcu(|uses| {
            let mut uses = Vec::clone(uses);
            if uses.len() < INTEGRATIONS && !uses.iter().any(|known| is_it(&known)) {
                uses.push(Arc::new(Use {
                    integration: Arc::clone(integration),
                    read: AtomicI64::new(NEVER),
                    write: AtomicI64::new(NEVER),
                }));
            }
            uses
        });
        let uses = self.uses.load();
        uses.iter()
            .find(is_it)
            .is_some_and(|known| moved(known.of(class), now))
    }

    /// Both sides as of now.
    pub(super) fn health(&self) -> ConnectionHealth {
        ConnectionHealth {
            read: self.read.health(),
            write: self.write.health(),
        }
    }

    /// When each integration last read and wrote.
    pub(super) fn uses(&self, connection: ConnectionId) -> Vec<LastUse> {
        let uses = self.uses.load();
        let each = uses
            .iter()
            .flat_map(|known| Class::ALL.map(|class| (known, class)));
        each.filter_map(|(known, class)| {
            Some(LastUse {
                integration: known.integration.to_string(),
                connection,
                class,
                at: time(known.of(class).load(Ordering::Relaxed))?,
            })
        })
        .collect()
    }

    /// Whether anything changed since this was last asked.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Acquire)
    }

    /// What could not be written down is to be written down.
    pub(super) fn owe(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Takes up what an earlier process wrote down. Before any call is counted.
    pub(super) fn resume(&self, health: &ConnectionHealth) {
        self.read.resume(&health.read);
        self.write.resume(&health.write);
    }

    fn side(&self, class: Class) -> &Side {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
        }
    }
}

impl Side {
    fn health(&self) -> ClassHealth {
        let cause = usize::from(self.cause.load(Ordering::Relaxed));
        let cause = cause.checked_sub(1).and_then(|at| FailureCause::all().nth(at));
        ClassHealth {
            success: time(self.success.load(Ordering::Relaxed)),
            failure: time(self.failure.load(Ordering::Relaxed)),
            cause: cause.map(|cause| cause.as_str().to_owned()),
            successes: self.successes.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            failing_since: time(self.failing_since.load(Ordering::Relaxed)),
        }
    }

    fn resume(&self, health: &ClassHealth) {
        let second = |time: Option<Timestamp>| time.map_or(NEVER, Timestamp::as_second);
        let cause = health.cause.as_deref().and_then(FailureCause::parse);
        let code = cause.and_then(|cause| FailureCause::all().position(|known| known == cause));
        let code = code.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or(0);
        self.success.store(second(health.success), Ordering::Relaxed);
        self.failure.store(second(health.failure), Ordering::Relaxed);
        self.cause.store(code, Ordering::Relaxed);
        self.successes.store(health.successes, Ordering::Relaxed);
        self.failures.store(health.failures, Ordering::Relaxed);
        self.failing_since
            .store(second(health.failing_since), Ordering::Relaxed);
    }
}

/// Sets a time, if it is another one: what all cores write to, none can read fast.
fn moved(cell: &AtomicI64, now: i64) -> bool {
    let is_news = cell.load(Ordering::Relaxed) != now;
    if is_news {
        cell.store(now, Ordering::Relaxed);
    }
    is_news
}

fn time(second: i64) -> Option<Timestamp> {
    match second {
        NEVER => None,
        second => Timestamp::from_second(second).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const DENIED: FailureCause = FailureCause::Forbidden(ForbiddenCause::UserPermission);

    #[test]
    fn reads_and_writes_fare_apart_and_a_success_ends_a_row_of_failures() {
        let pulse = Pulse::default();
        let report: Arc<str> = "report".into();
        pulse.succeeded(Class::Read, &report, at(10));
        for second in 11..14 {
            pulse.failed(Class::Write, DENIED, at(second));
        }
        let health = pulse.health();
        assert_eq!((health.read.success, health.read.failures), (Some(at(10)), 0));
        assert_eq!(health.write.failing_since, Some(at(11)));
        assert_eq!(health.write.failure, Some(at(13)));
        assert_eq!(
            (health.write.failures, health.write.cause.as_deref()),
            (3, Some("user_permission"))
        );
        pulse.succeeded(Class::Write, &report, at(20));
        let write = pulse.health().write;
        assert_eq!(
            (write.failures, write.failing_since, write.successes),
            (0, None, 1)
        );
        assert_eq!(write.failure, Some(at(13)), "the last failure stays known");
    }

    #[test]
    fn what_was_written_down_is_taken_up_again() {
        let (before, after) = (Pulse::default(), Pulse::default());
        before.succeeded(Class::Read, &"report".into(), at(10));
        before.failed(Class::Write, FailureCause::Unauthorised, at(11));
        after.resume(&before.health());
        assert_eq!(after.health(), before.health());
        for cause in FailureCause::all() {
            before.failed(Class::Read, cause, at(12));
            after.resume(&before.health());
            assert_eq!(after.health().read.cause.as_deref(), Some(cause.as_str()));
        }
    }

    #[test]
    fn the_last_use_of_each_integration_is_known_and_a_second_is_written_once() {
        let pulse = Pulse::default();
        let id = ConnectionId::generate([1; 12]);
        let (report, sync): (Arc<str>, Arc<str>) = ("report".into(), "sync".into());
        assert!(!pulse.take_changed());
        pulse.succeeded(Class::Read, &report, at(10));
        assert!(pulse.take_changed());
        pulse.succeeded(Class::Read, &Arc::from("report"), at(10));
        assert!(!pulse.take_changed(), "the same second");
        pulse.succeeded(Class::Write, &sync, at(11));
        pulse.succeeded(Class::Read, &report, at(12));
        let uses = pulse.uses(id);
        let uses: Vec<_> = uses
            .iter()
            .map(|one| (&*one.integration, one.class, one.at.as_second()))
            .collect();
        assert_eq!(uses, [("report", Class::Read, 12), ("sync", Class::Write, 11)]);
    }

    #[test]
    fn integrations_beyond_the_bound_are_served_and_not_told_apart() {
        let pulse = Pulse::default();
        for n in 0..INTEGRATIONS + 5 {
            pulse.succeeded(Class::Read, &format!("i{n}").into(), at(1));
        }
        assert_eq!(pulse.uses(ConnectionId::generate([1; 12])).len(), INTEGRATIONS);
    }
}
