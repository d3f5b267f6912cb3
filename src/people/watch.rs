//! The watchers: each polls the people of its own portal, with back-off, for ever.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ask::{self, Round};
use super::verdict::{Held, Sighting};
use super::{People, keep};
use crate::access::connection::{ConnectionName, PortalId};
use crate::audit::{GateEvent, GateRecord, Record};
use crate::clock;
use crate::store::{PersonRow, Provenance, Store, StoreError, WatchRow};
use crate::tokens::ConnectionState;

/// Longest pause between two polls, whatever HubSpot asks for: what is unknown for longer than a day is
/// a finding, so asking must go on.
const PAUSE_MOST: Duration = Duration::from_secs(3600);

/// Super admins that are kept by name.
const SUPER_ADMINS_KEPT: usize = 50;

/// Watches until `stop`.
pub(super) async fn run(people: Arc<People>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for name in people.settings.watchers.iter().cloned() {
        tasks.spawn(watch(Arc::clone(&people), name, stop.clone()));
    }
    tasks.spawn(keep::run(Arc::clone(&people), stop.clone()));
    while tasks.join_next().await.is_some() {}
}

async fn watch(people: Arc<People>, name: String, stop: CancellationToken) {
    let every = people.settings.every;
    let mut failures = 0;
    // Spread over a while: all gates of a host start together.
    let mut pause = portion(every.min(Duration::from_secs(10)), random());
    let mut missing = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let rest = match connection(&people, &name) {
            None => {
                if !std::mem::replace(&mut missing, true) {
                    tracing::error!(
                        watcher = name,
                        "`people.watchers` names a connection that does not exist: add it with `scopegate connection add`"
                    );
                }
                None
            }
            Some(watcher) => {
                missing = false;
                tokio::select! {
                    () = stop.cancelled() => return,
                    rest = people.poll(&watcher) => rest,
                }
            }
        };
        failures = if rest.is_some() { failures + 1 } else { 0 };
        pause = next_pause(every, failures, rest.unwrap_or_default(), random());
    }
}

fn connection(people: &People, name: &str) -> Option<Arc<ConnectionState>> {
    people.live.by_name(&ConnectionName::parse(name)?)
}

impl People {
    /// One poll of a watcher's portal; `Some`: HubSpot did not answer or wants to be left alone.
    async fn poll(&self, watcher: &Arc<ConnectionState>) -> Option<Duration> {
        // A few portals at a time: each poll is a handful of questions, one after the other.
        let _turn = self.turns.acquire().await.ok()?;
        let portal = watcher.portal();
        let ids = match self.on_disk(move |store| installers(store, portal)).await {
            Ok(ids) => ids,
            Err(error) => {
                self.store_failed(&error);
                return None;
            }
        };
        let now = clock::now();
        let round = ask::round(&self.live, watcher, &ids, now).await;
        self.record(watcher, &round);
        let rest = round.rest;
        let (name, by, apart) = (
            watcher.name().to_string(),
            self.provenance(),
            self.settings.every / 2,
        );
        let kept = self
            .on_disk(move |store| keep_round(store, portal, name, round, apart, &by))
            .await;
        if let Err(error) = kept {
            self.store_failed(&error);
        }
        self.look.notify_one();
        rest
    }

    /// Every round stands in the audit log: it used a token without a permit.
    fn record(&self, watcher: &ConnectionState, round: &Round) {
        let outcome = round.trouble.as_deref().unwrap_or("fine");
        let record = GateRecord {
            time: clock::wall(),
            event: GateEvent::Watch,
            boot: self.boot,
            detail: format!(
                "watcher {}: {} questions about {} people: {outcome}",
                watcher.name(),
                round.asked,
                round.people.len()
            ),
        };
        // Counted by the log itself when it finds no room.
        let _ = self.audit.push(Record::Gate(Box::new(record)));
        if let Some(trouble) = &round.trouble {
            tracing::warn!(watcher = %watcher.name(), trouble, "people could not be watched; what is unknown blocks nothing");
        }
    }
}

/// The people whom a portal's connections stand on.
fn installers(store: &Store, portal: PortalId) -> Result<Vec<u64>, StoreError> {
    let rows = store.connections()?;
    let ids: BTreeSet<u64> = rows
        .iter()
        .filter(|row| row.portal == portal)
        .filter_map(|row| row.user_id)
        .collect();
    Ok(ids.into_iter().collect())
}

fn keep_round(
    store: &Store,
    portal: PortalId,
    watcher: String,
    round: Round,
    apart: Duration,
    by: &Provenance,
) -> Result<(), StoreError> {
    let now = clock::now();
    for (user_id, sighting, email) in &round.people {
        let before = store.person(portal, *user_id)?;
        let row = seen(portal, *user_id, before, sighting, email.as_deref(), now, apart);
        store.note_person(&row, by)?;
    }
    let earlier = store.watches()?.into_iter().find(|watch| watch.portal == portal);
    let (mut super_admins, others) = match (round.able, earlier) {
        (Some(able), _) => able,
        // Better what was known than nothing; `asked` and `trouble` say how good it is.
        (None, Some(earlier)) => (earlier.super_admins, earlier.others),
        (None, None) => (Vec::new(), 0),
    };
    super_admins.truncate(SUPER_ADMINS_KEPT);
    store.note_watch(&WatchRow {
        portal,
        watcher,
        asked: now,
        trouble: round.trouble,
        super_admins,
        others,
    })
}

/// A person's row after a poll.
fn seen(
    portal: PortalId,
    user_id: u64,
    before: Option<PersonRow>,
    sighting: &Sighting,
    email: Option<&str>,
    now: Timestamp,
    apart: Duration,
) -> PersonRow {
    let first_seen = before.as_ref().map_or(now, |row| row.presence_since);
    let mut held = before.as_ref().map_or_else(Held::default, held);
    held.take(sighting, now, apart);
    let (unknown_since, unknown_why) = match held.unknown.clone() {
        None => (None, None),
        Some(unknown) => (Some(unknown.since), Some(unknown.why)),
    };
    PersonRow {
        portal,
        user_id,
        email: email
            .map(str::to_owned)
            .or_else(|| before.as_ref().and_then(|row| row.email.clone())),
        super_admin: held.rights.as_ref().map(|rights| rights.super_admin),
        presence: held.presence,
        presence_since: held.presence_since.unwrap_or(first_seen),
        lost_rights_since: held.lost_rights_since,
        unknown_since,
        unknown_why,
        seen: held.seen,
        watch: serde_json::to_string(&held).unwrap_or_default(),
    }
}

/// What is held of a person. What another version wrote down is not understood; what was settled stays.
fn held(row: &PersonRow) -> Held {
    serde_json::from_str(&row.watch).unwrap_or_else(|_| {
        Held::settled(
            row.presence,
            row.presence_since,
            row.lost_rights_since,
            row.unknown_since,
        )
    })
}

/// How long to wait for the next poll: doubled for every failure in a row, no shorter than HubSpot asks
/// for, spread by a tenth to both sides.
fn next_pause(every: Duration, failures: u32, rest: Duration, random: u8) -> Duration {
    let doubled = every.saturating_mul(1 << failures.min(5));
    let wait = doubled.min(PAUSE_MOST.max(every)).max(rest.min(PAUSE_MOST));
    wait.mul_f64(0.9) + portion(wait.mul_f64(0.2), random)
}

fn portion(whole: Duration, random: u8) -> Duration {
    whole.mul_f64(f64::from(random) / 255.0)
}

/// Spreads what would otherwise happen together; not a secret.
fn random() -> u8 {
    let mut byte = [0];
    // Without randomness nothing is spread, which harms nobody.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::installer::Presence;

    #[test]
    fn what_was_settled_outlives_a_note_that_nobody_understands() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let portal = PortalId::new(1).unwrap();
        let row = PersonRow {
            portal,
            user_id: 7,
            email: None,
            super_admin: None,
            presence: Presence::Removed,
            presence_since: at(1),
            lost_rights_since: Some(at(2)),
            unknown_since: Some(at(3)),
            unknown_why: None,
            seen: None,
            watch: "{\"of\":\"a later version\"".to_owned(),
        };
        let unknown = Sighting::unknown("HubSpot could not be reached");
        let next = seen(
            portal,
            7,
            Some(row),
            &unknown,
            None,
            at(9),
            Duration::from_secs(1),
        );
        assert_eq!((next.presence, next.presence_since), (Presence::Removed, at(1)));
        assert_eq!(
            (next.lost_rights_since, next.unknown_since),
            (Some(at(2)), Some(at(3)))
        );
    }

    #[test]
    fn polls_slow_down_while_hubspot_does_not_answer_and_never_stop() {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        for (failures, rest, least, most) in [
            (0, 0, 4, 6),
            (1, 0, 9, 11),
            (3, 0, 36, 44),
            (9, 0, 54, 66),
            // As HubSpot asks, up to an hour.
            (1, 20, 18, 22),
            (1, 600, 54, 66),
        ] {
            for random in [0, 128, 255] {
                let pause = next_pause(minutes(5), failures, minutes(rest), random);
                assert!(
                    pause >= minutes(least) && pause <= minutes(most),
                    "{failures} {rest}: {pause:?}"
                );
            }
        }
        assert!(next_pause(minutes(120), 3, Duration::ZERO, 0) >= minutes(100));
    }
}
