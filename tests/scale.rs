//! What must not grow with how much a gate has to do with: what a call allocates, and how a store of some
//! thousand accounts is opened. Figures for a hundred thousand come from `benches/scale`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::measure;
use jiff::Timestamp;
use scopegate::access::catalogue::Catalogue;
use scopegate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use scopegate::access::integration::{Binding, KeyEntry, KeyIndex};
use scopegate::access::key::{Environment, IssuedKey, KeyRandomness, PresentedKey};
use scopegate::access::label::Labels;
use scopegate::access::policy_set::{PolicyFile, PolicySet, PolicyState};
use scopegate::store::{NewConnection, PageMark, Provenance, Store};
use scopegate::vault::{MasterKey, Owner, Vault};

fn issue(n: u32) -> IssuedKey {
    let mut random = KeyRandomness {
        id: [7; 12],
        secret: [9; 32].into(),
    };
    random.id[..4].copy_from_slice(&n.to_be_bytes());
    random.secret[..4].copy_from_slice(&n.to_be_bytes());
    IssuedKey::generate(Environment::Live, &random)
}

/// An index of so many keys, and the text of one of them.
fn keys(count: u32) -> (KeyIndex, String) {
    let entry = |n| {
        let key = issue(n);
        let integration = Arc::from(format!("i{}", n % 10));
        KeyEntry::new(key.id, key.hash, integration, Binding::Any, None, false)
    };
    let wanted = issue(count / 2).text.expose().to_owned();
    (KeyIndex::build((0..count).map(entry)), wanted)
}

fn policies(count: usize) -> PolicySet {
    let catalogue = Catalogue::embedded().unwrap();
    let files: Vec<PolicyFile> = (0..count)
        .map(|n| {
            let text = format!(
                "integration: i{n}\nowner: o@example.com\nconnections: [acme]\nallow:\n  - scope: crm.objects.contacts.read\n"
            );
            PolicyFile {
                path: format!("i{n}.yaml").into(),
                inside: format!("i{n}.yaml"),
                text: Ok(text.into()),
            }
        })
        .collect();
    let (set, mistakes) = PolicySet::build(&files, &catalogue, None, Timestamp::UNIX_EPOCH, Duration::ZERO);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    set
}

#[test]
fn whose_a_call_is_and_what_its_policy_is_allocate_nothing_however_many_there_are() {
    let now = Timestamp::UNIX_EPOCH;
    for (key_count, policy_count) in [(10, 10), (20_000, 10), (10, 300)] {
        let ((index, text), set) = (keys(key_count), policies(policy_count));
        let measured = measure(|| {
            let presented = PresentedKey::read(black_box(&text)).unwrap();
            let entry = index.authenticate(&presented, || now).unwrap();
            let state = set.policy(&entry.integration, now);
            assert!(matches!(black_box(state), PolicyState::Ready(_)));
        });
        assert_eq!(
            (measured.count_total, measured.bytes_max),
            (0, 0),
            "{key_count} keys, {policy_count} policies"
        );
    }
}

/// The next snapshot shares what did not change: a change among many keys must not copy all of them.
#[test]
fn one_more_key_among_many_copies_a_small_part_of_them() {
    let (index, _) = keys(20_000);
    let mut next = index.clone();
    let key = issue(20_001);
    let entry = KeyEntry::new(key.id, key.hash, "i0".into(), Binding::Any, None, false);
    let measured = measure(|| next.put(entry));
    assert_eq!((index.len(), next.len()), (20_000, 20_001));
    assert!(measured.bytes_total < 16 * 1024, "{measured:?}");
}

struct Accounts {
    _folder: tempfile::TempDir,
    store: Store,
    vault: Vault,
}

impl Accounts {
    fn of(count: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scopegate.db")).unwrap();
        let vault = Vault::open(&MasterKey::from_bytes([9; 32]), store.id(), None).unwrap();
        store.seal_rows_with(&vault).unwrap();
        let accounts = Self {
            _folder: folder,
            store,
            vault,
        };
        (0..count).for_each(|n| accounts.add(n));
        accounts
    }

    fn add(&self, n: u64) {
        let mut random = [3; 12];
        random[..8].copy_from_slice(&n.to_be_bytes());
        let id = ConnectionId::generate(random);
        let (_, data_key) = self.vault.new_data_key(&Owner::connection(&id)).unwrap();
        let new = NewConnection {
            id,
            name: ConnectionName::parse(&format!("acme-{n}")).unwrap(),
            portal: PortalId::new(1_000 + n).unwrap(),
            kind: CredentialKind::PrivateApp,
            app: None,
            standing: Standing::Ok,
            standing_why: None,
            user_id: Some(7),
            installer_email: None,
            scopes: vec!["oauth".to_owned()],
            data_key,
            access: None,
            refresh: None,
            labels: Labels::default(),
            handed: None,
        };
        let by = Provenance {
            actor: "test".to_owned(),
            reason: None,
        };
        self.store.add_connection(&new, &by).unwrap();
    }

    /// How many rows there are, how many bytes are in use at most while all are read, and how long it takes.
    fn read(&self) -> (usize, u64, Duration) {
        let begun = Instant::now();
        let mut rows = 0;
        let measured = measure(|| {
            let mut mark = Some(PageMark::START);
            while let Some(at) = mark {
                let (page, next) = self.store.connection_page(at).unwrap();
                assert!(page.damaged.is_empty());
                rows += page.sound.len();
                mark = next;
            }
        });
        (rows, measured.bytes_max, begun.elapsed())
    }
}

#[test]
fn reading_all_accounts_takes_the_memory_of_a_page_and_time_in_proportion() {
    let (few, many) = (Accounts::of(1_000), Accounts::of(3_000));
    few.read(); // statements are compiled and pages are at hand from here on
    many.read();
    let (few, many) = (few.read(), many.read());
    assert_eq!((few.0, many.0), (1_000, 3_000));
    assert!(many.1 < few.1 * 3 / 2, "{few:?} {many:?}");
    // Three times as many; were it quadratic, nine times. The machine may be busy: far apart.
    assert!(
        many.2 < few.2 * 8 + Duration::from_millis(200),
        "{few:?} {many:?}"
    );
}
