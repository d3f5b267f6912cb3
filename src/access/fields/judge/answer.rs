//! What becomes of the answer: decided before the request goes up, so that nothing comes back that
//! nobody can filter.

use super::words::UNKNOWN_ANSWER;
use super::{Case, ShapeOf, Stopped};
use crate::access::fields::plan::AnswerRule;
use crate::access::fields::shape::Views;
use crate::access::fields::shapes::{self, AnswerShape};
use crate::access::object_type::ObjectType;

/// The answer of an operation on these types, in the order in which shapes count them.
pub(super) fn rule<'t>(
    case: &Case<'_>,
    types: impl Iterator<Item = &'t ObjectType>,
    shape_of: ShapeOf<'_>,
) -> Result<AnswerRule, Stopped> {
    let further = shapes::extra_types(&case.row.id, case.row)
        .iter()
        .filter_map(|name| case.catalogue.object_type(name));
    let mut views = Views {
        types: types.map(|object| case.bounds.view(object)).collect(),
        bounds: case.bounds.clone(),
    };
    views
        .types
        .extend(further.map(|object| case.bounds.view(&object)));
    match !views.types.is_empty() && views.types.iter().all(|view| view.reads_all()) {
        true => Ok(AnswerRule::Pass),
        false => filtered(case, views, shape_of),
    }
}

/// An answer in which values may stand that are not all readable.
fn filtered(case: &Case<'_>, views: Views, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    match shape_of(&case.row.id, case.row) {
        None => Err(Stopped::Refused(UNKNOWN_ANSWER)),
        Some(AnswerShape::Free) => Ok(AnswerRule::Errors),
        Some(AnswerShape::Known(shape)) => Ok(AnswerRule::Filter(Box::new((shape, views)))),
    }
}

/// An answer whose objects say their own type.
pub(super) fn of_any_type(case: &Case<'_>, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    if case.bounds.view_of_any().reads_all() {
        return Ok(AnswerRule::Pass);
    }
    let views = Views {
        bounds: case.bounds.clone(),
        ..Views::default()
    };
    filtered(case, views, shape_of)
}
