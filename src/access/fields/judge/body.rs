//! Bodies, member by member: what is known is judged, what is not is refused.

use super::Stopped;
use super::words::{OTHER_FORM, UNKNOWN_MEMBER, refused};
use crate::access::json::{Json, Text};
use crate::access::pointer::At;

/// The members of an object, all of which must be known by these exact names: an unknown one may be
/// a carrier, and a name in another case may be read as one.
pub(super) fn members<'j>(
    value: &'j Json,
    at: &At<'_>,
    known: &[&str],
) -> Result<&'j [(Text, Json)], Stopped> {
    let members = object(value, at)?;
    match members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(members),
        Some((name, _)) => Err(refused(UNKNOWN_MEMBER, at.key(name).place())),
    }
}

/// The members of an object, whatever they are called.
pub(super) fn object<'j>(value: &'j Json, at: &At<'_>) -> Result<&'j [(Text, Json)], Stopped> {
    match value {
        Json::Object(members) => Ok(members),
        _ => Err(refused(OTHER_FORM, at.place())),
    }
}

/// The items of an array; none of `null`.
pub(super) fn items<'j>(value: &'j Json, at: &At<'_>) -> Result<&'j [Json], Stopped> {
    match value {
        Json::Array(items) => Ok(items),
        Json::Null => Ok(&[]),
        _ => Err(refused(OTHER_FORM, at.place())),
    }
}

/// The items of an array member, with the place of each; none if the member does not stand.
pub(super) fn each<'j>(
    parent: &'j Json,
    name: &str,
    at: &At<'_>,
    mut judge: impl FnMut(&'j Json, &At<'_>) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let Some(value) = parent.get(name) else {
        return Ok(());
    };
    let array = at.key(name);
    for (index, item) in items(value, &array)?.iter().enumerate() {
        judge(item, &array.index(index))?;
    }
    Ok(())
}

/// A string, or nothing if the member does not stand or is `null`.
pub(super) fn text<'j>(parent: &'j Json, name: &str, at: &At<'_>) -> Result<Option<&'j str>, Stopped> {
    match parent.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(refused(OTHER_FORM, at.key(name).place())),
    }
}

/// Members that stand for one thing each: an object or a list in the place of one could carry what nobody judged.
pub(super) fn scalars(parent: &Json, names: &[&str], at: &At<'_>) -> Result<(), Stopped> {
    let is_scalar = |name: &&&str| !matches!(parent.get(name), Some(Json::Array(_) | Json::Object(_)));
    match names.iter().find(|name| !is_scalar(name)) {
        None => Ok(()),
        Some(name) => Err(refused(OTHER_FORM, at.key(name).place())),
    }
}

/// A list of names, or nothing if the member does not stand or is `null`.
pub(super) fn name_list<'j>(
    parent: &'j Json,
    name: &str,
    at: &At<'_>,
) -> Result<Option<Vec<&'j str>>, Stopped> {
    let value = match parent.get(name) {
        None | Some(Json::Null) => return Ok(None),
        Some(value) => value,
    };
    let array = at.key(name);
    let names = items(value, &array)?
        .iter()
        .enumerate()
        .map(|(index, item)| match item {
            Json::String(name) => Ok(name.as_str()),
            _ => Err(refused(OTHER_FORM, array.index(index).place())),
        });
    names.collect::<Result<_, _>>().map(Some)
}

/// The same object with some members set, in their places or at the end, or left out.
pub(super) fn with(object: &Json, changes: Vec<(&str, Option<Json>)>) -> Json {
    let mut out: Vec<(Text, Json)> = match object {
        Json::Object(members) => members.clone(),
        _ => Vec::new(),
    };
    for (name, value) in changes {
        match (out.iter().position(|(known, _)| known == name), value) {
            (Some(at), Some(value)) => {
                if let Some(slot) = out.get_mut(at) {
                    slot.1 = value;
                }
            }
            (Some(at), None) => {
                out.remove(at);
            }
            (None, Some(value)) => out.push((name.into(), value)),
            (None, None) => {}
        }
    }
    Json::Object(out)
}

/// An array of strings.
pub(super) fn strings(names: &[&str]) -> Json {
    Json::Array(names.iter().map(|name| Json::String((*name).into())).collect())
}
