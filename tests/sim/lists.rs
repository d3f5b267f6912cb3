//! Lists that are made, filtered and changed.

use serde_json::{Value, json};

use crate::world::World;
use scopegate::sim::Scopes;

fn branch(property: &str, operator: &str, value: &str) -> Value {
    json!({"filterBranchType": "OR", "filters": [], "filterBranches": [{
        "filterBranchType": "AND", "filterBranches": [], "filters": [{
            "filterType": "PROPERTY", "property": property,
            "operation": {"operationType": "MULTISTRING", "operator": operator, "values": [value]}
        }]
    }]})
}

#[tokio::test]
async fn a_lists_filters_decide_who_is_in_it_and_whoever_no_longer_fits_leaves() {
    let world = World::plain().await;
    let new = json!({
        "name": "one", "objectTypeId": "0-1", "processingType": "DYNAMIC",
        "filterBranch": branch("ssn", "IS_EQUAL_TO", "PLANTED-contacts-ssn-1002")
    });
    let made = world.send("POST", "/crm/v3/lists", new.clone()).await.json();
    let path = format!("/crm/v3/lists/{}", made["list"]["listId"].as_str().unwrap());
    assert_eq!(made["list"]["size"], 1);
    let members = world.get(&format!("{path}/memberships")).await.json();
    assert_eq!(members["results"][0]["recordId"], "1002");
    let shown = world.get(&format!("{path}?includeFilters=true")).await.json();
    assert_eq!(shown["list"]["filterBranch"], new["filterBranch"]);
    assert_eq!(world.get(&path).await.json()["list"].get("filterBranch"), None);
    let wider = json!({ "filterBranch": branch("email", "CONTAINS", "example.com") });
    let changed = world
        .send("PUT", &format!("{path}/update-list-filters"), wider)
        .await
        .json();
    assert_eq!(changed["updatedList"]["size"], 250);
    let by_hand = json!({"recordIdsToAdd": ["1001"], "recordIdsToRemove": []});
    let url = format!("{path}/memberships/add-and-remove");
    assert_eq!(world.send("PUT", &url, by_hand).await.status, 400);
    assert_eq!(world.call("DELETE", &path).await.status, 204);
    assert_eq!(world.get(&path).await.status, 404);
    for wrong in [
        json!({"name": "x", "objectTypeId": "0-1", "processingType": "DYNAMIC"}),
        json!({"name": "x", "objectTypeId": "0-1", "processingType": "MANUAL", "filterBranch": branch("email", "IS_KNOWN", "")}),
        json!({"name": "x", "objectTypeId": "0-1", "processingType": "DYNAMIC", "filterBranch": branch("nonsense", "IS_KNOWN", "")}),
    ] {
        assert_eq!(
            world.send("POST", "/crm/v3/lists", wrong.clone()).await.status,
            400,
            "{wrong}"
        );
    }
    let token = world.token(Scopes::new(["crm.lists.write"]));
    assert_eq!(
        world
            .as_token("POST", "/crm/v3/lists", &token, &new.to_string())
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn members_are_added_and_removed_in_one_call() {
    let world = World::plain().await;
    let url = "/crm/v3/lists/501/memberships/add-and-remove";
    let body = json!({"recordIdsToAdd": ["1002", 99], "recordIdsToRemove": ["1001"]});
    let answer = world.send("PUT", url, body).await.json();
    assert_eq!(
        answer,
        json!({"recordIdsMissing": ["99"], "recordsIdsAdded": ["1002"], "recordIdsRemoved": ["1001"]})
    );
    let asked = json!({"inputs": [{"objectTypeId": "0-1", "recordId": "1002"}]});
    let lists = world
        .send("POST", "/crm/v3/lists/records/memberships/batch/read", asked)
        .await
        .json();
    assert_eq!(lists["results"][0]["recordListMemberships"][0]["listId"], "501");
    assert_eq!(
        world.call("DELETE", "/crm/v3/lists/501/memberships").await.status,
        204
    );
    assert_eq!(world.get("/crm/v3/lists/501").await.json()["list"]["size"], 0);
}
