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

/// Arms the point named in `SCOPEGATE_FAIL_KILL` (`NAME`, or `NAME:3` for the third time it is passed):
/// there the process kills itself with SIGKILL, as a crash would. Does nothing in a build whose fail
/// points are compiled out.
pub fn arm_from_environment() {
    if !fail::has_failpoints() {
        return;
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
