//! `crm-associations/v1`.

use super::*;

fn link(definition: &str) -> String {
    format!(r#"{{"fromObjectId":1,"toObjectId":2,"category":"HUBSPOT_DEFINED","definitionId":{definition}}}"#)
}

#[test]
fn a_definition_says_which_types_a_link_joins() {
    let create = "PUT /crm-associations/v1/associations";
    for (id, types) in [
        ("1", "contacts+companies"),
        ("2", "companies+contacts"),
        ("3", "deals+contacts"),
        ("\"15\"", "contacts+tickets"),
        ("13", "companies+companies"),
        ("19", "deals+line_items"),
        ("25", "companies+tickets"),
        ("28", "tickets+deals"),
        ("280", "companies+contacts"),
    ] {
        assert_eq!(
            needs(create, Some(&link(id))),
            [format!("crm-associations.create write {types}")],
            "{id}"
        );
    }
    let engagement = needs(create, Some(&link("10")));
    assert_eq!(engagement.len(), 5, "{engagement:?}");
    assert!(engagement.contains(&"crm-associations.create write notes+contacts".to_owned()));
    let opened = facts(create, Some(&link("1"))).unwrap();
    let names = catalogue().scope_names(opened.main().touches[0].requirement.first().unwrap());
    assert_eq!(names[..], ["crm.objects.contacts.write"]);
}

#[test]
fn every_link_of_a_batch_is_judged_and_removal_is_one() {
    let both = format!("[{},{},{}]", link("1"), link("4"), link("1"));
    for (request, operation) in [
        (
            "PUT /crm-associations/v1/associations/create-batch",
            "crm-associations.batch.create write",
        ),
        (
            "PUT /crm-associations/v1/associations/delete-batch",
            "crm-associations.batch.archive delete",
        ),
    ] {
        assert_eq!(
            needs(request, Some(&both)),
            [
                format!("{operation} contacts+companies"),
                format!("{operation} contacts+deals")
            ]
        );
        assert_eq!(facts(request, Some(&both)).unwrap().batch, Some(3));
    }
    assert_eq!(
        needs("GET /crm-associations/v1/associations/5/HUBSPOT_DEFINED/15", None),
        ["crm-associations.list read contacts+tickets"]
    );
}

#[test]
fn a_link_by_an_unknown_definition_is_refused() {
    for request in [
        "PUT /crm-associations/v1/associations",
        "PUT /crm-associations/v1/associations/delete",
    ] {
        all_refused(
            request,
            &[
                (&link("99"), "refused_unjudged /definitionId"),
                // Published for version 4 alone.
                (&link("279"), "refused_unjudged /definitionId"),
                (&link("1.0"), "refused_body /definitionId"),
                (&link("-1"), "refused_body /definitionId"),
                (&link("null"), "refused_body /definitionId"),
                (
                    r#"{"category":"USER_DEFINED","definitionId":1}"#,
                    "refused_unjudged /category",
                ),
                (r#"{"definitionId":1}"#, "refused_body /category"),
                (
                    r#"{"category":"HUBSPOT_DEFINED","definitionId":1,"DefinitionId":3}"#,
                    "refused_unjudged /DefinitionId",
                ),
                ("[]", "refused_body /"),
                ("[1]", "refused_body /0"),
                (&format!("[{},[]]", link("1")), "refused_body /1"),
            ],
        );
    }
    for path in ["99", "x", "+1", "1.0"] {
        let request = format!("GET /crm-associations/v1/associations/5/HUBSPOT_DEFINED/{path}");
        assert_eq!(reason(&request, None), Reason::RefusedUnjudged, "{path}");
    }
    assert_eq!(
        reason("GET /crm-associations/v1/associations/5/USER_DEFINED/1", None),
        Reason::UnknownOperation
    );
}
