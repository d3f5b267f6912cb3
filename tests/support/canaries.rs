//! Secrets are looked for wherever the gate leaves anything, after every test that has a gate.
//!
//! A [`Ward`] stands over each world. What clients read, what the gate and its commands said, metrics and the
//! process's environment are handed in as they come ([`seen`]); files are read when the world ends. Then every
//! secret of that world, in every form of [`forms`], is searched in all of it, and what stands where
//! [`ALLOWED`] does not have it fails the test. Forgetting is not possible: a gate that is started below no ward's folder
//! is refused ([`watches`]), and `tests/promises.rs` refuses a test that starts one by itself without a ward.
//!
//! What a client reads of HTTP/2 or TLS is searched as it means it, not as it came: [`heard`].
//!
//! Bounds: of one connection the first [`HEARD_MAX`] bytes are searched, of all tests that run at one time
//! [`SPOOL_MAX`].
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "heard.rs"]
pub mod heard;

use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use scopegate::sim::{Issued, PLANTED_TEXT, Sim};

/// Bytes of one connection that are kept to be searched.
pub const HEARD_MAX: usize = 1 << 20;

/// Bytes kept of all worlds at one time; what comes beyond is not searched, and the test says so.
pub const SPOOL_MAX: usize = 256 << 20;

/// Shorter texts are no secrets one could recognise.
const SHORTEST: usize = 16;

/// But for planted numbers, of 15 digits, and dates, of a century nobody alive was born in: these are searched whole.
const SHORTEST_PLANTED: usize = 10;

/// Of a longer text its beginning and its end are searched: one cut short is found, too.
const WINDOW: usize = 24;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    MasterKey,
    /// Of HubSpot: OAuth access tokens, private-app tokens, service keys.
    AccessToken,
    /// Of HubSpot: refresh tokens and authorization codes.
    RefreshToken,
    ClientSecret,
    /// The 43 secret characters of a key of the gate.
    GateKey,
    /// The 43 secret characters of a credential of the admin API.
    AdminCredential,
    /// What else a test gives in a file of its own that only its owner may read.
    GivenSecret,
    /// The address of somebody who may have installed an app.
    Address,
    /// The value of a property that no policy of the worlds with property rules shows.
    HiddenValue,
}

/// Where it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// What a client of the data, install or admin listener read.
    Answer,
    /// Log lines and everything else on the gate's standard output and error.
    Log,
    /// `/metrics` and `/readyz`.
    Metrics,
    Audit,
    /// The store's file, its write-ahead log and index, and backups.
    Store,
    /// Standard output and error of commands.
    Command,
    /// The process's arguments and environment.
    Process,
    /// The master key's file, and what a rotation leaves beside it.
    MasterKeyFile,
    /// Any other file in the gate's folder: configuration, policies, and what nobody knows of, temporary ones
    /// included.
    OtherFile,
}

/// The exceptions, each with its reason. What is not here fails.
pub const ALLOWED: &[(Kind, Place, &str)] = &[
    (Kind::MasterKey, Place::MasterKeyFile, "that is where it is kept"),
    (
        Kind::GateKey,
        Place::Command,
        "`key create` and `key rotate` show a key once; nobody else may",
    ),
    (
        Kind::GateKey,
        Place::Answer,
        "introspection answers the key to who sent it; no other answer may",
    ),
    (
        Kind::AdminCredential,
        Place::Command,
        "`admin create` shows a credential once; nobody else may",
    ),
    (
        Kind::Address,
        Place::Answer,
        "owners and users are records, which policies decide about",
    ),
    (
        Kind::Address,
        Place::Command,
        "`people` and `connection` name people to the operator",
    ),
    (
        Kind::Address,
        Place::Store,
        "columns connections.installer_email, people.email, offboarded.email, findings.person, kills.subject and \
         admin_events: kill and offboarding are by address, the store is mode 0600",
    ),
    (
        Kind::Address,
        Place::Audit,
        "admin lines of `kill --person` and `people offboard`: who was stopped must be in the record",
    ),
    (
        Kind::HiddenValue,
        Place::Answer,
        "worlds without property rules; those with them compare every answer (tests/properties)",
    ),
];

// ---- what is handed in ------------------------------------------------------------------------

struct Entry {
    place: Place,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Spool {
    entries: VecDeque<Arc<Entry>>,
    /// Number of the first entry.
    first: usize,
    held: usize,
    missed: usize,
    /// Where each living ward began, and its folder.
    wards: Vec<(usize, PathBuf)>,
    upstreams: BTreeSet<SocketAddr>,
    given: Vec<(PathBuf, String)>,
    /// Names of variables in which a gate is given its master key.
    variables: BTreeSet<String>,
    /// What commands showed once, by their configuration.
    shown: Vec<(PathBuf, Kind, String)>,
    /// Master keys, by the file they once stood in: a rotation takes them from there.
    masters: BTreeSet<(PathBuf, String)>,
    /// What needs no search to be wrong.
    wrong: Vec<String>,
}

static SPOOL: Mutex<Option<Spool>> = Mutex::new(None);

fn with<T>(work: impl FnOnce(&mut Spool) -> T) -> T {
    let mut spool: MutexGuard<'_, Option<Spool>> = SPOOL.lock().unwrap_or_else(PoisonError::into_inner);
    work(spool.get_or_insert_default())
}

/// Hands in what was seen somewhere.
pub fn seen(place: Place, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    with(|spool| {
        if spool.wards.is_empty() {
            return;
        }
        if spool.held + bytes.len() > SPOOL_MAX {
            spool.missed += bytes.len();
            return;
        }
        spool.held += bytes.len();
        let bytes = bytes.to_vec();
        spool.entries.push_back(Arc::new(Entry { place, bytes }));
    });
}

/// The same of one who answered at this address, which may be HubSpot's place and not the gate.
pub fn seen_from(address: SocketAddr, bytes: &[u8]) {
    if !is_upstream(address) {
        seen(Place::Answer, bytes);
    }
}

fn is_upstream(address: SocketAddr) -> bool {
    with(|spool| spool.upstreams.contains(&address))
}

/// A test gives the gate a secret in a file of its own: the file is excused, the secret is looked for.
pub fn given_in(file: &Path, text: &str) {
    with(|spool| spool.given.push((file.to_owned(), text.trim().to_owned())));
}

/// A test gives the gate its master key in a variable: that one is excused, the rest of the environment is searched.
pub fn given_in_variable(name: &str) {
    with(|spool| spool.variables.insert(name.to_owned()));
}

/// The environment without what was given there.
fn environment_to_search(environment: &[u8]) -> Vec<u8> {
    let variables = with(|spool| spool.variables.clone());
    let is_given = |entry: &[u8]| {
        let name = entry.split(|byte| *byte == b'=').next().unwrap_or_default();
        variables.iter().any(|given| given.as_bytes() == name)
    };
    let entries = environment.split(|byte| *byte == 0);
    entries
        .filter(|entry| !is_given(entry))
        .collect::<Vec<_>>()
        .join(&0)
}

/// What a command said. A key or credential it made is a secret from now on.
pub fn said(args: &[&str], output: &Output) {
    let has = |word| args.contains(&word);
    let shows_once = (has("key") && (has("create") || has("rotate"))) || (has("admin") && has("create"));
    seen(Place::Command, &output.stderr);
    // What no ward watches may be anywhere, at the root of the machine too.
    if let Some(home) = config_of(args)
        .filter(|config| watches(config))
        .and_then(Path::parent)
    {
        remember_master_keys(home);
    }
    if shows_once {
        let text = String::from_utf8_lossy(&output.stdout);
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let secrets = words.filter_map(|word| {
            let mut parts = word.split('_');
            // `sg_KIND_ID_SECRET_CHECK` and `sga_ID_SECRET_CHECK`.
            let (kind, at) = match parts.next()? {
                "sg" => (Kind::GateKey, 2),
                "sga" => (Kind::AdminCredential, 1),
                _ => return None,
            };
            Some((kind, parts.nth(at)?.to_owned()))
        });
        let of = config_of(args).map_or(PathBuf::new(), Path::to_owned);
        with(|spool| {
            let shown = secrets.map(|(kind, secret)| (of.clone(), kind, secret));
            spool.shown.extend(shown);
        });
    } else {
        seen(Place::Command, &output.stdout);
    }
}

fn is_master_key_file(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("master.key"))
}

/// A master key stays a secret after it was replaced.
pub fn remember_master_keys(home: &Path) {
    for file in files_below(home) {
        if is_master_key_file(&file) {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            with(|spool| spool.masters.insert((file, text.trim().to_owned())));
        }
    }
}

/// Whether a ward stands over the folder of this configuration.
pub fn watches(config: &Path) -> bool {
    with(|spool| spool.wards.iter().any(|(_, dir)| config.starts_with(dir)))
}

fn config_of<'a>(args: &[&'a str]) -> Option<&'a Path> {
    let at = args.iter().position(|arg| *arg == "--config")?;
    let file: &'a str = args.get(at + 1)?;
    Some(Path::new(file))
}

/// Where a process puts its temporary files, so that they are found.
pub fn temporary_for(args: &[&str]) -> Option<(&'static str, PathBuf)> {
    temporary_beside(config_of(args)?)
}

pub fn temporary_beside(config: &Path) -> Option<(&'static str, PathBuf)> {
    let place = config.parent()?.join("tmp");
    // Before there is a folder there is nothing to hide in it.
    std::fs::create_dir_all(&place).ok()?;
    Some(("TMPDIR", place))
}

/// What a running gate shows of itself: metrics, arguments, environment (to root alone: it can't be dumped), and that
/// it leaves no core.
pub fn look_at_process(pid: u32, monitor: SocketAddr) {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let environment = environment_to_search(&read("environ"));
    seen(Place::Process, &[environment, read("cmdline")].concat());
    let limits = String::from_utf8(read("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let refused = core.is_some_and(|line| line.split_whitespace().skip(4).take(2).eq(["0", "0"]));
    if !refused {
        with(|spool| {
            spool
                .wrong
                .push(format!("the gate may leave a core file: {core:?}"))
        });
    }
    look_at_metrics(monitor);
}

/// Asks for the metrics as they stand, if they come soon: a gate that was stopped shows none.
pub fn look_at_metrics(monitor: SocketAddr) {
    const PATIENCE: Option<Duration> = Some(Duration::from_secs(2));
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&monitor, Duration::from_secs(2))?;
        stream.set_read_timeout(PATIENCE)?;
        write!(
            stream,
            "GET /metrics HTTP/1.1\r\nHost: {monitor}\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        Ok(text)
    };
    seen(Place::Metrics, &ask().unwrap_or_default());
}

/// Hands in the log of gates in this process, from the first world on; the simulator's is not the gate's.
fn listen_to_the_log() {
    static ONCE: Once = Once::new();
    struct Log;
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            seen(Place::Log, bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    ONCE.call_once(|| {
        use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};
        // One level more than operators have; tests with a process of their own log all there is.
        let filter = EnvFilter::new("info,scopegate=debug,scopegate::sim=off");
        let layer = fmt::layer().with_ansi(false).with_writer(|| Log);
        // A test binary with a subscriber of its own searches what it caught itself.
        let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
    });
}

// ---- the forms of a secret --------------------------------------------------------------------

/// Everything a text could stand as: plain, reversed, hexadecimal, base64 of both alphabets at each of the three
/// alignments, escaped in a URL, escaped in JSON.
pub fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |write: &dyn Fn(u8) -> String| secret.iter().map(|byte| write(*byte)).collect::<String>();
    let mut forms = vec![
        ("plain", secret.to_vec()),
        ("reversed", secret.iter().rev().copied().collect()),
        ("hexadecimal", each(&|byte| format!("{byte:02x}")).into_bytes()),
        ("hexadecimal", each(&|byte| format!("{byte:02X}")).into_bytes()),
        (
            "all escaped in a URL",
            each(&|byte| format!("%{byte:02x}")).into_bytes(),
        ),
        (
            "all escaped in a URL",
            each(&|byte| format!("%{byte:02X}")).into_bytes(),
        ),
        (
            "all escaped in JSON",
            each(&|byte| format!("\\u00{byte:02x}")).into_bytes(),
        ),
        (
            "all escaped in JSON",
            each(&|byte| format!("\\u00{byte:02X}")).into_bytes(),
        ),
    ];
    let escaped: String = form_urlencoded::byte_serialize(secret).collect();
    if escaped.as_bytes() != secret {
        forms.push(("escaped in a URL", escaped.into_bytes()));
    }
    for before in 0..3 {
        // Characters that also hold bits of what stands before or after are left out.
        let padded = [&[0; 2][..before], secret].concat();
        let (from, length) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for (alphabet, text) in [
            ("base64", STANDARD_NO_PAD.encode(&padded)),
            ("base64 for URLs", URL_SAFE_NO_PAD.encode(&padded)),
        ] {
            forms.push((alphabet, text.as_bytes()[from..length].to_vec()));
        }
    }
    forms
}

/// The parts of a form that are searched.
fn windows(form: &[u8], is_short: bool) -> Vec<&[u8]> {
    // An escape takes up to six characters a byte.
    match form.len() {
        length if length <= WINDOW || is_short => vec![form],
        length => vec![&form[..WINDOW], &form[length - WINDOW..]],
    }
}

/// What is searched of a planted value. A text says at its end whose it is: what stands before is the same of every
/// record and found in all of them, so that no record is left out for there being too many.
fn searched_of_planted(value: &str) -> &str {
    let name = value.strip_suffix("-before").unwrap_or(value);
    match name.rfind('-') {
        Some(end) if value.starts_with(PLANTED_TEXT) => &value[..=end],
        _ => value,
    }
}

struct Needles {
    meaning: Vec<(Kind, &'static str)>,
    automaton: AhoCorasick,
}

impl Needles {
    fn of(secrets: &BTreeSet<(Kind, Vec<u8>)>) -> Self {
        let mut needles = BTreeSet::new();
        for (kind, secret) in secrets {
            for (name, form) in forms(secret) {
                for window in windows(&form, secret.len() < SHORTEST) {
                    needles.insert((*kind, name, window.to_vec()));
                }
            }
        }
        let each = needles.into_iter();
        let (meaning, patterns): (Vec<_>, Vec<_>) =
            each.map(|(kind, name, window)| ((kind, name), window)).unzip();
        Self {
            meaning,
            automaton: AhoCorasick::new(&patterns).unwrap(),
        }
    }

    /// Those of the planted values of all worlds of this process: they are much the same, and many.
    fn of_planted(values: &[String]) -> Arc<Self> {
        type Made = (BTreeSet<(Kind, Vec<u8>)>, Arc<Needles>);
        static MADE: Mutex<Option<Made>> = Mutex::new(None);
        let texts = values.iter().map(|value| searched_of_planted(value));
        let mut secrets: BTreeSet<_> = texts
            .filter(|text| text.len() >= SHORTEST_PLANTED)
            .map(|text| (Kind::HiddenValue, text.as_bytes().to_vec()))
            .collect();
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *made {
            Some((known, needles)) if secrets.is_subset(known) => Arc::clone(needles),
            made => {
                let known = made.take().map(|(known, _)| known);
                secrets.extend(known.into_iter().flatten());
                let needles = Arc::new(Self::of(&secrets));
                *made = Some((secrets, Arc::clone(&needles)));
                needles
            }
        }
    }

    /// What stands in `bytes` and must not.
    fn found(&self, place: Place, bytes: &[u8], name: &str, into: &mut BTreeSet<String>) {
        for found in self.automaton.find_overlapping_iter(bytes) {
            let (kind, form) = self.meaning[found.pattern().as_usize()];
            if !is_allowed(kind, place, bytes, found.start()) {
                into.insert(format!("{kind:?} ({form}) stands in {place:?}: {name}"));
            }
        }
    }
}

fn is_listed(kind: Kind, place: Place) -> bool {
    ALLOWED.iter().any(|(of, at, _)| (*of, *at) == (kind, place))
}

fn is_allowed(kind: Kind, place: Place, bytes: &[u8], at: usize) -> bool {
    let listed = is_listed(kind, place);
    // Of answers, only introspection's may hold a key; of commands, what makes one is never handed in.
    match (kind, place) {
        (Kind::GateKey, Place::Answer) => listed && memchr::memmem::find(bytes, b"\"token_use\"").is_some(),
        (Kind::GateKey | Kind::AdminCredential, Place::Command) => false,
        // What operators did, and no request's line.
        (Kind::Address, Place::Audit) => {
            let begin = bytes[..at]
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1);
            let end = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
            listed && memchr::memmem::find(&bytes[begin..end], b"\"kind\":\"admin\"").is_some()
        }
        _ => listed,
    }
}

// ---- the ward ---------------------------------------------------------------------------------

/// Stands over one world.
pub struct Ward {
    dir: PathBuf,
    sim: Option<Arc<Sim>>,
    began: usize,
    watching: bool,
}

impl Ward {
    /// Over what is in `dir`, with this simulator as HubSpot. To be made before the gate's folder is, and to be
    /// dropped after the gate and before `dir`.
    pub fn new(dir: &Path, sim: &Arc<Sim>, upstream: SocketAddr) -> Self {
        with(|spool| spool.upstreams.insert(upstream));
        Self::over(dir, Some(Arc::clone(sim)))
    }

    /// Over a world without HubSpot.
    pub fn alone(dir: &Path) -> Self {
        Self::over(dir, None)
    }

    fn over(dir: &Path, sim: Option<Arc<Sim>>) -> Self {
        listen_to_the_log();
        let began = with(|spool| {
            let now = spool.first + spool.entries.len();
            spool.wards.push((now, dir.to_owned()));
            now
        });
        Self {
            dir: dir.to_owned(),
            sim,
            began,
            watching: true,
        }
    }

    /// All secrets of this world, as of now, but for planted values.
    fn secrets(&self, issued: Issued) -> BTreeSet<(Kind, Vec<u8>)> {
        remember_master_keys(&self.dir);
        let mut secrets = BTreeSet::new();
        let mut add = |kind, text: &[u8]| {
            if text.len() >= SHORTEST {
                secrets.insert((kind, text.to_vec()));
            }
        };
        for (kind, texts) in [
            (Kind::AccessToken, issued.access_tokens),
            (Kind::RefreshToken, issued.refresh_tokens),
            (Kind::ClientSecret, issued.client_secrets),
            (Kind::Address, issued.addresses),
        ] {
            texts.iter().for_each(|text| add(kind, text.as_bytes()));
        }
        with(|spool| {
            for (file, text) in spool.given.iter().filter(|(file, _)| file.starts_with(&self.dir)) {
                let is_key = file.ends_with("master.key");
                let is_one = text.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_key && is_one && !text.starts_with(['{', '[']) {
                    add(Kind::GivenSecret, text.as_bytes());
                }
            }
            let shown = spool.shown.iter();
            for (_, kind, secret) in shown.filter(|(config, ..)| config.starts_with(&self.dir)) {
                add(*kind, secret.as_bytes());
            }
            let masters = spool.masters.iter();
            for (_, text) in masters.filter(|(file, _)| file.starts_with(&self.dir)) {
                if let Ok(bytes) = STANDARD.decode(text) {
                    add(Kind::MasterKey, text.as_bytes());
                    add(Kind::MasterKey, &bytes);
                }
            }
        });
        secrets
    }

    fn place_of(&self, file: &Path) -> Option<Place> {
        if with(|spool| spool.given.iter().any(|(given, _)| given == file)) && !file.ends_with("master.key") {
            return None;
        }
        let name = file.file_name()?.to_str()?;
        let below = file.strip_prefix(&self.dir).ok()?;
        Some(match name {
            _ if is_master_key_file(file) => Place::MasterKeyFile,
            _ if below.iter().any(|part| part == "audit") => Place::Audit,
            _ if name.contains(".db") => Place::Store,
            _ if name.ends_with(".log") => Place::Log,
            _ => Place::OtherFile,
        })
    }

    /// Everything that stands where it must not, by now.
    pub fn findings(&self) -> Vec<String> {
        let files = files_below(&self.dir);
        let issued = self.sim.as_ref().map(|sim| sim.issued()).unwrap_or_default();
        let planted = Needles::of_planted(&issued.hidden_values);
        let own = Needles::of(&self.secrets(issued));
        let search = |place, bytes: &[u8], name: &str, into: &mut BTreeSet<String>| {
            own.found(place, bytes, name, into);
            // Most of all that is seen are answers.
            if !is_listed(Kind::HiddenValue, place) {
                planted.found(place, bytes, name, into);
            }
        };
        let (entries, missed, mut wrong) = with(|spool| {
            let skip = self.began.saturating_sub(spool.first);
            let entries: Vec<_> = spool.entries.iter().skip(skip).cloned().collect();
            (entries, spool.missed, std::mem::take(&mut spool.wrong))
        });
        if missed > 0 {
            println!("{missed} bytes came beyond what is searched for secrets");
        }
        let mut found = BTreeSet::new();
        for entry in entries {
            search(entry.place, &entry.bytes, "seen while the test ran", &mut found);
        }
        for text in heard::unfinished() {
            search(Place::Answer, &text, "seen while the test ran", &mut found);
        }
        for file in files {
            let (Some(place), Ok(bytes)) = (self.place_of(&file), read_apart(&file)) else {
                continue;
            };
            search(place, &bytes, &file.display().to_string(), &mut found);
            if file
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("core"))
            {
                found.insert(format!("a core file: {}", file.display()));
            }
        }
        wrong.extend(found);
        wrong
    }

    /// Ends without looking, for a test that leaks on purpose.
    pub fn dismiss(mut self) {
        self.watching = false;
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        // A test that fails already says enough; to panic once more would end the process.
        let look = self.watching && !std::thread::panicking();
        let findings = if look { self.findings() } else { Vec::new() };
        with(|spool| {
            let own = |(began, dir): &(usize, PathBuf)| *began == self.began && *dir == self.dir;
            if let Some(at) = spool.wards.iter().position(own) {
                spool.wards.swap_remove(at);
            }
            let first = spool.wards.iter().map(|(began, _)| *began).min();
            let keep = first.unwrap_or(usize::MAX);
            while spool.first < keep && !spool.entries.is_empty() {
                let gone = spool.entries.pop_front().unwrap();
                spool.held -= gone.bytes.len();
                spool.first += 1;
            }
        });
        assert!(
            findings.is_empty(),
            "secrets stand where they must not:\n{}",
            findings.join("\n")
        );
    }
}

/// Reads a file; those of a store by another process: one that closes a handle of a database gives up all
/// its locks on it (POSIX), and the gate of a test may run in this one.
fn read_apart(file: &Path) -> std::io::Result<Vec<u8>> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(".db") {
        return std::fs::read(file);
    }
    let read = std::process::Command::new("cat").arg(file).output()?;
    match read.status.success() {
        true => Ok(read.stdout),
        false => Err(std::io::ErrorKind::NotFound.into()),
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files_below(&path),
            path if path.is_file() => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
