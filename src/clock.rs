//! The time of day, read in one place.
//!
//! Two times: [`wall`] is what the machine's clock says, for records and for people; [`now`] is for every
//! decision that a date makes (a key's expiry, a policy's, a ticket's). It follows a clock that is set
//! forward and never one that is set back: it goes on from the latest time there was, at the pace of the
//! machine's own clock, so that what has expired does not come alive again while the process runs.
//! Deliberately absent: intervals and deadlines, which use `Instant`, and tokens, whose age is the
//! machine's own time (`store/machine_time.rs`).

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// A step of the wall clock that is noticed: what a time service corrects gradually is below it.
const NOTICED: SignedDuration = SignedDuration::from_secs(2);

/// The greatest distance seen so far between the wall clock and the machine's, in microseconds.
static HIGHEST: AtomicI64 = AtomicI64::new(i64::MIN);

/// What the machine's clock says.
pub fn wall() -> Timestamp {
    #[cfg(test)]
    if let Some(simulated) = simulation::wall() {
        return simulated;
    }
    let real = Timestamp::now();
    set_forward(real).unwrap_or(real)
}

/// Tests set the clock by a fail point, in seconds; in the product this is nothing.
fn set_forward(_real: Timestamp) -> Option<Timestamp> {
    fail::fail_point!("wall-clock", |by| {
        let by = SignedDuration::from_secs(by?.parse().ok()?);
        Some(_real.saturating_add(by).unwrap_or(_real))
    });
    None
}

/// The time that decides what has expired: never earlier than it was.
pub fn now() -> Timestamp {
    // A simulated time is its own thread's, and no other's.
    #[cfg(test)]
    if let Some(simulated) = simulation::wall() {
        return simulated;
    }
    let (distance, machine) = look();
    // Nearly always only read: a shared line that every request wrote to would be passed around.
    let mut highest = HIGHEST.load(Ordering::Relaxed);
    if distance > highest {
        highest = HIGHEST.fetch_max(distance, Ordering::Relaxed).max(distance);
    }
    Timestamp::from_microsecond(machine.saturating_add(highest)).unwrap_or(Timestamp::MAX)
}

/// How far the wall clock is from the machine's, and the machine's, in microseconds. The wall clock is read
/// first: a pause between the two makes the distance smaller, never greater than it was.
fn look() -> (i64, i64) {
    let wall = wall().as_microsecond();
    let machine = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let machine = machine
        .tv_sec
        .saturating_mul(1_000_000)
        .saturating_add(machine.tv_nsec / 1_000);
    (wall.saturating_sub(machine), machine)
}

/// A time of day that a simulation makes up, for what runs on its thread.
#[cfg(test)]
pub(crate) mod simulation {
    use std::cell::RefCell;

    use jiff::Timestamp;

    type Source = Box<dyn Fn() -> Timestamp>;

    thread_local! {
        static WALL: RefCell<Option<Source>> = const { RefCell::new(None) };
    }

    /// From now on this thread's wall clock is this; `None` gives the real one back.
    pub(crate) fn set(source: Option<Source>) {
        WALL.with(|wall| *wall.borrow_mut() = source);
    }

    pub(super) fn wall() -> Option<Timestamp> {
        WALL.with(|wall| wall.borrow().as_ref().map(|wall| wall()))
    }
}

/// Notices that somebody set the wall clock.
#[derive(Debug)]
pub struct Jumps {
    distance: i64,
}

impl Jumps {
    /// From how the clock stands now.
    pub fn starting() -> Self {
        Self { distance: measure() }
    }

    /// By how much the clock was set since the last look, if it was.
    pub fn look(&mut self) -> Option<SignedDuration> {
        let distance = measure();
        let step = SignedDuration::from_micros(distance.saturating_sub(self.distance));
        self.distance = distance;
        (step.abs() >= NOTICED).then_some(step)
    }
}

/// The greater of two looks: one that was held up between its two clocks does not count.
fn measure() -> i64 {
    look().0.max(look().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for all: the clock is the process's.
    #[test]
    fn decisions_follow_a_clock_set_forward_and_not_one_set_back_and_both_are_noticed() {
        let scenario = fail::FailScenario::setup();
        let set = |by: i64| fail::cfg("wall-clock", &format!("return({by})")).unwrap();
        let hours = |count: i64| SignedDuration::from_hours(count);
        let near = |a: Timestamp, b: Timestamp| a.duration_since(b).abs() < SignedDuration::from_secs(60);
        let start = now();
        let mut jumps = Jumps::starting();
        assert!(near(start, Timestamp::now()));
        assert_eq!(jumps.look(), None);

        set(3 * 3_600);
        let step = jumps.look().unwrap();
        assert!((step - hours(3)).abs() < SignedDuration::from_secs(60), "{step}");
        assert!(near(now(), start + hours(3)));
        assert!(near(wall(), start + hours(3)));

        let latest = now();
        for back in [0, -3 * 3_600, -Timestamp::now().as_second()] {
            set(back);
            assert!(jumps.look().unwrap() < SignedDuration::ZERO);
            assert!(near(wall(), start + SignedDuration::from_secs(back)));
            let after = now();
            assert!(
                after >= latest && near(after, latest),
                "time goes on from {latest}: {after}"
            );
        }
        set(10 * 365 * 86_400);
        assert!(jumps.look().unwrap() > hours(10 * 365 * 24));
        assert!(near(now(), wall()));
        // Other tests decide by this clock, too.
        HIGHEST.store(i64::MIN, Ordering::Relaxed);
        scenario.teardown();
    }
}
