use super::*;
use crate::access::connection::PortalId;
use crate::access::key::PresentedKey;
use crate::cli::admin::testing::{NOWHERE, admin};
use crate::store::Provenance;
use crate::tokens::Enrolment;

fn policy(dir: &tempfile::TempDir, connections: &str) {
    let text = format!(
        "integration: crm\nowner: a@example.com\nconnections: {connections}\n\
         allow:\n  - scope: crm.objects.contacts.read\n"
    );
    std::fs::write(dir.path().join("policies/crm.yaml"), text).unwrap();
}

fn connect(admin: &Admin, name: &str, portal: u64) {
    let vault = admin.vault().unwrap();
    let client = admin.client().unwrap();
    let endpoints = crate::hubspot::oauth::Endpoints::default();
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let token = crate::secret::Secret::new("pat-na1-canary".to_owned());
    let by = provenance(&ReasonArgs::default()).unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(enrolment.add_static(
            &ConnectionName::parse(name).unwrap(),
            PortalId::new(portal).unwrap(),
            &token,
            &by,
        ))
        .unwrap();
}

fn create_args() -> CreateArgs {
    CreateArgs {
        integration: "crm".to_owned(),
        count: 1,
        ..CreateArgs::default()
    }
}

/// Stdout and stderr, or the error.
fn ran(command: KeyCommand, admin: &Admin) -> Result<(String, String), CommandError> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    execute(command, admin, &mut out, &mut err)?;
    Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
}

#[test]
fn a_key_of_a_stopped_integration_is_made_and_said_to_open_nothing_yet() {
    let (dir, admin) = admin(NOWHERE);
    connect(&admin, "acme", 1);
    policy(&dir, "[acme]");
    let by = Provenance {
        actor: "ops".to_owned(),
        reason: Some("because".to_owned()),
    };
    let stop = crate::access::kill::KillSubject::parse(KillKind::Integration, "crm").unwrap();
    admin.store.kill(&stop, &by).unwrap();
    let (_, err) = ran(KeyCommand::Create(create_args()), &admin).unwrap();
    assert!(
        err.contains("warning: the stop of integration `crm` covers this key"),
        "{err}"
    );
}

#[test]
fn a_key_is_printed_alone_and_bound_to_the_only_candidate() {
    let (dir, admin) = admin(NOWHERE);
    connect(&admin, "acme", 1);
    connect(&admin, "other", 2);
    policy(&dir, "[acme]");
    let (out, err) = ran(KeyCommand::Create(create_args()), &admin).unwrap();
    let presented = PresentedKey::parse(out.strip_suffix('\n').unwrap()).unwrap();
    let row = admin.store.key(&presented.id).unwrap().unwrap();
    let acme = admin.store.connections().unwrap().remove(0);
    assert_eq!(row.binding, Binding::Connection(acme.id));
    assert!(row.hash.matches(&presented.hash));
    assert!(err.contains("no gate is running"), "{err}");
}

#[test]
fn without_a_flag_several_candidates_or_none_make_no_key() {
    let (dir, admin) = admin(NOWHERE);
    policy(&dir, "[acme]");
    let error = ran(KeyCommand::Create(create_args()), &admin).unwrap_err();
    assert!(
        error.message.contains("names no connection there is"),
        "{}",
        error.message
    );
    connect(&admin, "acme", 1);
    connect(&admin, "other", 2);
    policy(&dir, "[\"*\"]");
    let error = ran(KeyCommand::Create(create_args()), &admin).unwrap_err();
    assert_eq!(error.exit, Exit::Findings);
    assert!(error.message.contains("`acme`, `other`"), "{}", error.message);
    std::fs::remove_file(dir.path().join("policies/crm.yaml")).unwrap();
    let error = ran(KeyCommand::Create(create_args()), &admin).unwrap_err();
    assert!(
        error.message.contains("no policy `crm.yaml`"),
        "{}",
        error.message
    );
    assert!(admin.store.keys().unwrap().is_empty());
}

#[test]
fn flags_say_what_a_key_is_bound_to_and_a_policy_that_disagrees_is_a_warning() {
    let (dir, admin) = admin(NOWHERE);
    connect(&admin, "acme", 1);
    policy(&dir, "[elsewhere]");
    let args = CreateArgs {
        connection: Some("acme".to_owned()),
        ..create_args()
    };
    let (_, err) = ran(KeyCommand::Create(args), &admin).unwrap();
    assert!(err.contains("does not name connection `acme`"), "{err}");
    let args = CreateArgs {
        any_connection: true,
        count: 3,
        ..create_args()
    };
    let (out, _) = ran(KeyCommand::Create(args), &admin).unwrap();
    assert_eq!(out.lines().count(), 3);
    let args = CreateArgs {
        connection: Some("missing".to_owned()),
        ..create_args()
    };
    assert_eq!(
        ran(KeyCommand::Create(args), &admin).unwrap_err().exit,
        Exit::Findings
    );
}

#[test]
fn revoked_and_rotated_keys_are_listed_as_such() {
    let (dir, admin) = admin(NOWHERE);
    connect(&admin, "acme", 1);
    policy(&dir, "[acme]");
    let create = || ran(KeyCommand::Create(create_args()), &admin).unwrap().0;
    let id_of = |key: &str| PresentedKey::parse(key.trim()).unwrap().id.to_string();
    let (first, second) = (create(), create());
    let reason = ReasonArgs {
        reason: Some("leaked".to_owned()),
    };
    let revoke = || {
        KeyCommand::Revoke(RevokeArgs {
            id: id_of(&first),
            reason: reason.clone(),
        })
    };
    ran(revoke(), &admin).unwrap();
    assert!(ran(revoke(), &admin).unwrap().1.contains("revoked before"));
    let rotate = KeyCommand::Rotate(RotateArgs {
        id: id_of(&second),
        overlap: "7d".to_owned(),
        reason: ReasonArgs::default(),
    });
    let (successor, _) = ran(rotate, &admin).unwrap();
    let list = KeyCommand::List(ListArgs {
        json: true,
        integration: None,
    });
    let (out, _) = ran(list, &admin).unwrap();
    let states: Vec<(String, String, bool)> = out
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| value[name].as_str().unwrap().to_owned();
            (text("id"), text("state"), value["expires"].is_string())
        })
        .collect();
    assert!(states.contains(&(id_of(&first), "revoked".to_owned(), false)));
    assert!(states.contains(&(id_of(&second), "ok".to_owned(), true)));
    assert!(states.contains(&(id_of(&successor), "ok".to_owned(), false)));
    let (table, _) = ran(KeyCommand::List(ListArgs::default()), &admin).unwrap();
    assert_eq!(table.lines().count(), 4);
    assert!(!table.contains(&first.trim()[18..]), "never a secret");
}
