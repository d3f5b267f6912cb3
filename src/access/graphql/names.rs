//! Names of fields and of filters, as HubSpot makes them of object types and properties (HubSpot's
//! documentation of querying its data by GraphQL).

use std::collections::BTreeSet;

use crate::access::catalogue::Catalogue;
use crate::access::object_type::ObjectType;

const COLLECTION: &str = "_collection";

/// What filters end in: `email__contains`.
const OPERATORS: [&str; 16] = [
    "eq",
    "neq",
    "not_eq",
    "lt",
    "lte",
    "gt",
    "gte",
    "in",
    "not_in",
    "contains",
    "not_contains",
    "null",
    "not_null",
    "between",
    "starts_with",
    "ends_with",
];

/// A field below `CRM`: one record of a type, or a collection.
pub(super) enum Root {
    One(ObjectType),
    Collection(ObjectType),
}

/// `contact` or `contact_collection`; custom objects as `p_name`.
pub(super) fn root(catalogue: &Catalogue, field: &str) -> Option<Root> {
    match field.strip_suffix(COLLECTION) {
        Some(word) => object(catalogue, word).map(Root::Collection),
        None => object(catalogue, field).map(Root::One),
    }
}

/// `company_collection__primary`: the type, and which of the links to it.
pub(super) fn association(catalogue: &Catalogue, field: &str) -> Option<ObjectType> {
    let (word, label) = field.split_once("_collection__")?;
    match label.is_empty() || label.contains(COLLECTION) {
        true => None,
        false => object(catalogue, word),
    }
}

/// A type whose own name holds `_collection` could be read in two ways.
fn object(catalogue: &Catalogue, word: &str) -> Option<ObjectType> {
    match word.contains(COLLECTION) {
        true => None,
        false => catalogue.object_type(word),
    }
}

/// The property of `email__contains`.
pub(super) fn filtered(key: &str) -> Option<&str> {
    without_suffix(key, &OPERATORS)
}

/// The property of `createdate__desc`.
pub(super) fn sorted(key: &str) -> Option<&str> {
    without_suffix(key, &["asc", "desc"])
}

fn without_suffix<'k>(key: &'k str, suffixes: &[&str]) -> Option<&'k str> {
    let (name, suffix) = key.rsplit_once("__")?;
    (suffixes.contains(&suffix) && is_plain(name)).then_some(name)
}

/// Whether a word can be a property's name.
pub(super) fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_plain)
}

/// Adds a property's name, and those that HubSpot may have made it of: what stands before each `__`
/// (`dealstage__label`), and what stands behind a `_` in front of a name that begins with a digit.
pub(super) fn add(names: &mut BTreeSet<String>, name: &str) {
    names.insert(name.to_owned());
    let ends = (1..name.len()).filter(|at| name.get(*at..).is_some_and(|rest| rest.starts_with("__")));
    names.extend(ends.filter_map(|at| name.get(..at)).map(str::to_owned));
    let bare = name.trim_start_matches('_');
    if bare.len() < name.len() && !bare.is_empty() {
        names.insert(bare.to_owned());
    }
}
