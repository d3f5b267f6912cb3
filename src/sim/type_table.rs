//! The CRM's object types as the simulated HubSpot knows them: names, ids, scopes, default properties.
//!
//! Hand-written from HubSpot's public documentation (object ids: "using object APIs"; scopes: "scopes";
//! defaults: "search the CRM"), independent of the gate's catalogue on purpose.

use super::object_types::Spec;
use super::scopes::Need;

/// A type with object and schema scopes of its own name.
macro_rules! own {
    ($name:literal, $singular:literal, $id:literal, $aliases:expr, $defaults:expr, $created:literal, $modified:literal) => {
        Spec {
            name: $name,
            singular: $singular,
            id: $id,
            aliases: $aliases,
            read: &[&[concat!("crm.objects.", $name, ".read")]],
            write: &[&[concat!("crm.objects.", $name, ".write")]],
            schema_read: &[
                &[concat!("crm.schemas.", $name, ".read")],
                &[concat!("crm.objects.", $name, ".read")],
            ],
            schema_write: &[&[concat!("crm.schemas.", $name, ".write")]],
            defaults: $defaults,
            created: $created,
            modified: $modified,
        }
    };
    ($name:literal, $singular:literal, $id:literal, $defaults:expr) => {
        own!(
            $name,
            $singular,
            $id,
            &[],
            $defaults,
            "hs_createdate",
            "hs_lastmodifieddate"
        )
    };
}

/// A type without schema scopes, whose scope word may differ from its path word.
macro_rules! without_schema {
    ($name:literal, $singular:literal, $id:literal, $scope:literal, $aliases:expr, $defaults:expr) => {
        Spec {
            name: $name,
            singular: $singular,
            id: $id,
            aliases: $aliases,
            read: &[&[concat!("crm.objects.", $scope, ".read")]],
            write: &[&[concat!("crm.objects.", $scope, ".write")]],
            schema_read: &[&[concat!("crm.objects.", $scope, ".read")]],
            schema_write: &[&[concat!("crm.objects.", $scope, ".write")]],
            defaults: $defaults,
            created: "hs_createdate",
            modified: "hs_lastmodifieddate",
        }
    };
}

/// An activity: governed by the contact scopes.
macro_rules! activity {
    ($name:literal, $singular:literal, $id:literal, $aliases:expr, $read:expr) => {
        Spec {
            name: $name,
            singular: $singular,
            id: $id,
            aliases: $aliases,
            read: $read,
            write: &[&["crm.objects.contacts.write"]],
            schema_read: &[
                &["crm.schemas.contacts.read"],
                &["crm.objects.contacts.read"],
                &[concat!("crm.schemas.", $name, ".read")],
            ],
            schema_write: &[&["crm.schemas.contacts.write"]],
            defaults: &[],
            created: "hs_createdate",
            modified: "hs_lastmodifieddate",
        }
    };
}

/// A part of a quote or an order: governed by the line-item scopes.
macro_rules! line_item {
    ($name:literal, $singular:literal, $id:literal, $aliases:expr, $read:expr, $write:expr, $defaults:expr, $created:literal) => {
        Spec {
            name: $name,
            singular: $singular,
            id: $id,
            aliases: $aliases,
            read: $read,
            write: $write,
            schema_read: &[
                &["crm.schemas.line_items.read"],
                &["crm.objects.line_items.read"],
                &["e-commerce"],
            ],
            schema_write: &[&["e-commerce"]],
            defaults: $defaults,
            created: $created,
            modified: "hs_lastmodifieddate",
        }
    };
}

const LINE_ITEM_READ: Need = &[&["crm.objects.line_items.read"], &["e-commerce"]];
const LINE_ITEM_WRITE: Need = &[&["crm.objects.line_items.write"], &["e-commerce"]];
const ACTIVITY_READ: Need = &[&["crm.objects.contacts.read"]];

/// Every standard type.
pub(super) const TYPES: &[Spec] = &[
    own!(
        "contacts",
        "contact",
        "0-1",
        &[],
        &["email", "firstname", "lastname"],
        "createdate",
        "lastmodifieddate"
    ),
    own!(
        "companies",
        "company",
        "0-2",
        &[],
        &["name", "domain"],
        "createdate",
        "hs_lastmodifieddate"
    ),
    own!(
        "deals",
        "deal",
        "0-3",
        &[],
        &["dealname", "amount", "closedate", "pipeline", "dealstage"],
        "createdate",
        "hs_lastmodifieddate"
    ),
    Spec {
        name: "tickets",
        singular: "ticket",
        id: "0-5",
        aliases: &[],
        read: &[&["tickets"], &["crm.objects.tickets.read"]],
        write: &[&["tickets"], &["crm.objects.tickets.write"]],
        schema_read: &[&["tickets"], &["crm.schemas.tickets.read"]],
        schema_write: &[&["tickets"], &["crm.schemas.tickets.write"]],
        defaults: &[
            "subject",
            "content",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_category",
            "hs_ticket_priority",
        ],
        created: "createdate",
        modified: "hs_lastmodifieddate",
    },
    Spec {
        name: "products",
        singular: "product",
        id: "0-7",
        aliases: &[],
        read: &[&["crm.objects.products.read"], &["e-commerce"]],
        write: &[&["crm.objects.products.write"], &["e-commerce"]],
        schema_read: &[
            &["e-commerce"],
            &["crm.objects.products.read"],
            &["crm.objects.products.write"],
        ],
        schema_write: &[&["e-commerce"]],
        defaults: &["name", "description", "price"],
        created: "createdate",
        modified: "hs_lastmodifieddate",
    },
    line_item!(
        "line_items",
        "line_item",
        "0-8",
        &["line-items", "line item"],
        LINE_ITEM_READ,
        LINE_ITEM_WRITE,
        &["name", "quantity", "amount", "price"],
        "createdate"
    ),
    Spec {
        name: "quotes",
        singular: "quote",
        id: "0-14",
        aliases: &[],
        read: &[&["crm.objects.quotes.read"], &["e-commerce"]],
        write: &[&["crm.objects.quotes.write"], &["e-commerce"]],
        schema_read: &[&["crm.schemas.quotes.read"], &["crm.objects.quotes.read"]],
        schema_write: &[&["crm.schemas.quotes.write"]],
        defaults: &["hs_title", "hs_expiration_date", "hs_status"],
        created: "hs_createdate",
        modified: "hs_lastmodifieddate",
    },
    line_item!(
        "discounts",
        "discount",
        "0-84",
        &[],
        LINE_ITEM_READ,
        LINE_ITEM_WRITE,
        &["hs_label", "hs_value"],
        "hs_createdate"
    ),
    line_item!(
        "fees",
        "fee",
        "0-85",
        &[],
        LINE_ITEM_READ,
        LINE_ITEM_WRITE,
        &["hs_label", "hs_value"],
        "hs_createdate"
    ),
    line_item!(
        "taxes",
        "tax",
        "0-86",
        &[],
        &[&["crm.objects.line_items.read"]],
        &[&["crm.objects.line_items.write"]],
        &["hs_label", "hs_value"],
        "hs_createdate"
    ),
    activity!("communications", "communication", "0-18", &[], ACTIVITY_READ),
    activity!(
        "tasks",
        "task",
        "0-27",
        &[],
        &[&["crm.objects.contacts.read"], &["crm.objects.tasks.read"]]
    ),
    activity!(
        "notes",
        "note",
        "0-46",
        &[],
        &[&["crm.objects.contacts.read"], &["crm.objects.notes.read"]]
    ),
    activity!(
        "meetings",
        "meeting",
        "0-47",
        &["meeting_event"],
        &[&["crm.objects.contacts.read"], &["crm.objects.meetings.read"]]
    ),
    activity!(
        "calls",
        "call",
        "0-48",
        &[],
        &[&["crm.objects.contacts.read"], &["crm.objects.calls.read"]]
    ),
    activity!(
        "emails",
        "email",
        "0-49",
        &[],
        &[&["crm.objects.contacts.read"], &["crm.objects.emails.read"]]
    ),
    activity!(
        "postal_mail",
        "postal_mail",
        "0-116",
        &["postal-mail"],
        ACTIVITY_READ
    ),
    Spec {
        name: "feedback_submissions",
        singular: "feedback_submission",
        id: "0-19",
        aliases: &[],
        read: &[
            &["crm.objects.feedback_submissions.read"],
            &["crm.objects.contacts.read"],
        ],
        write: &[],
        schema_read: &[&["crm.objects.feedback_submissions.read"]],
        schema_write: &[],
        defaults: &["hs_survey_name"],
        created: "hs_createdate",
        modified: "hs_lastmodifieddate",
    },
    own!("invoices", "invoice", "0-53", &["hs_title"]),
    without_schema!(
        "marketing_events",
        "marketing_event",
        "0-54",
        "marketing_events",
        &["marketing-events"],
        &["hs_event_name"]
    ),
    own!("subscriptions", "subscription", "0-69", &["hs_name"]),
    without_schema!(
        "goal_targets",
        "goal_target",
        "0-74",
        "goals",
        &["goals", "goal"],
        &["hs_goal_name"]
    ),
    Spec {
        name: "commerce_payments",
        singular: "commerce_payment",
        id: "0-101",
        aliases: &["payments", "commercepayments"],
        read: &[&["crm.objects.commercepayments.read"]],
        write: &[&["crm.objects.commercepayments.write"]],
        schema_read: &[
            &["crm.schemas.commercepayments.read"],
            &["crm.objects.commercepayments.read"],
        ],
        schema_write: &[&["crm.schemas.commercepayments.write"]],
        defaults: &["hs_initial_amount"],
        created: "hs_createdate",
        modified: "hs_lastmodifieddate",
    },
    without_schema!(
        "users",
        "user",
        "0-115",
        "users",
        &[],
        &["hs_given_name", "hs_family_name"]
    ),
    own!("orders", "order", "0-123", &["hs_order_name"]),
    without_schema!("leads", "lead", "0-136", "leads", &[], &["hs_lead_name"]),
    own!("carts", "cart", "0-142", &["hs_cart_name"]),
    own!("services", "service", "0-162", &["hs_name"]),
    own!("courses", "course", "0-410", &["hs_course_name"]),
    own!("listings", "listing", "0-420", &["hs_name"]),
    own!("appointments", "appointment", "0-421", &["hs_appointment_name"]),
    own!("projects", "project", "0-970", &["hs_name"]),
    Spec {
        name: "contracts",
        singular: "contract",
        id: "",
        aliases: &[],
        read: &[&["crm.objects.contracts.read"]],
        write: &[],
        schema_read: &[&["crm.objects.contracts.read"]],
        schema_write: &[],
        defaults: &["hs_name"],
        created: "hs_createdate",
        modified: "hs_lastmodifieddate",
    },
    without_schema!(
        "partner_clients",
        "partner_client",
        "",
        "partner-clients",
        &[],
        &["hs_name"]
    ),
    without_schema!(
        "partner_services",
        "partner_service",
        "",
        "partner-services",
        &[],
        &["hs_name"]
    ),
];

/// All custom types share one pair of scopes.
pub(super) const CUSTOM: Spec = own!("custom", "custom", "2-N", &["hs_name"]);
