//! Saving what a refresh brought goes before everything else that waits for the disk.
//!
//! Until it is durable, a crash loses a grant that was rotated. So a save never waits for more than the one
//! transaction that is under way: whoever has the writer carries out all saves before it lets go of it and
//! when it gets it, in one transaction with one sync.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::grants::{NewGrant, Saved, Ticket, save_all};
use super::{Provenance, Store, StoreError, commit};

/// How often who waits looks itself: a save may be queued in the moment between the last look of the
/// writer's holder and its letting go.
const LOOK: Duration = Duration::from_micros(500);

/// Saves that wait for the writer.
#[derive(Default)]
pub(super) struct Saves(Mutex<Vec<Arc<Save>>>);

struct Save {
    ticket: Ticket,
    grant: NewGrant,
    by: Provenance,
    /// Set by whoever carried it out.
    outcome: Mutex<Option<Result<Saved, StoreError>>>,
    told: Condvar,
}

/// The writer, in the hands of one thread. Invariant: no save waits while it changes hands.
pub(super) struct Writer<'a> {
    connection: MutexGuard<'a, Connection>,
    saves: &'a Saves,
}

impl<'a> Writer<'a> {
    pub(super) fn new(mut connection: MutexGuard<'a, Connection>, saves: &'a Saves) -> Self {
        saves.carry_out(&mut connection);
        Self { connection, saves }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.saves.carry_out(&mut self.connection);
    }
}

impl Deref for Writer<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Writer<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl Store {
    /// Saves generation n + 1 of every holder of the grant, ends intent and lease: before the new access
    /// token is used.
    ///
    /// Saving twice is saving once: when a commit's outcome was not known, the same call tells it. A
    /// holder that is gone or holds another grant by now is passed over; the outcome is that of the
    /// connection the ticket was asked for. A standing changes only if the connection lets traffic pass:
    /// an operator's suspension in the meantime stays.
    pub fn save_refreshed(
        &self,
        ticket: &Ticket,
        grant: &NewGrant,
        by: &Provenance,
    ) -> Result<Saved, StoreError> {
        let save = Arc::new(Save {
            ticket: ticket.clone(),
            grant: grant.clone(),
            by: by.clone(),
            outcome: Mutex::default(),
            told: Condvar::new(),
        });
        self.saves.lock().push(Arc::clone(&save));
        loop {
            match self.writer.try_lock() {
                // Getting the writer is enough.
                Ok(connection) => drop(Writer::new(connection, &self.saves)),
                Err(TryLockError::Poisoned(connection)) => {
                    drop(Writer::new(connection.into_inner(), &self.saves));
                }
                Err(TryLockError::WouldBlock) => {}
            }
            if let Some(outcome) = save.wait(LOOK) {
                return outcome;
            }
        }
    }
}

impl Saves {
    /// Carries out what waits, in one transaction.
    fn carry_out(&self, writer: &mut Connection) {
        let waiting = std::mem::take(&mut *self.lock());
        if waiting.is_empty() {
            return;
        }
        match together(writer, &waiting) {
            Ok(outcomes) => {
                for (save, outcome) in waiting.iter().zip(outcomes) {
                    save.tell(Ok(outcome));
                }
            }
            // One that fails must not take others along.
            Err(_) if waiting.len() > 1 => {
                for save in &waiting {
                    let alone = together(writer, std::slice::from_ref(save));
                    save.tell(alone.map(|outcomes| outcomes.first().copied().unwrap_or(Saved::Lost)));
                }
            }
            Err(error) => waiting
                .iter()
                .take(1)
                .zip([error])
                .for_each(|(save, error)| save.tell(Err(error))),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        self.len() > 0
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Save>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Save {
    fn tell(&self, outcome: Result<Saved, StoreError>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.told.notify_all();
    }

    /// The outcome, as soon as there is one and for at most `patience`.
    fn wait(&self, patience: Duration) -> Option<Result<Saved, StoreError>> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut outcome, _) = self
            .told
            .wait_timeout_while(outcome, patience, |outcome| outcome.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        outcome.take()
    }
}

fn together(writer: &mut Connection, saves: &[Arc<Save>]) -> Result<Vec<Saved>, StoreError> {
    let tx: Transaction<'_> = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes = saves
        .iter()
        .map(|save| save_all(&tx, &save.ticket, &save.grant, &save.by))
        .collect::<Result<_, _>>()?;
    commit(tx)?;
    Ok(outcomes)
}
