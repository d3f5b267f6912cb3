//! From a recognised request to the facts that decide: what the row says, raised by query and body.
//!
//! Query and body may raise the row's effect and add needs; nothing lowers either. One file a reader:
//! each finds the object types that one family of bodies names, and refuses what it does not
//! understand.

mod associations;
mod count;
mod engagements;
mod exports;
mod graphql;
mod imports;
mod links;
mod lists;
mod meetings;
mod query;
mod removal;
mod schemas;
mod search;
mod shape;
mod timeline;

#[cfg(test)]
mod tests;

use smallvec::{SmallVec, smallvec};

use super::catalogue::{BodyNeed, Catalogue, Reader, Recognised, Row};
use super::effect::Effect;
use super::facts::{Facts, Need, OperationIndex, Risks, Surface, Touch};
use super::json::{Json, JudgedBody};
use super::object_type::ObjectType;
use super::pointer::At;
use super::refusal::{Place, Reason, Refusal};
use super::target::Target;
use shape::{NO_TYPE, TOO_MANY_TYPES};

pub use query::ASSOCIATED_TYPES;
pub(crate) use timeline::types as timeline_types;

/// Most needs of one request: the pairs of every two of 20 types, and some.
pub const NEEDS: usize = 256;

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
    let mut gathering = Gathering {
        catalogue,
        row,
        recognised,
        target,
        facts: Facts {
            needs: SmallVec::new(),
            concerns: SmallVec::new(),
            batch: None,
        },
        concerns_all: false,
    };
    let body = body.map(JudgedBody::value);
    let judged = match recognised.body_need() {
        BodyNeed::None => None,
        BodyNeed::Judge | BodyNeed::Import => Some(body.ok_or(NO_BODY)?),
    };
    match row.reader() {
        Some(reader) => gathering.read(reader, judged)?,
        None => gathering.own(judged)?,
    }
    if gathering.facts.needs.is_empty() {
        return Err(NO_TYPE);
    }
    query::associations(&mut gathering)?;
    if row.concerns_types() {
        lists::concerns(&mut gathering, judged)?;
    }
    for object in catalogue.concerned_by(row) {
        gathering.concern(object);
    }
    if catalogue.counts_records(recognised) {
        gathering.facts.batch = count::records(target, body);
    }
    Ok(gathering.facts)
}

/// Facts while they are gathered.
struct Gathering<'a> {
    catalogue: &'a Catalogue,
    row: &'a Row,
    recognised: &'a Recognised,
    target: &'a Target,
    facts: Facts,
    /// Whether every type is a concern already.
    concerns_all: bool,
}

impl Gathering<'_> {
    /// What a row says whose types its path names, and what its body raises and adds.
    fn own(&mut self, body: Option<&Json>) -> Result<(), Refusal> {
        let mut effect = self.row.effect;
        if self.row.is_irreversible_if_archived() && query::archives(self.target) {
            effect = raise(effect, Effect::Irreversible);
        }
        if let Some(body) = body
            && removal::removes(self.row, body)?
        {
            effect = raise(effect, Effect::Delete);
        }
        self.facts.needs.push(Need {
            operation: self.recognised.operation,
            effect,
            risks: self.row.risks,
            touches: self.catalogue.row_touches(self.row, &self.recognised.types),
        });
        let Some(body) = body else { return Ok(()) };
        if self.row.may_carry_associations() {
            links::inline(self, body)?;
        }
        if self.row.may_associate_types() {
            schemas::associated_objects(self, body)?;
        }
        if self.row.searches() {
            search::request(self, body, &At::BODY)?;
        }
        Ok(())
    }

    /// What a row's reader finds.
    fn read(&mut self, reader: Reader, body: Option<&Json>) -> Result<(), Refusal> {
        let judged = || body.ok_or(NO_BODY);
        match reader {
            Reader::Import => imports::read(self, judged()?),
            Reader::Export => exports::read(self, judged()?),
            Reader::Schemas => schemas::batch(self, judged()?),
            Reader::SchemaAssociation | Reader::MediaAssociation => schemas::association(self, judged()?),
            Reader::Timeline => timeline::read(self, judged()?),
            Reader::TimelineTemplate => self.any_type(),
            Reader::Engagement => engagements::create(self, judged()?),
            Reader::EngagementUpdate => engagements::update(self, judged()?),
            Reader::AnyEngagement => engagements::any(self),
            Reader::Association => associations::read(self, judged()?),
            Reader::AssociationDefinition => associations::listed(self),
            Reader::Graphql => graphql::read(self, judged()?),
            Reader::Meeting => meetings::calendar(self, judged()?),
            Reader::Booking => meetings::book(self),
        }
    }

    /// The operation itself, on these types (one, or a pair), once.
    fn need_main(&mut self, types: &[ObjectType]) -> Result<(), Refusal> {
        let need = Need {
            operation: self.recognised.operation,
            effect: self.row.effect,
            risks: self.row.risks,
            touches: self.catalogue.row_touches(self.row, types),
        };
        self.add(need)
    }

    /// A link between records of two types, as one of its own: made or looked at.
    fn need_link(&mut self, from: &ObjectType, to: &ObjectType, effect: Effect) -> Result<(), Refusal> {
        let parts = self.catalogue.parts();
        let operation = match effect {
            Effect::Read => parts.associations_list,
            _ => parts.associations_create,
        };
        let end = |object: &ObjectType| Touch {
            object: Some(object.clone()),
            surface: Surface::Records,
            requirement: self.catalogue.records(object, effect),
        };
        let touches = smallvec![end(from), end(to)];
        self.need_part(operation, effect, touches)
    }

    /// Something the request asks for beside its own operation.
    fn need_part(
        &mut self,
        operation: Option<OperationIndex>,
        effect: Effect,
        touches: SmallVec<[Touch; 2]>,
    ) -> Result<(), Refusal> {
        let operation = operation.ok_or(UNJUDGED)?;
        self.add(Need {
            operation,
            effect,
            risks: Risks::default(),
            touches,
        })
    }

    fn add(&mut self, need: Need) -> Result<(), Refusal> {
        if self.facts.needs.contains(&need) {
            return Ok(());
        }
        if self.facts.needs.len() == NEEDS {
            return Err(TOO_MANY_TYPES);
        }
        self.facts.needs.push(need);
        Ok(())
    }

    /// The request may touch a type of any kind: only a rule for all of them opens it, and a `deny` on
    /// any of them catches it.
    fn any_type(&mut self) -> Result<(), Refusal> {
        let every: Vec<ObjectType> = self.catalogue.any_type().collect();
        self.need_main(&every)
    }

    /// A type the request concerns without asking for anything of it.
    fn concern(&mut self, object: ObjectType) {
        if !self.facts.concerns.contains(&object) {
            self.facts.concerns.push(object);
        }
    }

    /// The type of the records a row is about, if it is about records of one.
    fn own_type(&self) -> Option<ObjectType> {
        match self.recognised.types.as_slice() {
            [object] => Some(object.clone()),
            _ => None,
        }
    }
}

fn raise(effect: Effect, to: Effect) -> Effect {
    effect.max(to)
}

const UNJUDGED: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "what this operation touches stands in its body, which the gate does not judge",
    "use the operation for one object type instead, such as batch read or create; naming the operation does not open it",
);
const NO_BODY: Refusal = Refusal {
    reason: Reason::RefusedBody,
    cause: "the body decides here, and there is none",
    remedy: "send the JSON body that HubSpot documents for this operation",
    place: Some(Place::BODY),
};
