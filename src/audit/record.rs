//! What a line of the audit log says. Typed fields only: nothing a client wrote has a place here,
//! no path, no query, no body, no property, no message of the upstream.
//!
//! Deliberately absent until the chain exists: `prev` and `hash`. A line is one JSON object whose
//! first member is `seq`; the chain will append its two members at the end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::line;
use super::network::Network;
use crate::access::connection::ConnectionName;
use crate::access::effect::Effect;
use crate::access::key::KeyId;
use crate::access::refusal::Reason;
use crate::access::verdict::{Source, Verdict};

/// A line that no call leaves. The member `kind` tells which; the two that a call leaves are [`DecisionRecord`] and
/// [`OutcomeRecord`].
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A change made by a command, from the store's `admin_events`.
    Admin(Box<AdminRecord>),
    /// The gate itself: started, stopped, reloaded.
    Gate(Box<GateRecord>),
    /// Many alike, folded into one line.
    Aggregate(Box<AggregateRecord>),
    /// Records that may be missing before this line.
    Gap(Box<GapRecord>),
}

/// What was decided about one request of an integration whose key is valid.
///
/// A denial or a refusal is complete with this record; a request that passes gets an
/// [`OutcomeRecord`] with the same `id`. It borrows what it names: its line is written where it was decided.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename = "decision")]
pub struct DecisionRecord<'a> {
    /// When it was decided (wall clock, UTC).
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    /// The correlation id that the answer carries, too.
    #[serde(serialize_with = "shown")]
    pub id: Uuid,
    /// Who called.
    #[serde(serialize_with = "shared")]
    pub integration: &'a Arc<str>,
    /// The public id of the key, never its secret part.
    #[serde(serialize_with = "key_id")]
    pub key: KeyId,
    /// The connection's name, once it is known.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "connection_name")]
    pub connection: Option<&'a ConnectionName>,
    /// The portal behind the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portal: Option<u64>,
    /// The operation's id; absent = not recognised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'a str>,
    /// The template of the row that matched, never the path that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<&'a str>,
    /// The strongest effect of all that the request needs.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "effect")]
    pub effect: Option<Effect>,
    /// Canonical names of the object types that are touched.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "names")]
    pub object_types: &'a [Arc<str>],
    /// The decision.
    #[serde(rename = "decision", serialize_with = "verdict")]
    pub verdict: Verdict,
    /// The rule that decided, as `POLICY#allow[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// Why it did not pass, or would not have; `none` for an allowed request.
    #[serde(serialize_with = "reason")]
    pub reason: Reason,
    /// What the policy lacks, as written in one: `scope:…`, `effect:…`, `object:…`, `risk:…`,
    /// `operation:…`. Of properties and values no more than the word: their names came with the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub lacks: &'a [Box<str>],
    /// The limit that stood in the way, in numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'a LimitRecord>,
    /// Digest of the policies the decision was made on.
    pub policy: &'a str,
    /// Digest of the catalogue.
    pub catalogue: &'a str,
    /// Version of the snapshot the request took at its start.
    pub snapshot: u64,
    /// Where the call came from, as a network.
    #[serde(serialize_with = "shown")]
    pub network: Network,
}

/// A limit of a policy that a request did not fit into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitRecord {
    /// Its name in the policy.
    pub name: &'static str,
    /// At most so many…
    pub most: u32,
    /// …in so many seconds.
    pub window_seconds: u32,
    /// What counted when it was decided.
    pub used: u64,
    /// What the request would have added.
    pub asked: u32,
}

/// What became of a request that passed.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename = "outcome")]
pub struct OutcomeRecord<'a> {
    /// When its answer ended (wall clock, UTC).
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    /// The decision's id.
    #[serde(serialize_with = "shown")]
    pub id: Uuid,
    /// Who called.
    pub integration: &'a str,
    /// The status the integration got; 0 = its connection ended before a head was sent.
    pub status: u16,
    /// Who wrote the answer.
    #[serde(serialize_with = "source")]
    pub source: Source,
    /// Why it failed at the gate after all (`credential`, `upstream`, `timeout`, `audit`, or what stopped it
    /// under way: `killed`, `key_revoked`, `connection_…`); `none` otherwise.
    #[serde(serialize_with = "reason")]
    pub reason: Reason,
    /// Whether request bytes reached the upstream: tells a failed write that did nothing from
    /// one whose effect is unknown.
    pub sent_upstream: bool,
    /// Whether the answer ended before its end, by whosever fault.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
    /// Whether the request went up twice: with a new token after a 401, or, a read, by a new connection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
    /// Whether it ran to its end although it was killed meanwhile: a write whose head had gone up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub after_kill: bool,
    /// Values that property rules removed from the answer.
    #[serde(skip_serializing_if = "is_zero")]
    pub stripped: u64,
    /// Why HubSpot itself answered 403; its members stand among the record's own.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedRecord<'a>>,
    /// Body bytes from the integration.
    pub request_bytes: u64,
    /// Body bytes to the integration.
    pub response_bytes: u64,
    /// From the first byte of the request to the last of its answer.
    #[serde(rename = "duration_us", serialize_with = "micros_of")]
    pub duration: Duration,
    /// The part of it that was spent waiting for the upstream.
    #[serde(rename = "upstream_us", serialize_with = "micros_of")]
    pub upstream: Duration,
}

/// A 403 of HubSpot's: why, and enough of the decision that the line can be read alone.
#[derive(Clone, Debug, Serialize)]
pub struct RefusedRecord<'a> {
    /// A word of `forbidden_cause`.
    pub cause: &'static str,
    /// The scopes that are missing, by names of the catalogue's; empty = none can be named.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub lacks: &'a [String],
    /// One of them is enough.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lacks_any: bool,
    /// A word of `forbidden_detail`.
    #[serde(rename = "cause_detail", skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'static str>,
    /// The connection's name.
    pub connection: &'a str,
    /// The operation's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'a str>,
}

/// A state-changing command, as the store has it in the same transaction as the change.
#[derive(Clone, Debug, Serialize)]
pub struct AdminRecord {
    /// When the command committed (wall clock, UTC).
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    /// The row's number in `admin_events`: a row that stands here twice was applied twice, never
    /// done twice.
    pub event: i64,
    /// Who: operating-system user, or a later admin credential.
    pub actor: String,
    /// What, in a word: `key.create`, `connection.suspend`.
    pub action: String,
    /// What it was done to: a key id, a connection's name.
    pub subject: String,
    /// `--reason`, as given by the operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The gate itself.
#[derive(Clone, Debug, Serialize)]
pub struct GateRecord {
    /// When (wall clock, UTC).
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    /// What happened.
    pub event: GateEvent,
    /// A random id of this run of the process.
    #[serde(serialize_with = "shown")]
    pub boot: Uuid,
    /// Detail of our own words: version, digest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What happened to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateEvent {
    /// The log was opened for writing.
    Start,
    /// The log was closed in order; nothing follows until the next start.
    Stop,
    /// Policies were reloaded; `detail` has the digest.
    Reload,
    /// The wall clock was set; `detail` has by how much.
    Clock,
    /// People were asked about with a watcher's token; `detail` has which, and what came of it.
    Watch,
}

/// Many alike within ten seconds.
#[derive(Clone, Debug, Serialize)]
pub struct AggregateRecord {
    /// When the period ended (wall clock, UTC).
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    /// Whose; absent = callers without a valid key.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_opt")]
    pub integration: Option<Arc<str>>,
    /// Why they did not pass.
    #[serde(serialize_with = "reason")]
    pub reason: Reason,
    /// Where from; absent = several, or too many to tell apart.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown_opt")]
    pub network: Option<Network>,
    /// How many.
    pub count: u64,
}

/// Records that may be missing before this line.
#[derive(Clone, Debug, Serialize)]
pub struct GapRecord {
    /// When it was noticed (wall clock, UTC).
    #[serde(serialize_with = "micros")]
    pub time: Timestamp,
    /// Why.
    pub cause: GapCause,
    /// Bytes of a torn line that were cut off.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_bytes: u64,
    /// Records that were refused while nothing could be written; 0 = unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub records: u64,
}

/// Why records may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The last run did not end in order: up to 50 ms of read records may be lost.
    Crash,
    /// Outcomes found no room while the disk could not be written.
    Overflow,
    /// Somebody removed or renamed the file that was being written: what stood in it is not here.
    Removed,
}

impl DecisionRecord<'_> {
    /// Appends its line, but for `{"seq":` and the number at its beginning, which the writer gives it.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        line::decision(self, out);
    }
}

impl OutcomeRecord<'_> {
    /// Appends its line, but for `{"seq":` and the number at its beginning, which the writer gives it.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        line::outcome(self, out);
    }
}

impl Record {
    /// As theirs. Fails never: nothing but our own types is written.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        line::derived(self, out)
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn micros<S: Serializer>(time: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("{time:.6}"))
}

pub(super) fn whole_micros(duration: &Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn micros_of<S: Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(whole_micros(duration))
}

fn key_id<S: Serializer>(key: &KeyId, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(key.as_str())
}

fn connection_name<S: Serializer>(name: &Option<&ConnectionName>, s: S) -> Result<S::Ok, S::Error> {
    name.map(ConnectionName::as_str).serialize(s)
}

fn shown<T: fmt::Display, S: Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

fn shown_opt<T: fmt::Display, S: Serializer>(value: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => s.collect_str(value),
        None => s.serialize_none(),
    }
}

fn shared<S: Serializer>(text: &&Arc<str>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(text)
}

fn text_opt<S: Serializer>(text: &Option<Arc<str>>, s: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(s)
}

fn names<S: Serializer>(names: &&[Arc<str>], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(names.iter().map(|name| &**name))
}

fn effect<S: Serializer>(effect: &Option<Effect>, s: S) -> Result<S::Ok, S::Error> {
    effect.map(Effect::as_str).serialize(s)
}

fn verdict<S: Serializer>(verdict: &Verdict, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(verdict.as_str())
}

fn reason<S: Serializer>(reason: &Reason, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(reason.as_str())
}

fn source<S: Serializer>(source: &Source, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(source.as_str())
}
