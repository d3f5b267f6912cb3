//! What integrations have used of their policies' limits, each on each connection by itself.
//!
//! In memory, in sliding windows on a clock that only goes forward, and of what is deleted in the store
//! as well ([`Ledger`]), before a call goes up: so no restart, crash or wall clock gives anything back. A
//! call is charged as a whole or not at all. One short lock a call that is counted, shared by a sixteenth
//! of all connections: a charge is over several windows at once, and exact. A policy without caps never
//! gets here.
//!
//! Deliberately absent: what a request costs (`access::charge`), and what becomes of one that does not fit.

mod charged;
mod ledger;
mod slot;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

pub use charged::Charged;
use charged::{Entry, Read};
pub use ledger::{Ledger, Stored};
use slot::Slot;
use window::Window;

use crate::access::charge::Charge;
use crate::access::connection::ConnectionId;
use crate::access::limits::{Cap, Counted, Limits};
use crate::clock;
use crate::store::{LimitUse, MachineTime, UsedLimit};

/// Charges of connections that share a lock.
const SHARDS: usize = 16;

/// Where the clock begins: later than the longest window, so that what was used before a start has a place.
const CLOCK_START: Duration = Duration::from_secs(64 * 86_400);

/// How often windows in which nothing counts any more are let go.
const SWEEP: Duration = Duration::from_secs(60);

/// What one integration has used on one connection.
#[derive(Debug, Default)]
struct Meter([Option<Slot>; 5]);

type Meters = HashMap<Arc<str>, HashMap<ConnectionId, Meter>>;

/// All windows of a gate.
#[derive(Debug)]
pub struct Quotas {
    epoch: Instant,
    shards: Box<[Mutex<Meters>]>,
    swept: Mutex<Instant>,
    ledger: Ledger,
}

/// A call that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What is used up.
    pub counted: Counted,
    /// The cap.
    pub cap: Cap,
    /// What counts now.
    pub used: u64,
    /// What the call would add.
    pub asked: u32,
    /// When it will fit; `None` = never, it alone is more than the cap.
    pub fits_in: Option<Duration>,
}

/// The fullest window of one integration.
#[derive(Clone, Debug, PartialEq)]
pub struct Fullness {
    /// Whose.
    pub integration: Arc<str>,
    /// Of what.
    pub counted: Counted,
    /// Used of the cap, from 0 on.
    pub ratio: f64,
}

impl Quotas {
    /// Windows in which `before` was used, as the store remembers it.
    pub fn resume(before: &[UsedLimit], ledger: Ledger) -> Self {
        let quotas = Self {
            epoch: Instant::now(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            swept: Mutex::new(Instant::now()),
            ledger,
        };
        let now = quotas.now_ms();
        // A window of each length first: all that was used is for all of them.
        for used in before {
            // What cap holds is the policy's to say, at the next call; until then nothing is asked of it.
            let cap = Cap {
                most: u32::MAX,
                window_seconds: u32::try_from(used.window_ms / 1_000).unwrap_or(u32::MAX).max(1),
            };
            quotas.resume_in(used, |slot| {
                slot.get_or_insert_with(|| Slot::new(cap, now)).hold(cap, now)
            });
        }
        for used in before {
            let age = u64::try_from(used.age.as_millis()).unwrap_or(u64::MAX);
            quotas.resume_in(used, |slot| {
                if let Some(slot) = slot {
                    slot.add_older(used.records, age, now);
                }
            });
        }
        quotas
    }

    fn resume_in(&self, used: &UsedLimit, change: impl FnOnce(&mut Option<Slot>)) {
        let mut meters = self.lock(&used.connection);
        let meter = meter_of(&mut meters, &used.integration.as_str().into(), used.connection);
        if let Some(slot) = meter.0.get_mut(used.counted.index()) {
            change(slot);
        }
    }

    /// Charges a call, as a whole or not at all.
    ///
    /// # Errors
    /// It does not fit: of several reasons the one that stands in the way the longest.
    pub fn charge(
        &self,
        integration: &Arc<str>,
        connection: ConnectionId,
        limits: &Limits,
        records: Option<Charge>,
    ) -> Result<Charged, Exceeded> {
        let now = self.now_ms();
        let request = limits
            .cap(Counted::Requests)
            .map(|cap| (Counted::Requests, cap, 1));
        let records = records.and_then(|charge| Some((charge, limits.cap(charge.counted)?)));
        let wanted: SmallVec<[(Counted, Cap, u32); 2]> = request
            .into_iter()
            .chain(records.map(|(charge, cap)| (charge.counted, cap, charge.records)))
            .collect();
        let mut charged = Charged {
            integration: Arc::clone(integration),
            connection,
            entries: SmallVec::new(),
            read: records
                .filter(|(charge, _)| charge.counted == Counted::RecordsRead)
                .map(|(charge, _)| Read {
                    is_page: charge.is_page,
                    seen: 0,
                }),
            durable: None,
            is_noted: false,
        };
        let mut meters = self.lock(&connection);
        let meter = meter_of(&mut meters, integration, connection);
        let mut worst: Option<Exceeded> = None;
        for (counted, cap, asked) in &wanted {
            let exceeded = meter
                .slot(*counted, *cap, now)
                .and_then(|slot| slot.last().exceeded(*counted, *asked, now));
            let longest = |exceeded: &Exceeded| exceeded.fits_in.unwrap_or(Duration::MAX);
            worst = match (worst, exceeded) {
                (Some(a), Some(b)) if longest(&a) >= longest(&b) => Some(a),
                (a, b) => b.or(a),
            };
        }
        if let Some(exceeded) = worst {
            return Err(exceeded);
        }
        for (counted, cap, amount) in wanted {
            if let Some(slot) = meter.slot(counted, cap, now) {
                let added = slot.add(amount, now);
                charged.entries.push(Entry {
                    counted,
                    amount,
                    added,
                });
            }
        }
        drop(meters);
        if let Some((charge, cap)) = records.filter(|(charge, _)| charge.counted.is_durable()) {
            charged.durable = Some(Box::new(LimitUse {
                integration: integration.to_string(),
                connection,
                counted: charge.counted,
                window_ms: cap.window_ms(),
                records: charge.records,
                machine: machine_time(),
            }));
        }
        self.sweep(now);
        Ok(charged)
    }

    /// The fullest window of each integration and limit, on whichever connection.
    pub fn fullness(&self) -> Vec<Fullness> {
        let now = self.now_ms();
        let mut fullest: HashMap<(Arc<str>, usize), Fullness> = HashMap::new();
        for shard in &self.shards {
            let mut meters = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (integration, of) in meters.iter_mut() {
                let slots = of
                    .values_mut()
                    .flat_map(|meter| meter.0.iter_mut().zip(Counted::ALL));
                for (slot, counted) in slots {
                    let window = slot.as_mut().map(Slot::last);
                    let Some(window) = window.filter(|window| window.cap().most != u32::MAX) else {
                        continue;
                    };
                    let ratio = window.used(now) as f64 / f64::from(window.cap().most);
                    let entry = fullest
                        .entry((Arc::clone(integration), counted.index()))
                        .or_insert_with(|| Fullness {
                            integration: Arc::clone(integration),
                            counted,
                            ratio,
                        });
                    entry.ratio = entry.ratio.max(ratio);
                }
            }
        }
        fullest.into_values().collect()
    }

    /// The way to the store.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Lets go, now and then, of windows in which nothing counts: what is held is bounded by what was used.
    fn sweep(&self, now: u64) {
        let Ok(mut swept) = self.swept.try_lock() else {
            return;
        };
        if swept.elapsed() < SWEEP {
            return;
        }
        *swept = Instant::now();
        drop(swept);
        for shard in &self.shards {
            let mut meters = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for of in meters.values_mut() {
                of.retain(|_, meter| {
                    let mut counts = false;
                    for slot in meter.0.iter_mut().flatten() {
                        counts |= slot.let_go(now);
                    }
                    counts
                });
            }
            meters.retain(|_, of| !of.is_empty());
        }
    }

    fn now_ms(&self) -> u64 {
        let now = self.epoch.elapsed() + CLOCK_START;
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self, connection: &ConnectionId) -> MutexGuard<'_, Meters> {
        let sum: usize = connection.as_str().bytes().map(usize::from).sum();
        // Invariant: there are SHARDS of them, so there is one at every remainder.
        let shard = self.shards.get(sum % SHARDS).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn meter_of<'m>(meters: &'m mut Meters, integration: &Arc<str>, connection: ConnectionId) -> &'m mut Meter {
    if !meters.contains_key(integration) {
        meters.insert(Arc::clone(integration), HashMap::new());
    }
    meters
        .entry(Arc::clone(integration))
        .or_default()
        .entry(connection)
        .or_default()
}

impl Meter {
    /// What was used of one thing, in the window of this cap.
    fn slot(&mut self, counted: Counted, cap: Cap, now: u64) -> Option<&mut Slot> {
        let slot = self.0.get_mut(counted.index())?;
        let slot = slot.get_or_insert_with(|| Slot::new(cap, now));
        slot.of(cap, now);
        Some(slot)
    }
}

impl Window {
    fn exceeded(&mut self, counted: Counted, asked: u32, now: u64) -> Option<Exceeded> {
        if self.fits(asked, now) {
            return None;
        }
        Some(Exceeded {
            counted,
            cap: self.cap(),
            used: self.used(now),
            asked,
            fits_in: self.fits_in(asked, now).map(Duration::from_millis),
        })
    }
}

/// Now, by the machine's clock; by the wall clock where the kernel does not tell which run it is in.
pub fn machine_time() -> MachineTime {
    MachineTime::now().unwrap_or_else(|| MachineTime {
        boot: String::new(),
        milliseconds: u64::try_from(clock::wall().as_millisecond()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests;
