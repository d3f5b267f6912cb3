//! Time by the machine's own clock: since it started, suspension included, whatever the wall clock does.
//!
//! A wall clock that was set forward or back by hours says nothing about how old a token is; this clock
//! does, as long as the machine has not started anew.

use std::time::Duration;

/// A moment in one run of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineTime {
    /// The kernel's random name of this run.
    pub boot: String,
    /// Milliseconds since it began.
    pub milliseconds: u64,
}

impl MachineTime {
    /// Now; `None` where the kernel does not tell.
    pub fn now() -> Option<Self> {
        #[cfg(test)]
        if let Some(machine) = super::simulated::machine() {
            return Some(machine.clock);
        }
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let milliseconds = u64::try_from(time.tv_nsec).ok()? / 1_000_000;
        Some(Self {
            boot: boot.trim().to_owned(),
            milliseconds: seconds.checked_mul(1_000)?.checked_add(milliseconds)?,
        })
    }

    /// How long ago `earlier` was; `None` if it was in another run of the machine, or is still to come.
    pub fn since(&self, earlier: &Self) -> Option<Duration> {
        (self.boot == earlier.boot)
            .then(|| self.milliseconds.checked_sub(earlier.milliseconds))
            .flatten()
            .map(Duration::from_millis)
    }
}

pub(super) fn machine_time(boot: Option<String>, milliseconds: Option<i64>) -> Option<MachineTime> {
    Some(MachineTime {
        boot: boot?,
        milliseconds: u64::try_from(milliseconds?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_moments_are_compared_within_one_run_only() {
        let at = |boot: &str, milliseconds| MachineTime {
            boot: boot.to_owned(),
            milliseconds,
        };
        assert_eq!(
            at("a", 3_000).since(&at("a", 1_000)),
            Some(Duration::from_secs(2))
        );
        assert_eq!(at("a", 3_000).since(&at("b", 1_000)), None);
        assert_eq!(at("a", 1_000).since(&at("a", 3_000)), None, "still to come");
    }

    #[test]
    fn the_kernel_tells() {
        let now = MachineTime::now().unwrap();
        assert!(!now.boot.is_empty() && now.milliseconds > 0);
    }
}
