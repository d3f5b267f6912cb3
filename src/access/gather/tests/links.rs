//! Links made along with a record.

use super::*;

const TO_COMPANY: &str =
    r#"{"to":{"id":"1"},"types":[{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":279}]}"#;

#[test]
fn a_link_in_a_create_is_a_link_between_the_two_types() {
    let both = format!(
        r#"{{"properties":{{}},"associations":[{TO_COMPANY},{TO_COMPANY},
        {{"to":{{"id":5}},"types":[{{"associationCategory":"HUBSPOT_DEFINED","associationTypeId":"4"}}]}}]}}"#
    );
    all_need(
        "POST /crm/v3/objects/contacts",
        &[
            (
                r#"{"properties":{"email":"a@x.io"}}"#,
                &["crm.objects.create write contacts"],
            ),
            (
                r#"{"properties":{},"associations":[]}"#,
                &["crm.objects.create write contacts"],
            ),
            (
                r#"{"properties":{},"associations":{}}"#,
                &["crm.objects.create write contacts"],
            ),
            (
                r#"{"properties":{},"associations":null}"#,
                &["crm.objects.create write contacts"],
            ),
            (
                r#"{"properties":{"associations":"a property of that name"}}"#,
                &["crm.objects.create write contacts"],
            ),
            (
                &both,
                &[
                    "crm.objects.create write contacts",
                    "crm.associations.create write contacts+companies",
                    "crm.associations.create write contacts+deals",
                ],
            ),
        ],
    );
}

#[test]
fn a_link_whose_types_are_not_known_for_sure_is_refused() {
    let how = |category: &str, id: &str| {
        format!(
            r#"{{"associations":[{{"to":{{"id":"1"}},"types":[{{"associationCategory":"{category}","associationTypeId":{id}}}]}}]}}"#
        )
    };
    let id = "refused_unjudged /associations/0/types/0/associationTypeId";
    let category = "refused_unjudged /associations/0/types/0/associationCategory";
    all_refused(
        "POST /crm/v3/objects/contacts",
        &[
            (&how("USER_DEFINED", "279"), category),
            (&how("INTEGRATOR_DEFINED", "279"), category),
            (&how("hubspot_defined", "279"), category),
            (&how("HUBSPOT_DEFINED", "99999"), id),
            // The opposite direction, and version 1's own ids.
            (&how("HUBSPOT_DEFINED", "280"), id),
            (&how("HUBSPOT_DEFINED", "9"), id),
            (
                &how("HUBSPOT_DEFINED", "2.79e2"),
                "refused_body /associations/0/types/0/associationTypeId",
            ),
            (
                &how("HUBSPOT_DEFINED", "\"+279\""),
                "refused_body /associations/0/types/0/associationTypeId",
            ),
            (
                &how("HUBSPOT_DEFINED", "null"),
                "refused_body /associations/0/types/0/associationTypeId",
            ),
            (
                r#"{"associations":[{"to":{"id":"1"},"types":[]}]}"#,
                "refused_unjudged /associations/0/types",
            ),
            (
                r#"{"associations":[{"to":{"id":"1"}}]}"#,
                "refused_unjudged /associations/0/types",
            ),
            (
                r#"{"associations":{"associatedVids":[1]}}"#,
                "refused_unjudged /associations",
            ),
            (r#"{"associations":"x"}"#, "refused_unjudged /associations"),
            (r#"{"associations":0}"#, "refused_unjudged /associations"),
            (r#"{"associations":false}"#, "refused_unjudged /associations"),
            (r#"{"\u0061ssociations":[1]}"#, "refused_body /associations/0"),
            (r#"{"Associations":[1]}"#, "refused_unjudged /Associations"),
            (r#"{"associations ":[1]}"#, "refused_unjudged /?"),
            (r#"{"associa\u0000tions":[1]}"#, "refused_unjudged /?"),
            (r#"{"aſſociations":[1]}"#, "refused_unjudged /?"),
            (
                r#"{"associations":[{"Types":[],"to":{}}]}"#,
                "refused_unjudged /associations/0/Types",
            ),
            ("[]", "refused_body /"),
            ("1", "refused_body /"),
            (
                r#"{"associations":[],"associations":[1]}"#,
                "refused_body /associations",
            ),
            ("{", "refused_body /"),
        ],
    );
    let custom = how("HUBSPOT_DEFINED", "279");
    assert_eq!(refused("POST /crm/v3/objects/p_car", &custom), id);
}

#[test]
fn batches_are_judged_item_by_item_in_every_spelling_of_the_path() {
    for path in [
        "/crm/v3/objects/contacts/batch/create",
        "/crm/objects/v3/0-1/batch/create",
        "/crm/objects/2026-03/contact/batch/upsert",
        "/crm/v3/objects/0-1/batch/create",
    ] {
        let request = format!("POST {path}");
        let body = format!(r#"{{"inputs":[{{"properties":{{}}}},{{"associations":[{TO_COMPANY}]}}]}}"#);
        let found = needs(&request, Some(&body));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1], "crm.associations.create write contacts+companies");
        assert_eq!(
            needs(
                &request,
                Some(r#"{"inputs":[{"properties":{}},{"associations":[]}]}"#)
            )
            .len(),
            1
        );
        all_refused(
            &request,
            &[
                (
                    r#"{"inputs":[{"properties":{}},{"associations":[{}]}]}"#,
                    "refused_unjudged /inputs/1/associations/0/types",
                ),
                (
                    r#"{"inputs":[],"associations":[1]}"#,
                    "refused_body /associations/0",
                ),
                (r#"{"Inputs":[{"associations":[1]}]}"#, "refused_unjudged /Inputs"),
                (r#"{"inputs ":[{"associations":[1]}]}"#, "refused_unjudged /?"),
                (r#"{"inputs":{"associations":[1]}}"#, "refused_body /inputs"),
                (r#"{"inputs":[[]]}"#, "refused_body /inputs/0"),
                (r#"{"inputs":"x"}"#, "refused_body /inputs"),
            ],
        );
    }
}

#[test]
fn a_v1_deal_names_its_links_by_member() {
    for request in ["POST /deals/v1/deal", "PUT /deals/v1/deal/5"] {
        let found = needs(
            request,
            Some(
                r#"{"associations":{"associatedVids":[1],"associatedCompanyIds":[2],"associatedDealIds":[],"associatedTicketIds":[3]},"properties":[]}"#,
            ),
        );
        assert_eq!(
            found[1..],
            [
                "crm.associations.create write deals+contacts",
                "crm.associations.create write deals+companies",
                "crm.associations.create write deals+tickets",
            ]
        );
        all_refused(
            request,
            &[
                (
                    r#"{"associations":{"associatedNoteIds":[1]}}"#,
                    "refused_unjudged /associations/associatedNoteIds",
                ),
                (
                    r#"{"associations":{"associatedVids":{"0":1}}}"#,
                    "refused_body /associations/associatedVids",
                ),
            ],
        );
    }
}

#[test]
fn the_table_of_association_types_is_consistent() {
    let known = |id| {
        let (from, to) = catalogue().association_type(id)?;
        Some(format!(
            "{} {}",
            catalogue().object_name(from),
            catalogue().object_name(to)
        ))
    };
    for (id, expected) in [
        (1, Some("contacts companies")),
        (3, Some("deals contacts")),
        (26, Some("tickets companies")),
        (202, Some("notes contacts")),
        (279, Some("contacts companies")),
        (341, Some("deals companies")),
        (451, Some("deals deals")),
        (578, Some("leads contacts")),
        (7, None),
        (0, None),
        (598, None),
    ] {
        assert_eq!(known(id).as_deref(), expected, "{id}");
    }
    // HubSpot numbers the two directions of a pair one after the other.
    for id in 0..2000 {
        let Some((from, to)) = catalogue().association_type(id).filter(|(from, to)| from != to) else {
            continue;
        };
        let inverse = [id.wrapping_sub(1), id + 1]
            .into_iter()
            .filter_map(|other| catalogue().association_type(other))
            .any(|(back_from, back_to)| (back_from, back_to) == (to, from));
        assert!(inverse || [578, 580].contains(&id), "{id} {from:?} {to:?}");
    }
}
