use proptest::prelude::*;

use super::labelled::{LABELLED, Labelled};
use super::*;

/// What is known about a call, in constants.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub granted: Option<&'static [&'static str]>,
    pub needs: &'static [&'static [&'static [&'static str]]],
    pub follows_person: bool,
    pub html: bool,
}

/// The first column of the table of scopes.
fn is_scope(name: &str) -> bool {
    let table = include_str!("../../../catalogue/scopes.tsv");
    table.lines().any(|line| line.split('\t').next() == Some(name))
}

fn decoded(asked: Asked, body: &[u8]) -> Forbidden {
    let granted: Option<Vec<String>> = asked
        .granted
        .map(|scopes| scopes.iter().map(|&scope| scope.to_owned()).collect());
    let needs: Vec<Need<'_>> = asked
        .needs
        .iter()
        .map(|need| need.iter().map(|term| term.to_vec()).collect())
        .collect();
    Forbidden::decode(&Question {
        content_type: Some(match asked.html {
            true => "text/html; charset=UTF-8",
            false => "application/json;charset=utf-8",
        }),
        body,
        granted: granted.as_deref(),
        needs: &needs,
        is_scope: &is_scope,
        follows_person: asked.follows_person,
    })
}

const PLAIN: Asked = Asked {
    granted: Some(&["oauth"]),
    needs: &[&[&["crm.objects.contacts.read"]]],
    follows_person: false,
    html: false,
};

/// The snippet that people copy: the first word that occurs in the body decides.
fn naive(body: &str) -> &'static str {
    let body = body.to_lowercase();
    match () {
        () if body.contains("scope") => "missing_scope",
        () if body.contains("portal") => "portal_paused",
        () if body.contains("permission") => "user_permission",
        () => "unknown",
    }
}

#[test]
fn each_labelled_body_has_the_cause_that_helps_and_the_scopes_that_are_missing() {
    for Labelled {
        row,
        what,
        asked,
        body,
        ours,
    } in LABELLED
    {
        let found = decoded(*asked, body.as_bytes());
        assert_eq!(found.header(), *ours, "row {row}, {what}: {body}");
    }
    for row in 1..=11 {
        let row = row.to_string();
        assert!(
            LABELLED.iter().filter(|one| one.row == row).count() >= 2,
            "row {row}"
        );
    }
}

#[test]
fn the_readme_shows_what_the_decoder_makes_of_each_body() {
    let mut table = String::from("| row | the 403 | by its first word | by the gate |\n|--:|---|---|---|\n");
    let (mut wrong, mut all) = (0, 0);
    for Labelled {
        row,
        what,
        body,
        ours,
        ..
    } in LABELLED
    {
        let cause = ours.split(';').next().unwrap();
        let naive = naive(body);
        let mark = match naive == cause {
            true => "",
            false => " ✗",
        };
        all += 1;
        wrong += i32::from(naive != cause);
        table.push_str(&format!(
            "| {row} | {what} | `{naive}`{mark} | `{}` |\n",
            ours.replace('|', "\\|")
        ));
    }
    table.push_str(&format!("\nThe first word is wrong on {wrong} of {all}.\n"));
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("<!-- decoder: begin -->\n").unwrap();
    let (shown, _) = rest.split_once("<!-- decoder: end -->").unwrap();
    assert_eq!(shown, table, "put this between the marks of the README:\n{table}");
}

#[test]
fn details_say_how_far_a_cause_is_known() {
    let cases: [(&str, Option<ForbiddenDetail>); 9] = [
        (
            "the wrong scope is named: owners asks for contacts",
            Some(ForbiddenDetail::Corrected),
        ),
        (
            "all of a pair, one is granted",
            Some(ForbiddenDetail::NamedByHubspot),
        ),
        ("all that is named is granted", Some(ForbiddenDetail::Granted)),
        (
            "nobody knows what was granted",
            Some(ForbiddenDetail::GrantedUnknown),
        ),
        (
            "an OAuth grant whose scopes nobody knows",
            Some(ForbiddenDetail::GrantedUnknown),
        ),
        (
            "a protected property, in words",
            Some(ForbiddenDetail::SensitiveData),
        ),
        ("some other proxy's page", Some(ForbiddenDetail::NotJson)),
        ("a scope is missing, new context", None),
        ("nothing to go by", None),
    ];
    for (what, detail) in cases {
        let one = LABELLED.iter().find(|one| one.what == what).unwrap();
        assert_eq!(decoded(one.asked, one.body.as_bytes()).detail, detail, "{what}");
    }
}

#[test]
fn hostile_bodies_are_unknown() {
    let nested = |open: &str, close: &str, depth: usize| open.repeat(depth) + &close.repeat(depth);
    let deep = format!(
        r#"{{"category":"MISSING_SCOPES","errors":{}}}"#,
        nested("[", "]", 100_000)
    );
    let deeper = format!(
        r#"{{"category":"MISSING_SCOPES","x":{}1{}}}"#,
        r#"{"x":"#.repeat(50_000),
        "}".repeat(50_000)
    );
    let long = format!(
        r#"{{"category":"MISSING_SCOPES","message":"{}"}}"#,
        "a".repeat(1 << 20)
    );
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("blanks", b" \n ".to_vec()),
        ("a number", b"7".to_vec()),
        ("a list", br#"["MISSING_SCOPES"]"#.to_vec()),
        ("text", br#""MISSING_SCOPES""#.to_vec()),
        ("deep lists", deep.into_bytes()),
        ("deep maps", deeper.into_bytes()),
        ("a megabyte", long.into_bytes()),
        (
            "invalid UTF-8",
            b"{\"category\":\"MISSING_SCOPES\",\"message\":\"\xff\xfe\"}".to_vec(),
        ),
        (
            "a doubled key",
            br#"{"category":"MISSING_SCOPES","category":"GATED"}"#.to_vec(),
        ),
        (
            "a doubled key of an error",
            br#"{"category":"MISSING_SCOPES","errors":[{"code":"a","code":"b"}]}"#.to_vec(),
        ),
        ("cut off", br#"{"category":"MISSING_SCOPES""#.to_vec()),
        (
            "two in a row",
            br#"{"category":"MISSING_SCOPES"}{"category":"GATED"}"#.to_vec(),
        ),
        (
            "other types",
            br#"{"category":["MISSING_SCOPES"],"message":7,"errors":null}"#.to_vec(),
        ),
        (
            "errors that are none",
            br#"{"category":"GATED","errors":"x"}"#.to_vec(),
        ),
    ];
    for (what, body) in hostile {
        let found = decoded(PLAIN, &body);
        assert_eq!(found.cause, ForbiddenCause::Unknown, "{what}");
        assert!(found.lacks.is_empty(), "{what}");
    }
}

#[test]
fn nothing_of_a_body_but_known_scopes_gets_into_the_header() {
    let names = [
        "crm.objects.deals.write\\\"; x=\\\"y",
        "CJSNOToken.canary",
        "crm.objects.canary.read",
        "\\r\\nx-evil: 1",
        "crm.objects.deals.write",
    ];
    let body = format!(
        r#"{{"category":"MISSING_SCOPES","message":"canary","errors":[{{"message":"All of","context":{{"requiredScopes":["{}"]}}}}]}}"#,
        names.join("\",\"")
    );
    let found = decoded(PLAIN, body.as_bytes());
    let header = found.header();
    assert_eq!(header, "missing_scope; lacks=\"crm.objects.contacts.read\"");
    let unneeded = Asked { needs: &[], ..PLAIN };
    let header = decoded(unneeded, body.as_bytes()).header();
    assert_eq!(header, "missing_scope; lacks=\"crm.objects.deals.write\"");
}

/// Some scopes, some of them needed, some granted, some named: whatever the mix.
const SCOPES: &[&str] = &[
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.objects.owners.read",
    "crm.objects.products.read",
    "e-commerce",
    "tickets",
    "automation",
];

fn some_scopes() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::collection::vec(proptest::sample::select(SCOPES), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_granted_scope_is_never_named_as_lacking(
        granted in some_scopes(),
        needs in proptest::collection::vec(proptest::collection::vec(some_scopes(), 0..3), 0..3),
        named in some_scopes(),
        text in proptest::sample::select(vec!["One or more of", "All of", "", "sensitive scope"]),
        shape in 0..3u8,
    ) {
        let list = named.join("\",\"");
        let body = match shape {
            0 => format!(r#"{{"category":"MISSING_SCOPES","errors":[{{"message":"{text}","context":{{"requiredGranularScopes":["{list}"]}}}}]}}"#),
            1 => format!(r#"{{"message":"x does not have proper permissions! (requires any of [{}])"}}"#, named.join(", ")),
            _ => format!(r#"{{"message":"{text} You do not have permissions to view object type X in portal 1 (requires one of [{}])"}}"#, named.join(", ")),
        };
        let granted: Vec<String> = granted.into_iter().map(str::to_owned).collect();
        let found = Forbidden::decode(&Question {
            content_type: None,
            body: body.as_bytes(),
            granted: Some(&granted),
            needs: &needs,
            is_scope: &is_scope,
            follows_person: true,
        });
        for scope in found.lacks.scopes() {
            prop_assert!(!granted.contains(scope), "{scope} in {found:?} of {body}");
        }
        prop_assert!(found.lacks.is_empty() || found.cause == ForbiddenCause::MissingScope);
    }

    #[test]
    fn any_bytes_are_decoded_without_a_panic_into_a_short_header(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        start in proptest::sample::select(vec!["", "{\"message\":\"", "<html>", "{\"errors\":["]),
    ) {
        let body = [start.as_bytes(), &body].concat();
        let header = decoded(PLAIN, &body).header();
        prop_assert!(header.len() <= 600 && header.is_ascii());
    }
}
