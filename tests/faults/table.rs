//! What is expected of each fault, and what was seen of it: one row each, here, on standard output, and in
//! the README.

use std::time::Duration;

use crate::place::{ALLOWANCE, Got, Place, wait};

/// One fault, and what clients, operators and HubSpot notice of it.
#[derive(Clone, Copy)]
pub struct Row {
    /// In words, as in the README.
    pub fault: &'static str,
    /// What a read gets; `|` between what it may be, depending on how far the answer had come.
    pub read: &'static str,
    /// What a write gets.
    pub write: &'static str,
    /// `kind` of `scopegate_upstream_errors_total` and of the log line; empty: no failure.
    pub kind: &'static str,
    /// How often HubSpot sees a read, and a write.
    pub sent: (usize, usize),
    /// How many connections a read makes, and a write, that the upstream accepts. One each: what fails on a new one
    /// is not tried on another, and what goes by an idle one makes none until it is repeated.
    pub made: (usize, usize),
    /// The limit that ends the wait, of those in `place::SHORT`; empty: the answer comes at once.
    pub ended_by: &'static str,
}

impl Row {
    const fn new(
        fault: &'static str,
        read: &'static str,
        write: &'static str,
        kind: &'static str,
        sent: (usize, usize),
    ) -> Self {
        Self {
            fault,
            read,
            write,
            kind,
            sent,
            made: (1, 1),
            ended_by: "",
        }
    }

    const fn made(self, made: (usize, usize)) -> Self {
        Self { made, ..self }
    }

    const fn ended_by(self, limit: &'static str) -> Self {
        Self {
            ended_by: limit,
            ..self
        }
    }

    /// The row as the README has it.
    pub fn markdown(&self) -> String {
        let kind = match self.kind {
            "" => String::new(),
            kind => format!("`{kind}`"),
        };
        let words = |said: &str| said.replace('|', " or ");
        format!(
            "| {} | {} | {} | {kind} | {}, {} |",
            self.fault,
            words(self.read),
            words(self.write),
            self.sent.0,
            self.sent.1
        )
    }

    /// Holds what was seen to what is expected, and prints it.
    pub fn hold(&self, seen: &Observed) {
        let fits = |got: &Got, wanted: &str| wanted.split('|').any(|wanted| wanted == got.word());
        for (got, wanted) in [(&seen.reads, self.read), (&seen.writes, self.write)] {
            for got in got {
                assert!(fits(got, wanted), "{}: {got:?}, not {wanted}", self.fault);
                // What the gate says for itself is the contract's, and says when to come again.
                if let Got::Whole(reply) = got
                    && reply.header("x-scopegate-source") == Some("gate")
                {
                    assert_eq!(got.sub_category(), "scopegate.upstream", "{}", self.fault);
                    let wait: u32 = reply.header("retry-after").unwrap().parse().unwrap();
                    assert!((1..=60).contains(&wait), "{}: {reply:?}", self.fault);
                    assert!(reply.verdict() == "allow", "{}: {reply:?}", self.fault);
                }
            }
        }
        let asked = (seen.reads.len(), seen.writes.len());
        let most = (asked.0 * self.sent.0, asked.1 * self.sent.1);
        assert_eq!(seen.sent, most, "{}: how often HubSpot saw them", self.fault);
        let made = asked.0 * self.made.0 + asked.1 * self.made.1;
        assert_eq!(seen.made, made, "{}: connections", self.fault);
        let least = wait(self.ended_by);
        assert!(
            (least..least + ALLOWANCE).contains(&seen.longest),
            "{}: answered after {:?}, not after {least:?} and at most {ALLOWANCE:?} more",
            self.fault,
            seen.longest
        );
        if !self.kind.is_empty() {
            let failed = seen
                .reads
                .iter()
                .chain(&seen.writes)
                .filter(|got| got.word() != "200");
            let failed = u32::try_from(failed.count()).unwrap().max(1);
            assert!(
                seen.counted >= f64::from(failed),
                "{}: {} of {failed} are counted as {}",
                self.fault,
                seen.counted,
                self.kind
            );
            let line = line_of(self.kind);
            assert!(
                seen.log.contains(&line),
                "{}: no line with {line}: {}",
                self.fault,
                seen.log
            );
        }
        println!(
            "| {:<52} | {:<12} | {:<12} | {:<22} | {:<16} | {:>3} of {:<3} | {:>11} | {:>5.1} s | {:>6.2} s |",
            self.fault,
            words(&seen.reads),
            words(&seen.writes),
            subs(seen),
            self.kind,
            seen.sent.0 + seen.sent.1,
            asked.0 + asked.1,
            seen.made,
            seen.longest.as_secs_f64(),
            seen.recovered.as_secs_f64(),
        );
    }
}

/// The table's head on standard output.
pub fn head() {
    println!(
        "| {:<52} | {:<12} | {:<12} | {:<22} | {:<16} | {:<10} | {:<11} | {:<7} | {:<8} |",
        "fault", "read", "write", "subCategory", "kind", "attempts", "connections", "longest", "recovers"
    );
}

/// What was seen of a fault.
pub struct Observed {
    pub reads: Vec<Got>,
    pub writes: Vec<Got>,
    /// How often the upstream saw reads, and writes.
    pub sent: (usize, usize),
    /// How many connections it accepted.
    pub made: usize,
    /// The longest that one of them took.
    pub longest: Duration,
    /// How many more of the row's kind were counted.
    pub counted: f64,
    /// What was logged meanwhile.
    pub log: String,
    /// From the end of the fault to the first answer.
    pub recovered: Duration,
}

fn words(all: &[Got]) -> String {
    let mut words: Vec<String> = all.iter().map(Got::word).collect();
    words.sort();
    words.dedup();
    words.join(" ")
}

fn subs(seen: &Observed) -> String {
    let all = seen.reads.iter().chain(&seen.writes);
    let mut subs: Vec<String> = all.map(Got::sub_category).filter(|sub| !sub.is_empty()).collect();
    subs.sort();
    subs.dedup();
    subs.join(" ")
}

/// What operators are told of a fault before and after it.
pub struct Watched {
    counted: f64,
    log: usize,
    kind: &'static str,
}

impl Watched {
    pub async fn begin(place: &Place, kind: &'static str) -> Self {
        Self {
            counted: if kind.is_empty() {
                0.0
            } else {
                place.errors(kind).await
            },
            log: place.gate.log().len(),
            kind,
        }
    }

    /// While the fault is still there: what was counted of it, and what was logged.
    pub async fn end(&self, place: &Place) -> (f64, String) {
        if self.kind.is_empty() {
            return (0.0, place.gate.log()[self.log..].to_owned());
        }
        let wanted = self.counted + 1.0;
        place
            .until(self.kind, async |place| place.errors(self.kind).await >= wanted)
            .await;
        let counted = place.errors(self.kind).await - self.counted;
        // A fault of the same kind a moment ago may have used up this second's lines: the next has more.
        let line = line_of(self.kind);
        place
            .until(&line, async |place| {
                let is_there = place.gate.log()[self.log..].contains(&line);
                if !is_there {
                    place.write().await;
                }
                is_there
            })
            .await;
        (counted, place.gate.log()[self.log..].to_owned())
    }
}

pub fn line_of(kind: &str) -> String {
    format!("\"kind\":\"{kind}\"")
}

/// Faults of the upstream in clear text, in the order they are caused.
#[rustfmt::skip]
pub const PLAIN: [Row; 23] = [
    Row::new("nobody listens",                                       "502", "502", "connect", (0, 0)).made((0, 0)),
    Row::new("packets vanish before a connection stands",            "504", "504", "connect_timeout", (0, 0)).made((0, 0)).ended_by("connect_wait"),
    Row::new("it accepts and never reads",                           "504", "504", "head_timeout", (0, 0)).ended_by("answer_head_wait"),
    Row::new("it reads and never answers",                           "504", "504", "head_timeout", (1, 1)).ended_by("answer_head_wait"),
    Row::new("it stops in the middle of a head",                     "504", "504", "head_timeout", (1, 1)).ended_by("answer_head_wait"),
    Row::new("it stops in the middle of a body",                     "502", "502", "body_timeout", (1, 1)).ended_by("answer_wait"),
    Row::new("a body comes byte by byte, for longer than `limits.total_wait`", "504", "504", "total_timeout", (1, 1)).ended_by("total_wait"),
    Row::new("it closes instead of answering",                       "502", "502", "closed", (1, 1)),
    Row::new("it resets the connection instead of answering",        "502", "502", "closed", (1, 1)),
    Row::new("it resets in the middle of a head",                    "502", "502", "closed", (1, 1)),
    Row::new("it resets in the middle of a body",                    "502", "502", "closed", (1, 1)),
    Row::new("a body is shorter than its length",                    "502", "502", "closed", (1, 1)),
    Row::new("a chunked body has no end",                            "broken off", "broken off", "closed", (1, 1)),
    Row::new("a chunk's size is none",                               "broken off|502", "broken off|502", "protocol", (1, 1)),
    Row::new("two lengths contradict each other",                    "502", "502", "protocol", (1, 1)),
    Row::new("what comes is no HTTP",                                "502", "502", "protocol", (1, 1)),
    Row::new("a body unpacks to more than `limits.body_size`",       "broken off", "broken off", "encoding", (1, 1)),
    Row::new("every answer is a 429",                                "429", "429", "rate_limited", (1, 1)),
    Row::new("every answer is a 500 of HubSpot's",                   "500", "500", "server_error", (1, 1)),
    Row::new("every answer is a 502 of an edge's",                   "502", "502", "server_error", (1, 1)),
    Row::new("a connection closes the moment it is used again",      "200", "502", "closed", (2, 1)).made((1, 0)),
    Row::new("bytes follow an answer",                               "200", "200", "", (1, 1)),
    Row::new("it answers 400 before an upload has ended",            "", "400", "", (0, 1)),
];

/// Faults of the upstream's TLS.
#[rustfmt::skip]
pub const TLS: [Row; 5] = [
    Row::new("its certificate is for another name",                  "502", "502", "tls", (0, 0)),
    Row::new("its certificate is of an unknown authority",           "502", "502", "tls", (0, 0)),
    Row::new("its certificate has expired",                          "502", "502", "tls", (0, 0)),
    Row::new("it answers in clear text",                             "502", "502", "tls", (0, 0)),
    Row::new("it never finishes the handshake",                      "504", "504", "connect_timeout", (0, 0)).ended_by("connect_wait"),
];
