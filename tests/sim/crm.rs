//! CRM records, associations, people, definitions, older APIs, scopes and limits.

use serde_json::{Value, json};

use crate::world::World;
use scopegate::sim::{
    AbsentValues, AssociationScopes, EmailContent, PairedScopes, RateLimits, Rotation, Scopes, SimOptions,
    UserState,
};

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
async fn searches_filter_sort_page_and_keep_to_their_bounds() {
    let world = World::plain().await;
    let search = async |body: Value| world.send("POST", "/crm/v3/objects/contacts/search", body).await;
    let all = search(json!({"limit": 200})).await.json();
    assert_eq!(
        (all["total"].clone(), all["results"].as_array().unwrap().len()),
        (json!(250), 200)
    );
    assert_eq!(all["paging"]["next"]["after"], "200");
    let rest = search(json!({"limit": 200, "after": "200"})).await.json();
    assert_eq!(
        (rest["results"].as_array().unwrap().len(), rest.get("paging")),
        (50, None)
    );
    let rich = search(json!({
        "filterGroups": [{"filters": [{"propertyName": "salary", "operator": "GTE", "value": "100000"}]}],
        "sorts": [{"propertyName": "salary", "direction": "DESCENDING"}],
        "properties": ["salary"], "limit": 100
    }))
    .await
    .json();
    let salaries: Vec<u64> = rich["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["properties"]["salary"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(!salaries.is_empty() && salaries.iter().all(|salary| *salary >= 100_000));
    assert!(salaries.is_sorted_by(|a, b| a >= b));
    let filter = json!({"propertyName": "email", "operator": "HAS_PROPERTY"});
    let group = |n: usize| json!({"filters": vec![filter.clone(); n]});
    for (body, status) in [
        (json!({"filterGroups": [group(6), group(6), group(6)]}), 200),
        (json!({"filterGroups": [group(7)]}), 400),
        (json!({"filterGroups": vec![group(1); 6]}), 400),
        (
            json!({"filterGroups": [group(6), group(6), group(6), group(1)]}),
            400,
        ),
        (json!({"limit": 201}), 400),
        (json!({"after": 9_950, "limit": 100}), 400),
        (json!({"after": "x"}), 400),
        (json!({"sorts": ["email", "city"]}), 400),
        (json!({"query": "x".repeat(3_100)}), 400),
        (
            json!({"filterGroups": [{"filters": [{"propertyName": "nonsense", "operator": "EQ", "value": "x"}]}]}),
            400,
        ),
        (
            json!({"filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ"}]}]}),
            400,
        ),
        (
            json!({"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "x"}]}]}),
            400,
        ),
    ] {
        assert_eq!(search(body.clone()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn a_search_may_filter_by_association() {
    let world = World::plain().await;
    let company = world
        .get("/crm/v4/objects/contacts/1001/associations/companies")
        .await
        .json();
    let company = company["results"][0]["toObjectId"].to_string();
    let filter = json!({"propertyName": "associations.company", "operator": "EQ", "value": company});
    let body = json!({"filterGroups": [{"filters": [filter]}], "limit": 200});
    let found = world
        .send("POST", "/crm/v3/objects/contacts/search", body)
        .await
        .json();
    assert!(
        found["results"]
            .as_array()
            .unwrap()
            .iter()
            .any(|contact| contact["id"] == "1001")
    );
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

#[tokio::test]
async fn scopes_are_enforced_by_type_and_direction() {
    let world = World::plain().await;
    let token = world.token(Scopes::new(["crm.objects.contacts.read"]));
    for (method, target, status) in [
        ("GET", "/crm/v3/objects/contacts", 200),
        ("GET", "/crm/objects/2026-03/0-48", 200),
        ("GET", "/crm/v3/properties/contacts", 200),
        ("POST", "/crm/v3/objects/contacts/search", 200),
        ("POST", "/crm/v3/objects/contacts", 403),
        ("PATCH", "/crm/v3/objects/contacts/1001", 403),
        ("DELETE", "/crm/v3/objects/contacts/1001", 403),
        ("POST", "/crm/v3/objects/contacts/gdpr-delete", 403),
        ("GET", "/crm/v3/objects/companies", 403),
        ("GET", "/crm/v3/objects/emails", 403),
        ("GET", "/crm/v3/objects/p_car", 403),
        ("GET", "/crm/v3/objects/contacts?associations=companies", 403),
        ("GET", "/crm/v4/objects/contacts/1001/associations/companies", 403),
        ("GET", "/crm/v3/owners/", 403),
        ("GET", "/settings/v3/users", 403),
        ("GET", "/companies/v2/companies/paged", 403),
        ("GET", "/account-info/v3/details", 200),
    ] {
        let answer = world.as_token(method, target, &token, "{}").await;
        assert_eq!(answer.status, status, "{method} {target}");
    }
    let denied = world
        .as_token("GET", "/crm/v3/objects/companies", &token, "")
        .await;
    let correlation = denied.header("x-hubspot-correlation-id").to_owned();
    assert_eq!(
        denied.text(),
        format!(
            "{{\"status\":\"error\",\"message\":\"This app hasn't been granted all required scopes to make this call. \
             Read more about required scopes here: https://developers.hubspot.com/scopes.\",\
             \"correlationId\":\"{correlation}\",\"errors\":[{{\"message\":\"One or more of the following scopes are \
             required.\",\"context\":{{\"requiredGranularScopes\":[\"crm.objects.companies.read\"]}}}}],\
             \"links\":{{\"scopes\":\"https://developers.hubspot.com/scopes\"}},\"category\":\"MISSING_SCOPES\"}}"
        )
    );
    assert_eq!(denied.header("content-type"), "application/json;charset=utf-8");
}

#[tokio::test]
async fn protected_properties_need_their_own_scope_wherever_they_are_named() {
    let world = World::plain().await;
    let plain = world.token(Scopes::new([
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
    ]));
    let search =
        r#"{"filterGroups":[{"filters":[{"propertyName":"medical_notes","operator":"HAS_PROPERTY"}]}]}"#;
    for (method, target, body) in [
        ("GET", "/crm/v3/objects/contacts?properties=medical_notes", ""),
        (
            "GET",
            "/crm/v3/objects/contacts/1001?propertiesWithHistory=medical_notes",
            "",
        ),
        ("POST", "/crm/v3/objects/contacts/search", search),
        (
            "POST",
            "/crm/v3/objects/contacts/search",
            r#"{"sorts":["medical_notes"]}"#,
        ),
        (
            "PATCH",
            "/crm/v3/objects/contacts/1001",
            r#"{"properties":{"medical_notes":"x"}}"#,
        ),
    ] {
        assert_eq!(
            world.as_token(method, target, &plain, body).await.status,
            403,
            "{target} {body}"
        );
    }
    let shown = world
        .get("/crm/v3/objects/contacts/1001?properties=medical_notes")
        .await
        .json();
    assert!(shown["properties"]["medical_notes"].is_string());
}

#[tokio::test]
async fn what_nobody_could_verify_is_a_switch() {
    let with = async |options: SimOptions, scopes: &[&str], target: &str| {
        let world = World::with(options).await;
        let token = world.token(Scopes::new(scopes));
        world.as_token("GET", target, &token, "").await
    };
    let default = SimOptions::default;
    let by_version = || SimOptions {
        paired_scopes: PairedScopes::ByVersion,
        ..default()
    };
    let either = || SimOptions {
        association_scopes: AssociationScopes::EitherSide,
        ..default()
    };
    let redacted = || SimOptions {
        email_content: EmailContent::Redacted,
        ..default()
    };
    let contacts = ["crm.objects.contacts.read"];
    assert_eq!(
        with(default(), &["e-commerce"], "/crm/objects/2026-09/products")
            .await
            .status,
        200
    );
    assert_eq!(
        with(by_version(), &["e-commerce"], "/crm/objects/2026-09/products")
            .await
            .status,
        403
    );
    assert_eq!(
        with(by_version(), &["e-commerce"], "/crm/v3/objects/products")
            .await
            .status,
        200
    );
    let linked = "/crm/v4/objects/contacts/1001/associations/companies";
    assert_eq!(with(either(), &contacts, linked).await.status, 200);
    let target = "/crm/v3/objects/emails?properties=hs_email_text,hs_email_direction";
    let mail = with(redacted(), &contacts, target).await.json();
    let properties = &mail["results"][0]["properties"];
    assert_eq!(
        (
            properties["hs_email_text"].clone(),
            properties["hs_email_direction"].is_string()
        ),
        (json!(""), true)
    );
    let tolerant = || SimOptions {
        literal_case_insensitive: true,
        ..default()
    };
    assert_eq!(
        with(default(), &contacts, "/crm/v3/Objects/contacts")
            .await
            .status,
        404
    );
    assert_eq!(
        with(tolerant(), &contacts, "/crm/v3/Objects/contacts")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn limits_are_enforced_with_the_bodies_that_clients_branch_on() {
    let world = World::with(SimOptions {
        rate_limits: RateLimits::Enforced,
        ..SimOptions::default()
    })
    .await;
    let first = world.get("/account-info/v3/details").await;
    assert_eq!(first.header("x-hubspot-ratelimit-max"), "190");
    assert_eq!(first.header("x-hubspot-ratelimit-remaining"), "189");
    assert_eq!(first.header("x-hubspot-ratelimit-daily-remaining"), "624999");
    for _ in 0..189 {
        assert_eq!(world.get("/account-info/v3/details").await.status, 200);
    }
    let limited = world.get("/account-info/v3/details").await;
    assert_eq!(limited.status, 429);
    assert_eq!(limited.json()["policyName"], "TEN_SECONDLY_ROLLING");
    assert_eq!(limited.json()["errorType"], "RATE_LIMIT");
    assert_eq!(
        limited.json()["message"],
        "You have reached your ten_secondly_rolling limit."
    );
    world.sim.advance(std::time::Duration::from_secs(11));
    let search = async || {
        world
            .send("POST", "/crm/v3/objects/contacts/search", json!({"limit": 1}))
            .await
    };
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(search().await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    assert_eq!(
        search().await.json()["message"],
        "You have reached your secondly limit."
    );
}

#[tokio::test]
async fn owners_and_users_are_the_same_people_seen_twice() {
    let world = World::plain().await;
    for path in ["/crm/v3/owners/", "/crm/v3/owners", "/crm/owners/2026-03"] {
        assert_eq!(
            world.get(path).await.json()["results"].as_array().unwrap().len(),
            9,
            "{path}"
        );
    }
    let archived = world.get("/crm/v3/owners?archived=true").await.json();
    let gone = &archived["results"][0];
    assert_eq!(
        (gone["userId"].clone(), gone["firstName"].clone()),
        (Value::Null, json!(""))
    );
    let user = gone["userIdIncludingInactive"].as_u64().unwrap();
    let path = format!("/settings/v3/users/{user}");
    assert_eq!(
        world.get(&path).await.status,
        200,
        "a deactivated user is still listed"
    );
    assert!(world.sim.set_user_state(1001, user, UserState::Removed));
    assert_eq!(world.get(&path).await.status, 404);
    let by_user = world.get("/crm/v3/owners/9001?idProperty=userId").await.json();
    assert_eq!(by_user["id"], "5001");
}

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
async fn definitions_pipelines_schemas_and_lists_answer() {
    let world = World::plain().await;
    let properties = world.get("/crm/v3/properties/contacts").await.json();
    let names: Vec<&str> = properties["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"ssn") && !names.contains(&"medical_notes"));
    let new = json!({"name": "shoe_size", "label": "Shoe size", "type": "number", "fieldType": "number", "groupName": "x"});
    assert_eq!(
        world
            .send("POST", "/crm/properties/2026-03/0-1", new.clone())
            .await
            .status,
        201
    );
    assert_eq!(
        world
            .send("POST", "/crm/v3/properties/contacts", new)
            .await
            .status,
        409
    );
    let bad = json!({"properties": {"shoe_size": "big"}});
    assert_eq!(
        world
            .send("PATCH", "/crm/v3/objects/contacts/1001", bad)
            .await
            .status,
        400
    );
    assert_eq!(
        world.get("/crm/v3/pipelines/deals").await.json()["results"][0]["id"],
        "default"
    );
    for path in ["/crm/v3/schemas", "/crm-object-schemas/v3/schemas"] {
        assert_eq!(
            world.get(path).await.json()["results"][0]["objectTypeId"],
            "2-123",
            "{path}"
        );
    }
    let members = world.get("/crm/v3/lists/501/memberships?limit=50").await.json();
    assert_eq!(members["results"].as_array().unwrap().len(), 50);
    let changed = world
        .send("PUT", "/crm/v3/lists/501/memberships/add", json!(["1002", "77"]))
        .await
        .json();
    assert_eq!(
        (
            changed["recordsIdsAdded"].clone(),
            changed["recordIdsMissing"].clone()
        ),
        (json!(["1002"]), json!(["77"]))
    );
}

#[tokio::test]
async fn rotation_of_refresh_tokens_is_a_switch() {
    for rotation in [
        Rotation::Stable,
        Rotation::Rotate,
        Rotation::RotateWithReuseDetection,
    ] {
        let world = World::with(SimOptions {
            rotation,
            ..SimOptions::default()
        })
        .await;
        let (app, first) = world.installed();
        let answer = world.refresh("/oauth/2026-03/token", &app, &first).await.json();
        let second = answer["refresh_token"].as_str().unwrap().to_owned();
        assert_eq!(first == second, rotation == Rotation::Stable);
        let again = world.refresh("/oauth/2026-03/token", &app, &first).await;
        assert_eq!(again.status == 200, rotation == Rotation::Stable, "{rotation:?}");
        let newest = world.refresh("/oauth/2026-03/token", &app, &second).await;
        assert_eq!(
            newest.status == 200,
            rotation != Rotation::RotateWithReuseDetection,
            "{rotation:?}"
        );
    }
}
