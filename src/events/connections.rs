//! Connections: their states, their health, emergency stops.

use jiff::Timestamp;

use crate::access::effect::Class;
use crate::access::kill::{KillKind, Kills};

/// A connection changed its state.
#[derive(Debug)]
pub struct ConnectionChanged<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// The contract's words.
    pub from: &'static str,
    /// Likewise.
    pub to: &'static str,
    /// Why, in our words.
    pub why: &'a str,
}

impl ConnectionChanged<'_> {
    /// Writes a line; the series follow from the next picture.
    pub fn emit(&self) {
        let (connection, from, to, why) = (self.connection, self.from, self.to, self.why);
        match to {
            "ok" | "unverified" => tracing::info!(connection, from, to, why, "connection changed"),
            // Nothing brings it back but a person: the one alert there is about it.
            "dead" | "reauthorise" => tracing::error!(
                event = "connection.dead",
                connection,
                from,
                to,
                why,
                remedy = format!(
                    "run `scopegate connection install {connection}`, or give it a new credential with `scopegate \
                     connection rotate {connection}`"
                ),
                "the connection's grant is gone: nothing passes until somebody authorises it again"
            ),
            _ => tracing::warn!(connection, from, to, why, "connection changed"),
        }
    }
}

/// One side of a connection does not work: an alert.
#[derive(Debug)]
pub struct ConnectionFailing<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Its app.
    pub app: Option<&'a str>,
    /// Reads or writes.
    pub class: Class,
    /// The first failure since the last success.
    pub since: Timestamp,
    /// How many there were.
    pub failures: u64,
    /// The cause of the last one.
    pub cause: &'a str,
    /// How the other side fares: `work`, `fail`, `are not used`.
    pub other: &'a str,
}

impl ConnectionFailing<'_> {
    /// Writes an error; to be called once each time it begins.
    pub fn emit(&self) {
        let (connection, app) = (self.connection, self.app.unwrap_or("-"));
        let (since, failures, cause, other) = (self.since, self.failures, self.cause, self.other);
        match self.class {
            Class::Read => {
                tracing::error!(event = "connection.reads_failing", connection, app, %since, failures, cause, writes = other, "HubSpot refuses every read; see `scopegate connection show`");
            }
            Class::Write => {
                tracing::error!(event = "connection.writes_failing", connection, app, %since, failures, cause, reads = other, "HubSpot refuses every write; see `scopegate connection show`");
            }
        }
    }
}

/// A side of a connection that did not work works again.
#[derive(Debug)]
pub struct ConnectionWorks<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Reads or writes.
    pub class: Class,
}

impl ConnectionWorks<'_> {
    /// Writes a line.
    pub fn emit(&self) {
        let (connection, class) = (self.connection, self.class.as_str());
        tracing::info!(
            event = "connection.works_again",
            connection,
            class,
            "HubSpot carries calls out again"
        );
    }
}

/// Emergency stops were put in force, or ended.
#[derive(Debug)]
pub struct KillsInForce {
    version: u64,
    counts: [(KillKind, usize); 6],
}

impl KillsInForce {
    /// What is in force now. Whom a stop names stands in the audit log.
    pub fn of(kills: &Kills) -> Self {
        Self {
            version: kills.version,
            counts: KillKind::ALL.map(|kind| (kind, kills.count(kind))),
        }
    }

    /// Writes a line; the series are set with the flags.
    pub fn emit(&self) {
        let in_force: usize = self.counts.iter().map(|(_, count)| count).sum();
        let kinds: Vec<&str> = self
            .counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, _)| kind.as_str())
            .collect();
        let (version, kinds) = (self.version, kinds.join(" "));
        tracing::warn!(
            event = "kills.in_force",
            version,
            in_force,
            kinds,
            "emergency stops changed"
        );
    }
}
