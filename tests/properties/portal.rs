//! A portal whose contacts and companies hold values that no integration here may see.

use serde_json::Value;

use crate::support::{Setup, World, policy};
use crate::wire::{Reply, Wire, request};

/// Hidden properties of contacts whose values can't stand anywhere by chance.
pub const HIDDEN_OF_CONTACTS: [&str; 5] = [
    "ssn",
    "iban",
    "passport_number",
    "hs_content_membership_email",
    "date_of_birth",
];
/// Likewise of companies.
pub const HIDDEN_OF_COMPANIES: [&str; 1] = ["bank_account_iban"];

/// May use contacts and companies in every way the rules by operation know; sees and sets a few
/// properties.
pub fn narrow() -> String {
    policy(
        "narrow",
        "allow:
  - scope: [crm.objects.contacts.read, crm.objects.contacts.write]
  - scope: [crm.objects.companies.read, crm.objects.companies.write]
  - operation: [crm.imports.create, crm.objects.archive]
    objects: [contacts]
properties:
  contacts: { read: [email, firstname, lastname, lifecyclestage], write: [email, firstname, lifecyclestage], values: { lifecyclestage: [lead, customer] } }
  companies: { read: [name, domain], write: [name] }
limits: { batch: 50 }
",
    )
}

/// The same rights, and a request that names a hidden property is denied.
pub fn strict() -> String {
    narrow()
        .replace("integration: narrow", "integration: strict")
        .replace("limits:", "on_extra_property: deny\nlimits:")
}

/// A world with both, and a key of the first.
pub async fn world() -> (World, String) {
    with("").await
}

/// The same with lines appended to the configuration.
pub async fn with(config: &str) -> (World, String) {
    let setup = Setup {
        policies: vec![("narrow", narrow()), ("strict", strict())],
        config: config.to_owned(),
        ..Setup::default()
    };
    let world = World::with(setup).await;
    let key = world.key("narrow");
    (world, key)
}

/// What HubSpot itself would say to the owner of the portal's own token.
pub async fn upstream(world: &World, method: &str, target: &str, body: &str) -> Reply {
    let address = world.sim_origin.rsplit('/').next().unwrap().parse().unwrap();
    let lines = ["Content-Type: application/json"];
    let mut wire = Wire::open(address).await;
    wire.ask(request(method, target, &world.upstream_token, &lines, body))
        .await
}

/// Every hidden value of every contact and company, and everything as HubSpot would list it.
pub struct Planted {
    pub values: Vec<String>,
    /// One page of contacts with all their properties and histories.
    pub contacts: String,
}

pub async fn planted(world: &World) -> Planted {
    let mut values = Vec::new();
    let mut contacts = String::new();
    for (kind, hidden) in [
        ("contacts", &HIDDEN_OF_CONTACTS[..]),
        ("companies", &HIDDEN_OF_COMPANIES),
    ] {
        let all = format!("email,firstname,name,{}", hidden.join(","));
        let mut after = String::new();
        loop {
            let target = format!("/crm/v3/objects/{kind}?limit=100&properties={all}{after}");
            let reply = upstream(world, "GET", &target, "").await;
            let page = reply.json();
            for record in page["results"].as_array().unwrap() {
                let value = |name: &&str| record["properties"][*name].as_str().map(str::to_owned);
                values.extend(hidden.iter().filter_map(value));
            }
            if kind == "contacts" && contacts.is_empty() {
                contacts = reply.text();
            }
            match page["paging"]["next"]["after"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
    }
    values.sort();
    values.dedup();
    assert!(values.len() > 1000, "{} values are planted", values.len());
    world.sim.forget_received();
    Planted { values, contacts }
}

impl Planted {
    /// Fails if a planted value stands in `text`.
    pub fn none_in(&self, text: &str, what: &str) {
        let found = self.values.iter().find(|value| text.contains(value.as_str()));
        assert!(
            found.is_none(),
            "{what}: {found:?} reached the client: {text:.2000}"
        );
    }
}

/// Whether an object holds a member of this name, however deep.
pub fn holds_member(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| key == name || holds_member(value, name)),
        Value::Array(items) => items.iter().any(|item| holds_member(item, name)),
        _ => false,
    }
}
