//! What the shipped tables promise, and how targets are recognised.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rows::{Resolve, Row, TypeSource};
use super::*;
use crate::access::refusal::Reason;
use crate::access::target::{Method, Target};

fn shipped() -> &'static Catalogue {
    static CATALOGUE: std::sync::LazyLock<Catalogue> =
        std::sync::LazyLock::new(|| Catalogue::embedded().unwrap());
    &CATALOGUE
}

/// `operation type,type` or the reason of the refusal.
fn look(catalogue: &Catalogue, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let target = match Target::parse(method, target) {
        Ok(target) => target,
        Err(refusal) => return refusal.reason.as_str().to_owned(),
    };
    match catalogue.recognise(&target) {
        Ok(recognised) => {
            let types: Vec<&str> = recognised
                .types
                .iter()
                .map(|t| catalogue.object_name(t))
                .collect();
            let operation = catalogue.operation(recognised.operation).unwrap();
            format!("{} {}", operation.id, types.join(","))
                .trim_end()
                .to_owned()
        }
        Err(refusal) => refusal.reason.as_str().to_owned(),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (request, expected) in cases {
        assert_eq!(look(shipped(), request), *expected, "{request}");
    }
}

#[test]
fn the_tables_have_the_rows_their_source_had() {
    let catalogue = shipped();
    assert_eq!(catalogue.rows.len(), 3787 + 370);
    assert_eq!(catalogue.object_types().count(), 35);
    assert_eq!(catalogue.scopes().count(), 262 + 3);
    let count = |effect: Effect| {
        catalogue.rows[..3787]
            .iter()
            .filter(|row| row.effect == effect)
            .count()
    };
    assert_eq!(
        Effect::ALL.map(count),
        [12, 21, 1546, 1586, 490, 132],
        "meta, auth, read, write, delete, irreversible"
    );
    let inline = catalogue.rows[..3787]
        .iter()
        .filter(|row| row.may_carry_associations())
        .count();
    assert_eq!(inline, 294);
    let identities: BTreeSet<_> = catalogue.rows[..3787].iter().map(identity).collect();
    assert_eq!(identities.len(), 1307);
}

/// Method and version-less template, whatever its parameters are called.
fn identity(row: &Row) -> (Method, String) {
    let segments = row
        .template
        .trim_matches('/')
        .split('/')
        .filter(|s| !rows::is_version(s));
    let segments: Vec<&str> = segments
        .map(|s| if s.starts_with('{') { "{}" } else { s })
        .collect();
    (row.method, segments.join("/"))
}

#[test]
fn one_identity_has_one_operation_id_and_one_effect() {
    let mut seen: HashMap<(Method, String), (&str, Effect)> = HashMap::new();
    for row in &shipped().rows {
        let first = seen.entry(identity(row)).or_insert((&row.id, row.effect));
        assert_eq!(*first, (&*row.id, row.effect), "{}", row.template);
    }
}

#[test]
fn one_id_stands_for_several_identities_only_in_the_families_listed_here() {
    let mut by_id: BTreeMap<&str, BTreeSet<(Method, String)>> = BTreeMap::new();
    for row in &shipped().rows {
        let (method, mut shape) = identity(row);
        if let Some(rest) = shape.strip_prefix("properties/") {
            let rest = rest.split_once('/').map_or("", |(_, rest)| rest);
            shape = format!("properties/{{}}/{rest}");
        }
        by_id.entry(&row.id).or_default().insert((method, shape));
    }
    let shared: Vec<&str> = by_id
        .iter()
        .filter(|(id, identities)| identities.len() > 1 && !id.starts_with("crm.objects."))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(
        shared,
        [
            "business-units.list",
            "crm-objects.change-log.list",
            "crm.associations.archive",
            "crm.associations.create",
            "crm.associations.list",
            "crm.schemas.associations.create",
            "crm.schemas.create",
            "crm.schemas.get",
            "crm.schemas.list",
            "deal-splits.batch.read",
            "deal-splits.batch.upsert",
            "integrators.timeline.events.batch.create",
            "integrators.timeline.events.create",
        ]
    );
}

#[test]
fn ids_are_found_again_and_say_what_they_do() {
    let catalogue = shipped();
    for (index, operation) in catalogue.operations() {
        assert_eq!(catalogue.operation_by_id(&operation.id), Some(index));
        assert!(rows::is_operation_id(&operation.id), "{}", operation.id);
        let verb = operation.id.rsplit('.').next().unwrap();
        match verb {
            "get" | "list" | "search" | "read" => {
                assert!(
                    matches!(operation.effect, Effect::Read | Effect::Meta | Effect::Auth),
                    "{} is {:?}",
                    operation.id,
                    operation.effect
                );
            }
            "merge" | "gdpr-delete" => assert_eq!(operation.effect, Effect::Irreversible, "{}", operation.id),
            "archive" => assert!(
                operation.effect >= Effect::Delete || operation.effect == Effect::Auth,
                "{}",
                operation.id
            ),
            "create" | "update" | "replace" | "upsert" => assert!(
                matches!(operation.effect, Effect::Write | Effect::Auth),
                "{} is {:?}",
                operation.id,
                operation.effect
            ),
            _ => {}
        }
    }
}

#[test]
fn the_ids_that_policies_are_written_with_exist() {
    for (id, effect, takes) in [
        ("crm.objects.list", Effect::Read, Takes::One),
        ("crm.objects.get", Effect::Read, Takes::One),
        ("crm.objects.search", Effect::Read, Takes::One),
        ("crm.objects.create", Effect::Write, Takes::One),
        ("crm.objects.update", Effect::Write, Takes::One),
        ("crm.objects.archive", Effect::Delete, Takes::One),
        ("crm.objects.batch.read", Effect::Read, Takes::One),
        ("crm.objects.batch.create", Effect::Write, Takes::One),
        ("crm.objects.batch.update", Effect::Write, Takes::One),
        ("crm.objects.batch.upsert", Effect::Write, Takes::One),
        ("crm.objects.batch.archive", Effect::Delete, Takes::One),
        ("crm.objects.merge", Effect::Irreversible, Takes::One),
        ("crm.objects.gdpr-delete", Effect::Irreversible, Takes::One),
        ("crm.associations.create", Effect::Write, Takes::Pair),
        ("crm.associations.archive", Effect::Delete, Takes::Pair),
        ("crm.associations.list", Effect::Read, Takes::Pair),
        ("crm.properties.list", Effect::Read, Takes::One),
        ("crm.lists.create", Effect::Write, Takes::Nothing),
        ("crm.lists.update-list-name", Effect::Write, Takes::Nothing),
        ("crm.lists.memberships.add", Effect::Write, Takes::Nothing),
        ("crm.lists.memberships.remove", Effect::Delete, Takes::Nothing),
        ("automation.workflows.enrol", Effect::Write, Takes::Nothing),
        ("automation.workflows.list", Effect::Read, Takes::Nothing),
        ("automation.flows.list", Effect::Read, Takes::Nothing),
        ("automation.flows.get", Effect::Read, Takes::Nothing),
        ("engagements.list", Effect::Read, Takes::Nothing),
        ("email.campaigns.list", Effect::Read, Takes::Nothing),
        ("email.campaigns.get", Effect::Read, Takes::Nothing),
        ("email.events.list", Effect::Read, Takes::Nothing),
        ("email.subscriptions.timeline", Effect::Read, Takes::Nothing),
        ("forms.list", Effect::Read, Takes::Nothing),
        ("crm.owners.list", Effect::Read, Takes::Nothing),
        ("owners.list", Effect::Read, Takes::Nothing),
    ] {
        let index = shipped().operation_by_id(id).unwrap_or_else(|| panic!("no {id}"));
        let operation = shipped().operation(index).unwrap();
        assert_eq!((operation.effect, operation.takes), (effect, takes), "{id}");
    }
}

#[test]
fn every_row_is_recognised_as_itself_whatever_its_parameters() {
    let catalogue = shipped();
    for row in &catalogue.rows {
        let parameters: Vec<&str> = row.template.split('/').filter(|s| s.starts_with('{')).collect();
        let value = |segment: &str| -> String {
            let ordinal = parameters.iter().position(|p| *p == segment).map(|p| p as u8);
            let is_type = row.sources().iter().any(|source| match source {
                TypeSource::Parameter(position) => Some(*position) == ordinal,
                TypeSource::Literal(_) => false,
            });
            if is_type {
                "p_car".to_owned()
            } else {
                "12345".to_owned()
            }
        };
        let path: Vec<String> = row
            .template
            .split('/')
            .map(|s| {
                if s.starts_with('{') {
                    value(s)
                } else {
                    s.to_owned()
                }
            })
            .collect();
        let target = Target::parse(row.method.as_str(), &path.join("/")).unwrap();
        let found = catalogue
            .recognise(&target)
            .unwrap_or_else(|e| panic!("{} {e:?}", row.template));
        assert_eq!(catalogue.row(found.row).unwrap().id, row.id, "{}", row.template);
        assert_eq!(
            catalogue.row(found.row).unwrap().effect,
            row.effect,
            "{}",
            row.template
        );
    }
}

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
fn versions_and_layouts_of_one_operation_are_one() {
    let contact = "crm.objects.get contacts";
    check(&[
        ("GET /crm/v3/objects/contacts/1", contact),
        ("GET /crm/objects/v3/contacts/1", contact),
        ("GET /crm/objects/2026-03/contacts/1", contact),
        ("GET /crm/2026-03/objects/contacts/1", contact),
        ("GET /crm/v3/objects/contacts/1/", contact),
        ("GET /crm/v3/objects/contact/1", contact),
        ("GET /crm/v3/objects/CONTACT/1", contact),
        ("GET /crm/v3/objects/Contacts/1", contact),
        ("GET /crm/v3/objects/0-1/1", contact),
        ("GET /crm/v3/objects/%63ontacts/1", contact),
        ("GET /crm/objects/2026-09-beta/contact/1", contact),
        ("GET /contacts/v1/contact/vid/1/profile", contact),
        ("GET /crm/v3/objects/deals", "crm.objects.list deals"),
        ("GET /crm/v3/objects/0-3", "crm.objects.list deals"),
        ("GET /crm/objects/v3/services", "crm.objects.list services"),
        ("POST /settings/users/v3", "settings.users.create"),
        ("GET /crm/v3/owners/", "crm.owners.list"),
        ("GET /marketing/v3/emails/", "marketing.emails.list"),
        ("GET /marketing/v3/emails", "marketing.emails.list"),
        ("GET /collector/graphql", "unknown_operation"),
        ("POST /collector/graphql", "collector.graphql.query"),
    ]);
}

#[test]
fn every_alias_of_a_type_gets_the_decision_of_its_plain_spelling() {
    let catalogue = shipped();
    for (object, name) in catalogue.object_types() {
        let spellings: Vec<&str> = OBJECT_TYPES
            .lines()
            .find(|line| line.starts_with(&format!("{name}\t")))
            .map(|line| {
                line.split('\t')
                    .take(4)
                    .flat_map(|cell| cell.split(';'))
                    .collect()
            })
            .unwrap();
        for rest in [
            "",
            "/search",
            "/batch/read",
            "/batch/upsert",
            "/merge",
            "/gdpr-delete",
        ] {
            for version in ["v3", "2026-03", "2026-09-beta"] {
                let method = if rest.is_empty() { "GET" } else { "POST" };
                let plain = look(
                    catalogue,
                    &format!("{method} /crm/{version}/objects/{name}{rest}"),
                );
                for spelling in spellings.iter().filter(|s| !s.contains(' ') && **s != "?") {
                    let aliased = look(
                        catalogue,
                        &format!("{method} /crm/objects/{version}/{spelling}{rest}"),
                    );
                    assert_eq!(aliased, plain, "{spelling} of {object:?} {rest} {version}");
                }
            }
        }
    }
}

#[test]
fn the_left_most_literal_wins_and_methods_fall_to_parameters() {
    check(&[
        ("GET /crm/v3/objects/contacts/search", "crm.objects.get contacts"),
        (
            "DELETE /crm/v3/objects/contacts/search",
            "crm.objects.archive contacts",
        ),
        (
            "PATCH /crm/v3/objects/contacts/merge",
            "crm.objects.update contacts",
        ),
        (
            "POST /crm/v3/objects/contacts/search",
            "crm.objects.search contacts",
        ),
        ("DELETE /crm/v3/lists/folders/5", "crm.lists.folders.archive"),
        (
            "GET /crm/v3/lists/folders/memberships",
            "crm.lists.memberships.list",
        ),
        ("GET /crm/v3/lists/5/memberships", "crm.lists.memberships.list"),
        (
            "POST /crm/v4/associations/usage/high-usage-report/5",
            "crm.associations.usage.high-usage-report",
        ),
        (
            "GET /crm/v4/associations/contacts/companies/labels",
            "crm.associations.labels.list contacts,companies",
        ),
        ("GET /files/v3/files/stat/a/b/c.png", "files.stat.get"),
        ("GET /files/v3/folders/12", "files.folders.get"),
        ("GET /files/v3/folders/a/b", "files.folders.get"),
        ("DELETE /files/v3/folders/a/b/c", "files.folders.archive"),
        ("GET /files/v3/folders/search", "files.folders.search"),
        (
            "PUT /cms/v3/source-code/draft/content/x/y.css",
            "cms.source-code.content.replace",
        ),
        ("GET /cms/v3/source-code/draft/content", "unknown_operation"),
        ("DELETE /crm/v3/objects/contacts", "unknown_operation"),
        ("POST /crm/v3/objects/contacts/1", "unknown_operation"),
    ]);
}

#[test]
fn custom_objects_are_told_from_unknown_words() {
    check(&[
        ("GET /crm/v3/objects/2-123456", "crm.objects.list 2-123456"),
        ("GET /crm/v3/objects/p_car", "crm.objects.list p_car"),
        ("GET /crm/v3/objects/P456_Car", "crm.objects.list p456_car"),
        ("GET /crm/v3/objects/cars", "unknown_object"),
        ("GET /crm/v3/objects/custom", "unknown_object"),
        ("GET /crm/v3/objects/0-99999", "unknown_object"),
        ("GET /crm/v3/objects/2-", "unknown_object"),
        ("GET /crm/v3/objects/p_", "unknown_object"),
        ("GET /crm/v3/objects/contacts%20", "unknown_object"),
        ("GET /crm/v3/objects/contactſ", "refused_path"),
        ("GET /crm/v3/objects/contact%C5%BF", "unknown_object"),
        (
            "PUT /crm/v4/objects/contacts/1/associations/cars/2",
            "unknown_object",
        ),
        (
            "PUT /crm/v4/objects/contact/1/associations/0-2/2",
            "crm.associations.create contacts,companies",
        ),
    ]);
}

#[test]
fn unknown_versions_operations_and_cases_are_refused_each_with_its_reason() {
    check(&[
        ("GET /crm/v9/objects/contacts", "unknown_version"),
        ("GET /crm/2031-01/objects/contacts", "unknown_version"),
        ("GET /crm/objects/2031-01/contacts", "unknown_version"),
        ("GET /crm/objects/contacts", "unknown_operation"),
        ("GET /crm/V3/objects/contacts", "unknown_operation"),
        ("GET /CRM/v3/objects/contacts", "unknown_operation"),
        ("GET /crm/v3/Objects/contacts", "unknown_operation"),
        ("GET /crm/v3/objects/contacts/Search", "unknown_operation"),
        ("DELETE /crm/v3/objects/contacts/BATCH", "unknown_operation"),
        ("GET /crm/objects/contacts/v3/1", "unknown_operation"),
        ("GET /", "unknown_operation"),
        ("GET /v3", "unknown_operation"),
        ("GET /crm/v3/v3/objects/contacts", "unknown_operation"),
        ("GET /crm/v3/objects/v3/contacts", "unknown_object"),
    ]);
}

#[test]
fn more_versions_make_known_operations_known_under_them() {
    let catalogue = Catalogue::with(None, &["2031-01".to_owned()]).unwrap();
    assert_eq!(
        look(&catalogue, "GET /crm/objects/2031-01/contacts"),
        "crm.objects.list contacts"
    );
    assert_eq!(look(&catalogue, "GET /crm/2031-01/owners"), "crm.owners.list");
    assert_eq!(look(&catalogue, "GET /crm/2031-02/owners"), "unknown_version");
    assert_ne!(catalogue.digest(), shipped().digest());
    assert!(Catalogue::with(None, &["latest".to_owned()]).is_err());
}

#[test]
fn the_digest_is_stable_and_sixty_four_digits() {
    assert_eq!(shipped().digest().len(), 64);
    assert_eq!(Catalogue::embedded().unwrap().digest(), shipped().digest());
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
fn requirement(catalogue: &Catalogue, operation: &str, object: Option<&str>) -> Vec<String> {
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

#[test]
fn a_walk_is_bounded_on_every_target() {
    for path in [
        "/crm/v3/objects/contacts".repeat(6),
        "/v3".repeat(60),
        "/a".repeat(64),
        "/crm/v3".repeat(20),
    ] {
        let target = Target::parse("GET", &path).unwrap();
        assert!(matches!(
            shipped().recognise(&target).unwrap_err().reason,
            Reason::UnknownOperation | Reason::UnknownVersion | Reason::UnknownObject
        ));
    }
}

fn extra(lines: &str) -> Result<Catalogue, String> {
    let text = format!("# ours\nmethod\tpath\tid\teffect\tresolve\tleast\n{lines}");
    Catalogue::with(Some(&text), &[]).map_err(|error| error.to_string())
}

#[test]
fn extra_operations_become_known() {
    let catalogue =
        extra("GET\t/crm/v3/brand-new/{id}\tcrm.brand-new.get\tread\tfixed\tcrm.objects.owners.read\n")
            .unwrap();
    assert_eq!(look(&catalogue, "GET /crm/v3/brand-new/7"), "crm.brand-new.get");
    assert_eq!(look(&catalogue, "GET /crm/brand-new/v3/7"), "crm.brand-new.get");
    assert_ne!(catalogue.digest(), shipped().digest());
    let opened = requirement(&catalogue, "crm.brand-new.get", None);
    assert_eq!(opened, ["crm.objects.owners.read"]);
}

#[test]
fn extra_may_raise_a_known_operation_and_never_lower_it() {
    let raised =
        extra("GET\t/crm/v3/owners\tcrm.owners.list\twrite\tfixed\tcrm.objects.owners.read+crm.lists.read\n")
            .unwrap();
    let owners = raised
        .operation(raised.operation_by_id("crm.owners.list").unwrap())
        .unwrap();
    assert_eq!(owners.effect, Effect::Write);

    for (lines, why) in [
        (
            "POST\t/crm/v3/objects/{objectType}/merge\tcrm.objects.merge\tread\ttype:{objectType}\t-\n",
            "lowered",
        ),
        (
            "GET\t/crm/v3/owners\tcrm.owners.list\tread\tfixed\toauth\n",
            "asks for less",
        ),
        (
            "GET\t/crm/v3/owners\tcrm.other.list\tread\tfixed\tcrm.objects.owners.read\n",
            "its operation is",
        ),
        (
            "POST\t/crm/objects/v3/contacts/merge\tcrm.x.get\tread\tfixed\t-\n",
            "its operation is",
        ),
        (
            "DELETE\t/crm/v3/objects/contacts/secret\tcrm.x.get\tread\tfixed\t-\n",
            "its paths are read as",
        ),
        (
            "DELETE\t/crm/v3/objects/contacts/secret\tcrm.x.get\tdelete\tfixed\toauth\n",
            "its paths are read as",
        ),
        (
            "POST\t/collector/graphql\tcollector.graphql.query\tread\tfixed\t-\n",
            "body",
        ),
        (
            "GET\t/crm/v77/owners\tcrm.fresh.list\tread\tfixed\t-\n",
            "are the operation `crm.owners.list`",
        ),
        (
            "GET\t/crm/v3/new\tcrm.new.list\tread\tfixed\tno.such.scope\n",
            "unknown scope",
        ),
        (
            "GET\t/crm/v3/new\tcrm.objects.get\tread\tfixed\t-\n",
            "different surface",
        ),
        ("HEAD\t/crm/v3/new\tcrm.new.get\tread\tfixed\t-\n", "`method`"),
        (
            "GET\t/crm/v3/{x}/new\tcrm.new.get\tread\ttype:{y}\t-\n",
            "no parameter",
        ),
        ("GET\tcrm\tcrm.new.get\tread\tfixed\t-\n", "begins with /"),
        ("GET\t/crm/v3/new\tcrm.new.get\tread\n", "cells"),
    ] {
        let error = extra(lines).unwrap_err();
        assert!(error.contains(why), "{lines}: {error}");
        assert!(
            error.starts_with("catalogue.extra:3:") || error.starts_with("operations:"),
            "{error}"
        );
    }
}
