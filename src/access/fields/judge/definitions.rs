//! Definitions of properties: one that is hidden is not shown, by name, whether it exists or not;
//! one that may not be written is not changed; and none may be computed from what is hidden.

use super::body::{each, items, members, name_list, object, text, with};
use super::form::Definition;
use super::names::{ID, granted, must_read, must_write};
use super::whose::Whose;
use super::words::{OTHER_FORM, UNKNOWN_FORM, Way, everything, refused};
use super::{Case, Stopped};
use crate::access::effect::Effect;
use crate::access::json::{Json, Text};
use crate::access::pointer::At;
use crate::access::refusal::Place;

/// Members of a definition that say nothing of other properties. Source: HubSpot's OpenAPI files and
/// the documentation of properties v1 and v2.
const PLAIN: [&str; 42] = [
    "archived",
    "archivedAt",
    "calculated",
    "createdAt",
    "createdUserId",
    "currencyPropertyName",
    "dataSensitivity",
    "dateDisplayHint",
    "deleted",
    "description",
    "displayMode",
    "displayOrder",
    "externalOptions",
    "favorited",
    "favoritedOrder",
    "fieldType",
    "formField",
    "groupName",
    "hasUniqueValue",
    "hidden",
    "hubspotDefined",
    "label",
    "modificationMetadata",
    "mutableDefinitionNotDeletable",
    "name",
    "numberDisplayHint",
    "optionSortStrategy",
    "options",
    "readOnlyDefinition",
    "readOnlyValue",
    "referencedObjectType",
    "searchableInGlobalSearch",
    "sensitiveDataCategories",
    "showCurrencySymbol",
    "textDisplayHint",
    "type",
    "updatedAt",
    "updatedUserId",
    "ruleArguments",
    "shouldApplyNormalization",
    "rule",
    "value",
];
/// Members that compute the value from other properties.
const COMPUTED: [&str; 4] = [
    "calculationFormula",
    "calculationExpression",
    "rollupExpression",
    "calculation",
];

const READS_OTHERS: &str = "makes a property that is computed from others, hidden ones perhaps";

pub(super) fn judge(case: &mut Case<'_>, whose: &Whose, form: Definition) -> Result<(), Stopped> {
    match form {
        Definition::List => Ok(()),
        Definition::One | Definition::Change => by_path(case, whose, form),
        Definition::New => new(case, whose, case.body()?, &At::BODY),
        Definition::NewMany => {
            let body = case.body()?;
            members(body, &At::BODY, &["inputs"])?;
            each(body, "inputs", &At::BODY, |input, at| new(case, whose, input, at))
        }
        Definition::ArchiveMany => {
            let body = case.body()?;
            members(body, &At::BODY, &["inputs"])?;
            each(body, "inputs", &At::BODY, |input, at| {
                members(input, at, &["name"])?;
                let at = at.key("name");
                must_write(case, whose, name_of(input, &at)?, at.place())
            })
        }
        Definition::ReadMany => read_many(case, whose),
        Definition::Group => group(case),
        Definition::Schema => schema(case, whose, case.body()?, &At::BODY),
    }
}

fn by_path(case: &Case<'_>, whose: &Whose, form: Definition) -> Result<(), Stopped> {
    let name = case
        .parameter("{propertyName}")
        .or_else(|| case.parameter("{name}"))
        .ok_or(Stopped::Refused(UNKNOWN_FORM))?;
    if case.row.effect == Effect::Read {
        return must_read(case, whose, name, Place::PATH);
    }
    must_write(case, whose, name, Place::PATH)?;
    match form {
        Definition::Change => change(case, whose, case.body()?, &At::BODY),
        _ => Ok(()),
    }
}

fn new(case: &Case<'_>, whose: &Whose, definition: &Json, at: &At<'_>) -> Result<(), Stopped> {
    object(definition, at)?;
    let name_at = at.key("name");
    must_write(case, whose, name_of(definition, &name_at)?, name_at.place())?;
    change(case, whose, definition, at)
}

/// A definition as sent, new or changed.
fn change(case: &Case<'_>, whose: &Whose, definition: &Json, at: &At<'_>) -> Result<(), Stopped> {
    for (member, value) in object(definition, at)? {
        if COMPUTED.contains(&member.as_str()) && !value.is_empty() && !whose.view.reads_all() {
            return Err(everything(whose, Way::Read, READS_OTHERS, at.key(member).place()));
        }
    }
    members(definition, at, &[&PLAIN[..], &COMPUTED[..]].concat())?;
    if let Some(name) = text(definition, "name", at)? {
        must_write(case, whose, name, at.key("name").place())?;
    }
    match text(definition, "currencyPropertyName", at)? {
        Some(name) => must_read(case, whose, name, at.key("currencyPropertyName").place()),
        None => Ok(()),
    }
}

fn name_of<'j>(definition: &'j Json, at: &At<'_>) -> Result<&'j str, Stopped> {
    match definition.get("name") {
        Some(Json::String(name)) => Ok(name),
        _ => Err(refused(OTHER_FORM, at.place())),
    }
}

/// Hidden names are left out: the answer is that of a client that did not ask for them.
fn read_many(case: &mut Case<'_>, whose: &Whose) -> Result<(), Stopped> {
    let body = case.body()?;
    members(body, &At::BODY, &["archived", "dataSensitivity", "inputs"])?;
    let mut asked = Vec::new();
    each(body, "inputs", &At::BODY, |input, at| {
        members(input, at, &["name"])?;
        asked.push(name_of(input, &at.key("name"))?);
        Ok(())
    })?;
    let kept = granted(case, whose, Way::Read, asked.iter().copied(), || {
        At::BODY.key("inputs").place()
    })?;
    if kept == asked {
        return Ok(());
    }
    let kept = if kept.is_empty() { vec![ID] } else { kept };
    let input = |name: &str| Json::Object(vec![("name".into(), Json::String(name.into()))]);
    let inputs = Json::Array(kept.into_iter().map(input).collect());
    case.body = Some(with(body, vec![("inputs", Some(inputs))]));
    Ok(())
}

/// A group is a heading. Legacy groups list definitions, which would be changes of them.
fn group(case: &Case<'_>) -> Result<(), Stopped> {
    const KNOWN: [&str; 6] = [
        "archived",
        "displayName",
        "displayOrder",
        "hubspotDefined",
        "label",
        "name",
    ];
    let body = case.body()?;
    let members_given = object(body, &At::BODY)?;
    let empty_list = |(name, value): &(Text, Json)| name == "properties" && value.is_empty();
    match members_given
        .iter()
        .find(|member| !KNOWN.contains(&member.0.as_str()) && !empty_list(member))
    {
        None => Ok(()),
        Some((name, _)) => Err(refused(super::words::UNKNOWN_MEMBER, At::BODY.key(name).place())),
    }
}

/// Which properties stand for a record, must be there, and are found by free text.
pub(super) fn schema(case: &Case<'_>, whose: &Whose, body: &Json, at: &At<'_>) -> Result<(), Stopped> {
    const LISTS: [&str; 3] = [
        "requiredProperties",
        "searchableProperties",
        "secondaryDisplayProperties",
    ];
    const KNOWN: [&str; 13] = [
        "allowsSensitiveProperties",
        "associatedObjects",
        "clearDescription",
        "description",
        "labels",
        "name",
        "primaryDisplayProperty",
        "properties",
        "requiredProperties",
        "restorable",
        "searchableProperties",
        "secondaryDisplayProperties",
        "sensitive",
    ];
    members(body, at, &KNOWN)?;
    if let Some(name) = text(body, "primaryDisplayProperty", at)? {
        must_read(case, whose, name, at.key("primaryDisplayProperty").place())?;
    }
    for list in LISTS {
        let array = at.key(list);
        for (index, name) in name_list(body, list, at)?.unwrap_or_default().iter().enumerate() {
            must_read(case, whose, name, array.index(index).place())?;
        }
    }
    let properties = at.key("properties");
    if let Some(value) = body.get("properties") {
        for (index, definition) in items(value, &properties)?.iter().enumerate() {
            new(case, whose, definition, &properties.index(index))?;
        }
    }
    Ok(())
}
