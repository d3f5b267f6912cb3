use serde_json::Value;

use super::*;
use crate::cli::admin::testing::{NOWHERE, admin};

const NOW: &str = "2026-11-26T12:00:00Z";

/// One line of each kind that matters, and some that do not.
const LOG: &str = r#"{"seq":1,"kind":"gate","time":"2026-11-26T10:00:00.000000Z","event":"start","boot":"x"}
{"seq":2,"kind":"decision","time":"2026-11-25T11:59:59.000000Z","id":"1","integration":"report","key":"k","connection":"acme","operation":"crm.objects.list","decision":"deny","reason":"no_rule","lacks":["scope:tickets"]}
{"seq":3,"kind":"decision","time":"2026-11-26T10:00:01.000000Z","id":"2","integration":"report","key":"k","connection":"acme","operation":"crm.objects.list","decision":"deny","reason":"no_rule","lacks":["scope:tickets"]}
{"seq":4,"kind":"decision","time":"2026-11-26T11:00:01.000000Z","id":"3","integration":"report","key":"k","connection":"acme","operation":"crm.objects.list","decision":"deny","reason":"no_rule","lacks":["scope:tickets"]}
{"seq":5,"kind":"decision","time":"2026-11-26T11:00:02.000000Z","id":"4","integration":"report","key":"k","connection":"acme","operation":"crm.objects.list","decision":"allow","reason":"none","rule":"report#allow[0]"}
{"seq":6,"kind":"outcome","time":"2026-11-26T11:00:02.000000Z","id":"4","integration":"report","status":200,"source":"upstream","reason":"none"}
{"seq":7,"kind":"outcome","time":"2026-11-26T11:00:03.000000Z","id":"5","integration":"sync","status":403,"source":"upstream","reason":"none","cause":"missing_scope","lacks":["crm.objects.deals.write"],"cause_detail":"corrected","connection":"beta","operation":"crm.objects.update"}
{"seq":8,"kind":"outcome","time":"2026-11-26T11:00:04.000000Z","id":"6","integration":"sync","status":403,"source":"upstream","reason":"none","cause":"user_permission","connection":"acme","operation":"crm.objects.update"}
{"seq":9,"kind":"aggregate","time":"2026-11-26T11:30:00.000000Z","integration":"report","reason":"no_rule","count":950}
{"seq":10,"kind":"aggregate","time":"2026-11-26T11:30:00.000000Z","reason":"key_unknown","network":"203.0.113.0/24","count":7}
{"seq":11,"kind":"decision","time":"2026-11-26T11:40:00.000000Z","id":"7","integration":"report","key":"k","decision":"refuse","reason":"unknown_operation"}
not a record
{"seq":12,"kind":"outcome","time":"2026-11-26T11:00:05.0"#;

fn world() -> (tempfile::TempDir, Config) {
    let (dir, admin) = admin(NOWHERE);
    let folder = admin.config.audit.dir.join("gate-1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("2026-11-26.000001.jsonl"), LOG).unwrap();
    (dir, admin.config)
}

fn asked(config: &Config, args: &DenialsArgs) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = execute(args, config, NOW.parse().unwrap(), &mut out, &mut err).unwrap();
    (
        exit,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

fn args(json: bool) -> DenialsArgs {
    DenialsArgs {
        since: "24h".to_owned(),
        integration: None,
        connection: None,
        json,
    }
}

#[test]
fn what_was_denied_is_grouped_with_its_remedy_and_a_torn_line_does_no_harm() {
    let (_dir, config) = world();
    let (exit, out, err) = asked(&config, &args(true));
    assert_eq!(exit, Exit::Findings);
    assert!(err.contains("1 lines of the audit log"), "{err}");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let why = line.get("reason").or(line.get("cause")).unwrap();
            (
                line["by"].as_str().unwrap(),
                why.as_str().unwrap(),
                line["count"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("gate", "no_rule", 950),
            ("gate", "no_rule", 2),
            ("gate", "unknown_operation", 1),
            ("hubspot", "user_permission", 1),
            ("hubspot", "missing_scope", 1),
        ]
    );
    assert_eq!(
        lines[1]["first"], "2026-11-26T10:00:01Z",
        "what is older does not count"
    );
    assert_eq!(lines[1]["last"], "2026-11-26T11:00:01Z");
    assert_eq!(
        lines[1]["remedy"],
        "if `report` needs it, open `scope:tickets` in its policy"
    );
    assert_eq!(
        lines[4]["remedy"],
        "add `crm.objects.deals.write` to the app and install again"
    );
    let remedy = lines[3]["remedy"].as_str().unwrap();
    assert!(
        remedy.starts_with("the installer lacks a permission in HubSpot: "),
        "{remedy}"
    );
    for line in &lines {
        assert!(line["remedy"].as_str().unwrap().len() > 10, "{line}");
    }
}

#[test]
fn one_integration_or_one_connection_can_be_looked_at_alone() {
    let (_dir, config) = world();
    let of = |integration: Option<&str>, connection: Option<&str>| {
        let args = DenialsArgs {
            integration: integration.map(str::to_owned),
            connection: connection.map(str::to_owned),
            ..args(false)
        };
        asked(&config, &args)
    };
    let (exit, out, _) = of(Some("sync"), None);
    assert_eq!(exit, Exit::Findings);
    assert_eq!(out.lines().count(), 3, "{out}");
    let (_, out, _) = of(None, Some("beta"));
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains("crm.objects.deals.write"), "{out}");
    let (exit, out, err) = of(Some("other"), None);
    assert_eq!((exit, &*out), (Exit::Fine, ""));
    assert!(
        err.contains("nothing of integration `other` was denied"),
        "a mistyped name is seen: {err}"
    );
}

#[test]
fn a_folder_that_is_not_there_and_a_time_that_is_none_are_said() {
    let (_dir, mut config) = world();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let bad = DenialsArgs {
        since: "soon".to_owned(),
        ..args(false)
    };
    let now = NOW.parse().unwrap();
    let error = execute(&bad, &config, now, &mut out, &mut err).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    config.audit.dir = config.audit.dir.join("elsewhere");
    let error = execute(&args(false), &config, now, &mut out, &mut err).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.message.contains("no audit log"), "{}", error.message);
}

#[test]
fn what_somebody_wrote_into_the_log_does_not_reach_the_terminal_as_a_command() {
    let (_dir, config) = world();
    let file = config.audit.dir.join("gate-1/2026-11-26.000001.jsonl");
    let hostile = LOG.replace(
        r#""integration":"report""#,
        "\"integration\":\"re\\u001b[2Jpo\u{7f}r\u{9b}2J\u{202e}t\\ngate forged\"",
    );
    assert_ne!(hostile, LOG);
    std::fs::write(file, hostile).unwrap();
    for json in [false, true] {
        let (exit, out, _) = asked(&config, &args(json));
        assert_eq!(exit, Exit::Findings);
        assert!(
            out.contains("po") && out.contains("r\u{fffd}2J\u{fffd}t"),
            "{out:?}"
        );
        let acts = |sign: char| (sign.is_control() && sign != '\n') || sign == '\u{202e}';
        assert!(!out.contains(acts), "{out:?}");
        assert!(!out.lines().any(|line| line.starts_with("gate forged")), "{out}");
    }
}
