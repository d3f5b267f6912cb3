use super::*;
use crate::access::effect::Class;
use crate::access::kill::{KillKind, KillSubject};
use crate::cli::admin::testing::{NOWHERE, admin};
use crate::secret::Secret;
use crate::store::{ClassHealth, ConnectionHealth, LastUse, Provenance};

fn token_file(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("token");
    if !path.exists() {
        let token = Secret::new("pat-na1-canary".to_owned());
        secret_file::write_new(&path, &token).unwrap();
    }
    path
}

fn add_args(dir: &tempfile::TempDir, name: &str, portal: &str) -> ConnectionCommand {
    ConnectionCommand::Add(AddArgs {
        name: name.to_owned(),
        portal: portal.to_owned(),
        token_file: Some(token_file(dir)),
        app: None,
        refresh_token_file: None,
        labels: Vec::new(),
        reason: ReasonArgs::default(),
    })
}

fn named(name: &str) -> Chosen {
    Chosen {
        names: vec![name.to_owned()],
        ..Chosen::default()
    }
}

fn change_args(name: &str) -> ChangeArgs {
    ChangeArgs {
        chosen: named(name),
        json: false,
        reason: ReasonArgs {
            reason: Some("maintenance".to_owned()),
        },
    }
}

fn remove_args(name: &str) -> RemoveArgs {
    RemoveArgs {
        change: change_args(name),
        yes: false,
    }
}

fn ran(command: ConnectionCommand, admin: &Admin) -> Result<(String, String), CommandError> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    execute(command, admin, &mut out, &mut err)?;
    Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
}

#[test]
fn an_unreachable_upstream_means_unverified_with_a_warning() {
    let (dir, admin) = admin(NOWHERE);
    let (out, err) = ran(add_args(&dir, "acme", "62515"), &admin).unwrap();
    assert_eq!(out, "acme portal 62515 private-app unverified\n");
    assert!(err.contains("could not be reached"), "{err}");
    assert!(!format!("{out}{err}").contains("canary"));
    let (json, _) = ran(
        ConnectionCommand::List(ListArgs {
            json: true,
            ..ListArgs::default()
        }),
        &admin,
    )
    .unwrap();
    let row: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(
        (&row["state"], &row["portal"]),
        (&"unverified".into(), &62515.into())
    );
    assert!(!json.contains("canary"));
}

#[test]
fn bad_arguments_and_exposed_files_store_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, admin) = admin(NOWHERE);
    for (name, portal) in [("Acme", "1"), ("123", "1"), ("acme", "0"), ("acme", "x")] {
        assert_eq!(
            ran(add_args(&dir, name, portal), &admin).unwrap_err().exit,
            Exit::Usage
        );
    }
    let exposed = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(token_file(&dir), exposed).unwrap();
    let error = ran(add_args(&dir, "acme", "1"), &admin).unwrap_err();
    assert!(error.message.contains("chmod"), "{}", error.message);
    assert!(admin.store.connections().unwrap().is_empty());
}

#[test]
fn suspending_and_resuming_say_what_they_found() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let standing = || admin.store.connections().unwrap()[0].standing;
    ran(ConnectionCommand::Suspend(change_args("acme")), &admin).unwrap();
    assert_eq!(standing(), Standing::Suspended);
    let (_, err) = ran(ConnectionCommand::Suspend(change_args("acme")), &admin).unwrap();
    assert!(err.contains("already"), "{err}");
    let (text, _) = ran(ConnectionCommand::List(ListArgs::default()), &admin).unwrap();
    assert!(
        text.contains("suspended") && text.contains("maintenance"),
        "{text}"
    );
    let (_, err) = ran(ConnectionCommand::Resume(change_args("acme")), &admin).unwrap();
    assert!(err.contains("`unverified`"), "{err}");
    assert_eq!(standing(), Standing::Unverified);
    let (_, err) = ran(ConnectionCommand::Resume(change_args("acme")), &admin).unwrap();
    assert!(err.contains("already"), "{err}");
    let unknown = ran(ConnectionCommand::Resume(change_args("other")), &admin).unwrap_err();
    assert_eq!(unknown.exit, Exit::Findings);
}

#[test]
fn a_connection_of_another_portal_is_not_resumed_while_hubspot_can_not_be_asked() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let row = || admin.store.connections().unwrap().remove(0);
    let by = provenance(&ReasonArgs::default()).unwrap();
    let why = "its token belongs to another portal";
    admin.store.suspend_foreign(&row().id, why, "x", &by).unwrap();
    let error = ran(ConnectionCommand::Resume(change_args("acme")), &admin).unwrap_err();
    assert_eq!(error.exit, Exit::Findings);
    assert!(error.message.contains("stays suspended"), "{}", error.message);
    assert!(!error.message.contains("canary"));
    assert_eq!(row().standing, Standing::Suspended);
}

#[test]
fn the_list_shows_what_is_the_matter_now() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let id = admin.store.connections().unwrap()[0].id;
    admin.store.note_health(&id, Some("rejected")).unwrap();
    let listed = || {
        ran(ConnectionCommand::List(ListArgs::default()), &admin)
            .unwrap()
            .0
    };
    assert!(listed().contains("rejected"), "{}", listed());
    ran(ConnectionCommand::Suspend(change_args("acme")), &admin).unwrap();
    assert!(listed().contains("maintenance"), "{}", listed());
}

#[test]
fn a_sheet_shows_whose_consent_it_stands_on_how_it_fares_and_who_uses_it() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let policy = "integration: report\nowner: o@example.com\nconnections: [acme]\nallow:\n  - scope: crm.objects.contacts.read\n";
    std::fs::write(admin.config.policies.join("report.yaml"), policy).unwrap();
    let id = admin.store.connections().unwrap()[0].id;
    let at = |hour: i64| Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap();
    let health = ConnectionHealth {
        read: ClassHealth {
            success: Some(at(30)),
            successes: 9,
            ..ClassHealth::default()
        },
        write: ClassHealth {
            failure: Some(at(25)),
            cause: Some("user_permission".to_owned()),
            failures: 4,
            failing_since: Some(at(0)),
            ..ClassHealth::default()
        },
    };
    let read = LastUse {
        integration: "report".to_owned(),
        connection: id,
        class: Class::Read,
        at: at(30),
    };
    admin.store.save_health(&[(id, health)], &[read]).unwrap();
    let found = crate::store::NewFinding {
        kind: "installer_unknown",
        connection: id,
        person: None,
        since: at(26),
        detail: "{}".to_owned(),
    };
    admin.store.change_findings(at(26), &[], &[found]).unwrap();
    let show = |json| {
        let args = ShowArgs {
            chosen: named("acme"),
            json,
        };
        ran(ConnectionCommand::Show(args), &admin).unwrap().0
    };
    let sheet = show(false);
    for line in [
        "state             unverified",
        "reads             ok; last success 2027-01-16 14:00Z",
        "writes            FAIL; last success never; last refusal 2027-01-16 09:00Z (user_permission), 4 since the last success",
        "integration       report: no key, last read 2027-01-16 14:00Z, last write never",
        "open findings     2",
        "finding           installer_unknown since 2027-01-16 10:00Z: see finding 1 of `scopegate people list`",
        "finding           every write has been refused since 2027-01-15 08:00Z (4 times, user_permission); reads work",
    ] {
        assert!(sheet.lines().any(|shown| shown == line), "{line}: {sheet}");
    }
    let json: serde_json::Value = serde_json::from_str(&show(true)).unwrap();
    assert_eq!(json["health"]["write"]["failing"], true);
    assert_eq!(json["integrations"][0]["covered"], true);
    assert_eq!(json["findings"].as_array().unwrap().len(), 2);
    let (list, _) = ran(ConnectionCommand::List(ListArgs::default()), &admin).unwrap();
    assert!(list.contains("writes fail"), "{list}");
    assert!(!format!("{sheet}{json}{list}").contains("canary"));
    // Policies that can't be read hide who is covered, never the connection.
    std::fs::remove_dir_all(&admin.config.policies).unwrap();
    assert!(show(false).contains("report: no key, its policy can't be read"));
}

#[test]
fn removing_says_what_went_with_it() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let show = ShowArgs {
        chosen: named("acme"),
        json: false,
    };
    let (shown, _) = ran(ConnectionCommand::Show(show), &admin).unwrap();
    assert!(shown.contains("portal            1\n"), "{shown}");
    let (_, err) = ran(ConnectionCommand::Remove(remove_args("acme")), &admin).unwrap();
    assert!(err.contains("revoked 0 of its keys"), "{err}");
    assert!(admin.store.connections().unwrap().is_empty());
}

#[test]
fn a_stopped_connection_says_by_what_and_why_wherever_it_is_shown_or_put_in_order() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let by = Provenance {
        actor: "ops".to_owned(),
        reason: Some("key in a public repository".to_owned()),
    };
    let portal = KillSubject::parse(KillKind::Portal, "1").unwrap();
    admin.store.kill(&portal, &by).unwrap();
    let show = |json| {
        let args = ShowArgs {
            chosen: named("acme"),
            json,
        };
        ran(ConnectionCommand::Show(args), &admin).unwrap().0
    };
    let sheet = show(false);
    let line = |name: &str| {
        let line = sheet.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}: {sheet}")).to_owned()
    };
    assert!(line("state  ").ends_with(" killed"), "{sheet}");
    assert!(line("state beneath").ends_with(" unverified"), "{sheet}");
    let stopped = line("stopped by");
    assert!(
        stopped.contains("the stop of portal `1`, since 20")
            && stopped.ends_with(", by ops: key in a public repository"),
        "{stopped}"
    );
    let json: serde_json::Value = serde_json::from_str(&show(true)).unwrap();
    assert_eq!(
        (&json["state"], &json["state_beneath"]),
        (&"killed".into(), &"unverified".into())
    );
    assert_eq!(json["stopped_by"][0]["subject"], "1");
    let (list, _) = ran(ConnectionCommand::List(ListArgs::default()), &admin).unwrap();
    assert!(
        list.contains("stop of portal `1`: key in a public repository"),
        "{list}"
    );

    let warning = "the stop of portal `1` covers connection `acme`: no call passes until";
    ran(ConnectionCommand::Suspend(change_args("acme")), &admin).unwrap();
    let (_, err) = ran(ConnectionCommand::Resume(change_args("acme")), &admin).unwrap();
    assert!(err.contains(warning), "{err}");
    let (_, err) = ran(ConnectionCommand::Resume(change_args("acme")), &admin).unwrap();
    assert!(err.contains("already") && err.contains(warning), "{err}");
    let (_, err) = ran(add_args(&dir, "later", "1"), &admin).unwrap();
    assert!(err.contains("covers connection `later`"), "{err}");
}

#[test]
fn a_sheet_shows_what_is_found_of_the_person_behind_it() {
    let (dir, admin) = admin(NOWHERE);
    ran(add_args(&dir, "acme", "1"), &admin).unwrap();
    let id = admin.store.connections().unwrap()[0].id;
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let found = crate::store::NewFinding {
        kind: "installer_removed",
        connection: id,
        person: Some("ada@example.com".to_owned()),
        since: at,
        detail: "{}".to_owned(),
    };
    let began = admin.store.change_findings(at, &[], &[found]).unwrap().began;
    let show = || {
        let args = ShowArgs {
            chosen: named("acme"),
            json: false,
        };
        ran(ConnectionCommand::Show(args), &admin).unwrap().0
    };
    let line = format!(
        "installer_removed since 2027-01-15 08:00Z: see finding {} of `scopegate people list`",
        began[0].id
    );
    let sheet = show();
    assert!(
        sheet.contains(&line) && sheet.contains("open findings     1\n"),
        "{sheet}"
    );
    let by = Provenance {
        actor: "ops".to_owned(),
        reason: Some("known".to_owned()),
    };
    admin.store.acknowledge_finding(began[0].id, &by).unwrap();
    assert!(show().contains("open findings     0\n"));
}
