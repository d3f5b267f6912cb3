//! What readers ask of a body's shape: whatever has another one is refused, at its place.

use crate::access::catalogue::{Catalogue, UNKNOWN_OBJECT};
use crate::access::json::{Json, Text};
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::{Place, Reason, Refusal};

/// The members of an object.
pub(super) type Members = [(Text, Json)];

/// The value as an object.
pub(super) fn object<'j>(value: &'j Json, at: &At<'_>) -> Result<&'j Members, Refusal> {
    match value {
        Json::Object(members) => Ok(members),
        _ => Err(at.refuse(WRONG_SHAPE)),
    }
}

/// The value as an array; `null` and nothing are an empty one.
pub(super) fn list<'j>(value: Option<&'j Json>, at: &At<'_>) -> Result<&'j [Json], Refusal> {
    match value {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(items)) => Ok(items),
        Some(_) => Err(at.refuse(WRONG_SHAPE)),
    }
}

/// The value as a string.
pub(super) fn text<'j>(value: &'j Json, at: &At<'_>) -> Result<&'j str, Refusal> {
    match value {
        Json::String(text) => Ok(text),
        _ => Err(at.refuse(WRONG_SHAPE)),
    }
}

/// A member, unless it is missing or `null`.
pub(super) fn member<'j>(members: &'j Members, name: &str) -> Option<&'j Json> {
    members
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
        .filter(|value| **value != Json::Null)
}

/// A member that must be there.
pub(super) fn needed<'j>(members: &'j Members, name: &str, at: &At<'_>) -> Result<&'j Json, Refusal> {
    member(members, name).ok_or_else(|| at.key(name).refuse(MISSING))
}

/// A whole number, written as one or as a string of digits.
pub(super) fn number(value: &Json, at: &At<'_>) -> Result<u32, Refusal> {
    let digits = match value {
        Json::Number(digits) => digits,
        Json::String(digits) => digits.as_str(),
        _ => return Err(at.refuse(WRONG_SHAPE)),
    };
    match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse().map_err(|_| at.refuse(WRONG_SHAPE)),
        false => Err(at.refuse(WRONG_SHAPE)),
    }
}

/// The object type that a string names.
pub(super) fn object_type(catalogue: &Catalogue, value: &Json, at: &At<'_>) -> Result<ObjectType, Refusal> {
    named_type(catalogue, text(value, at)?, at)
}

/// The object type of this spelling.
pub(super) fn named_type(catalogue: &Catalogue, name: &str, at: &At<'_>) -> Result<ObjectType, Refusal> {
    catalogue
        .object_type(name)
        .ok_or_else(|| at.refuse(UNKNOWN_OBJECT))
}

/// Refuses a key that upstream might take for one of `names`: in another case, or with spaces, signs or
/// control characters in it.
pub(super) fn spelt(members: &Members, names: &[&str], at: &At<'_>) -> Result<(), Refusal> {
    for (key, _) in members {
        if !names.contains(&key.as_str()) && names.iter().any(|name| folds_alike(key, name)) {
            return Err(at.key(key).refuse(MISSPELT_KEY));
        }
    }
    Ok(())
}

/// Whether only case, signs and spaces tell a key from a name that HubSpot documents.
pub(super) fn folds_alike(key: &str, name: &str) -> bool {
    fold(key).eq(fold(name))
}

/// Letters and digits alone. Both cases are passed through, as some have no single lower one (`ſ`, `K`).
pub(super) fn fold(key: &str) -> impl Iterator<Item = char> + '_ {
    key.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// Refuses members that a reader does not know and whose names speak of types or links: upstream might
/// find there what the gate did not look at.
pub(super) fn no_more_types(members: &Members, known: &[&str], at: &At<'_>) -> Result<(), Refusal> {
    const SPEAKING: [&str; 4] = ["object", "associat", "template", "schema"];
    for (key, value) in members {
        let folded: String = fold(key).collect();
        let is_speaking = SPEAKING.iter().any(|word| folded.contains(word));
        if is_speaking && !known.contains(&key.as_str()) && !value.is_empty() {
            return Err(at.key(key).refuse(UNKNOWN_MEMBER));
        }
    }
    Ok(())
}

pub(super) const WRONG_SHAPE: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body has not the shape that HubSpot documents for this operation",
    "send what HubSpot documents; lists are arrays, records are objects",
);
pub(super) const MISSING: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the body lacks a member that decides what the request touches",
    "send every member that HubSpot documents as required",
);
pub(super) const MISSPELT_KEY: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the body has a key that is nearly one that decides",
    "write keys exactly as HubSpot documents them, in the same case and without spaces",
);
const UNKNOWN_MEMBER: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the body has a member that may name object types and that the gate does not know",
    "leave it out, or use an operation for one object type",
);
pub(super) const NO_TYPE: Refusal = Refusal {
    reason: Reason::RefusedBody,
    cause: "the body names no object type, and its types decide",
    remedy: "name the object types as HubSpot documents them for this operation",
    place: Some(Place::BODY),
};
pub(super) const TOO_MANY_TYPES: Refusal = Refusal {
    reason: Reason::RefusedBody,
    cause: "the request names more object types and links between them than the gate judges at once",
    remedy: "split it into smaller requests",
    place: Some(Place::BODY),
};
