//! What integrations have used of the limits that are exact across restarts.
//!
//! A row sums up what fell into one part of a window. How old it is follows from the machine's own clock
//! as long as that runs; after another start of the machine from the wall clock, and never less than the
//! machine has been running since: a wall clock set back forgets nothing. A wall clock set forward while
//! the machine was off can't be told from time that passed.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Transaction, params};

use super::{MachineTime, Store, StoreError, read_number, stored_number};
use crate::access::connection::ConnectionId;
use crate::access::limits::Counted;
use crate::clock;

/// Parts a window has: what is counted is forgotten at most one part later than it could be.
pub const WINDOW_PARTS: u64 = 60;

/// One addition to what was used, or what is given back of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUse {
    /// Whose.
    pub integration: String,
    /// On which connection.
    pub connection: ConnectionId,
    /// Of what.
    pub counted: Counted,
    /// The window's length.
    pub window_ms: u64,
    /// How many records.
    pub records: u32,
    /// When it was used, by the machine's own clock.
    pub machine: MachineTime,
}

/// What was used and is not forgotten yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedLimit {
    /// Whose.
    pub integration: String,
    /// On which connection.
    pub connection: ConnectionId,
    /// Of what.
    pub counted: Counted,
    /// The window's length.
    pub window_ms: u64,
    /// How many records.
    pub records: u32,
    /// How long ago.
    pub age: Duration,
}

/// One change of what was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitChange {
    /// Used.
    Use(LimitUse),
    /// Given back: the call did not go up.
    GiveBack(LimitUse),
}

impl Store {
    /// Notes all of it in one transaction, and forgets what no window of these reaches any more.
    pub fn change_limit_uses(&self, changes: &[LimitChange]) -> Result<(), StoreError> {
        self.change_limit_uses_at(changes, clock::wall())
    }

    fn change_limit_uses_at(&self, changes: &[LimitChange], now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            for change in changes {
                match change {
                    LimitChange::Use(used) => add(tx, used, now)?,
                    LimitChange::GiveBack(used) => give_back(tx, used)?,
                }
            }
            Ok(())
        })
    }

    /// Forgets what no window reaches any more, whosever it was.
    pub fn forget_limit_uses(&self, machine: &MachineTime) -> Result<(), StoreError> {
        self.write(|tx| {
            let now = stored_number(machine.milliseconds)?;
            tx.execute(
                &format!("DELETE FROM limit_uses WHERE {STALE}"),
                params![machine.boot, now],
            )?;
            Ok(())
        })
    }

    /// Everything that a window may still reach, as of `machine`.
    pub fn limit_uses(&self, machine: &MachineTime) -> Result<Vec<UsedLimit>, StoreError> {
        self.limit_uses_at(machine, clock::wall())
    }

    fn limit_uses_at(&self, machine: &MachineTime, now: Timestamp) -> Result<Vec<UsedLimit>, StoreError> {
        let reader = self.reader();
        let mut statement = reader.prepare(
            "SELECT integration, connection, counted, window_ms, records, boot, boot_ms, at FROM limit_uses
             WHERE records > 0 ORDER BY at",
        )?;
        let mut found = statement.query([])?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let damaged = || StoreError::Damaged("what was used of a limit");
            let connection: String = row.get(1)?;
            let counted: String = row.get(2)?;
            let then = MachineTime {
                boot: row.get(5)?,
                milliseconds: read_number(row.get(6)?)?,
            };
            let window_ms = read_number(row.get(3)?)?;
            let age = age(machine, now, &then, row.get(7)?);
            if age.as_millis() > u128::from(reach(window_ms)) {
                continue;
            }
            rows.push(UsedLimit {
                integration: row.get(0)?,
                connection: ConnectionId::parse(&connection).ok_or_else(damaged)?,
                counted: Counted::parse(&counted).ok_or_else(damaged)?,
                window_ms,
                records: u32::try_from(row.get::<_, i64>(4)?).unwrap_or(u32::MAX),
                age,
            });
        }
        Ok(rows)
    }
}

/// What no window reaches any more, in a run ?1 of the machine at ?2: of an earlier run what is older than
/// this one.
const STALE: &str = "(window_ms + window_ms / 60 + 1) < (CASE boot WHEN ?1 THEN ?2 - boot_ms ELSE ?2 END)";

/// How long something counts: the window, and the part it fell into.
fn reach(window_ms: u64) -> u64 {
    window_ms + part_ms(window_ms)
}

fn part_ms(window_ms: u64) -> u64 {
    window_ms.div_ceil(WINDOW_PARTS).max(1)
}

/// How long ago: never less than is certain.
fn age(machine: &MachineTime, now: Timestamp, then: &MachineTime, at_ms: i64) -> Duration {
    if machine.boot == then.boot {
        return machine.since(then).unwrap_or_default();
    }
    let by_wall = now.as_millisecond().saturating_sub(at_ms);
    let since_start = machine.milliseconds;
    Duration::from_millis(u64::try_from(by_wall).unwrap_or(0).max(since_start))
}

fn add(tx: &Transaction<'_>, used: &LimitUse, now: Timestamp) -> Result<(), StoreError> {
    let machine = &used.machine;
    let (integration, connection, counted) =
        (&used.integration, used.connection.as_str(), used.counted.as_str());
    // By the machine's clock alone: a wall clock that jumps makes nothing forgotten.
    let mut forget = tx.prepare_cached(&format!(
        "DELETE FROM limit_uses WHERE {STALE} AND integration = ?3 AND connection = ?4 AND counted = ?5"
    ))?;
    forget.execute(params![
        machine.boot,
        stored_number(machine.milliseconds)?,
        integration,
        connection,
        counted,
    ])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO limit_uses (integration, connection, counted, boot, part, window_ms, records, boot_ms, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (integration, connection, counted, boot, part, window_ms) DO UPDATE SET
         records = records + excluded.records, boot_ms = max(boot_ms, excluded.boot_ms), at = max(at, excluded.at)",
    )?;
    insert.execute(params![
        integration,
        connection,
        counted,
        machine.boot,
        part(used)?,
        stored_number(used.window_ms)?,
        used.records,
        stored_number(machine.milliseconds)?,
        now.as_millisecond(),
    ])?;
    Ok(())
}

fn give_back(tx: &Transaction<'_>, used: &LimitUse) -> Result<(), StoreError> {
    let mut update = tx.prepare_cached(
        "UPDATE limit_uses SET records = max(0, records - ?7)
         WHERE integration = ?1 AND connection = ?2 AND counted = ?3 AND boot = ?4 AND part = ?5 AND window_ms = ?6",
    )?;
    update.execute(params![
        used.integration,
        used.connection.as_str(),
        used.counted.as_str(),
        used.machine.boot,
        part(used)?,
        stored_number(used.window_ms)?,
        used.records,
    ])?;
    Ok(())
}

fn part(used: &LimitUse) -> Result<i64, StoreError> {
    stored_number(used.machine.milliseconds / part_ms(used.window_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::store;

    const HOUR_MS: u64 = 3_600_000;

    fn machine(boot: &str, milliseconds: u64) -> MachineTime {
        MachineTime {
            boot: boot.to_owned(),
            milliseconds,
        }
    }

    fn used(boot: &str, milliseconds: u64, records: u32) -> LimitUse {
        LimitUse {
            integration: "desk".to_owned(),
            connection: ConnectionId::generate([7; 12]),
            counted: Counted::RecordsDeleted,
            window_ms: HOUR_MS,
            records,
            machine: machine(boot, milliseconds),
        }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    /// Records and their ages in milliseconds.
    fn seen(store: &Store, now: &MachineTime, wall: i64) -> Vec<(u32, u128)> {
        let rows = store.limit_uses_at(now, at(wall)).unwrap();
        rows.iter()
            .map(|row| (row.records, row.age.as_millis()))
            .collect()
    }

    #[test]
    fn what_was_used_is_as_old_as_the_machines_clock_says_wherever_the_wall_clock_went() {
        let (_dir, store) = store();
        let wall = 1_700_000_000_000;
        store
            .change_limit_uses_at(&[LimitChange::Use(used("a", 5_000_000, 3))], at(wall))
            .unwrap();
        for jumped in [wall, wall - 86_400_000, wall + 86_400_000 * 365] {
            assert_eq!(seen(&store, &machine("a", 5_060_000), jumped), [(3, 60_000)]);
        }
        assert_eq!(
            seen(&store, &machine("a", 5_000_000 + HOUR_MS + 60_001), wall),
            []
        );
    }

    #[test]
    fn after_another_start_of_the_machine_the_wall_clock_counts_and_one_set_back_forgets_nothing() {
        let (_dir, store) = store();
        let wall = 1_700_000_000_000;
        store
            .change_limit_uses_at(&[LimitChange::Use(used("a", 5_000_000, 3))], at(wall))
            .unwrap();
        assert_eq!(
            seen(&store, &machine("b", 10_000), wall + 600_000),
            [(3, 600_000)]
        );
        assert_eq!(
            seen(&store, &machine("b", 10_000), wall - 86_400_000),
            [(3, 10_000)]
        );
        assert_eq!(seen(&store, &machine("b", 10_000), wall + 2 * 3_600_000), []);
        assert_eq!(
            seen(&store, &machine("b", HOUR_MS * 2), wall - 86_400_000),
            [],
            "it is older than that"
        );
    }

    #[test]
    fn what_did_not_go_up_is_given_back_and_never_more_than_was_used() {
        let (_dir, store) = store();
        let wall = 1_700_000_000_000;
        let (first, second) = (used("a", 5_000_000, 3), used("a", 5_000_001, 4));
        let changes = [
            LimitChange::Use(first.clone()),
            LimitChange::Use(second),
            LimitChange::GiveBack(first.clone()),
        ];
        store.change_limit_uses_at(&changes, at(wall)).unwrap();
        assert_eq!(seen(&store, &machine("a", 5_000_001), wall), [(4, 0)]);
        let twice = [LimitChange::GiveBack(first.clone()), LimitChange::GiveBack(first)];
        store.change_limit_uses_at(&twice, at(wall)).unwrap();
        assert_eq!(seen(&store, &machine("a", 5_000_001), wall), []);
    }

    #[test]
    fn rows_are_as_few_as_a_window_has_parts_and_other_runs_are_forgotten_once_a_window_has_passed() {
        let (_dir, store) = store();
        let wall = 1_700_000_000_000;
        let count = |store: &Store| -> i64 {
            let reader = store.reader();
            reader
                .query_row("SELECT count(*) FROM limit_uses", [], |row| row.get(0))
                .unwrap()
        };
        store
            .change_limit_uses_at(&[LimitChange::Use(used("before", 5_000_000, 3))], at(wall))
            .unwrap();
        for n in 0..500 {
            let change = LimitChange::Use(used("a", 1_000 + n * 30_000, 1));
            store.change_limit_uses_at(&[change], at(wall)).unwrap();
            assert!(count(&store) <= 64, "{n}");
        }
        let now = machine("a", 1_000 + 499 * 30_000);
        store.forget_limit_uses(&now).unwrap();
        assert!(count(&store) <= 62);
        let rows = seen(&store, &now, wall);
        let records: u32 = rows.iter().map(|(records, _)| records).sum();
        assert!(
            (120..=124).contains(&records),
            "an hour holds two a minute: {records}"
        );
    }
}
