//! contacts v1, companies v2, deals v1: reading and writing.

use serde_json::json;

use crate::world::World;
use scopegate::sim::Scopes;

#[tokio::test]
async fn older_apis_answer_in_their_own_shapes() {
    let world = World::plain().await;
    let page = world
        .get("/contacts/v1/lists/all/contacts/all?count=100&property=email")
        .await
        .json();
    assert_eq!(
        (page["has-more"].clone(), page["vid-offset"].clone()),
        (json!(true), json!(1100))
    );
    assert!(page["contacts"][0]["properties"]["email"]["value"].is_string());
    let contact = world.get("/contacts/v1/contact/vid/1001/profile").await.json();
    assert!(contact["properties"]["salary"]["versions"][0]["value"].is_string());
    assert_eq!(
        contact["properties"].get("medical_notes"),
        None,
        "protected values are silently hidden"
    );
    let email = contact["identity-profiles"][0]["identities"][0]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    let by_email = world
        .get(&format!("/contacts/v1/contact/email/{email}/profile"))
        .await
        .json();
    assert_eq!(by_email["vid"], 1001);
    let companies = world
        .get("/companies/v2/companies/paged?limit=100&properties=name")
        .await
        .json();
    assert_eq!(
        (companies["has-more"].clone(), companies["offset"].clone()),
        (json!(true), json!(2100))
    );
    assert!(
        world.get("/companies/v2/companies/2001").await.json()["properties"]["domain"]["versions"].is_array()
    );
    let deals = world
        .get("/deals/v1/deal/paged?includeAllProperties=true")
        .await
        .json();
    assert_eq!(deals["deals"].as_array().unwrap().len(), 30);
    assert!(world.get("/deals/v1/deal/3001").await.json()["properties"]["amount"]["value"].is_string());
    assert!(
        world
            .get("/properties/v1/contacts/properties")
            .await
            .json()
            .as_array()
            .unwrap()
            .len()
            > 20
    );
}

#[tokio::test]
async fn older_apis_write_lists_of_names_and_values() {
    let world = World::plain().await;
    let body = |city: &str| json!({"properties": [{"property": "city", "value": city}]});
    let path = "/contacts/v1/contact/createOrUpdate/email/fresh%40example.com";
    let made = world.send("POST", path, body("Bonn")).await.json();
    let again = world.send("POST", path, body("Köln")).await.json();
    assert_eq!(
        (made["isNew"].clone(), again["isNew"].clone()),
        (json!(true), json!(false))
    );
    assert_eq!(made["vid"], again["vid"]);
    let vid = made["vid"].as_u64().unwrap();
    let profile = format!("/contacts/v1/contact/vid/{vid}/profile");
    assert_eq!(
        world.get(&profile).await.json()["properties"]["city"]["value"],
        "Köln"
    );
    assert_eq!(world.send("POST", &profile, body("Ulm")).await.status, 204);
    let batch = world
        .get(&format!(
            "/contacts/v1/contact/vids/batch?vid={vid}&vid=1001&property=city"
        ))
        .await
        .json();
    assert_eq!(batch[vid.to_string()]["properties"]["city"]["value"], "Ulm");
    assert_eq!(
        world
            .call("DELETE", &format!("/contacts/v1/contact/vid/{vid}"))
            .await
            .json()["deleted"],
        true
    );
    assert_eq!(world.get(&profile).await.status, 404);
    let named = json!({"properties": [{"name": "name", "value": "Neu"}]});
    let company = world
        .send("POST", "/companies/v2/companies", named.clone())
        .await
        .json()["companyId"]
        .clone();
    assert_eq!(
        world
            .send("PUT", &format!("/companies/v2/companies/{company}"), named)
            .await
            .status,
        200
    );
    let reader = world.token(Scopes::new(["crm.objects.contacts.read"]));
    assert_eq!(
        world
            .as_token("POST", path, &reader, &body("x").to_string())
            .await
            .status,
        403
    );
}
