//! The request under property rules: every property it names, in whatever carrier, is judged; reads
//! are narrowed, oracles closed, writes and their values held to the lists.

pub mod known;

use super::grant::Bounds;
use super::plan::{Plan, PropertyDenial};
use crate::access::catalogue::{BodyNeed, Catalogue, Recognised};
use crate::access::facts::Facts;
use crate::access::json::Json;
use crate::access::refusal::Refusal;
use crate::access::target::Target;

/// A request as read: what [`judge`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its row and the types its path names.
    pub recognised: &'a Recognised,
    /// Method, path, query.
    pub target: &'a Target,
    /// Its body, if it was judged.
    pub body: Option<&'a Json>,
}

/// Why a request does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The rules deny it.
    Denied(PropertyDenial),
    /// It was not understood, under a rule.
    Refused(Refusal),
}

/// Whether the rules must see the body of such a request.
pub fn body_need(_catalogue: &Catalogue, _recognised: &Recognised, bounds: &Bounds) -> BodyNeed {
    match bounds.are_none() {
        true => BodyNeed::None,
        false => BodyNeed::Judge,
    }
}

/// Judges a request that the policy's rules opened.
pub fn judge(
    _catalogue: &Catalogue,
    _facts: &Facts,
    _request: Request<'_>,
    bounds: &Bounds,
) -> Result<Plan, Stopped> {
    if bounds.are_none() {
        return Ok(Plan::free());
    }
    Err(Stopped::Refused(crate::access::catalogue::UNKNOWN_OBJECT))
}
