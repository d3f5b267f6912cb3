//! The APIs before v3.

use super::Sample;

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
        calls: &["DELETE /companies/v2/companies/{id}"],
        answer: r#"{"companyId": "shown-id", "deleted": true, "name": "never-name"}"#,
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
];
