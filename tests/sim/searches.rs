//! Searching: filters, order, pages and bounds.

use serde_json::{Value, json};

use crate::world::World;

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
