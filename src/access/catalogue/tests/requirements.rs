//! Scopes: by the type and the effect, never by the any-of lists.

use std::collections::BTreeSet;

use super::super::rows::Resolve;
use super::*;

#[test]
fn least_and_the_type_table_agree_on_every_literal_row() {
    let own: Vec<&str> = shipped()
        .rows
        .iter()
        .filter(|row| matches!(row.resolve, Resolve::OwnRecords(..)))
        .map(|row| &*row.template)
        .collect();
    // The only rows HubSpot lists no scope for: denied unless the operation is named.
    assert_eq!(
        own,
        [
            "/crm/v3/objects/payments",
            "/crm/v3/objects/payments/batch/read",
            "/crm/v3/objects/payments/search",
            "/crm/v3/objects/payments/{paymentsId}",
        ]
    );
}

#[test]
fn scopes_have_the_direction_and_type_of_their_name() {
    let catalogue = shipped();
    for (name, direction, named_after) in [
        ("crm.objects.contacts.read", Direction::Read, Some("contacts")),
        ("crm.objects.contacts.write", Direction::Write, Some("contacts")),
        ("crm.schemas.deals.write", Direction::Write, Some("deals")),
        ("crm.objects.goals.read", Direction::Read, Some("goal_targets")),
        (
            "crm.objects.partner-clients.read",
            Direction::Read,
            Some("partner_clients"),
        ),
        ("tickets", Direction::Both, Some("tickets")),
        ("crm.objects.owners.read", Direction::Read, None),
        ("crm.objects.custom.read", Direction::Read, None),
        ("crm.lists.read", Direction::Read, None),
        ("forms", Direction::Both, None),
        ("e-commerce", Direction::Both, None),
        ("sales-email-read", Direction::Read, None),
    ] {
        let scope = catalogue.scope(catalogue.scope_by_name(name).unwrap()).unwrap();
        let named = scope
            .named_after
            .as_ref()
            .map(|object| catalogue.object_name(object));
        assert_eq!((scope.direction, named), (direction, named_after), "{name}");
    }
    let serves = |scope: &str, object: &str| {
        let object = catalogue.object_type(object).unwrap();
        catalogue.serves(catalogue.scope_by_name(scope).unwrap(), &object)
    };
    assert!(serves("crm.objects.contacts.read", "notes"));
    assert!(serves("e-commerce", "quotes"));
    assert!(serves("crm.objects.custom.read", "p_car"));
    assert!(!serves("crm.objects.contacts.read", "deals"));
    assert!(!serves("crm.objects.contacts.read", "p_car"));
}

/// The scopes of a touch, `|` between alternatives, `+` within one.
pub(super) fn requirement(catalogue: &Catalogue, operation: &str, object: Option<&str>) -> Vec<String> {
    let object = object.map(|name| catalogue.object_type(name).unwrap());
    let operation = catalogue.operation_by_id(operation).unwrap();
    let touches = catalogue.touches(operation, object.as_ref());
    let terms = |touch: &Touch| {
        let terms = touch
            .requirement
            .iter()
            .map(|term| catalogue.scope_names(term).join("+"));
        terms.collect::<Vec<_>>().join("|")
    };
    touches.iter().map(terms).collect()
}

#[test]
fn requirements_come_from_the_type_never_from_the_any_of_lists() {
    let catalogue = shipped();
    for (operation, object, expected) in [
        ("crm.objects.get", Some("contacts"), "crm.objects.contacts.read"),
        (
            "crm.objects.merge",
            Some("contacts"),
            "crm.objects.contacts.write",
        ),
        ("crm.objects.get", Some("notes"), "crm.objects.contacts.read"),
        (
            "crm.objects.get",
            Some("emails"),
            "crm.objects.contacts.read+sales-email-read",
        ),
        (
            "crm.objects.get",
            Some("products"),
            "crm.objects.products.read|e-commerce",
        ),
        ("crm.objects.get", Some("p_car"), "crm.objects.custom.read"),
        ("crm.objects.create", Some("contracts"), ""),
        ("crm.objects.create", Some("feedback_submissions"), ""),
        (
            "crm.properties.list",
            Some("contacts"),
            "crm.schemas.contacts.read|crm.objects.contacts.read",
        ),
        (
            "crm.properties.create",
            Some("contacts"),
            "crm.schemas.contacts.write",
        ),
        (
            "crm.properties.create",
            Some("tickets"),
            "crm.schemas.tickets.write",
        ),
        ("crm.properties.create", Some("products"), ""),
        (
            "crm.properties.list",
            Some("products"),
            "e-commerce|crm.objects.products.read",
        ),
        (
            "crm.pipelines.create",
            Some("orders"),
            "crm.pipelines.orders.write",
        ),
        (
            "crm.pipelines.list",
            Some("orders"),
            "crm.pipelines.orders.read|crm.objects.orders.read",
        ),
        ("crm.pipelines.create", Some("deals"), "crm.schemas.deals.write"),
        (
            "crm.associations.labels.create",
            Some("contacts"),
            "crm.schemas.contacts.write",
        ),
        ("crm.schemas.archive", Some("p_car"), "crm.schemas.custom.write"),
        ("crm.owners.list", None, "crm.objects.owners.read"),
        ("crm.task-series.get", None, ""),
        ("account-info.api-usage.daily", None, ""),
        ("crm.limits.records.list", None, ""),
    ] {
        let all = requirement(catalogue, operation, object);
        assert_eq!(all, [expected], "{operation} {object:?}");
    }
    // The one exception: `payments` has rows of its own without any listed scope.
    let payments = requirement(catalogue, "crm.objects.list", Some("commerce_payments"));
    assert_eq!(payments, ["crm.objects.commercepayments.read", ""]);
}

#[test]
fn nothing_stronger_than_a_read_is_opened_by_read_named_scopes_alone() {
    // A rule by a read-named scope opens the effect `read` only. What is left to show here is that no
    // write of records is *required* to have nothing but read-named scopes, so that no write scope
    // could ever open it by its name.
    let custom = ObjectType::Custom("p_car".into());
    for opening in shipped().openings(&custom).filter(|o| o.touch.object.is_some()) {
        for term in opening
            .touch
            .requirement
            .iter()
            .filter(|_| opening.effect.changes_data())
        {
            let only_reads = term
                .iter()
                .all(|scope| shipped().scope(*scope).unwrap().direction == Direction::Read);
            assert!(
                !only_reads,
                "{:?}",
                shipped().operation(opening.operation).unwrap().id
            );
        }
    }
}

#[test]
fn openings_cover_every_operation_and_type() {
    let custom = ObjectType::Custom("p_car".into());
    let seen: BTreeSet<_> = shipped()
        .openings(&custom)
        .map(|opening| opening.operation)
        .collect();
    assert_eq!(seen.len(), shipped().operations().count());
    let get = shipped().operation_by_id("crm.objects.get").unwrap();
    let types: BTreeSet<_> = shipped()
        .openings(&custom)
        .filter(|opening| opening.operation == get)
        .map(|opening| opening.touch.object)
        .collect();
    assert_eq!(types.len(), 36);
}
