//! Older operations whose body says what they touch, and answers that quote what was sent.

use serde_json::json;

use crate::world::World;
use scopegate::sim::Scopes;

#[tokio::test]
async fn engagements_hold_their_values_in_metadata() {
    let world = World::plain().await;
    let new = json!({
        "engagement": {"type": "NOTE", "ownerId": 5001},
        "associations": {"contactIds": [1001], "companyIds": [], "dealIds": [], "ownerIds": []},
        "metadata": {"body": "said"}
    });
    let made = world
        .send("POST", "/engagements/v1/engagements", new.clone())
        .await
        .json();
    let id = made["engagement"]["id"].as_u64().unwrap();
    assert_eq!(made["associations"]["contactIds"], json!([1001]));
    let path = format!("/engagements/v1/engagements/{id}");
    let change = json!({"engagement": {}, "metadata": {"body": "changed"}});
    assert_eq!(
        world.send("PATCH", &path, change).await.json()["metadata"]["body"],
        "changed"
    );
    assert_eq!(world.get(&path).await.json()["engagement"]["type"], "NOTE");
    let of_contact = world
        .get("/engagements/v1/engagements/associated/CONTACT/1001/paged?limit=100")
        .await
        .json();
    assert!(
        of_contact["results"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["engagement"]["id"] == id)
    );
    let page = world
        .get("/engagements/v1/engagements/paged?limit=150")
        .await
        .json();
    assert_eq!(page["hasMore"], true);
    let next = format!(
        "/engagements/v1/engagements/paged?limit=150&offset={}",
        page["offset"]
    );
    assert_eq!(world.get(&next).await.json()["hasMore"], false);
    let meetings = world
        .get("/engagements/v1/engagements/paged?limit=250")
        .await
        .text();
    assert!(meetings.contains("PLANTED-meetings-hs_internal_meeting_notes-"));
    assert_eq!(world.call("DELETE", &path).await.status, 204);
    assert_eq!(world.get(&path).await.status, 404);
    let reader = world.token(Scopes::new(["crm.objects.contacts.read"]));
    let answer = world
        .as_token("POST", "/engagements/v1/engagements", &reader, &new.to_string())
        .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn older_associations_go_by_definition() {
    let world = World::plain().await;
    let link = |to: u64| json!({"fromObjectId": 1001, "toObjectId": to, "category": "HUBSPOT_DEFINED", "definitionId": 279});
    let base = "/crm-associations/v1/associations";
    assert_eq!(world.send("PUT", base, link(2001)).await.status, 204);
    let batch = json!([link(2002), link(2003)]);
    assert_eq!(
        world
            .send("PUT", &format!("{base}/create-batch"), batch)
            .await
            .status,
        204
    );
    let list = format!("{base}/1001/HUBSPOT_DEFINED/279?limit=100");
    let ids = world.get(&list).await.json()["results"].clone();
    assert!(
        [2001, 2002, 2003]
            .iter()
            .all(|id| ids.as_array().unwrap().contains(&json!(id))),
        "{ids}"
    );
    assert_eq!(
        world
            .send("PUT", &format!("{base}/delete"), link(2001))
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .send("PUT", &format!("{base}/delete-batch"), json!([link(2002)]))
            .await
            .status,
        204
    );
    let ids = world.get(&list).await.json()["results"].clone();
    assert!(!ids.as_array().unwrap().contains(&json!(2001)), "{ids}");
    let contacts = world.token(Scopes::new([
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
    ]));
    assert_eq!(world.as_token("GET", &list, &contacts, "").await.status, 403);
    assert_eq!(
        world
            .as_token("PUT", base, &contacts, &link(2001).to_string())
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn older_objects_come_in_pages_and_batches() {
    let world = World::plain().await;
    let base = "/crm-objects/v1/objects";
    let page = world
        .get(&format!("{base}/tickets/paged?properties=subject"))
        .await
        .json();
    let first = &page["objects"][0];
    assert!(first["properties"]["subject"]["value"].is_string());
    let id = first["objectId"].as_u64().unwrap();
    let one = world
        .get(&format!(
            "{base}/tickets/{id}?propertiesWithHistory=internal_escalation_note"
        ))
        .await
        .json();
    assert_eq!(
        one["properties"]["internal_escalation_note"]["versions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let batch = world
        .send(
            "POST",
            &format!("{base}/tickets/batch-read?properties=subject"),
            json!({"ids": [id, 9]}),
        )
        .await
        .json();
    assert!(batch[id.to_string()]["objectId"].is_u64() && batch.get("9").is_none());
    let made = world
        .send(
            "POST",
            &format!("{base}/products"),
            json!([{"name": "name", "value": "Lamp"}]),
        )
        .await
        .json();
    let lamp = made["objectId"].as_u64().unwrap();
    let change = json!([{"name": "price", "value": "7"}]);
    assert_eq!(
        world
            .send("PUT", &format!("{base}/products/{lamp}"), change)
            .await
            .json()["properties"]["price"]["value"],
        "7"
    );
    let both = json!([[{"name": "name", "value": "A"}], [{"name": "name", "value": "B"}]]);
    assert_eq!(
        world
            .send("POST", &format!("{base}/line_items/batch-create"), both)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let update = json!([{"objectId": lamp, "properties": [{"name": "price", "value": "8"}]}]);
    assert_eq!(
        world
            .send("POST", &format!("{base}/products/batch-update"), update)
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .send(
                "POST",
                &format!("{base}/products/batch-delete"),
                json!({"ids": [lamp]})
            )
            .await
            .status,
        204
    );
    assert_eq!(world.get(&format!("{base}/products/{lamp}")).await.status, 404);
    let token = world.token(Scopes::new(["crm.objects.contacts.read"]));
    assert_eq!(
        world
            .as_token("GET", &format!("{base}/tickets/paged"), &token, "")
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn timeline_events_are_kept_and_read_back() {
    let world = World::plain().await;
    let event = json!({"eventTemplateId": "77", "id": "e1", "email": "a@example.com", "tokens": {"x": "y"}});
    let answer = world
        .send("POST", "/integrators/timeline/v3/events", event.clone())
        .await;
    assert_eq!(
        (answer.status, answer.json()["tokens"]["x"].clone()),
        (201, json!("y"))
    );
    assert_eq!(
        world.get("/integrators/timeline/v3/events/77/e1").await.json()["email"],
        "a@example.com"
    );
    let batch = json!({"inputs": [event]});
    assert_eq!(
        world
            .send("POST", "/integrators/timeline/v3/events/batch/create", batch)
            .await
            .status,
        201
    );
    let older = json!({"eventTypeId": 8, "id": "e2", "objectId": 1001});
    assert_eq!(
        world
            .send("PUT", "/integrations/v1/5/timeline/event", older)
            .await
            .status,
        204
    );
    assert_eq!(
        world.get("/integrations/v1/5/timeline/event/8/e2").await.json()["objectId"],
        1001
    );
    assert_eq!(
        world
            .send("POST", "/integrators/timeline/v3/events", json!({"id": "x"}))
            .await
            .status,
        400
    );
    let token = world.token(Scopes::new(["crm.objects.contacts.write"]));
    assert_eq!(
        world
            .as_token("POST", "/integrators/timeline/v3/events", &token, "{}")
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn conflicts_and_wrong_values_quote_what_was_sent() {
    let world = World::plain().await;
    let taken = json!({"properties": {"email": "x@example.com", "external_id": "erp-contact-0001"}});
    let answer = world.send("POST", "/crm/v3/objects/contacts", taken).await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("value=erp-contact-0001") && answer.text().contains("1001 already has"));
    let email = world.get("/crm/v3/objects/contacts/1001").await.json()["properties"]["email"].clone();
    let same = json!({"properties": {"email": email}});
    let answer = world.send("POST", "/crm/v3/objects/contacts", same).await;
    assert!(
        answer
            .text()
            .contains("Contact already exists. Existing ID: 1001")
    );
    let older = json!({"properties": [{"property": "email", "value": email}]});
    let answer = world.send("POST", "/contacts/v1/contact", older).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.json()["identityProfile"]["identity"][0]["value"], email);
    let apart = json!({"inputs": [
        {"properties": {"email": "good@example.com"}, "objectWriteTraceId": "1"},
        {"properties": {"email": "bad@example.com", "salary": "much-too-much"}, "objectWriteTraceId": "2"}
    ]});
    let answer = world
        .send("POST", "/crm/v3/objects/contacts/batch/create", apart)
        .await;
    assert_eq!(
        (answer.status, answer.json()["numErrors"].clone()),
        (207, json!(1))
    );
    assert!(
        answer.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("much-too-much")
    );
}

#[tokio::test]
async fn definitions_and_schemas_are_listed_in_every_version() {
    let world = World::plain().await;
    for target in [
        "/properties/v1/contacts/properties",
        "/properties/v2/contact/properties",
        "/properties/v2/contacts/groups?includeProperties=true",
        "/crm/v3/properties/contacts",
    ] {
        assert!(world.get(target).await.text().contains("\"ssn\""), "{target}");
    }
    assert!(
        world
            .get("/companies/v2/properties")
            .await
            .text()
            .contains("\"credit_rating\"")
    );
    assert!(
        world
            .get("/companies/v2/groups?includeProperties=true")
            .await
            .text()
            .contains("\"credit_rating\"")
    );
    assert!(
        world
            .get("/deals/v1/properties/named/internal_margin")
            .await
            .text()
            .contains("Internal margin")
    );
    assert!(
        !world
            .get("/properties/v2/contacts/groups")
            .await
            .text()
            .contains("\"ssn\"")
    );
    let batch = json!({"inputs": ["p_car", "2-999"], "includePropertyDefinitions": true});
    let answer = world
        .send("POST", "/crm-object-schemas/v3/schemas/batch/read", batch)
        .await;
    assert_eq!(answer.status, 207);
    assert_eq!(answer.json()["results"][0]["name"], "car");
    assert!(answer.text().contains("purchase_price"));
}
