//! Imports, lists, limits, task series, timeline events.

use super::Sample;

pub(super) const SAMPLES: &[Sample] = &[
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
        answer: r#"{"id": "shown-id", "objectId": "shown-object", "email": "never-email", "domain": "never-domain",
            "utk": "never-utk", "tokens": {"a": "never-token"}, "properties": {"a": "never-property"},
            "extraData": {"a": "never-data"}, "timelineIFrame": {"url": "never-url"}}"#,
    },
    Sample {
        calls: &["GET /crm/v3/imports/{importId}", "POST /crm/v3/imports"],
        answer: r#"{"id": "shown-id", "state": "shown-state", "importRequestJson": {"a": "never-request"}}"#,
    },
    Sample {
        calls: &["POST /crm/v3/lists/search", "GET /crm/v3/lists"],
        answer: r#"{"hasMore": false, "offset": "shown-offset", "total": 1, "lists": [{"listId": "shown-list",
            "additionalProperties": {"hs_list_size": "shown-size"}, "filterBranch": {"value": "never-filter"}}]}"#,
    },
    Sample {
        calls: &["POST /integrators/timeline/v3/events/batch/create"],
        answer: batch!(r#"[{"id": "shown-id", "email": "never-email", "tokens": {"a": "never-token"}}]"#),
    },
    Sample {
        calls: &["POST /crm/lists/2026-09-beta/all"],
        answer: r#"{"total": 1, "results": [{"listId": "shown-list", "filterBranch": {"value": "never-filter"}}]}"#,
    },
    Sample {
        calls: &["POST /scheduler/v3/meetings/calendar"],
        answer: r#"{"id": "shown-id", "properties": {"email": ["shown-one", "shown-two"], "hs_meeting_body": "hidden-body",
            "hs_attachment_ids": ["hidden-file"], "hs_object_id": "shown-object", "createdate": {"a": "never-odd"}}}"#,
    },
    Sample {
        calls: &["POST /scheduler/v3/meetings/meeting-links/book"],
        answer: r#"{"contactId": "shown-contact", "start": "shown-start", "subject": "hidden-subject",
            "guestEmails": ["hidden-guest"], "webConferenceUrl": "hidden-url", "formFields": [
                {"name": "email", "value": "shown-address", "label": "shown-label"},
                {"value": "hidden-value", "label": "hidden-label", "name": "ssn"}]}"#,
    },
];
