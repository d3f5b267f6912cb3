//! From a recognised request to the facts that decide: what the row says, raised by query and body.
//!
//! Query and body may raise the row's effect and add needs; nothing lowers either.

use smallvec::{SmallVec, smallvec};

use super::catalogue::{BodyNeed, Catalogue, Recognised, UNKNOWN_OBJECT};
use super::effect::Effect;
use super::facts::{Facts, Need, Risks, Surface, Touch};
use super::json::{Json, JudgedBody};
use super::object_type::ObjectType;
use super::refusal::{Reason, Refusal};
use super::target::Target;

/// Most object types that one `associations` parameter may name: more than HubSpot has.
pub const ASSOCIATED_TYPES: usize = 64;

/// Gathers the facts. `body` must be present when [`Recognised::body_need`] says so.
pub fn gather(
    catalogue: &Catalogue,
    recognised: &Recognised,
    target: &Target,
    body: Option<&JudgedBody>,
) -> Result<Facts, Refusal> {
    let row = catalogue.row(recognised.row).ok_or(UNJUDGED)?;
    if row.is_unjudged() {
        return Err(UNJUDGED);
    }
    let mut effect = row.effect;
    if row.is_irreversible_if_archived() && archives(target) {
        effect = raise(effect, Effect::Irreversible);
    }
    if recognised.body_need() == BodyNeed::Judge {
        let body = body.ok_or(NO_BODY)?.value();
        if row.may_carry_associations() {
            refuse_associations(body)?;
        }
        if row.may_associate_types() {
            refuse_associated_objects(body)?;
        }
        if row.is_delete_if_removing() && removes(body)? {
            effect = raise(effect, Effect::Delete);
        }
    }
    let mut facts = Facts {
        needs: smallvec![Need {
            operation: recognised.operation,
            effect,
            risks: row.risks,
            touches: catalogue.row_touches(row, &recognised.types),
        }],
        concerns: SmallVec::new(),
        batch: None,
    };
    add_associations(catalogue, recognised, target, &mut facts)?;
    Ok(facts)
}

fn raise(effect: Effect, to: Effect) -> Effect {
    effect.max(to)
}

/// `archived` in any other value than `false` counts as set: the gate need not know how HubSpot
/// reads `archived=1`.
fn archives(target: &Target) -> bool {
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
fn add_associations(
    catalogue: &Catalogue,
    recognised: &Recognised,
    target: &Target,
    facts: &mut Facts,
) -> Result<(), Refusal> {
    let mut named: SmallVec<[ObjectType; 4]> = SmallVec::new();
    let mut stands = false;
    for value in target.query().all("associations") {
        stands = true;
        for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let object = catalogue.object_type(word).ok_or(UNKNOWN_OBJECT)?;
            if !named.contains(&object) {
                if named.len() == ASSOCIATED_TYPES {
                    return Err(TOO_MANY_ASSOCIATIONS);
                }
                named.push(object);
            }
        }
    }
    if includes_associations(target) {
        stands = true;
        let all = V1_DEAL_ASSOCIATIONS
            .iter()
            .filter_map(|name| catalogue.object_type(name));
        named.extend(
            all.filter(|object| !named.contains(object))
                .collect::<SmallVec<[ObjectType; 4]>>(),
        );
    }
    if !stands {
        return Ok(());
    }
    let main = facts.main();
    let own = match (main.touches.as_slice(), recognised.types.as_slice()) {
        ([touch], [object]) if touch.surface == Surface::Records => object.clone(),
        _ => return Err(NO_ASSOCIATIONS_HERE),
    };
    let operation = catalogue.associations_list().ok_or(NO_ASSOCIATIONS_HERE)?;
    let reads = |object: &ObjectType| Touch {
        object: Some(object.clone()),
        surface: Surface::Records,
        requirement: catalogue.record_read(object),
    };
    for object in &named {
        facts.needs.push(Need {
            operation,
            effect: Effect::Read,
            risks: Risks::default(),
            touches: smallvec![reads(&own), reads(object)],
        });
    }
    Ok(())
}

/// Associations inside a create are writes of other records' links. Until they are judged, a body
/// passes only without them, at its top level and in each item of `inputs`.
fn refuse_associations(body: &Json) -> Result<(), Refusal> {
    let Json::Object(_) = body else {
        return Err(NOT_AN_OBJECT);
    };
    refuse_associations_in(body)?;
    match body.get("inputs") {
        None | Some(Json::Null) => Ok(()),
        Some(Json::Array(items)) => items.iter().try_for_each(|item| match item {
            Json::Object(_) => refuse_associations_in(item),
            _ => Err(NOT_AN_OBJECT),
        }),
        Some(_) => Err(NOT_AN_OBJECT),
    }
}

fn refuse_associations_in(value: &Json) -> Result<(), Refusal> {
    let Json::Object(members) = value else {
        return Err(NOT_AN_OBJECT);
    };
    for (key, value) in members {
        if key == "associations" {
            if !value.is_empty() {
                return Err(INLINE_ASSOCIATIONS);
            }
        } else if key.eq_ignore_ascii_case("associations")
            || key.eq_ignore_ascii_case("inputs") && key != "inputs"
        {
            return Err(MISSPELT_KEY);
        }
    }
    Ok(())
}

/// `associatedObjects` makes definitions of other types: until they are judged, a schema passes
/// only without them.
fn refuse_associated_objects(body: &Json) -> Result<(), Refusal> {
    let Json::Object(members) = body else {
        return Err(NOT_AN_OBJECT);
    };
    let tied = |(key, value): &(_, Json)| is_associated_objects(key) && !value.is_empty();
    match members.iter().any(tied) {
        true => Err(ASSOCIATED_OBJECTS),
        false => Ok(()),
    }
}

/// In any case of its letters: upstream may take another spelling for it.
fn is_associated_objects(key: &impl AsRef<str>) -> bool {
    key.as_ref().eq_ignore_ascii_case("associatedObjects")
}

/// Whether the body of an add-and-remove names records to remove.
fn removes(body: &Json) -> Result<bool, Refusal> {
    let Json::Object(members) = body else {
        return Err(NOT_AN_OBJECT);
    };
    // Whatever else HubSpot may come to read here, only the documented addition is no removal.
    Ok(members
        .iter()
        .any(|(key, value)| key != "recordIdsToAdd" && !value.is_empty()))
}

const UNJUDGED: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "what this operation touches stands in its body, which the gate does not judge yet",
    "use the operation for one object type instead, such as batch read or create; naming the operation does not open it",
);
const INLINE_ASSOCIATIONS: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the body carries `associations`, which the gate does not judge yet",
    "create the record without `associations`, then link it with `crm.associations.create`",
);
const ASSOCIATED_OBJECTS: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the body carries `associatedObjects`, which the gate does not judge yet",
    "create the schema without `associatedObjects`; tie it to other types in HubSpot's settings",
);
const MISSPELT_KEY: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the body has a key that is nearly `associations` or `inputs`, in another case",
    "write keys exactly as HubSpot documents them",
);
const NOT_AN_OBJECT: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body has not the shape that HubSpot documents for this operation",
    "send a JSON object; `inputs` is a list of objects",
);
const NO_BODY: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body decides here, and there is none",
    "send the JSON body that HubSpot documents for this operation",
);
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

#[cfg(test)]
#[path = "gather_tests.rs"]
mod tests;
