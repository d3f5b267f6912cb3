//! Definitions whose types stand in the body.

use super::*;

#[test]
fn schemas_read_in_one_go_are_definitions_of_each_type() {
    let request = "POST /crm-object-schemas/v3/schemas/batch/read";
    let expected: &[&str] = &[
        "crm.schemas.batch.read read contacts",
        "crm.schemas.batch.read read p_car",
    ];
    all_need(
        request,
        &[
            (r#"{"inputs":["0-1","p_car","contact"]}"#, expected),
            (
                r#"{"inputs":[{"id":"contacts"},{"id":"p_car"}],"includePropertyDefinitions":true}"#,
                expected,
            ),
        ],
    );
    all_refused(
        request,
        &[
            (r#"{"inputs":[]}"#, "refused_body /"),
            (r#"{"inputs":["cars"]}"#, "unknown_object /inputs/0"),
            (
                r#"{"inputs":[{"id":"0-1","objectType":"0-2"}]}"#,
                "refused_body /inputs/0",
            ),
            (r#"{"Inputs":["0-1"]}"#, "refused_unjudged /Inputs"),
        ],
    );
    let facts = facts(request, Some(r#"{"inputs":["0-1"]}"#)).unwrap();
    let touch = &facts.main().touches[0];
    assert_eq!(touch.surface, Surface::Definitions);
    assert_eq!(
        catalogue().scope_names(touch.requirement.first().unwrap())[..],
        ["crm.schemas.contacts.read"]
    );
}

#[test]
fn a_tie_between_two_types_is_a_definition_of_both_and_the_path_names_one() {
    let body = |from: &str, to: &str| {
        format!(r#"{{"fromObjectTypeId":"{from}","toObjectTypeId":"{to}","name":"x"}}"#)
    };
    for (path, operation) in [
        (
            "/crm/v3/schemas/2-1/associations",
            "crm.schemas.associations.create",
        ),
        (
            "/crm/schemas/v3/2-1/associations",
            "crm.schemas.associations.create",
        ),
        (
            "/crm-object-schemas/v3/schemas/2-1/associations",
            "crm.schemas.associations.create",
        ),
        (
            "/crm-object-schemas/2026-03/schemas/2-1/associations",
            "crm.schemas.associations.create",
        ),
        (
            "/media-bridge/v1/7/schemas/2-1/associations",
            "media-bridge.schemas.associations.create",
        ),
        (
            "/media-bridge/2026-03/7/schemas/2-1/associations",
            "media-bridge.schemas.associations.create",
        ),
    ] {
        let request = format!("POST {path}");
        assert_eq!(
            needs(&request, Some(&body("2-1", "contacts"))),
            [format!("{operation} write 2-1+contacts")]
        );
        assert_eq!(
            needs(&request, Some(&body("0-1", "2-1"))),
            [format!("{operation} write contacts+2-1")]
        );
        all_refused(
            &request,
            &[
                (&body("0-1", "0-3"), "refused_body /"),
                (&body("2-1", "cars"), "unknown_object /toObjectTypeId"),
                (r#"{"fromObjectTypeId":"2-1"}"#, "refused_body /toObjectTypeId"),
                (
                    r#"{"fromObjectTypeId":"2-1","toObjectTypeId":"0-1","toobjecttypeid":"0-3"}"#,
                    "refused_unjudged /toobjecttypeid",
                ),
                (
                    r#"{"fromObjectTypeId":"2-1","toObjectTypeId":"0-1","inverseObject":"0-3"}"#,
                    "refused_unjudged /inverseObject",
                ),
                ("[]", "refused_body /"),
            ],
        );
    }
    let bridge = "POST /media-bridge/v1/7/schemas/2-1/associations";
    let facts = facts(bridge, Some(&body("2-1", "0-1"))).unwrap();
    let operation = catalogue().operation(facts.main().operation).unwrap();
    assert!(operation.by_name_alone, "no scope opens it");
}

#[test]
fn a_new_schema_that_ties_itself_to_other_types_defines_something_of_theirs() {
    for path in [
        "/crm/v3/schemas",
        "/crm/schemas/v3",
        "/crm-object-schemas/v3/schemas",
        "/crm-object-schemas/2025-09/schemas",
        "/crm-object-schemas/2026-03/schemas",
        "/crm-object-schemas/2026-09/schemas",
    ] {
        let create = format!("POST {path}");
        let alone: &[&str] = &["crm.schemas.create write "];
        all_need(
            &create,
            &[
                (r#"{"name":"car"}"#, alone),
                (r#"{"name":"car","associatedObjects":null}"#, alone),
                (r#"{"name":"car","associatedObjects":[]}"#, alone),
                (
                    r#"{"name":"car","associatedObjects":["CONTACT","0-3"]}"#,
                    &[
                        "crm.schemas.create write ",
                        "crm.schemas.associations.create write contacts",
                        "crm.schemas.associations.create write deals",
                    ],
                ),
            ],
        );
        all_refused(
            &create,
            &[
                (
                    r#"{"associatedObjects":"0-1"}"#,
                    "refused_body /associatedObjects",
                ),
                (
                    r#"{"AssociatedObjects":["0-1"]}"#,
                    "refused_unjudged /AssociatedObjects",
                ),
                (
                    r#"{"associatedObjects":{"0-1":{}}}"#,
                    "refused_body /associatedObjects",
                ),
                (
                    r#"{"associatedObjects":["cars"]}"#,
                    "unknown_object /associatedObjects/0",
                ),
                ("[]", "refused_body /"),
            ],
        );
        assert_eq!(reason(&create, None), Reason::RefusedBody);
    }
}
