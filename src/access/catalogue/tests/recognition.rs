//! Versions, layouts, aliases, precedence, and what is refused.

use proptest::prelude::*;

use super::super::rows::TypeSource;
use super::*;
use crate::access::refusal::Reason;

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
        // One that HubSpot might take for `2-123456`, and a rule for that would not.
        ("GET /crm/v3/objects/2-00123456", "unknown_object"),
        ("GET /crm/v3/objects/p0456_car", "unknown_object"),
        ("GET /crm/v3/objects/p_", "unknown_object"),
        ("GET /crm/v3/objects/contacts%20", "unknown_operation"),
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
        ("GET /crm/v3/objects/contacts/search%20", "unknown_operation"),
        ("GET /crm/v3/objects/contacts/%C2%A0search", "unknown_operation"),
        (
            "GET /files/v3/folders/update/async/Tasks/1/status",
            "unknown_operation",
        ),
        ("DELETE /crm/v3/objects/contacts/BATCH", "unknown_operation"),
        ("GET /crm/objects/contacts/v3/1", "unknown_operation"),
        ("GET /", "unknown_operation"),
        ("GET /v3", "unknown_operation"),
        ("GET /crm/v3/v3/objects/contacts", "unknown_operation"),
        ("GET /crm/v3/objects/v3/contacts", "unknown_object"),
    ]);
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

proptest! {
    #[test]
    fn what_is_forwarded_is_what_was_recognised(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE"]),
        words in prop::collection::vec(
            prop::sample::select(vec![
                "crm", "objects", "v3", "v4", "2026-03", "contacts", "Contact", "0-1", "0-3", "p_car", "batch", "read",
                "search", "merge", "gdpr-delete", "associations", "default", "companies", "1", "a%40x", "%63rm", "lists",
                "folders", "memberships", "files", "stat", "Search", "properties", "schemas", "v9", "x.y",
            ]),
            1..9,
        ),
        slash in any::<bool>(),
    ) {
        let path = format!("/{}{}", words.join("/"), if slash { "/" } else { "" });
        let target = Target::parse(method, &path).unwrap();
        let again = Target::parse(method, &target.path_and_query()).unwrap();
        prop_assert_eq!(shipped().recognise(&target), shipped().recognise(&again));
    }
}
