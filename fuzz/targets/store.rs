//! A damaged database file: opening it and reading every kind of row never panics, and a row that still counts as sound
//! says of who may do what exactly what was stored.
//!
//! The input is a list of changes to a sound store, five bytes each: where (three bytes), how, and with what. An input
//! that begins with SQLite's own first bytes is a file of its own.
#![no_main]

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use scopegate::access::admin_key::AdminKeyHash;
use scopegate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use scopegate::access::integration::Binding;
use scopegate::access::key::{KeyHash, KeyId};
use scopegate::access::kill::{KillKind, KillSubject};
use scopegate::access::label::Labels;
use scopegate::access::limits::Counted;
use scopegate::access::role::Role;
use scopegate::store::{
    LimitChange, LimitUse, MachineTime, NewAdminCredential, NewConnection, NewKey, Provenance, Sealing,
    Store, StoreError, StoredToken,
};
use scopegate::vault::{KeyCheck, MasterKey, Sealed, Vault, WrappedKey};

/// What every key and credential here ends at.
const END: i64 = 4_000_000_000;

fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let make = || tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().expect("a folder"));
    FOLDER.get_or_init(make).path()
}

fn vault(store: &Store) -> Option<Vault> {
    Vault::open(&MasterKey::from_bytes([7; 32]), store.id(), None).ok()
}

/// What a migration from a store without seals asks for.
fn unlock(id: &str, _: Option<&KeyCheck>) -> Result<Sealing, StoreError> {
    let no_key = StoreError::Damaged("a key that seals rows");
    let Ok(vault) = Vault::open(&MasterKey::from_bytes([7; 32]), id, None) else {
        return Err(no_key);
    };
    let (rows, stored) = vault.new_row_key().map_err(|_| no_key)?;
    Ok(Sealing {
        check: vault.key_check(),
        rows,
        stored,
        by: None,
    })
}

fn end() -> Timestamp {
    Timestamp::from_second(END).expect("a moment")
}

fn connection() -> NewConnection {
    NewConnection {
        id: ConnectionId::generate([7; 12]),
        name: ConnectionName::parse("acme").expect("a name"),
        portal: PortalId::new(1001).expect("a portal"),
        kind: CredentialKind::PrivateApp,
        app: None,
        standing: Standing::Ok,
        standing_why: None,
        user_id: Some(7),
        installer_email: Some("ann@example.com".to_owned()),
        scopes: vec!["crm.objects.contacts.read".to_owned()],
        data_key: WrappedKey::from_stored(vec![0xd7; 61]),
        access: Some(StoredToken {
            sealed: Sealed::from_stored(vec![1; 40]),
            obtained: Timestamp::UNIX_EPOCH,
            expires: None,
        }),
        refresh: None,
        labels: Labels::default(),
        handed: None,
    }
}

/// One bound to the connection, one for any.
fn keys() -> [NewKey; 2] {
    let key = |id: &str, seed, binding| NewKey {
        id: KeyId::parse(id).expect("an id"),
        hash: KeyHash::from_stored([seed; 32]),
        integration: format!("report-{seed}"),
        binding,
        expires: Some(end()),
    };
    let bound = Binding::Connection(connection().id);
    [
        key("aaaaaaaaaaaa", 1, bound),
        key("bbbbbbbbbbbb", 2, Binding::Any),
    ]
}

fn credential() -> NewAdminCredential {
    NewAdminCredential {
        id: KeyId::parse("cccccccccccc").expect("an id"),
        hash: AdminKeyHash::from_stored([3; 32]),
        name: "ann".to_owned(),
        role: Role::Viewer,
        expires: end(),
    }
}

/// A store with one row of each kind that says who may do what, a limit's use, and a stop.
fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let file = folder().join("sound.db");
        let store = Store::open(&file).expect("a new store");
        let by = Provenance {
            actor: "fuzz".to_owned(),
            reason: Some("fuzz".to_owned()),
        };
        let vault = vault(&store).expect("a vault");
        store.record_key_check(&vault.key_check()).expect("recorded");
        store.seal_rows_with(&vault).expect("a key for rows");
        store.add_connection(&connection(), &by).expect("connected");
        store.add_keys(&keys(), &by).expect("two keys");
        let credential = credential();
        let added = store.add_admin_credential(&credential, Timestamp::UNIX_EPOCH, &by);
        added.expect("a credential");
        let used = LimitUse {
            integration: "report-1".to_owned(),
            connection: connection().id,
            counted: Counted::RecordsDeleted,
            window_ms: 3_600_000,
            records: 50,
            machine: MachineTime::now().expect("a clock"),
        };
        store.change_limit_uses(&[LimitChange::Use(used)]).expect("used");
        let subject = KillSubject::parse(KillKind::Portal, "1001").expect("a portal");
        store.kill(&subject, &by).expect("stopped");
        store
            .offboard("ann@example.com", "left", &by)
            .expect("offboarded");
        assert_eq!(check(&store), (1, 2, 1), "what is not damaged is all there");
        drop(store);
        let image = std::fs::read(&file).expect("the file");
        // The way every input goes: a copy that nobody touched is opened, and its rows are sound.
        let copy = folder().join("copy.db");
        write(&copy, &image);
        let store = Store::open_existing(&copy).expect("a sound copy");
        let vault = self::vault(&store).expect("a vault");
        store.seal_rows_with(&vault).expect("the rows' key");
        assert_eq!(check(&store), (1, 2, 1), "all of the copy is there");
        image
    })
}

/// What counts as sound is what was stored; how many rows of each kind do.
fn check(store: &Store) -> (usize, usize, usize) {
    let (new, made, admin) = (connection(), keys(), credential());
    let connections = store.connection_rows().map_or(Vec::new(), |rows| rows.sound);
    for row in &connections {
        assert_eq!((row.id, &row.name, row.portal), (new.id, &new.name, new.portal));
        // An app of no name is none.
        assert_eq!(row.app.as_deref().unwrap_or_default(), "");
    }
    // A revoked key or credential opens nothing, whatever else stands in its row.
    let mut rows = store.key_rows().map_or(Vec::new(), |rows| rows.sound);
    rows.retain(|row| row.revoked.is_none());
    for row in &rows {
        let key = made
            .iter()
            .find(|key| key.id == row.id)
            .expect("one of those made");
        assert_eq!((&row.integration, row.binding), (&key.integration, key.binding));
        assert_eq!(row.expires, key.expires);
        assert_eq!(row.hash.to_stored(), key.hash.to_stored());
    }
    let mut credentials = store.admin_credentials().unwrap_or_default();
    credentials.retain(|row| row.revoked.is_none());
    for row in &credentials {
        assert_eq!((row.id, &row.name, row.role), (admin.id, &admin.name, admin.role));
        assert_eq!(row.expires, admin.expires);
        assert_eq!(row.hash.to_stored(), admin.hash.to_stored());
    }
    (connections.len(), rows.len(), credentials.len())
}

/// Reads everything there is; what does not read is an error, not a panic.
fn read(store: &Store) {
    let _ = store.key_check();
    let _ = store.integrity();
    let _ = store.now();
    let _ = store.connection_rows();
    let _ = store.key_rows();
    let _ = store.apps();
    let _ = store.kills();
    let _ = store.kill_state();
    let _ = store.unreadable_kills();
    let _ = store.people();
    let _ = store.offboarded();
    let _ = store.watches();
    let _ = store.open_findings();
    let _ = store.admin_events_after(0);
    let _ = store.changes_after(0);
    let _ = store.connection_health();
    let _ = store.last_use(None);
    let _ = MachineTime::now().map(|machine| store.limit_uses(&machine).is_ok());
    let _ = store.admin_credential(&credential().id);
    let _ = store.installs_broken_off();
    let _ = store.install("x");
    let _ = store.connection_by_name(&ConnectionName::parse("acme").expect("a name"));
    if let Some(portal) = PortalId::new(1001) {
        let _ = store.person(portal, 1);
    }
    let _ = KeyId::parse("abcdefghijkl").map(|id| store.key(&id).is_ok());
    let _ = CredentialKind::OAuth;
}

/// For its owner alone: a store that others can read is refused unread.
fn write(file: &Path, image: &[u8]) {
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(file).expect("a file");
    file.write_all(image).expect("written");
}

fn remove(file: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let file = folder().join("fuzzed.db");
    let mut image = sound().to_vec();
    if bytes.starts_with(b"SQLite format 3") {
        image = bytes.to_vec();
    } else {
        for change in bytes.chunks_exact(5) {
            let at = usize::from(change[0]) << 16 | usize::from(change[1]) << 8 | usize::from(change[2]);
            let at = at % image.len();
            match change[3] % 4 {
                0 => image[at] = change[4],
                1 => image[at] ^= 1 << (change[4] % 8),
                2 => image.truncate(at.max(1)),
                // A page in the place of another.
                _ => {
                    let (from, to) = (at / 4096 * 4096, usize::from(change[4]) * 4096 % image.len());
                    let length = 4096.min(image.len() - from).min(image.len() - to);
                    image.copy_within(from..from + length, to);
                }
            }
        }
    }
    remove(&file);
    write(&file, &image);
    if let Ok(store) = Store::open_existing(&file) {
        // Both as a command reads that has not opened the vault, and as the gate does.
        read(&store);
        let sealing = vault(&store).is_some_and(|vault| store.seal_rows_with(&vault).is_ok());
        if sealing {
            check(&store);
            read(&store);
        }
    }
    let _ = Store::migrate(&file, unlock);
});
