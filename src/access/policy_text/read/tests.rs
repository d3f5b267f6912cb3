//! What the reader accepts, and what it says about the rest.

use super::*;
use crate::access::policy_text::mistake::code;

fn sound<T: std::fmt::Debug>(reading: Reading<T>) -> Result<T, Vec<Mistake>> {
    match reading.written {
        Some(written) if reading.mistakes.is_empty() => Ok(written),
        _ => Err(crate::access::policy_text::mistake::in_order(
            reading.mistakes,
            &"t.yaml".into(),
        )),
    }
}

fn read(text: &str) -> Result<WrittenPolicy, Vec<Mistake>> {
    sound(policy("t", text))
}

fn found(text: &str) -> Vec<(&'static str, u32, u32)> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes
            .iter()
            .map(|m| (m.code, m.span.line, m.span.column))
            .collect(),
    }
}

const HEAD: &str = "integration: t\nowner: t@example.com\nconnections: [acme]\n";

#[test]
fn every_key_of_the_contract_is_read() {
    let policy = read(
        "integration: t
description: d
owner: t@example.com
review_by: 2027-03-31
expires: 2027-06-30
connections: [acme, {app: shop}]
mode: enforce
allow:
  - scope: [a, b]
    effects: [read]
    objects: contacts
    risks: sends-message
    connections: [{app: shop}]
    id: mine
    reason: because
    optional: true
  - operation: c
deny:
  - operation: [\"c.*\"]
    effects: [delete]
observe: {until: 2027-01-31, effects: [read], risks: [bulk-export]}
",
    )
    .unwrap();
    assert_eq!(
        policy.connections.unwrap().value[1].value,
        Selector::App("shop".to_owned())
    );
    assert_eq!(policy.allow.len(), 2);
    assert_eq!(
        policy.allow[0].objects.as_ref().unwrap().value[0].value,
        "contacts"
    );
    assert!(policy.allow[0].optional.as_ref().unwrap().value);
    assert_eq!(
        policy.deny[0].effects.as_ref().unwrap().value[0].value,
        Effect::Delete
    );
    assert_eq!(policy.observe.unwrap().value.risks.len(), 1);
}

#[test]
fn all_mistakes_are_reported_at_once_each_at_its_place() {
    let text = "integration: other
ownr: me
connections: [\"*\", acme]
expires: soon
allow:
  - scope: a
    operation: b
  - effects: [remove]
    scope: c
  - scop: d
deny:
  - reason: none
limits: {}
";
    assert_eq!(
        found(text),
        [
            (code::BAD_NAME, 1, 14),
            (code::UNKNOWN_KEY, 2, 1),
            (code::BAD_CONNECTION, 3, 15),
            (code::BAD_DATE, 4, 10),
            (code::RULE_SHAPE, 6, 5),
            (code::BAD_EFFECT, 8, 15),
            (code::UNKNOWN_KEY, 10, 5),
            (code::RULE_SHAPE, 12, 5),
            (code::NOT_SUPPORTED_YET, 13, 1),
        ]
    );
    let mistakes = read(text).unwrap_err();
    let help = |code: &str| {
        mistakes
            .iter()
            .find(|m| m.code == code)
            .and_then(|m| m.help.clone())
    };
    assert_eq!(
        help(code::BAD_EFFECT).as_deref(),
        Some("one of: meta, auth, read, write, delete, irreversible")
    );
    assert_eq!(help(code::UNKNOWN_KEY).as_deref(), Some("did you mean `owner`?"));
}

#[test]
fn reserved_words_are_errors_and_never_silently_ignored() {
    for word in [
        "properties: {contacts: {read: all}}",
        "on_extra_property: strip",
        "installer_removed: block",
        "installer_lost_rights: read-only",
        "limits: {batch: 50}",
        "allow: [{scope: a, properties: {}}]",
    ] {
        let codes: Vec<_> = found(&format!("{HEAD}{word}\n")).iter().map(|f| f.0).collect();
        assert_eq!(codes, [code::NOT_SUPPORTED_YET], "{word}");
    }
    let codes: Vec<_> = sound(ceiling("properties: {}\n"))
        .unwrap_err()
        .iter()
        .map(|m| m.code)
        .collect();
    assert_eq!(codes, [code::NOT_SUPPORTED_YET]);
}

#[test]
fn each_kind_of_value_is_told_from_the_others() {
    for (text, expected) in [
        ("description: [a]\n", code::WRONG_KIND),
        ("description: 5\n", code::WRONG_KIND),
        ("description: \"\"\n", code::WRONG_KIND),
        ("description: \"a\\u0007b\"\n", code::WRONG_KIND),
        ("allow: {scope: a}\n", code::WRONG_KIND),
        ("allow: [a]\n", code::WRONG_KIND),
        ("allow: [{scope: []}]\n", code::WRONG_KIND),
        ("allow: [{scope: {a: b}}]\n", code::WRONG_KIND),
        ("allow: [{scope: [a, a]}]\n", code::REPEATED),
        ("allow: [{scope: a, optional: yes}]\n", code::WRONG_KIND),
        ("allow: [{scope: a, risks: [danger]}]\n", code::BAD_RISK),
        (
            "allow: [{scope: a, effects: [destructive-irreversible]}]\n",
            code::BAD_EFFECT,
        ),
        ("allow: [{scope: a, id: \"a b\"}]\n", code::BAD_RULE_ID),
        ("allow: [{scope: a, id: \"allow[1]\"}]\n", code::BAD_RULE_ID),
        ("allow: [{scope: a, connections: \"*\"}]\n", code::BAD_CONNECTION),
        ("deny: [{scope: a, optional: true}]\n", code::RULE_SHAPE),
        ("expires: 2027-02-30\n", code::BAD_DATE),
        ("expires: 2027-6-3\n", code::BAD_DATE),
        ("expires: 2027-06-30T12:00:00\n", code::BAD_DATE),
        ("mode: observe\n", code::WRONG_KIND),
        (
            "observe: {until: 2027-01-01, effects: [auth]}\n",
            code::BAD_OBSERVE,
        ),
        ("allow: [{scope: a, connections: [Acme]}]\n", code::BAD_CONNECTION),
        (
            "allow: [{scope: a, connections: [{app: b, label: c}]}]\n",
            code::NOT_SUPPORTED_YET,
        ),
    ] {
        let codes: Vec<_> = found(&format!("{HEAD}{text}")).iter().map(|f| f.0).collect();
        assert_eq!(codes, [expected], "{text}");
    }
}

#[test]
fn names_are_checked_where_they_travel_further() {
    for (name, sound) in [
        ("contact-report", true),
        ("a", true),
        ("", false),
        ("Contact", false),
        ("a.b", false),
        ("a/b", false),
        (&"a".repeat(64), true),
        (&"a".repeat(65), false),
    ] {
        assert_eq!(is_integration_name(name), sound, "{name}");
    }
    for (connection, sound) in [
        ("acme", true),
        ("12345", false),
        ("a b", false),
        ("acme~x", false),
    ] {
        let text = format!("integration: t\nowner: t\nconnections: [\"{connection}\"]\n");
        assert_eq!(read(&text).is_ok(), sound, "{connection}");
    }
}

#[test]
fn a_ceiling_has_its_own_keys() {
    let read = sound(ceiling("allow: []\ndeny:\n  - risks: [bulk-export]\nobserve: never\nexpires_within: 400d\nrequire: [owner, expires]\n")).unwrap();
    assert_eq!(read.allow.unwrap().len(), 0);
    assert_eq!(read.expires_within.unwrap().value, 400);
    assert_eq!(read.require.len(), 2);
    for text in [
        "owner: me\n",
        "observe: {until: 2027-01-01}\n",
        "expires_within: 400\n",
        "require: [limits]\n",
        "",
    ] {
        assert!(sound(ceiling(text)).is_err(), "{text}");
    }
}

#[test]
fn lists_and_texts_are_bounded() {
    let many: Vec<String> = (0..1001).map(|i| format!("a{i}")).collect();
    for text in [
        format!("allow: [{{scope: [{}]}}]\n", many.join(", ")),
        format!("description: {}\n", "a".repeat(5000)),
        format!("allow:\n{}", "  - scope: a\n".repeat(1001)),
    ] {
        let codes: Vec<_> = found(&format!("{HEAD}{text}")).iter().map(|f| f.0).collect();
        assert_eq!(codes, [code::TOO_LARGE]);
    }
}
