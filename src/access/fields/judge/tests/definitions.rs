use super::check;

const RULES: &str = "contacts read=email,stage write=stage; companies read=name; deals read=all write=all";

#[test]
fn a_hidden_definition_is_not_shown_whether_it_exists_or_not() {
    check(&[
        ("GET /crm/v3/properties/contacts/email", "", RULES, "same"),
        (
            "GET /crm/v3/properties/contacts/salary",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /crm/v3/properties/contacts/no_such_thing",
            "",
            RULES,
            "deny property no_such_thing at path",
        ),
        (
            "GET /crm/v3/properties/0-1/SALARY",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /crm/properties/2026-03/contact/s%61lary",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /properties/v1/contacts/properties/named/salary",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /properties/v2/contacts/properties/named/salary",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /contacts/v2/properties/named/salary",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /companies/v2/properties/named/salary",
            "",
            RULES,
            "deny property salary at path",
        ),
        (
            "GET /crm/property-validations/2026-03/contacts/salary",
            "",
            RULES,
            "deny property salary at path",
        ),
        ("GET /crm/v3/properties/contacts", "", RULES, "same"),
        (
            "GET /properties/v2/contacts/groups?includeProperties=true",
            "",
            RULES,
            "same",
        ),
        (
            "POST /crm/v3/properties/contacts/batch/read",
            r#"{"archived":false,"inputs":[{"name":"email"},{"name":"salary"}]}"#,
            RULES,
            r#"up {"archived":false,"inputs":[{"name":"email"}]}"#,
        ),
        (
            "POST /crm/v3/properties/contacts/batch/read",
            r#"{"inputs":[{"name":"salary"}]}"#,
            RULES,
            r#"up {"inputs":[{"name":"hs_object_id"}]}"#,
        ),
    ]);
}

#[test]
fn only_definitions_of_writable_properties_are_changed_and_none_reads_others() {
    let new = "POST /crm/v3/properties/contacts";
    let change = "PATCH /crm/v3/properties/contacts/stage";
    check(&[
        (
            new,
            r#"{"name":"stage","label":"Stage","type":"string","fieldType":"text","groupName":"g"}"#,
            RULES,
            "same",
        ),
        (
            new,
            r#"{"name":"salary","label":"S"}"#,
            RULES,
            "deny property salary at /name",
        ),
        (new, r#"{"label":"S"}"#, RULES, "refuse refused_body at /name"),
        (
            new,
            r#"{"name":"stage","calculationFormula":"salary"}"#,
            RULES,
            "deny property * at /calculationFormula",
        ),
        (
            new,
            r#"{"name":"stage","calculationFormula":"salary"}"#,
            "contacts read=all write=stage",
            "same",
        ),
        (
            new,
            r#"{"name":"stage","CalculationFormula":"salary"}"#,
            RULES,
            "refuse refused_body at /CalculationFormula",
        ),
        (
            new,
            r#"{"name":"stage","currencyPropertyName":"salary"}"#,
            RULES,
            "deny property salary at /currencyPropertyName",
        ),
        (change, r#"{"label":"S"}"#, RULES, "same"),
        (
            change,
            r#"{"calculationFormula":"salary"}"#,
            RULES,
            "deny property * at /calculationFormula",
        ),
        (
            change,
            r#"{"name":"salary"}"#,
            RULES,
            "deny property salary at /name",
        ),
        (
            "PATCH /crm/v3/properties/contacts/email",
            r#"{"label":"S"}"#,
            RULES,
            "deny property email at path",
        ),
        (
            "DELETE /crm/v3/properties/contacts/email",
            "",
            RULES,
            "deny property email at path",
        ),
        ("DELETE /crm/v3/properties/contacts/stage", "", RULES, "same"),
        (
            "PUT /contacts/v2/properties/named/salary",
            r#"{"label":"S"}"#,
            RULES,
            "deny property salary at path",
        ),
        (
            "POST /crm/v3/properties/contacts/batch/create",
            r#"{"inputs":[{"name":"stage","label":"S"},{"name":"x","label":"X"}]}"#,
            RULES,
            "deny property x at /inputs/1/name",
        ),
        (
            "POST /crm/v3/properties/contacts/batch/archive",
            r#"{"inputs":[{"name":"stage"},{"name":"email"}]}"#,
            RULES,
            "deny property email at /inputs/1/name",
        ),
        (
            "POST /crm/v3/properties/contacts/groups",
            r#"{"name":"g","label":"G"}"#,
            RULES,
            "same",
        ),
        (
            "POST /contacts/v2/groups",
            r#"{"name":"g","displayName":"G","properties":[{"name":"salary"}]}"#,
            RULES,
            "refuse refused_body at /properties",
        ),
        (
            "PATCH /crm-object-schemas/v3/schemas/p_car",
            r#"{"primaryDisplayProperty":"price"}"#,
            "p_car read=wheels",
            "deny property price at /primaryDisplayProperty",
        ),
        (
            "PATCH /crm-object-schemas/v3/schemas/2-7",
            r#"{"searchableProperties":["wheels","price"]}"#,
            "p_car read=wheels; * read=all write=all",
            "deny property price at /searchableProperties/1",
        ),
        (
            new,
            r#"{"name":"x","anything":1}"#,
            "contacts read=all write=all",
            "same",
        ),
    ]);
}
