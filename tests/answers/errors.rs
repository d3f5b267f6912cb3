//! Errors: whatever says them, a client gets HubSpot's status and a body that it can read.

use serde_json::{Value, json};

use crate::place::{Place, is_withheld};
use crate::upstream::Script;
use crate::wire::Reply;

const JSON: &str = "Content-Type: application/json;charset=utf-8\r\n";

fn answer(status: u16, lines: &str, body: impl AsRef<[u8]>) -> Script {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{lines}Content-Length: {}\r\n\r\n",
        body.len()
    );
    Script::new([head.as_bytes(), body].concat())
}

/// Whether it has HubSpot's status and the gate's words.
fn is_reworded(reply: &Reply, status: u16) -> bool {
    reply.status == status
        && reply.whole
        && reply.header("x-scopegate-source") == Some("gate")
        && reply.header("content-type") == Some("application/json;charset=utf-8")
        && reply.json()["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("scopegate"))
        && reply.sub_category() == "scopegate.upstream"
}

/// Bodies as HubSpot sends them, and what its clients read of them stays.
fn of_hubspot() -> Vec<(u16, Value)> {
    vec![
        (
            400,
            json!({"status": "error", "message": "Property values were not valid", "correlationId": "c", "category": "VALIDATION_ERROR",
            "errors": [{"message": "x is no integer", "code": "INVALID_INTEGER", "in": "amount", "context": {"propertyName": ["amount"]}}]}),
        ),
        (
            403,
            json!({"status": "error", "message": "This app hasn't been granted all required scopes", "correlationId": "c",
            "errors": [{"message": "One or more of the following scopes are required.", "context": {"requiredGranularScopes": ["crm.objects.contacts.read"], "requiredScopes": ["contacts"]}}],
            "links": {"scopes": "https://developers.hubspot.com/scopes"}, "category": "MISSING_SCOPES"}),
        ),
        (
            404,
            json!({"status": "error", "message": "resource not found", "correlationId": "c"}),
        ),
        (
            404,
            json!({"status": "error", "message": "Object not found.  objectId are usually numeric.", "correlationId": "c", "category": "OBJECT_NOT_FOUND", "context": {"id": ["1"]}}),
        ),
        (
            409,
            json!({"status": "error", "message": "Contact already exists. Existing ID: 7", "correlationId": "c", "category": "CONFLICT"}),
        ),
        (
            409,
            json!({"status": "error", "message": "Contact already exists", "error": "CONTACT_EXISTS", "requestId": "r",
            "identityProfile": {"vid": 7, "portalId": 1, "isContact": true, "identity": [{"type": "EMAIL", "value": "a@b.c", "timestamp": 1}], "linkedVid": []}}),
        ),
        (
            400,
            json!({"status": "error", "message": "m", "validationResults": [{"isValid": false, "message": "m", "error": "PROPERTY_DOESNT_EXIST", "name": "x"}], "requestId": "r"}),
        ),
        (
            429,
            json!({"status": "error", "message": "You have reached your ten_secondly_rolling limit.", "errorType": "RATE_LIMIT", "correlationId": "c", "policyName": "TEN_SECONDLY_ROLLING", "groupName": "publicapi:x"}),
        ),
        (
            429,
            json!({"status": "error", "message": "You have reached your secondly limit.", "errorType": "RATE_LIMIT", "correlationId": "c", "policyName": "SECONDLY", "requestId": "r"}),
        ),
        (
            477,
            json!({"status": "error", "message": "This account is being migrated", "correlationId": "c"}),
        ),
        (
            500,
            json!({"status": "error", "message": "internal error", "correlationId": "c"}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_clients_read_of_hubspots_errors_comes_down() {
    let place = Place::new().await;
    for (status, body) in of_hubspot() {
        let mut more = body.clone();
        more["stack"] = json!("at com.hubspot");
        more["debug"] = json!({"headers": {"x": "y"}});
        let lines = format!("{JSON}Retry-After: 7\r\nETag: \"x\"\r\n");
        let reply = place
            .under(place.reader(), answer(status, &lines, more.to_string()))
            .await
            .unwrap();
        assert_eq!((reply.status, reply.json()), (status, body), "{reply:?}");
        assert_eq!(reply.header("x-scopegate-source"), Some("upstream"));
        assert_eq!(
            reply.header("content-type"),
            Some("application/json;charset=utf-8")
        );
        assert_eq!(reply.header("retry-after"), Some("7"));
        assert_eq!(reply.header("etag"), None, "it is another body");
    }
    let several = json!({"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [{"status": "error", "anything": 1}]});
    let reply = place
        .under(place.reader(), answer(207, JSON, several.to_string()))
        .await
        .unwrap();
    assert_eq!((reply.status, reply.json()), (207, several), "a 207 is a success");
    let empty = place.under(place.reader(), answer(404, JSON, "")).await.unwrap();
    assert_eq!((empty.status, empty.body.len(), empty.whole), (404, 0, true));
    let untyped = place
        .under(place.reader(), answer(404, "", r#"{"message":"m"}"#))
        .await
        .unwrap();
    assert_eq!(
        untyped.header("content-type"),
        Some("application/json;charset=utf-8"),
        "clients read none without"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_error_of_hubspots_is_replaced_under_its_status() {
    let setting = "limits: { error_body_size: 4KiB }\n";
    let place = Place::with(setting).await;
    let page = "<html><title>502 Bad Gateway</title>canary</html>";
    let long = json!({"status": "error", "message": "canary".repeat(1_000)}).to_string();
    let deep = format!("{{\"message\":{}1{}}}", "[".repeat(400), "]".repeat(400));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("Content-Type: text/html\r\n", page.into()),
        (JSON, page.into()),
        ("", page.into()),
        ("Content-Type: text/plain\r\n", br#"{"message":"canary"}"#.into()),
        (
            "Content-Type: application/json; charset=utf-16\r\n",
            br#"{"message":"canary"}"#.into(),
        ),
        (JSON, long.into()),
        (JSON, deep.into()),
        (JSON, br#"["canary"]"#.into()),
        (JSON, br#""canary""#.into()),
        (JSON, br#"{"canary":"canary"}"#.into()),
        (JSON, br#"{"message":"canary""#.into()),
        (JSON, b"{\"message\":\"canary\xff\"}".into()),
        (JSON, "\u{feff}{\"message\":\"canary\"}".into()),
    ];
    for (lines, body) in bodies {
        for status in [403, 405, 413, 429, 500, 502, 524] {
            for key in [place.reader(), place.narrow()] {
                let lines = format!("{lines}Retry-After: 3\r\n");
                let reply = place.under(key, answer(status, &lines, &body)).await.unwrap();
                assert!(is_reworded(&reply, status), "{body:.60?}: {reply:?}");
                assert_eq!(reply.header("retry-after"), Some("3"), "clients wait by it");
                assert!(!reply.text().contains("canary"), "{reply:?}");
            }
        }
    }
    place.next_ones_are_right("them").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_breaks_off_is_none() {
    let place = Place::new().await;
    let whole = answer(400, JSON, r#"{"message":"m"}"#).bytes;
    for cut in 1..whole.len() {
        let script = Script::new(&whole[..cut]).closing();
        let reply = place.under(place.reader(), script).await.unwrap();
        assert!(is_withheld(&reply), "{cut}: {reply:?}");
    }
    place.next_ones_are_right("them").await;
}
