//! Lists come a page at a time: a store may hold ten thousand connections, an answer never does.

use std::str::FromStr;

use serde_json::{Value, json};

use super::parts::Call;
use super::refusal::{Code, Refusal};

/// Rows of a page that asks for no number.
const USUAL: usize = 100;
/// Most rows of a page.
pub(super) const MOST: usize = 1_000;

/// How many rows are asked for.
pub(super) fn limit(call: &Call<'_>) -> Result<usize, Refusal> {
    match call.asked("limit") {
        None => Ok(USUAL),
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=MOST).contains(limit) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| wrong("`limit` is a whole number from 1 to 1000")),
    }
}

/// After which row to go on.
pub(super) fn after<K: FromStr>(call: &Call<'_>) -> Result<Option<K>, Refusal> {
    call.asked("after")
        .map(|text| {
            text.parse()
                .map_err(|_| wrong("`after` is what an earlier page called `next`"))
        })
        .transpose()
}

/// The page of `rows` that is asked for: in the order of their keys, each of which is one row's alone.
pub(super) fn of<T, K: Ord + FromStr + ToString>(
    call: &Call<'_>,
    mut rows: Vec<T>,
    key: impl Fn(&T) -> K,
    shown: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let (limit, after) = (limit(call)?, after::<K>(call)?);
    rows.retain(|row| after.as_ref().is_none_or(|after| key(row) > *after));
    rows.sort_by_key(&key);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| key(row).to_string());
    Ok(json!({ "items": rows.iter().map(shown).collect::<Vec<_>>(), "next": next }))
}

fn wrong(message: &'static str) -> Refusal {
    Refusal::new(Code::Malformed, message, "see the table of routes")
}
