//! GraphQL documents, resolved to the object types and properties they ask for.
//!
//! Only queries of CRM records are understood, as HubSpot documents them: `CRM`, below it one record
//! (`contact`) or a collection of them (`contact_collection`), below a record its properties and
//! `associations`. Whatever else stands in a document is refused: what it would answer with is unknown.
//! Aliases change names in the answer alone, and fragments are looked at where they are used.

mod document;
mod names;
mod resolve;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::catalogue::Catalogue;
use super::json::{Json, Text};
use super::object_type::ObjectType;
use super::pointer::At;
use super::refusal::{Reason, Refusal};
use document::Document;

/// Longest document, in bytes.
pub const DOCUMENT_BYTES: usize = 64 * 1024;
/// Most tokens of a document, spaces and comments counted.
pub const TOKENS: usize = 20_000;
/// Deepest nesting of selections, and of values: some fifteen associations one below the other.
pub const DEPTH: usize = 64;
/// Most fields that are looked at, those of fragments each time they are used.
pub const FIELDS: usize = 10_000;
/// Most object types and pairs of them.
pub const TYPES: usize = 100;

/// What a document asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Each type whose records are asked for, once, in the order of the document.
    pub types: Vec<Asked>,
    /// Links that are followed, from one type to another, each once.
    pub associations: Vec<(ObjectType, ObjectType)>,
}

/// What is asked for of records of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The type.
    pub object: ObjectType,
    /// Names of the properties whose values would be shown. A name that HubSpot may have made of
    /// another one (`dealstage__label`, `_1st`) stands for both.
    pub selected: BTreeSet<String>,
    /// Names of the properties that are filtered by, sorted by, or looked up.
    pub filtered: BTreeSet<String>,
}

/// Resolves the body of a GraphQL request: `query`, `operationName` and `variables`, and nothing else.
///
/// Every operation of the document is resolved, whichever `operationName` picks.
pub fn resolve(catalogue: &Catalogue, body: &Json) -> Result<Resolved, Refusal> {
    let Json::Object(members) = body else {
        return Err(At::BODY.refuse(NOT_A_REQUEST));
    };
    let mut query = None;
    let mut variables: &[(Text, Json)] = &[];
    for (key, value) in members {
        let at = At::BODY.key(key);
        match (key.as_str(), value) {
            ("query", Json::String(text)) => query = Some(text.as_str()),
            ("variables", Json::Object(given)) => variables = given,
            ("operationName", Json::String(_) | Json::Null) | ("variables", Json::Null) => {}
            _ => return Err(at.refuse(NOT_A_REQUEST)),
        }
    }
    let at = At::BODY.key("query");
    let text = query.ok_or_else(|| at.refuse(NOT_A_REQUEST))?;
    let document = Document::parse(text).map_err(|refusal| at.refuse(refusal))?;
    resolve::document(catalogue, &document, variables).map_err(|refusal| match refusal.place {
        Some(_) => refusal,
        None => at.refuse(refusal),
    })
}

const NOT_A_REQUEST: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body is no GraphQL request that the gate reads",
    "send a JSON object with `query`, and if need be `operationName` and `variables`; nothing else, and no list",
);
