//! What a request was found to ask for: the values the decision is made on, and nothing else.
//!
//! A request *needs* one or more things; each need has an operation, an effect, its risks, and
//! *touches* one or two object types or a surface without a type. All needs must be allowed.

use smallvec::SmallVec;

use super::effect::Effect;
use super::object_type::ObjectType;
pub use super::requirement::Requirement;

/// Index of an operation (an identity, not a row) in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationIndex(pub u16);

/// Index of a scope in the catalogue's table of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeIndex(pub u16);

/// Consequences that a rule must name before it opens an operation that has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Risks(pub u8);

impl Risks {
    /// Names and bits, as policies write them.
    pub const NAMES: [(&'static str, u8); 5] = [
        ("sends-message", 1),
        ("moves-money", 2),
        ("bulk-export", 4),
        ("hands-out-url", 8),
        ("issues-credential", 16),
    ];

    /// One risk by its name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, bit)| Self(*bit))
    }

    /// No risk at all.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in `self` and not in `other`.
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the two sets share a risk.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the risks in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .iter()
            .filter(move |(_, bit)| self.0 & bit != 0)
            .map(|(name, _)| *name)
    }
}

/// What of an object type is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Records and what hangs on them.
    Records,
    /// Definitions: property, group, validation, pipeline, stage, schema, association label.
    Definitions,
    /// No object type: a fixed row (owners, lists, forms, …).
    Fixed,
}

/// One object type, or one surface without a type, that a need touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The type, if the operation takes one.
    pub object: Option<ObjectType>,
    /// Records, definitions, or a fixed surface.
    pub surface: Surface,
    /// The scopes that open it in this need's direction (catalogue's `least`).
    pub requirement: Requirement,
}

/// One thing the request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which operation.
    pub operation: OperationIndex,
    /// Its effect in this request: the row's, or raised by query or body, never lowered.
    pub effect: Effect,
    /// Its risks.
    pub risks: Risks,
    /// One entry for most operations, two for pairs (both ends of an association). Never empty.
    pub touches: SmallVec<[Touch; 2]>,
}

/// Everything the decision looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The operation itself first, then what query and body add (`associations=` on a read).
    pub needs: SmallVec<[Need; 1]>,
    /// Types the request concerns without asking for anything of theirs: a `deny` on one of them
    /// catches it, and no `allow` need name them (the type of a list that is created, say).
    pub concerns: SmallVec<[ObjectType; 2]>,
    /// How many records a judged batch names.
    pub batch: Option<u32>,
}

impl Facts {
    /// The operation itself.
    pub fn main(&self) -> &Need {
        &self.needs[0]
    }

    /// The strongest effect of all needs: it decides how the record is kept.
    pub fn effect(&self) -> Effect {
        self.needs
            .iter()
            .map(|need| need.effect)
            .max()
            .unwrap_or(Effect::Irreversible)
    }
}
