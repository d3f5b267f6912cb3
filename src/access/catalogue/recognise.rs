//! From a canonical target to the operation it asks for and the object types its path names.

use smallvec::SmallVec;

use super::Catalogue;
use super::rows::{RowIndex, TypeSource};
use super::tree::Walk;
use super::types::ObjectTypeList;
use crate::access::facts::OperationIndex;
use crate::access::refusal::{Reason, Refusal};
use crate::access::target::Target;

/// Whether the body must be read before the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyNeed {
    /// The body decides nothing and may be streamed.
    None,
    /// The body decides: read it whole, parse it strictly, forward what was parsed.
    Judge,
    /// The part `importRequest` of a multipart body decides, in the same way; the files beside it
    /// need not be read.
    Import,
}

/// A recognised target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// The catalogue's row; its template is what logs and answers may show.
    pub row: RowIndex,
    /// The operation.
    pub operation: OperationIndex,
    /// The object types the path names, in its order: none, one, or both ends of a pair.
    pub types: ObjectTypeList,
    body_need: BodyNeed,
}

impl Recognised {
    /// Whether the body must be judged.
    pub fn body_need(&self) -> BodyNeed {
        self.body_need
    }
}

impl Catalogue {
    /// Finds the operation of a target. Refuses what the catalogue does not know, and tells an unknown
    /// version and an unknown object type from an unknown operation.
    pub fn recognise(&self, target: &Target) -> Result<Recognised, Refusal> {
        let (index, captures) = match self.tree.walk(target, &self.types) {
            Walk::Found(row, captures) => (row, captures),
            Walk::UnknownVersion => return Err(UNKNOWN_VERSION),
            Walk::Unknown => return Err(UNKNOWN_OPERATION),
        };
        let (Some(row), Some(operation)) = (self.row(index), self.operation_of(index)) else {
            return Err(UNKNOWN_OPERATION);
        };
        let mut types: ObjectTypeList = SmallVec::new();
        for source in row.sources() {
            types.push(match source {
                TypeSource::Literal(object) => object.clone(),
                TypeSource::Parameter(ordinal) => captures
                    .nth(*ordinal)
                    .and_then(|position| target.segment(usize::from(position)))
                    .and_then(|word| self.types.resolve(word))
                    .ok_or(UNKNOWN_OBJECT)?,
            });
        }
        Ok(Recognised {
            row: index,
            operation,
            types,
            body_need: row.body_need,
        })
    }
}

pub(crate) const UNKNOWN_OPERATION: Refusal = Refusal::new(
    Reason::UnknownOperation,
    "the catalogue knows no such operation",
    "check method and path; an operation HubSpot added can be made known in `catalogue.extra`",
);
const UNKNOWN_VERSION: Refusal = Refusal::new(
    Reason::UnknownVersion,
    "the catalogue knows this operation under other versions only",
    "use a known version, or make this one known in `catalogue.versions`",
);
pub(crate) const UNKNOWN_OBJECT: Refusal = Refusal::new(
    Reason::UnknownObject,
    "the request names an object type the catalogue does not know",
    "use the type's name or id; a custom object by its id (`2-…`) or its name with prefix (`p_…`)",
);
