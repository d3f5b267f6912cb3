//! What the machine holds for the gate: the configuration, modes of files, room on the disk, the clock.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::sheet::Sheet;
use crate::cli::admin::short;
use crate::config::{Config, Loaded};
use crate::harden::modes;
use crate::store::MachineTime;

/// Below the first the gate will soon refuse requests; below the second there is time to act. An audit log of
/// a busy gate grows by some hundred MiB a day.
const ROOM_LEAST: u64 = 256 << 20;
const ROOM_SOON: u64 = 2 << 30;

/// Files of the future by more than this: the clock was set back, or is not right now.
const SKEW: Duration = Duration::from_secs(300);

/// No clock is right that shows a time before this version was made.
const MADE: &str = "2026-11-01T00:00:00Z";

pub(super) fn configuration(sheet: &mut Sheet, loaded: &Loaded) {
    for warning in &loaded.warnings {
        sheet.look("configuration", warning.clone(), "scopegate config --print");
    }
    if !loaded.config.hardening.sandbox {
        sheet.look(
            "configuration",
            "`hardening.sandbox` is `off`",
            "take it out of the configuration and restart the gate",
        );
    }
    if sheet.is_fine("configuration") {
        sheet.fine("configuration", "loads without a warning");
    }
}

pub(super) fn modes(sheet: &mut Sheet, config: &Config, file: &Path) {
    let found = modes::findings(config, file);
    for finding in &found {
        let (text, remedy) = (
            format!(
                "{} can be {} by everybody on this machine",
                finding.what,
                if finding.writable { "changed" } else { "read" }
            ),
            finding.remedy.clone(),
        );
        match finding.writable {
            true => sheet.broken("file modes", text, remedy),
            false => sheet.look("file modes", text, remedy),
        }
    }
    if found.is_empty() {
        sheet.fine("file modes", "key, store and audit log are closed to others");
    }
}

pub(super) fn disk(sheet: &mut Sheet, config: &Config) {
    let store = config.store.parent().unwrap_or(Path::new("."));
    let places = [
        ("the store", store),
        ("the audit log", config.audit.dir.as_path()),
    ];
    for (what, folder) in places {
        let Ok(room) = rustix::fs::statvfs(folder) else {
            continue;
        };
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        let remedy = format!(
            "free some on {}: audit files of days that were kept elsewhere may go",
            folder.display()
        );
        let text = format!("{} free for {what}", size(free));
        if free < ROOM_LEAST || (room.f_files > 0 && room.f_favail == 0) {
            sheet.broken("disk", text, remedy);
        } else if free < ROOM_SOON {
            sheet.look("disk", text, remedy);
        } else {
            sheet.fine("disk", text);
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 20 {
        mib if mib >= 10 << 10 => format!("{} GiB", mib >> 10),
        mib => format!("{mib} MiB"),
    }
}

/// Whether the log is there, and when it was last written to: what a gate that stopped can still tell.
pub(super) fn audit(sheet: &mut Sheet, config: &Config) {
    let folder = config.audit.dir.join(&config.instance);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) => {
            let text = format!("the log's folder can't be read: {error}");
            return sheet.look("audit", text, format!("ls -ld {}", folder.display()));
        }
    };
    let times = entries
        .flatten()
        .filter_map(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
    match times.max().and_then(|at| Timestamp::try_from(at).ok()) {
        Some(at) => sheet.fine("audit", format!("last written {}", short(at))),
        None => sheet.look("audit", "nothing was ever recorded", "scopegate health --verbose"),
    }
}

/// Expiry of keys and policies goes by the wall clock: one that is off makes them end early or late.
pub(super) fn clock(sheet: &mut Sheet, config: &Config, now: Timestamp) {
    let remedy = "timedatectl status";
    let made: Option<Timestamp> = MADE.parse().ok();
    if made.is_some_and(|made| now < made) {
        sheet.broken(
            "clock",
            "the clock shows a time before this version was made",
            remedy,
        );
        return;
    }
    let now = SystemTime::from(now);
    let written = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let store = written(&config.store);
    match store
        .and_then(|at| at.duration_since(now).ok())
        .filter(|ahead| *ahead > SKEW)
    {
        Some(ahead) => sheet.look(
            "clock",
            format!(
                "the store was written {} s in the future: the clock was set back",
                ahead.as_secs()
            ),
            remedy,
        ),
        None => sheet.fine("clock", "plausible"),
    }
}

/// By this clock ages outlive a restart of the gate, whatever the wall clock does.
pub(super) fn machine_clock(sheet: &mut Sheet, now: Option<&MachineTime>) {
    match now {
        Some(_) => sheet.fine("clock", "the machine's own can be read"),
        None => sheet.look(
            "clock",
            "the kernel does not tell which run of the machine this is: the wall clock decides how old tokens are and \
             what is left of limits",
            "cat /proc/sys/kernel/random/boot_id, and take what hides it (`ProcSubset=pid`) out of the gate's unit",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_does_not_tell_its_run_is_to_be_looked_at() {
        let mut sheet = Sheet::default();
        machine_clock(&mut sheet, MachineTime::now().as_ref());
        assert!(sheet.is_fine("clock"));
        machine_clock(&mut sheet, None);
        assert!(!sheet.is_fine("clock") && sheet.json().contains("ProcSubset=pid"));
    }

    #[test]
    fn a_clock_of_the_past_and_a_store_of_the_future_are_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::in_folder(dir.path());
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(&config.store, "").unwrap();
        let grade = |now: &str| {
            let mut sheet = Sheet::default();
            clock(&mut sheet, &config, now.parse().unwrap());
            sheet.json()
        };
        assert!(grade("1970-01-02T00:00:00Z").contains("before this version"));
        assert!(
            grade("2026-11-02T00:00:00Z").contains("in the future")
                || Timestamp::now() < MADE.parse().unwrap()
        );
        assert!(grade("2100-01-01T00:00:00Z").contains("plausible"));
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(size(300 << 20), "300 MiB");
        assert_eq!(size(30 << 30), "30 GiB");
    }
}
