//! Counts, ids and effects of the shipped tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::rows::{self, Row};
use super::*;
use crate::access::target::Method;

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
        // The specifications' 1586 writes and 490 deletions, but for update-list-filters in five versions.
        [12, 21, 1546, 1581, 495, 132],
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
        ("engagements.create", Effect::Write, Takes::One),
        ("crm.imports.create", Effect::Write, Takes::One),
        ("crm.imports.list", Effect::Read, Takes::Nothing),
        ("crm.exports.export.async", Effect::Read, Takes::One),
        ("crm.schemas.batch.read", Effect::Read, Takes::One),
        ("crm.schemas.associations.create", Effect::Write, Takes::Pair),
        ("crm-associations.batch.create", Effect::Write, Takes::Pair),
        ("collector.graphql.query", Effect::Read, Takes::One),
        ("integrators.timeline.events.create", Effect::Write, Takes::One),
        ("scheduler.meetings.meeting-links.book", Effect::Write, Takes::One),
        ("crm.lists.update-list-filters", Effect::Delete, Takes::Nothing),
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
fn what_parts_of_requests_are_judged_as_exists() {
    let parts = shipped().parts();
    for part in [
        parts.associations_list,
        parts.associations_create,
        parts.lists_create,
        parts.schema_association,
    ] {
        assert!(part.is_some(), "{parts:?}");
    }
}

#[test]
fn requests_that_name_many_records_or_touch_them_unnamed_are_marked_where_no_id_says_batch() {
    let marked = |is_marked: fn(&Row) -> bool| {
        let rows = shipped().rows.iter().filter(|row| is_marked(row));
        let ids = rows.filter(|row| !row.id.contains("batch")).map(|row| &*row.id);
        ids.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        marked(|row| row.marks.names_many),
        [
            "blogs.topics.group-topics",
            "contacts.lists.add",
            "contacts.lists.remove",
            "crm.associations.archive",
            "crm.associations.create",
            "crm.lists.memberships.add",
            "crm.lists.memberships.add-and-remove",
            "crm.lists.memberships.remove",
            "data-studio.data-source.data-push",
            "marketing.marketing-events.attendance.create",
            "marketing.marketing-events.attendance.create-by-external-id",
            "marketing.marketing-events.attendance.email-create",
            "marketing.marketing-events.attendance.email-create-by-external-id",
            "marketing.marketing-events.events.email-upsert",
            "marketing.marketing-events.events.upsert",
            "webhooks-journal.snapshots.crm",
        ]
    );
    assert_eq!(
        marked(|row| row.marks.names_none),
        [
            "crm.lists.memberships.add-from",
            "crm.lists.memberships.archive",
            "crm.lists.update-list-filters",
        ]
    );
    // By one link as by several: of the rows that make and end links, those that take several ids.
    let links = shipped()
        .rows
        .iter()
        .filter(|row| row.id.starts_with("crm.associations."));
    let several = links.filter(|row| row.marks.names_many && !row.id.contains("batch"));
    assert!(
        several
            .into_iter()
            .all(|row| row.template.starts_with("/deals/v1/"))
    );
}

#[test]
fn the_digest_is_stable_and_sixty_four_digits() {
    assert_eq!(shipped().digest().len(), 64);
    assert_eq!(Catalogue::embedded().unwrap().digest(), shipped().digest());
}
