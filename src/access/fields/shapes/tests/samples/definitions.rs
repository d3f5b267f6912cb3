//! Definitions of properties, their groups and validations, schemas.

use super::Sample;

macro_rules! definition {
    ($shown:literal, $hidden:literal) => {
        concat!(
            r#"{"name": ""#, $shown, r#"", "label": "shown-label", "description": "shown-description", "type": "string",
            "fieldType": "text", "groupName": "shown-group", "displayOrder": -1, "hidden": false, "archived": false,
            "options": [{"label": "shown-option", "value": "shown-choice", "displayOrder": 0, "hidden": false}],
            "modificationMetadata": {"archivable": true, "readOnlyDefinition": false, "readOnlyValue": false},
            "sensitiveDataCategories": [], "referencedObjectType": "OWNER", "currencyPropertyName": ""#,
            $hidden,
            r#"", "calculationFormula": "hidden-formula", "createdUserId": "hidden-user", "updatedUserId": null,
            "newMember": {"a": "never-new"}}"#
        )
    };
}

macro_rules! definitions {
    () => {
        concat!(
            "[",
            definition!("email", "hidden-currency"),
            ",",
            r#"{"label": "hidden-label", "options": [{"value": "hidden-option"}], "name": "hidden-name"}]"#
        )
    };
}

macro_rules! group {
    () => {
        concat!(
            r#"{"name": "shown-group", "displayName": "shown-display", "label": "shown-label", "displayOrder": 1,
            "hubspotDefined": true, "portalId": 1, "properties": "#,
            definitions!(),
            "}"
        )
    };
}

macro_rules! schema {
    ($first:literal) => {
        concat!(
            r#"{"id": "7", "fullyQualifiedName": "p1_car", "name": "shown-car", "labels": {"singular": "shown-one"},
            "primaryDisplayProperty": ""#, $first, r#"", "secondaryDisplayProperties": ["hidden-second"],
            "searchableProperties": ["hidden-searchable", ""#, $first, r#""], "requiredProperties": ["hidden-required"],
            "properties": ["#, r#"{"name": ""#, $first, r#"", "label": "shown-property"},
                           {"name": "hidden-vin", "label": "hidden-label"}],
            "associations": [{"id": "1", "fromObjectTypeId": "shown-from", "toObjectTypeId": "0-1", "name": "x"}],
            "createdByUserId": "hidden-user", "archived": false, "objectTypeId": "2-7", "extra": {"a": "never-extra"}}"#
        )
    };
}

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        calls: &[
            "GET /crm/v3/properties/{objectType}",
            "GET /crm/properties/2026-03/{objectType}",
        ],
        answer: concat!(r#"{"results": "#, definitions!(), "}"),
    },
    Sample {
        calls: &["POST /crm/v3/properties/{objectType}/batch/read"],
        answer: batch!(definitions!()),
    },
    Sample {
        calls: &[
            "GET /crm/v3/properties/{objectType}/{propertyName}",
            "POST /crm/v3/properties/{objectType}",
            "GET /properties/v2/{objectType}/properties/named/{name}",
            "PUT /deals/v1/properties/named/{name}",
        ],
        answer: definition!("email", "hidden-currency"),
    },
    Sample {
        calls: &[
            "GET /properties/v1/contacts/properties",
            "GET /properties/v2/{objectType}/properties",
            "GET /contacts/v2/properties",
            "GET /companies/v2/properties",
        ],
        answer: definitions!(),
    },
    Sample {
        calls: &["GET /crm/v3/properties/{objectType}/groups"],
        answer: concat!(r#"{"results": ["#, group!(), "]}"),
    },
    Sample {
        calls: &[
            "GET /properties/v1/contacts/groups",
            "GET /properties/v2/{objectType}/groups",
            "GET /contacts/v2/groups",
            "GET /companies/v2/groups",
        ],
        answer: concat!("[", group!(), "]"),
    },
    Sample {
        calls: &[
            "GET /properties/v2/{objectType}/groups/named/{name}",
            "POST /crm/v3/properties/{objectType}/groups",
        ],
        answer: group!(),
    },
    Sample {
        calls: &["GET /crm/v3/property-validations/{objectTypeId}"],
        answer: r#"{"results": [
            {"propertyName": "email", "propertyValidationRules": [
                {"ruleType": "shown-rule", "ruleArguments": ["hidden-argument"], "shouldApplyNormalization": true}]},
            {"propertyValidationRules": [{"ruleType": "hidden-rule", "ruleArguments": []}], "propertyName": "hidden-name"}
        ]}"#,
    },
    Sample {
        calls: &["GET /crm/v3/property-validations/{objectTypeId}/{propertyName}"],
        answer: r#"{"results": [{"ruleType": "shown-rule", "ruleArguments": ["hidden-argument"]}]}"#,
    },
    Sample {
        calls: &[
            "GET /crm/v3/schemas/{objectType}",
            "PATCH /crm-object-schemas/v3/schemas/{objectType}",
        ],
        answer: schema!("email"),
    },
    Sample {
        calls: &[
            "GET /crm-object-schemas/v3/schemas",
            "POST /crm-object-schemas/v3/schemas/batch/read",
        ],
        answer: concat!(r#"{"results": ["#, schema!("model"), "]}"),
    },
    Sample {
        calls: &["POST /crm-object-schemas/v3/schemas"],
        answer: schema!("model"),
    },
    Sample {
        calls: &["POST /crm-object-schemas/v3/schemas/{objectType}/associations"],
        answer: r#"{"id": "shown-id", "fromObjectTypeId": "2-7", "toObjectTypeId": "0-1", "name": "shown-name"}"#,
    },
    Sample {
        calls: &["GET /crm/v3/property-validations/{objectTypeId}/{propertyName}/rule-type/{ruleType}"],
        answer: r#"{"ruleType": "shown-rule", "ruleArguments": ["hidden-argument"]}"#,
    },
];
