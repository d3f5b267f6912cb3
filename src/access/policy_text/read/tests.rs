//! What the reader accepts, and what it says about the rest.

use super::*;
use crate::access::policy_text::mistake::code;
use crate::access::policy_text::properties::{WrittenGrant, WrittenNames};

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
limits: {requests: 50}
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
            (code::WRONG_KIND, 13, 20),
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
fn what_happens_when_the_installer_leaves_is_one_of_three_words() {
    for word in ["block", "read-only", "alert"] {
        for key in ["installer_removed", "installer_lost_rights"] {
            assert_eq!(found(&format!("{HEAD}{key}: {word}\n")), []);
        }
    }
    for bad in ["installer_removed: readonly", "installer_lost_rights: [block]"] {
        let codes: Vec<_> = found(&format!("{HEAD}{bad}\n")).iter().map(|f| f.0).collect();
        assert_eq!(codes, [code::WRONG_KIND], "{bad}");
    }
}

#[test]
fn limits_are_read_with_their_windows_and_every_mistake_in_them_is_named() {
    let all = "limits: {requests: 50/10s, records_read: 5000/1h, records_written: 500/1h, records_deleted: 20/1h, records_irreversible: 5/1d, batch: 50}";
    let limits = read(&format!("{HEAD}{all}\n")).unwrap().limits.unwrap();
    let caps: Vec<String> = limits
        .caps
        .iter()
        .map(|(counted, cap)| format!("{} {}", counted.as_str(), cap.value))
        .collect();
    assert_eq!(
        caps,
        [
            "requests 50/10s",
            "records_read 5000/1h",
            "records_written 500/1h",
            "records_deleted 20/1h",
            "records_irreversible 5/1d"
        ]
    );
    let text = format!("{HEAD}limits:\n  requests: 50\n  record_read: 5/1h\n  records_deleted: 0/1h\n");
    let mistakes = read(&text).unwrap_err();
    let found: Vec<_> = mistakes
        .iter()
        .map(|m| (m.code, m.span.column, m.help.clone().unwrap_or_default()))
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    let of = |code, column| found.iter().find(|f| f.0 == code && f.1 == column).map(|f| &f.2);
    assert!(
        of(code::WRONG_KIND, 13).is_some_and(|help| help.contains("50/10s")),
        "{found:?}"
    );
    assert_eq!(
        of(code::UNKNOWN_KEY, 3).map(String::as_str),
        Some("did you mean `records_read`?")
    );
    assert!(
        of(code::WRONG_KIND, 20).is_some_and(|help| help.contains("`deny`")),
        "{found:?}"
    );
}

#[test]
fn properties_in_a_rule_point_to_the_block() {
    for rule in [
        "allow: [{scope: a, properties: {}}]",
        "deny: [{effects: [delete], properties: {contacts: all}}]",
    ] {
        let mistakes = read(&format!("{HEAD}{rule}\n")).unwrap_err();
        assert_eq!(mistakes.len(), 1, "{rule}");
        assert_eq!(mistakes[0].code, code::RULE_SHAPE);
        assert!(
            mistakes[0]
                .help
                .as_ref()
                .is_some_and(|help| help.contains("one block `properties`"))
        );
    }
}

#[test]
fn a_property_block_keeps_every_form_it_may_have() {
    let text = "properties:
  contacts: {read: [email, firstname], write: all}
  0-3:
    write: [stage, amount, done]
    values: {stage: [won, \"007\", \"\"], amount: [1, 2.5, -3], done: true}
  \"*\": {read: {except: [\"*ssn*\", salary]}}
  custom: all
  notes: {}
on_extra_property: deny
limits: {batch: 50}
";
    let policy = read(&format!("{HEAD}{text}")).unwrap();
    let block = policy.properties.unwrap().value;
    let texts = |names: &[At<String>]| -> Vec<String> { names.iter().map(|n| n.value.clone()).collect() };
    let read: Vec<_> = block
        .entries
        .iter()
        .map(|entry| {
            let ways = entry.grant.directions().map(|(_, names)| match names {
                None => "none".to_owned(),
                Some(WrittenNames::All) => "all".to_owned(),
                Some(WrittenNames::Listed(names)) => texts(names).join(","),
                Some(WrittenNames::Except(names)) => format!("but {}", texts(names).join(",")),
            });
            (entry.object.value.as_str(), ways)
        })
        .collect();
    let expected = |object, read: &str, write: &str| (object, [read.to_owned(), write.to_owned()]);
    assert_eq!(
        read,
        [
            expected("contacts", "email,firstname", "all"),
            expected("0-3", "none", "stage,amount,done"),
            expected("*", "but *ssn*,salary", "none"),
            expected("custom", "all", "all"),
            expected("notes", "none", "none"),
        ]
    );
    let WrittenGrant::Directions { values, .. } = &block.entries[1].grant else {
        panic!("directions")
    };
    let values: Vec<_> = values.iter().map(|(n, v)| (n.value.as_str(), texts(v))).collect();
    let expected = [
        ("stage", vec!["won", "007", ""]),
        ("amount", vec!["1", "2.5", "-3"]),
        ("done", vec!["true"]),
    ];
    let expected = expected.map(|(n, v)| (n, v.into_iter().map(str::to_owned).collect::<Vec<_>>()));
    assert_eq!(values, expected);
    assert_eq!(policy.on_extra_property.unwrap().value, OnExtra::Deny);
    assert_eq!(policy.limits.unwrap().batch.unwrap().value, 50);
}

#[test]
fn what_a_property_block_can_t_mean_is_a_mistake_at_its_place() {
    let long = "a".repeat(101);
    for (block, expected, column) in [
        ("all", code::WRONG_KIND, 13),
        ("[contacts]", code::WRONG_KIND, 13),
        ("", code::WRONG_KIND, 11),
        ("{a: al}", code::WRONG_KIND, 17),
        ("{a: [email]}", code::WRONG_KIND, 17),
        ("{a: }", code::WRONG_KIND, 15),
        ("{a: {raed: all}}", code::UNKNOWN_KEY, 18),
        ("{a: {read: email}}", code::WRONG_KIND, 24),
        ("{a: {read: []}}", code::WRONG_KIND, 24),
        ("{a: {read: [[x]]}}", code::WRONG_KIND, 25),
        ("{a: {read: [5]}}", code::WRONG_KIND, 25),
        ("{a: {read: [\"e*\"]}}", code::WILDCARD, 25),
        ("{a: {read: [\"*\"]}}", code::WILDCARD, 25),
        ("{a: {read: [email, Email]}}", code::REPEATED, 32),
        ("{a: {read: [\"first name\"]}}", code::BAD_PROPERTY, 25),
        ("{a: {read: [prénom]}}", code::BAD_PROPERTY, 25),
        (&format!("{{a: {{read: [{long}]}}}}"), code::BAD_PROPERTY, 25),
        ("{a: {read: {}}}", code::MISSING_KEY, 24),
        ("{a: {read: {exept: [x]}}}", code::UNKNOWN_KEY, 25),
        ("{a: {read: {except: []}}}", code::WRONG_KIND, 33),
        ("{a: {read: {except: [\"*\"]}}}", code::WILDCARD, 34),
        ("{a: {read: {except: [\"**\"]}}}", code::WILDCARD, 34),
        ("{a: {read: {except: [\"a b*\"]}}}", code::BAD_PROPERTY, 34),
        ("{a: {read: {except: [x, X]}}}", code::REPEATED, 37),
        ("{a: {write: all, values: [x]}}", code::WRONG_KIND, 38),
        ("{a: {write: all, values: {x: []}}}", code::WRONG_KIND, 42),
        ("{a: {write: all, values: {x: }}}", code::WRONG_KIND, 40),
        ("{a: {write: all, values: {x: [{}]}}}", code::WRONG_KIND, 43),
        ("{a: {write: all, values: {x: [a, a]}}}", code::REPEATED, 46),
        ("{a: {write: all, values: {\"x*\": [a]}}}", code::WILDCARD, 39),
        ("{a: {write: all, values: {x: [a], X: [b]}}}", code::REPEATED, 47),
        ("{a: {write: all, values: {x: [007]}}}", code::WRONG_KIND, 43),
        ("{a: {write: all, values: {x: [1.0]}}}", code::WRONG_KIND, 43),
        ("{a: {write: all, values: {x: [0x1F]}}}", code::WRONG_KIND, 43),
    ] {
        let text = format!("{HEAD}properties: {block}\n");
        assert_eq!(found(&text), [(expected, 4, column)], "{block}");
    }
    for (rest, expected) in [
        ("on_extra_property: strip\n", code::MISSING_KEY),
        ("properties: {}\non_extra_property: ignore\n", code::WRONG_KIND),
        ("limits: {}\n", code::WRONG_KIND),
        ("limits: {batch: 0}\n", code::WRONG_KIND),
        ("limits: {batch: -1}\n", code::WRONG_KIND),
        ("limits: {batch: 100001}\n", code::WRONG_KIND),
        ("limits: {batch: 2.5}\n", code::WRONG_KIND),
        ("limits: {batch: \"5\"}\n", code::WRONG_KIND),
        ("limits: {batches: 5}\n", code::UNKNOWN_KEY),
        ("limits: {requests: 5/1y}\n", code::WRONG_KIND),
        ("limits: {requests: [5/1s]}\n", code::WRONG_KIND),
        ("limits: {records_read: 5/32d}\n", code::WRONG_KIND),
        ("limits: 5\n", code::WRONG_KIND),
    ] {
        let codes: Vec<_> = found(&format!("{HEAD}{rest}")).iter().map(|f| f.0).collect();
        assert_eq!(codes, [expected], "{rest}");
    }
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
    let read = sound(ceiling("allow: []\ndeny:\n  - risks: [bulk-export]\nproperties: {\"*\": all}\nobserve: never\nexpires_within: 400d\nrequire: [owner, expires]\n")).unwrap();
    assert_eq!(read.allow.unwrap().len(), 0);
    assert_eq!(read.expires_within.unwrap().value, 400);
    assert_eq!(read.require.len(), 2);
    assert_eq!(read.properties.unwrap().value.entries.len(), 1);
    for text in [
        "owner: me\n",
        "properties: {}\non_extra_property: strip\n",
        "limits: {batch: 5}\n",
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
        format!("properties: {{a: {{read: [{}]}}}}\n", many.join(", ")),
        format!("properties: {{{}}}\n", many.join(": all, ") + ": all"),
    ] {
        let codes: Vec<_> = found(&format!("{HEAD}{text}")).iter().map(|f| f.0).collect();
        assert_eq!(codes, [code::TOO_LARGE]);
    }
}
