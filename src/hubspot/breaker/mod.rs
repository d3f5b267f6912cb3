//! Leaves an upstream that can't be reached alone, for the whole gate at once.
//!
//! Opens when, within a window, enough attempts failed without HubSpot having said anything, and they are
//! a large share of all. While it is open calls are answered at once; after a pause one of them at a time
//! is let through as a probe, and the first that is answered closes it again. Shared by all workers; a few
//! atomics, no lock.
//!
//! What HubSpot itself says is an answer, whatever its status: a 429, a refusal and even a 500 with
//! HubSpot's body come from an upstream that is there. And the trouble of one account is not the
//! upstream's: as long as another account gets answers and has no failures of its own, it stays closed.
//!
//! Deliberately absent: a breaker an account (HubSpot's own limits and the connection's state do that), and
//! the token endpoint (`tokens/brake.rs` paces that).

mod window;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use window::{Sum, Window};

/// The pause doubles with each probe that fails, this often at most: sixteen times the first.
const DOUBLINGS_MOST: u32 = 4;

/// Longest pause between two probes: an upstream that is back is noticed within half a minute.
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// Longest wait a caller is told.
const TOLD_MOST: Duration = Duration::from_secs(60);

/// When it opens, and how it closes.
#[derive(Clone, Copy, Debug)]
pub struct BreakerSettings {
    /// Fewest failures in the window: a quiet gate is not closed by two slow calls. 0: never opens.
    pub failures: u32,
    /// Least share of all attempts that failed, in percent.
    pub percent: u32,
    /// How far back attempts are counted.
    pub window: Duration,
    /// From opening to the first probe.
    pub pause: Duration,
    /// After this long without news of a probe the next may follow.
    pub probe: Duration,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// HubSpot said something.
    Answered,
    /// No connection.
    Unreachable,
    /// A connection, but no answer of HubSpot's: silence, an early end, nonsense, an edge's own error page.
    Unanswered,
}

/// Whose attempt it was, as one bit of 64: enough to see that one account's trouble is not everybody's.
#[derive(Clone, Copy, Debug)]
pub struct AccountBit(u64);

impl AccountBit {
    /// The bit of an account.
    pub fn of(portal: u64) -> Self {
        Self(1 << (mixed(portal) >> 58))
    }
}

/// What it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are answered at once, but for one that is under way as a probe.
    HalfOpen,
    /// Calls are answered at once.
    Open,
}

/// A change that somebody should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It opened.
    Opened {
        /// What the last of the failures was.
        fate: Fate,
        /// Failures in the window.
        failures: u32,
        /// Attempts in the window.
        attempts: u32,
    },
    /// A probe was answered.
    Closed {
        /// How long it had been open.
        after: Duration,
    },
}

/// Nothing is sent for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When to come again; spread, so that not everybody comes at once.
    pub retry_after: Duration,
}

/// The breaker.
pub struct Breaker {
    settings: BreakerSettings,
    epoch: Instant,
    window: Window,
    /// Generation (20 bits; even: closed, odd: open) and the time of the next probe (44 bits), in one word so
    /// that they change together. The generation grows with each change: attempts of before it don't count
    /// after it.
    word: AtomicU64,
    opened_ms: AtomicU64,
    failed_probes: AtomicU32,
    probe_is_out: AtomicBool,
    held: AtomicU64,
    announce: Box<dyn Fn(Turn) + Send + Sync>,
}

impl Breaker {
    /// A closed one. `announce` hears of each change, on the thread that causes it.
    pub fn new(settings: BreakerSettings, announce: impl Fn(Turn) + Send + Sync + 'static) -> Self {
        Self {
            settings,
            epoch: Instant::now(),
            window: Window::new(as_millis(settings.window)),
            word: AtomicU64::new(0),
            opened_ms: AtomicU64::new(0),
            failed_probes: AtomicU32::new(0),
            probe_is_out: AtomicBool::new(false),
            held: AtomicU64::new(0),
            announce: Box::new(announce),
        }
    }

    /// Lets an attempt through, or says when to come again.
    pub fn enter(&self, now: Instant) -> Result<Passage<'_>, Held> {
        let word = self.word.load(Ordering::Acquire);
        let passage = |probe| Passage {
            breaker: self,
            attempt: Attempt {
                generation: generation_of(word),
                probe,
            },
            owes_news: Cell::new(true),
        };
        if is_closed(word) {
            return Ok(passage(None));
        }
        let (now_ms, due) = (self.millis(now), probe_ms_of(word));
        if now_ms < due {
            return Err(self.hold(due - now_ms));
        }
        let next = word_of(generation_of(word), now_ms + as_millis(self.settings.probe));
        let taken = self
            .word
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire);
        match taken {
            Ok(_) => {
                self.probe_is_out.store(true, Ordering::Release);
                Ok(passage(Some(next)))
            }
            Err(seen) => Err(self.hold(probe_ms_of(seen).saturating_sub(now_ms))),
        }
    }

    /// What became of an attempt. One that began before a change tells nothing about after it.
    pub fn report(&self, attempt: Attempt, fate: Fate, account: AccountBit, now: Instant) {
        if let Some(word) = attempt.probe {
            self.probed(word, fate, now);
        } else if self.is_of(attempt) {
            self.count(attempt.generation, fate, account, now);
        }
    }

    /// An attempt is over, and tells nothing.
    pub fn no_news(&self, attempt: Attempt) {
        if let Some(word) = attempt.probe {
            // The next call may find out instead, at once.
            self.put_off(word, 0);
        }
    }

    /// Whether nothing has changed since.
    fn is_of(&self, attempt: Attempt) -> bool {
        generation_of(self.word.load(Ordering::Acquire)) == attempt.generation
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        let is_probing = self.probe_is_out.load(Ordering::Acquire);
        match (is_closed(self.word.load(Ordering::Acquire)), is_probing) {
            (true, _) => State::Closed,
            (false, true) => State::HalfOpen,
            (false, false) => State::Open,
        }
    }

    /// How long a caller shall wait who is turned away `left_ms` before the next probe: up to half longer,
    /// or three seconds.
    fn hold(&self, left_ms: u64) -> Held {
        let left = Duration::from_millis(left_ms);
        let part = self.jitter();
        let spread = (left / 2).max(Duration::from_secs(3)).mul_f64(part);
        Held {
            retry_after: (left + spread).min(TOLD_MOST),
        }
    }

    /// From 0 to 1, another one each time.
    fn jitter(&self) -> f64 {
        let turn = self.held.fetch_add(1, Ordering::Relaxed);
        (mixed(turn ^ self.opened_ms.load(Ordering::Relaxed)) >> 32) as f64 / f64::from(u32::MAX)
    }

    /// Counts an attempt while closed; opens when it was one failure too many.
    fn count(&self, generation: u64, fate: Fate, account: AccountBit, now: Instant) {
        let (now_ms, failed) = (self.millis(now), fate != Fate::Answered);
        self.window.count(failed, account.0, now_ms);
        if !failed {
            return;
        }
        let seen = self.window.sum(now_ms);
        let wanted = self.settings.failures;
        let share = u64::from(self.settings.percent) * u64::from(seen.attempts);
        let is_large_share = u64::from(seen.failures) * 100 >= share;
        if wanted > 0 && seen.failures >= wanted && is_large_share && !seen.others_are_fine {
            self.open(generation, fate, &seen, now);
        }
    }

    fn open(&self, generation: u64, fate: Fate, seen: &Sum, now: Instant) {
        let now_ms = self.millis(now);
        let open = word_of(generation + 1, now_ms + self.pause(0));
        let closed = word_of(generation, 0);
        let opened = self
            .word
            .compare_exchange(closed, open, Ordering::AcqRel, Ordering::Acquire);
        if opened.is_ok() {
            self.opened_ms.store(now_ms, Ordering::Relaxed);
            self.failed_probes.store(0, Ordering::Relaxed);
            self.probe_is_out.store(false, Ordering::Release);
            (self.announce)(Turn::Opened {
                fate,
                failures: seen.failures,
                attempts: seen.attempts,
            });
        }
    }

    /// News of the probe that wrote `word`. An answer is one, however late it comes; that there was none says nothing
    /// of another that is out meanwhile.
    fn probed(&self, word: u64, fate: Fate, now: Instant) {
        let generation = generation_of(word);
        if fate != Fate::Answered {
            let failed = self.failed_probes.load(Ordering::Relaxed) + 1;
            if self.put_off(word, self.millis(now) + self.pause(failed)) {
                self.failed_probes.store(failed, Ordering::Relaxed);
            }
            return;
        }
        let seen = self.word.load(Ordering::Acquire);
        if generation_of(seen) != generation {
            return;
        }
        // Nobody counts while it is open.
        self.window.forget();
        let closed = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (generation_of(word) == generation).then(|| word_of(generation + 1, 0))
            });
        if closed.is_ok() {
            self.probe_is_out.store(false, Ordering::Release);
            let since = self.opened_ms.load(Ordering::Relaxed);
            (self.announce)(Turn::Closed {
                after: Duration::from_millis(self.millis(now).saturating_sub(since)),
            });
        }
    }

    /// The probe that wrote `word` is over; the next may go at `next_ms`. Whether it was the last one.
    fn put_off(&self, word: u64, next_ms: u64) -> bool {
        let next = word_of(generation_of(word), next_ms);
        let put_off = self
            .word
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if put_off {
            self.probe_is_out.store(false, Ordering::Release);
        }
        put_off
    }

    /// Milliseconds to the next probe after `failed` ones, less up to a quarter so that gates don't move in
    /// step.
    fn pause(&self, failed: u32) -> u64 {
        let doubled = self
            .settings
            .pause
            .saturating_mul(1 << failed.min(DOUBLINGS_MOST));
        let longest = PAUSE_MOST.max(self.settings.pause);
        as_millis(doubled.min(longest).mul_f64(1.0 - 0.25 * self.jitter()))
    }

    fn millis(&self, now: Instant) -> u64 {
        as_millis(now.saturating_duration_since(self.epoch))
    }
}

/// When an attempt was let through, and what for: to tell of it later than its passage lasts.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    generation: u64,
    /// The word that a probe wrote when it was let through: as long as it stands no other has been.
    probe: Option<u64>,
}

/// One attempt that was let through. Dropped without news, it tells nothing: its caller went away, or the
/// attempt says nothing about the upstream.
#[must_use]
pub struct Passage<'a> {
    breaker: &'a Breaker,
    attempt: Attempt,
    owes_news: Cell<bool>,
}

impl Passage<'_> {
    /// Whether the one thing it is for is to find out: it takes no connection from before.
    pub fn is_probe(&self) -> bool {
        self.attempt.probe.is_some()
    }

    /// Whether nothing has changed since: after a wait the answer may be another.
    pub fn stands(&self) -> bool {
        self.breaker.is_of(self.attempt)
    }

    /// For what outlives the call: who takes it owes the news, by [`Breaker::report`] or [`Breaker::no_news`].
    pub fn hand_over(&self) -> Attempt {
        self.owes_news.set(false);
        self.attempt
    }

    /// The call goes on with it.
    pub fn take_back(&self) {
        self.owes_news.set(true);
    }

    /// What became of it.
    pub fn report(self, fate: Fate, account: AccountBit, now: Instant) {
        self.owes_news.set(false);
        self.breaker.report(self.attempt, fate, account, now);
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.owes_news.get() {
            self.breaker.no_news(self.attempt);
        }
    }
}

const GENERATION_BITS: u32 = 20;
const PROBE_BITS: u32 = u64::BITS - GENERATION_BITS;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const PROBE_MASK: u64 = (1 << PROBE_BITS) - 1;

fn word_of(generation: u64, probe_ms: u64) -> u64 {
    (generation & GENERATION_MASK) << PROBE_BITS | probe_ms.min(PROBE_MASK)
}

fn generation_of(word: u64) -> u64 {
    word >> PROBE_BITS
}

fn probe_ms_of(word: u64) -> u64 {
    word & PROBE_MASK
}

fn is_closed(word: u64) -> bool {
    generation_of(word).is_multiple_of(2)
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Spreads numbers that are close to each other over all bits (SplitMix64's last step).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
