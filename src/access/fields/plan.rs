//! What property rules make of a request that was allowed: how it goes up, and how its answer comes
//! down.

use super::shape::{Shape, Views};
use crate::access::json::Json;
use crate::access::query::Query;
use crate::access::refusal::{Place, Reason};

/// How a request goes up and its answer comes down under property rules.
///
/// Only [`judge()`](super::judge()) makes one; [`Plan::free`] is for policies without property rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The query in place of the client's; `None` = as it came.
    pub query: Option<Query>,
    /// The body in place of the client's; `None` = as it came.
    pub body: Option<Json>,
    /// What becomes of the answer.
    pub answer: AnswerRule,
}

impl Plan {
    /// Nothing is bounded.
    pub fn free() -> Self {
        Self::default()
    }
}

/// What becomes of an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum AnswerRule {
    /// It passes: no property of a bounded type can stand in it.
    #[default]
    Pass,
    /// A 2xx answer is filtered in this shape, any other in [`shapes::ERROR`](super::shapes::ERROR).
    Filter(Box<(&'static Shape, Views)>),
    /// A 2xx answer passes: no value can stand in it. Any other quotes what it complains of, and is
    /// filtered in [`shapes::ERROR`](super::shapes::ERROR).
    Errors,
}

/// A request that property rules deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyDenial {
    /// [`Reason::Property`] or [`Reason::Value`].
    pub reason: Reason,
    /// Names of properties, as far as they are plain ones ([`plain_name`]); each once, bounded.
    pub properties: Vec<String>,
    /// Where the first of them stands.
    pub place: Place,
    /// The smallest change that would allow it, in one sentence.
    pub remedy: String,
}

/// Longest name of a property. HubSpot's have at most 100 characters.
pub const NAME_BYTES: usize = 100;

/// A property's name as it may be repeated in answers and logs: what does not look like one of
/// HubSpot's is somebody's text, and becomes `?`.
pub fn plain_name(name: &str) -> String {
    match is_plain_name(name) {
        true => name.to_lowercase(),
        false => "?".to_owned(),
    }
}

/// Whether a name looks like one of HubSpot's.
pub fn is_plain_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(is_plain)
}
