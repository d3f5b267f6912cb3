//! The catalogue: which operations HubSpot has, what each does, which object types it names and
//! which scopes open it.
//!
//! The tables under `catalogue/` are the source, embedded at build time and read once at start.
//! Deliberately absent: judgement. Nothing here knows a policy.

mod associations;
mod direct;
mod extra;
mod layout;
mod operation;
mod parts;
mod reader;
mod recognise;
mod row_text;
mod rows;
mod scopes;
mod siblings;
mod table;
mod tree;
mod types;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::effect::Effect;
use super::facts::{OperationIndex, Requirement, Risks, ScopeIndex, Touch};
use super::object_type::ObjectType;
use associations::AssociationTypes;
use operation::Operations;
use parts::Parts;
use scopes::Scopes;
use tree::Tree;
use types::{Access, ObjectTypes};

pub use associations::{AssociationEnd, AssociationType};
pub use operation::{Operation, Takes};
pub(crate) use reader::ENGAGEMENTS;
pub use reader::Reader;
pub(crate) use recognise::UNKNOWN_OBJECT;
pub use recognise::{BodyNeed, Recognised};
pub use rows::{Row, RowIndex};
pub use scopes::{Direction, Scope};
pub(in crate::access) use types::is_custom_spelling;
pub use types::{ObjectTypeList, TYPE_NAME_BYTES};

const OPERATIONS: &str = include_str!("../../../catalogue/operations.tsv");
const LEGACY_OPERATIONS: &str = include_str!("../../../catalogue/legacy_operations.tsv");
const OBJECT_TYPES: &str = include_str!("../../../catalogue/object_types.tsv");
const ASSOCIATION_TYPES: &str = include_str!("../../../catalogue/association_types.tsv");
const SCOPES: &str = include_str!("../../../catalogue/scopes.tsv");
/// What property rules know of HubSpot's own properties. Nothing here reads them: they are part of
/// the digest, because they decide.
const PROPERTIES: [&str; 2] = [
    include_str!("../../../catalogue/properties.tsv"),
    include_str!("../../../catalogue/derived_properties.tsv"),
];

/// A table that cannot be used: which, where, why. The line is the line of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table}:{line}: {message}")]
pub struct CatalogueError {
    /// The table's file name; `catalogue.extra` for the operator's own.
    pub table: &'static str,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl CatalogueError {
    fn new(table: &'static str, line: usize, message: impl Into<String>) -> Self {
        Self {
            table,
            line,
            message: message.into(),
        }
    }
}

/// The operations, scopes and object types the gate knows.
#[derive(Debug)]
pub struct Catalogue {
    rows: Vec<Row>,
    operations: Operations,
    scopes: Scopes,
    types: ObjectTypes,
    tree: Tree,
    /// The operation of each row, by its position.
    row_operations: Vec<OperationIndex>,
    associations: AssociationTypes,
    parts: Parts,
    digest: String,
}

impl Catalogue {
    /// The catalogue as shipped. Fails only if the embedded tables are broken, which a test rules out.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::with(None, &[])
    }

    /// The shipped catalogue with an operator's own operations (`catalogue.extra`, the text of a
    /// table) and further version segments under which known operations exist (`catalogue.versions`).
    pub fn with(extra: Option<&str>, versions: &[String]) -> Result<Self, CatalogueError> {
        if let Some(bad) = versions.iter().find(|version| !rows::is_version(version)) {
            let message = format!("`{bad}` is no version; write v3, 2026-03 or 2026-09-beta");
            return Err(CatalogueError::new("catalogue.versions", 1, message));
        }
        let mut scopes = Scopes::parse(SCOPES)?;
        let types = ObjectTypes::parse(OBJECT_TYPES, &mut scopes)?;
        let mut rows = row_text::parse("operations.tsv", OPERATIONS, &scopes, &types)?;
        rows.extend(row_text::parse(
            "legacy_operations.tsv",
            LEGACY_OPERATIONS,
            &scopes,
            &types,
        )?);
        if let Some(text) = extra {
            let more = row_text::parse("catalogue.extra", text, &scopes, &types)?;
            extra::apply(&mut rows, more, &types)?;
        }
        rows.iter_mut().for_each(Row::settle);
        rows.shrink_to_fit();
        let operations = Operations::build(&rows)?;
        let row_operations = operations.by_row(rows.len());
        Ok(Self {
            tree: Tree::build(&rows, versions).straighten(&types),
            rows,
            row_operations,
            associations: AssociationTypes::parse(ASSOCIATION_TYPES, &types)?,
            parts: Parts::find(&operations),
            operations,
            scopes,
            types,
            digest: digest(extra, versions),
        })
    }

    /// Whether [`Catalogue::with`] of these would be this catalogue again.
    pub fn is_with(&self, extra: Option<&str>, versions: &[String]) -> bool {
        self.digest == digest(extra, versions)
    }

    /// SHA-256 over the tables, the operator's operations and versions; 64 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The operation of an index this catalogue handed out. An index of another catalogue may stand
    /// for another operation, or for none.
    pub fn operation(&self, index: OperationIndex) -> Option<&Operation> {
        self.operations.get(index)
    }

    /// The operation of an id, present or former.
    pub fn operation_by_id(&self, id: &str) -> Option<OperationIndex> {
        self.operations.find(id)
    }

    /// Every operation, in the order of their ids.
    pub fn operations(&self) -> impl Iterator<Item = (OperationIndex, &Operation)> {
        (0u16..).map(OperationIndex).zip(&self.operations.all)
    }

    /// The row of an index this catalogue handed out.
    pub fn row(&self, index: RowIndex) -> Option<&Row> {
        self.rows.get(index.0 as usize)
    }

    /// The operation a row belongs to.
    pub fn operation_of(&self, index: RowIndex) -> Option<OperationIndex> {
        self.row_operations.get(index.0 as usize).copied()
    }

    /// The scope of a name.
    pub fn scope_by_name(&self, name: &str) -> Option<ScopeIndex> {
        self.scopes.find(name)
    }

    /// The scope of an index this catalogue handed out.
    pub fn scope(&self, index: ScopeIndex) -> Option<&Scope> {
        self.scopes.get(index)
    }

    /// Every scope, in the order of the table.
    pub fn scopes(&self) -> impl Iterator<Item = (ScopeIndex, &Scope)> {
        (0u16..).map(ScopeIndex).zip(&self.scopes.all)
    }

    /// Whether HubSpot opens `object` under `scope`.
    pub fn serves(&self, scope: ScopeIndex, object: &ObjectType) -> bool {
        self.scope(scope).is_some_and(|scope| match object {
            ObjectType::Custom(_) => scope.serves_custom,
            known => scope.serves.contains(known),
        })
    }

    /// The object type of any spelling, letters in any case; `None` if it is unknown.
    pub fn object_type(&self, spelling: &str) -> Option<ObjectType> {
        self.types.resolve(spelling)
    }

    /// The one name of an object type: the plural of a known one, a custom one's own spelling.
    pub fn object_name<'a>(&'a self, object: &'a ObjectType) -> &'a str {
        match object {
            ObjectType::Custom(spelling) => spelling,
            known => self.types.row(known).map_or("", |row| &row.name),
        }
    }

    /// The same, to be kept: what is known is not copied.
    pub fn kept_object_name(&self, object: &ObjectType) -> Arc<str> {
        match object {
            ObjectType::Custom(spelling) => Arc::clone(spelling),
            known => self
                .types
                .row(known)
                .map_or_else(Arc::default, |row| Arc::clone(&row.name)),
        }
    }

    /// Every spelling of an object type, in lower case: what an answer may call it.
    pub fn object_spellings(&self, object: &ObjectType) -> Vec<String> {
        match object {
            ObjectType::Custom(spelling) => vec![spelling.to_string()],
            known => self.types.spellings_of(known),
        }
    }

    /// Whether requests through this row name many records at once, so that `limits.batch` counts them:
    /// in the body, or in the query.
    pub fn counts_records(&self, recognised: &Recognised) -> bool {
        self.row(recognised.row).is_some_and(|row| row.marks.names_many)
    }

    /// The types that a row's requests concern whatever they say.
    pub fn concerned_by(&self, row: &Row) -> impl Iterator<Item = ObjectType> {
        row.concerned().iter().filter_map(|name| self.object_type(name))
    }

    /// The types that a link by this HubSpot-defined id joins, where an inline association says
    /// `associationTypeId`: from, to. `None`: the id is not published, or not for sure.
    pub fn association_type(&self, id: u32) -> Option<(&ObjectType, &ObjectType)> {
        self.associations.inline(id)
    }

    /// What a `definitionId` of `crm-associations/v1` joins.
    pub fn association_definition(&self, id: u32) -> Option<&AssociationType> {
        self.associations.definition(id)
    }

    /// Every type a request may mean that does not say which: the known ones, and one that stands for
    /// the custom objects no rule names. Only a rule for all types covers them all.
    pub fn any_type(&self) -> impl Iterator<Item = ObjectType> {
        self.types
            .all()
            .map(|(object, _)| object)
            .chain([ObjectType::Custom("custom".into())])
    }

    /// HubSpot's id of a known type (`0-1`), if it is documented.
    pub fn object_id(&self, object: &ObjectType) -> Option<&str> {
        match object {
            ObjectType::Custom(_) => None,
            known => self.types.row(known).and_then(|row| row.id.as_deref()),
        }
    }

    /// Every object type but the custom ones, whose names only the portal knows.
    pub fn object_types(&self) -> impl Iterator<Item = (ObjectType, &str)> {
        self.types.all().map(|(object, row)| (object, &*row.name))
    }

    /// What a request for `operation` touches, one entry per different requirement among its rows
    /// (HubSpot's versions differ in scopes). `object`: the type, or one end of a pair; `None` for
    /// an operation that takes none. Empty if the operation does not exist for that type, or takes
    /// a type and none is given.
    pub fn touches(&self, operation: OperationIndex, object: Option<&ObjectType>) -> Vec<Touch> {
        let mut touches: Vec<Touch> = Vec::new();
        let Some(operation) = self.operation(operation) else {
            return touches;
        };
        for row in operation.rows.iter().filter_map(|index| self.row(*index)) {
            if !row.may_touch(object) {
                continue;
            }
            let touch = self.touch(row, object);
            if !touches.contains(&touch) {
                touches.push(touch);
            }
        }
        touches
    }

    /// What a request through `row` touches, given the types its path names.
    pub(crate) fn row_touches(&self, row: &Row, types: &[ObjectType]) -> SmallVec<[Touch; 2]> {
        match types {
            [] => SmallVec::from_iter([self.touch(row, None)]),
            types => types.iter().map(|object| self.touch(row, Some(object))).collect(),
        }
    }

    /// For each type that a request through a row names, in its path or body, which ones it may be;
    /// `None` = any. Empty if it names none.
    pub(crate) fn row_types(&self, row: &Row) -> SmallVec<[Option<Vec<ObjectType>>; 2]> {
        if let rows::Resolve::Read(reading) = &row.resolve {
            let ends = match row.takes() {
                Takes::Nothing => 0,
                Takes::One => 1,
                Takes::Pair => 2,
            };
            return std::iter::repeat_n(reading.only.clone(), ends).collect();
        }
        let sources = row.sources().iter();
        sources
            .map(|source| match source {
                rows::TypeSource::Literal(object) => Some(vec![object.clone()]),
                rows::TypeSource::Parameter(_) => None,
            })
            .collect()
    }

    /// The scopes that open reading or writing records of a type.
    pub(crate) fn records(&self, object: &ObjectType, effect: Effect) -> Requirement {
        let access = match effect {
            Effect::Read => Access::Read,
            _ => Access::Write,
        };
        self.types.requirement(object, access)
    }

    /// The scopes that open changing what a record of a type is.
    pub(crate) fn definition_write(&self, object: &ObjectType) -> Requirement {
        self.types.requirement(object, Access::DefinitionWrite)
    }

    /// Operations that parts of a request are judged as.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    fn touch(&self, row: &Row, object: Option<&ObjectType>) -> Touch {
        let requirement = match (object, &row.resolve) {
            (None, rows::Resolve::Fixed(requirement)) => requirement.clone(),
            (None, rows::Resolve::Read(reading)) => reading.own.clone().unwrap_or(Requirement::NONE),
            (None, _) => Requirement::NONE,
            (Some(object), _) => row.requirement(&self.types, object),
        };
        Touch {
            object: object.cloned(),
            surface: row.surface(),
            requirement,
        }
    }

    /// Every combination of an operation and what it may touch: for operations that take a type, each
    /// known type and the custom objects as a whole (`custom` stands for them); for pairs, each type
    /// as one end. One entry per different requirement. Used by `policy show` and `policy check`.
    pub fn openings<'a>(&'a self, custom: &'a ObjectType) -> impl Iterator<Item = Opening> + 'a {
        self.operations().flat_map(move |(index, operation)| {
            let objects: Vec<Option<ObjectType>> = match (operation.takes, &operation.only) {
                (Takes::Nothing, _) => vec![None],
                (_, Some(only)) => only.iter().cloned().map(Some).collect(),
                (_, None) => self
                    .object_types()
                    .map(|(object, _)| object)
                    .chain([custom.clone()])
                    .map(Some)
                    .collect(),
            };
            objects.into_iter().flat_map(move |object| {
                self.touches(index, object.as_ref())
                    .into_iter()
                    .flat_map(move |touch| {
                        self.effects(operation).into_iter().map(move |effect| Opening {
                            operation: index,
                            effect,
                            risks: operation.risks,
                            takes: operation.takes,
                            touch: touch.clone(),
                        })
                    })
            })
        })
    }

    /// The effect of an operation, and those that its requests can raise it to.
    fn effects(&self, operation: &Operation) -> SmallVec<[Effect; 3]> {
        let mut effects: SmallVec<[Effect; 3]> = smallvec![operation.effect];
        let rows = operation.rows.iter().filter_map(|row| self.row(*row));
        for raised in rows.flat_map(Row::effects) {
            if !effects.contains(&raised) {
                effects.push(raised);
            }
        }
        effects
    }

    /// Scopes that HubSpot lists as enough for an operation without a type, besides those it requires
    /// here: a credential that has one is refused for another reason than its scopes. They open nothing.
    pub fn accepted(&self, operation: OperationIndex) -> impl Iterator<Item = ScopeIndex> {
        let operation = self.operation(operation).into_iter();
        let rows = operation.flat_map(|operation| &operation.rows);
        rows.filter_map(|index| self.row(*index))
            .flat_map(|row| row.accepted.iter().copied())
    }

    /// The names of scopes, in the order given.
    pub fn scope_names(&self, scopes: &[ScopeIndex]) -> SmallVec<[&str; 4]> {
        scopes
            .iter()
            .filter_map(|scope| self.scope(*scope))
            .map(|scope| &*scope.name)
            .collect()
    }
}

fn digest(extra: Option<&str>, versions: &[String]) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let versions = versions.join("\n");
    for part in [
        OPERATIONS,
        LEGACY_OPERATIONS,
        OBJECT_TYPES,
        ASSOCIATION_TYPES,
        SCOPES,
        PROPERTIES[0],
        PROPERTIES[1],
        extra.unwrap_or(""),
        &versions,
    ] {
        // The length goes first, so that no two lists of parts have the same bytes.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One operation with one thing it may touch; see [`Catalogue::openings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The operation.
    pub operation: OperationIndex,
    /// Its effect.
    pub effect: Effect,
    /// Its risks.
    pub risks: Risks,
    /// Whether `touch` is one end of a pair.
    pub takes: Takes,
    /// The type or fixed surface, and the scopes that open it.
    pub touch: Touch,
}
