//! What the query adds: permanence, and associations that are read along.

use smallvec::SmallVec;

use super::Gathering;
use crate::access::catalogue::UNKNOWN_OBJECT;
use crate::access::effect::Effect;
use crate::access::facts::Surface;
use crate::access::object_type::ObjectType;
use crate::access::refusal::{Place, Reason, Refusal};
use crate::access::target::Target;

/// Most object types that one `associations` parameter may name: more than HubSpot has.
pub const ASSOCIATED_TYPES: usize = 64;

/// `archived` in any other value than `false` counts as set: the gate need not know how HubSpot
/// reads `archived=1`.
pub(super) fn archives(target: &Target) -> bool {
    target
        .query()
        .get("archived")
        .is_some_and(|value| value != "false")
}

/// What deals v1 shows of a deal under `includeAssociations`: `associatedVids`, `associatedCompanyIds`,
/// `associatedDealIds`, `associatedTicketIds` (HubSpot's legacy deals documentation).
const V1_DEAL_ASSOCIATIONS: [&str; 4] = ["contacts", "companies", "deals", "tickets"];

/// Python clients write `True` and `False`; whatever is not a plain no counts as a yes.
fn includes_associations(target: &Target) -> bool {
    target
        .query()
        .get("includeAssociations")
        .is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

/// Each type in `associations` (repeated, comma-joined, by any spelling) is a read of the
/// associations between the record's type and that one.
pub(super) fn associations(gathering: &mut Gathering<'_>) -> Result<(), Refusal> {
    let at = |refusal: Refusal| refusal.at(Place::parameter("associations"));
    let (catalogue, target) = (gathering.catalogue, gathering.target);
    let mut named: SmallVec<[ObjectType; 4]> = SmallVec::new();
    let mut stands = false;
    for value in target.query().all("associations") {
        stands = true;
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let object = catalogue.object_type(word).ok_or_else(|| at(UNKNOWN_OBJECT))?;
            if !named.contains(&object) {
                if named.len() == ASSOCIATED_TYPES {
                    return Err(at(TOO_MANY_ASSOCIATIONS));
                }
                named.push(object);
            }
        }
    }
    if includes_associations(target) {
        stands = true;
        for object in V1_DEAL_ASSOCIATIONS
            .iter()
            .filter_map(|name| catalogue.object_type(name))
        {
            if !named.contains(&object) {
                named.push(object);
            }
        }
    }
    if !stands {
        return Ok(());
    }
    let of_records =
        matches!(gathering.facts.main().touches.as_slice(), [touch] if touch.surface == Surface::Records);
    let own = gathering
        .own_type()
        .filter(|_| of_records)
        .ok_or_else(|| at(NO_ASSOCIATIONS_HERE))?;
    for object in &named {
        gathering.need_link(&own, object, Effect::Read)?;
    }
    Ok(())
}

const NO_ASSOCIATIONS_HERE: Refusal = Refusal::new(
    Reason::RefusedQuery,
    "this operation takes no `associations` parameter",
    "leave it out, or ask on an operation that reads records of one type",
);
const TOO_MANY_ASSOCIATIONS: Refusal = Refusal::new(
    Reason::RefusedQuery,
    "`associations` names more than 64 object types",
    "ask for fewer at once",
);
