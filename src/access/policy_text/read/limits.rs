//! `limits:`, as written.

use crate::access::limits::{BATCH_MAX, CAP_MOST, Cap, Counted};
use crate::access::policy_text::mistake::code;
use crate::access::policy_text::reader::Reader;
use crate::access::policy_text::tree::{Located, Node};
use crate::access::policy_text::written::{At, WrittenLimits};

const KEYS: [&str; 6] = [
    "requests",
    "records_read",
    "records_written",
    "records_deleted",
    "records_irreversible",
    "batch",
];

/// Reads `limits:`.
pub(super) fn limits(reader: &mut Reader, value: Located) -> Option<WrittenLimits> {
    let mut entries = reader.entries("limits", value)?;
    if entries.is_empty() {
        let help = "write `limits: {requests: 50/10s, batch: 100}`, or leave it out";
        reader.error(code::WRONG_KIND, &entries.span.clone(), "`limits` is empty", help);
    }
    let mut caps = Vec::new();
    for counted in Counted::ALL {
        let cap = entries
            .take(counted.as_str())
            .and_then(|value| cap(reader, counted, value));
        caps.extend(cap.map(|cap| (counted, cap)));
    }
    let batch = entries.take("batch").and_then(|value| batch(reader, value));
    reader.finish(entries, &KEYS, &[]);
    Some(WrittenLimits { batch, caps })
}

fn cap(reader: &mut Reader, counted: Counted, value: Located) -> Option<At<Cap>> {
    let cap = match &value.node {
        Node::Text(text) => Cap::parse(text),
        _ => None,
    };
    if cap.is_none() {
        let message = format!("`{}` is no number in a span of time", counted.as_str());
        let help = format!(
            "write at most how many in how long, as `50/10s` or `5000/1h`: from 1 to {CAP_MOST}, in at most 31d; to let nothing pass write a `deny` rule"
        );
        reader.error(code::WRONG_KIND, &value.span, message, help);
    }
    Some(At {
        value: cap?,
        span: value.span,
    })
}

fn batch(reader: &mut Reader, value: Located) -> Option<At<u32>> {
    let number = match &value.node {
        Node::Number(text) => text.parse::<u32>().ok(),
        _ => None,
    };
    let number = number.filter(|number| (1..=BATCH_MAX).contains(number));
    if number.is_none() {
        let message = "`batch` is no number of records";
        let help = format!("write a whole number from 1 to {BATCH_MAX}");
        reader.error(code::WRONG_KIND, &value.span, message, help);
    }
    Some(At {
        value: number?,
        span: value.span,
    })
}
