//! Which documents are resolved, and to what.

use super::*;
use crate::access::json::JudgedBody;

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: std::sync::LazyLock<Catalogue> =
        std::sync::LazyLock::new(|| Catalogue::embedded().unwrap());
    &CATALOGUE
}

fn resolved(query: &str, variables: &str) -> Result<Resolved, Refusal> {
    let query = serde_json::to_string(query).unwrap();
    let body = format!(r#"{{"query":{query},"variables":{variables}}}"#);
    let body = JudgedBody::parse(body.as_bytes()).unwrap();
    resolve(catalogue(), body.value())
}

/// One line a type (`type: selected / filtered`), then one a link.
fn lines(query: &str, variables: &str) -> Vec<String> {
    let found = resolved(query, variables).unwrap_or_else(|refusal| panic!("{query}: {refusal:?}"));
    let words = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    let name = |object| catalogue().object_name(object).to_owned();
    let mut lines: Vec<String> = found
        .types
        .iter()
        .map(|asked| {
            let (selected, filtered) = (words(&asked.selected), words(&asked.filtered));
            format!("{}: {selected} / {filtered}", name(&asked.object))
        })
        .collect();
    lines.sort();
    lines.extend(
        found
            .associations
            .iter()
            .map(|(from, to)| format!("{} -> {}", name(from), name(to))),
    );
    lines
}

#[test]
fn a_document_is_resolved_to_types_properties_and_links() {
    for (query, expected) in [
        (
            "query q { CRM { contact_collection(limit: 5, offset: 2, orderBy: createdate__desc, filter: {email__contains: \"x\", OR: [{phone__null: true}, {AND: [{city__eq: \"y\"}]}]}) { total hasMore items { email _metadata { id } __typename } } } }",
            vec!["contacts: email / city createdate email phone"],
        ),
        (
            "{ CRM { contact(uniqueIdentifier: \"email\", uniqueIdentifierValue: \"a\") { firstname } } }",
            vec!["contacts: firstname / email"],
        ),
        (
            "{ CRM { contact(uniqueIdentifier: id, uniqueIdentifierValue: 7) { hs_role { label value } } } }",
            vec!["contacts: hs_role / "],
        ),
        // A collection's size tells something, too.
        (
            "{ CRM { deal_collection(filter: {amount__gt: 5}) { total } } }",
            vec!["deals:  / amount"],
        ),
        (
            "{ CRM { p_car_collection { items { vin associations { contact_collection__owner { items { email } } } } } line_item { price } } }",
            vec!["contacts: email / ", "line_items: price / ", "p_car: vin / ", "p_car -> contacts"],
        ),
        // Aliases, fragments by name and in place, a nested chain, include and skip.
        (
            "query q($yes: Boolean!) { CRM { email: contact { name: salary ...F @include(if: $yes) ... on crm_contact { ssn @skip(if: $yes) } } } }
             fragment F on crm_contact { iban associations { ...G } }
             fragment G on x { harmless: company_collection__primary { items { name } } }",
            vec!["companies: name / ", "contacts: iban salary ssn / ", "contacts -> companies"],
        ),
        // Every operation counts, whichever is picked.
        (
            "query a { CRM { deal { amount } } } query b { CRM { contact { email } } }",
            vec!["contacts: email / ", "deals: amount / "],
        ),
        // A name that may be made of another one stands for both.
        (
            "{ CRM { deal { dealstage__label _1st a___b } } }",
            vec!["deals: 1st _1st a a_ a___b dealstage dealstage__label / "],
        ),
        ("{ CRM { deal { amount } } } # a comment, with CRM { contact }", vec!["deals: amount / "]),
        ("{\r\n CRM { deal { amount } }\r\n}", vec!["deals: amount / "]),
    ] {
        assert_eq!(lines(query, "null"), expected, "{query}");
    }
}

#[test]
fn variables_are_looked_into() {
    let query = "query q($f: crm_contact_filter, $o: [crm_contact_order_by!] = [salary__asc], $u: String = \"iban\") { CRM { contact_collection(filter: $f, orderBy: $o) { items { email } } contact(uniqueIdentifier: $u, uniqueIdentifierValue: $f) { email } } }";
    assert_eq!(
        lines(query, r#"{"f":{"ssn__eq":"1","OR":[{"city__in":["a"]}]}}"#),
        ["contacts: email / city iban salary ssn"]
    );
    assert_eq!(
        lines(query, r#"{"f":null,"o":["createdate__desc"],"u":"id"}"#),
        ["contacts: email / createdate"]
    );
    // `null` hides no default.
    assert_eq!(
        lines(query, r#"{"f":null,"o":null,"u":null}"#),
        ["contacts: email / iban salary"]
    );
    for variables in [
        r#"{"f":{"ssn":"1"}}"#,
        r#"{"f":"ssn__eq"}"#,
        r#"{"f":{"OR":"x"}}"#,
        r#"{"o":["salary"]}"#,
        r#"{"o":[["salary__asc"]]}"#,
        r#"{"u":{"a":1}}"#,
        r#"{"u":"a b"}"#,
    ] {
        assert!(resolved(query, variables).is_err(), "{variables}");
    }
    assert!(resolved("{ CRM { contact_collection(filter: $f) { total } } }", "{}").is_err());
}

#[test]
fn whatever_is_not_resolved_is_refused() {
    for query in [
        "",
        " ",
        "{",
        "{}",
        "{ CRM }",
        "{ CRM { } }",
        "{ CRM { contact } }",
        "mutation { CRM { contact { email } } }",
        "subscription { CRM { contact { email } } }",
        "query a { CRM { deal { amount } } } mutation b { CRM { contact { email } } }",
        "{ HUBDB { x_collection { items { a } } } }",
        "{ CRM { deal { amount } } HUBDB { x_collection { items { a } } } }",
        "{ alias: HUBDB { contact { email } } }",
        "{ crm { contact { email } } }",
        "{ __typename { CRM { contact { email } } } CRM { deal { amount } } }",
        "{ __typename(a: 1) CRM { deal { amount } } }",
        "{ CRM { __typename { contact { email } } deal { amount } } }",
        "{ CRM { __typename(a: 1) deal { amount } } }",
        "{ CRM { deal { amount @include(if) } } }",
        "{ CRM { deal_collection @include(irue) { total } } }",
        "{ CRM(a: 1) { contact { email } } }",
        "{ __schema { types { name } } }",
        "{ __type(name: \"x\") { name } }",
        "{ CRM { __schema { types { name } } } }",
        "{ CRM { cars { a } } }",
        "{ CRM { engagement_collection { items { a } } } }",
        "{ CRM { p_a_collection_collection { items { b } } } }",
        "{ CRM { contact_collection { email } } }",
        "{ CRM { contact_collection { items(a: 1) { email } } } }",
        "{ CRM { contact_collection { total { a } } } }",
        "{ CRM { contact_collection(search: \"x\") { items { email } } } }",
        "{ CRM { contact_collection(filter: {email: \"x\"}) { items { email } } } }",
        "{ CRM { contact_collection(filter: {email__like: \"x\"}) { items { email } } } }",
        "{ CRM { contact_collection(filter: {NOT: [{email__eq: \"x\"}]}) { total } } }",
        "{ CRM { contact_collection(orderBy: email) { items { firstname } } } }",
        "{ CRM { contact(email: \"x\") { firstname } } }",
        "{ CRM { contact(uniqueIdentifier: \"\\u0065mail\", uniqueIdentifierValue: 1) { firstname } } }",
        "{ CRM { contact { email(format: x) } } }",
        "{ CRM { contact { email { raw } } } }",
        "{ CRM { contact { email { label { x } } } } }",
        "{ CRM { contact { owner { email } } } }",
        "{ CRM { contact { _metadata { id ownerId } } } }",
        "{ CRM { contact { associations { company { name } } } } }",
        "{ CRM { contact { associations { cars_collection__x { items { a } } } } } }",
        "{ CRM { contact { associations { company_collection__ { items { a } } } } } }",
        "{ CRM { contact { associations(a: 1) { company_collection__x { total } } } } }",
        "{ CRM { contact { email @export(as: \"x\") } } }",
        "query q @live { CRM { contact { email } } }",
        "query q($u: String = \"id\", $u: String = \"iban\") { CRM { contact(uniqueIdentifier: $u, uniqueIdentifierValue: 1) { email } } }",
        "query q($a: Int @x) { CRM { contact { email } } }",
        "{ CRM { contact { ...F } } }",
        "{ CRM { contact { ...F } } } fragment F on x { ...F }",
        "{ CRM { contact { ...F } } } fragment F on x { associations { contact_collection__a { items { ...F } } } }",
        "{ CRM { contact { ...F } } } fragment F on x { a } fragment F on x { b }",
        "{ CRM { contact { email } } } type X { a: Int }",
        "{ CRM { contact { email } } } extend type X { a: Int }",
        "{ CRM { contact { e\u{301}mail } } }",
        "{ CRM { deal { amount } } } # \u{2028} { CRM { contact { email } } }",
        "{ CRM { deal { amount # \r email } } }",
        "{ CRM { deal(uniqueIdentifier: \"\"\"id\"\"\", uniqueIdentifierValue: 1) { amount } } }",
        "\u{feff}{ CRM { contact { email } } }",
        "{ CRM { contact { email } } ",
        "{ CRM { contact { email } } } }",
        "# { CRM { contact { email } } }",
    ] {
        assert!(resolved(query, "null").is_err(), "{query}");
    }
}

#[test]
fn documents_are_bounded_in_every_direction() {
    let deep = format!("{}{}", "{ a ".repeat(50_000), "}".repeat(50_000));
    let values = format!("{{ CRM {{ contact_collection(filter: {}", "[".repeat(60_000));
    let types = format!("query q($a: {}", "[".repeat(60_000));
    let fragments = (0..150)
        .map(|n| format!("fragment F{n} on x {{ a }} "))
        .collect::<String>();
    // Each fragment uses the next one twice: 2^60 fields.
    let bomb = (0..60)
        .map(|n| format!("fragment F{n} on x {{ ...F{} ...F{} }} ", n + 1, n + 1))
        .collect::<String>();
    let chain = (0..90)
        .map(|n| {
            format!(
                "fragment F{n} on x {{ associations {{ contact_collection__a {{ items {{ ...F{} }} }} }} }} ",
                n + 1
            )
        })
        .collect::<String>();
    for query in [
        deep,
        values,
        types,
        format!("{{ CRM {{ contact {{ ...F0 }} }} }} {fragments}"),
        format!("{{ CRM {{ contact {{ ...F0 }} }} }} {bomb} fragment F60 on x {{ a }}"),
        format!("{{ CRM {{ contact {{ ...F0 }} }} }} {chain} fragment F90 on x {{ a }}"),
        format!("{{ CRM {{ contact {{ {} }} }} }}", "a ".repeat(15_000)),
        format!("{{ CRM {{ contact {{ {} }} }} }}", "a ".repeat(40_000)),
        format!(
            "{{ CRM {{ {} }} }}",
            (0..120).map(|n| format!("p_x{n} {{ a }} ")).collect::<String>()
        ),
    ] {
        assert!(resolved(&query, "null").is_err(), "{:.80}", query);
    }
}

mod any_document {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn neither_panics_nor_hides_a_property(text in "[{}():,.@$#\"\\\\ \n!\\[\\]a-c_0-9]{0,80}") {
            let _ = resolved(&text, "null");
        }

        #[test]
        fn a_selected_property_is_found_whatever_surrounds_it(
            words in prop::collection::vec(
                prop::sample::select(vec![
                    "alias: salary", "... on x { salary }", "...F", "salary { label }", "salary @skip(if: true)", "salary",
                ]),
                1..4,
            ),
            others in prop::collection::vec("[a-z]{1,6}", 0..5),
        ) {
            let query = format!(
                "{{ CRM {{ contact_collection {{ items {{ {} {} }} }} }} }} fragment F on x {{ y: salary }}",
                others.join(" "),
                words.join(" "),
            );
            let found = resolved(&query, "null").unwrap();
            prop_assert!(found.types[0].selected.contains("salary"), "{}", query);
        }
    }
}
