//! `limits:`, as written.

use super::LEAVE_OUT;
use crate::access::policy_text::mistake::code;
use crate::access::policy_text::reader::Reader;
use crate::access::policy_text::tree::{Located, Node};
use crate::access::policy_text::written::{At, BATCH_MAX, WrittenLimits};

const KEYS: [&str; 1] = ["batch"];

/// Words that a later version brings.
const RESERVED: [(&str, &str); 5] = [
    ("requests", LEAVE_OUT),
    ("records_read", LEAVE_OUT),
    ("records_written", LEAVE_OUT),
    ("records_deleted", LEAVE_OUT),
    ("records_irreversible", LEAVE_OUT),
];

/// Reads `limits:`.
pub(super) fn limits(reader: &mut Reader, value: Located) -> Option<WrittenLimits> {
    let mut entries = reader.entries("limits", value)?;
    if entries.is_empty() {
        let help = "write `limits: {batch: 100}`, or leave it out";
        reader.error(code::WRONG_KIND, &entries.span.clone(), "`limits` is empty", help);
    }
    let batch = entries.take("batch").and_then(|value| batch(reader, value));
    reader.finish(entries, &KEYS, &RESERVED);
    Some(WrittenLimits { batch })
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
