//! Scopes by type and direction, protected properties, and the switches for what nobody could verify.

use serde_json::json;

use crate::world::World;
use scopegate::sim::{AssociationScopes, EmailContent, PairedScopes, Scopes, SimOptions};

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
