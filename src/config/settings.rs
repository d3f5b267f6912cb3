//! Every setting in one table: its name, its default, how it is read. File, environment, flags,
//! `config --print` and the nearest valid name all follow from it.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::value::{Reading, Value};
use super::{Config, LogFormat, MasterKeySource, OAUTH_VERSIONS, TlsFiles, apps};
use crate::access::connection::ConnectionName;

/// One setting.
pub(super) struct Setting {
    /// Its name, sections separated by points.
    pub(super) name: &'static str,
    /// Its default, as it would be written.
    pub(super) default: &'static str,
    /// How it is shown.
    pub(super) secrecy: Secrecy,
    /// Reads a value into the configuration; paths are relative to the folder given.
    pub(super) apply: fn(&mut Config, &Value, &Path) -> Reading<()>,
}

/// Whether a value may hold a secret: such a setting has a `_FILE` variant and is printed masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Printed as it is.
    Plain,
    /// A URL: its password is masked.
    Url,
    /// A command: its arguments are masked.
    Command,
}

/// The scalar spelling of a section's main setting: `store: sqlite:…` is `store: { url: sqlite:… }`.
pub(super) const SHORTHANDS: [(&str, &str); 1] = [("store", "store.url")];

/// The setting with this name.
pub(super) fn by_name(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Whether settings begin with `name` and a point.
pub(super) fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| {
        setting
            .name
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// The environment variable of a setting.
pub(super) fn variable(name: &str) -> String {
    format!("SCOPEGATE_{}", name.to_ascii_uppercase().replace(['.', '-'], "_"))
}

const ANY: RangeInclusive<u64> = 1..=u64::MAX;
const fn seconds(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(from)..=Duration::from_secs(to)
}
const WAIT: RangeInclusive<Duration> = seconds(1, 3600);

macro_rules! settings {
    ($($name:literal = $default:literal $(, $secrecy:ident)? => |$config:ident, $value:ident, $base:pat_param| $read:expr;)+) => {
        &[$(Setting {
            name: $name,
            default: $default,
            secrecy: settings!(@secrecy $($secrecy)?),
            apply: |$config, $value, $base| { $read; Ok(()) },
        },)+]
    };
    (@secrecy) => { Secrecy::Plain };
    (@secrecy $secrecy:ident) => { Secrecy::$secrecy };
}

/// The settings, in the order in which `config --print` shows them.
pub(super) static SETTINGS: &[Setting] = settings! {
    "listen" = "127.0.0.1:8080" => |c, v, _| c.listen = v.address()?;
    "tls.cert" = "null" => |c, v, base| if let Some(cert) = v.optional(|v| v.path(base))? { tls(c).cert = cert };
    "tls.key" = "null" => |c, v, base| if let Some(key) = v.optional(|v| v.path(base))? { tls(c).key = key };
    "tls.client_ca" = "null" => |c, v, base| if let Some(ca) = v.optional(|v| v.path(base))? { tls(c).client_ca = Some(ca) };
    "admin.listen" = "127.0.0.1:9465" => |c, v, _| c.admin_listen = v.address()?;
    "admin.tls.cert" = "null" => |c, v, base| if let Some(cert) = v.optional(|v| v.path(base))? { admin_tls(c).cert = cert };
    "admin.tls.key" = "null" => |c, v, base| if let Some(key) = v.optional(|v| v.path(base))? { admin_tls(c).key = key };
    "admin.tls.client_ca" = "null" => |c, v, base| if let Some(ca) = v.optional(|v| v.path(base))? { admin_tls(c).client_ca = Some(ca) };
    "admin.hosts" = "[]" => |c, v, _| c.admin.hosts = hosts(v)?;
    "admin.origins" = "[]" => |c, v, _| c.admin.origins = origins(v)?;
    "monitor.listen" = "null" => |c, v, _| c.monitor_listen = v.optional(Value::address)?;
    "install.listen" = "null" => |c, v, _| c.install.listen = v.optional(Value::address)?;
    "install.public_url" = "null" => |c, v, _| c.install.public_url = v.optional(apps::public_url)?;
    "install.authorize_url" = "https://app.hubspot.com/oauth/authorize" => |c, v, _| c.install.authorize_url = apps::authorize_url(v)?;
    "upstream.url" = "https://api.hubapi.com" => |c, v, _| c.upstream.url = v.origin()?;
    "upstream.ca" = "null" => |c, v, base| c.upstream.ca = v.optional(|v| v.path(base))?;
    "upstream.allow_private" = "false" => |c, v, _| c.upstream.allow_private = v.boolean()?;
    "upstream.compression" = "false" => |c, v, _| c.upstream.compression = v.boolean()?;
    "oauth.version" = "2026-03" => |c, v, _| c.oauth_version = v.word(&OAUTH_VERSIONS)?.to_owned();
    "public_url" = "null" => |c, v, _| if let Some(url) = v.optional(Value::origin)? { c.public_url = url; c.public_url_is_default = false };
    "policies" = "policies/" => |c, v, base| c.policies = v.path(base)?;
    "policies_stale" = "1h" => |c, v, _| c.limits.policies_stale = v.duration(seconds(0, 7 * 86_400))?;
    "catalogue.extra" = "null" => |c, v, base| c.catalogue.extra = v.optional(|v| v.path(base))?;
    "catalogue.versions" = "[]" => |c, v, _| c.catalogue.versions = versions(v)?;
    "store.url" = "sqlite:data/scopegate.db", Url => |c, v, base| c.store = store(v, base)?;
    "store.max_staleness" = "10s" => |c, v, _| c.limits.store_max_staleness = v.duration(WAIT)?;
    "master_key.file" = "data/master.key" => |c, v, base| if let Some(file) = v.optional(|v| v.path(base))? { c.master_key = MasterKeySource::File(file) };
    "master_key.env" = "null" => |c, v, _| if let Some(name) = v.optional(variable_name)? { c.master_key = MasterKeySource::Env(name) };
    "master_key.command" = "null", Command => |c, v, _| if let Some(command) = v.optional(command)? { c.master_key = MasterKeySource::Command(command) };
    "master_key.command_wait" = "30s" => |c, v, _| c.key_command.wait = v.duration(seconds(1, 300))?;
    "master_key.command_env" = "[]" => |c, v, _| c.key_command.env = variable_names(v)?;
    "master_key.credential" = "null" => |c, v, _| if let Some(name) = v.optional(name)? { c.master_key = MasterKeySource::Credential(name) };
    "audit.dir" = "data/audit" => |c, v, base| c.audit.dir = v.path(base)?;
    "audit.durable" = "writes" => |c, v, _| c.audit.durable_reads = v.word(&["writes", "all"])? == "all";
    "audit.max_wait" = "2s" => |c, v, _| c.audit.max_wait = v.duration(seconds(1, 60))?;
    "audit.queue_records" = "8192" => |c, v, _| c.audit.queue_records = count(v, 64..=1 << 20)?;
    "audit.file_size" = "256MiB" => |c, v, _| c.audit.file_bytes = v.size(1 << 20..=1 << 40)?;
    "instance" = "null" => |c, v, _| if let Some(instance) = v.optional(name)? { c.instance = instance };
    "workers" = "0" => |c, v, _| c.workers = workers(v)?;
    "rotation.max_age" = "365d" => |c, v, _| c.rotation_max_age = age(v)?;
    "people.watchers" = "[]" => |c, v, _| c.people.watchers = watchers(v)?;
    "people.every" = "5m" => |c, v, _| c.people.every = v.duration(seconds(1, 86_400))?;
    "people.technical_users" = "[]" => |c, v, _| c.people.technical_users = technical_users(v)?;
    "shutdown.delay" = "5s" => |c, v, _| c.shutdown.delay = v.duration(seconds(0, 3600))?;
    "shutdown.grace" = "25s" => |c, v, _| c.shutdown.grace = v.duration(seconds(0, 3600))?;
    "hardening.sandbox" = "on" => |c, v, _| c.hardening.sandbox = v.word(&["on", "off"])? == "on";
    "hardening.read" = "[]" => |c, v, base| c.hardening.read = v.list().iter().map(|path| base.join(path)).collect();
    "log.format" = "auto" => |c, v, _| c.log = log_format(v)?;
    "health.write_failing_after" = "24h" => |c, v, _| c.health_failing_after = v.duration(seconds(1, 30 * 86_400))?;
    "metrics.series" = "20000" => |c, v, _| c.limits.metrics_series = count(v, 2_000..=1_000_000)?;
    "metrics.connections" = "500" => |c, v, _| c.limits.metrics_connections = count(v, 0..=100_000)?;
    "limits.target_size" = "32KiB" => |c, v, _| c.limits.target_bytes = size(v, 1 << 10..=1 << 20)?;
    "limits.head_size" = "64KiB" => |c, v, _| c.limits.head_bytes = size(v, 8 << 10..=1 << 20)?;
    "limits.header_fields" = "100" => |c, v, _| c.limits.header_fields = count(v, 16..=1_000)?;
    "limits.judged_body_size" = "8MiB" => |c, v, _| c.limits.judged_body_bytes = size(v, 64 << 10..=1 << 30)?;
    "limits.judged_total_size" = "256MiB" => |c, v, _| c.limits.judged_total_bytes = size(v, 1 << 20..=1 << 40)?;
    "limits.judged_size_per_integration" = "128MiB" => |c, v, _| c.limits.judged_bytes_per_integration = size(v, 64 << 10..=1 << 40)?;
    "limits.answers_total_size" = "64MiB" => |c, v, _| c.limits.answers_total_bytes = size(v, 0..=1 << 40)?;
    "limits.body_size" = "1GiB" => |c, v, _| c.limits.body_bytes = v.size(1 << 20..=1 << 40)?;
    "limits.error_body_size" = "256KiB" => |c, v, _| c.limits.error_body_bytes = size(v, 4 << 10..=64 << 20)?;
    "limits.replay_size" = "64KiB" => |c, v, _| c.limits.replay_bytes = size(v, 0..=64 << 20)?;
    "limits.connections" = "10000" => |c, v, _| c.limits.connections = count(v, ANY)?;
    "limits.connections_per_address" = "2000" => |c, v, _| c.limits.connections_per_address = count(v, ANY)?;
    "limits.connections_per_key" = "500" => |c, v, _| c.limits.connections_per_key = count(v, ANY)?;
    "limits.in_flight" = "1024" => |c, v, _| c.limits.in_flight = count(v, 1..=1 << 20)?;
    "limits.in_flight_per_integration" = "64" => |c, v, _| c.limits.in_flight_per_integration = count(v, 1..=1 << 20)?;
    "limits.waiting_per_integration" = "512" => |c, v, _| c.limits.waiting_per_integration = count(v, 0..=1 << 20)?;
    "limits.in_flight_wait" = "500ms" => |c, v, _| c.limits.in_flight_wait = v.duration(Duration::from_millis(1)..=Duration::from_secs(60))?;
    "limits.upstream_connections" = "1024" => |c, v, _| c.limits.upstream_connections = count(v, 1..=100_000)?;
    "limits.upstream_connecting" = "64" => |c, v, _| c.limits.upstream_connecting = count(v, 1..=100_000)?;
    "limits.upstream_waiting" = "1024" => |c, v, _| c.limits.upstream_waiting = count(v, 0..=1_000_000)?;
    "limits.upstream_idle" = "64" => |c, v, _| c.limits.upstream_idle = count(v, 0..=10_000)?;
    "limits.h2_streams" = "100" => |c, v, _| c.limits.h2_streams = count(v, 1..=10_000)? as u32;
    "limits.h2_control_frames" = "2000" => |c, v, _| c.limits.h2_control_frames = v.count(100..=1_000_000)?;
    "limits.body_rate" = "256" => |c, v, _| c.limits.body_rate = v.size(0..=1 << 30)?;
    "limits.body_rate_over" = "10s" => |c, v, _| c.limits.body_rate_over = v.duration(WAIT)?;
    "limits.first_byte_wait" = "10s" => |c, v, _| c.limits.first_byte = v.duration(WAIT)?;
    "limits.head_wait" = "10s" => |c, v, _| c.limits.head = v.duration(WAIT)?;
    "limits.judged_body_wait" = "60s" => |c, v, _| c.limits.judged_body = v.duration(WAIT)?;
    "limits.body_wait" = "30s" => |c, v, _| c.limits.body_idle = v.duration(WAIT)?;
    "limits.idle_wait" = "75s" => |c, v, _| c.limits.idle = v.duration(WAIT)?;
    "limits.connect_wait" = "10s" => |c, v, _| c.limits.connect = v.duration(WAIT)?;
    "limits.answer_head_wait" = "110s" => |c, v, _| c.limits.answer_head = v.duration(WAIT)?;
    "limits.answer_wait" = "1m" => |c, v, _| c.limits.answer_idle = v.duration(WAIT)?;
    "limits.total_wait" = "15m" => |c, v, _| c.limits.total = v.duration(seconds(1, 86_400))?;
    "limits.retry_percent" = "10" => |c, v, _| c.limits.retry_percent = count(v, 0..=100)? as u32;
    "limits.retry_reserve" = "10" => |c, v, _| c.limits.retry_reserve = count(v, 0..=10_000)? as u32;
    "limits.breaker_failures" = "10" => |c, v, _| c.limits.breaker_failures = count(v, 0..=100_000)? as u32;
    "limits.breaker_percent" = "50" => |c, v, _| c.limits.breaker_percent = count(v, 1..=100)? as u32;
    "limits.breaker_window" = "10s" => |c, v, _| c.limits.breaker_window = v.duration(WAIT)?;
    "limits.breaker_pause" = "2s" => |c, v, _| c.limits.breaker_pause = v.duration(WAIT)?;
    "limits.token_wait" = "10s" => |c, v, _| c.limits.token = v.duration(WAIT)?;
};

fn tls(config: &mut Config) -> &mut TlsFiles {
    config.tls.get_or_insert_with(|| TlsFiles {
        cert: Default::default(),
        key: Default::default(),
        client_ca: None,
    })
}

fn admin_tls(config: &mut Config) -> &mut TlsFiles {
    config.admin.tls.get_or_insert_with(|| TlsFiles {
        cert: Default::default(),
        key: Default::default(),
        client_ca: None,
    })
}

fn count(value: &Value, range: RangeInclusive<u64>) -> Reading<usize> {
    let count = value.count(range)?;
    usize::try_from(count).map_err(|_| "the number is too large for this machine".to_owned())
}

fn size(value: &Value, range: RangeInclusive<u64>) -> Reading<usize> {
    let size = value.size(range)?;
    usize::try_from(size).map_err(|_| "the size is too large for this machine".to_owned())
}

fn workers(value: &Value) -> Reading<usize> {
    match count(value, 0..=1024)? {
        0 => Ok(super::cores()),
        workers => Ok(workers),
    }
}

/// An age in days, as a rule; `0` needs no unit.
fn age(value: &Value) -> Reading<Duration> {
    if *value == Value::Text("0".to_owned()) {
        return Ok(Duration::ZERO);
    }
    value.duration(seconds(0, 36_500 * 86_400))
}

fn store(value: &Value, base: &Path) -> Reading<std::path::PathBuf> {
    let url = value.text()?;
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Err("a PostgreSQL store is not supported yet; use `sqlite:FILE`".to_owned());
    }
    match url.strip_prefix("sqlite:") {
        Some(file) if !file.is_empty() && !file.starts_with("//") => Ok(base.join(file)),
        _ => Err("a store is needed here, as `sqlite:data/scopegate.db`".to_owned()),
    }
}

fn versions(value: &Value) -> Reading<Vec<String>> {
    let versions = value.list();
    let fits = |version: &String| {
        (1..=32).contains(&version.len())
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && version.bytes().any(|b| b.is_ascii_digit())
    };
    if versions.iter().all(fits) {
        Ok(versions)
    } else {
        Err("version segments are needed here, as `v5` or `2027-03`".to_owned())
    }
}

/// Host names as they stand in `Host`, without a port; compared in lower case.
fn hosts(value: &Value) -> Reading<Vec<String>> {
    let fits = |host: &String| {
        (1..=253).contains(&host.len())
            && (host.parse::<std::net::IpAddr>().is_ok()
                || host
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'))
    };
    let hosts: Vec<String> = value
        .list()
        .iter()
        .map(|host| host.to_ascii_lowercase())
        .collect();
    if hosts.iter().all(fits) {
        Ok(hosts)
    } else {
        Err("host names without a port are needed here, as `[gate.internal.example.com]`".to_owned())
    }
}

fn origins(value: &Value) -> Reading<Vec<String>> {
    value
        .list()
        .into_iter()
        .map(|origin| Value::Text(origin).origin())
        .collect()
}

fn watchers(value: &Value) -> Reading<Vec<String>> {
    let names = value.list();
    if names.iter().all(|name| ConnectionName::parse(name).is_some()) {
        Ok(names)
    } else {
        Err("names of connections are needed here, as `[hubspot-watcher]`".to_owned())
    }
}

fn technical_users(value: &Value) -> Reading<Vec<String>> {
    let patterns = value.list();
    let fits = |pattern: &String| {
        // A pattern that fits everybody would switch the finding off without saying so.
        (3..=254).contains(&pattern.len()) && pattern.contains('@') && !pattern.starts_with("*@*")
    };
    if patterns.iter().all(fits) {
        Ok(patterns)
    } else {
        Err("addresses are needed here, as `svc-*@example.com`; `*` stands for anything".to_owned())
    }
}

fn variable_name(value: &Value) -> Reading<String> {
    let name = value.text()?;
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        Ok(name.to_owned())
    } else {
        Err("the name of an environment variable is needed here".to_owned())
    }
}

fn variable_names(value: &Value) -> Reading<Vec<String>> {
    let names = value.list();
    let fits =
        |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // The gate's own settings may hold what no other program should see.
    if names
        .iter()
        .all(|name| fits(name) && !name.starts_with("SCOPEGATE_"))
    {
        Ok(names)
    } else {
        Err(
            "names of environment variables are needed here, as `[AWS_REGION]`, none of the gate's own"
                .to_owned(),
        )
    }
}

/// A name that is also a file's: no separator, not hidden.
fn name(value: &Value) -> Reading<String> {
    let name = value.text()?;
    let fits = (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if fits {
        Ok(name.to_owned())
    } else {
        Err(
            "a name is needed here: at most 64 letters, digits, `.`, `_`, `-`, no `.` at its start"
                .to_owned(),
        )
    }
}

fn command(value: &Value) -> Reading<Vec<String>> {
    match value {
        Value::List(words) if !words.is_empty() => Ok(words.clone()),
        _ => Err(
            "a list of a program and its arguments is needed here, as `[/usr/bin/kms, decrypt]`".to_owned(),
        ),
    }
}

fn log_format(value: &Value) -> Reading<LogFormat> {
    Ok(match value.word(&["auto", "json", "text"])? {
        "json" => LogFormat::Json,
        "text" => LogFormat::Text,
        _ => LogFormat::Auto,
    })
}
