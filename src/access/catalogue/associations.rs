//! Association types that HubSpot defines: which types a link by one of these ids joins.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::CatalogueError;
use super::reader::ENGAGEMENTS;
use super::table::Table;
use super::types::ObjectTypes;
use crate::access::object_type::ObjectType;

/// One end of an association type: one type, or the five that version 1 calls an engagement.
pub type AssociationEnd = SmallVec<[ObjectType; 1]>;

/// The types on both ends, in the direction of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationType {
    /// Where it leads from.
    pub from: AssociationEnd,
    /// Where it leads to.
    pub to: AssociationEnd,
    in_v1: bool,
    in_v4: bool,
}

/// The table of association types, by id.
#[derive(Debug, Default)]
pub(super) struct AssociationTypes {
    by_id: HashMap<u32, AssociationType>,
}

impl AssociationTypes {
    pub(super) fn parse(text: &str, types: &ObjectTypes) -> Result<Self, CatalogueError> {
        let table = Table::parse("association_types.tsv", text)?;
        let mut by_id = HashMap::new();
        for record in table.records() {
            let end = |column: &'static str| -> Result<AssociationEnd, CatalogueError> {
                let name = record.need(column)?;
                let names: &[&str] = match name {
                    "engagement" => &ENGAGEMENTS,
                    _ => &[name],
                };
                names
                    .iter()
                    .map(|name| types.resolve(name))
                    .collect::<Option<AssociationEnd>>()
                    .ok_or_else(|| record.error(format!("unknown object type `{name}`")))
            };
            let id: u32 = record
                .need("id")?
                .parse()
                .map_err(|_| record.error("`id` is a number"))?;
            let (in_v1, in_v4) = match record.need("api")? {
                "v1" => (true, false),
                "v4" => (false, true),
                "both" => (true, true),
                _ => return Err(record.error("`api` is one of v1, v4, both")),
            };
            let found = AssociationType {
                from: end("from")?,
                to: end("to")?,
                in_v1,
                in_v4,
            };
            if in_v4 && (found.from.len() > 1 || found.to.len() > 1) {
                return Err(record.error("an `engagement` is known to v1 alone"));
            }
            if by_id.insert(id, found).is_some() {
                return Err(record.error(format!("the id {id} stands twice")));
            }
        }
        Ok(Self { by_id })
    }

    /// What `associationTypeId` means in an inline association.
    pub(super) fn inline(&self, id: u32) -> Option<(&ObjectType, &ObjectType)> {
        let found = self.by_id.get(&id).filter(|found| found.in_v4)?;
        Some((found.from.first()?, found.to.first()?))
    }

    /// What `definitionId` means in `crm-associations/v1`.
    pub(super) fn definition(&self, id: u32) -> Option<&AssociationType> {
        self.by_id.get(&id).filter(|found| found.in_v1)
    }
}
