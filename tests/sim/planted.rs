//! Planted values: hidden properties hold values that are nobody else's, wherever a record is shown.

use serde_json::json;

use crate::world::{HUB, World};
use scopegate::sim::{PLANTED_NUMBER, PLANTED_TEXT};

#[tokio::test]
async fn a_simulator_tells_its_planted_values_and_shows_them_in_every_shape() {
    let world = World::plain().await;
    let planted = world.sim.planted(HUB);
    let of = |object_type: &str, property: &str, record: u64| {
        let found = planted
            .iter()
            .filter(|one| one.object_type == object_type && one.property == property && one.record == record);
        found.map(|one| one.value.clone()).collect::<Vec<_>>()
    };
    let ssn = of("contacts", "ssn", 1001);
    assert_eq!(
        ssn,
        ["PLANTED-contacts-ssn-1001", "PLANTED-contacts-ssn-1001-before"]
    );
    for name in [
        "companies",
        "deals",
        "tickets",
        "notes",
        "calls",
        "emails",
        "tasks",
        "meetings",
        "products",
        "line_items",
        "quotes",
        "2-123",
    ] {
        assert!(planted.iter().any(|one| one.object_type == name), "{name}");
    }
    for (target, seen) in [
        ("/crm/v3/objects/contacts/1001?properties=ssn", &ssn[..1]),
        (
            "/crm/v3/objects/contacts/1001?propertiesWithHistory=ssn",
            &ssn[..],
        ),
        ("/contacts/v1/contact/vid/1001/profile", &ssn[..]),
        ("/contacts/v1/lists/all/contacts/all?property=ssn", &ssn[..1]),
        (
            "/crm/v3/objects/deals/3001?properties=discount_approval_note",
            &of("deals", "discount_approval_note", 3001)[..1],
        ),
        ("/deals/v1/deal/3001", &of("deals", "internal_margin", 3001)[..]),
        (
            "/companies/v2/companies/2001",
            &of("companies", "bank_account_iban", 2001)[..],
        ),
    ] {
        let text = world.get(target).await.text();
        assert!(seen.iter().all(|value| text.contains(value)), "{target}");
    }
    let profile = world.get("/contacts/v1/contact/vid/1001/profile").await.json();
    let company = &profile["associated-company"];
    let id = company["company-id"].as_u64().unwrap();
    assert_eq!(
        company["properties"]["credit_rating"]["value"],
        json!(of("companies", "credit_rating", id)[0])
    );
    let plain = world.get("/crm/v3/objects/contacts?limit=100").await.text();
    assert!(
        !plain.contains(PLANTED_TEXT) && !plain.contains(PLANTED_NUMBER),
        "the defaults show none"
    );
    let written = json!({"properties": {"salary": "5"}});
    world
        .send("PATCH", "/crm/v3/objects/contacts/1001", written)
        .await;
    let now = world.sim.planted(HUB);
    assert!(
        now.iter().all(|one| one.value != "5"),
        "what a test writes is not planted"
    );
}
