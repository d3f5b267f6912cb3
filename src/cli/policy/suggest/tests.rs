//! Drafts from calls: what stands in them, and what the calls meet under them.

use super::*;
use crate::access::policy::lint::lint;
use crate::access::survey::idle::idle;

fn head(calls: usize) -> Head {
    Head {
        integration: "draft".to_owned(),
        owner: "owner@example.com".to_owned(),
        connection: "main".to_owned(),
        calls,
    }
}

fn suggested(text: &str) -> (Suggestion, Vec<Call>, Catalogue) {
    let catalogue = Catalogue::embedded().unwrap();
    let calls = calls::parse("calls.txt", text).unwrap();
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    let suggestion = suggest(&catalogue, &calls, &head(calls.len()), now);
    (suggestion, calls, catalogue)
}

const PLAIN: &str = r#"GET /crm/v3/objects/contacts/1
GET /crm/v3/objects/p_car/1?associations=contacts
PUT /crm/v4/objects/contact/1/associations/default/tickets/2
DELETE /crm/v3/objects/tickets/2
GET /files/v3/files/1/signed-url
GET /oauth/v1/access-tokens/secret-token
# optional
GET /crm/v3/owners
"#;

#[test]
fn a_draft_loads_opens_its_calls_and_nothing_beside_them() {
    let (suggestion, calls, catalogue) = suggested(PLAIN);
    let text = suggestion.text.clone().unwrap();
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    let policy = load(&text, "draft", &catalogue, now).unwrap();
    let under = Under {
        policy: &policy,
        ceiling: None,
        connection: usual_connection(&policy),
        now,
    };
    let decided = |asked: &Asked<'_>| explain(&catalogue, asked, Some(&under)).decision;
    for call in &calls {
        assert_eq!(decided(&asked(call)), Some("allow"), "{call:?}\n{text}");
    }
    for (method, target) in [
        ("GET", "/crm/v3/objects/tickets/1"),
        ("GET", "/crm/v3/objects/contacts"),
        ("PUT", "/crm/v4/objects/deals/1/associations/default/tickets/2"),
        ("DELETE", "/crm/v3/objects/contacts/2"),
    ] {
        let other = Asked {
            method,
            target,
            body: None,
            content_type: None,
        };
        assert_eq!(decided(&other), Some("deny"), "{method} {target}");
    }
    let findings = [lint(&policy, &catalogue, now), idle(&policy, &catalogue)].concat();
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert!(codes.iter().all(|code| *code == "SG160"), "{findings:?}");
    assert_eq!(suggestion.left, [], "the gate answers about its keys itself");
    assert_eq!(suggestion.answered, [6]);
    assert!(!text.contains("secret"));
    insta::assert_snapshot!(text);
}

#[test]
fn properties_are_those_that_calls_name_and_no_value_is_copied() {
    let calls = r#"POST /crm/v3/objects/contacts/search {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "secret-value"}]}], "properties": ["firstname"]}
PATCH /crm/v3/objects/contacts/1 {"properties": {"phone": "secret-value", "1st": "x"}}
GET /crm/v3/objects/deals/1
GET /unheard/of?hapikey=secret-key
"#;
    let (suggestion, ..) = suggested(calls);
    let text = suggestion.text.unwrap();
    assert!(
        text.contains("properties:\n  contacts: { read: [email, firstname], write: [\"1st\", phone] }\n"),
        "{text}"
    );
    assert!(text.contains("none is readable: deals\n"), "{text}");
    let told = format!("{text}{:?}", suggestion.left);
    assert!(!told.contains("secret"), "{told}");
    let left: Vec<usize> = suggestion.left.iter().map(|left| left.at).collect();
    assert_eq!(left, [4], "{:?}\n{text}", suggestion.left);
}

#[test]
fn an_import_is_drafted_from_its_multipart_body_and_a_call_for_a_token_is_left() {
    let request = r#"{"name":"x","files":[{"fileName":"a.csv","fileFormat":"CSV","fileImportPage":{"columnMappings":[{"columnObjectTypeId":"0-1","columnName":"e","propertyName":"email"}]}}]}"#;
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n{request}\r\n--b--\r\n"
    );
    let sent = serde_json::json!({"log": {"entries": [
        {"request": {"method": "POST", "url": "https://api.hubapi.com/crm/v3/imports",
            "postData": {"mimeType": "multipart/form-data; boundary=b", "text": body}}},
        {"request": {"method": "POST", "url": "https://api.hubapi.com/oauth/v1/token"}},
    ]}});
    let (suggestion, ..) = suggested(&sent.to_string());
    let text = suggestion.text.unwrap();
    assert!(text.contains("contacts: { write: [email] }"), "{text}");
    let left: Vec<usize> = suggestion.left.iter().map(|left| left.at).collect();
    assert_eq!(left, [2], "{:?}", suggestion.left);
}
