//! Answers as HubSpot documents them, with planted words: `shown-…` must come down, `hidden-…` only
//! where all may be read, `never-…` in no case.
//!
//! What may be read otherwise: of the first type `email`, of the second `name`, of `2-7` `model`.
//! `createdate` and `hs_object_id` are always readable, their histories are not.

/// An answer, and calls that answer so.
pub(super) struct Sample {
    pub(super) calls: &'static [&'static str],
    pub(super) answer: &'static str,
}

macro_rules! record {
    () => {
        r#"{
            "id": "shown-id", "createdAt": "shown-created", "updatedAt": "shown-updated", "archived": false,
            "archivedAt": "shown-archived", "new": true, "objectWriteTraceId": "shown-trace",
            "properties": {
                "email": "shown-email", "createdate": "shown-date", "ssn": "hidden-ssn", "Ssn": "hidden-case",
                "phone": null, "hs_object_id": "shown-object-id"
            },
            "propertiesWithHistory": {
                "email": [
                    {"value": "shown-now", "timestamp": "shown-time", "sourceType": "hidden-crm",
                     "sourceId": "hidden-user", "sourceLabel": "hidden-person", "updatedByUserId": 7},
                    {"value": "shown-before", "timestamp": "shown-earlier"}
                ],
                "createdate": [{"value": "hidden-created", "timestamp": "hidden-at"}],
                "ssn": [{"value": "hidden-old-ssn", "timestamp": "hidden-ssn-time"}]
            },
            "associations": {
                "companies": {
                    "results": [{"id": "shown-company", "type": "shown-kind"}],
                    "paging": {"next": {"after": "shown-after", "link": "shown-link"}}
                }
            },
            "url": "hidden-url",
            "warnings": [{"category": "hidden-category", "message": "hidden-warning", "context": {"a": "b"}}],
            "displayName": "never-display", "newMember": {"email": "never-new"}
        }"#
    };
}

macro_rules! item_error {
    () => {
        r#"{
            "status": "error", "id": "shown-error", "category": "shown-category", "subCategory": {"a": "never-sub"},
            "message": "never-message", "context": {"ids": ["shown-missing"], "propertyName": ["never-name"]},
            "errors": [{"message": "never-detail", "code": "shown-code", "in": "never-in",
                        "context": {"value": ["never-value"]}}, "never-text"],
            "links": {"record": "never-link"}, "validationResults": [{"value": "never-validation"}]
        }"#
    };
}

macro_rules! nested {
    () => {
        r#"{
            "email": {
                "value": "shown-email", "timestamp": 12, "source": "hidden-source", "sourceId": "hidden-id",
                "versions": [
                    {"name": "email", "value": "shown-now", "timestamp": 12, "source": "hidden-a",
                     "source-type": "hidden-b", "source-id": "hidden-c", "source-label": "hidden-d",
                     "sourceVid": ["hidden-vid"], "updated-by-user-id": 7, "selected": false,
                     "requestId": "hidden-request", "sourceMetadata": "never-metadata"}
                ]
            },
            "createdate": {
                "value": "shown-date", "timestamp": "hidden-set-at", "source": "hidden-e",
                "versions": [{"value": "hidden-version"}]
            },
            "ssn": {"value": "hidden-ssn", "versions": [{"value": "hidden-old-ssn"}]}
        }"#
    };
}

macro_rules! contact {
    () => {
        concat!(
            r#"{
            "addedAt": 1, "vid": "shown-vid", "canonical-vid": 2, "merged-vids": ["shown-merged"], "portal-id": 3,
            "is-contact": true, "profile-token": "hidden-token", "profile-url": "hidden-url",
            "properties": "#,
            nested!(),
            r#",
            "form-submissions": [{"title": "hidden-form", "form-fields": {"ssn": "hidden-field"}}],
            "list-memberships": [{"static-list-id": "hidden-list"}],
            "identity-profiles": [{"identities": [{"type": "EMAIL", "value": "hidden-address"}]}],
            "merge-audits": [{"first-name": "hidden-first", "primary-vid-to-merge": 4}],
            "associated-company": {
                "company-id": "shown-company", "portal-id": 3,
                "properties": {
                    "name": {"value": "shown-company-name", "timestamp": "never-timestamp"},
                    "email": {"value": "hidden-company-email"}, "iban": {"value": "hidden-iban"}
                },
                "owner": {"email": "never-company-owner"}
            },
            "associated-owner": {"email": "never-owner"}
        }"#
        )
    };
}

macro_rules! company {
    () => {
        concat!(
            r#"{"portalId": 1, "companyId": "shown-id", "isDeleted": false, "properties": "#,
            nested!(),
            r#", "additionalDomains": [{"domain": "hidden-domain"}], "stateChanges": ["hidden-change"],
            "mergeAudits": ["hidden-merge"], "owner": "never-owner"}"#
        )
    };
}

macro_rules! deal {
    () => {
        concat!(
            r#"{"portalId": 1, "dealId": "shown-id", "isDeleted": false,
            "associations": {"associatedVids": ["shown-contact"], "associatedCompanyIds": [], "associatedDealIds": []},
            "properties": "#,
            nested!(),
            r#", "imports": ["hidden-import"], "stateChanges": [{"value": "hidden-change"}], "extra": "never-extra"}"#
        )
    };
}

macro_rules! object_v1 {
    () => {
        concat!(
            r#"{"objectType": "TICKET", "portalId": 1, "objectId": "shown-id", "version": 4, "isDeleted": false, "properties": "#,
            nested!(),
            r#", "validationErrors": ["hidden-error"], "extra": "never-extra"}"#
        )
    };
}

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

macro_rules! batch {
    ($results:expr) => {
        concat!(
            r#"{"status": "COMPLETE", "startedAt": "shown-started", "completedAt": "shown-completed",
            "requestedAt": "shown-requested", "numErrors": 1, "note": "never-note", "links": {"a": "hidden-batch-link"},
            "errors": ["#, item_error!(), r#"], "results": "#,
            $results,
            "}"
        )
    };
}

macro_rules! list {
    ($filters:literal) => {
        concat!(
            r#"{"listId": "shown-list", "name": "shown-name", "metaData": {"size": "shown-size", "error": "never-error"},
            "#, $filters, r#": [[{"property": "ssn", "value": "never-filter"}]]}"#
        )
    };
}

pub(super) const SAMPLES: &[Sample] = &[
    Sample {
        calls: &[
            "GET /crm/v3/objects/contacts/{contactId}",
            "GET /crm/v3/objects/{objectType}/{objectId}",
            "PATCH /crm/objects/2026-03/{objectType}/{objectId}",
            "POST /crm/v3/objects/contacts",
            "POST /crm/v3/objects/deals",
            "POST /crm/v3/objects/contacts/merge",
            "PUT /crm/v3/objects/{objectType}/{objectId}/associations/{toObjectType}/{toObjectId}/{associationType}",
        ],
        answer: record!(),
    },
    Sample {
        calls: &["POST /crm/objects/2025-09/{objectType}"],
        answer: concat!(
            r#"{"createdResourceId": "shown-id", "location": "hidden-location", "entity": "#,
            record!(),
            "}"
        ),
    },
    Sample {
        calls: &[
            "GET /crm/v3/objects/contacts",
            "GET /crm/v4/objects/{objectType}",
            "POST /crm/v3/objects/{objectType}/search",
            "POST /crm/objects/2026-09/{objectType}/search",
        ],
        answer: concat!(
            r#"{"total": 7, "paging": {"next": {"after": "shown-after", "link": "shown-link"}}, "note": "never-note",
            "results": ["#,
            record!(),
            "]}"
        ),
    },
    Sample {
        calls: &[
            "POST /crm/v3/objects/contacts/batch/read",
            "POST /crm/v3/objects/contacts/batch/create",
            "POST /crm/v3/objects/contacts/batch/update",
            "POST /crm/objects/2025-09/{objectType}/batch/upsert",
        ],
        answer: batch!(concat!("[", record!(), "]")),
    },
    Sample {
        calls: &[
            "GET /crm/v3/objects/{objectType}/{objectId}/associations/{toObjectType}",
            "GET /crm/objects/2026-03/{objectType}/{objectId}/associations/{toObjectType}",
        ],
        answer: r#"{"results": [{"id": "shown-id", "type": "shown-type"},
            {"toObjectId": "shown-to", "associationTypes": [{"category": "shown-c", "typeId": 1, "label": "shown-l"}],
             "record": {"email": "never-email"}}], "paging": {"next": {"after": "shown-after"}}}"#,
    },
    Sample {
        calls: &["POST /crm/v4/associations/{fromObjectType}/{toObjectType}/batch/read"],
        answer: batch!(
            r#"[{"from": {"id": "shown-from", "name": "never-name"}, "to": [{"toObjectId": "shown-to"}],
            "paging": {"next": {"after": "shown-after"}}}]"#
        ),
    },
    Sample {
        calls: &[
            "POST /crm/v3/associations/{fromObjectType}/{toObjectType}/batch/create",
            "POST /crm/v4/associations/{fromObjectType}/{toObjectType}/batch/associate/default",
            "PUT /crm/v4/objects/{fromObjectType}/{fromObjectId}/associations/default/{toObjectType}/{toObjectId}",
        ],
        answer: batch!(
            r#"[{"fromObjectId": "shown-from", "labels": ["shown-label"]}, {"from": {"id": "shown-f"},
            "to": {"id": "shown-t"}, "type": "shown-type", "associationSpec": {"associationTypeId": "shown-id"}}]"#
        ),
    },
    Sample {
        calls: &["PUT /companies/v2/companies/{companyId}/contacts/{contactVid}"],
        answer: company!(),
    },
    Sample {
        calls: &["GET /companies/v2/companies/{id}/vids"],
        answer: r#"{"vids": ["shown-vid"], "vidOffset": 7, "hasMore": false, "contacts": [{"email": "never-email"}]}"#,
    },
    Sample {
        calls: &["GET /crm-associations/v1/associations/{objectId}/HUBSPOT_DEFINED/{definitionId}"],
        answer: r#"{"results": ["shown-id"], "hasMore": false, "offset": 7}"#,
    },
    Sample {
        calls: &[
            "GET /contacts/v1/contact/vid/{id}/profile",
            "GET /contacts/v1/contact/email/{email}/profile",
            "GET /contacts/v1/contact/utk/{utk}/profile",
            "POST /contacts/v1/contact",
        ],
        answer: contact!(),
    },
    Sample {
        calls: &[
            "GET /contacts/v1/contact/vids/batch",
            "GET /contacts/v1/contact/emails/batch",
        ],
        answer: concat!(r#"{"7": "#, contact!(), "}"),
    },
    Sample {
        calls: &[
            "GET /contacts/v1/lists/all/contacts/all",
            "GET /contacts/v1/lists/recently_updated/contacts/recent",
            "GET /contacts/v1/lists/{id}/contacts/all",
            "GET /contacts/v1/search/query",
        ],
        answer: concat!(
            r#"{"has-more": false, "vid-offset": "shown-offset", "time-offset": 1, "query": "shown-query", "extra": "never-extra",
            "contacts": ["#,
            contact!(),
            "]}"
        ),
    },
    Sample {
        calls: &["POST /contacts/v1/contact/createOrUpdate/email/{email}"],
        answer: r#"{"vid": "shown-vid", "isNew": true, "email": "never-email"}"#,
    },
    Sample {
        calls: &["DELETE /contacts/v1/contact/vid/{id}"],
        answer: r#"{"vid": "shown-vid", "deleted": true, "reason": "hidden-reason"}"#,
    },
    Sample {
        calls: &["PUT /contacts/v1/secondary-email/{id}/email/{emailToAdd}"],
        answer: r#"{"portalId": 1, "vid": "shown-vid", "secondaryEmails": ["hidden-address"]}"#,
    },
    Sample {
        calls: &["GET /contacts/v1/contacts/statistics"],
        answer: r#"{"contacts": "shown-count", "last-new-contact-at": "shown-time"}"#,
    },
    Sample {
        calls: &["POST /contacts/v1/lists/{listId}/add"],
        answer: r#"{"updated": ["shown-vid"], "discarded": [], "invalidVids": [], "invalidEmails": ["hidden-address"]}"#,
    },
    Sample {
        calls: &["GET /contacts/v1/lists/{id}", "POST /contacts/v1/lists"],
        answer: list!(r#""filters""#),
    },
    Sample {
        calls: &["GET /contacts/v1/lists", "GET /contacts/v1/lists/static"],
        answer: concat!(
            r#"{"offset": 1, "has-more": false, "lists": ["#,
            list!(r#""filters""#),
            "]}"
        ),
    },
    Sample {
        calls: &[
            "GET /companies/v2/companies/{id}",
            "POST /companies/v2/companies",
            "PUT /companies/v2/companies/{id}",
        ],
        answer: company!(),
    },
    Sample {
        calls: &[
            "GET /companies/v2/companies/paged",
            "GET /companies/v2/companies/recent/modified",
        ],
        answer: concat!(
            r#"{"has-more": false, "hasMore": false, "offset": "shown-offset", "total": 1,
            "companies": ["#,
            company!(),
            r#"], "results": ["#,
            company!(),
            "]}"
        ),
    },
    Sample {
        calls: &["POST /companies/v2/domains/{domain}/companies"],
        answer: concat!(
            r#"{"hasMore": false, "offset": {"companyId": "shown-company", "isPrimary": true, "domain": "never-domain"},
            "results": ["#,
            company!(),
            "]}"
        ),
    },
    Sample {
        calls: &["GET /companies/v2/companies/{id}/contacts"],
        answer: r#"{"vidOffset": "shown-offset", "hasMore": false, "contacts": [{
            "vid": "shown-vid", "portalid": 1, "isContact": true, "vids": [], "mergedVids": ["shown-merged"],
            "properties": [
                {"name": "name", "value": "shown-value", "sourceVid": ["never-vid"]},
                {"value": "hidden-email", "name": "email"},
                {"name": "lastmodifieddate", "value": "shown-modified"}
            ],
            "identities": [{"identity": [{"value": "hidden-address"}]}], "publicToken": "hidden-token",
            "mergeAudit": [{"email": "hidden-merged", "firstName": "hidden-first"}], "listMembership": ["hidden-list"]
        }]}"#,
    },
    Sample {
        calls: &[
            "GET /deals/v1/deal/{id}",
            "POST /deals/v1/deal",
            "PUT /deals/v1/deal/{id}",
        ],
        answer: deal!(),
    },
    Sample {
        calls: &[
            "GET /deals/v1/deal/paged",
            "GET /deals/v1/deal/recent/modified",
            "GET /deals/v1/deal/associated/{objectType}/{objectId}/paged",
        ],
        answer: concat!(
            r#"{"hasMore": false, "offset": "shown-offset", "total": 1, "deals": ["#,
            deal!(),
            r#"], "results": ["#,
            deal!(),
            "]}"
        ),
    },
    Sample {
        calls: &[
            "GET /crm-objects/v1/objects/tickets/{id}",
            "POST /crm-objects/v1/objects/products",
            "PUT /crm-objects/v1/objects/line_items/{id}",
        ],
        answer: object_v1!(),
    },
    Sample {
        calls: &["GET /crm-objects/v1/objects/tickets/paged"],
        answer: concat!(
            r#"{"hasMore": false, "offset": 1, "objects": ["#,
            object_v1!(),
            "]}"
        ),
    },
    Sample {
        calls: &["POST /crm-objects/v1/objects/tickets/batch-read"],
        answer: concat!(r#"{"7": "#, object_v1!(), "}"),
    },
    Sample {
        calls: &[
            "POST /crm-objects/v1/objects/tickets/batch-create",
            "POST /crm-objects/v1/objects/tickets/batch-update",
        ],
        answer: concat!("[", object_v1!(), "]"),
    },
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
        calls: &["GET /crm/v3/imports"],
        answer: r#"{"results": [{"id": "shown-id", "state": "shown-state", "importName": "shown-name",
            "importRequestJson": {"files": [{"columnMappings": [{"propertyName": "never-name"}]}]},
            "mappedObjectTypeIds": ["shown-type"], "metadata": {"counters": {"CREATED": "shown-count"},
            "fileIds": ["shown-file"], "objectLists": [{"listId": "shown-list"}]}}], "paging": null}"#,
    },
    Sample {
        calls: &["GET /crm/v3/imports/{importId}/errors"],
        answer: r#"{"results": [{"id": "shown-id", "errorType": "shown-type", "errorMessage": "never-message",
            "invalidValue": "never-invalid", "invalidValueToDisplay": "never-display", "extraContext": "never-context",
            "invalidPropertyValue": {"name": "ssn", "value": "never-value"},
            "sourceData": {"lineNumber": "shown-line", "rowData": ["never-cell"], "additionalRowData": ["never-more"]}}]}"#,
    },
    Sample {
        calls: &["POST /crm/v3/lists", "GET /crm/v3/lists/{listId}"],
        answer: r#"{"list": {"listId": "shown-list", "name": "shown-name", "size": 7, "filterBranch":
            {"filters": [{"property": "ssn", "operation": {"value": "never-filter"}}]}}}"#,
    },
    Sample {
        calls: &["POST /crm/v3/lists/records/memberships/batch/read"],
        answer: batch!(
            r#"[{"recordId": "shown-record", "recordListMemberships": [{"listId": "shown-list"}]}]"#
        ),
    },
    Sample {
        calls: &["GET /crm/v3/limits/associations/records/{fromObjectTypeId}/{toObjectTypeId}"],
        answer: r#"{"limit": 1, "totalRecordsAtLimit": 2, "atLimitFromRecordSamples": [{"objectId": "shown-id",
            "label": "hidden-person"}], "nearLimitFromRecordSamples": [{"label": "hidden-other", "usage": 3}]}"#,
    },
    Sample {
        calls: &["POST /crm/task-series/2026-09-beta"],
        answer: r#"{"id": "shown-id", "properties": {"email": "shown-email", "ssn": "hidden-ssn"},
            "series": {"repeatStatus": "shown-status"}}"#,
    },
    Sample {
        calls: &[
            "POST /integrators/timeline/v3/events",
            "POST /integrators/timeline/2026-03/events",
        ],
        answer: r#"{"id": "shown-id", "objectId": "shown-object", "email": "hidden-email", "domain": "hidden-domain",
            "utk": "hidden-utk", "tokens": {"a": "hidden-token"}, "properties": {"a": "hidden-property"},
            "extraData": {"a": "hidden-data"}, "timelineIFrame": {"url": "hidden-url"}}"#,
    },
];

/// Errors as HubSpot sends them, and as it may.
pub(super) const ERRORS: &[&str] = &[
    r#"{"status": "error", "message": "never-a", "correlationId": "shown-id", "category": "shown-category",
        "subCategory": "shown-sub", "requestId": "shown-request", "errorType": "shown-type", "policyName": "shown-policy",
        "groupName": "shown-group", "error": "never-error", "validationResults": [{"message": "never-b"}],
        "context": {"id": ["shown-object"], "propertyName": ["never-name"], "requiredScopes": ["shown-scope"],
                    "existing": ["never-c"]},
        "errors": [{"message": "never-d", "in": "never-in", "code": "shown-code", "subCategory": "shown-subcode",
                    "context": {"requiredGranularScopes": ["shown-granular"], "value": ["never-e"], "ids": "shown-one"}}],
        "links": {"scopes": "shown-link", "record": "never-f"}, "identityProfile": {"identity": [{"value": "never-g"}]},
        "propertiesErrors": {"ssn": "never-h"}, "failureMessages": ["never-i"], "errorTokens": {"a": ["never-j"]}}"#,
    r#"{"status": {"a": "never-a"}, "category": ["never-b"], "message": ["never-c"], "errors": {"a": "never-d"},
        "context": ["never-e"], "links": "never-f", "correlationId": "shown-id"}"#,
    r#"{"errors": ["never-a", ["never-b"], {"context": "never-c", "code": {"a": "never-d"}, "message": 7}],
        "context": {"ids": [{"a": "never-e"}, ["never-f"], "shown-id"], "id": {"a": "never-g"}}}"#,
    r#"[{"message": "never-a"}]"#,
    r#""never-a""#,
    "null",
];
