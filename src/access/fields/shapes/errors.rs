//! Errors: HubSpot's envelope of what went wrong, as an answer of its own and as an item of a batch
//! (`errors` of a 207).
//!
//! Messages quote values of properties (a conflict, a value that is not valid) and names of hidden
//! ones (a required property), so their words are replaced. The same holds of every member that is
//! not in these lists. An error must reach the client whatever its members are, so nothing in it is
//! a violation but what is no JSON.
//!
//! Invariant: nothing here depends on what may be read, since errors are also filtered where no type is
//! known.

use super::pieces::object;
use crate::access::fields::shape::Shape;

/// What stands in place of HubSpot's words.
pub const WITHHELD: &str =
    "scopegate withholds HubSpot's message: it may quote properties that this key may not read";

/// Messages that the most used SDKs compare to know whether to try again. They quote nothing
/// (clients-and-errors: hubspot-api-nodejs, src/services/decorators/RetryDecorator.ts).
pub const KEPT_MESSAGES: &[&str] = &[
    "You have reached your secondly limit.",
    "You have reached your ten_secondly_rolling limit.",
];

/// A scalar; anything else is removed.
const WORD: Shape = Shape::Kinds {
    scalar: &Shape::Scalar,
    object: &Shape::Drop,
    array: &Shape::Drop,
};

/// An object; anything else is removed.
macro_rules! object_or_nothing {
    ($($members:tt)*) => {
        Shape::Kinds {
            scalar: &Shape::Drop,
            object: &object!($($members)*),
            array: &Shape::Drop,
        }
    };
}

/// One word or several.
const WORDS: Shape = Shape::Kinds {
    scalar: &Shape::Scalar,
    object: &Shape::Drop,
    array: &Shape::Array(&WORD),
};

const MESSAGE: Shape = Shape::Kinds {
    scalar: &Shape::TextUnless(KEPT_MESSAGES, WITHHELD),
    object: &Shape::Drop,
    array: &Shape::Drop,
};

/// Scopes, and ids that the request itself named.
const CONTEXT: Shape = object_or_nothing!(
    Dropped; [],
    "requiredScopes": WORDS,
    "requiredGranularScopes": WORDS,
    "missingScopes": WORDS,
    "id": WORDS,
    "ids": WORDS,
    "fromObjectId": WORDS,
    "fromObjectType": WORDS,
    "toObjectId": WORDS,
    "toObjectType": WORDS,
    "objectWriteTraceId": WORDS,
);

/// One of `errors`. Its `in` names a property.
const DETAIL: Shape = object_or_nothing!(
    Dropped; [],
    "message": MESSAGE,
    "code": WORD,
    "subCategory": WORD,
    "context": CONTEXT,
);

/// The page about scopes; other links may carry what the request was about.
const LINKS: Shape = object_or_nothing!(Dropped; [], "scopes": WORD);

/// An array of them; anything else is removed.
macro_rules! array_or_nothing {
    ($element:expr) => {
        Shape::Kinds {
            scalar: &Shape::Drop,
            object: &Shape::Drop,
            array: &Shape::Array(&$element),
        }
    };
}

/// Errors in an answer that is otherwise a success.
pub(super) const ITEM_ERRORS: Shape = array_or_nothing!(ERROR);

/// Answers that are no success.
pub const ERROR: Shape = object_or_nothing!(
    Dropped; [],
    "status": WORD,
    "id": WORD,
    "category": WORD,
    "subCategory": WORD,
    "message": MESSAGE,
    "correlationId": WORD,
    "requestId": WORD,
    "errorType": WORD,
    "policyName": WORD,
    "groupName": WORD,
    "context": CONTEXT,
    "errors": array_or_nothing!(DETAIL),
    "links": LINKS,
);
