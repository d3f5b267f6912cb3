//! How much was used in the last so many seconds: a sliding window in sixty parts.
//!
//! Nothing is forgotten before the window's length has passed, and everything at most one part (a sixtieth
//! of the length) later. So in no span of that length more passes than the cap says, and what was used
//! stands in the way for at most 1.7 % longer than it must.

use crate::access::limits::Cap;
use crate::store::WINDOW_PARTS;

/// The part under way, and those before it that the window's beginning may still reach.
const PARTS: usize = WINDOW_PARTS as usize + 1;

/// One thing that is counted. Times are milliseconds on a clock that only goes forward.
#[derive(Debug)]
pub struct Window {
    cap: Cap,
    part_ms: u64,
    /// Number of the part under way.
    head: u64,
    used: u64,
    parts: Box<[u32; PARTS]>,
    /// When it was made: what was added before lies among what it was begun with.
    made_ms: u64,
}

impl Window {
    /// A window in which nothing was used.
    pub fn new(cap: Cap, now_ms: u64) -> Self {
        let part_ms = cap.window_ms().div_ceil(WINDOW_PARTS).max(1);
        Self {
            cap,
            part_ms,
            head: now_ms / part_ms,
            used: 0,
            parts: Box::new([0; PARTS]),
            made_ms: now_ms,
        }
    }

    /// The cap it was last asked for.
    pub fn cap(&self) -> Cap {
        self.cap
    }

    /// Whether it is as long as this cap's.
    pub fn is_of(&self, cap: Cap) -> bool {
        self.cap.window_seconds == cap.window_seconds
    }

    /// Follows another cap of the same length.
    pub fn follow(&mut self, cap: Cap) {
        self.cap.most = cap.most;
    }

    /// How much counts now.
    pub fn used(&mut self, now_ms: u64) -> u64 {
        self.advance(now_ms);
        self.used
    }

    /// Adds, whether it fits or not.
    pub fn add(&mut self, amount: u32, now_ms: u64) {
        self.advance(now_ms);
        self.put(self.head, amount);
    }

    /// Adds what was used before, `age_ms` ago, if that still counts.
    pub fn add_older(&mut self, amount: u32, age_ms: u64, now_ms: u64) {
        self.advance(now_ms);
        let part = now_ms.saturating_sub(age_ms) / self.part_ms;
        if part + PARTS as u64 > self.head {
            self.put(part, amount);
        }
    }

    /// Takes back of what was added at `added_ms`, as far as it still counts. What the window was begun with
    /// stays: when that was used is known no longer.
    pub fn take_back(&mut self, added_ms: u64, amount: u32, now_ms: u64) {
        if added_ms < self.made_ms {
            return;
        }
        self.advance(now_ms);
        let part = added_ms / self.part_ms;
        if part > self.head || part + PARTS as u64 <= self.head {
            return;
        }
        if let Some(slot) = self.parts.get_mut(index(part)) {
            let taken = amount.min(*slot);
            *slot -= taken;
            self.used -= u64::from(taken);
        }
    }

    /// Whether so much more fits now.
    pub fn fits(&mut self, amount: u32, now_ms: u64) -> bool {
        self.used(now_ms) + u64::from(amount) <= u64::from(self.cap.most)
    }

    /// In how many milliseconds so much more will fit; `None` = never, it is more than the cap.
    pub fn fits_in(&mut self, amount: u32, now_ms: u64) -> Option<u64> {
        self.advance(now_ms);
        let room = u64::from(self.cap.most).checked_sub(u64::from(amount))?;
        let mut left = self.used;
        let oldest = self.head.saturating_sub(PARTS as u64 - 1);
        for part in oldest..=self.head {
            if left <= room {
                break;
            }
            left -= u64::from(self.parts.get(index(part)).copied().unwrap_or(0));
            if left <= room {
                let forgotten = (part + PARTS as u64) * self.part_ms;
                return Some(forgotten.saturating_sub(now_ms));
            }
        }
        Some(0)
    }

    fn put(&mut self, part: u64, amount: u32) {
        if let Some(slot) = self.parts.get_mut(index(part)) {
            let sum = slot.saturating_add(amount);
            self.used += u64::from(sum - *slot);
            *slot = sum;
        }
    }

    /// Forgets the parts that the window no longer reaches.
    fn advance(&mut self, now_ms: u64) {
        let now = now_ms / self.part_ms;
        if now <= self.head {
            return;
        }
        for part in (self.head + 1)..=now.min(self.head + PARTS as u64) {
            if let Some(slot) = self.parts.get_mut(index(part)) {
                self.used -= u64::from(*slot);
                *slot = 0;
            }
        }
        self.head = now;
    }
}

fn index(part: u64) -> usize {
    (part % PARTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cap(text: &str) -> Cap {
        Cap::parse(text).unwrap()
    }

    #[test]
    fn in_no_span_of_the_windows_length_more_passes_than_the_cap() {
        // Against the obvious model: every event with its time.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for text in ["30/10s", "7/1s", "20/1m", "5/1h", "3/7s"] {
            let cap = cap(text);
            let (length, part) = (cap.window_ms(), cap.window_ms().div_ceil(60));
            let mut window = Window::new(cap, 1_000_000);
            let mut events: Vec<(u64, u64)> = Vec::new();
            let mut now = 1_000_000;
            let (mut passed, mut refused) = (0, 0);
            for _ in 0..4_000 {
                now += random(length / 20);
                let amount = 1 + random(3) as u32;
                let since = |span: u64| -> u64 {
                    let counts = events.iter().filter(|(at, _)| at + span > now);
                    counts.map(|(_, amount)| amount).sum()
                };
                let exact = since(length);
                // Rounded up to whole milliseconds, all sixty and the one under way.
                let longest = since(61 * part);
                let most = u64::from(cap.most);
                if window.fits(amount, now) {
                    assert!(exact + u64::from(amount) <= most, "{text}: more than the cap");
                    window.add(amount, now);
                    events.push((now, u64::from(amount)));
                    passed += 1;
                } else {
                    assert!(
                        longest + u64::from(amount) > most,
                        "{text}: held up for longer than a part"
                    );
                    let wait = window.fits_in(amount, now).unwrap();
                    assert!(wait > 0 && wait <= 61 * part, "{text}: {wait}");
                    refused += 1;
                }
            }
            assert!(passed > 50 && refused > 50, "{text}: {passed} {refused}");
        }
    }

    #[test]
    fn it_says_when_it_will_fit_and_then_it_does() {
        let mut window = Window::new(cap("10/1m"), 0);
        window.add(6, 0);
        window.add(4, 30_500);
        assert_eq!(window.fits_in(11, 31_000), None, "never");
        assert_eq!(window.fits_in(1, 31_000), Some(30_000));
        assert_eq!(window.fits_in(6, 31_000), Some(30_000));
        assert_eq!(window.fits_in(7, 31_000), Some(60_000));
        assert!(!window.fits(6, 60_999) && window.fits(6, 61_000));
        assert!(!window.fits(7, 90_999) && window.fits(7, 91_000));
        assert_eq!(window.fits_in(10, 91_000), Some(0));
    }

    #[test]
    fn what_is_taken_back_fits_again_and_what_is_forgotten_is_not_taken_twice() {
        let mut window = Window::new(cap("10/1m"), 0);
        window.add(6, 0);
        window.add(4, 59_000);
        window.take_back(0, 2, 59_500);
        assert_eq!(window.used(59_500), 8);
        window.take_back(0, 100, 59_500);
        assert_eq!(window.used(59_500), 4);
        window.take_back(0, 4, 70_000);
        assert_eq!(window.used(70_000), 4, "its part is over");
        window.take_back(59_000, 4, 70_000);
        assert_eq!(window.used(70_000), 0);
    }

    #[test]
    fn what_was_used_before_a_start_counts_as_long_as_it_would_have() {
        let now = 10_000_000;
        let mut window = Window::new(cap("10/1m"), now);
        window.add_older(3, 50_000, now);
        window.add_older(3, 62_000, now);
        assert_eq!(window.used(now), 3);
        assert_eq!(window.used(now + 12_000), 0);
    }
}
