//! Keys: any text is read or refused; what was issued is read, and with one character changed it is not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::key::{Environment, IssuedKey, KeyRandomness, PresentedKey, stands_in};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(key) = PresentedKey::parse(text)
    {
        assert!(stands_in(text), "a key that nobody sees in a text");
        assert!(text.contains(key.id.as_str()));
    }
    let Some((random, rest)) = bytes.split_first_chunk::<44>() else {
        return;
    };
    let mut randomness = KeyRandomness {
        id: [0; 12],
        secret: [0; 32].into(),
    };
    randomness.id.copy_from_slice(&random[..12]);
    randomness.secret.copy_from_slice(&random[12..]);
    let issued = IssuedKey::generate(Environment::Live, &randomness);
    let text = issued.text.expose();
    let read = PresentedKey::parse(text).expect("an issued key can be read");
    assert!(read.id == issued.id && read.hash.matches(&issued.hash) && read.selector.is_none());
    assert!(stands_in(&format!("/crm/{text}/x")));

    if let [place, with, ..] = rest {
        let mut changed = text.as_bytes().to_vec();
        let place = usize::from(*place) % changed.len();
        let with = with % 128;
        if changed[place] != with {
            changed[place] = with;
            let changed = String::from_utf8(changed).expect("it stays ASCII");
            assert!(
                PresentedKey::parse(&changed).is_err(),
                "a key with another character"
            );
        }
    }
    let selected = format!("{text}~{}", String::from_utf8_lossy(rest));
    if let Ok(read) = PresentedKey::parse(&selected) {
        assert!(read.id == issued.id && read.hash.matches(&issued.hash) && read.selector.is_some());
    }
});
