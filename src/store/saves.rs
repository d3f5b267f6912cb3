//! Saving what a refresh brought goes before everything else that waits for the disk.
//!
//! Until it is durable, a crash loses a grant that was rotated. So a save never waits for more than the one
//! transaction that is under way: whoever gets the writer next carries out all saves first, in one
//! transaction with one sync.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::grants::{NewGrant, Saved, Ticket, save_all};
use super::{Provenance, Store, StoreError};

/// Saves that wait for the writer.
#[derive(Default)]
pub(super) struct Saves(Mutex<Vec<Arc<Save>>>);

struct Save {
    ticket: Ticket,
    grant: NewGrant,
    by: Provenance,
    /// Set by whoever carried it out.
    outcome: Mutex<Option<Result<Saved, StoreError>>>,
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
        });
        self.saves.lock().push(Arc::clone(&save));
        // Getting the writer is enough: either somebody before us has carried it out, or this does.
        drop(self.writer());
        let outcome = save.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.unwrap_or(Err(StoreError::Interrupted))
    }
}

impl Saves {
    /// Carries out what waits. Invariant: called by whoever takes the writer, before anything else.
    pub(super) fn carry_out(&self, writer: &mut Connection) {
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
            Err(error) => waiting.iter().take(1).zip([error]).for_each(|(save, error)| save.tell(Err(error))),
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
    }
}

fn together(writer: &mut Connection, saves: &[Arc<Save>]) -> Result<Vec<Saved>, StoreError> {
    let tx: Transaction<'_> = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let outcomes = saves
        .iter()
        .map(|save| save_all(&tx, &save.ticket, &save.grant, &save.by))
        .collect::<Result<_, _>>()?;
    tx.commit()?;
    Ok(outcomes)
}
