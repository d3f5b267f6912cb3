//! The commands as people see them. Paths and the day are fixed, so output is the same everywhere.

use std::path::PathBuf;

use jiff::Timestamp;

use super::folder::Folder;
use super::{cases, check, diff, show, who_can};
use crate::access::catalogue::Catalogue;
use crate::access::effect::Effect;
use crate::access::policy_set::{PolicyFile, PolicySet};
use crate::access::survey::who_can::Wanted;
use crate::cli::Exit;

fn now() -> Timestamp {
    "2026-11-22T10:00:00Z".parse().unwrap()
}

fn examples(catalogue: &Catalogue) -> Folder {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies");
    Folder::read(&dir, catalogue, now()).unwrap()
}

fn folder(catalogue: &Catalogue, files: &[(&str, &str)]) -> Folder {
    let files: Vec<PolicyFile> = files
        .iter()
        .map(|(name, text)| PolicyFile {
            path: format!("policies/{name}").into(),
            inside: (*name).to_owned(),
            text: Ok((*text).into()),
        })
        .collect();
    let (set, mistakes) = PolicySet::build(&files, catalogue, None, now(), std::time::Duration::ZERO);
    Folder { files, set, mistakes }
}

fn checked(
    folder: &Folder,
    catalogue: &Catalogue,
    deny_warnings: bool,
    json: bool,
) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = check::Options {
        deny_warnings,
        json,
        colour: false,
    };
    let exit = check::run(folder, catalogue, now(), &options, &mut out, &mut err).unwrap();
    (
        exit,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[test]
fn the_examples_have_neither_mistakes_nor_findings() {
    let catalogue = Catalogue::embedded().unwrap();
    let (exit, out, err) = checked(&examples(&catalogue), &catalogue, true, false);
    assert_eq!(exit, Exit::Fine, "{err}");
    assert!(
        out.contains("privacy-desk#erase\n    irreversible  contacts: crm.objects.gdpr-delete"),
        "{out}"
    );
    assert!(
        out.contains("    contacts      read: email, firstname, lastname; write: -\n"),
        "{out}"
    );
    assert!(err.contains("8 policies load, 0 mistakes, 0 findings"), "{err}");
}

#[test]
fn every_case_of_the_examples_holds() {
    let catalogue = Catalogue::embedded().unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = cases::Options {
        integration: None,
        json: false,
    };
    let exit = cases::run(
        &examples(&catalogue),
        &catalogue,
        now(),
        &options,
        &mut out,
        &mut err,
    )
    .unwrap();
    let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
    assert_eq!(exit, Exit::Fine, "{out}{err}");
    assert!(
        out.lines().count() >= 50 && !err.contains("has no cases"),
        "{err}"
    );
}

#[test]
fn the_examples_permit_what_their_tables_say() {
    let catalogue = Catalogue::embedded().unwrap();
    let folder = examples(&catalogue);
    for (name, ..) in folder.set.integrations() {
        let mut out = Vec::new();
        let policy = folder.policy(name, now()).unwrap();
        show::run(&folder, policy, &catalogue, now(), false, &mut out).unwrap();
        insta::assert_snapshot!(format!("show_{name}"), String::from_utf8(out).unwrap());
    }
}

#[test]
fn all_mistakes_are_shown_at_once_with_line_column_and_the_nearest_name() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = "# yaml-language-server: $schema=./policy.schema.json
integration: a
owner: a@example.com
connections: [acme]
allow:
  - scope: [crm.objects.contact.read, tickets]
  - operation: crm.objects.serach
    objects: [contcts]
  - scope: crm.objects.deals.read
    objects: [notes]
  - operation: crm.objects.archive
  - scope: e-commerce
    effects: [read]
deny:
  - operation: crm.objcts.*
  - objects: [comapnies]
";
    let folder = folder(&catalogue, &[("a.yaml", text)]);
    let (exit, out, err) = checked(&folder, &catalogue, false, false);
    assert_eq!(exit, Exit::Findings);
    assert_eq!(out, "");
    insta::assert_snapshot!(err);
}

#[test]
fn findings_fail_only_when_asked_to_and_machines_get_lines() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = "integration: a\nowner: a\nconnections: \"*\"\nallow:\n  - scope: crm.objects.contacts.read\n";
    let folder = folder(&catalogue, &[("a.yaml", text), ("b.cases.yaml", "[]\n")]);
    assert_eq!(checked(&folder, &catalogue, false, false).0, Exit::Fine);
    let (exit, out, err) = checked(&folder, &catalogue, true, true);
    assert_eq!((exit, err.as_str()), (Exit::Findings, ""));
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<&str> = lines.iter().filter_map(|line| line["code"].as_str()).collect();
    assert_eq!(codes, ["SG151", "SG160", "SG147", "SG153"]);
    assert!(
        lines
            .iter()
            .any(|line| line["kind"] == "opens" && line["on"] == "contacts")
    );
}

#[test]
fn what_exceeds_the_ceiling_fails_the_check() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = "# yaml-language-server: x\nintegration: a\nowner: a\nconnections: [acme]\nallow:\n  - scope: crm.objects.deals.read\n";
    let ceiling = "allow:\n  - scope: crm.objects.contacts.read\nexpires_within: 30d\n";
    let folder = folder(&catalogue, &[("_ceiling.yaml", ceiling), ("a.yaml", text)]);
    let (exit, _, err) = checked(&folder, &catalogue, false, false);
    assert_eq!(exit, Exit::Findings);
    assert!(
        err.contains("error[SG128]") && err.contains("policies/a.yaml:6:5"),
        "{err}"
    );
    assert!(
        err.contains("error[SG124]") && err.contains("2026-12-22"),
        "{err}"
    );
}

#[test]
fn what_the_ceiling_hides_fails_the_check_and_is_not_shown_as_granted() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = "# yaml-language-server: x\nintegration: a\nowner: a\nconnections: [acme]\nallow:\n  - scope: crm.objects.contacts.read\nproperties:\n  contacts: {read: [email, my_ssn]}\n";
    let ceiling = "properties: {\"*\": {read: {except: [\"*ssn*\"]}}}\n";
    let folder = folder(&catalogue, &[("_ceiling.yaml", ceiling), ("a.yaml", text)]);
    let (exit, _, err) = checked(&folder, &catalogue, false, false);
    assert_eq!(exit, Exit::Findings);
    assert!(
        err.contains("the ceiling does not let `my_ssn` of contacts be read")
            && err.contains("policies/a.yaml:8:3"),
        "{err}"
    );
    let mut out = Vec::new();
    let policy = folder.policy("a", now()).unwrap();
    show::run(&folder, policy, &catalogue, now(), true, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(
        out.contains(r#""properties":{"read":["email"],"write":[]}"#) && !out.contains("ssn"),
        "{out}"
    );
}

#[test]
fn machines_get_properties_in_the_words_of_a_policy() {
    let catalogue = Catalogue::embedded().unwrap();
    let head = "integration: a\nowner: a\nconnections: [acme]\nallow:\n  - scope: crm.objects.deals.write\n  - scope: crm.objects.owners.read\n";
    for (block, expected) in [
        ("", r#""all""#),
        ("properties: {\"*\": all}\n", r#""all""#),
        ("properties: {}\n", r#"{"read":[],"write":[]}"#),
        (
            "properties: {\"*\": {write: {except: [\"x_*\"]}, values: {stage: [won]}}}\n",
            r#"{"read":[],"values":{"stage":["won"]},"write":{"except":["x_*"]}}"#,
        ),
    ] {
        let text = format!("{head}{block}");
        let folder = folder(&catalogue, &[("a.yaml", &text)]);
        let (_, out, _) = checked(&folder, &catalogue, false, true);
        let line = out.lines().find(|line| line.contains(r#""kind":"properties""#));
        let expected = format!(r#""properties":{expected}"#);
        assert!(line.is_some_and(|line| line.contains(&expected)), "{block} {out}");
        let policy = folder.policy("a", now()).unwrap();
        let mut shown = Vec::new();
        show::run(&folder, policy, &catalogue, now(), true, &mut shown).unwrap();
        let shown = String::from_utf8(shown).unwrap();
        for line in shown.lines() {
            let expected = match line.contains(r#""on":"deals"#) {
                true => expected.as_str(),
                false => r#""properties":null"#,
            };
            assert!(line.contains(expected), "{block} {line}");
        }
    }
}

#[test]
fn a_case_that_does_not_hold_fails_and_says_why() {
    let catalogue = Catalogue::embedded().unwrap();
    let text =
        "integration: a\nowner: a\nconnections: [acme]\nallow:\n  - scope: crm.objects.contacts.read\n";
    let wrong = "- request: GET /crm/v3/objects/notes\n  expect: allow\n  because: notes are contacts\n";
    let folder = folder(
        &catalogue,
        &[
            ("a.yaml", text),
            ("a.cases.yaml", wrong),
            ("gone.cases.yaml", wrong),
        ],
    );
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = cases::Options {
        integration: None,
        json: false,
    };
    let exit = cases::run(&folder, &catalogue, now(), &options, &mut out, &mut err).unwrap();
    assert_eq!(exit, Exit::Findings);
    let out = String::from_utf8(out).unwrap();
    insta::assert_snapshot!(out, @r"
    FAILS  a  GET /crm/v3/objects/notes: deny (object, a#allow[0])
           expected allow at policies/a.cases.yaml:1, because notes are contacts
           in rule `a#allow[0]` add `notes` to `objects`
    ");
    assert!(
        String::from_utf8(err)
            .unwrap()
            .contains("there is no policy for `gone`")
    );
}

#[test]
fn a_policy_that_does_not_load_fails_the_test_run_without_cases_too() {
    let catalogue = Catalogue::embedded().unwrap();
    let folder = folder(&catalogue, &[("a.yaml", "integration: a\n")]);
    for (integration, expected) in [(None, Exit::Findings), (Some("b".to_owned()), Exit::Fine)] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let options = cases::Options {
            integration,
            json: false,
        };
        let exit = cases::run(&folder, &catalogue, now(), &options, &mut out, &mut err).unwrap();
        assert_eq!(exit, expected);
    }
}

/// The code of every finding in order of the file, by its line.
fn lines_and_codes(folder: &Folder) -> Vec<(u32, &'static str)> {
    folder.mistakes.iter().map(|m| (m.span.line, m.code)).collect()
}

#[test]
fn a_file_of_many_mistakes_shows_all_of_them_at_once_and_nothing_that_follows_from_them() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = include_str!("mistakes.yaml");
    let folder = folder(&catalogue, &[("t.yaml", text)]);
    assert_eq!(
        lines_and_codes(&folder),
        [
            (2, "SG106"),
            (3, "SG102"),
            (4, "SG107"),
            (5, "SG107"),
            (7, "SG104"),
            (8, "SG104"),
            (10, "SG110"),
            (11, "SG119"),
            (12, "SG115"),
            (14, "SG108"),
            (15, "SG117"),
            (16, "SG117"),
            (16, "SG117"),
            (17, "SG114"),
            (19, "SG114"),
            (20, "SG111"),
            (21, "SG102"),
            (22, "SG117"),
            (24, "SG116"),
            (24, "SG110"),
            (25, "SG111"),
            (26, "SG112"),
            (27, "SG116"),
            (28, "SG112"),
            (30, "SG113"),
            (31, "SG118"),
            (33, "SG108"),
            (34, "SG109"),
            (36, "SG104"),
            (37, "SG104"),
            (38, "SG104"),
            (40, "SG117"),
            (41, "SG119"),
            (42, "SG111"),
            (43, "SG112"),
            (43, "SG112"),
            (44, "SG116"),
            (45, "SG104"),
            (46, "SG116"),
            (48, "SG120"),
            (49, "SG120"),
            (49, "SG108"),
            (51, "SG112"),
            (52, "SG117"),
            (52, "SG102"),
            (53, "SG123"),
            (54, "SG131"),
            (55, "SG104"),
            (56, "SG104"),
        ]
    );
    let (exit, _, err) = checked(&folder, &catalogue, false, false);
    assert_eq!(exit, Exit::Findings);
    assert!(err.contains("0 policies load, 49 mistakes, 0 findings"), "{err}");
}

#[test]
fn two_files_for_one_integration_are_both_read_and_neither_loads() {
    let catalogue = Catalogue::embedded().unwrap();
    let head = "integration: t\nowner: o\nconnections: [a]\nallow:\n";
    let first = format!("{head}  - scope: tickts\n");
    let second = format!("{head}  - scope: crm.objects.contacts.read\n    effects: [reed]\n");
    let folder = folder(&catalogue, &[("t.yaml", &first), ("sales/t.yaml", &second)]);
    let found: Vec<_> = folder
        .mistakes
        .iter()
        .map(|m| (&*m.file, m.code, m.span.line))
        .collect();
    assert_eq!(
        found,
        [
            ("policies/t.yaml", "SG121", 1),
            ("policies/t.yaml", "SG110", 5),
            ("policies/sales/t.yaml", "SG121", 1),
            ("policies/sales/t.yaml", "SG108", 6),
        ]
    );
    assert!(folder.policy("t", now()).is_err());
}

#[test]
fn one_missing_day_is_one_mistake_although_the_ceiling_asks_for_it_twice() {
    let catalogue = Catalogue::embedded().unwrap();
    let policy = "# yaml-language-server: $schema=x\nintegration: t\nowner: o\nconnections: [a]\n";
    let found = |ceiling: &str| {
        let folder = folder(&catalogue, &[("_ceiling.yaml", ceiling), ("t.yaml", policy)]);
        assert_eq!(folder.mistakes, []);
        folder.set.beyond_ceiling(&catalogue, now())
    };
    for ceiling in [
        "expires_within: 400d\nrequire: [owner, expires]\n",
        "expires_within: 400d\n",
        "require: [expires]\n",
    ] {
        assert_eq!(found(ceiling).len(), 1, "{ceiling}");
    }
}

#[test]
fn a_file_that_does_not_load_is_not_said_to_lack_cases_nor_to_have_idle_comments() {
    let catalogue = Catalogue::embedded().unwrap();
    let head = "integration: t\nowner: o\nconnections: [a]\nallow:\n";
    let broken = format!("{head}  # scopegate: ignore SG141: needed\n  - scope: tickts\n");
    let sound = "integration: u\nowner: o\nconnections: [a]\n";
    let folder = folder(&catalogue, &[("t.yaml", &broken), ("u.yaml", sound)]);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let options = cases::Options {
        integration: None,
        json: false,
    };
    cases::run(&folder, &catalogue, now(), &options, &mut out, &mut err).unwrap();
    let err = String::from_utf8(err).unwrap();
    assert!(
        !err.contains("t has no cases") && err.contains("u has no cases"),
        "{err}"
    );
    let (_, _, shown) = checked(&folder, &catalogue, false, false);
    assert!(!shown.contains("SG152") && shown.contains("SG110"), "{shown}");
}

/// What a change of these files prints, and its exit.
fn differing(
    catalogue: &Catalogue,
    old: &[(&str, &str)],
    new: &[(&str, &str)],
    json: bool,
) -> (Exit, String) {
    let folders = [folder(catalogue, old), folder(catalogue, new)];
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = diff::run(&folders, catalogue, now(), json, &mut out, &mut err).unwrap();
    let printed = [out, err].map(|bytes| String::from_utf8(bytes).unwrap());
    (exit, printed.concat())
}

const BEFORE: &str = "integration: t
owner: o
connections: [acme]
expires: 2027-01-31
allow:
  - operation: [crm.objects.get, crm.objects.search, crm.objects.update]
    objects: [contacts, deals]
  - operation: crm.associations.create
    objects: [contacts, deals]
";

const AFTER: &str = "integration: t
owner: o
connections: [acme, beta]
expires: 2027-03-31
allow:
  - operation: [crm.objects.get, crm.objects.search, crm.objects.create]
    objects: [contacts, deals]
  - operation: crm.associations.create
    objects: [contacts, deals, p_car]
  - scope: crm.objects.owners.read
    connections: [beta]
observe: {until: 2026-12-31, effects: [irreversible]}
";

#[test]
fn a_diff_says_what_is_newly_allowed_and_newly_denied_in_few_lines() {
    let catalogue = Catalogue::embedded().unwrap();
    let after = AFTER.replace("observe: {until: 2026-12-31, effects: [irreversible]}\n", "");
    let (exit, printed) = differing(&catalogue, &[("t.yaml", BEFORE)], &[("t.yaml", &after)], false);
    assert_eq!(exit, Exit::Findings);
    insta::assert_snapshot!(printed);
    let (_, lines) = differing(&catalogue, &[("t.yaml", BEFORE)], &[("t.yaml", &after)], true);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    insta::assert_json_snapshot!(first);
}

#[test]
fn a_diff_of_properties_names_them_and_the_calls_they_go_through() {
    let catalogue = Catalogue::embedded().unwrap();
    let with = |properties: &str| BEFORE.replace("expires: 2027-01-31\n", properties);
    let old = with(
        "properties:\n  contacts: {read: [email]}\n  deals: {read: {except: [\"*margin*\"]}, write: [dealstage], values: {dealstage: [won]}}\n",
    );
    let new = with(
        "properties:\n  contacts: {read: [email, phone]}\n  deals: {read: {except: [\"*margin\"]}, write: [dealstage], values: {dealstage: [won, lost]}}\non_extra_property: deny\n",
    );
    let (exit, mut printed) = differing(&catalogue, &[("t.yaml", &old)], &[("t.yaml", &new)], false);
    assert_eq!(exit, Exit::Findings);
    printed.push_str(&differing(&catalogue, &[("t.yaml", &with(""))], &[("t.yaml", &new)], false).1);
    insta::assert_snapshot!(printed);
}

#[test]
fn a_diff_overlooks_no_property_of_calls_that_concern_a_type_or_list_what_is_linked() {
    let catalogue = Catalogue::embedded().unwrap();
    let linked = |names: &str| {
        format!(
            "integration: t\nowner: o\nconnections: [acme]\nallow:\n  - operation: companies.contacts.list\n    objects: [companies, contacts]\nproperties:\n  contacts: {{read: {names}}}\n"
        )
    };
    let (old, new) = (linked("[email]"), linked("[email, salary]"));
    let (exit, printed) = differing(&catalogue, &[("t.yaml", &old)], &[("t.yaml", &new)], false);
    assert_eq!(exit, Exit::Findings, "{printed}");
    assert!(
        printed.starts_with("+ t: companies.contacts.list read contacts [properties: salary]"),
        "{printed}"
    );
    let head = "integration: t\nowner: o\nconnections: [acme]\nallow:\n  - operation: engagements.list\n";
    let with = |notes: &str| format!("{head}properties:\n  \"*\": all\n  notes: {{read: {notes}}}\n");
    let (exit, printed) = differing(
        &catalogue,
        &[("t.yaml", &with("[hs_note_body]"))],
        &[("t.yaml", &with("all"))],
        false,
    );
    assert_eq!(exit, Exit::Findings, "{printed}");
    assert!(
        printed.contains("+ t: engagements.list read notes [whole records"),
        "{printed}"
    );
}

#[test]
fn a_diff_says_which_limits_let_more_through_and_which_less() {
    let catalogue = Catalogue::embedded().unwrap();
    let with = |limits: &str| BEFORE.replace("expires: 2027-01-31\n", limits);
    for (old, new, exit, lines) in [
        (
            "limits: {requests: 5/1s}\n",
            "limits: {requests: 5/1s}\n",
            Exit::Fine,
            vec![],
        ),
        (
            "limits: {records_read: 50/1h}\n",
            "limits: {records_read: 60/1h}\n",
            Exit::Findings,
            vec!["+ t: limits.records_read: 60/1h instead of 50/1h"],
        ),
        (
            "limits: {records_read: 50/1h}\n",
            "",
            Exit::Findings,
            vec!["+ t: limits.records_read: any number instead of 50/1h"],
        ),
        (
            "",
            "limits: {records_written: 50/1h}\n",
            Exit::Fine,
            vec!["- t: limits.records_written: 50/1h instead of any number"],
        ),
        // More in ten seconds, less in a minute.
        (
            "limits: {requests: 50/10s}\n",
            "limits: {requests: 100/1m}\n",
            Exit::Findings,
            vec![
                "+ t: limits.requests: 100/1m instead of 50/10s",
                "- t: limits.requests: 100/1m instead of 50/10s",
            ],
        ),
        // Nothing is opened that it would count.
        (
            "limits: {records_deleted: 1/1h}\n",
            "limits: {records_deleted: 9/1h}\n",
            Exit::Fine,
            vec![],
        ),
    ] {
        let (old, new) = (with(old), with(new));
        let (found, printed) = differing(&catalogue, &[("t.yaml", &old)], &[("t.yaml", &new)], false);
        let said: Vec<&str> = printed.lines().filter(|line| line.contains("limits.")).collect();
        assert_eq!((found, said), (exit, lines), "{old} {new} {printed}");
    }
}

#[test]
fn only_what_is_newly_allowed_fails_a_diff() {
    let catalogue = Catalogue::embedded().unwrap();
    let narrower = BEFORE.replace(", crm.objects.update", "");
    let ceiling = "deny:\n  - effects: [write]\n";
    let other = BEFORE.replace("integration: t", "integration: u");
    for (old, new, expected) in [
        (vec![("t.yaml", BEFORE)], vec![("t.yaml", BEFORE)], Exit::Fine),
        (vec![("t.yaml", BEFORE)], vec![("t.yaml", &*narrower)], Exit::Fine),
        (
            vec![("t.yaml", &*narrower)],
            vec![("t.yaml", BEFORE)],
            Exit::Findings,
        ),
        (vec![("t.yaml", BEFORE)], vec![], Exit::Fine),
        (
            vec![("t.yaml", BEFORE)],
            vec![("t.yaml", BEFORE), ("u.yaml", &other)],
            Exit::Findings,
        ),
        (
            vec![("t.yaml", BEFORE)],
            vec![("t.yaml", BEFORE), ("_ceiling.yaml", ceiling)],
            Exit::Fine,
        ),
        (
            vec![("t.yaml", BEFORE), ("_ceiling.yaml", ceiling)],
            vec![("t.yaml", BEFORE)],
            Exit::Findings,
        ),
    ] {
        assert_eq!(
            differing(&catalogue, &old, &new, false).0,
            expected,
            "{old:?} {new:?}"
        );
    }
}

#[test]
fn what_observing_lets_pass_counts_as_allowed_and_ends_with_it() {
    let catalogue = Catalogue::embedded().unwrap();
    let observing = format!("{BEFORE}observe: {{until: 2026-12-31, effects: [delete]}}\n");
    let (exit, printed) = differing(
        &catalogue,
        &[("t.yaml", BEFORE)],
        &[("t.yaml", &observing)],
        false,
    );
    assert_eq!(exit, Exit::Findings);
    assert!(printed.lines().next().unwrap().contains(" delete "), "{printed}");
    assert!(printed.contains("[observed]"), "{printed}");
    let (exit, printed) = differing(
        &catalogue,
        &[("t.yaml", &observing)],
        &[("t.yaml", BEFORE)],
        false,
    );
    assert_eq!(exit, Exit::Fine, "{printed}");
}

#[test]
fn who_can_names_integrations_rules_and_lines() {
    let catalogue = Catalogue::embedded().unwrap();
    let after = AFTER.replace("irreversible", "delete");
    let folder = folder(
        &catalogue,
        &[
            ("t.yaml", &after),
            ("u.yaml", &BEFORE.replace("integration: t", "integration: u")),
        ],
    );
    let object = |name: &str| catalogue.object_type(name);
    let mut printed = String::new();
    for wanted in [
        Wanted {
            operation: catalogue.operation_by_id("crm.objects.get"),
            object: object("contact"),
            ..Wanted::default()
        },
        Wanted {
            effect: Some(Effect::Write),
            object: object("p_car"),
            ..Wanted::default()
        },
        Wanted {
            operation: catalogue.operation_by_id("crm.owners.list"),
            ..Wanted::default()
        },
        Wanted {
            operation: catalogue.operation_by_id("crm.owners.list"),
            connection: Some("acme".to_owned()),
            ..Wanted::default()
        },
        Wanted {
            operation: catalogue.operation_by_id("crm.objects.archive"),
            object: object("deals"),
            ..Wanted::default()
        },
    ] {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = who_can::run(&folder, &catalogue, &wanted, now(), false, &mut out, &mut err).unwrap();
        printed.push_str(&String::from_utf8([out, err].concat()).unwrap());
        printed.push_str(&format!("exit {}\n\n", exit as u8));
    }
    insta::assert_snapshot!(printed);
}

#[test]
fn who_can_overlooks_no_call_that_carries_a_property_and_names_none_that_does_not() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = "integration: t
owner: t
connections: [acme]
allow:
  - operation: [engagements.list, crm.lists.get]
  - operation: [crm.objects.merge, crm.objects.archive, crm.properties.list]
    objects: [contacts]
  - operation: crm.associations.list
    objects: [contacts, notes]
  - operation: companies.contacts.list
    objects: [companies, contacts]
";
    let capped = "properties:\n  contacts: {read: {except: [salary]}}\n  \"*\": all\n";
    let asked = |files: &[(&str, &str)], object: &str, property: &str| -> Vec<String> {
        let folder = folder(&catalogue, files);
        let wanted = Wanted {
            object: catalogue.object_type(object),
            property: Some(property.to_owned()),
            ..Wanted::default()
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        who_can::run(&folder, &catalogue, &wanted, now(), true, &mut out, &mut err).unwrap();
        let lines = String::from_utf8(out).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["operations"].to_string()).collect()
    };
    let open = [("t.yaml", text)];
    assert_eq!(asked(&open, "notes", "hs_note_body"), [r#"["engagements.list"]"#]);
    let both = [r#"["crm.objects.merge"]"#, r#"["companies.contacts.list"]"#];
    assert_eq!(asked(&open, "contacts", "salary"), both);
    let under_ceiling = [("t.yaml", text), ("_ceiling.yaml", capped)];
    assert_eq!(asked(&under_ceiling, "contacts", "salary"), [""; 0]);
    assert_eq!(asked(&under_ceiling, "contacts", "email"), both);
}

#[test]
fn the_readme_shows_what_a_diff_says() {
    let catalogue = Catalogue::embedded().unwrap();
    let old = include_str!("../../../policies/support-widget.yaml");
    let new = old.replace("contacts: { read: [", "contacts: { read: [phone, ");
    assert_ne!(old, new);
    let name = "support-widget.yaml";
    let (exit, printed) = differing(&catalogue, &[(name, old)], &[(name, &new)], false);
    assert_eq!(exit, Exit::Findings);
    assert!(include_str!("../../../README.md").contains(&printed), "{printed}");
}

#[test]
fn single_files_are_compared_whatever_they_are_called_and_broken_ones_not_at_all() {
    let catalogue = Catalogue::embedded().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let old = write(
        "before",
        &BEFORE.replace("integration: t", "integration: \"t\" # ours"),
    );
    let new = write("t.yaml", AFTER.split("observe:").next().unwrap());
    let broken = write("broken.yaml", "integration: t\n");
    let ceiling = write("_ceiling.yaml", "deny: []\n");
    let read = |old: &PathBuf, new: &PathBuf| diff::read(&diff::DiffArgs::new(old, new), &catalogue, now());
    let folders = read(&old, &new).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = diff::run(&folders, &catalogue, now(), false, &mut out, &mut err).unwrap();
    assert_eq!(exit, Exit::Findings);
    assert!(
        String::from_utf8(err)
            .unwrap()
            .starts_with("31 newly allowed, 2 newly denied")
    );
    for (old, new) in [
        (&old, &broken),
        (&ceiling, &new),
        (&old, &dir.path().to_owned()),
        (&old, &dir.path().join("nothing")),
    ] {
        let error = read(old, new).err().unwrap();
        assert_eq!(error.exit, Exit::Usage, "{}", error.message);
        assert!(error.hint.is_some());
    }
    let missing = read(&old, &dir.path().join("nothing")).err().unwrap();
    assert!(missing.message.contains("can't read"), "{}", missing.message);
}
