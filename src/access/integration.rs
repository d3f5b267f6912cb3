//! Which integration a presented key stands for.
//!
//! [`KeyIndex`] is part of the snapshot requests work on: immutable, sharded so that one changed key
//! copies one shard. A revocation also flips a flag shared by old and new snapshots, so that a call
//! already under way sees it at its next look; so do a rotation's date and an emergency stop of the integration.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use jiff::Timestamp;

use crate::access::connection::ConnectionId;
use crate::access::key::{KeyHash, KeyId, PresentedKey};
use crate::access::kill::{Switch, Switches};
use crate::access::refusal::Reason;

/// With 256 shards, a change among 100,000 keys copies 400 entries.
const SHARDS: usize = 256;

/// What a key may be used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// One connection, by id.
    Connection(ConnectionId),
    /// Every connection the integration's policy names; each request names one.
    Any,
}

/// One key as the request path knows it.
#[derive(Debug)]
pub struct KeyEntry {
    /// Public id.
    pub id: KeyId,
    /// The integration it stands for.
    pub integration: Arc<str>,
    /// What it may be used with.
    pub binding: Binding,
    /// Client connections that are open with it now; the same in old and new snapshots.
    pub connections: Arc<AtomicUsize>,
    hash: KeyHash,
    end: Arc<End>,
    integration_switch: Switch,
}

/// Whether and when a key ends; the same in old and new snapshots, so that a call under way sees a revocation,
/// and a date that a rotation has brought forward.
#[derive(Debug)]
struct End {
    revoked: AtomicBool,
    /// From this microsecond on it is worthless.
    expires: AtomicI64,
}

impl End {
    /// Later than any time there is.
    const NEVER: i64 = i64::MAX;

    fn new(revoked: bool, expires: Option<Timestamp>) -> Self {
        Self {
            revoked: AtomicBool::new(revoked),
            expires: AtomicI64::new(expires.map_or(Self::NEVER, Timestamp::as_microsecond)),
        }
    }

    fn set_to(&self, other: &Self) {
        let (revoked, expires) = (&other.revoked, &other.expires);
        self.expires
            .store(expires.load(Ordering::Acquire), Ordering::Release);
        self.revoked
            .store(revoked.load(Ordering::Acquire), Ordering::Release);
    }

    fn is_over(&self, now: impl FnOnce() -> Timestamp) -> bool {
        let expires = self.expires.load(Ordering::Acquire);
        expires != Self::NEVER && now().as_microsecond() >= expires
    }
}

impl KeyEntry {
    /// An entry as stored.
    pub fn new(
        id: KeyId,
        hash: KeyHash,
        integration: Arc<str>,
        binding: Binding,
        expires: Option<Timestamp>,
        revoked: bool,
    ) -> Self {
        Self {
            id,
            integration,
            binding,
            connections: Arc::default(),
            hash,
            end: Arc::new(End::new(revoked, expires)),
            integration_switch: Switch::default(),
        }
    }

    /// From when on it is worthless, as was said last.
    pub fn expires(&self) -> Option<Timestamp> {
        match self.end.expires.load(Ordering::Acquire) {
            End::NEVER => None,
            end => Timestamp::from_microsecond(end).ok(),
        }
    }

    /// What is wrong with the key now, if anything: asked after authentication and after every wait. Only a key
    /// that ends asks for the time.
    pub fn fault(&self, now: impl FnOnce() -> Timestamp) -> Option<KeyFault> {
        if self.end.revoked.load(Ordering::Acquire) {
            Some(KeyFault::Revoked)
        } else if self.end.is_over(now) {
            Some(KeyFault::Expired)
        } else if self.integration_switch.is_off() {
            Some(KeyFault::Killed)
        } else {
            None
        }
    }
}

/// Why a well-formed key opens nothing. For logs and metrics only: the answer on the wire is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// No such id, or another secret.
    Unknown,
    /// Revoked for good.
    Revoked,
    /// Past its date.
    Expired,
    /// Good, but its integration is stopped in an emergency.
    Killed,
}

impl KeyFault {
    /// The word in metrics and audit.
    pub fn reason(self) -> Reason {
        match self {
            Self::Unknown => Reason::KeyUnknown,
            Self::Revoked => Reason::KeyRevoked,
            Self::Expired => Reason::KeyExpired,
            Self::Killed => Reason::Killed,
        }
    }
}

/// Ids are random, and those in the map are the gate's own: hashing them again would spread them no
/// better, and whoever presents an id can't choose which others it meets.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        // Characters leave bits unused; a product with an odd number lifts the others into all of them.
        let product = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ (product >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Shard = HashMap<KeyId, Arc<KeyEntry>, BuildHasherDefault<Spread>>;

/// All keys, by id.
#[derive(Clone, Debug)]
pub struct KeyIndex {
    shards: Box<[Arc<Shard>]>,
    switches: Arc<Switches>,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            switches: Arc::default(),
        }
    }
}

impl KeyIndex {
    /// An index of `entries`; a later entry replaces an earlier one of the same id.
    pub fn build(entries: impl IntoIterator<Item = KeyEntry>) -> Self {
        Self::build_on(Arc::default(), entries)
    }

    /// Likewise; every key, now and later, hangs on its integration's flag in `switches`.
    pub fn build_on(switches: Arc<Switches>, entries: impl IntoIterator<Item = KeyEntry>) -> Self {
        let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
        for mut entry in entries {
            (entry.integration, entry.integration_switch) = switches.of(&entry.integration);
            if let Some(shard) = shards.get_mut(shard_of(&entry.id)) {
                shard.insert(entry.id, Arc::new(entry));
            }
        }
        Self {
            shards: shards.into_iter().map(Arc::new).collect(),
            switches,
        }
    }

    /// Adds a key or changes one. Of what an older index holds, the key's shard is copied, once for all that is
    /// put into it; the others stay shared.
    ///
    /// The new entry takes over the old one's shared end and sets it, so calls that hold the old snapshot see
    /// a revocation or a new date, too.
    pub fn put(&mut self, mut entry: KeyEntry) {
        (entry.integration, entry.integration_switch) = self.switches.of(&entry.integration);
        let Some(shard) = self.shards.get_mut(shard_of(&entry.id)) else {
            return;
        };
        let shard = Arc::make_mut(shard);
        if let Some(old) = shard.get(&entry.id) {
            old.end.set_to(&entry.end);
            entry.end = Arc::clone(&old.end);
            entry.connections = Arc::clone(&old.connections);
        }
        shard.insert(entry.id, Arc::new(entry));
    }

    /// Takes a key away; calls that still hold the entry see it as revoked.
    pub fn remove(&mut self, id: &KeyId) {
        let shard = self.shards.get_mut(shard_of(id)).map(Arc::make_mut);
        if let Some(old) = shard.and_then(|shard| shard.remove(id)) {
            old.end.revoked.store(true, Ordering::Release);
        }
    }

    /// The entry of an id, whatever its state.
    pub fn find(&self, id: &KeyId) -> Option<&Arc<KeyEntry>> {
        self.shards.get(shard_of(id)).and_then(|shard| shard.get(id))
    }

    /// Whose key this is, if it is good now.
    ///
    /// An unknown id costs the same compare as a known one, and a wrong secret is `Unknown` whatever
    /// the state of the key it guesses at: state is told only to who knows the secret.
    pub fn authenticate(
        &self,
        presented: &PresentedKey,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<&Arc<KeyEntry>, KeyFault> {
        const NOBODY: [u8; 32] = [0; 32];
        let entry = self.find(&presented.id);
        let stored = entry.map_or(KeyHash::from_stored(NOBODY), |entry| entry.hash);
        let same = stored.matches(&presented.hash);
        let entry = entry.filter(|_| same).ok_or(KeyFault::Unknown)?;
        match entry.fault(now) {
            None => Ok(entry),
            Some(fault) => Err(fault),
        }
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<KeyEntry>> {
        self.shards.iter().flat_map(|shard| shard.values())
    }

    /// How many keys there are, in whatever state.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Ids are random base62: two characters spread evenly enough.
fn shard_of(id: &KeyId) -> usize {
    let [first, second, ..] = *id.as_bytes();
    (usize::from(first) * 31 + usize::from(second)) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::key::{Environment, IssuedKey, KeyRandomness};

    fn issue(seed: u8) -> IssuedKey {
        let mut id = [seed; 12];
        id[5] = seed.wrapping_mul(31);
        IssuedKey::generate(
            Environment::Live,
            &KeyRandomness {
                id,
                secret: zeroize::Zeroizing::new([seed; 32]),
            },
        )
    }

    impl KeyIndex {
        /// The next index: with one key put.
        fn with(&self, entry: KeyEntry) -> Self {
            let mut next = self.clone();
            next.put(entry);
            next
        }
    }

    fn entry(key: &IssuedKey, revoked: bool, expires: Option<Timestamp>) -> KeyEntry {
        KeyEntry::new(key.id, key.hash, "crm".into(), Binding::Any, expires, revoked)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn presented(key: &IssuedKey) -> PresentedKey {
        PresentedKey::parse(key.text.expose()).unwrap()
    }

    #[test]
    fn a_known_key_stands_for_its_integration() {
        let key = issue(1);
        let index = KeyIndex::build([entry(&key, false, None)]);
        assert_eq!(
            &*index
                .authenticate(&presented(&key), || at(0))
                .unwrap()
                .integration,
            "crm"
        );
    }

    #[test]
    fn states_are_told_only_to_who_knows_the_secret() {
        let key = issue(1);
        let revoked = KeyIndex::build([entry(&key, true, None)]);
        assert_eq!(
            revoked.authenticate(&presented(&key), || at(0)).err(),
            Some(KeyFault::Revoked)
        );
        let mut guess = presented(&issue(2));
        guess.id = key.id;
        assert_eq!(
            revoked.authenticate(&guess, || at(0)).err(),
            Some(KeyFault::Unknown)
        );
        let empty = KeyIndex::default();
        assert_eq!(
            empty.authenticate(&presented(&key), || at(0)).err(),
            Some(KeyFault::Unknown)
        );
    }

    #[test]
    fn a_key_expires_on_the_instant() {
        let key = issue(1);
        let index = KeyIndex::build([entry(&key, false, Some(at(100)))]);
        assert!(index.authenticate(&presented(&key), || at(99)).is_ok());
        assert_eq!(
            index.authenticate(&presented(&key), || at(100)).err(),
            Some(KeyFault::Expired)
        );
    }

    #[test]
    fn a_call_under_way_sees_the_revocation_in_its_old_snapshot() {
        let key = issue(1);
        let old = KeyIndex::build([entry(&key, false, None)]);
        let held = Arc::clone(old.authenticate(&presented(&key), || at(0)).unwrap());
        let new = old.with(entry(&key, true, None));
        assert_eq!(held.fault(|| at(0)), Some(KeyFault::Revoked));
        assert!(new.authenticate(&presented(&key), || at(0)).is_err());
        let back = new.with(entry(&key, false, None));
        assert_eq!(held.fault(|| at(0)), None);
        let mut gone = back.clone();
        gone.remove(&key.id);
        assert_eq!(held.fault(|| at(0)), Some(KeyFault::Revoked));
        assert!(gone.is_empty());
    }

    #[test]
    fn a_call_under_way_sees_a_date_that_is_set_or_moved_meanwhile() {
        let key = issue(1);
        let old = KeyIndex::build([entry(&key, false, None)]);
        let held = Arc::clone(old.authenticate(&presented(&key), || at(0)).unwrap());
        assert_eq!(held.fault(|| Timestamp::MAX), None);
        let rotated = old.with(entry(&key, false, Some(at(100))));
        assert_eq!(held.fault(|| at(99)), None);
        assert_eq!(held.fault(|| at(100)), Some(KeyFault::Expired));
        let sooner = rotated.with(entry(&key, false, Some(at(50))));
        assert_eq!(held.fault(|| at(50)), Some(KeyFault::Expired));
        let _never = sooner.with(entry(&key, false, None));
        assert_eq!(held.fault(|| Timestamp::MAX), None);
    }

    #[test]
    fn a_stopped_integrations_keys_are_faulty_in_old_snapshots_and_those_of_later_are_born_so() {
        use crate::access::kill::{KillKind, KillSubject, Kills};
        let (key, later) = (issue(1), issue(2));
        let switches: Arc<Switches> = Arc::default();
        let old = KeyIndex::build_on(Arc::clone(&switches), [entry(&key, false, None)]);
        let held = Arc::clone(old.authenticate(&presented(&key), || at(0)).unwrap());
        let stop = KillSubject::parse(KillKind::Integration, "crm").unwrap();
        switches.apply(&Arc::new(Kills::new(1, [stop])));
        assert_eq!(held.fault(|| at(0)), Some(KeyFault::Killed));
        let new = old.with(entry(&later, false, None));
        assert_eq!(
            new.authenticate(&presented(&later), || at(0)).err(),
            Some(KeyFault::Killed)
        );
        let revoked = new.with(entry(&later, true, None));
        switches.apply(&Arc::new(Kills::new(2, [])));
        assert_eq!(held.fault(|| at(0)), None);
        assert_eq!(
            revoked.authenticate(&presented(&later), || at(0)).err(),
            Some(KeyFault::Revoked),
            "a revival brings no revoked key back"
        );
    }

    #[test]
    fn many_changes_copy_a_shard_once() {
        let entries = || (0..200).map(|seed| entry(&issue(seed), false, None));
        let mut next = KeyIndex::build(entries());
        let before = next.clone();
        let copies: usize = entries()
            .map(|entry| {
                let shard = shard_of(&entry.id);
                let at = Arc::as_ptr(&next.shards[shard]);
                next.put(entry);
                usize::from(Arc::as_ptr(&next.shards[shard]) != at)
            })
            .sum();
        let filled = before.shards.iter().filter(|shard| !shard.is_empty()).count();
        assert_eq!(copies, filled);
        assert!(filled < 200, "some shards have more than one");
    }

    #[test]
    fn one_change_copies_one_shard() {
        let index = KeyIndex::build((0..200).map(|seed| entry(&issue(seed), false, None)));
        assert_eq!(index.len(), 200);
        let changed = index.with(entry(&issue(7), true, None));
        let copied = index
            .shards
            .iter()
            .zip(&changed.shards)
            .filter(|(a, b)| !Arc::ptr_eq(a, b))
            .count();
        assert_eq!(copied, 1);
        assert_eq!(changed.len(), 200);
    }
}
