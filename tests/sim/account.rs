//! Limits, people, definitions and lists.

use serde_json::{Value, json};

use crate::world::World;
use scopegate::sim::{ActivityNames, RateLimits, SimOptions, UserState};

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
    let filter = json!({"propertyName": "hs_internal_user_id", "operator": "EQ", "value": "9001"});
    let body = json!({"filterGroups": [{"filters": [filter]}], "properties": ["hs_email"]});
    let record = world
        .send("POST", "/crm/v3/objects/users/search", body)
        .await
        .json();
    assert_eq!(record["results"][0]["properties"]["hs_email"], by_user["email"]);
}

#[tokio::test]
async fn the_security_log_says_what_happened_to_whom_in_pages() {
    for names in [ActivityNames::Affected, ActivityNames::Acting] {
        let world = World::with(SimOptions {
            activity_names: names,
            ..SimOptions::default()
        })
        .await;
        let hub = 1001;
        world.sim.advance(std::time::Duration::from_secs(60));
        for state in [UserState::Deactivated, UserState::Active, UserState::Removed] {
            assert!(world.sim.set_user_state(hub, 9003, state));
        }
        assert!(
            world.sim.set_user_state(hub, 9003, UserState::Removed),
            "again is nothing new"
        );
        assert!(world.sim.set_user_rights(hub, 9001, false, Some(8001)));
        assert!(!world.sim.set_user_rights(hub, 1, false, None));
        let log = "/account-info/v3/activity/security";
        let types = |value: &Value| -> Vec<String> {
            let rows = value["results"].as_array().unwrap();
            rows.iter()
                .map(|row| row["type"].as_str().unwrap().to_owned())
                .collect()
        };
        let all = world.get(log).await.json();
        let happened = [
            "DEACTIVATE_USER",
            "REACTIVATE_USER",
            "REMOVE_USER",
            "REMOVE_ADMIN_USER",
        ];
        assert_eq!(types(&all)[1..], happened);
        assert_eq!(all["results"][1]["objectId"], "9003");
        let named = all["results"][1]["userId"].as_u64().unwrap();
        assert_eq!(named == 9003, names == ActivityNames::Affected);
        let first = world.get(&format!("{log}?limit=3")).await.json();
        let after = first["paging"]["next"]["after"].as_str().unwrap();
        let rest = world.get(&format!("{log}?limit=3&after={after}")).await.json();
        assert_eq!(types(&rest), ["REMOVE_USER", "REMOVE_ADMIN_USER"]);
        let since = all["results"][1]["createdAt"].as_str().unwrap();
        let since = world.get(&format!("{log}?fromTimestamp={since}")).await.json();
        assert_eq!(types(&since), happened, "what was before is left out");
    }
    let world = World::plain().await;
    world.sim.set_user_state(1001, 9003, UserState::Deactivated);
    let filter = json!({"propertyName": "hs_internal_user_id", "operator": "EQ", "value": "9003"});
    let body = json!({"filterGroups": [{"filters": [filter]}], "properties": ["hs_deactivated"]});
    let record = world
        .send("POST", "/crm/v3/objects/users/search", body)
        .await
        .json();
    assert_eq!(record["results"][0]["properties"]["hs_deactivated"], "true");
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
