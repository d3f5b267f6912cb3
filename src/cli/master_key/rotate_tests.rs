//! Where the new key comes from, and whose its file is.

use super::*;
use crate::vault::secret_file;

/// A key file `master.key` with key 1 in a folder of its own, and a store sealed with it.
struct World {
    dir: tempfile::TempDir,
    file: PathBuf,
    store: Store,
    old: MasterKey,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (file, old) = (dir.path().join("master.key"), MasterKey::from_bytes([1; 32]));
        secret_file::write_new(&file, &old.to_text()).unwrap();
        let store = Store::open(&dir.path().join("scopegate.db")).unwrap();
        let vault = Vault::open(&old, store.id(), None).unwrap();
        store.record_key_check(&vault.key_check()).unwrap();
        Self {
            dir,
            file,
            store,
            old,
        }
    }

    fn place(&self) -> Place<'_> {
        Place::Beside {
            file: &self.file,
            next: next_to(&self.file),
        }
    }

    /// The new key as the command gets it, and what it says.
    fn key(&self) -> Result<(String, String), CommandError> {
        let mut err = Vec::new();
        let key = new_key(&self.place(), &self.store, &self.old, &mut err)?;
        Ok((key.to_text().expose().to_owned(), String::from_utf8(err).unwrap()))
    }

    fn announce(&self) {
        let next = MasterKey::read(self.place().next()).unwrap();
        let recorded = self.store.recorded().unwrap();
        let rotation = Rotation::new(&self.old, &next, self.store.id(), &recorded).unwrap();
        let by = Provenance {
            actor: "test".to_owned(),
            reason: None,
        };
        self.store.announce_master_key(&rotation, &by).unwrap();
    }
}

#[test]
fn the_lost_file_of_an_announced_key_comes_back_with_the_same_key() {
    let world = World::new();
    let (begun, said) = world.key().unwrap();
    assert_eq!(said, "");
    world.announce();
    assert_eq!(world.key().unwrap(), (begun.clone(), String::new()));
    std::fs::remove_file(world.place().next()).unwrap();
    let (again, said) = world.key().unwrap();
    assert_eq!(again, begun);
    assert!(
        said.contains("from the store") && !said.contains(&begun),
        "{said}"
    );
    let apart = world.dir.path().join("elsewhere.key");
    let key = new_key(&Place::Apart(&apart), &world.store, &world.old, &mut Vec::new()).unwrap();
    assert_eq!(
        *key.to_text().expose(),
        begun,
        "and so it does where the operator wants it"
    );
}

#[test]
fn another_key_in_the_place_of_the_announced_one_is_refused_and_nothing_is_written() {
    let world = World::new();
    world.key().unwrap();
    world.announce();
    let place = world.place();
    std::fs::remove_file(place.next()).unwrap();
    let other = MasterKey::from_bytes([7; 32]).to_text();
    secret_file::write_new(place.next(), &other).unwrap();
    let before = std::fs::read(place.next()).unwrap();
    let refused = world.key().unwrap_err();
    assert_eq!(refused.exit, Exit::Usage);
    assert!(
        refused.message.contains("nothing was changed"),
        "{}",
        refused.message
    );
    assert_eq!(std::fs::read(place.next()).unwrap(), before);
}

#[test]
fn the_new_key_file_has_owner_and_mode_of_the_one_it_replaces() {
    let world = World::new();
    let mode = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(&world.file, mode).unwrap();
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(&world.file, Some(1234), Some(4321)).unwrap();
    }
    let whose = |path: &Path| {
        let metadata = std::fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    let before = whose(&world.file);
    assert!(before.2 == 0o640 && (!root || before.0 == 1234));
    world.key().unwrap();
    assert_eq!(
        whose(world.place().next()),
        before,
        "a gate may start in the middle"
    );
    // As an operator, or an earlier build, may have left it.
    let strict = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(world.place().next(), strict).unwrap();
    let check = old_check_of(&world);
    settle(&world.place(), check.clone()).unwrap();
    assert_eq!(whose(&world.file), before);
    assert_eq!(whose(&old_name(&world.file, &check)), before);
}

fn old_check_of(world: &World) -> KeyCheck {
    Vault::open(&world.old, world.store.id(), None)
        .unwrap()
        .key_check()
}
