//! Object types: every spelling to one value, and the scopes that open each in each direction.

use std::sync::Arc;

use smallvec::SmallVec;

use super::CatalogueError;
use super::scopes::{Direction, Scopes, Terms, freeze};
use super::table::{Record, Table};
use super::words::Words;
use crate::access::facts::{Requirement, ScopeIndex};
use crate::access::object_type::ObjectType;

/// Longest spelling of a type, in bytes: a fully qualified custom name is `p` + portal id + `_` +
/// at most 50 characters.
pub const TYPE_NAME_BYTES: usize = 128;

/// Which set of scopes a touch of a type asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Read,
    Write,
    DefinitionRead,
    DefinitionWrite,
    PipelineRead,
    PipelineWrite,
}

/// One row of `object_types.tsv`.
#[derive(Debug)]
pub(super) struct TypeRow {
    pub(super) name: Arc<str>,
    pub(super) id: Option<Box<str>>,
    /// First alternative of `read` and `write`, as operations.tsv writes a literal row's `least`.
    pub(super) least_read: Box<str>,
    pub(super) least_write: Box<str>,
    access: Accesses,
}

#[derive(Debug)]
struct Accesses {
    read: Requirement,
    write: Requirement,
    definition_read: Requirement,
    definition_write: Requirement,
    pipeline_read: Requirement,
    pipeline_write: Requirement,
}

/// The table of types.
#[derive(Debug)]
pub(super) struct ObjectTypes {
    rows: Vec<TypeRow>,
    /// Lower-case spellings, sorted.
    spellings: Vec<(Box<str>, u8)>,
    /// The same spellings, to be looked up.
    words: Words,
    /// The row that stands for every custom object.
    custom: u8,
}

impl ObjectTypes {
    pub(super) fn parse(text: &str, scopes: &mut Scopes) -> Result<Self, CatalogueError> {
        let table = Table::parse("object_types.tsv", text)?;
        let mut types = Self {
            rows: Vec::new(),
            spellings: Vec::new(),
            words: Words::default(),
            custom: u8::MAX,
        };
        for record in table.records() {
            types.add(&record, scopes)?;
        }
        if types.custom == u8::MAX {
            return Err(CatalogueError::new("object_types.tsv", 1, "no row `custom`"));
        }
        types.spellings.sort();
        types.spellings.dedup();
        for ((spelling, _), (next, _)) in types.spellings.iter().zip(types.spellings.iter().skip(1)) {
            if spelling == next {
                let message = format!("the spelling `{spelling}` stands for two types");
                return Err(CatalogueError::new("object_types.tsv", 1, message));
            }
        }
        types.words = Words::new(
            types
                .spellings
                .iter()
                .map(|(word, row)| (word.clone(), u32::from(*row))),
        );
        types.name_scopes(scopes);
        Ok(types)
    }

    fn add(&mut self, record: &Record<'_, '_>, scopes: &mut Scopes) -> Result<(), CatalogueError> {
        let name = record.need("name")?;
        let index = u8::try_from(self.rows.len()).map_err(|_| record.error("more than 255 types"))?;
        let is_custom = name == "custom";
        let (access, served) = read_access(record, scopes)?;
        for scope in served {
            scopes.serve(scope, (!is_custom).then_some(ObjectType::Known(index)));
        }
        let id = record.need("objectTypeId")?;
        let id = id.bytes().all(|b| b.is_ascii_digit() || b == b'-').then_some(id);
        if is_custom {
            // Its aliases are patterns, and the bare word addresses nothing.
            self.custom = index;
        } else {
            let aliases = record.need("aliases")?.split(';');
            for spelling in [name, record.need("singular")?]
                .into_iter()
                .chain(aliases)
                .chain(id)
            {
                self.spellings.push((spelling.to_ascii_lowercase().into(), index));
            }
        }
        self.rows.push(TypeRow {
            name: name.into(),
            id: id.map(Into::into),
            least_read: first_alternative(record.need("read")?),
            least_write: first_alternative(record.need("write")?),
            access,
        });
        Ok(())
    }

    /// `crm.objects.T.…`, `crm.schemas.T.…`, `crm.pipelines.T.…`, `tickets…` are named after T.
    fn name_scopes(&self, scopes: &mut Scopes) {
        for scope in &mut scopes.all {
            let name = &*scope.name;
            let rest = ["crm.objects.", "crm.schemas.", "crm.pipelines."]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix))
                .unwrap_or(name);
            let Some(word) = rest.split('.').next() else {
                continue;
            };
            if rest.len() == name.len() && word != "tickets" {
                continue;
            }
            scope.named_after = self.known(&word.replace('-', "_"));
        }
    }

    fn known(&self, spelling: &str) -> Option<ObjectType> {
        let row = self.words.find(spelling)?;
        u8::try_from(row).ok().map(ObjectType::Known)
    }

    /// One value for every spelling: plural, singular, alias, type id (letters in any case), or a
    /// custom object's id, name or fully qualified name. `None`: unknown, which is refused and
    /// never taken for a custom object.
    pub(super) fn resolve(&self, spelling: &str) -> Option<ObjectType> {
        // Nearly always it is written as in the table, and need not be copied to be found.
        self.known(spelling).or_else(|| self.resolve_unusual(spelling))
    }

    fn resolve_unusual(&self, spelling: &str) -> Option<ObjectType> {
        let mut buffer = [0u8; TYPE_NAME_BYTES];
        let buffer = buffer.get_mut(..spelling.len())?;
        buffer.copy_from_slice(spelling.as_bytes());
        buffer.make_ascii_lowercase();
        let lower = std::str::from_utf8(buffer).ok()?;
        self.known(lower)
            .or_else(|| is_custom_spelling(lower).then(|| ObjectType::Custom(Arc::from(lower))))
    }

    pub(super) fn spellings_of(&self, object: &ObjectType) -> Vec<String> {
        self.spellings
            .iter()
            .filter(|(_, row)| ObjectType::Known(*row) == *object)
            .map(|(spelling, _)| spelling.to_string())
            .collect()
    }

    pub(super) fn row(&self, object: &ObjectType) -> Option<&TypeRow> {
        let index = match object {
            ObjectType::Known(index) => *index,
            ObjectType::Custom(_) => self.custom,
        };
        self.rows.get(usize::from(index))
    }

    /// The scopes that open `object`; the empty requirement if none is known.
    pub(super) fn requirement(&self, object: &ObjectType, access: Access) -> Requirement {
        let Some(row) = self.row(object) else {
            return Requirement::NONE;
        };
        match access {
            Access::Read => &row.access.read,
            Access::Write => &row.access.write,
            Access::DefinitionRead => &row.access.definition_read,
            Access::DefinitionWrite => &row.access.definition_write,
            Access::PipelineRead => &row.access.pipeline_read,
            Access::PipelineWrite => &row.access.pipeline_write,
        }
        .clone()
    }

    /// Every type but the custom ones.
    pub(super) fn all(&self) -> impl Iterator<Item = (ObjectType, &TypeRow)> {
        self.rows
            .iter()
            .zip(0u8..)
            .filter(|(_, index)| *index != self.custom)
            .map(|(row, index)| (ObjectType::Known(index), row))
    }
}

/// What opens a type in each direction, and every scope that opens anything of it.
fn read_access(
    record: &Record<'_, '_>,
    scopes: &Scopes,
) -> Result<(Accesses, Vec<ScopeIndex>), CatalogueError> {
    let mut served: Vec<ScopeIndex> = Vec::new();
    let mut terms = |column: &'static str| -> Result<Terms, CatalogueError> {
        let terms = scopes
            .requirement(record.need(column)?)
            .map_err(|message| record.error(message))?;
        served.extend(terms.iter().flatten());
        Ok(terms)
    };
    let (read, write) = (terms("read")?, terms("write")?);
    let (schema_read, schema_write) = (terms("schema_read")?, terms("schema_write")?);
    let (pipeline_read, pipeline_write) = (terms("pipeline_read")?, terms("pipeline_write")?);
    for column in [
        "sensitive_read",
        "sensitive_write",
        "highly_sensitive_read",
        "highly_sensitive_write",
    ] {
        terms(column)?;
    }
    let definition_read = definition_read(scopes, &schema_read, &read);
    let definition_write = definition_write(scopes, &schema_write);
    let access = Accesses {
        read: freeze(&read),
        write: freeze(&write),
        pipeline_read: match pipeline_read.is_empty() {
            true => freeze(&definition_read),
            false => freeze(&[pipeline_read, read].concat()),
        },
        pipeline_write: match pipeline_write.is_empty() {
            true => freeze(&definition_write),
            false => freeze(&pipeline_write),
        },
        definition_read: freeze(&definition_read),
        definition_write: freeze(&definition_write),
    };
    Ok((access, served))
}

/// `2-123`, `p_car`, `p456_car` (HubSpot's public documentation of custom objects). A number has one spelling here, without
/// zeros in front: HubSpot might read `2-0123` as `2-123`, and a rule for one would not hold for the other.
pub(in crate::access) fn is_custom_spelling(lower: &str) -> bool {
    let is_number = |text: &str| match text.as_bytes() {
        [b'0', _, ..] => false,
        digits => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
    };
    if let Some(digits) = lower.strip_prefix("2-") {
        return is_number(digits);
    }
    let Some((portal, name)) = lower.strip_prefix('p').and_then(|rest| rest.split_once('_')) else {
        return false;
    };
    (portal.is_empty() || is_number(portal))
        && !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn first_alternative(text: &str) -> Box<str> {
    text.split('|').next().unwrap_or(text).into()
}

fn direction(scopes: &Scopes, scope: ScopeIndex) -> Option<Direction> {
    scopes.get(scope).map(|scope| scope.direction)
}

/// Definitions are read with the schema's scope or the object's; a write-named scope reads nothing.
fn definition_read(scopes: &Scopes, schema: &Terms, object: &Terms) -> Terms {
    schema
        .iter()
        .chain(object)
        .filter(|term| {
            term.iter()
                .all(|scope| direction(scopes, *scope) != Some(Direction::Write))
        })
        .cloned()
        .collect()
}

/// Definitions are written with `crm.schemas.*` alone: an object's scope or `e-commerce` changes
/// records, not what a record is.
fn definition_write(scopes: &Scopes, schema: &Terms) -> Terms {
    schema
        .iter()
        .filter(|term| {
            term.iter().all(|scope| {
                scopes
                    .get(*scope)
                    .is_some_and(|scope| scope.name.starts_with("crm.schemas."))
            })
        })
        .cloned()
        .collect()
}

/// Object types a row or a request names: none, one, or both ends of a pair.
pub type ObjectTypeList = SmallVec<[ObjectType; 2]>;
