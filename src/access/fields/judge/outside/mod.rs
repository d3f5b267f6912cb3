//! Operations whose path names no type: which of them carry records' values all the same, and what
//! that asks of the rules.
//!
//! Every operation is listed, by its id or the area it belongs to; a test holds the list to the
//! catalogue. One that is not (of `catalogue.extra`) is refused under a rule.

mod judged;
mod table;

pub(super) use judged::Kind;

use super::whose::Whose;
use super::words::{self, UNKNOWN_ANSWER, UNKNOWN_FORM, Way};
use super::{Case, ShapeOf, Stopped, answer};
use crate::access::catalogue::{BodyNeed, Catalogue, Row};
use crate::access::effect::Effect;
use crate::access::fields::Bounds;
use crate::access::fields::plan::AnswerRule;
use crate::access::fields::shapes::AnswerShape;
use crate::access::refusal::Place;

/// What an operation without a type in its path carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    /// No value of a record.
    Nothing,
    /// These properties of a type: in its answer, or to look up by.
    Reads(&'static str, &'static [&'static str]),
    /// These properties of a type: it sets them.
    Sets(&'static str, &'static [&'static str]),
    /// Records of a type, whole; why is said in a denial.
    RecordsOf(&'static str, &'static str),
    /// Records or definitions of any type, in a shape that says which, if the shape is known.
    Records(&'static str),
    /// Words of the portal's set-up, filtered where their shape is known.
    SetUp,
    /// Values of any type, where no filter reaches them.
    Values(&'static str),
    /// Nothing when it is read; written, it hands values of any type to somebody or something.
    Programs(&'static str),
    /// What the body says.
    Body(Kind),
}

/// Whether the body of such an operation must be read.
pub(super) fn body_need(catalogue: &Catalogue, row: &Row, bounds: &Bounds) -> BodyNeed {
    let Some(Carries::Body(kind)) = table::of(&row.id) else {
        return BodyNeed::None;
    };
    let free = kind.only_of().is_some_and(|name| {
        let view = Whose::named(catalogue, bounds, name).view;
        view.reads_all() && view.writes_all()
    });
    match kind {
        Kind::Import => BodyNeed::Import,
        kind if kind.reads_body() && !free => BodyNeed::Judge,
        _ => BodyNeed::None,
    }
}

/// Judges it.
pub(super) fn judge(case: &mut Case<'_>, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    let any = Whose::any(case.bounds);
    let free = any.view.reads_all() && any.view.writes_all();
    let carries = match table::of(&case.row.id) {
        Some(carries) => carries,
        None if free => return Ok(AnswerRule::Pass),
        None => return Err(Stopped::Refused(UNKNOWN_FORM)),
    };
    match carries {
        Carries::Nothing => Ok(AnswerRule::Pass),
        Carries::Reads(object, names) => {
            let whose = Whose::named(case.catalogue, case.bounds, object);
            let hidden: Vec<&str> = names.iter().copied().filter(|name| !whose.reads(name)).collect();
            match hidden.is_empty() {
                true => Ok(AnswerRule::Pass),
                false => Err(words::hidden(
                    case.bounds,
                    &whose,
                    Way::Read,
                    &hidden,
                    Place::PATH,
                )),
            }
        }
        Carries::Sets(object, names) => {
            let whose = Whose::named(case.catalogue, case.bounds, object);
            let free = |name: &str| whose.writes(name) && !whose.view.has_values(name);
            let hidden: Vec<&str> = names.iter().copied().filter(|name| !free(name)).collect();
            match hidden.is_empty() {
                true => Ok(AnswerRule::Pass),
                false => Err(words::hidden(
                    case.bounds,
                    &whose,
                    Way::Write,
                    &hidden,
                    Place::PATH,
                )),
            }
        }
        Carries::RecordsOf(object, why) => {
            let whose = Whose::named(case.catalogue, case.bounds, object);
            records(case, &whose, why, shape_of)
        }
        Carries::Records(why) => records(case, &any, why, shape_of),
        Carries::SetUp => set_up(case, shape_of),
        Carries::Values(why) => unrestricted(case, &any, why).map(|()| AnswerRule::Pass),
        Carries::Programs(why) => match case.row.effect {
            Effect::Write => unrestricted(case, &any, why).map(|()| AnswerRule::Pass),
            _ => Ok(AnswerRule::Pass),
        },
        Carries::Body(kind) => judged::judge(case, kind, shape_of),
    }
}

/// Records outside the operations of their type: written only where everything may be; read where
/// everything may be, or where the answer can be filtered. Removing one shows nothing.
fn records(
    case: &Case<'_>,
    whose: &Whose,
    why: &'static str,
    shape_of: ShapeOf<'_>,
) -> Result<AnswerRule, Stopped> {
    match case.row.effect {
        Effect::Write => unrestricted(case, whose, why).map(|()| AnswerRule::Pass),
        Effect::Read | Effect::Auth | Effect::Meta => match &whose.object {
            _ if whose.view.reads_all() => Ok(AnswerRule::Pass),
            Some(object) => answer::rule(case, std::iter::once(object), shape_of),
            None => answer::of_any_type(case, shape_of),
        }
        .map_err(|stopped| match stopped {
            Stopped::Refused(refusal) if refusal == UNKNOWN_ANSWER => {
                words::everything(whose, Way::Read, why, Place::PATH)
            }
            other => other,
        }),
        Effect::Delete | Effect::Irreversible => Ok(AnswerRule::Pass),
    }
}

/// Filters of lists and requests of imports quote names and values. Where their answer's shape is
/// known they are dropped.
fn set_up(case: &Case<'_>, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    match shape_of(&case.row.id, case.row) {
        Some(AnswerShape::Known(_)) => answer::of_any_type(case, shape_of),
        Some(AnswerShape::Free) | None => Ok(AnswerRule::Pass),
    }
}

/// Every property must be readable, and writable if the operation writes.
fn unrestricted(case: &Case<'_>, whose: &Whose, why: &'static str) -> Result<(), Stopped> {
    if !whose.view.reads_all() {
        return Err(words::everything(whose, Way::Read, why, Place::PATH));
    }
    match case.writes() && !whose.view.writes_all() {
        true => Err(words::everything(whose, Way::Write, why, Place::PATH)),
        false => Ok(()),
    }
}
