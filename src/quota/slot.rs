//! What was used of one thing, in a window of each length that a limit on it has had.
//!
//! A window forgets what is older than it is long. So one that a policy asks for no longer is counted on as
//! long as anything lies in it: the policy may come back to it. What is added goes to all of them.

use super::window::Window;
use crate::access::limits::Cap;

/// Most lengths at a time. Beyond it the shortest goes: what lies in it the longer ones have as well.
const LENGTHS: usize = 16;

/// The windows of one thing. Times are milliseconds on a clock that only goes forward.
#[derive(Debug)]
pub struct Slot {
    /// The one that was asked for last.
    asked: Window,
    /// Those of other lengths.
    others: Vec<Window>,
}

/// When something was added, so that it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    at_ms: u64,
}

impl Slot {
    /// One in which nothing was used.
    pub fn new(cap: Cap, now_ms: u64) -> Self {
        Self {
            asked: Window::new(cap, now_ms),
            others: Vec::new(),
        }
    }

    /// The window that was asked for last.
    pub fn last(&mut self) -> &mut Window {
        &mut self.asked
    }

    /// The window of a cap. In one of a length that there is not all that still counts is as new as can be:
    /// a change of the policy forgets nothing.
    pub fn of(&mut self, cap: Cap, now_ms: u64) -> &mut Window {
        if !self.asked.is_of(cap) {
            self.hold(cap, now_ms);
            self.let_go(now_ms);
        }
        self.asked.follow(cap);
        &mut self.asked
    }

    /// Makes sure of a window of this cap's length, whether or not anything lies in it.
    pub fn hold(&mut self, cap: Cap, now_ms: u64) {
        if self.asked.is_of(cap) {
            return;
        }
        let next = match self.others.iter().position(|window| window.is_of(cap)) {
            Some(at) => self.others.swap_remove(at),
            None => self.begin(cap, now_ms),
        };
        self.others.push(std::mem::replace(&mut self.asked, next));
        if self.others.len() >= LENGTHS {
            let lengths = self.others.iter().enumerate();
            let shortest = lengths.min_by_key(|(_, window)| window.cap().window_seconds);
            if let Some((at, _)) = shortest {
                self.others.swap_remove(at);
            }
        }
    }

    /// Adds, whether it fits or not.
    pub fn add(&mut self, amount: u32, now_ms: u64) -> Added {
        for window in self.all() {
            window.add(amount, now_ms);
        }
        Added { at_ms: now_ms }
    }

    /// Adds what was used before, `age_ms` ago, where that still counts.
    pub fn add_older(&mut self, amount: u32, age_ms: u64, now_ms: u64) {
        for window in self.all() {
            window.add_older(amount, age_ms, now_ms);
        }
    }

    /// Takes back of what was added then, where it still counts. A window that was made since keeps it.
    pub fn take_back(&mut self, added: Added, amount: u32, now_ms: u64) {
        for window in self.all() {
            window.take_back(added.at_ms, amount, now_ms);
        }
    }

    /// Lets windows go that nobody asks for and in which nothing counts. Whether anything counts in any.
    pub fn let_go(&mut self, now_ms: u64) -> bool {
        self.others.retain_mut(|window| window.used(now_ms) > 0);
        !self.others.is_empty() || self.asked.used(now_ms) > 0
    }

    /// A window of a new length, begun with what the fullest of the others has.
    fn begin(&mut self, cap: Cap, now_ms: u64) -> Window {
        let used = self.all().map(|window| window.used(now_ms)).max().unwrap_or(0);
        let mut window = Window::new(cap, now_ms);
        window.add(u32::try_from(used).unwrap_or(u32::MAX), now_ms);
        window
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Window> {
        std::iter::once(&mut self.asked).chain(&mut self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;

    fn cap(text: &str) -> Cap {
        Cap::parse(text).unwrap()
    }

    #[test]
    fn a_length_that_is_new_takes_over_what_was_used_as_if_it_had_been_just_now() {
        let mut slot = Slot::new(cap("10/1m"), 0);
        let added = slot.add(6, 0);
        assert!(!slot.of(cap("5/1m"), 1_000).fits(1, 1_000));
        assert_eq!(slot.of(cap("10/1h"), 2_000).used(50 * MINUTE), 6);
        slot.take_back(added, 1, 50 * MINUTE);
        assert_eq!(
            slot.last().used(50 * MINUTE),
            6,
            "nobody knows any more which it was"
        );
        assert_eq!(slot.last().used(62 * MINUTE), 0);
    }

    #[test]
    fn a_limit_that_is_over_a_shorter_time_for_a_while_forgets_nothing_of_the_longer_one() {
        let mut slot = Slot::new(cap("20/1d"), 0);
        slot.add(20, 0);
        assert!(slot.of(cap("50/1h"), MINUTE).fits(30, MINUTE));
        slot.add(1, MINUTE);
        assert_eq!(slot.last().used(2 * HOUR), 0);
        slot.add(2, 2 * HOUR);
        let day = slot.of(cap("25/1d"), 3 * HOUR);
        assert_eq!(day.used(3 * HOUR), 23);
        assert!(day.fits(2, 3 * HOUR) && !day.fits(3, 3 * HOUR));
        assert_eq!(day.used(25 * HOUR), 2, "each as long as it would have counted");
    }

    #[test]
    fn what_is_taken_back_is_taken_back_in_every_window_that_it_was_added_to() {
        let mut slot = Slot::new(cap("20/1d"), 0);
        slot.add(5, 0);
        slot.of(cap("50/1h"), MINUTE);
        let added = slot.add(7, 2 * MINUTE);
        slot.of(cap("50/1m"), 3 * MINUTE);
        slot.take_back(added, 4, 3 * MINUTE);
        let mut used = |text| slot.of(cap(text), 3 * MINUTE).used(3 * MINUTE);
        assert_eq!((used("20/1d"), used("50/1h")), (8, 8));
        assert_eq!(used("50/1m"), 12, "it was made afterwards");
    }

    #[test]
    fn a_window_gives_back_nothing_of_what_others_used_before_it_was_made() {
        let mut slot = Slot::new(cap("50/1m"), 0);
        let long = slot.add(5, 0);
        slot.add(3, 2 * MINUTE);
        slot.of(cap("20/1d"), 2 * MINUTE);
        // In the same part of a day.
        slot.take_back(long, 5, 3 * MINUTE);
        assert_eq!(slot.last().used(3 * MINUTE), 3);
    }

    #[test]
    fn windows_are_few_and_go_when_nothing_counts_in_them() {
        let mut slot = Slot::new(cap("9/1d"), 0);
        slot.add(3, 0);
        for seconds in 1..200 {
            slot.of(cap(&format!("9/{seconds}s")), 0);
            slot.add(1, 0);
            assert!(slot.others.len() < LENGTHS, "{seconds}");
        }
        assert_eq!(slot.of(cap("9/1d"), 0).used(0), 202, "the longest stay");
        assert!(slot.let_go(10 * MINUTE) && slot.others.is_empty());
        assert!(!slot.let_go(25 * HOUR));
    }
}
