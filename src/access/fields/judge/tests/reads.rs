use super::check;

const RULES: &str = "contacts read=email,firstname";
const DENY: &str = "deny contacts read=email,firstname";

#[test]
fn a_read_asks_for_what_may_be_read() {
    let list = "GET /crm/v3/objects/contacts?properties=";
    check(&[
        (&format!("{list}email"), "", RULES, "same"),
        (&format!("{list}email,salary"), "", RULES, "up ?properties=email"),
        (
            &format!("{list}salary,email&properties=ssn,firstname"),
            "",
            RULES,
            "up ?properties=email&properties=firstname",
        ),
        (
            &format!("{list}email&properties=ssn"),
            "",
            RULES,
            "up ?properties=email",
        ),
        (
            &format!("{list}%20email%20,%20salary%20"),
            "",
            RULES,
            "up ?properties=email",
        ),
        (&format!("{list}salary"), "", RULES, "up ?properties=hs_object_id"),
        (
            &format!("{list}salary&limit=5"),
            "",
            RULES,
            "up ?properties=hs_object_id&limit=5",
        ),
        (
            &format!("{list}createdate,lastmodifieddate,hs_object_id"),
            "",
            RULES,
            "same",
        ),
        (
            &format!("{list}email,salary,ssn"),
            "",
            DENY,
            "deny property salary,ssn at properties",
        ),
        (&format!("{list}email"), "", DENY, "same"),
        (
            "GET /crm/v3/objects/contacts/1?propertiesWithHistory=email,salary&properties=email",
            "",
            RULES,
            "up ?propertiesWithHistory=email&properties=email",
        ),
        (
            "GET /crm/v3/objects/contacts/1?properties=email&propertiesWithHistory=createdate",
            "",
            RULES,
            "up ?properties=email",
        ),
        (
            "GET /crm/objects/2026-03/0-1/1?properties=salary",
            "",
            RULES,
            "up ?properties=hs_object_id",
        ),
        (
            "GET /crm/v3/objects/contacts/1?properties=salary",
            "",
            "contacts read=!salary",
            "up ?properties=hs_object_id",
        ),
        (
            "GET /crm/v3/objects/contacts/1?properties=sal%E2%80%8Bary,company.salary,hs_email_domain,x",
            "",
            "contacts read=!salary,email",
            "up ?properties=x",
        ),
    ]);
}

#[test]
fn a_read_that_names_nothing_gets_the_defaults_that_may_be_read() {
    check(&[
        (
            "GET /crm/v3/objects/contacts?limit=5",
            "",
            RULES,
            "up ?limit=5&properties=createdate,email,firstname,hs_object_id,lastmodifieddate",
        ),
        (
            "GET /crm/v3/objects/contacts",
            "",
            "contacts read=!salary",
            "same",
        ),
        (
            "GET /crm/v3/objects/contacts",
            "",
            "contacts read=email,firstname,lastname",
            "same",
        ),
        (
            "GET /crm/v3/objects/contacts/1",
            "",
            "deals read=all",
            "up ?properties=createdate,hs_object_id,lastmodifieddate",
        ),
        // Nobody says what HubSpot answers of a lead.
        ("GET /crm/v3/objects/leads", "", "leads read=hs_lead_name", "same"),
        (
            "POST /crm/v3/objects/contacts/search",
            r#"{"limit":5}"#,
            RULES,
            r#"up {"limit":5,"properties":["createdate","email","firstname","hs_object_id","lastmodifieddate"]}"#,
        ),
        (
            "POST /crm/v3/objects/contacts/batch/read",
            r#"{"properties":[],"inputs":[{"id":"1"}]}"#,
            RULES,
            r#"up {"properties":["createdate","email","firstname","hs_object_id","lastmodifieddate"],"inputs":[{"id":"1"}]}"#,
        ),
    ]);
}

#[test]
fn a_list_of_no_names_is_no_list() {
    check(&[
        (
            "GET /crm/v3/objects/contacts?properties=",
            "",
            "contacts read=email",
            "up ?properties=createdate,email,hs_object_id,lastmodifieddate",
        ),
        (
            "GET /crm/v3/objects/contacts?properties=%20,",
            "",
            "contacts read=!salary",
            "up ?",
        ),
    ]);
}

#[test]
fn names_beside_dots_and_signs_are_no_way_round_an_exception() {
    let rules = "contacts read=!salary,ssn";
    for name in [
        "company.salary",
        "salary.company",
        "salary.",
        ".salary",
        "-salary",
        "a..ssn",
        "a.ssn.b",
    ] {
        check(&[(
            &format!("GET /crm/v3/objects/contacts?properties={name}"),
            "",
            rules,
            "up ?properties=hs_object_id",
        )]);
    }
    check(&[(
        "GET /crm/v3/objects/contacts?properties=company.name",
        "",
        rules,
        "same",
    )]);
}

#[test]
fn bodies_that_read_are_narrowed_in_place() {
    let read = "POST /crm/v3/objects/contacts/batch/read";
    check(&[
        (
            read,
            r#"{"inputs":[{"id":"1"}],"properties":["email"]}"#,
            RULES,
            "same",
        ),
        (
            read,
            r#"{"inputs":[{"id":"1"}],"properties":["email","salary"],"propertiesWithHistory":["ssn"]}"#,
            RULES,
            r#"up {"inputs":[{"id":"1"}],"properties":["email"]}"#,
        ),
        (
            read,
            r#"{"properties":["s\u0061lary"," email "],"inputs":[]}"#,
            RULES,
            r#"up {"properties":["email"],"inputs":[]}"#,
        ),
        (
            read,
            r#"{"properties":["salary"],"inputs":[]}"#,
            RULES,
            r#"up {"properties":["hs_object_id"],"inputs":[]}"#,
        ),
        (
            read,
            r#"{"properties":["salary"],"inputs":[]}"#,
            DENY,
            "deny property salary at /properties",
        ),
        (
            read,
            r#"{"properties":"salary","inputs":[]}"#,
            RULES,
            "refuse refused_body at /properties",
        ),
        (
            read,
            r#"{"properties":["email",{"name":"salary"}],"inputs":[]}"#,
            RULES,
            "refuse refused_body at /properties/1",
        ),
        (
            read,
            r#"{"Properties":["salary"],"inputs":[]}"#,
            RULES,
            "refuse refused_body at /Properties",
        ),
        (
            "POST /crm/v3/objects/contacts/search",
            r#"{"filterGroups":[{"filters":[{"propertyName":"email","operator":"EQ","value":"a"}]}],"sorts":["-createdate"],"properties":["firstname","ssn"],"limit":1,"after":"2"}"#,
            RULES,
            r#"up {"filterGroups":[{"filters":[{"propertyName":"email","operator":"EQ","value":"a"}]}],"sorts":["-createdate"],"properties":["firstname"],"limit":1,"after":"2"}"#,
        ),
    ]);
}

#[test]
fn an_unknown_parameter_or_member_of_a_record_operation_is_refused() {
    check(&[
        (
            "GET /crm/v3/objects/contacts?fields=salary",
            "",
            RULES,
            "refuse refused_query at query",
        ),
        (
            "GET /crm/v3/objects/contacts?Sort=salary",
            "",
            RULES,
            "refuse refused_query at query",
        ),
        (
            "GET /crm/v3/objects/contacts?limit=1&after=2&archived=false&associations=deals&properties=email",
            "",
            RULES,
            "same",
        ),
        (
            "POST /crm/v3/objects/contacts/search",
            r#"{"facets":["salary"]}"#,
            RULES,
            "refuse refused_body at /facets",
        ),
        (
            "POST /crm/v3/objects/contacts/search",
            r#"{"filterGroups":[{"filters":[{"propertyName":"email","PropertyName":"salary"}]}]}"#,
            RULES,
            "refuse refused_body at /filterGroups/0/filters/0/PropertyName",
        ),
        (
            "POST /crm/v3/objects/contacts/search",
            "[]",
            RULES,
            "refuse refused_body at /",
        ),
        (
            "POST /crm/v3/objects/contacts/search",
            "",
            RULES,
            "refuse refused_body at /",
        ),
    ]);
}
