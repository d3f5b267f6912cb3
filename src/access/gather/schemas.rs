//! Definitions whose types stand in the body: schemas read in one go, and ties between types.

use smallvec::smallvec;

use super::Gathering;
use super::shape::{self, member};
use crate::access::effect::Effect;
use crate::access::facts::{Surface, Touch};
use crate::access::json::Json;
use crate::access::pointer::At;
use crate::access::refusal::{Reason, Refusal};

/// Schemas of the types in `inputs`, each a string or `{id}`.
pub(super) fn batch(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["inputs"], &At::BODY)?;
    let at = At::BODY.key("inputs");
    for (index, item) in shape::list(member(members, "inputs"), &at)?.iter().enumerate() {
        let at = at.index(index);
        let object = match item {
            Json::String(name) => shape::named_type(gathering.catalogue, name, &at)?,
            item => {
                let members = shape::object(item, &at)?;
                if members.iter().any(|(key, _)| key != "id") {
                    return Err(at.refuse(shape::WRONG_SHAPE));
                }
                let id = shape::needed(members, "id", &at)?;
                shape::object_type(gathering.catalogue, id, &at.key("id"))?
            }
        };
        gathering.need_main(&[object])?;
    }
    Ok(())
}

/// `{fromObjectTypeId, toObjectTypeId, name}`, under the path of one of the two.
pub(super) fn association(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    let ends = ["fromObjectTypeId", "toObjectTypeId"];
    shape::spelt(members, &ends, &At::BODY)?;
    shape::no_more_types(members, &ends, &At::BODY)?;
    let end = |name: &'static str| {
        let at = At::BODY.key(name);
        shape::object_type(gathering.catalogue, shape::needed(members, name, &At::BODY)?, &at)
    };
    let (from, to) = (end(ends[0])?, end(ends[1])?);
    let word = gathering.row.segment_at(gathering.target, "{objectType}");
    let own = word.and_then(|word| gathering.catalogue.object_type(word));
    match own {
        Some(own) if own == from || own == to => gathering.need_main(&[from, to]),
        _ => Err(At::BODY.refuse(OTHER_TYPE)),
    }
}

/// `associatedObjects` of a new schema: each ties the type that is made to one that is there, which is
/// a definition of that one.
pub(super) fn associated_objects(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    let members = shape::object(body, &At::BODY)?;
    shape::spelt(members, &["associatedObjects"], &At::BODY)?;
    let at = At::BODY.key("associatedObjects");
    let items = match member(members, "associatedObjects") {
        Some(value) if value.is_empty() => &[],
        given => shape::list(given, &at)?,
    };
    let operation = gathering.catalogue.parts().schema_association;
    for (index, item) in items.iter().enumerate() {
        let object = shape::object_type(gathering.catalogue, item, &at.index(index))?;
        let touch = Touch {
            requirement: gathering.catalogue.definition_write(&object),
            object: Some(object),
            surface: Surface::Definitions,
        };
        gathering.need_part(operation, Effect::Write, smallvec![touch])?;
    }
    Ok(())
}

const OTHER_TYPE: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body ties two object types, and the path names neither",
    "spell the path's type in the body as in the path",
);
