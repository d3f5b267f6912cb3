use super::{bounds, check, judged, shown};

const RULES: &str = "contacts read=email write=email,firstname,stage,score stage:lead|subscriber score:7|";

#[test]
fn only_listed_properties_are_written() {
    let one = "PATCH /crm/v3/objects/contacts/1";
    let upsert = "POST /crm/v3/objects/contacts/batch/upsert";
    check(&[
        (
            one,
            r#"{"properties":{"firstname":"A","email":null}}"#,
            RULES,
            "same",
        ),
        (
            one,
            r#"{"properties":{"firstname":"A","salary":1}}"#,
            RULES,
            "deny property salary at /properties/salary",
        ),
        (
            one,
            r#"{"properties":{"SALARY":1}}"#,
            RULES,
            "deny property salary at /properties/SALARY",
        ),
        (
            one,
            r#"{"properties":{"hs_object_id":1}}"#,
            RULES,
            "deny property hs_object_id at /properties/hs_object_id",
        ),
        (
            one,
            r#"{"properties":{" firstname":1}}"#,
            RULES,
            "deny property ? at /properties/?",
        ),
        (
            one,
            r#"{"properties":{"\u0073alary":1}}"#,
            RULES,
            "deny property salary at /properties/salary",
        ),
        (
            one,
            r#"{"properties":[{"name":"salary"}]}"#,
            RULES,
            "refuse refused_body at /properties",
        ),
        (
            one,
            r#"{"properties":{},"props":{}}"#,
            RULES,
            "refuse refused_body at /props",
        ),
        (
            "POST /crm/v3/objects/contacts",
            r#"{"objectWriteTraceId":"1","properties":{"salary":1}}"#,
            RULES,
            "deny property salary at /properties/salary",
        ),
        (
            "POST /crm/v3/objects/contacts/batch/update",
            r#"{"inputs":[{"id":"1","properties":{}},{"id":"2","properties":{"salary":1}}]}"#,
            RULES,
            "deny property salary at /inputs/1/properties/salary",
        ),
        (
            upsert,
            r#"{"inputs":[{"idProperty":"email","id":"a@b","properties":{"firstname":"A"}}]}"#,
            RULES,
            "same",
        ),
        (
            upsert,
            r#"{"inputs":[{"idProperty":"ssn","id":"1","properties":{}}]}"#,
            RULES,
            "deny property ssn at /inputs/0/idProperty",
        ),
        (
            upsert,
            r#"{"inputs":[{"idProperty":"email","id":"a@b","properties":{}}]}"#,
            "contacts read=email write=firstname",
            "deny property email at /inputs/0/idProperty",
        ),
        (
            "PATCH /crm/v3/objects/contacts/a@b?idProperty=email",
            r#"{"properties":{}}"#,
            RULES,
            "same",
        ),
        (
            "PATCH /crm/v3/objects/contacts/1?idProperty=hs_object_id",
            r#"{"properties":{}}"#,
            RULES,
            "same",
        ),
        (
            "PATCH /crm/v3/objects/contacts/1?idProperty=ssn",
            r#"{"properties":{}}"#,
            RULES,
            "deny property ssn at idProperty",
        ),
        // A rule that hides by exception hides derived properties from readers, not from writers' names.
        (
            one,
            r#"{"properties":{"salary":1}}"#,
            "contacts read=all write=!salary",
            "deny property salary at /properties/salary",
        ),
        (
            one,
            r#"{"properties":{"sal ary":1}}"#,
            "contacts read=all write=!salary",
            "deny property ? at /properties/?",
        ),
        (
            one,
            r#"{"properties":{"x":{"y":1}}}"#,
            "contacts read=all write=!salary",
            "same",
        ),
    ]);
}

#[test]
fn values_bound_what_a_write_sets() {
    let one = "PATCH /crm/v3/objects/contacts/1";
    check(&[
        (one, r#"{"properties":{"stage":"lead"}}"#, RULES, "same"),
        (
            one,
            r#"{"properties":{"stage":"customer"}}"#,
            RULES,
            "deny value stage at /properties/stage",
        ),
        (
            one,
            r#"{"properties":{"Stage":"customer"}}"#,
            RULES,
            "deny value stage at /properties/Stage",
        ),
        (
            one,
            r#"{"properties":{"stage":"Lead"}}"#,
            RULES,
            "deny value stage at /properties/stage",
        ),
        (
            one,
            r#"{"properties":{"stage":""}}"#,
            RULES,
            "deny value stage at /properties/stage",
        ),
        (
            one,
            r#"{"properties":{"stage":null}}"#,
            RULES,
            "deny value stage at /properties/stage",
        ),
        (
            one,
            r#"{"properties":{"stage":["lead"]}}"#,
            RULES,
            "deny value stage at /properties/stage",
        ),
        (
            one,
            r#"{"properties":{"stage":{"value":"lead"}}}"#,
            RULES,
            "deny value stage at /properties/stage",
        ),
        (one, r#"{"properties":{"score":7}}"#, RULES, "same"),
        (
            one,
            r#"{"properties":{"score":7.0}}"#,
            RULES,
            "deny value score at /properties/score",
        ),
        (one, r#"{"properties":{"score":null}}"#, RULES, "same"),
        (one, r#"{"properties":{"score":""}}"#, RULES, "same"),
        (
            "POST /crm/v3/objects/contacts/batch/upsert",
            r#"{"inputs":[{"idProperty":"stage","id":"customer"}]}"#,
            "contacts read=stage write=stage stage:lead",
            "deny value stage at /inputs/0/idProperty",
        ),
    ]);
}

#[test]
fn removing_merging_and_erasing_set_nothing_but_look_up() {
    let rules = "contacts read=email";
    check(&[
        ("DELETE /crm/v3/objects/contacts/1", "", rules, "same"),
        (
            "POST /crm/v3/objects/contacts/batch/archive",
            r#"{"inputs":[{"id":"1"}]}"#,
            rules,
            "same",
        ),
        (
            "POST /crm/v3/objects/contacts/merge",
            r#"{"primaryObjectId":"1","objectIdToMerge":"2"}"#,
            rules,
            "same",
        ),
        (
            "POST /crm/v3/objects/contacts/gdpr-delete",
            r#"{"objectId":"a@b","idProperty":"email"}"#,
            rules,
            "same",
        ),
        (
            "POST /crm/v3/objects/contacts/gdpr-delete",
            r#"{"objectId":"1","idProperty":"ssn"}"#,
            rules,
            "deny property ssn at /idProperty",
        ),
    ]);
}

#[test]
fn imports_write_the_properties_of_their_columns() {
    let import = |column: &str| {
        format!(
            r#"{{"name":"x","importOperations":{{"0-1":"UPSERT"}},"files":[{{"fileName":"a.csv","fileFormat":"CSV","fileImportPage":{{"hasHeader":true,"columnMappings":[{{"columnObjectTypeId":"0-1","columnName":"A","propertyName":"firstname"}},{column}]}}}}]}}"#
        )
    };
    let at = "/files/0/fileImportPage/columnMappings/1";
    for (column, expected) in [
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyName":"email"}"#,
            "same".to_owned(),
        ),
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyName":"salary"}"#,
            format!("deny property salary at {at}/propertyName"),
        ),
        (
            r#"{"columnObjectTypeId":"0-2","columnName":"B","propertyName":"firstname"}"#,
            format!("deny property firstname at {at}/propertyName"),
        ),
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyName":"stage"}"#,
            format!("deny value stage at {at}/propertyName"),
        ),
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyName":"email","columnType":"HUBSPOT_ALTERNATE_ID"}"#,
            "same".to_owned(),
        ),
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyName":"firstname","idColumnType":"HUBSPOT_ALTERNATE_ID"}"#,
            format!("deny property firstname at {at}/propertyName"),
        ),
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyName":"hs_object_id","columnType":"HUBSPOT_OBJECT_ID"}"#,
            "same".to_owned(),
        ),
        (
            r#"{"columnName":"B","propertyName":"email"}"#,
            format!("refuse refused_body at {at}/columnObjectTypeId"),
        ),
        (
            r#"{"columnObjectTypeId":"0-1","columnName":"B","propertyname":"salary"}"#,
            format!("refuse refused_body at {at}/propertyname"),
        ),
        (
            r#"{"columnObjectTypeId":"0-999","columnName":"B","propertyName":"x"}"#,
            format!("refuse unknown_object at {at}/columnObjectTypeId"),
        ),
    ] {
        let got = judged(
            "POST /crm/v3/imports",
            &import(column),
            &["contacts"],
            &bounds(RULES),
        );
        assert_eq!(shown(got), expected, "{column}");
    }
}

#[test]
fn an_import_that_makes_contacts_marketable_sets_that_property() {
    let import = |member: &str| {
        format!(
            r#"{{"name":"x","importOperations":{{"0-1":"UPSERT"}},{member},"files":[{{"fileName":"a.csv","fileFormat":"CSV","fileImportPage":{{"hasHeader":true,"columnMappings":[{{"columnObjectTypeId":"0-1","columnName":"e","propertyName":"email"}}]}}}}]}}"#
        )
    };
    let member = "marketableContactImport";
    let place = format!("at /{member}");
    for (rules, said, expected) in [
        (
            "contacts read=email write=email",
            "true",
            format!("deny property hs_marketable_status {place}"),
        ),
        (
            "contacts read=email write=email",
            "\"yes\"",
            format!("deny property hs_marketable_status {place}"),
        ),
        (
            "contacts read=email write=email",
            "false",
            format!("deny property hs_marketable_status {place}"),
        ),
        ("contacts read=email write=email", "null", "same".to_owned()),
        (
            "contacts read=email write=email,hs_marketable_status hs_marketable_status:false",
            "true",
            format!("deny value hs_marketable_status {place}"),
        ),
        (
            "contacts read=email write=email,hs_marketable_status",
            "true",
            "same".to_owned(),
        ),
    ] {
        let body = import(&format!(r#""{member}":{said}"#));
        let got = judged("POST /crm/v3/imports", &body, &["contacts"], &bounds(rules));
        assert_eq!(shown(got), expected, "{rules} {said}");
    }
    let mappings = r#"[{"columnObjectTypeId":"0-1","columnName":"e","propertyName":"email"}]"#;
    for unmapped in ["[]", "null"] {
        let body = import(r#""name2":"x""#).replace(mappings, unmapped);
        let body = body.replace(r#""name2":"x","#, "");
        let bounds = bounds("contacts read=email write=email");
        let got = judged("POST /crm/v3/imports", &body, &["contacts"], &bounds);
        assert_eq!(
            shown(got),
            "refuse refused_body at /files/0/fileImportPage/columnMappings",
            "{unmapped}"
        );
    }
    let body = import(r#""MarketableContactImport":true"#);
    let got = judged(
        "POST /crm/v3/imports",
        &body,
        &["contacts"],
        &bounds("contacts read=all write=email"),
    );
    assert_eq!(shown(got), "refuse refused_body at /MarketableContactImport");
}
