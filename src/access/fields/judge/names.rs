//! Lists of names: what of them goes up.

use super::whose::Whose;
use super::words::{Way, hidden};
use super::{Case, Stopped};
use crate::access::fields::OnExtra;
use crate::access::refusal::Place;

/// Asked for when nothing that was asked for may be: always readable.
pub(super) const ID: &str = "hs_object_id";

/// The names of a list that may be read (or whose history may be), trimmed. With `on_extra_property:
/// deny` a hidden one denies the request.
pub(super) fn granted<'n>(
    case: &Case<'_>,
    whose: &Whose,
    way: Way,
    names: impl IntoIterator<Item = &'n str>,
    place: impl FnOnce() -> Place,
) -> Result<Vec<&'n str>, Stopped> {
    let grants = |name: &str| match way {
        Way::Read => whose.reads(name),
        Way::History => whose.reads_history(name),
        Way::Write => whose.writes(name),
    };
    let names = names.into_iter().map(str::trim).filter(|name| !name.is_empty());
    let (kept, dropped): (Vec<&str>, Vec<&str>) = names.partition(|name| grants(name));
    match dropped.is_empty() || case.bounds.on_extra() == OnExtra::Strip {
        true => Ok(kept),
        false => Err(hidden(case.bounds, whose, way, &dropped, place())),
    }
}

/// One name that a request reads, filters, sorts or looks up by: there is nothing to strip it to.
pub(super) fn must_read(case: &Case<'_>, whose: &Whose, name: &str, place: Place) -> Result<(), Stopped> {
    match whose.reads(name) {
        true => Ok(()),
        false => Err(hidden(case.bounds, whose, Way::Read, &[name], place)),
    }
}

/// One name that a request writes.
pub(super) fn must_write(case: &Case<'_>, whose: &Whose, name: &str, place: Place) -> Result<(), Stopped> {
    match whose.writes(name) {
        true => Ok(()),
        false => Err(hidden(case.bounds, whose, Way::Write, &[name], place)),
    }
}
