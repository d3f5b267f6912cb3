//! `/deals/v1`: deals. A write shows the whole deal.
//!
//! Source: HubSpot's legacy documentation of the Deals API.

use super::AnswerShape::{self, Known};
use super::nested::PROPERTIES;
use super::pieces::{NOTHING, ONLY_WHOLE, SCALARS, object};
use crate::access::fields::shape::Shape;

/// What `crm.objects.VERB` answers below `/deals`.
pub(super) fn of_records(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "get" | "create" | "update" => Known(&DEAL),
        "list" => Known(&PAGE),
        // 204 without a body.
        "archive" => Known(&NOTHING),
        _ => return None,
    })
}

/// What `crm.associations.VERB` answers below `/deals`: 204.
pub(super) fn of_associations(verb: &str) -> Option<AnswerShape> {
    matches!(verb, "create" | "archive").then_some(Known(&NOTHING))
}

/// What the operations answer that only deals have.
pub(super) fn of(id: &str) -> Option<AnswerShape> {
    Some(match id {
        "deals.deal.recent.created" | "deals.deal.recent.modified" | "deals.deal.associated.list" => {
            Known(&PAGE)
        }
        // 202 without a body.
        "deals.batch-async.update" => Known(&NOTHING),
        _ => return None,
    })
}

const ASSOCIATIONS: Shape = object!(
    Dropped; [],
    "associatedVids": SCALARS,
    "associatedCompanyIds": SCALARS,
    "associatedDealIds": SCALARS,
    "associatedTicketIds": SCALARS,
);

/// `stateChanges` quotes values that were there before.
const DEAL: Shape = object!(
    Dropped; ["portalId", "dealId", "isDeleted"],
    "associations": ASSOCIATIONS,
    "properties": PROPERTIES,
    "imports": ONLY_WHOLE,
    "stateChanges": ONLY_WHOLE,
);

const PAGE: Shape = object!(
    Refused; ["hasMore", "offset", "total"],
    "deals": Shape::Array(&DEAL),
    "results": Shape::Array(&DEAL),
);
