//! Says which credentials are due for rotation: a warning of `/readyz?verbose`, a metric, and once a
//! day a line in the log. Looked at when connections change, and every minute, since credentials grow
//! old by themselves.

use std::time::{Duration, Instant};

use super::Publisher;
use crate::access::rotation::rotation_due;
use crate::clock;
use crate::events::RotationFound;

/// How often time alone may make a credential due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How often the log says so while nothing changes.
const SAY_EVERY: Duration = Duration::from_secs(86_400);

/// When it was looked, and what was said.
#[derive(Debug, Default)]
pub struct RotationWatch {
    looked: Option<Instant>,
    said: Option<(usize, Instant)>,
}

impl RotationWatch {
    fn is_due(&self, now: Instant) -> bool {
        self.looked.is_none_or(|at| now.duration_since(at) >= LOOK_EVERY)
    }

    /// Whether to say now that this many are due: at first, when there are more, and once a day.
    fn says(&mut self, due: usize, now: Instant) -> bool {
        self.looked = Some(now);
        if due == 0 {
            self.said = None;
            return false;
        }
        let fresh = match self.said {
            None => true,
            Some((said, at)) => due > said || now.duration_since(at) >= SAY_EVERY,
        };
        self.said = match (fresh, self.said) {
            (false, Some((_, at))) => Some((due, at)),
            _ => Some((due, now)),
        };
        fresh
    }
}

impl Publisher {
    /// Looks again if it is time.
    pub(super) fn look_after_rotation(&mut self) {
        if self.rotation.is_due(Instant::now()) {
            self.show_rotation();
        }
    }

    /// Counts what is due, and says it.
    pub(super) fn show_rotation(&mut self) {
        let (now, max_age) = (clock::now(), self.config.rotation_max_age);
        let all = self.gate.live.all();
        let is_due: Vec<bool> = all
            .iter()
            .map(|connection| rotation_due(&connection.credential_age(), max_age, now).is_some())
            .collect();
        let samples = all.iter().zip(&is_due);
        self.gate
            .metrics
            .set_rotation_due(samples.map(|(connection, due)| (connection.app(), *due)));
        let due = is_due.iter().filter(|due| **due).count();
        if due == 0 {
            self.readiness.clear_warning("rotation");
        } else {
            let text = format!(
                "{due} credentials are due for rotation: see `scopegate connection list --rotation-due`"
            );
            self.readiness.warn("rotation", text);
        }
        if self.rotation.says(due, Instant::now()) {
            RotationFound { due }.emit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_at_first_when_there_are_more_and_once_a_day() {
        let mut watch = RotationWatch::default();
        let start = Instant::now();
        let after = |hours: u64| start + Duration::from_secs(hours * 3_600);
        for (hours, due, says) in [
            (0, 0, false),
            (1, 2, true),
            (2, 2, false),
            (3, 1, false),
            (4, 2, true),
            (27, 2, false),
            (28, 2, true),
            (29, 0, false),
            (30, 1, true),
        ] {
            assert_eq!(watch.says(due, after(hours)), says, "{hours}");
        }
    }

    #[test]
    fn time_alone_is_looked_at_every_minute() {
        let mut watch = RotationWatch::default();
        let start = Instant::now();
        assert!(watch.is_due(start));
        watch.says(0, start);
        assert!(!watch.is_due(start + Duration::from_secs(59)));
        assert!(watch.is_due(start + Duration::from_secs(60)));
    }
}
