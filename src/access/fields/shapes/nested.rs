//! Values as APIs before v3 nest them: `{"value": …, "versions": […], "source": …}`. Versions are
//! the property's history.

use super::pieces::{FIRST, object};
use crate::access::fields::shape::Shape;

/// Where a value came from tells of people, files and other integrations.
const SOURCE: Shape = Shape::IfAll(FIRST, &Shape::Any, &Shape::Drop);

/// A version says the name of its property once more. contacts v1 hyphenates.
const VERSION: Shape = object!(
    Dropped; ["name", "value", "timestamp", "selected"],
    "source": SOURCE,
    "sourceId": SOURCE,
    "sourceLabel": SOURCE,
    "sourceVid": SOURCE,
    "source-type": SOURCE,
    "source-id": SOURCE,
    "source-label": SOURCE,
    "updatedByUserId": SOURCE,
    "updated-by-user-id": SOURCE,
    "requestId": SOURCE,
);

const WITH_HISTORY: Shape = object!(
    Dropped; ["value", "timestamp"],
    "versions": Shape::Array(&VERSION),
    "source": SOURCE,
    "sourceId": SOURCE,
    "sourceLabel": SOURCE,
    "updatedByUserId": SOURCE,
);

/// Of a value whose history is hidden, its time is hidden, too.
pub(super) const VALUE_ALONE: Shape = object!(Dropped; ["value"]);

/// Name to value and versions.
pub(super) const PROPERTIES: Shape = Shape::Properties {
    of: FIRST,
    granted: false,
    value: &WITH_HISTORY,
    bare: &VALUE_ALONE,
};
