//! `POST /collector/graphql`.

use serde_json::{Value, json};

use crate::world::World;
use scopegate::sim::Scopes;

async fn ask(world: &World, token: &str, query: &str, variables: Value) -> (u16, Value) {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let answer = world.as_token("POST", "/collector/graphql", token, &body).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_query_selects_records_properties_and_what_they_are_associated_with() {
    let world = World::plain().await;
    let query = "query Q($n: Int!) { CRM {
        page: contact_collection(limit: $n, orderBy: hs_object_id__desc, filter: {email__contains: \"example\"}) {
            total hasMore items { ...Person associations { company_collection__primary { items { name } } } }
        }
        one: contact(uniqueIdentifier: id, uniqueIdentifierValue: \"1001\") { mail: email secret: ssn }
        none: deal(uniqueIdentifier: \"id\", uniqueIdentifierValue: \"999999\") { dealname }
        p_car_collection(limit: 1) { items { model } }
    } } fragment Person on CRM_contact { email hs_object_id }";
    let (status, answer) = ask(&world, &world.token, query, json!({"n": 2})).await;
    assert_eq!(status, 200);
    let crm = &answer["data"]["CRM"];
    assert_eq!(crm["page"]["total"], 250, "{answer}");
    assert_eq!(crm["page"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(crm["page"]["items"][0]["hs_object_id"], "1250");
    assert!(
        crm["page"]["items"][0]["associations"]["company_collection__primary"]["items"][0]["name"]
            .is_string()
    );
    assert_eq!(crm["one"]["secret"], "PLANTED-contacts-ssn-1001");
    assert!(crm["one"]["mail"].is_string());
    assert_eq!(crm["none"], Value::Null);
    assert!(crm["p_car_collection"]["items"][0]["model"].is_string());
}

#[tokio::test]
async fn a_query_needs_its_own_scope_and_that_of_every_type_and_mistakes_are_told_with_200() {
    let world = World::plain().await;
    let contacts = "{CRM{contact_collection{items{email}}}}";
    let linked = "{CRM{contact_collection{items{associations{company_collection{total}}}}}}";
    let execute = "collector.graphql_query.execute";
    for (scopes, query, status) in [
        (vec![execute], contacts, 403),
        (vec!["crm.objects.contacts.read"], contacts, 403),
        (vec![execute, "crm.objects.contacts.read"], contacts, 200),
        (vec![execute, "crm.objects.contacts.read"], linked, 403),
        (
            vec![execute, "crm.objects.contacts.read"],
            "{CRM{contact_collection{items{medical_notes}}}}",
            403,
        ),
    ] {
        let token = world.token(Scopes::new(&scopes));
        assert_eq!(
            ask(&world, &token, query, json!({})).await.0,
            status,
            "{scopes:?} {query}"
        );
    }
    for query in [
        "{",
        "mutation {a}",
        "{CMS{a}}",
        "{CRM{contact_collection{items{nonsense}}}}",
        "{CRM{...X}}",
    ] {
        let (status, answer) = ask(&world, &world.token, query, json!({})).await;
        assert_eq!(status, 200);
        assert!(answer["errors"][0]["message"].is_string(), "{query} {answer}");
    }
}
