//! The lines of the log, and the two that a call leaves, decision and outcome, written without serde: they are nearly
//! all of it. The worker that serves the call writes them, into its queue: nothing is boxed or counted for the way to
//! the writer's thread, which puts a number before each and hands them on.
//!
//! What stands in a line is said by the derives of [`super::record`]; here the same comes out, byte for
//! byte, in a quarter of the instructions (3.9 k for both lines, 15.4 k by serde): names are whole pieces
//! of the line, numbers and words of ours are put down as they are, a text is looked at once for what JSON
//! escapes. A test holds the two to each other over all members; a new member does not compile before it
//! has its place here.

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::network::Network;
use super::record::{DecisionRecord, LimitRecord, OutcomeRecord, RefusedRecord, whole_micros};

/// A member's name as it stands in the line, with what comes before and behind it.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// Appends a line's number, and what comes before it: its beginning.
pub(super) fn number(seq: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"seq\":");
    out.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
}

/// Appends what of a line comes behind its number, its end included, as the record's types say it.
pub(super) fn derived(record: &impl Serialize, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let brace = out.len();
    serde_json::to_writer(&mut *out, record)?;
    if let Some(byte) = out.get_mut(brace) {
        *byte = b','; // the record's own opening brace
    }
    out.push(b'\n');
    Ok(())
}

/// Appends what of a decision's line comes behind its number, its end included.
pub(super) fn decision(record: &DecisionRecord<'_>, out: &mut Vec<u8>) {
    let DecisionRecord {
        time,
        id,
        integration,
        key,
        connection,
        portal,
        operation,
        template,
        effect,
        object_types,
        verdict,
        rule,
        reason,
        lacks,
        limit,
        policy,
        catalogue,
        snapshot,
        network,
    } = record;
    let mut line = Line::begin(out, "decision");
    line.time(name!("time"), *time);
    line.id(name!("id"), id);
    line.text(name!("integration"), integration);
    line.text(name!("key"), key.as_str());
    if let Some(connection) = connection {
        line.text(name!("connection"), connection.as_str());
    }
    if let Some(portal) = portal {
        line.number(name!("portal"), *portal);
    }
    if let Some(operation) = operation {
        line.text(name!("operation"), operation);
    }
    if let Some(template) = template {
        line.text(name!("template"), template);
    }
    if let Some(effect) = effect {
        line.word(name!("effect"), effect.as_str());
    }
    line.texts(name!("object_types"), object_types);
    line.word(name!("decision"), verdict.as_str());
    if let Some(rule) = rule {
        line.text(name!("rule"), rule);
    }
    line.word(name!("reason"), reason.as_str());
    line.texts(name!("lacks"), lacks);
    if let Some(limit) = limit {
        line.limit(name!("limit"), limit);
    }
    line.text(name!("policy"), policy);
    line.text(name!("catalogue"), catalogue);
    line.number(name!("snapshot"), *snapshot);
    line.network(name!("network"), *network);
    line.end();
}

/// Appends what of an outcome's line comes behind its number, its end included.
pub(super) fn outcome(record: &OutcomeRecord<'_>, out: &mut Vec<u8>) {
    let OutcomeRecord {
        time,
        id,
        integration,
        status,
        source,
        reason,
        sent_upstream,
        cut_short,
        replayed,
        after_kill,
        stripped,
        refused,
        request_bytes,
        response_bytes,
        duration,
        upstream,
    } = record;
    let mut line = Line::begin(out, "outcome");
    line.time(name!("time"), *time);
    line.id(name!("id"), id);
    line.text(name!("integration"), integration);
    line.number(name!("status"), u64::from(*status));
    line.word(name!("source"), source.as_str());
    line.word(name!("reason"), reason.as_str());
    line.flag(name!("sent_upstream"), *sent_upstream);
    line.flag_if_set(name!("cut_short"), *cut_short);
    line.flag_if_set(name!("replayed"), *replayed);
    line.flag_if_set(name!("after_kill"), *after_kill);
    if *stripped != 0 {
        line.number(name!("stripped"), *stripped);
    }
    if let Some(refused) = refused {
        line.refused(refused);
    }
    line.number(name!("request_bytes"), *request_bytes);
    line.number(name!("response_bytes"), *response_bytes);
    line.duration(name!("duration_us"), duration);
    line.duration(name!("upstream_us"), upstream);
    line.end();
}

/// A line that is being written. What begins with a name is inlined, so that the name is stored where it
/// belongs instead of being copied from somewhere.
struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    fn begin(out: &'a mut Vec<u8>, kind: &'static str) -> Self {
        let mut line = Self { out };
        line.word(name!("kind"), kind);
        line
    }

    fn end(mut self) {
        self.piece("}\n");
    }

    #[inline(always)]
    fn piece(&mut self, piece: &str) {
        self.out.extend_from_slice(piece.as_bytes());
    }

    fn digits(&mut self, number: u64) {
        self.piece(itoa::Buffer::new().format(number));
    }

    #[inline(always)]
    fn number(&mut self, name: &'static str, number: u64) {
        self.piece(name);
        self.digits(number);
    }

    fn duration(&mut self, name: &'static str, duration: &Duration) {
        self.number(name, whole_micros(duration));
    }

    #[inline(always)]
    fn flag(&mut self, name: &'static str, flag: bool) {
        self.piece(name);
        self.piece(if flag { "true" } else { "false" });
    }

    fn flag_if_set(&mut self, name: &'static str, flag: bool) {
        if flag {
            self.flag(name, flag);
        }
    }

    /// A word of an enum of ours: no letter of it is escaped.
    #[inline(always)]
    fn word(&mut self, name: &'static str, word: &'static str) {
        self.piece(name);
        self.quoted(word);
    }

    #[inline(always)]
    fn text(&mut self, name: &'static str, text: &str) {
        self.piece(name);
        self.string(text);
    }

    /// An array; none when it is empty.
    fn texts<T: AsRef<str>>(&mut self, name: &'static str, texts: &[T]) {
        let Some((first, others)) = texts.split_first() else {
            return;
        };
        self.piece(name);
        self.piece("[");
        self.string(first.as_ref());
        for text in others {
            self.piece(",");
            self.string(text.as_ref());
        }
        self.piece("]");
    }

    fn string(&mut self, text: &str) {
        if has_escapes(text) {
            self.value(text);
        } else {
            self.quoted(text);
        }
    }

    /// What serde writes: texts and numbers, into a `Vec`, of which it takes all.
    fn value(&mut self, value: &(impl Serialize + ?Sized)) {
        let _ = serde_json::to_writer(&mut *self.out, value);
    }

    fn quoted(&mut self, plain: &str) {
        self.out.push(b'"');
        self.piece(plain);
        self.out.push(b'"');
    }

    /// RFC 3339 in UTC, to the microsecond.
    fn time(&mut self, name: &'static str, time: Timestamp) {
        self.piece(name);
        let civil = Offset::UTC.to_datetime(time);
        let Ok(year) = u32::try_from(civil.year()) else {
            // Before our era: jiff knows how that is written.
            return self.shown(format_args!("{time:.6}"));
        };
        let two = |part: i8| digits::<2>(u32::from(part.unsigned_abs()));
        let [millennium, century, decade, year] = digits(year);
        let [month, day] = [civil.month(), civil.day()].map(two);
        let [hour, minute, second] = [civil.hour(), civil.minute(), civil.second()].map(two);
        let [a, b, c, d, e, f] = digits(civil.subsec_nanosecond().unsigned_abs() / 1_000);
        #[rustfmt::skip]
        self.out.extend_from_slice(&[
            b'"', millennium, century, decade, year, b'-', month[0], month[1], b'-', day[0], day[1],
            b'T', hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1],
            b'.', a, b, c, d, e, f, b'Z', b'"',
        ]);
    }

    fn id(&mut self, name: &'static str, id: &Uuid) {
        self.piece(name);
        let mut buffer = [0; Hyphenated::LENGTH];
        self.quoted(id.hyphenated().encode_lower(&mut buffer));
    }

    fn network(&mut self, name: &'static str, network: Network) {
        self.piece(name);
        let Some(octets) = network.v4_octets() else {
            return self.shown(format_args!("{network}"));
        };
        self.out.push(b'"');
        for octet in octets {
            self.digits(u64::from(octet));
            self.out.push(b'.');
        }
        self.out.pop();
        self.piece("/24\"");
    }

    /// What is written by its own `Display`, and has nothing in it that is escaped.
    fn shown(&mut self, shown: std::fmt::Arguments<'_>) {
        // A `Vec` takes everything.
        let _ = write!(self.out, "\"{shown}\"");
    }

    fn limit(&mut self, name: &'static str, limit: &LimitRecord) {
        self.piece(name);
        self.value(limit);
    }

    fn refused(&mut self, refused: &RefusedRecord<'_>) {
        let RefusedRecord {
            cause,
            lacks,
            lacks_any,
            detail,
            connection,
            operation,
        } = refused;
        self.text(name!("cause"), cause);
        self.texts(name!("lacks"), lacks);
        self.flag_if_set(name!("lacks_any"), *lacks_any);
        if let Some(detail) = detail {
            self.text(name!("cause_detail"), detail);
        }
        self.text(name!("connection"), connection);
        if let Some(operation) = operation {
            self.text(name!("operation"), operation);
        }
    }
}

/// Whether JSON escapes anything in a text: RFC 8259 §7. Eight bytes are looked at together, the last eight
/// perhaps once more.
fn has_escapes(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (words, _) = bytes.as_chunks();
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().any(|byte| matches!(byte, ..0x20 | b'"' | b'\\'));
    };
    let marks = words
        .iter()
        .fold(escape_marks(*last), |marks, word| marks | escape_marks(*word));
    marks != 0
}

/// Not zero if one of eight bytes is escaped. A byte below `n` borrows when `n` is taken from it, and then
/// has the high bit that it had not before; a byte is `b` if it is below one once `b` is crossed out.
fn escape_marks(word: [u8; 8]) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let below = |word: u64, n: u8| word.wrapping_sub(each(n)) & !word & each(0x80);
    let word = u64::from_le_bytes(word);
    below(word, 0x20) | below(word ^ each(b'"'), 1) | below(word ^ each(b'\\'), 1)
}

/// The last `N` digits of a number.
fn digits<const N: usize>(mut number: u32) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests;
