//! An app from `add` to `remove`, as an operator without HubSpot at hand sees it.

use super::*;
use crate::cli::admin::testing::{NOWHERE, admin};
use crate::secret::Secret;

fn file(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    secret_file::write_new(&path, &Secret::new(text.to_owned())).unwrap();
    path
}

fn ran(command: AppCommand, admin: &Admin) -> Result<(String, String), CommandError> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    execute(command, admin, &mut out, &mut err)?;
    Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
}

fn rotate(secret_file: Option<PathBuf>, finish: bool, unchecked: bool) -> AppCommand {
    AppCommand::RotateSecret(RotateSecretArgs {
        name: "marketing".to_owned(),
        secret_file,
        finish,
        unchecked,
        ..RotateSecretArgs::default()
    })
}

#[test]
fn an_app_is_shown_rotated_and_removed_and_its_secrets_never_are() {
    let (dir, admin) = admin(NOWHERE);
    let added = AppCommand::Add(AddArgs {
        name: "marketing".to_owned(),
        client_id: "c-1".to_owned(),
        secret_file: file(&dir, "one", "canary-one"),
        other_secret_file: None,
        reason: ReasonArgs::default(),
    });
    ran(added, &admin).unwrap();
    let show = |json| {
        let args = ShowArgs {
            name: "marketing".to_owned(),
            json,
        };
        ran(AppCommand::Show(args), &admin).unwrap().0
    };
    assert!(show(false).contains("no refresh has told yet"), "{}", show(false));

    // Nobody can be asked: stored with a warning, and not finished without proof.
    let two = file(&dir, "two", "canary-two");
    let (out, err) = ran(rotate(Some(two), false, false), &admin).unwrap();
    assert_eq!(out, "marketing first\n");
    assert!(
        err.contains("could not be reached") && err.contains("tried second"),
        "{err}"
    );
    let shown: serde_json::Value = serde_json::from_str(&show(true)).unwrap();
    assert_eq!(
        (&shown["rotating"], &shown["secrets"][1]["tried"]),
        (&true.into(), &"second".into())
    );
    let error = ran(rotate(None, true, false), &admin).unwrap_err();
    assert_eq!(error.exit, Exit::Findings);
    admin.store.note_secret_worked("marketing", 2).unwrap();
    assert!(show(false).contains("HubSpot took it last"), "{}", show(false));
    assert_eq!(
        ran(rotate(None, true, false), &admin).unwrap().0,
        "marketing finished\n"
    );
    let again = ran(rotate(None, true, false), &admin).unwrap().0;
    assert_eq!(again, "marketing has one secret already\n");

    let (list, _) = ran(AppCommand::List(ListArgs::default()), &admin).unwrap();
    assert!(
        list.lines().nth(1).unwrap().starts_with("marketing  c-1"),
        "{list}"
    );
    assert!(!format!("{list}{}{}", show(false), show(true)).contains("canary"));
    let remove = || {
        AppCommand::Remove(RemoveArgs {
            name: "marketing".to_owned(),
            json: true,
            reason: ReasonArgs::default(),
        })
    };
    let removed: serde_json::Value = serde_json::from_str(&ran(remove(), &admin).unwrap().0).unwrap();
    assert_eq!(
        removed,
        serde_json::json!({"name": "marketing", "result": "removed"})
    );
    assert_eq!(ran(remove(), &admin).unwrap_err().exit, Exit::Findings);
    for name in ["scopegate.db", "scopegate.db-wal"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, b"canary").is_none(), "{name}");
    }
}

#[test]
fn an_apps_connections_are_counted_by_the_state_that_lists_show() {
    use crate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
    use crate::access::kill::{KillKind, KillSubject};
    use crate::store::Provenance;

    let (dir, admin) = admin(NOWHERE);
    let added = AppCommand::Add(AddArgs {
        name: "marketing".to_owned(),
        client_id: "c-1".to_owned(),
        secret_file: file(&dir, "one", "canary-one"),
        other_secret_file: None,
        reason: ReasonArgs::default(),
    });
    ran(added, &admin).unwrap();
    let by = Provenance {
        actor: "cli:test".to_owned(),
        reason: Some("because".to_owned()),
    };
    for number in 1..=3 {
        let connection = crate::store::NewConnection {
            id: ConnectionId::generate([number; 12]),
            name: ConnectionName::parse(&format!("acme-{number}")).unwrap(),
            portal: PortalId::new(number.into()).unwrap(),
            kind: CredentialKind::OAuth,
            app: Some("marketing".to_owned()),
            standing: Standing::Ok,
            standing_why: None,
            user_id: Some(7),
            installer_email: Some(format!("user-{number}@example.com")),
            scopes: Vec::new(),
            data_key: crate::vault::WrappedKey::from_stored(vec![1]),
            access: None,
            refresh: None,
            labels: crate::access::label::Labels::default(),
            handed: None,
        };
        admin.store.add_connection(&connection, &by).unwrap();
    }
    let stop = KillSubject::parse(KillKind::Connection, "acme-1").unwrap();
    admin.store.kill(&stop, &by).unwrap();
    admin.store.offboard("user-2@example.com", "leaves", &by).unwrap();
    let args = ShowArgs {
        name: "marketing".to_owned(),
        json: false,
    };
    let (out, _) = ran(AppCommand::Show(args), &admin).unwrap();
    assert!(out.contains("3  1 installer_removed, 1 killed, 1 ok"), "{out}");
}
