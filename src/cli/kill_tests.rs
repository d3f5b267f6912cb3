use super::*;
use crate::cli::admin::testing::{NOWHERE, admin};

fn kill_args(kind: KillKind, name: &str) -> KillArgs {
    KillArgs {
        subject: subject_args(kind, name),
        reason: because(),
        ..KillArgs::default()
    }
}

fn subject_args(kind: KillKind, name: &str) -> SubjectArgs {
    let name = Some(name.to_owned());
    match kind {
        KillKind::Integration => SubjectArgs {
            integration: name,
            ..SubjectArgs::default()
        },
        KillKind::Person => SubjectArgs {
            person: name,
            ..SubjectArgs::default()
        },
        _ => SubjectArgs {
            all: true,
            ..SubjectArgs::default()
        },
    }
}

fn because() -> ReasonArgs {
    ReasonArgs {
        reason: Some("because".to_owned()),
    }
}

fn ran(args: &KillArgs, admin: &Admin) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = stop(args, admin, &mut out, &mut err).unwrap();
    (
        exit,
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

/// Connection `acme`, of nobody known.
fn add_connection(admin: &Admin) -> crate::access::connection::ConnectionId {
    let added = crate::store::NewConnection {
        id: crate::access::connection::ConnectionId::generate([1; 12]),
        name: crate::access::connection::ConnectionName::parse("acme").unwrap(),
        portal: crate::access::connection::PortalId::new(1).unwrap(),
        kind: crate::access::connection::CredentialKind::PrivateApp,
        app: None,
        standing: crate::access::connection::Standing::Ok,
        standing_why: None,
        user_id: None,
        installer_email: None,
        scopes: Vec::new(),
        data_key: crate::vault::WrappedKey::from_stored(vec![1]),
        access: None,
        refresh: None,
        labels: crate::access::label::Labels::default(),
        handed: None,
    };
    let by = provenance(&because()).unwrap();
    admin.store.add_connection(&added, &by).unwrap();
    added.id
}

#[test]
fn without_a_running_gate_a_stop_holds_from_the_next_start() {
    let (_dir, admin) = admin(NOWHERE);
    let (exit, out, err) = ran(&kill_args(KillKind::All, ""), &admin);
    assert_eq!(
        (exit, &*out),
        (Exit::Fine, "stopped everything: 0 connections, 0 keys\n")
    );
    assert!(err.contains("from its next start"), "{err}");
}

#[test]
fn a_gate_that_does_not_answer_is_named_loudly_and_exit_1() {
    let (_dir, admin) = admin(NOWHERE);
    admin.store.begin_following_kills("stuck").unwrap();
    let mut args = kill_args(KillKind::All, "");
    let (exit, _, err) = ran(&args, &admin);
    assert_eq!(exit, Exit::Findings);
    assert!(err.contains("gate `stuck` HAS NOT ANSWERED within 2 s"), "{err}");
    assert_eq!(
        admin.store.kills().unwrap().len(),
        1,
        "it is stopped all the same"
    );
    args.json = true;
    let (exit, out, _) = ran(&args, &admin);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(exit, Exit::Findings);
    assert_eq!(
        told["gates"],
        json!([{ "instance": "stuck", "in_force_after_seconds": null }])
    );
    assert!(told["killed_before"].is_string());
}

#[test]
fn a_policy_without_keys_is_known_and_connections_of_unknown_installers_are_told() {
    let (dir, admin) = admin(NOWHERE);
    std::fs::create_dir(dir.path().join("policies/sales")).unwrap();
    std::fs::write(dir.path().join("policies/sales/report.yaml"), "x").unwrap();
    let (_, _, err) = ran(&kill_args(KillKind::Integration, "report"), &admin);
    assert!(!err.contains("NOTHING WAS STOPPED"), "{err}");
    let (_, out, err) = ran(&kill_args(KillKind::Integration, "reports"), &admin);
    assert_eq!(out, "recorded, and stops nothing yet: integration `reports`\n");
    assert!(err.contains("Did you mean `report`?"), "{err}");

    add_connection(&admin);
    let (_, _, err) = ran(&kill_args(KillKind::Person, "ada@example.com"), &admin);
    assert!(
        err.contains(
            "who installed 1 connection is not known: if it may have been this person, stop them by name;"
        ),
        "{err}"
    );
}

#[test]
fn what_is_not_stopped_can_not_be_revived() {
    let (_dir, admin) = admin(NOWHERE);
    let args = ReviveArgs {
        subject: subject_args(KillKind::Integration, "report"),
        reason: because(),
        json: false,
    };
    let error = end(&args, &admin, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.exit, Exit::Findings);
    assert_eq!(error.message, "integration `report` is not stopped");
}

#[test]
fn a_stop_whose_reach_can_not_be_read_says_that_it_holds_all_the_same() {
    let (_dir, admin) = admin(NOWHERE);
    let raw = rusqlite::Connection::open(admin.store.path()).unwrap();
    raw.execute_batch("DROP TABLE keys").unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let error = stop(&kill_args(KillKind::All, ""), &admin, &mut out, &mut err).unwrap_err();
    assert_eq!(error.exit, Exit::Internal, "{}", error.message);
    assert_eq!(
        error.hint.as_deref(),
        Some("the stop is recorded and holds all the same")
    );
    assert!(String::from_utf8(err).unwrap().contains("from its next start"));
    assert_eq!(admin.store.kills().unwrap().len(), 1);
}

#[test]
fn what_another_stop_covers_is_not_called_running_when_it_is_revived_by_its_own_name() {
    let (_dir, admin) = admin(NOWHERE);
    ran(&kill_args(KillKind::All, ""), &admin);
    let args = ReviveArgs {
        subject: subject_args(KillKind::Integration, "report"),
        reason: because(),
        json: false,
    };
    let error = end(&args, &admin, &mut Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.message,
        "integration `report` is not stopped by that name; it is covered by the stop of everything"
    );
}

#[test]
fn a_stop_of_a_person_that_a_new_credential_slips_out_of_is_told() {
    let (_dir, admin) = admin(NOWHERE);
    let id = add_connection(&admin);
    let raw = rusqlite::Connection::open(admin.store.path()).unwrap();
    let set = |email: &str| {
        raw.execute("UPDATE connections SET installer_email = ?1", [email])
            .unwrap();
    };
    set("ada@example.com");
    let (_, out, _) = ran(&kill_args(KillKind::Person, "ada@example.com"), &admin);
    assert_eq!(out, "stopped person `ada@example.com`: 1 connection, 0 keys\n");
    let before = admin.store.connection(&id).unwrap().unwrap();
    let told = || {
        let mut err = Vec::new();
        warn_of_stops_left(&before, &admin, &mut err);
        String::from_utf8(err).unwrap()
    };
    assert_eq!(told(), "");
    set("eve@example.com");
    assert!(
        told().contains("the stop of person `ada@example.com` covered connection `acme` and no longer does"),
        "{}",
        told()
    );
}
