//! Records: spellings, pages, properties, single writes, batches, what cannot be taken back.

use serde_json::{Value, json};

use crate::world::World;
use scopegate::sim::{AbsentValues, SimOptions};

const LAYOUTS: [&str; 6] = [
    "/crm/v3/objects/",
    "/crm/objects/v3/",
    "/crm/v4/objects/",
    "/crm/objects/2025-09/",
    "/crm/objects/2026-03/",
    "/crm/objects/2026-09/",
];

#[tokio::test]
async fn every_layout_and_spelling_of_a_type_reads_the_same_records() {
    let world = World::plain().await;
    for layout in LAYOUTS {
        for word in ["contacts", "contact", "0-1", "CONTACT", "Contacts", "contacts/"] {
            let answer = world.get(&format!("{layout}{word}?limit=3")).await;
            assert_eq!(answer.status, 200, "{layout}{word}");
            assert_eq!(
                answer.json()["results"].as_array().unwrap().len(),
                3,
                "{layout}{word}"
            );
            assert_eq!(answer.json()["results"][0]["id"], "1001");
        }
    }
    for word in ["p_car", "2-123", "p1001_car", "P_CAR"] {
        assert_eq!(
            world.get(&format!("/crm/v3/objects/{word}")).await.status,
            200,
            "{word}"
        );
    }
    assert_eq!(world.get("/crm/v3/objects/unheard_of").await.status, 400);
}

#[tokio::test]
async fn paging_walks_through_all_contacts_by_links_of_the_called_origin() {
    let world = World::plain().await;
    let mut target = "/crm/v3/objects/contacts?limit=100&properties=email&archived=false".to_owned();
    let mut ids = Vec::new();
    loop {
        let page = world.get(&target).await.json();
        ids.extend(
            page["results"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["id"].as_str().unwrap().to_owned()),
        );
        let Some(link) = page["paging"]["next"]["link"].as_str() else {
            break;
        };
        let rest = link
            .strip_prefix(&world.origin)
            .unwrap_or_else(|| panic!("{link}"));
        assert!(rest.starts_with("/crm/objects/v3/contacts?"), "{rest}");
        assert!(rest.contains("properties=email"));
        target = rest.to_owned();
    }
    ids.dedup();
    assert_eq!(ids.len(), 250);
}

#[tokio::test]
async fn defaults_are_shown_without_names_and_named_properties_add_to_the_three_that_always_are() {
    let world = World::plain().await;
    let contact = world.get("/crm/v3/objects/contacts/1001").await.json();
    let names = |value: &Value| {
        value["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&contact),
        [
            "createdate",
            "email",
            "firstname",
            "hs_object_id",
            "lastmodifieddate",
            "lastname"
        ]
    );
    let contact = world
        .get("/crm/v3/objects/contacts/1001?properties=salary,phone,zip,nonsense")
        .await
        .json();
    assert_eq!(
        names(&contact),
        [
            "createdate",
            "hs_object_id",
            "lastmodifieddate",
            "phone",
            "salary",
            "zip"
        ]
    );
    assert_eq!(contact["properties"]["zip"], Value::Null);
    let omitting = World::with(SimOptions {
        absent_values: AbsentValues::Omitted,
        ..SimOptions::default()
    })
    .await;
    let contact = omitting
        .get("/crm/v3/objects/contacts/1001?properties=zip")
        .await
        .json();
    assert_eq!(
        names(&contact),
        ["createdate", "hs_object_id", "lastmodifieddate"]
    );
}

#[tokio::test]
async fn a_record_is_found_by_a_unique_property_and_not_by_another() {
    let world = World::plain().await;
    let email = world.get("/crm/v3/objects/contacts/1005").await.json()["properties"]["email"].clone();
    let encoded = email.as_str().unwrap().replace('@', "%40");
    let found = world
        .get(&format!("/crm/v3/objects/contacts/{encoded}?idProperty=email"))
        .await;
    assert_eq!(found.json()["id"], "1005");
    assert_eq!(
        world
            .get("/crm/v3/objects/contacts/Ada?idProperty=firstname")
            .await
            .status,
        400
    );
    let missing = world.get("/crm/v3/objects/contacts/search").await;
    assert_eq!(
        (missing.status, missing.json()["category"].clone()),
        (404, json!("OBJECT_NOT_FOUND"))
    );
}

#[tokio::test]
async fn history_and_inline_associations_come_with_a_record_when_asked_for() {
    let world = World::plain().await;
    world
        .send(
            "PATCH",
            "/crm/v3/objects/contacts/1001",
            json!({"properties": {"jobtitle": "CEO"}}),
        )
        .await;
    let target = "/crm/v3/objects/contacts/1001?propertiesWithHistory=jobtitle&associations=companies,0-3";
    let contact = world.get(target).await.json();
    let versions = contact["propertiesWithHistory"]["jobtitle"].as_array().unwrap();
    assert_eq!((versions.len(), versions[0]["value"].clone()), (2, json!("CEO")));
    let companies = contact["associations"]["companies"]["results"]
        .as_array()
        .unwrap();
    let types: Vec<&str> = companies.iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["contact_to_company", "contact_to_company_unlabeled"]);
}

#[tokio::test]
async fn a_record_is_created_changed_archived_and_then_found_only_among_the_archived() {
    let world = World::plain().await;
    let new = json!({"properties": {"email": "new@example.com", "firstname": "New", "salary": 5}});
    let made = world.send("POST", "/crm/v3/objects/contacts", new.clone()).await;
    assert_eq!(
        (made.status, made.json()["properties"]["salary"].clone()),
        (201, json!("5"))
    );
    let again = world.send("POST", "/crm/v3/objects/contacts", new).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(again.status, 409);
    assert_eq!(
        again.json()["message"],
        format!("Contact already exists. Existing ID: {id}")
    );
    let path = format!("/crm/v3/objects/contacts/{id}");
    let changed = world
        .send("PATCH", &path, json!({"properties": {"firstname": "Newer"}}))
        .await
        .json();
    assert_eq!(changed["properties"]["firstname"], "Newer");
    assert_eq!(world.call("DELETE", &path).await.status, 204);
    assert_eq!(world.get(&path).await.status, 404);
    assert_eq!(
        world.get(&format!("{path}?archived=true")).await.json()["archived"],
        true
    );
}

#[tokio::test]
async fn bad_writes_name_every_mistake_and_change_nothing() {
    let world = World::plain().await;
    let body = json!({"properties": {"nonsense": "1", "salary": "much", "hs_object_id": "7", "firstname": "Changed"}});
    let answer = world.send("PATCH", "/crm/v3/objects/contacts/1001", body).await;
    let codes: Vec<Value> = answer.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["code"].clone())
        .collect();
    assert_eq!(answer.status, 400);
    assert_eq!(
        codes,
        ["READ_ONLY_VALUE", "PROPERTY_DOESNT_EXIST", "INVALID_INTEGER"]
    );
    assert_ne!(
        world.get("/crm/v3/objects/contacts/1001").await.json()["properties"]["firstname"],
        "Changed"
    );
    let broken = world
        .raw_body(
            "PATCH",
            "/crm/v3/objects/contacts/1001",
            "{\"properties\":\n {x}}",
        )
        .await;
    assert_eq!(broken.status, 400);
    assert!(
        broken.json()["message"]
            .as_str()
            .unwrap()
            .starts_with("Invalid input JSON on line 2, column 3: ")
    );
}

#[tokio::test]
async fn batches_tell_what_is_missing_in_a_207_and_refuse_more_than_a_hundred() {
    let world = World::plain().await;
    let read = async |inputs: Value| {
        world
            .send(
                "POST",
                "/crm/objects/2026-03/0-1/batch/read",
                json!({"inputs": inputs, "properties": ["email"]}),
            )
            .await
    };
    let whole = read(json!([{"id": "1001"}, {"id": 1002}])).await;
    assert_eq!(
        (whole.status, whole.json()["results"].as_array().unwrap().len()),
        (200, 2)
    );
    let part = read(json!([{"id": "1001"}, {"id": "77"}])).await;
    assert_eq!((part.status, part.json()["numErrors"].clone()), (207, json!(1)));
    assert_eq!(part.json()["errors"][0]["context"]["ids"], json!(["77"]));
    let many: Vec<Value> = (0..101).map(|id| json!({ "id": id })).collect();
    assert_eq!(read(json!(many)).await.status, 400);
    assert_eq!(read(json!([])).await.status, 400);
}

#[tokio::test]
async fn batch_writes_create_update_upsert_and_archive() {
    let world = World::plain().await;
    let batch = async |op: &str, inputs: Value| {
        world
            .send(
                "POST",
                &format!("/crm/v3/objects/companies/batch/{op}"),
                json!({ "inputs": inputs }),
            )
            .await
    };
    let made = batch(
        "create",
        json!([{"properties": {"name": "A"}}, {"properties": {"name": "B"}}]),
    )
    .await;
    assert_eq!(
        (made.status, made.json()["results"].as_array().unwrap().len()),
        (201, 2)
    );
    let refused = batch(
        "create",
        json!([{"properties": {"name": "C"}}, {"properties": {"nonsense": "D"}}]),
    )
    .await;
    assert_eq!(refused.status, 400);
    let apart = batch(
        "create",
        json!([
            {"objectWriteTraceId": "x", "properties": {"name": "C"}},
            {"objectWriteTraceId": "y", "properties": {"nonsense": "D"}}
        ]),
    )
    .await;
    assert_eq!(apart.status, 207);
    assert_eq!(
        apart.json()["errors"][0]["context"]["objectWriteTraceId"],
        json!(["y"])
    );
    let upsert = json!([
        {"idProperty": "external_id", "id": "erp-company-0001", "properties": {"name": "Known"}},
        {"idProperty": "external_id", "id": "erp-new", "properties": {"name": "Unknown"}}
    ]);
    let upserted = batch("upsert", upsert).await.json();
    let new: Vec<Value> = upserted["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["new"].clone())
        .collect();
    assert_eq!(new, [json!(false), json!(true)]);
    assert_eq!(batch("archive", json!([{"id": "2001"}])).await.status, 204);
    assert_eq!(world.get("/crm/v3/objects/companies/2001").await.status, 404);
}

#[tokio::test]
async fn merging_and_erasing_cannot_be_taken_back() {
    let world = World::plain().await;
    let merge = json!({"primaryObjectId": "1001", "objectIdToMerge": "1002"});
    assert_eq!(
        world
            .send("POST", "/crm/v3/objects/contacts/merge", merge.clone())
            .await
            .status,
        200
    );
    assert_eq!(
        world.get("/crm/v3/objects/contacts/1002").await.json()["id"],
        "1001"
    );
    assert_eq!(
        world
            .send("POST", "/crm/v3/objects/contacts/merge", merge)
            .await
            .status,
        404
    );
    let erase = json!({"objectId": "1003"});
    assert_eq!(
        world
            .send("POST", "/crm/objects/v3/contacts/gdpr-delete", erase.clone())
            .await
            .status,
        204
    );
    assert_eq!(
        world
            .get("/crm/v3/objects/contacts/1003?archived=true")
            .await
            .status,
        404
    );
    assert_eq!(
        world
            .send("POST", "/crm/objects/v3/contacts/gdpr-delete", erase)
            .await
            .status,
        404
    );
}
