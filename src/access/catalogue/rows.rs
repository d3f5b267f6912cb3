//! Rows: one method and path template each, and how its object types and scopes are found.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::operation::Takes;
use super::reader::Reader;
use super::recognise::BodyNeed;
use super::types::{Access, ObjectTypes};
use crate::access::effect::Effect;
use crate::access::facts::{Requirement, Risks, ScopeIndex, Surface};
use crate::access::object_type::ObjectType;
use crate::access::target::{Method, Target};

/// Index of a row in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowIndex(pub u32);

/// Where a row's type is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TypeSource {
    /// A literal of the template, or known from the table.
    Literal(ObjectType),
    /// The n-th parameter of the template, counted from 0.
    Parameter(u8),
}

/// How a row's requirement and types are found (column `resolve`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolve {
    /// No type: the row's own requirement; empty where no single scope is known to open it.
    Fixed(Requirement),
    /// The types stand in the body, and nothing reads them there: refused.
    Body,
    /// A reader finds the types.
    Read(Reading),
    /// Records of one type, or of both types of a pair.
    Records(Vec<TypeSource>),
    /// Definitions, likewise.
    Definitions(Vec<TypeSource>),
    /// Pipelines of a type: definitions that have scopes of their own for some types.
    Pipelines(TypeSource),
    /// Records of one type under a requirement of the row's own: no scope is listed for it.
    OwnRecords(TypeSource, Requirement),
}

/// How a row is read that names its types in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) reader: Reader,
    /// The only types the reader can find.
    pub(super) only: Option<Vec<ObjectType>>,
    /// The scopes HubSpot asks for whatever the types are, where it lists some.
    pub(super) own: Option<Requirement>,
}

/// What the query or the body changes about a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// A body may carry `associations`, each of them a write of its own.
    pub(super) inline_associations: bool,
    /// `archived=true` makes the removal permanent.
    pub(super) irreversible_if_archived: bool,
    /// The body may name records to remove.
    pub(super) delete_if_removing: bool,
    /// The body may replace a list's filters, and with them who is in it.
    pub(super) delete_if_refiltering: bool,
    /// The body may archive a pipeline or a stage of it, or leave stages out.
    pub(super) delete_if_restaging: bool,
    /// The body of a new type may tie it to others.
    pub(super) associated_objects: bool,
    /// Path and body name types whose records it touches only as members of lists.
    pub(super) concerns_types: bool,
    /// It names people by address or id, whose contacts it changes, or makes.
    pub(super) concerns_contacts: bool,
    /// Its answer shows which contacts, companies and tickets are linked, asked for or not.
    pub(super) shows_links: bool,
    /// A request names many records at once.
    pub(super) names_many: bool,
    /// It touches every member of a list without naming one.
    pub(super) names_none: bool,
    /// The body may filter by associations.
    pub(super) searches: bool,
}

impl Marks {
    /// Adds what `other` marks; nothing is taken away.
    pub(super) fn merge(&mut self, other: Marks) {
        self.inline_associations |= other.inline_associations;
        self.irreversible_if_archived |= other.irreversible_if_archived;
        self.delete_if_removing |= other.delete_if_removing;
        self.delete_if_refiltering |= other.delete_if_refiltering;
        self.delete_if_restaging |= other.delete_if_restaging;
        self.associated_objects |= other.associated_objects;
        self.concerns_types |= other.concerns_types;
        self.concerns_contacts |= other.concerns_contacts;
        self.shows_links |= other.shows_links;
        self.names_many |= other.names_many;
        self.names_none |= other.names_none;
        self.searches |= other.searches;
    }
}

/// One method and path template.
#[derive(Debug)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// As HubSpot documents it, parameters in braces, its version in its usual place.
    pub template: Arc<str>,
    /// The version segment; `None` for the few that have none.
    pub version: Option<Box<str>>,
    /// The operation's id.
    pub id: Box<str>,
    /// The effect of the row; query and body may raise it.
    pub effect: Effect,
    /// Its risks.
    pub risks: Risks,
    pub(super) former_ids: Vec<Arc<str>>,
    /// Its line in the table it came from.
    pub(super) line: usize,
    pub(super) resolve: Resolve,
    /// Scopes of which HubSpot lists any one as enough, besides what the row requires; for rows without
    /// a type. They open nothing here.
    pub(super) accepted: Vec<ScopeIndex>,
    pub(super) marks: Marks,
    /// Whether the last parameter takes the rest of the path.
    pub(super) takes_rest: bool,
    /// Whether the body decides: follows from the rest, and is asked for each request.
    pub(super) body_need: BodyNeed,
}

impl Row {
    /// Whether its object types stand in a body that nothing reads: each request is refused.
    pub fn is_unjudged(&self) -> bool {
        matches!(self.resolve, Resolve::Body)
    }

    /// What finds its object types, if the path does not name them.
    pub fn reader(&self) -> Option<Reader> {
        match &self.resolve {
            Resolve::Read(reading) => Some(reading.reader),
            _ => None,
        }
    }

    /// Whether it moves records whose number nobody can tell before.
    pub(super) fn is_in_bulk(&self) -> bool {
        let bulk_export = Risks::parse("bulk-export").unwrap_or_default();
        let moves = |reader| matches!(reader, Reader::Import | Reader::Export | Reader::Graphql);
        self.risks.intersects(bulk_export) || self.reader().is_some_and(moves) || self.marks.names_none
    }

    /// Whether its object types stand in the body, read or not.
    pub(super) fn stands_in_body(&self) -> bool {
        self.is_unjudged() || self.reader().is_some()
    }

    /// How many object types a request names.
    pub(super) fn takes(&self) -> Takes {
        match (self.reader(), self.sources().len()) {
            (Some(reader), _) => reader.takes(),
            (None, 0) => Takes::Nothing,
            (None, 1) => Takes::One,
            (None, _) => Takes::Pair,
        }
    }

    /// Whether a request may touch `object`; `None`: whether it may touch no type.
    pub(super) fn may_touch(&self, object: Option<&ObjectType>) -> bool {
        let Some(object) = object else {
            return self.takes() == Takes::Nothing;
        };
        match &self.resolve {
            Resolve::Read(reading) => {
                let only = reading.only.as_ref();
                reading.reader.takes() != Takes::Nothing && only.is_none_or(|only| only.contains(object))
            }
            _ => self.sources().iter().any(|source| match source {
                TypeSource::Literal(literal) => literal == object,
                TypeSource::Parameter(_) => true,
            }),
        }
    }

    /// Whether a body may carry `associations`, each of them a write of its own.
    pub fn may_carry_associations(&self) -> bool {
        self.marks.inline_associations
    }

    /// Whether `archived=true` makes the removal permanent.
    pub fn is_irreversible_if_archived(&self) -> bool {
        self.marks.irreversible_if_archived
    }

    /// Whether the body may name records to remove.
    pub fn is_delete_if_removing(&self) -> bool {
        self.marks.delete_if_removing
    }

    /// Whether the body may replace a list's filters.
    pub fn is_delete_if_refiltering(&self) -> bool {
        self.marks.delete_if_refiltering
    }

    /// Whether the body may archive a pipeline or a stage of it, or leave stages out.
    pub fn is_delete_if_restaging(&self) -> bool {
        self.marks.delete_if_restaging
    }

    /// Whether the body may make a removal of it.
    pub fn may_remove(&self) -> bool {
        self.is_delete_if_removing() || self.is_delete_if_refiltering() || self.is_delete_if_restaging()
    }

    /// The row's effect, and those that query or body can raise it to.
    pub fn effects(&self) -> SmallVec<[Effect; 3]> {
        let mut effects = smallvec![self.effect];
        let mut raised = |to: Effect| {
            let effect = self.effect.max(to);
            if !effects.contains(&effect) {
                effects.push(effect);
            }
        };
        if self.is_irreversible_if_archived() {
            raised(Effect::Irreversible);
        }
        if self.may_remove() {
            raised(Effect::Delete);
        }
        effects
    }

    /// Whether path and body name types that the request concerns without touching their records.
    pub fn concerns_types(&self) -> bool {
        self.marks.concerns_types
    }

    /// Types it concerns whatever a request says, by their names: those of people it names, whose contacts it changes or
    /// makes, and those whose links it shows.
    pub(super) fn concerned(&self) -> &'static [&'static str] {
        match (self.marks.shows_links, self.marks.concerns_contacts) {
            (true, _) => &["contacts", "companies", "tickets"],
            (false, true) => &["contacts"],
            (false, false) => &[],
        }
    }

    /// Whether the body may filter by associations.
    pub fn searches(&self) -> bool {
        self.marks.searches
    }

    /// The segment of `target` where the template has `parameter` (with its braces). A version stands
    /// before every parameter in each layout, so positions agree.
    pub(crate) fn segment_at<'t>(&self, target: &'t Target, parameter: &str) -> Option<&'t str> {
        let mut segments = self.template.trim_matches('/').split('/');
        target.segment(segments.position(|segment| segment == parameter)?)
    }

    /// Whether the body may tie the type it defines to others.
    pub fn may_associate_types(&self) -> bool {
        self.marks.associated_objects
    }

    /// Settles what follows from the row's other members, once these are final.
    pub(super) fn settle(&mut self) {
        self.body_need = match self.judges_body() && !self.is_unjudged() {
            true if self.reader() == Some(Reader::Import) => BodyNeed::Import,
            true => BodyNeed::Judge,
            false => BodyNeed::None,
        };
    }

    /// Whether the body decides anything.
    fn judges_body(&self) -> bool {
        let marks = &self.marks;
        let concerns = marks.concerns_types && self.method != Method::Get;
        marks.inline_associations
            || self.may_remove()
            || marks.associated_objects
            || marks.searches
            || concerns
            || self.reader().is_some_and(Reader::reads_body)
    }

    /// Records, definitions, or no type.
    pub(super) fn surface(&self) -> Surface {
        match &self.resolve {
            Resolve::Fixed(_) | Resolve::Body => Surface::Fixed,
            Resolve::Read(reading) => reading.reader.surface(),
            Resolve::Records(_) | Resolve::OwnRecords(..) => Surface::Records,
            Resolve::Definitions(_) | Resolve::Pipelines(_) => Surface::Definitions,
        }
    }

    /// Where its types are found, in the order of the template.
    pub(super) fn sources(&self) -> &[TypeSource] {
        match &self.resolve {
            Resolve::Fixed(_) | Resolve::Body | Resolve::Read(..) => &[],
            Resolve::Records(sources) | Resolve::Definitions(sources) => sources,
            Resolve::OwnRecords(source, _) | Resolve::Pipelines(source) => std::slice::from_ref(source),
        }
    }

    /// The scopes HubSpot asks for `object` where a reader finds it. Most of them open nothing here
    /// ([`Reader::opens_by_scope`]); a `deny` on one of them still catches the request.
    fn read_requirement(&self, types: &ObjectTypes, reading: &Reading, object: &ObjectType) -> Requirement {
        let access = match (reading.reader.surface(), self.effect == Effect::Read) {
            (Surface::Definitions, true) => Access::DefinitionRead,
            (Surface::Definitions, false) => Access::DefinitionWrite,
            (_, true) => Access::Read,
            (_, false) => Access::Write,
        };
        let of_type = types.requirement(object, access);
        match &reading.own {
            _ if reading.reader.opens_by_scope() => of_type,
            None => of_type,
            Some(own) if reading.reader == Reader::Graphql => both(own, &of_type),
            Some(own) => own.clone(),
        }
    }

    /// The scopes that open `object` through this row.
    pub(super) fn requirement(&self, types: &ObjectTypes, object: &ObjectType) -> Requirement {
        let reads = self.effect == Effect::Read;
        let access = match &self.resolve {
            Resolve::Fixed(requirement) | Resolve::OwnRecords(_, requirement) => return requirement.clone(),
            Resolve::Body => return Requirement::NONE,
            Resolve::Read(reading) => return self.read_requirement(types, reading, object),
            Resolve::Records(_) if reads => Access::Read,
            Resolve::Records(_) => Access::Write,
            Resolve::Definitions(_) if reads => Access::DefinitionRead,
            Resolve::Definitions(_) => Access::DefinitionWrite,
            Resolve::Pipelines(_) if reads => Access::PipelineRead,
            Resolve::Pipelines(_) => Access::PipelineWrite,
        };
        types.requirement(object, access)
    }
}

/// Meets whoever meets both; where one is not known, the other.
fn both(one: &Requirement, other: &Requirement) -> Requirement {
    if one.is_empty() || other.is_empty() {
        return if one.is_empty() {
            other.clone()
        } else {
            one.clone()
        };
    }
    one.iter()
        .flat_map(|a| other.iter().map(move |b| a.iter().chain(b).copied().collect()))
        .collect()
}

/// `AREA.RESOURCE[.SUBRESOURCE].VERB` in lower-case letters, digits and hyphens.
pub(super) fn is_operation_id(id: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    id.contains('.') && id.split('.').all(part)
}

/// `v3`, `2026-03`, `2026-09-beta`: what HubSpot writes as the version of an API.
pub(super) fn is_version(segment: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(number) = segment.strip_prefix('v') {
        return number.len() <= 3 && digits(number);
    }
    let date = segment.strip_suffix("-beta").unwrap_or(segment);
    match date.split_once('-') {
        Some((year, month)) => year.len() == 4 && month.len() == 2 && digits(year) && digits(month),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_names_and_ids() {
        for version in ["v1", "v3", "v4", "2025-09", "2026-09-beta"] {
            assert!(is_version(version), "{version}");
        }
        for other in [
            "",
            "v",
            "vid",
            "v3x",
            "v1234",
            "2-123",
            "0-1",
            "2026",
            "2026-9",
            "20260-09",
            "2026-09-rc",
        ] {
            assert!(!is_version(other), "{other}");
        }
    }
}
