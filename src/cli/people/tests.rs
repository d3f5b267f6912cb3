use super::*;
use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use crate::access::effect::Class;
use crate::access::installer::Presence;
use crate::cli::admin::testing::{NOWHERE, admin};
use crate::store::{LastUse, NewConnection, NewFinding, PersonRow};
use crate::vault::WrappedKey;

const ANN: &str = "ann@example.com";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn portal(number: u64) -> PortalId {
    PortalId::new(number).unwrap()
}

fn by() -> Provenance {
    Provenance {
        actor: "cli:test".to_owned(),
        reason: Some("because".to_owned()),
    }
}

fn reason(text: &str) -> ReasonArgs {
    ReasonArgs {
        reason: Some(text.to_owned()),
    }
}

/// Ann installed `acme` (portal 1, two integrations) and `globex` (portal 2, one); nobody knows who is
/// behind `initech`.
fn world() -> (tempfile::TempDir, Admin) {
    let (dir, admin) = admin(NOWHERE);
    std::fs::create_dir_all(dir.path().join("policies")).unwrap();
    for (name, rest) in [
        ("report", "connections: [acme]\n"),
        (
            "sync",
            "connections: [acme, globex]\ninstaller_removed: read-only\n",
        ),
        ("other", "connections: [initech]\ninstaller_removed: alert\n"),
    ] {
        let text = format!("integration: {name}\nowner: {name}@example.com\nallow: []\n{rest}");
        std::fs::write(dir.path().join(format!("policies/{name}.yaml")), text).unwrap();
    }
    for (seed, name, number, user_id) in [
        (1, "acme", 1, Some(7)),
        (2, "globex", 2, Some(7)),
        (3, "initech", 3, None),
    ] {
        let new = NewConnection {
            id: ConnectionId::generate([seed; 12]),
            name: ConnectionName::parse(name).unwrap(),
            portal: portal(number),
            kind: CredentialKind::PrivateApp,
            app: None,
            standing: Standing::Ok,
            standing_why: None,
            user_id,
            installer_email: user_id.map(|_| ANN.to_owned()),
            scopes: Vec::new(),
            data_key: WrappedKey::from_stored(vec![1]),
            access: None,
            refresh: None,
            labels: crate::access::label::Labels::default(),
            handed: None,
        };
        admin.store.add_connection(&new, &by()).unwrap();
    }
    let uses = [(Class::Read, 60), (Class::Write, 120)].map(|(class, second)| LastUse {
        integration: "sync".to_owned(),
        connection: ConnectionId::generate([1; 12]),
        class,
        at: at(second),
    });
    admin.store.save_health(&[], &uses).unwrap();
    admin
        .store
        .note_watch(&WatchRow {
            portal: portal(1),
            watcher: "watcher".to_owned(),
            asked: at(0),
            trouble: None,
            super_admins: vec!["Ann@Example.com".to_owned(), "root@example.com".to_owned()],
            others: 4,
        })
        .unwrap();
    (dir, admin)
}

fn ran(command: PeopleCommand, admin: &Admin) -> Result<(String, String, Exit), CommandError> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = execute(command, admin, &mut out, &mut err)?;
    Ok((
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
        exit,
    ))
}

fn offboard(email: &str, dry_run: bool) -> PeopleCommand {
    PeopleCommand::Offboard(OffboardArgs {
        email: email.to_owned(),
        dry_run,
        json: false,
        reason: reason("leaves"),
    })
}

fn listed(admin: &Admin) -> String {
    ran(PeopleCommand::List(ListArgs::default()), admin).unwrap().0
}

#[test]
fn a_dry_run_says_what_would_stop_and_who_could_repair_it() {
    let (_dir, admin) = world();
    let (out, _, exit) = ran(offboard("Ann@example.com", true), &admin).unwrap();
    insta::assert_snapshot!(out, @r"
    ann@example.com: unwatched

    CONNECTION  PORTAL  INTEGRATION  OWNER               LAST READ          LAST WRITE         WHEN THE PERSON IS GONE
    acme        1       report       report@example.com  -                  -                  block: every call is answered 401
    acme        1       sync         sync@example.com    2027-01-15 08:01Z  2027-01-15 08:02Z  read-only: reads pass, everything else is answered 403
    globex      2       sync         sync@example.com    -                  -                  read-only: reads pass, everything else is answered 403

    portal 1: can authorise anew: super admins root@example.com; for scopes approved before, any of 4 others (as of 2027-01-15 08:00Z)
    portal 2: can authorise anew: unknown, no watcher has looked at this portal
    nothing was changed
    ");
    assert_eq!(exit, Exit::Fine);
    assert!(admin.store.offboarded().unwrap().is_empty());
}

#[test]
fn offboarding_holds_at_once_needs_a_reason_and_is_taken_back() {
    let (_dir, admin) = world();
    let unreasoned = PeopleCommand::Offboard(OffboardArgs {
        email: ANN.to_owned(),
        dry_run: false,
        json: false,
        reason: ReasonArgs::default(),
    });
    assert_eq!(ran(unreasoned, &admin).unwrap_err().exit, Exit::Usage);
    let stranger = ran(offboard("nobody@example.com", false), &admin).unwrap_err();
    assert_eq!(stranger.exit, Exit::Findings);
    let (out, err, _) = ran(offboard(ANN, false), &admin).unwrap();
    assert!(
        out.contains("globex") && err.contains("from its next start"),
        "{out}{err}"
    );
    let standing = |name: &str| {
        let name = ConnectionName::parse(name).unwrap();
        admin
            .store
            .connection_by_name(&name)
            .unwrap()
            .unwrap()
            .shown_standing()
    };
    assert_eq!(standing("acme"), Standing::InstallerRemoved);
    assert_eq!(standing("initech"), Standing::Ok);
    let text = listed(&admin);
    assert!(
        text.contains("ann@example.com                 offboarded"),
        "{text}"
    );
    let (_, err, _) = ran(offboard(ANN, false), &admin).unwrap();
    assert!(err.contains("already"), "{err}");

    let back = || {
        PeopleCommand::Reinstate(ReinstateArgs {
            email: ANN.to_owned(),
            reason: reason("stays"),
        })
    };
    ran(back(), &admin).unwrap();
    assert_eq!(standing("acme"), Standing::Ok);
    assert_eq!(ran(back(), &admin).unwrap_err().exit, Exit::Findings);
    let events = admin.store.admin_events_after(0).unwrap();
    let said: Vec<_> = events
        .iter()
        .filter(|event| event.action.starts_with("people"))
        .map(|event| (&*event.action, event.reason.as_deref()))
        .collect();
    let (off, on) = (
        ("people offboard", Some("leaves")),
        ("people reinstate", Some("stays")),
    );
    assert_eq!(said, [off, off, on, on]);
}

#[test]
fn nobody_is_offboarded_by_a_name_that_is_no_address_and_nameless_connections_are_told() {
    let (_dir, admin) = world();
    let nameless = "unknown, of connection initech";
    let error = ran(offboard(nameless, false), &admin).unwrap_err();
    assert_eq!(error.exit, Exit::Findings);
    assert!(error.message.contains("nothing was changed"), "{}", error.message);
    assert!(admin.store.offboarded().unwrap().is_empty());
    for dry_run in [true, false] {
        let (_, err, _) = ran(offboard(ANN, dry_run), &admin).unwrap();
        assert!(
            err.contains("nobody knows the address of who installed `initech`: if it is this person"),
            "{err}"
        );
    }
}

#[test]
fn who_has_another_address_by_now_is_found_by_the_old_one_and_told_beside_it() {
    let (_dir, admin) = world();
    let renamed = PersonRow {
        portal: portal(1),
        user_id: 7,
        email: Some("ann.new@example.com".to_owned()),
        super_admin: Some(false),
        presence: Presence::Here,
        presence_since: at(0),
        lost_rights_since: None,
        unknown_since: None,
        unknown_why: None,
        seen: Some(at(0)),
        watch: "{}".to_owned(),
    };
    admin.store.note_person(&renamed, &by()).unwrap();
    let stopped = |name: &str| {
        let name = ConnectionName::parse(name).unwrap();
        let row = admin.store.connection_by_name(&name).unwrap().unwrap();
        row.shown_standing() == Standing::InstallerRemoved
    };
    // In another portal the old address still stands.
    let (_, err, _) = ran(offboard(ANN, false), &admin).unwrap();
    assert!(
        err.contains("`acme` was installed under this address by who is `ann.new@example.com` now"),
        "{err}"
    );
    assert!(stopped("acme") && stopped("globex"));
    let globex = ConnectionName::parse("globex").unwrap();
    let globex = admin.store.connection_by_name(&globex).unwrap().unwrap();
    admin.store.reinstate(ANN, &by()).unwrap();
    admin.store.remove_connection(&globex.id, &by()).unwrap();
    assert!(!stopped("acme"));
    ran(offboard(ANN, false), &admin).unwrap();
    assert!(stopped("acme"));
}

#[test]
fn somebody_is_offboarded_though_policies_can_not_be_read() {
    let (dir, admin) = world();
    std::fs::remove_dir_all(dir.path().join("policies")).unwrap();
    let (out, err, exit) = ran(offboard(ANN, false), &admin).unwrap();
    assert!(err.contains("warning: integrations are not listed"), "{err}");
    assert!(out.contains("acme"), "{out}");
    assert_eq!((exit, admin.store.offboarded().unwrap().len()), (Exit::Fine, 1));
}

#[test]
fn whoever_leaves_too_is_not_named_as_one_who_could_repair_it() {
    let (_dir, admin) = world();
    let by = by();
    admin.store.offboard("ROOT@example.com", "leaves", &by).unwrap();
    let (out, _, _) = ran(offboard(ANN, true), &admin).unwrap();
    assert!(
        out.contains("portal 1: can authorise anew: no super admin;"),
        "{out}"
    );
}

#[test]
fn offboarding_again_says_that_somebody_acknowledged_it_and_calls_pass() {
    let (_dir, admin) = world();
    ran(offboard(ANN, false), &admin).unwrap();
    let rows = admin.store.connections().unwrap();
    let found: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            Some(NewFinding {
                kind: "installer_offboarded",
                connection: row.id,
                person: None,
                since: row.installer?.since,
                detail: "{}".to_owned(),
            })
        })
        .collect();
    let began = admin
        .store
        .change_findings(Timestamp::now(), &[], &found)
        .unwrap()
        .began;
    admin.store.acknowledge_finding(began[0].id, &by()).unwrap();
    let (_, err, _) = ran(offboard(ANN, false), &admin).unwrap();
    assert!(err.contains("acknowledged for `acme`, where calls pass"), "{err}");
}

#[test]
fn the_list_names_everybody_and_what_is_open() {
    let (_dir, admin) = world();
    let text = listed(&admin);
    for piece in [
        "unknown, of connection initech  unwatched  3        initech       other         1",
        "ann@example.com                 unwatched  1, 2     acme, globex  report, sync  2",
        "installer_is_no_service_user  acme",
        "installer_unknown             initech",
    ] {
        assert!(text.contains(piece), "{piece} in\n{text}");
    }
    let (json, _, exit) = ran(PeopleCommand::List(ListArgs { json: true }), &admin).unwrap();
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["person"], "ann@example.com");
    assert_eq!(
        first["connections"][0]["integrations"][1]["last_write"],
        at(120).to_string()
    );
    assert_eq!(exit, Exit::Findings);
}

#[test]
fn one_person_is_shown_with_what_the_watcher_could_not_tell() {
    let (_dir, admin) = world();
    admin
        .store
        .note_person(
            &PersonRow {
                portal: portal(1),
                user_id: 7,
                email: Some(ANN.to_owned()),
                super_admin: Some(true),
                presence: Presence::Here,
                presence_since: at(0),
                lost_rights_since: None,
                unknown_since: Some(at(60)),
                unknown_why: Some("users: the watcher may not ask this (403)".to_owned()),
                seen: Some(at(30)),
                watch: String::new(),
            },
            &by(),
        )
        .unwrap();
    let show = PeopleCommand::Show(ShowArgs {
        email: ANN.to_owned(),
        json: false,
    });
    let (text, _, exit) = ran(show, &admin).unwrap();
    assert!(
        text.contains(
            "portal 1: user 7, here, super admin, last known 2027-01-15 08:00Z, unknown since 2027-01-15 08:01Z \
             (users: the watcher may not ask this (403))"
        ),
        "{text}"
    );
    // A day is not over: what is unknown is no finding yet.
    assert!(
        text.contains("installer_is_super_admin") && text.contains("acme"),
        "{text}"
    );
    assert_eq!(exit, Exit::Findings);
}

#[test]
fn an_acknowledged_finding_is_open_no_more() {
    let (_dir, admin) = world();
    let connections = admin.store.connections().unwrap();
    let found: Vec<NewFinding> = connections
        .iter()
        .map(|row| NewFinding {
            kind: match row.user_id {
                None => "installer_unknown",
                Some(_) => "installer_is_no_service_user",
            },
            connection: row.id,
            person: None,
            since: row.created,
            detail: "{}".to_owned(),
        })
        .collect();
    let noted = admin.store.change_findings(at(0), &[], &found).unwrap().began;
    assert_eq!(noted.len(), 3);
    for finding in &noted {
        let args = AcknowledgeArgs {
            finding: finding.id,
            reason: reason("known"),
        };
        ran(PeopleCommand::Acknowledge(args), &admin).unwrap();
    }
    let (text, _, exit) = ran(PeopleCommand::List(ListArgs::default()), &admin).unwrap();
    assert_eq!(exit, Exit::Fine, "{text}");
    assert!(text.contains(": known"), "{text}");
    let args = AcknowledgeArgs {
        finding: 99,
        reason: reason("known"),
    };
    let error = ran(PeopleCommand::Acknowledge(args), &admin).unwrap_err();
    assert_eq!(error.exit, Exit::Findings);
}
