//! Imports.

use super::*;

const IMPORT: &str = "POST /crm/v3/imports";

fn request(operations: &str, columns: &str) -> String {
    format!(
        r#"{{"name":"x","importOperations":{operations},"dateFormat":"DAY_MONTH_YEAR","files":[{{"fileName":"a.csv","fileFormat":"CSV","fileImportPage":{{"hasHeader":true,"columnMappings":[{columns}]}}}}]}}"#
    )
}

#[test]
fn an_import_needs_each_type_and_the_links_between_them() {
    let column = r#"{"columnObjectTypeId":"0-1","columnName":"e","propertyName":"email","columnType":"HUBSPOT_ALTERNATE_ID"}"#;
    let company = r#"{"columnObjectTypeId":"0-2","columnName":"d","propertyName":"domain"}"#;
    let ignored = r#"{"ignored":true,"columnName":"z"}"#;
    let tied = r#"{"columnObjectTypeId":"0-1","toColumnObjectTypeId":"0-1","foreignKeyType":{"associationTypeId":449,"associationCategory":"HUBSPOT_DEFINED"},"associationIdentifierColumn":true}"#;
    for path in [IMPORT, "POST /crm/imports/2026-03", "POST /crm/imports/2025-09"] {
        all_need(
            path,
            &[
                (
                    &request(r#"{"0-1":"UPSERT"}"#, &format!("{column},{ignored}")),
                    &["crm.imports.create write contacts"],
                ),
                (&request("{}", column), &["crm.imports.create write contacts"]),
                (
                    &request(r#"{"contact":"CREATE","0-2":"UPDATE"}"#, ""),
                    &[
                        "crm.imports.create write contacts",
                        "crm.imports.create write companies",
                        "crm.associations.create write contacts+companies",
                    ],
                ),
                (
                    &request(r#"{"0-1":"CREATE"}"#, &format!("{column},{company}")),
                    &[
                        "crm.imports.create write contacts",
                        "crm.imports.create write companies",
                        "crm.associations.create write contacts+companies",
                    ],
                ),
                (
                    &request(r#"{"0-1":"CREATE"}"#, tied),
                    &[
                        "crm.imports.create write contacts",
                        "crm.associations.create write contacts+contacts",
                    ],
                ),
                (
                    r#"{"importOperations":{"0-1":"CREATE"},"createContactListFromImport":true,"files":[]}"#,
                    &["crm.imports.create write contacts", "crm.lists.create write "],
                ),
            ],
        );
    }
    assert_eq!(needs("GET /crm/v3/imports", None), ["crm.imports.list read "]);
}

#[test]
fn an_import_that_is_not_understood_is_refused() {
    let at = "/files/0/fileImportPage/columnMappings/0";
    all_refused(
        IMPORT,
        &[
            ("{}", "refused_body /"),
            (&request("{}", ""), "refused_body /"),
            (
                &request(r#"{"cars":"CREATE"}"#, ""),
                "unknown_object /importOperations/cars",
            ),
            (
                &request(r#"{"0-1":"PURGE"}"#, ""),
                "refused_body /importOperations/0-1",
            ),
            (&request(r#"{"0-1":1}"#, ""), "refused_body /importOperations/0-1"),
            (&request(r#"["0-1"]"#, ""), "refused_body /importOperations"),
            (
                r#"{"ImportOperations":{"0-1":"CREATE"}}"#,
                "refused_unjudged /ImportOperations",
            ),
            (r#"{"files ":[]}"#, "refused_unjudged /?"),
            (r#"{"files":[{}]}"#, "refused_body /files/0/fileImportPage"),
            (r#"{"files":{"fileImportPage":{}}}"#, "refused_body /files"),
            (
                r#"{"objectTypeId":"0-3","importOperations":{"0-1":"CREATE"}}"#,
                "refused_unjudged /objectTypeId",
            ),
            (
                r#"{"importTemplateId":7,"importOperations":{"0-1":"CREATE"}}"#,
                "refused_unjudged /importTemplateId",
            ),
            (
                &request("{}", r#"{"columnObjectTypeId":"0-999"}"#),
                &format!("unknown_object {at}/columnObjectTypeId"),
            ),
            (
                &request("{}", r#"{"columnObjectTypeId":1}"#),
                &format!("refused_body {at}/columnObjectTypeId"),
            ),
            (
                &request("{}", r#"{"columnobjecttypeid":"0-1"}"#),
                &format!("refused_unjudged {at}/columnobjecttypeid"),
            ),
            (
                &request("{}", r#"{"secondObjectTypeId":"0-3"}"#),
                &format!("refused_unjudged {at}/secondObjectTypeId"),
            ),
            (
                &request(
                    "{}",
                    r#"{"columnObjectTypeId":"0-1","foreignKeyType":{"associationTypeId":279}}"#,
                ),
                &format!("refused_body {at}/foreignKeyType"),
            ),
        ],
    );
    let many: Vec<String> = (0..30).map(|n| format!(r#""2-{n}":"CREATE""#)).collect();
    assert_eq!(
        refused(IMPORT, &request(&format!("{{{}}}", many.join(",")), "")),
        "refused_body /"
    );
}

#[test]
fn the_body_of_an_import_is_its_request() {
    let (method, target) = IMPORT.split_once(' ').unwrap();
    let recognised = catalogue()
        .recognise(&Target::parse(method, target).unwrap())
        .unwrap();
    assert_eq!(recognised.body_need(), BodyNeed::Import);
}
