//! Ways round a rule that no single carrier shows: by an effect that is no write, by what is made
//! now and looked at later, by members that two readers take for different things.

use super::{bounds, check, judged, outcome, shown};

/// Everything may be read, little written.
const READS_ALL: &str = "contacts read=all write=email; * read=all write=all";
/// `salary` is hidden, nothing else.
const HIDES_ONE: &str = "contacts read=!salary write=!salary; * read=all write=all";

/// Whoever may not write a property may not do away with it either, be it with its definition.
#[test]
fn what_is_not_writable_is_not_removed() {
    let batch = "POST /crm/v3/properties/contacts/batch/archive";
    check(&[
        (
            "DELETE /crm/v3/properties/contacts/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        ("DELETE /crm/v3/properties/contacts/email", "", READS_ALL, "same"),
        (
            "DELETE /crm/properties/2026-03/contacts/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            "DELETE /properties/v1/contacts/properties/named/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            "DELETE /properties/v2/contacts/properties/named/salary",
            "",
            READS_ALL,
            "deny property salary at path",
        ),
        (
            batch,
            r#"{"inputs":[{"name":"email"},{"name":"salary"}]}"#,
            READS_ALL,
            "deny property salary at /inputs/1/name",
        ),
        (batch, r#"{"inputs":[{"name":"email"}]}"#, READS_ALL, "same"),
        (
            "DELETE /contacts/v1/secondary-email/1/email/a@b",
            "",
            READS_ALL,
            "deny property hs_additional_emails at path",
        ),
        // Records are not properties.
        ("DELETE /crm/v3/objects/contacts/1", "", READS_ALL, "same"),
        (
            "POST /crm/v3/objects/contacts/batch/archive",
            r#"{"inputs":[{"id":"1"}]}"#,
            READS_ALL,
            "same",
        ),
    ]);
}

/// Forms, pages and e-mails show a visitor or recipient what is known of them; whoever makes one may
/// be that visitor.
#[test]
fn nothing_that_shows_or_sets_any_property_later_is_made() {
    for request in [
        "POST /forms/v2/forms",
        "POST /marketing/v3/forms",
        "PATCH /marketing/v3/forms/1",
        "POST /marketing/v3/emails",
        "PATCH /marketing/v3/emails/1/draft",
        "POST /marketing-emails/v1/emails",
        "POST /cms/v3/pages/site-pages",
        "PATCH /cms/v3/pages/landing-pages/1/draft",
        "POST /cms/v3/blogs/posts",
        "POST /content/api/v2/pages",
        "POST /content/api/v2/blog-posts",
        // Finds records by a property of the definition's choice, when the event comes.
        "POST /events/v3/event-definitions",
        "PATCH /events/custom/2026-09/event-definitions/e",
        // Calls and meetings are told to an address that is set here.
        "PATCH /crm/v3/extensions/calling/1/settings",
        "PUT /crm/v3/extensions/videoconferencing/settings/1",
        "POST /conversations/v3/custom-channels",
    ] {
        let got = outcome(request, "", HIDES_ONE);
        assert_eq!(got, "deny property * at path", "{request}");
        let got = outcome(request, "", "* read=all write=all");
        assert_eq!(got, "same", "{request}");
    }
    for request in [
        "GET /marketing/v3/forms",
        "GET /marketing/v3/emails",
        "GET /cms/v3/pages/site-pages",
        "GET /events/v3/event-definitions",
        "POST /cms/v3/hubdb/tables",
        "POST /cms/v3/blogs/tags",
    ] {
        assert_eq!(outcome(request, "", HIDES_ONE), "same", "{request}");
    }
}

#[test]
fn what_people_left_with_their_address_needs_the_address() {
    for (request, rules, expected) in [
        (
            "GET /comments/v3/comments",
            "contacts read=!email",
            "deny property email at path",
        ),
        (
            "GET /comments/v3/comments",
            "contacts read=firstname,lastname,email",
            "same",
        ),
        (
            "GET /events/v3/events?objectType=contact&objectId=1",
            "contacts read=email",
            "deny property ip_city,ip_country,ip_state at path",
        ),
        (
            "GET /events/event-occurrences/2026-03?objectId=1",
            "contacts read=email",
            "deny property ip_city,ip_country,ip_state at path",
        ),
        (
            "GET /events/v3/events?objectType=deal&objectId=1",
            "contacts read=email; deals read=all",
            "same",
        ),
        (
            "GET /events/v3/events?objectType=contact&objectId=1",
            HIDES_ONE,
            "same",
        ),
    ] {
        assert_eq!(outcome(request, "", rules), expected, "{request} {rules}");
    }
}

/// What an event says is dropped from it, and must not come back as its rendering.
#[test]
fn what_is_dropped_from_an_event_is_not_shown_as_text_either() {
    for what in ["detail", "render"] {
        let request = format!("GET /integrators/timeline/v3/events/7/a/{what}");
        let got = outcome(&request, "", HIDES_ONE);
        assert_eq!(got, "deny property * at path", "{request}");
        assert_eq!(outcome(&request, "", "* read=all write=all"), "same", "{request}");
    }
}

/// A variable that is sent as `null` is one that is not sent, to some.
#[test]
fn a_default_of_a_variable_is_looked_at_even_where_null_is_sent() {
    let body = r#"{"query":"query q($f: F = {salary__gt: 5}) { CRM { contact_collection(filter: $f) { total items { email } } } }","variables":{"f":null}}"#;
    assert_eq!(
        outcome("POST /collector/graphql", body, HIDES_ONE),
        "deny property salary at /query"
    );
}

/// An association says by its type which records a branch is about, and `objectTypeId` says it again.
#[test]
fn a_branch_along_an_association_is_held_to_the_records_that_the_association_leads_to() {
    let list = |outer: &str, object: &str, link: &str| {
        format!(
            r#"{{"name":"x","objectTypeId":"{outer}","processingType":"DYNAMIC","filterBranch":{{"filterBranchType":"AND","filterBranches":[{{"filterBranchType":"ASSOCIATION","objectTypeId":"{object}",{link}"filters":[{{"filterType":"PROPERTY","property":"salary"}}]}}]}}}}"#
        )
    };
    let at = "/filterBranch/filterBranches/0/filters/0/property";
    let denied = format!("deny property salary at {at}");
    let ours = |id: u32| format!(r#""associationCategory":"HUBSPOT_DEFINED","associationTypeId":{id},"#);
    for (body, expected) in [
        // Company to contact, said to lead to companies.
        (list("0-2", "0-2", &ours(280)), &*denied),
        (list("0-2", "0-2", &ours(279)), &*denied),
        // Contact to company.
        (list("0-1", "0-2", &ours(279)), "same"),
        // Company to company.
        (list("0-2", "0-2", &ours(450)), "same"),
        // Nobody but HubSpot knows where it leads.
        (
            list(
                "0-2",
                "0-2",
                r#""associationCategory":"USER_DEFINED","associationTypeId":77,"#,
            ),
            &*denied,
        ),
    ] {
        let got = judged("POST /crm/v3/lists", &body, &["contacts"], &bounds(HIDES_ONE));
        assert_eq!(shown(got), expected, "{body}");
    }
}

#[test]
fn an_import_identifies_and_markets_by_no_other_spelling() {
    let rules = "contacts read=email write=email,ssn";
    let import = |more: &str, column: &str| {
        format!(
            r#"{{"name":"x",{more}"importOperations":{{"0-1":"UPDATE"}},"files":[{{"fileName":"a.csv","fileFormat":"CSV","fileImportPage":{{"hasHeader":true,"columnMappings":[{{"columnObjectTypeId":"0-1","columnName":"A",{column}"propertyName":"ssn"}}]}}}}]}}"#
        )
    };
    let at = "/files/0/fileImportPage/columnMappings/0";
    for (more, column, expected) in [
        ("", "", "same".to_owned()),
        ("", r#""columnType":"STANDARD","#, "same".to_owned()),
        (
            "",
            r#""columnType":"hubspot_alternate_id","#,
            format!("deny property ssn at {at}/propertyName"),
        ),
        (
            "",
            r#""columnType":"UNIQUE","#,
            format!("deny property ssn at {at}/propertyName"),
        ),
        (
            "",
            r#""marketableContact":true,"#,
            format!("deny property hs_marketable_status at {at}/marketableContact"),
        ),
        (
            r#""marketableContactImport":true,"#,
            "",
            "deny property hs_marketable_status at /marketableContactImport".to_owned(),
        ),
        (
            r#""marketableContactImport":false,"#,
            "",
            "deny property hs_marketable_status at /marketableContactImport".to_owned(),
        ),
        (
            "",
            r#""marketableContact":false,"#,
            format!("deny property hs_marketable_status at {at}/marketableContact"),
        ),
        (r#""marketableContactImport":null,"#, "", "same".to_owned()),
        ("", r#""columnObjectType":"CONTACT","#, "same".to_owned()),
        (
            "",
            r#""columnObjectType":"COMPANY","#,
            format!("refuse refused_body at {at}/columnObjectTypeId"),
        ),
    ] {
        let body = import(more, column);
        let got = judged("POST /crm/v3/imports", &body, &["contacts"], &bounds(rules));
        assert_eq!(shown(got), expected, "{body}");
    }
}

/// Names that HubSpot makes of a stage's id, and copies on records of other types.
#[test]
fn what_is_computed_from_a_hidden_property_is_hidden_whatever_it_is_called() {
    let search =
        |name: &str| format!(r#"{{"filters":[{{"propertyName":"{name}","operator":"HAS_PROPERTY"}}]}}"#);
    for (object, hidden, derived) in [
        ("deals", "dealstage", "hs_v2_date_entered_closedwon"),
        ("deals", "dealstage", "hs_v2_date_exited_1234"),
        ("deals", "dealstage", "hs_v2_latest_time_in_1234"),
        ("deals", "dealstage", "hs_v2_cumulative_time_in_1234"),
        ("deals", "dealstage", "hs_date_entered_1234"),
        ("deals", "dealstage", "hs_date_exited_1234"),
        ("deals", "dealstage", "hs_time_in_1234"),
        ("tickets", "hs_pipeline_stage", "hs_v2_date_entered_1"),
        ("contacts", "lifecyclestage", "hs_v2_date_entered_customer"),
        ("contacts", "lifecyclestage", "hs_v2_date_entered_1234"),
        ("tickets", "email", "hs_all_associated_contact_emails"),
        ("tickets", "lastname", "hs_all_associated_contact_lastnames"),
        ("tickets", "mobilephone", "hs_all_associated_contact_mobilephones"),
    ] {
        let rules = format!("* read=!{hidden}");
        let got = outcome(
            &format!("POST /crm/v3/objects/{object}/search"),
            &search(derived),
            &rules,
        );
        assert!(got.starts_with("deny property"), "{derived} of {hidden}: {got}");
        let rules = format!("{object} read={derived}; * read=all");
        let got = outcome(
            &format!("POST /crm/v3/objects/{object}/search"),
            &search(derived),
            &rules,
        );
        assert!(!got.starts_with("deny"), "{derived} granted by name: {got}");
    }
    let got = outcome(
        "POST /crm/v3/objects/deals/search",
        &search("hs_v2_date_entered_1"),
        "* read=!salary",
    );
    assert!(!got.starts_with("deny"), "{got}");
}

/// n8n's node for contacts sends its own settings along with the search.
#[test]
fn a_search_may_say_its_order_a_second_time() {
    let body = |by: &str| {
        format!(
            r#"{{"sorts":[{{"propertyName":"createdate","direction":"DESCENDING"}}],"direction":"DESCENDING","sortBy":"{by}","limit":10}}"#
        )
    };
    let search = "POST /crm/v3/objects/contacts/search";
    assert_eq!(outcome(search, &body("createdate"), HIDES_ONE), "same");
    assert_eq!(
        outcome(search, &body("salary"), HIDES_ONE),
        "deny property salary at /sortBy"
    );
}

#[test]
fn the_value_of_a_filter_is_no_place_for_more() {
    for value in [
        r#"{"propertyName":"salary"}"#,
        r#"[{"propertyName":"salary"}]"#,
        r#"[["a"]]"#,
    ] {
        for member in ["value", "values", "highValue"] {
            let body =
                format!(r#"{{"filters":[{{"propertyName":"email","operator":"EQ","{member}":{value}}}]}}"#);
            let got = outcome("POST /crm/v3/objects/contacts/search", &body, HIDES_ONE);
            assert!(got.starts_with("refuse refused_body"), "{body}: {got}");
        }
    }
    let body = r#"{"filters":[{"propertyName":"email","operator":"IN","values":["a",1,true,null]}]}"#;
    assert_eq!(
        outcome("POST /crm/v3/objects/contacts/search", body, HIDES_ONE),
        "same"
    );
}

/// A path that names two types asks for records of one of them, whichever stands first.
#[test]
fn records_of_another_ones_are_held_to_their_own_rule() {
    check(&[
        (
            "GET /deals/v1/deal/associated/contact/1/paged?properties=dealname&properties=margin",
            "",
            "deals read=!margin; contacts read=all",
            "up ?properties=dealname",
        ),
        (
            "GET /deals/v1/deal/associated/company/1/paged?properties=margin",
            "",
            "deals read=all; companies read=!margin",
            "same",
        ),
        (
            "GET /companies/v2/companies/1/contacts?property=salary&property=email",
            "",
            "contacts read=!salary; companies read=all",
            "up ?property=email",
        ),
    ]);
}

/// What stands for one thing is one thing: what is nested in its place nobody has judged.
#[test]
fn nothing_is_nested_where_a_plain_value_stands() {
    let batch = "POST /crm/v3/objects/contacts/batch";
    let search = "POST /crm/v3/objects/contacts/search";
    for (request, body, place) in [
        (
            "read",
            r#"{"inputs":[{"id":{"sorts":"salary"}}]}"#,
            "/inputs/0/id",
        ),
        ("read", r#"{"inputs":[{"id":["1"]}]}"#, "/inputs/0/id"),
        ("archive", r#"{"inputs":[{"id":{"id":"1"}}]}"#, "/inputs/0/id"),
        (
            "update",
            r#"{"inputs":[{"id":["1"],"properties":{}}]}"#,
            "/inputs/0/id",
        ),
        (
            "upsert",
            r#"{"inputs":[{"id":["1"],"idProperty":"email","properties":{}}]}"#,
            "/inputs/0/id",
        ),
    ] {
        let expected = format!("refuse refused_body at {place}");
        check(&[(&format!("{batch}/{request}"), body, HIDES_ONE, &expected)]);
    }
    for (body, place) in [
        (r#"{"limit":{"sorts":["salary"]}}"#, "/limit"),
        (r#"{"after":["1"]}"#, "/after"),
        (
            r#"{"sorts":[{"propertyName":"email","direction":{"a":1}}]}"#,
            "/sorts/0/direction",
        ),
        (
            r#"{"filterGroups":[{"filters":[{"propertyName":"email","operator":["EQ"],"value":"x"}]}]}"#,
            "/filterGroups/0/filters/0/operator",
        ),
    ] {
        let expected = format!("refuse refused_body at {place}");
        check(&[(search, body, HIDES_ONE, &expected)]);
    }
    let merge = "POST /crm/v3/objects/contacts/merge";
    let body = r#"{"primaryObjectId":["1"],"objectIdToMerge":"2"}"#;
    check(&[(merge, body, HIDES_ONE, "refuse refused_body at /primaryObjectId")]);
}
