//! Imports and exports: files in, files out.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::world::{Answer, World};
use scopegate::sim::Scopes;

fn multipart(request: &Value, csv: &str) -> String {
    format!(
        "--x\r\ncontent-disposition: form-data; name=\"importRequest\"\r\n\r\n{request}\r\n\
         --x\r\ncontent-disposition: form-data; name=\"files\"; filename=\"people.csv\"\r\n\
         content-type: text/csv\r\n\r\n{csv}\r\n--x--\r\n"
    )
}

fn request(operation: &str) -> Value {
    let column = |name: &str, property: &str, kind: Value| {
        json!({
            "columnObjectTypeId": "0-1", "columnName": name, "propertyName": property, "columnType": kind
        })
    };
    json!({
        "name": "May", "importOperations": {"0-1": operation},
        "files": [{"fileName": "people.csv", "fileFormat": "CSV", "fileImportPage": {
            "hasHeader": true,
            "columnMappings": [
                column("Mail", "email", json!("HUBSPOT_ALTERNATE_ID")),
                column("First", "firstname", json!(null)),
                column("Pay", "salary", json!(null)),
            ]
        }}]
    })
}

async fn import(world: &World, token: &str, body: String) -> Answer {
    let request = Request::post("/crm/v3/imports")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "multipart/form-data; boundary=x")
        .body(Full::from(body))
        .unwrap();
    world.request(request).await.unwrap()
}

#[tokio::test]
async fn rows_of_an_import_become_records_and_bad_ones_are_quoted() {
    let world = World::plain().await;
    let csv = "Mail,First,Pay\nnew@example.com,New,5\n\"q@example.com\",\"Q, \"\"q\"\"\",6\nbad@example.com,B,much\n";
    let made = import(&world, &world.token, multipart(&request("UPSERT"), csv)).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    assert_eq!(made["importRequestJson"], request("UPSERT"));
    assert_eq!(made["mappedObjectTypeIds"], json!(["0-1"]));
    assert_eq!(
        made["metadata"]["counters"],
        json!({"TOTAL_ROWS": 3, "CREATED_OBJECTS": 2, "UPDATED_OBJECTS": 0, "ERRORS": 1})
    );
    let path = format!("/crm/v3/imports/{}", made["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.json()["state"], "DONE");
    let errors = world.get(&format!("{path}/errors")).await.json();
    assert_eq!(
        errors["results"][0]["sourceData"]["rowData"],
        json!(["bad@example.com", "B", "much"])
    );
    assert_eq!(errors["results"][0]["sourceData"]["lineNumber"], 4);
    let quoted = world
        .get("/crm/v3/objects/contacts/q@example.com?idProperty=email&properties=firstname")
        .await
        .json();
    assert_eq!(quoted["properties"]["firstname"], "Q, \"q\"");
    let again = import(
        &world,
        &world.token,
        multipart(&request("UPDATE"), "Mail,First,Pay\nnew@example.com,N,7\n"),
    )
    .await;
    assert_eq!(again.json()["metadata"]["counters"]["UPDATED_OBJECTS"], 1);
    assert_eq!(
        world.get("/crm/v3/imports").await.json()["results"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(world.call("POST", &format!("{path}/cancel")).await.status, 200);
    assert_eq!(world.get(&path).await.json()["state"], "CANCELED");
}

#[tokio::test]
async fn an_import_needs_its_own_scope_and_the_types_and_a_body_of_the_right_kind() {
    let world = World::plain().await;
    let body = || multipart(&request("UPSERT"), "Mail,First,Pay\n");
    for (scopes, status) in [
        (vec!["crm.import"], 403),
        (vec!["crm.objects.contacts.write"], 403),
        (vec!["crm.import", "crm.objects.contacts.write"], 200),
    ] {
        let token = world.token(Scopes::new(&scopes));
        assert_eq!(import(&world, &token, body()).await.status, status, "{scopes:?}");
    }
    assert_eq!(world.send("POST", "/crm/v3/imports", json!({})).await.status, 415);
    assert_eq!(import(&world, &world.token, "--x--".to_owned()).await.status, 400);
}

#[tokio::test]
async fn an_export_is_an_address_that_asks_for_no_credential() {
    let world = World::plain().await;
    let asked = json!({
        "exportType": "VIEW", "exportName": "all", "format": "CSV", "language": "EN", "objectType": "CONTACT",
        "objectProperties": ["email", "ssn"], "associatedObjectType": "COMPANY"
    });
    let made = world
        .send("POST", "/crm/v3/exports/export/async", asked.clone())
        .await;
    assert_eq!(made.status, 202, "{}", made.text());
    let made = made.json();
    let path = |url: &Value| {
        url.as_str()
            .unwrap()
            .strip_prefix(&world.origin)
            .unwrap()
            .to_owned()
    };
    let status = world.get(&path(&made["links"]["status"])).await.json();
    assert_eq!(status["status"], "COMPLETE");
    let file = world.as_token("GET", &path(&status["result"]), "", "").await;
    assert_eq!(file.status, 200);
    assert!(file.text().starts_with("Record ID,email,ssn\n1001,\""));
    let export = format!("/crm/v3/exports/export/{}", made["id"].as_str().unwrap());
    assert_eq!(
        world.get(&export).await.json()["objectProperties"],
        json!(["email", "ssn"])
    );
    world.sim.advance(std::time::Duration::from_secs(400));
    assert_eq!(
        world
            .as_token("GET", &path(&status["result"]), "", "")
            .await
            .status,
        404
    );
    for (scopes, status) in [
        (vec!["crm.export"], 403),
        (vec!["crm.export", "crm.objects.contacts.read"], 403),
        (
            vec![
                "crm.export",
                "crm.objects.contacts.read",
                "crm.objects.companies.read",
            ],
            202,
        ),
    ] {
        let token = world.token(Scopes::new(&scopes));
        let answer = world
            .as_token("POST", "/crm/v3/exports/export/async", &token, &asked.to_string())
            .await;
        assert_eq!(answer.status, status, "{scopes:?}");
    }
}
