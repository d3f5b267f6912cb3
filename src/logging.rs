//! Log lines to stderr, as JSON or text, and a panic hook that never prints a payload.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use uuid::Uuid;

/// Crates that print headers, frames or SQL values below `info`: capped there, whatever `RUST_LOG`
/// says, because those hold keys and tokens.
const CAPPED: [&str; 7] = [
    "h2",
    "hyper",
    "hyper_util",
    "rustls",
    "tokio_rustls",
    "rusqlite",
    "axum",
];

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Sends log lines to stderr from now on, filtered by `RUST_LOG` (default `info`), and installs
/// the panic hook. A second call changes nothing.
pub fn init(format: LogFormat) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let json = match format {
        LogFormat::Auto => !io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let (filter, mistaken) = filter(&wanted);
    let layer = layer(filter, json, io::stderr);
    let _ = tracing_subscriber::registry().with(layer).try_init();
    if mistaken {
        tracing::warn!("`RUST_LOG` is not a list of `target=level`; using `info`");
    }
    install_panic_hook();
}

/// Prints where a panic happened and an id to find it by, never what it says: a payload may quote
/// a value.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let id = Uuid::new_v4();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        if tracing::dispatcher::has_been_set() {
            tracing::error!(panic.id = %id, panic.place = place, thread, "a defect in scopegate: please report place and id");
        } else {
            // Nothing better to do if stderr is gone.
            let _ = writeln!(
                io::stderr(),
                "scopegate: a defect in scopegate at {place} in thread `{thread}`, id {id}: please report it"
            );
        }
    }));
}

/// Alike lines a second that a flood may write.
const LINES_PER_SECOND: u64 = 20;

/// Lets the first lines of each second through and counts the others, so that a flood of requests
/// is not a flood of log lines.
#[derive(Debug, Default)]
pub struct LineBudget {
    /// Second and lines in it, packed: the count in the low 20 bits.
    spent: AtomicU64,
    withheld: AtomicU64,
}

impl LineBudget {
    /// `Some(n)`: write the line, and that `n` alike were withheld since the last one.
    pub fn spend(&self, now: Timestamp) -> Option<u64> {
        let second = u64::try_from(now.as_second()).unwrap_or(0) << 20;
        let take = |spent: u64| {
            if spent >> 20 != second >> 20 {
                Some(second | 1)
            } else if spent & 0xf_ffff < LINES_PER_SECOND {
                Some(spent + 1)
            } else {
                None
            }
        };
        if self
            .spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
        {
            Some(self.withheld.swap(0, Ordering::Relaxed))
        } else {
            self.withheld.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}

fn filter(wanted: &str) -> (EnvFilter, bool) {
    let builder = || EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    match builder().parse(wanted) {
        Ok(filter) => (filter, false),
        Err(_) => (builder().parse_lossy(""), true),
    }
}

fn layer<S, W>(filter: EnvFilter, json: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter.and(filter_fn(is_fit_to_print));
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    if json {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed()
    } else {
        layer
            .with_ansi(io::stderr().is_terminal())
            .with_filter(filter)
            .boxed()
    }
}

fn is_fit_to_print(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !CAPPED.contains(&root)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(wanted: &str, json: bool, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let sink = lines.clone();
        let layer = layer(filter(wanted).0, json, move || sink.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn crates_that_print_headers_stay_silent_below_info_whatever_the_filter_says() {
        for wanted in [
            "trace",
            "h2=trace,hyper=trace,rustls=trace,rusqlite=trace",
            "h2::codec=debug",
        ] {
            let text = logged(wanted, true, || {
                tracing::trace!(target: "h2::codec::framed_read", "canary");
                tracing::debug!(target: "hyper::proto::h1::io", "canary");
                tracing::debug!(target: "rustls::client::hs", "canary");
                tracing::trace!(target: "rusqlite", "canary");
                tracing::info!(target: "h2", "told");
            });
            assert!(!text.contains("canary"), "{wanted}: {text}");
            let told = !wanted.contains("::");
            assert_eq!(text.contains("told"), told, "{wanted}: {text}");
        }
    }

    #[test]
    fn other_targets_follow_the_filter_and_a_json_line_is_one_object() {
        let text = logged("scopegate=debug", true, || {
            tracing::debug!(target: "scopegate::proxy", { request.id = "x" }, "seen");
            tracing::debug!(target: "elsewhere", "unseen");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "seen");
        assert_eq!(line["request.id"], "x");
        assert_eq!(line["level"], "DEBUG");
    }

    /// Run by the test below in a process of its own: a panic hook is the whole process's.
    #[test]
    fn panics_when_told_to() {
        if std::env::var_os("PANIC_IN_THIS_TEST").is_some() {
            install_panic_hook();
            let secret = std::hint::black_box("canary");
            panic!("the token is {secret}");
        }
    }

    #[test]
    fn a_panic_says_where_and_never_what() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logging::tests::panics_when_told_to", "--nocapture"])
            .env("PANIC_IN_THIS_TEST", "1")
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(
            stderr.contains("a defect in scopegate at src/logging.rs:"),
            "{stderr}"
        );
        assert!(!stderr.contains("canary"), "{stderr}");
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_noticed_and_means_info() {
        let (filter, mistaken) = filter("scopegate=loud=er");
        assert!(mistaken);
        assert_eq!(filter.max_level_hint(), Some(LevelFilter::INFO));
    }

    #[test]
    fn a_flood_writes_a_few_lines_a_second_and_says_how_many_it_withheld() {
        let budget = LineBudget::default();
        let second = |n| Timestamp::from_second(n).unwrap();
        let written = (0..1000).filter(|_| budget.spend(second(5)).is_some()).count();
        assert_eq!(written as u64, LINES_PER_SECOND);
        assert_eq!(budget.spend(second(6)), Some(1000 - LINES_PER_SECOND));
        assert_eq!(budget.spend(second(6)), Some(0));
    }
}
