//! An old copy of the store, put in the place of the store.

use crate::place::{Place, read, until};
use crate::row;
use crate::wire::Reply;

fn state(reply: &Reply) -> u16 {
    reply.status
}

/// Waits until the anchor has come as far as the store is now.
async fn anchored(place: &Place) {
    let version: i64 = {
        let store = rusqlite::Connection::open(place.store()).unwrap();
        let version = store.query_row("SELECT version FROM anchor WHERE one = 1", [], |row| row.get(0));
        version.unwrap()
    };
    let folder = place.world.home().join("data/audit");
    until("the anchor has reached the store", async || {
        let entries = std::fs::read_dir(&folder).unwrap();
        let mut anchors = entries
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|end| end == "anchor"));
        anchors.any(|file| {
            let text = std::fs::read(file).unwrap_or_default();
            let written = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
            written["version"]
                .as_i64()
                .is_some_and(|written| written >= version)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_store_is_refused_until_somebody_says_that_it_is_meant() {
    let place = Place::new("").await;
    let mut gate = place.start();
    assert_eq!(state(&read(&gate, &place.reader).await), 200);
    gate.signal(rustix::process::Signal::TERM);
    gate.wait();
    let old = std::fs::read(place.store()).unwrap();

    // What must not come undone: a revocation, seen by a running gate.
    let mut gate = place.start();
    let id = &place.reader[5..17];
    let (code, said) = place.command(&["key", "revoke", id, "--reason", "leaked"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(state(&read(&gate, &place.reader).await), 401);
    // The anchor is behind by a second at most; a kill does not wait for it.
    anchored(&place).await;
    gate.signal(rustix::process::Signal::KILL);
    gate.wait();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", place.store().display()));
    }
    std::fs::write(place.store(), &old).unwrap();

    let (code, said) = place.refused();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("old copy") && said.contains("accept-rollback"),
        "{said}"
    );
    let (code, said) = place.command(&["run", "--check"]).await;
    assert_eq!(code, 2, "{said}");
    // Commands would bring it up to the anchor, one transaction after the other.
    for _ in 0..10 {
        let create = ["key", "create", "--integration", "reader", "--any-connection"];
        let (code, said) = place.command(&create).await;
        assert_eq!(code, 2, "{said}");
        assert!(
            said.contains("old copy") && said.contains("accept-rollback"),
            "{said}"
        );
    }
    let (code, said) = place.command(&["key", "list"]).await;
    assert_eq!(code, 0, "who only looks may: {said}");
    assert_eq!(place.refused().0, 2);
    let (code, said) = place.command(&["store", "accept-rollback"]).await;
    assert_eq!(code, 2, "without a reason: {said}");
    let (code, said) = place
        .command(&["store", "accept-rollback", "--reason", "restored after a fire"])
        .await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("key list"), "{said}");

    let gate = place.start();
    assert_eq!(
        state(&read(&gate, &place.reader).await),
        200,
        "accepted is accepted: the key is in force again, as was said"
    );
    let accepted = until("the command is in the audit log", async || {
        place.world.audit().iter().any(|line| {
            line["action"] == "store accept-rollback" && line["reason"] == "restored after a fire"
        })
    });
    accepted.await;
    drop(gate);
    row(
        "an old copy of the store is put in its place",
        "`run` exits 2 and names both counts of transactions",
        "put the store back; or `store accept-rollback --reason …`, which is recorded and marks every grant as uncertain",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_deleted_while_no_gate_ran_is_a_rollback_and_a_deleted_anchor_is_said() {
    let place = Place::new("").await;
    let mut gate = place.start();
    let (code, said) = place
        .command(&["key", "revoke", &place.reader[5..17], "--reason", "leaked"])
        .await;
    assert_eq!(code, 0, "{said}");
    anchored(&place).await;
    gate.signal(rustix::process::Signal::KILL);
    gate.wait();
    let log = format!("{}-wal", place.store().display());
    assert!(
        std::fs::metadata(&log).unwrap().len() > 0,
        "what a killed gate left stands in the log"
    );
    std::fs::remove_file(&log).unwrap();
    let (code, said) = place.refused();
    assert!(code == 2 && said.contains("old copy"), "{code}: {said}");

    for entry in std::fs::read_dir(place.world.home().join("data/audit")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().ends_with(".anchor") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let gate = place.start();
    assert!(gate.log().contains("store.no_anchor"), "{}", gate.log());
    row(
        "`-wal` is deleted while no gate runs",
        "commits that stood only there are gone; `run` exits 2 as for an old copy",
        "as for an old copy",
    );
}

/// Its frames have checksums: from a damaged one on, SQLite leaves out all that follow, and is an old copy then.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_a_rollback_or_does_no_harm_and_is_never_believed() {
    let place = Place::new("").await;
    let mut gate = place.start();
    let id = &place.reader[5..17];
    let (code, said) = place.command(&["key", "revoke", id, "--reason", "leaked"]).await;
    assert_eq!(code, 0, "{said}");
    anchored(&place).await;
    gate.signal(rustix::process::Signal::KILL);
    gate.wait();
    let log = format!("{}-wal", place.store().display());
    let (file, sound) = (
        std::fs::read(place.store()).unwrap(),
        std::fs::read(&log).unwrap(),
    );
    assert!(!sound.is_empty(), "what a killed gate left stands in the log");
    let (mut refused, mut unharmed) = (0, 0);
    let mut random = crate::Random(0x5eed_0003);
    let samples = crate::count("DURABILITY_SAMPLES", 180) / 8;
    for sample in 0..samples {
        let at = random.below(sound.len() as u64) as usize;
        let mut bytes = sound.clone();
        match sample % 3 {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random.below(8),
            _ => bytes[at..sound.len().min(at + 512)].fill(0),
        }
        std::fs::write(place.store(), &file).unwrap();
        std::fs::write(&log, &bytes).unwrap();
        let _ = std::fs::remove_file(format!("{}-shm", place.store().display()));
        let (code, said) = place.command(&["run", "--check"]).await;
        if code != 0 {
            assert!(
                matches!(code, 2 | 3) && said.contains("store"),
                "sample {sample} at {at}: {code} {said}"
            );
            refused += 1;
            continue;
        }
        let store = scopegate::store::Store::open_existing(&place.store()).unwrap();
        let keys = store.keys().unwrap();
        let key = keys.iter().find(|key| key.id.to_string() == id).unwrap();
        assert!(
            key.revoked.is_some(),
            "sample {sample} at {at}: revoked stays revoked"
        );
        unharmed += 1;
    }
    assert!(refused > 0, "nothing was noticed");
    row(
        "`-wal` is cut, a bit of it is flipped, or 512 bytes zeroed, while no gate runs",
        &format!(
            "{refused} of {samples} are refused at the start, mostly as old copies, {unharmed} without effect; none lifted a \
             revocation"
        ),
        "as for an old copy",
    );
}
