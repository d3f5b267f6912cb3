//! What becomes of a charge: noted in the store, grown while an answer comes, and settled in the end.

use std::sync::Arc;

use smallvec::SmallVec;

use super::ledger::Stored;
use super::slot::Added;
use super::{Exceeded, Quotas, meter_of};
use crate::access::connection::ConnectionId;
use crate::access::limits::{Counted, Limits};
use crate::store::{LimitChange, LimitUse};

/// What one call was charged, to be settled when it is over.
#[derive(Debug)]
pub struct Charged {
    pub(super) integration: Arc<str>,
    pub(super) connection: ConnectionId,
    pub(super) entries: SmallVec<[Entry; 2]>,
    /// The record reads that were reserved and what has been read of them.
    pub(super) read: Option<Read>,
    pub(super) durable: Option<Box<LimitUse>>,
    /// The store is known to have it. Only what it has may be taken out of it again.
    pub(super) is_noted: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) counted: Counted,
    pub(super) amount: u32,
    pub(super) added: Added,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) is_page: bool,
    pub(super) seen: u32,
}

impl Quotas {
    /// Begins to note in the store what must be there before the call goes up. `None`: nothing must.
    pub fn store(&self, charged: &Charged) -> Option<Stored> {
        let used = charged.durable.as_deref()?;
        Some(self.ledger.note(LimitChange::Use(used.clone())))
    }

    /// An answer was begun, a good one or not; records are counted in lists that are JSON alone, and what
    /// is none stays charged as it was.
    pub fn answered(&self, charged: &mut Charged, is_success: bool, is_json: bool) {
        let reserved = charged.reserved();
        let read = charged.read.as_mut().filter(|_| is_success);
        if let Some(read) = read.filter(|read| !(read.is_page && is_json)) {
            read.seen = reserved;
        }
    }

    /// So many records have come in the answer. Beyond what was reserved they are charged at once.
    ///
    /// # Errors
    /// There is no room for them: they must not go on.
    pub fn read_so_far(&self, charged: &mut Charged, limits: &Limits, records: u32) -> Result<(), Exceeded> {
        let reserved = charged.reserved();
        let Some(read) = charged.read.as_mut() else {
            return Ok(());
        };
        let more = records.saturating_sub(reserved);
        if more == 0 {
            read.seen = records;
            return Ok(());
        }
        let now = self.now_ms();
        let Some(cap) = limits.cap(Counted::RecordsRead) else {
            return Ok(());
        };
        let mut meters = self.lock(&charged.connection);
        let meter = meter_of(&mut meters, &charged.integration, charged.connection);
        let Some(slot) = meter.slot(Counted::RecordsRead, cap, now) else {
            return Ok(());
        };
        if let Some(exceeded) = slot.last().exceeded(Counted::RecordsRead, more, now) {
            return Err(exceeded);
        }
        let added = slot.add(more, now);
        read.seen = records;
        charged.entries.push(Entry {
            counted: Counted::RecordsRead,
            amount: more,
            added,
        });
        Ok(())
    }

    /// The call is over. Of what it was charged is given back what did not happen: everything when nothing
    /// went up, records that were reserved and did not come. A write that went up stays charged: what
    /// became of it, nobody here knows for sure.
    pub fn settle(&self, charged: Charged, went_up: bool) {
        let mut back: SmallVec<[(Entry, u32); 2]> = SmallVec::new();
        let mut seen = charged.read.map_or(0, |read| read.seen);
        for entry in &charged.entries {
            let stays = match (went_up, entry.counted) {
                (false, _) => 0,
                (true, Counted::RecordsRead) => {
                    let stays = entry.amount.min(seen);
                    seen -= stays;
                    stays
                }
                (true, _) => entry.amount,
            };
            if stays < entry.amount {
                back.push((*entry, entry.amount - stays));
            }
        }
        if !back.is_empty() {
            let now = self.now_ms();
            let mut meters = self.lock(&charged.connection);
            let of = meters.get_mut(&charged.integration);
            if let Some(meter) = of.and_then(|meters| meters.get_mut(&charged.connection)) {
                for (entry, amount) in back {
                    if let Some(slot) = meter.0.get_mut(entry.counted.index()).and_then(Option::as_mut) {
                        slot.take_back(entry.added, amount, now);
                    }
                }
            }
        }
        // What may not have been stored, or only after all, stays there if it is: taken back unseen, it
        // would take what others used.
        if let Some(used) = charged.durable.filter(|_| charged.is_noted && !went_up) {
            self.ledger.give_back(LimitChange::GiveBack(*used));
        }
    }
}

impl Charged {
    /// Records that may be read for what was charged.
    fn reserved(&self) -> u32 {
        let reads = self
            .entries
            .iter()
            .filter(|entry| entry.counted == Counted::RecordsRead);
        reads.map(|entry| entry.amount).fold(0, u32::saturating_add)
    }

    /// The store has told that it has what must be there.
    pub fn noted(&mut self) {
        self.is_noted = true;
    }

    /// Whether the records in the answer are to be counted.
    pub fn counts_answer(&self) -> bool {
        self.read.is_some_and(|read| read.is_page)
    }
}
