//! Modern records, and links between them.

use super::Sample;

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
        calls: &[
            "POST /crm/v4/associations/{fromObjectType}/{toObjectType}/batch/archive",
            "POST /crm/v4/associations/{fromObjectType}/{toObjectType}/batch/labels/archive",
            "POST /crm/v4/associations/definitions/configurations/{fromObjectType}/{toObjectType}/batch/purge",
        ],
        answer: concat!(
            r#"{"status": "shown-status", "results": [{"id": "never-id"}], "links": {"a": "never-link"}, "errors": ["#,
            item_error!(),
            "]}"
        ),
    },
    Sample {
        calls: &[
            "POST /crm/v4/associations/definitions/configurations/{fromObjectType}/{toObjectType}/batch/create",
        ],
        answer: batch!(r#"[{"category": "shown-category", "label": "shown-label", "typeId": 1}]"#),
    },
    Sample {
        calls: &["POST /crm/objects/2025-09/{objectType}"],
        answer: concat!(
            r#"{"createdResourceId": "shown-id", "location": "hidden-location", "entity": "#,
            record!(),
            "}"
        ),
    },
];
