//! Definitions of properties, their groups and validations, in all versions. The definition of a
//! hidden property vanishes whole, so that clients which read definitions first narrow themselves.
//!
//! Source: HubSpot's public specifications (properties, property validations), its legacy
//! documentation of contact, company, deal and CRM object properties.

use super::AnswerShape::{self, Free, Known};
use super::pieces::{FIRST, SCALARS, batch, members, object, page};
use crate::access::fields::shape::{Members, Of, Shape};

/// What the operations on definitions answer; groups and pipelines of all APIs are here, too.
pub(super) fn of(id: &str) -> Option<AnswerShape> {
    let (area, verb) = id.rsplit_once('.')?;
    match area {
        "crm.properties" | "crm.properties.batch" | "crm.properties.groups" => {
            of_modern(id.strip_prefix("crm.properties.")?)
        }
        "properties" | "contacts.properties" | "companies.properties" | "deals.properties" => of_legacy(verb),
        "properties.groups" | "contacts.groups" | "companies.groups" => of_legacy_groups(verb),
        "crm.property-validations" | "crm.property-validations.rule-type" => {
            of_validations(id.strip_prefix("crm.property-validations.")?)
        }
        "crm.pipelines" | "crm.pipelines.stages" | "crm-pipelines" | "deals.pipelines" => of_pipelines(verb),
        _ => None,
    }
}

/// `/crm/…/properties`.
fn of_modern(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&LIST),
        "get" | "create" | "update" => Known(&ONE),
        "batch.read" | "batch.create" => Known(&BATCH),
        "groups.list" => Known(&GROUPS),
        "groups.get" | "groups.create" | "groups.update" => Known(&GROUP),
        "archive" | "batch.archive" | "groups.archive" => Free,
        _ => return None,
    })
}

/// `/properties/v1|v2/{type}`, `/contacts/v2`, `/companies/v2`, `/deals/v1`: lists are bare arrays.
fn of_legacy(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&ALL),
        "get" | "create" | "update" | "replace" => Known(&ONE),
        "archive" => Free,
        _ => return None,
    })
}

fn of_legacy_groups(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&ALL_GROUPS),
        "get" | "create" | "replace" => Known(&GROUP),
        "archive" => Free,
        _ => return None,
    })
}

/// Pipelines, stages and their audits are words of the portal's set-up.
fn of_pipelines(verb: &str) -> Option<AnswerShape> {
    let is_known = matches!(
        verb,
        "list" | "get" | "create" | "update" | "replace" | "archive" | "audit"
    );
    is_known.then_some(Free)
}

/// The property of one rule stands in the path alone; whoever may not read it does not get here.
fn of_validations(verb: &str) -> Option<AnswerShape> {
    Some(match verb {
        "list" => Known(&VALIDATIONS),
        "get" => Known(&RULES),
        "rule-type.get" => Known(&RULE),
        "rule-type.replace" => Free,
        _ => return None,
    })
}

/// The members of a definition whose type is `of`. A formula quotes other properties and constants,
/// and one member names another property outright; who made it is told to those who read all.
macro_rules! definition {
    ($of:expr) => {
        members!(
            Dropped;
            ["name", "label", "description", "groupName", "type", "fieldType", "displayOrder",
             "displayMode", "archived", "archivedAt", "deleted", "hidden", "createdAt", "updatedAt",
             "calculated", "externalOptions", "externalOptionsReferenceType", "referencedObjectType",
             "hasUniqueValue", "hubspotDefined", "dataSensitivity", "formField",
             "dateDisplayHint", "numberDisplayHint", "textDisplayHint", "showCurrencySymbol",
             "readOnlyValue", "readOnlyDefinition", "mutableDefinitionNotDeletable",
             "optionsAreMutable", "optionSortStrategy", "favorited", "favoritedOrder",
             "searchableInGlobalSearch", "isCustomizedDefault", "isMultiValued",
             "searchTextAnalysisMode", "portalId"],
            "options": Shape::Array(&OPTION),
            "modificationMetadata": MODIFICATION,
            "sensitiveDataCategories": Shape::Array(&Shape::Scalar),
            "currencyPropertyName": Shape::Name($of),
            "calculationFormula": Shape::IfAll($of, &Shape::Scalar, &Shape::Drop),
            "createdUserId": Shape::IfAll($of, &Shape::Scalar, &Shape::Drop),
            "updatedUserId": Shape::IfAll($of, &Shape::Scalar, &Shape::Drop),
        )
    };
}

/// A value one may choose.
pub(super) const OPTION: Shape = object!(
    Dropped; ["label", "value", "description", "displayOrder", "hidden", "readOnly", "doubleData"]
);

pub(super) const MODIFICATION: Shape = object!(
    Dropped; ["archivable", "readOnlyDefinition", "readOnlyOptions", "readOnlyValue"]
);

const OF_FIRST: Members = definition!(FIRST);
const OF_OWN: Members = definition!(Of::Own);

/// Definitions of the type that the operation names.
pub(super) const ALL: Shape = Shape::Named {
    of: FIRST,
    key: "name",
    item: &OF_FIRST,
};

/// Definitions of the type that the object around them says.
pub(super) const ALL_OF_OWN: Shape = Shape::Named {
    of: Of::Own,
    key: "name",
    item: &OF_OWN,
};

const ONE: Shape = Shape::NamedOne {
    of: FIRST,
    key: "name",
    item: &OF_FIRST,
};

const LIST: Shape = page!(ALL);

const BATCH: Shape = batch!(ALL);

/// v1 and v2 can list a group's properties (`includeProperties=true`).
const GROUP: Shape = object!(
    Dropped; ["name", "label", "displayName", "displayOrder", "hubspotDefined", "archived", "deleted", "portalId"],
    "properties": ALL,
);

const GROUPS: Shape = page!(Shape::Array(&GROUP));

const ALL_GROUPS: Shape = Shape::Array(&GROUP);

/// Arguments quote values.
const RULE: Shape = object!(
    Dropped; ["ruleType", "shouldApplyNormalization"],
    "ruleArguments": Shape::IfAll(FIRST, &SCALARS, &Shape::Drop),
);

const RULES: Shape = page!(Shape::Array(&RULE));

const VALIDATIONS: Shape = page!(Shape::Named {
    of: FIRST,
    key: "propertyName",
    item: &members!(Dropped; ["propertyName"], "propertyValidationRules": Shape::Array(&RULE)),
});
