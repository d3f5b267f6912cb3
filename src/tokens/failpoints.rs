//! Places where a test stops the process, to see what survives. Compiled to nothing outside tests: only
//! the development dependencies turn the `fail` crate on.

/// Before anything is written about a refresh.
pub const BEFORE_INTENT: &str = "refresh-before-intent";
/// The intent is durable, nothing is sent.
pub const AFTER_INTENT: &str = "refresh-after-intent";
/// The question is with the kernel, the answer not here.
pub const AFTER_SEND: &str = "control-after-send";
/// The answer is in memory.
pub const AFTER_ANSWER: &str = "refresh-after-answer";
/// Sealed, about to be written.
pub const BEFORE_SAVE: &str = "refresh-before-save";
/// Durable, not yet in use.
pub const AFTER_SAVE: &str = "refresh-after-save";
/// About to be lent.
pub const BEFORE_PUBLISH: &str = "refresh-before-publish";

/// An install's code is exchanged, its grant in memory alone.
pub const INSTALL_AFTER_EXCHANGE: &str = "install-after-exchange";
/// An install's grant is sealed, about to be written.
pub const INSTALL_BEFORE_SAVE: &str = "install-before-save";

/// A rotation of the master key: the new key is in its file, nothing else has happened.
pub const ROTATE_AFTER_FILE: &str = "rotate-after-file";
/// Running gates are told.
pub const ROTATE_AFTER_ANNOUNCE: &str = "rotate-after-announce";
/// Everything is wrapped anew, nothing of it committed.
pub const ROTATE_BEFORE_COMMIT: &str = "rotate-before-commit";
/// Committed; the key file is still the old one.
pub const ROTATE_AFTER_TURN: &str = "rotate-after-turn";
/// The old key has its second name, the new one not yet its place.
pub const ROTATE_BEFORE_RENAME: &str = "rotate-before-rename";
/// A gate is about to take an announced master key, or to let the old one go.
pub const FOLLOW_MASTER_KEY: &str = "follow-master-key";

/// Those of a command that rotates, in the order it comes by.
pub const ROTATION: [&str; 5] = [
    ROTATE_AFTER_FILE,
    ROTATE_AFTER_ANNOUNCE,
    ROTATE_BEFORE_COMMIT,
    ROTATE_AFTER_TURN,
    ROTATE_BEFORE_RENAME,
];

/// Those of a refresh, in the order a refresh comes by.
pub const ALL: [&str; 7] = [
    BEFORE_INTENT,
    AFTER_INTENT,
    AFTER_SEND,
    AFTER_ANSWER,
    BEFORE_SAVE,
    AFTER_SAVE,
    BEFORE_PUBLISH,
];

/// Points besides those of refreshes and installs: a commit of the store, a commit of the audit log before its lines
/// are written and between that and their sync, the wall clock (`return(SECONDS)` sets it), a reload on the
/// publisher's own thread, a reload's reading beside it.
pub const OTHERS: [&str; 6] = [
    "store-commit",
    "audit-commit",
    "audit-sync",
    "wall-clock",
    "publisher-reload",
    "reload-read",
];

/// Sets fail points as a file says while the process runs: a line each, `NAME=ACTION`. What is in force
/// stands in a file of the same name with `.seen` behind it.
fn follow(file: std::path::PathBuf) {
    let mut seen = file.clone().into_os_string();
    seen.push(".seen");
    let mut known = String::new();
    let look = move || {
        loop {
            let wanted = std::fs::read_to_string(&file).unwrap_or_default();
            if wanted != known && (wanted.is_empty() || wanted.ends_with('\n')) {
                for (name, _) in known.lines().filter_map(|line| line.split_once('=')) {
                    fail::remove(name);
                }
                for (name, action) in wanted.lines().filter_map(|line| line.split_once('=')) {
                    if let Err(error) = fail::cfg(name, action) {
                        tracing::error!(point = name, error, "fail point not armed");
                    }
                }
                known = wanted;
                // The test waits in vain if it fails.
                let _ = std::fs::write(&seen, &known);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let thread = std::thread::Builder::new().name("failpoints".to_owned());
    if let Err(error) = thread.spawn(look) {
        tracing::error!(%error, "fail points are not followed");
    }
}

/// Arms the point named in `SCOPEGATE_FAIL_KILL` (`NAME`, or `NAME:3` for the third time it is passed):
/// there the process kills itself with SIGKILL, as a crash would. Does nothing in a build whose fail
/// points are compiled out.
pub fn arm_from_environment() {
    if !fail::has_failpoints() {
        return;
    }
    if let Some(file) = std::env::var_os("SCOPEGATE_FAIL_FILE") {
        follow(file.into());
    }
    let Ok(wish) = std::env::var("SCOPEGATE_FAIL_KILL") else {
        return;
    };
    let (name, time) = match wish.split_once(':') {
        Some((name, time)) => (name, time.parse().unwrap_or(1)),
        None => (&*wish, 1),
    };
    let passed = std::sync::atomic::AtomicU32::new(0);
    let armed = fail::cfg_callback(name, move || {
        if passed.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == time {
            let me = rustix::process::getpid();
            // Nothing to do if it fails: the test will see a process that lives.
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        }
    });
    if let Err(error) = armed {
        tracing::error!(point = name, error, "fail point not armed");
    }
}
