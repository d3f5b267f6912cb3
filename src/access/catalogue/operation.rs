//! Operations: identities without version, layout, alias or encoding, each over several rows.

use std::collections::HashMap;
use std::sync::Arc;

use super::CatalogueError;
use super::rows::{Resolve, Row, RowIndex, TypeSource};
use crate::access::effect::Effect;
use crate::access::facts::{OperationIndex, Risks, Surface};
use crate::access::object_type::ObjectType;

/// How many object types a request for an operation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Takes {
    /// None: a rule that names it has no `objects`.
    Nothing,
    /// One: a rule that names it lists the types it means.
    One,
    /// Two ends: a rule that names it lists both.
    Pair,
}

/// What HubSpot is asked to do, whatever the spelling of the URL.
#[derive(Debug)]
pub struct Operation {
    /// The contract's id.
    pub id: Arc<str>,
    /// Ids it had before; policies may still say them.
    pub former_ids: Vec<Arc<str>>,
    /// The effect of all its rows.
    pub effect: Effect,
    /// The risks of any of its rows.
    pub risks: Risks,
    /// How many types it takes.
    pub takes: Takes,
    /// Records, definitions, or no type.
    pub surface: Surface,
    /// The only types it exists for; `None`: for every type.
    pub only: Option<Vec<ObjectType>>,
    /// No scope opens it, although HubSpot lists some: it answers for several types at once, or carries
    /// out of HubSpot what no rule sees. A rule must name it.
    pub by_name_alone: bool,
    /// The object types of every row stand in bodies that nothing reads: each request is refused, even
    /// if a rule names the operation.
    pub unjudged: bool,
    /// It moves records whose number nobody can tell before: an export, an import, a GraphQL query.
    pub in_bulk: bool,
    /// Its rows.
    pub rows: Vec<RowIndex>,
}

/// All operations, in the order of their ids.
#[derive(Debug, Default)]
pub(super) struct Operations {
    pub(super) all: Vec<Operation>,
    by_id: HashMap<Arc<str>, OperationIndex>,
}

impl Operations {
    /// Groups `rows` by id. One identity never mixes effects, surfaces or the number of types.
    pub(super) fn build(rows: &[Row]) -> Result<Self, CatalogueError> {
        let mut grouped: std::collections::BTreeMap<&str, Vec<RowIndex>> = Default::default();
        for (index, row) in (0u32..).zip(rows) {
            grouped.entry(&row.id).or_default().push(RowIndex(index));
        }
        let mut operations = Self::default();
        for (id, indices) in grouped {
            let of = || indices.iter().filter_map(|index| rows.get(index.0 as usize));
            let index = u16::try_from(operations.all.len())
                .map(OperationIndex)
                .map_err(|_| CatalogueError::new("operations", 1, "more than 65,535 operations"))?;
            let operation = operation(id, indices.clone(), of().collect())?;
            for name in std::iter::once(&operation.id).chain(&operation.former_ids) {
                if operations
                    .by_id
                    .insert(name.clone(), index)
                    .is_some_and(|other| other != index)
                {
                    let message = format!("the id `{name}` stands for two operations");
                    return Err(CatalogueError::new("operations", 1, message));
                }
            }
            operations.all.push(operation);
        }
        Ok(operations)
    }

    pub(super) fn find(&self, id: &str) -> Option<OperationIndex> {
        self.by_id.get(id).copied()
    }

    /// The operation of each of `rows` rows, by position.
    pub(super) fn by_row(&self, rows: usize) -> Vec<OperationIndex> {
        let mut of = vec![OperationIndex(u16::MAX); rows];
        for (index, operation) in (0u16..).map(OperationIndex).zip(&self.all) {
            for row in &operation.rows {
                if let Some(slot) = of.get_mut(row.0 as usize) {
                    *slot = index;
                }
            }
        }
        of
    }

    pub(super) fn get(&self, index: OperationIndex) -> Option<&Operation> {
        self.all.get(usize::from(index.0))
    }
}

fn operation(id: &str, indices: Vec<RowIndex>, rows: Vec<&Row>) -> Result<Operation, CatalogueError> {
    let mixed = |what: &str| {
        let message = format!("the operation `{id}` has rows of different {what}");
        Err(CatalogueError::new("operations", 1, message))
    };
    // A row that nothing reads is refused whatever it touches, so it says nothing of the others.
    let judged: Vec<&Row> = match rows.iter().all(|row| row.is_unjudged()) {
        true => rows.clone(),
        false => rows.iter().filter(|row| !row.is_unjudged()).copied().collect(),
    };
    let (Some(first), Some(any)) = (judged.first(), rows.first()) else {
        return mixed("kinds");
    };
    let (effect, surface, takes) = (any.effect, first.surface(), first.takes());
    if rows.iter().any(|row| row.effect != effect) {
        return mixed("effect");
    }
    if judged.iter().any(|row| row.surface() != surface) {
        return mixed("surface");
    }
    if judged.iter().any(|row| row.takes() != takes) {
        return mixed("number of object types");
    }
    let mut former_ids: Vec<Arc<str>> = rows.iter().flat_map(|row| row.former_ids.clone()).collect();
    former_ids.sort();
    former_ids.dedup();
    Ok(Operation {
        id: id.into(),
        former_ids,
        effect,
        risks: rows
            .iter()
            .map(|row| row.risks)
            .fold(Risks::default(), Risks::union),
        takes,
        surface,
        only: match takes {
            Takes::Nothing => None,
            _ => only(&judged),
        },
        by_name_alone: rows
            .iter()
            .any(|row| row.reader().is_some_and(|reader| !reader.opens_by_scope())),
        unjudged: rows.iter().all(|row| row.is_unjudged()),
        in_bulk: rows.iter().any(|row| row.is_in_bulk()),
        rows: indices,
    })
}

/// The only types that rows exist for; `None`: every type.
fn only(rows: &[&Row]) -> Option<Vec<ObjectType>> {
    let mut list: Vec<ObjectType> = Vec::new();
    for row in rows {
        let named: Vec<&ObjectType> = match &row.resolve {
            Resolve::Read(reading) => reading.only.as_ref()?.iter().collect(),
            _ => row
                .sources()
                .iter()
                .map(|source| match source {
                    TypeSource::Literal(object) => Some(object),
                    TypeSource::Parameter(_) => None,
                })
                .collect::<Option<_>>()?,
        };
        for object in named {
            if !list.contains(object) {
                list.push(object.clone());
            }
        }
    }
    Some(list)
}
