use super::check;

const RULES: &str = "contacts read=email,firstname write=email,firstname; companies read=name write=name; deals read=dealname write=dealname; tickets read=subject write=subject";

#[test]
fn contacts_v1_is_narrowed_where_it_lets_us() {
    check(&[
        (
            "GET /contacts/v1/lists/all/contacts/all?property=email&property=salary&count=5",
            "",
            RULES,
            "up ?property=email&count=5&formSubmissionMode=none",
        ),
        (
            "GET /contacts/v1/lists/7/contacts/all?property=salary",
            "",
            RULES,
            "up ?property=hs_object_id&formSubmissionMode=none",
        ),
        (
            "GET /contacts/v1/contact/vid/1/profile",
            "",
            RULES,
            "up ?formSubmissionMode=none&property=hs_object_id&property=createdate&property=lastmodifieddate&property=email&property=firstname",
        ),
        (
            "GET /contacts/v1/contact/vid/1/profile?formSubmissionMode=all",
            "",
            "contacts read=!salary",
            "up ?formSubmissionMode=none",
        ),
        (
            "GET /contacts/v1/contact/vids/batch?vid=1&vid=2&property=ssn,email",
            "",
            RULES,
            "up ?vid=1&vid=2&property=email&formSubmissionMode=none",
        ),
        (
            "GET /contacts/v1/lists/all/contacts/all?property=salary",
            "",
            "deny contacts read=email",
            "deny property salary at property",
        ),
    ]);
}

#[test]
fn paths_and_parameters_that_look_up_by_a_property_are_filters_on_it_and_writes_of_it() {
    let no_email = "contacts read=firstname write=firstname; companies read=name";
    let unwritten = "contacts read=email,hs_additional_emails write=firstname";
    let body = r#"{"properties":[{"property":"firstname","value":"A"}]}"#;
    let by_mail = "/contacts/v1/contact/email/a%40b.c/profile";
    check(&[
        (
            &format!("GET {by_mail}"),
            "",
            no_email,
            "deny property email at path",
        ),
        (
            &format!("GET {by_mail}?property=email"),
            "",
            RULES,
            "up ?property=email&formSubmissionMode=none",
        ),
        (&format!("POST {by_mail}"), body, RULES, "same"),
        (
            &format!("POST {by_mail}"),
            body,
            unwritten,
            "deny property email at path",
        ),
        (
            "POST /contacts/v1/contact/createOrUpdate/email/a@b",
            body,
            RULES,
            "same",
        ),
        (
            "POST /contacts/v1/contact/createOrUpdate/email/a@b",
            body,
            unwritten,
            "deny property email at path",
        ),
        (
            "POST /contacts/v1/contact/createOrUpdate/email/a@b",
            body,
            "contacts read=email write=email,firstname email:c@d",
            "deny value email at path",
        ),
        (
            "GET /contacts/v1/contact/emails/batch?email=a@b",
            "",
            no_email,
            "deny property email at email",
        ),
        (
            "GET /contacts/v1/contact/utk/abc/profile",
            "",
            RULES,
            "deny property hubspotutk at path",
        ),
        (
            "GET /contacts/v1/contact/utks/batch?utk=abc",
            "",
            RULES,
            "deny property hubspotutk at utk",
        ),
        (
            "PUT /contacts/v1/secondary-email/1/email/a@b",
            "",
            RULES,
            "deny property hs_additional_emails at path",
        ),
        (
            "PUT /contacts/v1/secondary-email/1/email/a@b",
            "",
            unwritten,
            "deny property email at path",
        ),
        (
            "DELETE /contacts/v1/secondary-email/1/email/a@b",
            "",
            unwritten,
            "deny property email at path",
        ),
        (
            "POST /companies/v2/domains/b.c/companies",
            "{}",
            RULES,
            "deny property domain at path",
        ),
        (
            "POST /companies/v2/domains/b.c/companies",
            r#"{"limit":1,"requestOptions":{"properties":["salary","domain"]}}"#,
            "companies read=domain",
            r#"up {"limit":1,"requestOptions":{"properties":["domain"]}}"#,
        ),
        (
            "POST /companies/v2/domains/b.c/companies",
            r#"{"limit":1,"requestOptions":{"fields":["salary"]}}"#,
            "companies read=domain",
            "refuse refused_body at /requestOptions/fields",
        ),
        (
            "POST /contacts/v1/lists/7/add",
            r#"{"vids":[1]}"#,
            no_email,
            "same",
        ),
        (
            "POST /contacts/v1/lists/7/add",
            r#"{"emails":["a@b"]}"#,
            no_email,
            "deny property email at /emails",
        ),
    ]);
}

#[test]
fn companies_and_deals_are_narrowed_too() {
    check(&[
        (
            "GET /companies/v2/companies/paged?properties=name&properties=salary&propertiesWithHistory=name",
            "",
            RULES,
            "up ?properties=name&propertiesWithHistory=name",
        ),
        (
            "GET /deals/v1/deal/paged?properties=amount&includeAllProperties=true&limit=2",
            "",
            RULES,
            "up ?properties=hs_object_id&limit=2",
        ),
        ("GET /companies/v2/companies/1", "", RULES, "same"),
        (
            "GET /companies/v2/companies/1/contacts?property=salary",
            "",
            RULES,
            "up ?property=hs_object_id",
        ),
        (
            "GET /crm-objects/v1/objects/tickets/paged?properties=content&properties=subject",
            "",
            RULES,
            "up ?properties=subject",
        ),
        (
            "POST /crm-objects/v1/objects/tickets/batch-read?properties=content",
            r#"{"ids":[1]}"#,
            RULES,
            "up ?properties=hs_object_id",
        ),
        (
            "GET /crm-objects/v1/change-log/tickets",
            "",
            RULES,
            "deny property * at path",
        ),
        (
            "GET /contacts/v1/lists/all/contacts/all?fields=x",
            "",
            RULES,
            "refuse refused_query at query",
        ),
    ]);
}

#[test]
fn old_bodies_are_held_to_names_and_values() {
    let values = "deals read=dealstage write=dealstage dealstage:won";
    check(&[
        (
            "POST /contacts/v1/contact",
            r#"{"properties":[{"property":"email","value":"a"}]}"#,
            RULES,
            "same",
        ),
        (
            "POST /contacts/v1/contact",
            r#"{"properties":[{"property":"email","value":"a"},{"property":"salary","value":"1"}]}"#,
            RULES,
            "deny property salary at /properties/1/property",
        ),
        (
            "POST /contacts/v1/contact",
            r#"{"properties":[{"property":"email","name":"salary","value":"1"}]}"#,
            RULES,
            "deny property salary at /properties/0/name",
        ),
        (
            "POST /contacts/v1/contact",
            r#"{"properties":[{"value":"1"}]}"#,
            RULES,
            "refuse refused_body at /properties/0",
        ),
        (
            "POST /contacts/v1/contact",
            r#"{"properties":{"salary":"1"}}"#,
            RULES,
            "refuse refused_body at /properties",
        ),
        (
            "POST /contacts/v1/contact/batch",
            r#"[{"vid":1,"properties":[]},{"email":"a","properties":[{"property":"salary","value":"1"}]}]"#,
            RULES,
            "deny property salary at /1/properties/0/property",
        ),
        (
            "POST /contacts/v1/contact/batch",
            r#"[{"email":"a","properties":[]}]"#,
            "contacts read=email write=firstname",
            "deny property email at /0/email",
        ),
        (
            "PUT /companies/v2/companies/1",
            r#"{"properties":[{"name":"salary","value":1}]}"#,
            RULES,
            "deny property salary at /properties/0/name",
        ),
        (
            "POST /companies/v1/batch-async/update",
            r#"[{"objectId":1,"properties":[{"name":"salary","value":1}]}]"#,
            RULES,
            "deny property salary at /0/properties/0/name",
        ),
        (
            "PUT /deals/v1/deal/1",
            r#"{"properties":[{"name":"dealstage","value":"lost"}]}"#,
            values,
            "deny value dealstage at /properties/0/name",
        ),
        (
            "PUT /deals/v1/deal/1",
            r#"{"properties":[{"name":"dealstage"}]}"#,
            values,
            "deny value dealstage at /properties/0/name",
        ),
        (
            "PUT /deals/v1/deal/1",
            r#"{"properties":[{"name":"dealstage","value":"won"}]}"#,
            values,
            "same",
        ),
        (
            "POST /crm-objects/v1/objects/tickets",
            r#"[{"name":"subject","value":"a"},{"name":"content","value":"b"}]"#,
            RULES,
            "deny property content at /1/name",
        ),
        (
            "POST /crm-objects/v1/objects/tickets/batch-create",
            r#"[[{"name":"subject","value":"a"}],[{"name":"content","value":"b"}]]"#,
            RULES,
            "deny property content at /1/0/name",
        ),
        (
            "POST /crm-objects/v1/objects/tickets/batch-update",
            r#"{"7":[{"name":"content","value":"b"}]}"#,
            RULES,
            "deny property content at /7/0/name",
        ),
        (
            "POST /contacts/v1/contact/merge-vids/1",
            r#"{"vidToMerge":2}"#,
            RULES,
            "same",
        ),
        (
            "POST /contacts/v1/lists",
            r#"{"name":"x","filters":[[{"property":"salary"}]]}"#,
            RULES,
            "deny property * at path",
        ),
    ]);
}
