//! A store file that a bad disk, or somebody with write access and no master key, has changed.
//!
//! Damaged copies are judged by what a gate would make of them: every key and connection it would believe
//! must be one that was there, every stop that was there must hold, and no token may stand where it does not
//! belong. The real binary is asked about the worst of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustix::process::Signal;
use scopegate::config::{KeyCommand, MasterKeySource};
use scopegate::secret::Secret;
use scopegate::store::{ConnectionRow, KeyRow, Store};
use scopegate::tokens::unlock;
use scopegate::vault::{Owner, Place as Where, Vault};

use crate::place::{Faults, read, refused, start, until};
use crate::{Random, count, oauth, row};

/// What was there.
struct Truth {
    keys: BTreeMap<String, String>,
    connections: BTreeMap<String, (String, bool, Vec<String>)>,
}

/// What became of one damaged copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Refused,
    Stopped,
    Marked,
    Unharmed,
}

fn key_line(row: &KeyRow) -> String {
    format!(
        "{:?} {} {:?} {:?} {}",
        row.hash.to_stored(),
        row.integration,
        row.binding,
        row.expires,
        row.revoked.is_some()
    )
}

/// Every token of a connection that opens where it stands.
fn tokens(row: &ConnectionRow, vault: &Vault) -> Vec<String> {
    let owner = Owner::connection(&row.id);
    let Ok(key) = vault.data_key(&owner, &row.data_key) else {
        return Vec::new();
    };
    let access = row.access.as_ref().map(|token| ("access", &token.sealed));
    let refresh = row.refresh.as_ref().map(|sealed| ("refresh", sealed));
    let place = |field| Where {
        owner: &owner,
        field,
        version: row.generation,
    };
    access
        .into_iter()
        .chain(refresh)
        .filter_map(|(field, sealed)| key.open(place(field), sealed).ok())
        .map(|secret: Secret| secret.expose().to_owned())
        .collect()
}

fn account(row: &ConnectionRow) -> String {
    format!("{} {} {:?}", row.name, row.portal, row.app)
}

impl Truth {
    fn of(store: &Path, master: &MasterKeySource) -> Self {
        let store = Store::open_existing(store).unwrap();
        let vault = unlock(&store, master, &KeyCommand::default()).unwrap();
        let keys = store.keys().unwrap();
        let connections = store.connections().unwrap();
        assert!(store.kill_state().unwrap().stop_integration("narrow"));
        assert!(keys.iter().any(|key| key.revoked.is_some()));
        assert!(connections.iter().any(|row| row.standing.refusal().is_some()));
        Self {
            keys: keys
                .iter()
                .map(|key| (key.id.to_string(), key_line(key)))
                .collect(),
            connections: connections
                .iter()
                .map(|row| {
                    let passes = row.standing.refusal().is_none();
                    (row.id.to_string(), (account(row), passes, tokens(row, &vault)))
                })
                .collect(),
        }
    }

    /// As a gate would: pages, master key, keys, connections, stops.
    fn judge(&self, copy: &Path, master: &MasterKeySource) -> Fate {
        let Ok(store) = Store::open_existing(copy) else {
            return Fate::Refused;
        };
        if !store.integrity().is_ok_and(|found| found.is_empty()) {
            return Fate::Refused;
        }
        let Ok(vault) = unlock(&store, master, &KeyCommand::default()) else {
            return Fate::Refused;
        };
        let (Ok(keys), Ok(connections)) = (store.key_rows(), store.connection_rows()) else {
            return Fate::Refused;
        };
        for key in &keys.sound {
            let was = self.keys.get(&key.id.to_string()).expect("a key that was there");
            let revoked = key.revoked.is_some();
            assert!(
                revoked || *was == key_line(key),
                "a key opens something else: {was} is {}",
                key_line(key)
            );
        }
        let mut fate = Fate::Unharmed;
        for row in &connections.sound {
            let (was, passed, known) = self
                .connections
                .get(&row.id.to_string())
                .expect("one that was there");
            assert_eq!(*was, account(row), "another account");
            assert!(
                *passed || row.standing.refusal().is_some(),
                "it passes again: {was}"
            );
            let opened = tokens(row, &vault);
            assert!(
                opened.iter().all(|token| known.contains(token)),
                "a token in the wrong place"
            );
            if opened.len() < known.len() {
                fate = Fate::Marked;
            }
        }
        if keys.sound.len() < self.keys.len() || connections.sound.len() < self.connections.len() {
            fate = Fate::Marked;
        }
        match store.kill_state() {
            Err(_) => Fate::Stopped,
            Ok(kills) => {
                assert!(kills.stop_integration("narrow"), "a stop is lifted");
                fate
            }
        }
    }
}

/// Two connections, keys in every state, a stop, a suspension; nothing runs.
async fn furnished() -> (oauth::Place, MasterKeySource) {
    let mut place = oauth::Place::new().await;
    let ok = |args: &[&str]| oauth::ok(&place.world, args);
    let key = ok(&["key", "create", "--integration", "reader", "--connection", "acme"]);
    ok(&["key", "revoke", &key[5..17], "--reason", "test"]);
    ok(&[
        "key",
        "create",
        "--integration",
        "sync",
        "--any-connection",
        "--expires",
        "30d",
    ]);
    place.share_grant("twin");
    ok(&["connection", "suspend", "twin", "--reason", "test"]);
    ok(&["kill", "--integration", "narrow", "--reason", "test"]);
    place.world.stop().await;
    // What was stored stands in the file alone only when the last of the gate's connections has closed.
    let log = place.world.home().join("data/scopegate.db-wal");
    until("the store is closed", async || !log.exists()).await;
    let master = MasterKeySource::File(place.world.home().join("data/master.key"));
    (place, master)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_or_marked_and_never_believed() {
    let (place, master) = furnished().await;
    let file = place.world.home().join("data/scopegate.db");
    let truth = Truth::of(&file, &master);
    let sound = std::fs::read(&file).unwrap();
    let home = place.world.dir.path().join("damaged");
    std::fs::create_dir(&home).unwrap();
    let copy = home.join("scopegate.db");
    let samples = count("DURABILITY_SAMPLES", 180);
    let mut random = Random(0x5eed_0001);
    let mut fates: BTreeMap<(&str, Fate), usize> = BTreeMap::new();
    let mut judge = |kind: &'static str, bytes: &[u8], what: &str| {
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", copy.display()));
        }
        let _ = std::fs::remove_file(&copy);
        crate::support::write_secret(&copy, "");
        std::fs::write(&copy, bytes).unwrap();
        let fate = catch_unwind(AssertUnwindSafe(|| truth.judge(&copy, &master)));
        let fate = fate.unwrap_or_else(|_| panic!("{kind}: {what}"));
        *fates.entry((kind, fate)).or_default() += 1;
    };
    for _ in 0..samples / 6 {
        let length = random.below(sound.len() as u64) as usize;
        judge("truncated", &sound[..length], &format!("at {length}"));
    }
    for sample in 0..samples {
        let mut bytes = sound.clone();
        // Each page in its turn, a byte of it that says something if there is one.
        let page = sample * 4096 % bytes.len();
        let mut any = || (page + random.below(4096) as usize).min(sound.len() - 1);
        let at = (0..200).map(|_| any()).find(|at| sound[*at] != 0);
        let at = at.unwrap_or(page);
        let bit = random.below(8);
        bytes[at] ^= 1 << bit;
        judge("one bit flipped", &bytes, &format!("bit {bit} of byte {at}"));
    }
    for _ in 0..samples / 6 {
        let mut bytes = sound.clone();
        let from = random.below(bytes.len() as u64) as usize / 512 * 512;
        let end = (from + 512).min(bytes.len());
        bytes[from..end].fill(0);
        judge("512 bytes zeroed", &bytes, &format!("from {from}"));
    }
    for _ in 0..samples / 6 {
        let mut bytes = sound.clone();
        let pages = bytes.len() as u64 / 4096;
        let (one, two) = (random.below(pages) as usize, random.below(pages) as usize);
        for offset in 0..4096 {
            bytes.swap(one * 4096 + offset, two * 4096 + offset);
        }
        judge("two pages swapped", &bytes, &format!("{one} and {two}"));
    }
    for kind in [
        "truncated",
        "one bit flipped",
        "512 bytes zeroed",
        "two pages swapped",
    ] {
        let of = |fate| fates.get(&(kind, fate)).copied().unwrap_or(0);
        row(
            &format!("store file: {kind}"),
            &format!(
                "{} copies refused at the start, {} with rows marked, {} with all stopped, {} without effect; none believed \
                 wrongly",
                of(Fate::Refused),
                of(Fate::Marked),
                of(Fate::Stopped),
                of(Fate::Unharmed)
            ),
            "restore a backup; a marked row: revoke and create the key, `connection rotate` or remove and add",
        );
    }
    assert!(
        fates.keys().any(|(_, fate)| *fate == Fate::Refused),
        "nothing was noticed"
    );
    assert!(
        fates.keys().any(|(_, fate)| *fate == Fate::Marked),
        "no row was hit"
    );

    // The binary, on the worst: an empty file, half a file, no header, the header of another program.
    let config = place.world.config();
    let mut worst = vec![
        sound[..sound.len() / 2].to_vec(),
        sound[..100].to_vec(),
        [vec![0; 4096], sound[4096..].to_vec()].concat(),
    ];
    worst.push([b"PK\x03\x04".to_vec(), sound[4..].to_vec()].concat());
    for bytes in worst {
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, bytes).unwrap();
        let (code, said) = refused(&config);
        assert!(matches!(code, 2 | 3), "{code}: {said}");
        assert!(said.contains("store"), "{said}");
    }
}

/// What somebody might edit who can write the file and wants more than they may.
const EDITS: [(&str, &str); 11] = [
    (
        "a key's integration is changed",
        "UPDATE keys SET integration = 'sync' WHERE integration = 'reader'",
    ),
    (
        "a key is bound to another account",
        "UPDATE keys SET connection = (SELECT id FROM connections WHERE name = 'one') WHERE integration = 'reader'",
    ),
    (
        "a binding is taken away",
        "UPDATE keys SET connection = NULL WHERE integration = 'reader'",
    ),
    (
        "a key's expiry is moved",
        "UPDATE keys SET expires_at = 9000000000000 WHERE integration = 'reader'",
    ),
    (
        "another key's hash is put in",
        "UPDATE keys SET hash = (SELECT hash FROM keys WHERE integration = 'sync' LIMIT 1) WHERE integration = 'reader'",
    ),
    (
        "two connections swap their names",
        "UPDATE connections SET name = 'x' WHERE name = 'acme'; UPDATE connections SET name = 'acme' WHERE name = 'one'; \
         UPDATE connections SET name = 'one' WHERE name = 'x'",
    ),
    (
        "a connection's portal is changed",
        "UPDATE connections SET portal = 2002 WHERE name = 'acme'",
    ),
    (
        "sealed tokens are swapped",
        "UPDATE connections SET access_token = (SELECT c.refresh_token FROM connections c WHERE c.name = 'one') WHERE name = 'acme'",
    ),
    (
        "another account's access token is put in",
        "UPDATE connections SET access_token = (SELECT c.access_token FROM connections c WHERE c.name = 'one') WHERE name = 'acme'",
    ),
    (
        "all that another account has sealed is put in",
        "UPDATE connections SET (data_key, access_token, refresh_token) = (SELECT c.data_key, c.access_token, c.refresh_token \
         FROM connections c WHERE c.name = 'one') WHERE name = 'acme'",
    ),
    (
        "wrapped data keys are swapped",
        "UPDATE connections SET data_key = (SELECT c.data_key FROM connections c WHERE c.name = 'one'), access_token = (SELECT c.refresh_token FROM connections c WHERE c.name = 'one') WHERE name = 'acme'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_edited_past_scopegate_open_nothing_and_the_others_do() {
    let (place, _) = furnished().await;
    let (reader, sync) = (&place.other, &place.key);
    let file = place.world.home().join("data/scopegate.db");
    let faults = Faults::at(place.world.dir.path());
    // So that each has an access token in the store.
    let mut gate = start(&place.world.config(), &faults);
    assert_eq!(read(&gate, sync).await.status, 200);
    gate.signal(Signal::TERM);
    gate.wait();
    let log = place.world.home().join("data/scopegate.db-wal");
    until("the store is closed", async || !log.exists()).await;
    let sound = std::fs::read(&file).unwrap();
    place.world.sim.forget_received();
    for (edit, sql) in EDITS {
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
        std::fs::write(&file, &sound).unwrap();
        let raw = rusqlite::Connection::open(&file).unwrap();
        let tokens =
            "SELECT count(*) FROM connections WHERE access_token IS NOT NULL AND name IN ('acme', 'one')";
        let tokens: i64 = raw.query_row(tokens, [], |row| row.get(0)).unwrap();
        assert_eq!(tokens, 2, "each has one to be swapped");
        raw.execute_batch(sql).unwrap();
        // The copy that was put back is an old one for the anchor of the round before.
        raw.execute_batch("UPDATE anchor SET version = version + 100000")
            .unwrap();
        drop(raw);
        for entry in std::fs::read_dir(place.world.home().join("data/audit")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "anchor") {
                std::fs::remove_file(path).unwrap();
            }
        }
        let check = place.command(&["store", "check"]).await;
        let found = String::from_utf8(check.stdout).unwrap();
        assert_eq!(check.status.code(), Some(1), "{edit}: {found}");
        let mut gate = start(&place.world.config(), &faults);
        let reply = read(&gate, reader).await;
        assert!(matches!(reply.status, 401 | 503), "{edit}: {reply:?}");
        let swapped = edit.contains("swap their names");
        let other = read(&gate, sync).await;
        assert_eq!(other.status, if swapped { 503 } else { 200 }, "{edit}: {other:?}");
        let log = gate.log();
        assert!(
            log.contains("key.damaged") || log.contains("damaged") || log.contains("does not open"),
            "{edit}: {log}"
        );
        gate.signal(Signal::KILL);
        gate.wait();
        row(
            &format!("store: {edit}"),
            &format!(
                "that key or connection alone: {}; `key.damaged` or `connection.damaged` in the log",
                reply.status
            ),
            "`store check` names it; make it anew",
        );
    }
    let upstream = place.world.sim.received();
    let static_token = format!("Bearer {}", place.world.upstream_token);
    assert!(
        upstream
            .iter()
            .all(|received| received.header("authorization") != Some(static_token.as_str())),
        "no call went up with the token of the connection that was tampered with"
    );
}
