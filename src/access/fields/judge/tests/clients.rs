//! What real clients send must pass under a rule that lets them do their work.

use super::outcome;

/// A few properties of each type, none of them odd.
const RULES: &str = "contacts read=email,firstname,lastname write=email,firstname,lastname; \
                     companies read=name,domain,hs_additional_domains write=name,domain; \
                     deals read=dealname,amount,dealstage,pipeline,closedate write=dealname,amount,dealstage; \
                     tickets read=subject,content,hs_pipeline_stage write=subject,content";

#[test]
fn requests_of_real_clients_are_not_refused_for_their_form() {
    let mut stopped = Vec::new();
    for (client, request, body) in [
        // HubSpot's own libraries.
        (
            "node",
            "GET /crm/v3/objects/contacts?limit=100&after=1&properties=email&properties=salary&associations=companies&archived=false",
            "",
        ),
        (
            "node",
            "GET /crm/v3/objects/contacts/1?archived=false&propertiesWithHistory=email",
            "",
        ),
        (
            "node",
            "GET /crm/v3/objects/contacts/a%40b?idProperty=email&archived=true",
            "",
        ),
        (
            "node",
            "POST /crm/v3/objects/contacts/batch/read?archived=false",
            r#"{"propertiesWithHistory":[],"idProperty":"email","inputs":[{"id":"a@b"}],"properties":["email","salary"]}"#,
        ),
        (
            "python",
            "POST /crm/v3/objects/contacts/search",
            r#"{"after":"0","filterGroups":[{"filters":[{"highValue":"2","propertyName":"createdate","values":["1"],"value":"1","operator":"BETWEEN"}]}],"limit":100,"properties":["email"],"sorts":["createdate"]}"#,
        ),
        (
            "python",
            "POST /crm/v3/objects/contacts/batch/upsert",
            r#"{"inputs":[{"idProperty":"email","id":"a@b","objectWriteTraceId":"x","properties":{"firstname":"A"}}]}"#,
        ),
        (
            "python",
            "POST /crm/v3/objects/contacts",
            r#"{"associations":[],"objectWriteTraceId":"x","properties":{"email":"a@b"}}"#,
        ),
        (
            "sdk",
            "GET /crm/objects/2026-03/contacts?limit=10&properties=email",
            "",
        ),
        (
            "mcp",
            "GET /crm/v3/properties/contacts?archived=false&dataSensitivity=non_sensitive",
            "",
        ),
        (
            "mcp",
            "POST /crm/v3/objects/contacts/search",
            r#"{"filterGroups":[],"properties":["email"],"limit":10,"after":"1","sorts":[{"propertyName":"createdate","direction":"DESCENDING"}]}"#,
        ),
        // Extractors.
        (
            "airbyte",
            "GET /crm/v3/objects/contact?archived=false&associations=contacts,companies&limit=100&properties=email,salary",
            "",
        ),
        (
            "airbyte",
            "POST /crm/v3/objects/deal/search",
            r#"{"limit":100,"sorts":[{"propertyName":"hs_object_id","direction":"ASCENDING"}],"filters":[{"value":"1","propertyName":"hs_lastmodifieddate","operator":"GTE"},{"value":0,"propertyName":"hs_object_id","operator":"GTE"}],"properties":["dealname","x"],"after":0}"#,
        ),
        (
            "airbyte",
            "GET /contacts/v1/lists/all/contacts/all?count=100&showListMemberships=true&formSubmissionMode=all&vidOffset=1",
            "",
        ),
        (
            "tap",
            "GET /companies/v2/companies/recent/modified?count=100&offset=1&since=1",
            "",
        ),
        ("tap", "GET /companies/v2/companies/1", ""),
        (
            "tap",
            "GET /companies/v2/companies/1/vids?count=100&vidOffset=1",
            "",
        ),
        (
            "tap",
            "GET /deals/v1/deal/paged?count=100&limit=100&includeAssociations=False&includeAllProperties=True&allPropertiesFetchMode=latest_version&properties=",
            "",
        ),
        (
            "tap",
            "GET /contacts/v1/contact/vids/batch/?vid=1&vid=2&showListMemberships=true&formSubmissionMode=all",
            "",
        ),
        (
            "dlt",
            "GET /crm/v3/objects/deals?associations=contacts&limit=100&properties=dealname&propertiesWithHistory=amount&archived=true",
            "",
        ),
        // Others.
        (
            "hubspot3",
            "GET /contacts/v1/lists/all/contacts/all?count=100&vidOffset=0&property=email&property=salary",
            "",
        ),
        (
            "hubspot3",
            "GET /companies/v2/companies/paged?limit=250&offset=0&properties=name&properties=x",
            "",
        ),
        (
            "hubspot3",
            "POST /companies/v2/domains/a.example/companies",
            r#"{"limit":2,"requestOptions":{"properties":["domain","createdate","name"]},"offset":{"isPrimary":true,"companyId":0}}"#,
        ),
        (
            "hubspot3",
            "GET /deals/v1/deal/recent/modified?count=100&since=1&includePropertyVersions=true&offset=0",
            "",
        ),
        (
            "n8n",
            "POST /contacts/v1/contact/createOrUpdate/email/a%40b?formSubmissionMode=all",
            r#"{"properties":[{"property":"firstname","value":"A"}]}"#,
        ),
        (
            "n8n",
            "GET /contacts/v1/contact/vid/1/profile?propertyMode=value_only&formSubmissionMode=newest&showListMemberships=true&property=email",
            "",
        ),
        (
            "n8n",
            "GET /contacts/v1/lists/recently_updated/contacts/recent?count=100&vidOffset=1&timeOffset=1&property=email",
            "",
        ),
        ("n8n", "GET /companies/v2/companies/1?includeMergeAudits=true", ""),
        (
            "n8n",
            "GET /companies/v2/companies/recent/created?since=1&count=1",
            "",
        ),
        ("n8n", "GET /deals/v1/deal/1?includePropertyVersions=true", ""),
        (
            "n8n",
            "POST /deals/v1/deal",
            r#"{"properties":[{"name":"dealname","value":"A"}],"associations":{"associatedCompanyIds":[1],"associatedVids":[2]}}"#,
        ),
        (
            "n8n",
            "POST /crm-objects/v1/objects/tickets",
            r#"[{"name":"subject","value":"A"}]"#,
        ),
        (
            "n8n",
            "GET /crm-objects/v1/objects/tickets/paged?properties=subject&propertiesWithHistory=content&offset=1",
            "",
        ),
        (
            "n8n",
            "GET /crm-objects/v1/objects/tickets/1?properties=subject&includeDeleted=true",
            "",
        ),
        (
            "n8n",
            "POST /crm/v3/objects/deals/search",
            r#"{"filterGroups":[{"filters":[{"propertyName":"amount","operator":"GT","value":"1"}]}],"sorts":[{"propertyName":"createdate","direction":"DESCENDING"}],"direction":"DESCENDING","sortBy":"createdate","properties":["dealname"],"limit":100}"#,
        ),
        (
            "hubspot",
            "GET /contacts/v1/contact/email/a%40b/profile?property=email&portalId=1",
            "",
        ),
        (
            "hubspot",
            "GET /deals/v1/deal/associated/contact/1/paged?limit=10&includeAssociations=true&properties=dealname",
            "",
        ),
        // Definitions: extractors ask for all, with what they like.
        ("any", "GET /properties/v1/contacts/properties?count=1", ""),
        (
            "any",
            "GET /properties/v2/deals/properties?includeVersions=true",
            "",
        ),
        ("any", "GET /crm/v3/schemas/contacts?archived=false", ""),
        ("any", "GET /crm/v3/pipelines/deals?archived=false", ""),
    ] {
        let got = outcome(request, body, RULES);
        if got != "same" && !got.starts_with("up") {
            stopped.push(format!("{client}: {request} {body}: {got}"));
        }
    }
    assert!(stopped.is_empty(), "{stopped:#?}");
}
