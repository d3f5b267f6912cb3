//! Bodies of the APIs before v3: contacts v1, companies v2, deals v1, crm-objects v1.

use super::body::{each, items, members, name_list, object, strings, with};
use super::form::Legacy;
use super::names::{ID, granted, must_read};
use super::query::must_take;
use super::whose::Whose;
use super::words::{OTHER_FORM, Way, refused};
use super::write::set;
use super::{Case, Stopped};
use crate::access::json::Json;
use crate::access::pointer::At;

pub(super) fn judge(case: &mut Case<'_>, whose: &Whose, form: Legacy) -> Result<(), Stopped> {
    let body = case.body()?;
    let at = &At::BODY;
    match form {
        Legacy::Record => {
            members(body, at, &["associations", "portalId", "properties"])?;
            pairs_in(case, whose, body, at)
        }
        Legacy::Pairs => pairs(case, whose, body, at),
        Legacy::ManyPairs => {
            for (index, item) in items(body, at)?.iter().enumerate() {
                pairs(case, whose, item, &at.index(index))?;
            }
            Ok(())
        }
        Legacy::PairsById => {
            for (id, item) in object(body, at)? {
                pairs(case, whose, item, &at.key(id))?;
            }
            Ok(())
        }
        Legacy::Records => {
            for (index, item) in items(body, at)?.iter().enumerate() {
                let at = at.index(index);
                members(item, &at, &["email", "objectId", "properties", "vid"])?;
                by_email(case, whose, item, &at)?;
                pairs_in(case, whose, item, &at)?;
            }
            Ok(())
        }
        Legacy::Ids => {
            members(body, at, &["emails", "ids", "vids", "vidToMerge"])?;
            match body.get("emails").is_some_and(|emails| !emails.is_empty()) {
                // Answers tell which addresses are unknown.
                true => must_read(case, whose, "email", at.key("emails").place()),
                false => Ok(()),
            }
        }
        Legacy::DomainSearch => domain_search(case, whose, body),
    }
}

/// Contacts v1 finds the contact by this address, and makes one with it if there is none.
fn by_email(case: &Case<'_>, whose: &Whose, item: &Json, at: &At<'_>) -> Result<(), Stopped> {
    let at = at.key("email");
    match item.get("email") {
        None | Some(Json::Null) => Ok(()),
        Some(Json::String(email)) => {
            must_read(case, whose, "email", at.place())?;
            must_take(case, whose, "email", email, at.place())
        }
        Some(_) => Err(refused(OTHER_FORM, at.place())),
    }
}

fn pairs_in(case: &Case<'_>, whose: &Whose, parent: &Json, at: &At<'_>) -> Result<(), Stopped> {
    each(parent, "properties", at, |item, at| pair(case, whose, item, at))
}

fn pairs(case: &Case<'_>, whose: &Whose, list: &Json, at: &At<'_>) -> Result<(), Stopped> {
    for (index, item) in items(list, at)?.iter().enumerate() {
        pair(case, whose, item, &at.index(index))?;
    }
    Ok(())
}

/// `{"name": …, "value": …}`, or `property` in contacts v1. Whichever HubSpot reads, both are judged.
pub(super) fn pair(case: &Case<'_>, whose: &Whose, item: &Json, at: &At<'_>) -> Result<(), Stopped> {
    members(item, at, &["name", "property", "timestamp", "value"])?;
    let value = item.get("value").unwrap_or(&Json::Null);
    let mut named = false;
    for member in ["property", "name"] {
        match item.get(member) {
            None => {}
            Some(Json::String(name)) => {
                named = true;
                set(case, whose, name, value, &at.key(member))?;
            }
            Some(_) => return Err(refused(OTHER_FORM, at.key(member).place())),
        }
    }
    match named {
        true => Ok(()),
        false => Err(refused(OTHER_FORM, at.place())),
    }
}

/// Companies v2: the domain stands in the path, the properties wanted in the body.
fn domain_search(case: &mut Case<'_>, whose: &Whose, body: &Json) -> Result<(), Stopped> {
    members(body, &At::BODY, &["limit", "offset", "requestOptions"])?;
    let options = match body.get("requestOptions") {
        None | Some(Json::Null) => return Ok(()),
        Some(options) => options,
    };
    let at = At::BODY.key("requestOptions");
    members(options, &at, &["properties"])?;
    let Some(asked) = name_list(options, "properties", &at)?.filter(|asked| !asked.is_empty()) else {
        return Ok(());
    };
    let mut kept = granted(case, whose, Way::Read, asked.iter().copied(), || {
        at.key("properties").place()
    })?;
    if kept == asked {
        return Ok(());
    }
    if kept.is_empty() {
        kept.push(ID);
    }
    let options = with(options, vec![("properties", Some(strings(&kept)))]);
    case.body = Some(with(body, vec![("requestOptions", Some(options))]));
    Ok(())
}
