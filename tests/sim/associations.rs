//! Associations in every spelling, labels, and records created with associations.

use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn associations_are_made_read_and_ended_in_every_spelling() {
    let world = World::plain().await;
    let types = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}]);
    for (n, layout) in ["/crm/v4/objects", "/crm/objects/2026-03"].iter().enumerate() {
        let path = format!("{layout}/contacts/{}/associations/companies/2100", 1010 + n);
        assert_eq!(
            world.send("PUT", &path, types.clone()).await.status,
            201,
            "{path}"
        );
        let list = path.trim_end_matches("/2100");
        let shown = world.get(list).await.json();
        assert!(
            shown["results"]
                .as_array()
                .unwrap()
                .iter()
                .any(|to| to["toObjectId"] == 2100)
        );
        assert_eq!(world.call("DELETE", &path).await.status, 204);
        let shown = world.get(list).await.json();
        assert!(
            !shown["results"]
                .as_array()
                .unwrap()
                .iter()
                .any(|to| to["toObjectId"] == 2100)
        );
    }
    let default = "/crm/v4/objects/contacts/1020/associations/default/deals/3001";
    assert_eq!(
        world.call("PUT", default).await.json()["results"][0]["associationSpec"]["associationTypeId"],
        4
    );
    let body = json!({"inputs": [{"id": "1020"}, {"id": "9999"}]});
    for path in [
        "/crm/v4/associations/contact/deal/batch/read",
        "/crm/associations/2026-03/0-1/0-3/batch/read",
    ] {
        let read = world.send("POST", path, body.clone()).await;
        assert_eq!(
            (
                read.status,
                read.json()["results"][0]["to"][0]["toObjectId"].clone()
            ),
            (207, json!(3001))
        );
    }
    let v3 = world
        .send("POST", "/crm/v3/associations/contacts/deals/batch/read", body)
        .await
        .json();
    assert_eq!(
        v3["results"][0]["to"][0],
        json!({"id": "3001", "type": "contact_to_deal"})
    );
    let wrong = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 9999}]);
    assert_eq!(
        world
            .send(
                "PUT",
                "/crm/v4/objects/contacts/1020/associations/deals/3001",
                wrong
            )
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn labels_are_defined_used_and_listed() {
    let world = World::plain().await;
    let new = json!({"name": "decision_maker", "label": "Decision maker"});
    let defined = world
        .send("POST", "/crm/v4/associations/contacts/companies/labels", new)
        .await
        .json();
    let id = defined["results"][0]["typeId"].as_u64().unwrap();
    let types = json!([{"associationCategory": "USER_DEFINED", "associationTypeId": id}]);
    let made = world
        .send(
            "PUT",
            "/crm/v4/objects/contacts/1001/associations/companies/2050",
            types,
        )
        .await;
    assert_eq!(made.json()["labels"], json!(["Decision maker"]));
    let labels = world
        .get("/crm/v4/associations/contacts/companies/labels")
        .await
        .json();
    assert_eq!(labels["results"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_record_may_be_created_with_associations_and_a_wrong_one_creates_nothing() {
    let world = World::plain().await;
    let note = |id: u32, how: u32| {
        json!({
            "properties": {"hs_timestamp": "2026-01-01T00:00:00Z", "hs_note_body": "hello"},
            "associations": [{"to": {"id": id}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": how}]}]
        })
    };
    let made = world.send("POST", "/crm/v3/objects/notes", note(1001, 202)).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let linked = world
        .get(&format!("/crm/v4/objects/notes/{id}/associations/contacts"))
        .await
        .json();
    assert_eq!(linked["results"][0]["toObjectId"], 1001);
    let count = async || {
        world
            .send("POST", "/crm/v3/objects/notes/search", json!({}))
            .await
            .json()["total"]
            .clone()
    };
    let before = count().await;
    assert_eq!(
        world
            .send("POST", "/crm/v3/objects/notes", note(1001, 9999))
            .await
            .status,
        400
    );
    assert_eq!(
        world
            .send("POST", "/crm/v3/objects/notes", note(77, 202))
            .await
            .status,
        404
    );
    assert_eq!(count().await, before);
}
