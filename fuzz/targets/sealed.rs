//! Any bytes as sealed values and wrapped keys: only what was sealed for exactly this place opens, and everything else
//! is one error.
//!
//! The first byte chooses what is altered; the rest are changes (where, with what) to a sound value, or the value.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use scopegate::access::connection::ConnectionId;
use scopegate::secret::Secret;
use scopegate::vault::{MasterKey, Owner, Place, Sealed, Vault, WrappedKey};

struct Sound {
    vault: Vault,
    owner: Owner,
    wrapped: Vec<u8>,
    sealed: Vec<u8>,
}

const PLAIN: &str = "pat-na1-plain";

fn place(owner: &Owner) -> Place<'_> {
    Place {
        owner,
        field: "access",
        version: 3,
    }
}

fn sound() -> &'static Sound {
    static SOUND: OnceLock<Sound> = OnceLock::new();
    SOUND.get_or_init(|| {
        let vault = Vault::open(&MasterKey::from_bytes([7; 32]), "store", None).expect("a vault");
        let owner = Owner::connection(&ConnectionId::generate([1; 12]));
        let (key, wrapped) = vault.new_data_key(&owner).expect("a key");
        let sealed = key
            .seal(place(&owner), &Secret::new(PLAIN.to_owned()))
            .expect("sealed");
        Sound {
            vault,
            owner,
            wrapped: wrapped.as_stored().to_vec(),
            sealed: sealed.as_stored().to_vec(),
        }
    })
}

fn altered(sound: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut value = sound.to_vec();
    for change in changes.chunks_exact(2) {
        let at = usize::from(change[0]) % value.len();
        value[at] ^= change[1];
    }
    value
}

fuzz_target!(|bytes: &[u8]| {
    let Some((what, rest)) = bytes.split_first() else {
        return;
    };
    let sound = sound();
    let (wrapped, sealed) = match what % 4 {
        0 => (sound.wrapped.clone(), altered(&sound.sealed, rest)),
        1 => (altered(&sound.wrapped, rest), sound.sealed.clone()),
        2 => (sound.wrapped.clone(), rest.to_vec()),
        _ => (rest.to_vec(), sound.sealed.clone()),
    };
    let is_sound = wrapped == sound.wrapped && sealed == sound.sealed;
    let opened = sound
        .vault
        .data_key(&sound.owner, &WrappedKey::from_stored(wrapped))
        .and_then(|key| key.open(place(&sound.owner), &Sealed::from_stored(sealed)));
    match opened {
        Ok(plain) => assert!(is_sound && plain.expose() == PLAIN, "what was altered opened"),
        Err(_) => assert!(!is_sound, "what is sound does not open"),
    }
});
