//! The gate's own keys: what one looks like, how one is made, how a presented one is read.
//!
//! `sg_E_<id>_<secret>_<checksum>`: `E` an environment letter, a public 12-character id, 43 base62
//! characters of 32 random bytes, and the CRC-32 of all before it, so that a typo is told from an
//! unknown key offline. 256 random bits need no slow hash: SHA-256 of the text is what is stored.
//! Randomness is an argument; nothing here knows a store or a clock.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::access::admin_key;
use crate::access::base62;
use crate::access::connection::Selector;
use crate::access::refusal::Reason;
use crate::secret::Secret;

/// What secret scanners look for. Part of the contract: a key matches this and nothing shorter does.
pub const KEY_PATTERN: &str = r"\bsg_[a-z]_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\b";

/// Length of a key without a selector, in bytes.
pub const KEY_LENGTH: usize = 68;

/// Longest thing that can be a key: with `~` and the longest selector.
pub const PRESENTED_LENGTH_MAX: usize = KEY_LENGTH + 1 + crate::access::connection::NAME_LENGTH_MAX;

const ID_LENGTH: usize = 12;
const SECRET_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;

/// The public part of a key: stands in lists, logs, audit, and is what the store looks up by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; ID_LENGTH]);

impl Hash for KeyId {
    /// The first eight of twelve random characters: enough to spread by.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl KeyId {
    /// Reads an id as [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        base62::exactly(text.as_bytes()).map(Self)
    }

    /// An id of characters that were just made.
    pub(crate) fn from_base62(characters: [u8; ID_LENGTH]) -> Self {
        Self(characters)
    }

    /// Twelve base62 characters.
    pub fn as_str(&self) -> &str {
        // Invariant: only base62 characters get in, and those are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id's raw characters; random, so any of them spreads evenly.
    pub(crate) fn as_bytes(&self) -> &[u8; ID_LENGTH] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// SHA-256 of what a key's id does not say of it: environment letter, secret, checksum. The only form that
/// is stored. Compared in constant time; no `PartialEq`.
///
/// The id is what the hash is looked up by. Without it the text fits one block of SHA-256, which takes 55
/// bytes at most; with it each request would pay for a second one.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// A stored hash.
    pub fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub fn to_stored(self) -> [u8; 32] {
        self.0
    }

    /// Whether both are of the same key, in time that does not depend on where they differ.
    pub fn matches(&self, other: &KeyHash) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }

    fn of(parts: &Parts<'_>) -> Self {
        // Not wiped: the same bytes stand in the request's own buffer.
        let mut text = [parts.environment; 1 + SECRET_LENGTH + CHECKSUM_LENGTH];
        let (_, rest) = text.split_at_mut(1);
        let (secret, checksum) = rest.split_at_mut(SECRET_LENGTH);
        secret.copy_from_slice(parts.secret);
        checksum.copy_from_slice(parts.checksum);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Where a key is meant for; the letter after `sg_`, so that a scanner can tell a demo key from one
/// that opens customers' data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// `l`: a key of an operator's own gate.
    Live,
    /// `d`: a key of `scopegate demo`.
    Demo,
}

impl Environment {
    fn letter(self) -> char {
        match self {
            Self::Live => 'l',
            Self::Demo => 'd',
        }
    }
}

/// The random bytes one key needs. Whoever asks for a key brings them.
pub struct KeyRandomness {
    /// For the public id.
    pub id: [u8; 12],
    /// For the secret.
    pub secret: Zeroizing<[u8; 32]>,
}

/// A key just made: its text is shown once and never stored.
pub struct IssuedKey {
    /// The public id.
    pub id: KeyId,
    /// What to store.
    pub hash: KeyHash,
    /// What to hand out.
    pub text: Secret,
}

impl IssuedKey {
    /// Makes a key of `random`.
    pub fn generate(environment: Environment, random: &KeyRandomness) -> Self {
        let id = KeyId(base62::encode(&random.id));
        let secret: Zeroizing<[u8; SECRET_LENGTH]> = Zeroizing::new(base62::encode(&random.secret));
        let mut text = String::with_capacity(KEY_LENGTH);
        text.push_str("sg_");
        text.push(environment.letter());
        text.push('_');
        text.push_str(id.as_str());
        text.push('_');
        text.extend(secret.iter().map(|&byte| char::from(byte)));
        let checksum = checksum(text.as_bytes());
        text.push('_');
        text.extend(checksum.iter().map(|&byte| char::from(byte)));
        let hash = KeyHash::of(&Parts {
            environment: environment.letter() as u8,
            id: &id.0,
            secret: &secret,
            checksum: &checksum,
        });
        Self {
            id,
            hash,
            text: Secret::new(text),
        }
    }
}

/// A key as an integration presented it, well-formed; nothing says yet that it is known.
#[derive(Debug)]
pub struct PresentedKey {
    /// The public id to look it up by.
    pub id: KeyId,
    /// What to compare with the stored hash.
    pub hash: KeyHash,
    /// The connection named after `~`; what can't name one is kept as such, since only the holder of a
    /// good key is told.
    pub selector: Option<Selector>,
}

/// Why a text is no key. For logs and metrics: on the wire all of them, and an unknown key, are the
/// same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyMistake {
    /// Wrong length, prefix or characters: perhaps a HubSpot token, sent where the gate's key belongs.
    #[error("not a key of the gate: one begins with `sg_` and has 68 characters")]
    NotAKey,
    /// Looks like one, but a character is wrong.
    #[error("the key's checksum does not fit: it was mistyped or cut")]
    Checksum,
}

impl KeyMistake {
    /// The word in metrics and audit.
    pub fn reason(self) -> Reason {
        Reason::KeyMalformed
    }
}

impl PresentedKey {
    /// Reads what stood after `Bearer `, and checks every character of it.
    pub fn parse(text: &str) -> Result<Self, KeyMistake> {
        let presented = Self::read(text)?;
        match mistyped(text) {
            None => Ok(presented),
            Some(mistake) => Err(mistake),
        }
    }

    /// Reads what stood after `Bearer ` as far as it takes to look a key up: length, places, id. Costs one
    /// block of SHA-256 at most.
    ///
    /// What else may be wrong makes another hash, so no key is found by it; [`mistyped`] then tells a typo
    /// from an unknown key. A good key never pays for that.
    pub fn read(text: &str) -> Result<Self, KeyMistake> {
        if text.len() > PRESENTED_LENGTH_MAX {
            return Err(KeyMistake::NotAKey);
        }
        let (key, rest) = text.split_at_checked(KEY_LENGTH).ok_or(KeyMistake::NotAKey)?;
        let parts = Parts::of(key.as_bytes()).ok_or(KeyMistake::NotAKey)?;
        let selector = match rest.strip_prefix('~') {
            Some(selector) => Some(Selector::of_request(selector)),
            None if rest.is_empty() => None,
            None => return Err(KeyMistake::NotAKey),
        };
        Ok(Self {
            id: KeyId(*parts.id),
            hash: KeyHash::of(&parts),
            selector,
        })
    }
}

/// The text that a connection came with last, and what was read from it: its next request nearly always brings
/// the same one, and then nothing is hashed. Who the key belongs to, and whether it is good, is looked up each
/// time all the same.
#[derive(Default)]
pub struct LastKey(Option<(Secret, PresentedKey)>);

impl LastKey {
    /// As [`PresentedKey::read`]. Texts are compared in constant time: behind a proxy, a connection may carry
    /// the requests of several clients.
    pub fn read(&mut self, text: &str) -> Result<&PresentedKey, KeyMistake> {
        let is_same =
            |last: &Secret| verify_slices_are_equal(last.expose().as_bytes(), text.as_bytes()).is_ok();
        if self.0.as_ref().is_none_or(|(last, _)| !is_same(last)) {
            self.0 = None;
            self.0 = Some((Secret::new(text.to_owned()), PresentedKey::read(text)?));
        }
        let (_, read) = self.0.as_ref().ok_or(KeyMistake::NotAKey)?;
        Ok(read)
    }
}

/// What is mistyped in a text that [`PresentedKey::read`] takes, if anything is.
pub fn mistyped(text: &str) -> Option<KeyMistake> {
    let key = text.as_bytes().get(..KEY_LENGTH)?;
    let parts = Parts::of(key)?;
    if !base62::is_base62(parts.secret) {
        return Some(KeyMistake::NotAKey);
    }
    let (checked, _) = key.split_at(KEY_LENGTH - CHECKSUM_LENGTH - 1);
    (checksum(checked) != *parts.checksum).then_some(KeyMistake::Checksum)
}

/// The parts of a key that differ from key to key, each in its place.
struct Parts<'k> {
    environment: u8,
    id: &'k [u8; ID_LENGTH],
    secret: &'k [u8; SECRET_LENGTH],
    checksum: &'k [u8; CHECKSUM_LENGTH],
}

impl<'k> Parts<'k> {
    fn of(key: &'k [u8]) -> Option<Self> {
        let rest = key.strip_prefix(b"sg_")?;
        let (&[environment, b'_'], rest) = rest.split_first_chunk()? else {
            return None;
        };
        let (id, rest) = rest.split_first_chunk::<ID_LENGTH>()?;
        let (secret, rest) = rest.strip_prefix(b"_")?.split_first_chunk::<SECRET_LENGTH>()?;
        let checksum = rest.strip_prefix(b"_")?.try_into().ok()?;
        (environment.is_ascii_lowercase() && base62::is_base62(id)).then_some(Self {
            environment,
            id,
            secret,
            checksum,
        })
    }
}

/// Whether something of the form of a key, or of an admin credential, stands anywhere in `text`, whatever
/// its checksum: a key with a typo is still most of a secret.
pub fn stands_in(text: &str) -> bool {
    // As nearly always: then there is nothing to look for.
    if text.len() < KEY_LENGTH.min(admin_key::ADMIN_KEY_LENGTH) {
        return false;
    }
    memchr::memmem::find_iter(text.as_bytes(), b"sg")
        .filter_map(|at| text.as_bytes().get(at..))
        .any(|rest| rest.get(..KEY_LENGTH).is_some_and(has_form) || admin_key::begins(rest))
}

/// `sg_E_` + id + `_` + secret + `_` + checksum, in characters alone.
fn has_form(key: &[u8]) -> bool {
    let mut parts = key.split(|&byte| byte == b'_');
    let mut is = |length: usize| {
        parts
            .next()
            .is_some_and(|part| part.len() == length && base62::is_base62(part))
    };
    is(2) && is(1) && is(ID_LENGTH) && is(SECRET_LENGTH) && is(CHECKSUM_LENGTH)
}

fn checksum(text: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    base62::encode_u32(crc32fast::hash(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> IssuedKey {
        IssuedKey::generate(
            Environment::Live,
            &KeyRandomness {
                id: [seed; 12],
                secret: Zeroizing::new([seed; 32]),
            },
        )
    }

    #[test]
    fn a_made_key_is_read_back_with_id_and_hash() {
        for seed in [0, 1, 127, 255] {
            let issued = key(seed);
            assert_eq!(issued.text.expose().len(), KEY_LENGTH);
            let presented = PresentedKey::parse(issued.text.expose()).unwrap();
            assert_eq!(presented.id, issued.id);
            assert!(presented.hash.matches(&issued.hash));
            assert_eq!(presented.selector, None);
        }
    }

    #[test]
    fn the_format_is_a_contract() {
        insta::assert_snapshot!(
            key(7).text.expose(),
            @"sg_l_vso8EmzYk4j1_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF1_0PPX3R"
        );
    }

    #[test]
    fn what_came_last_changes_nothing_of_what_is_read() {
        let texts: Vec<String> = [1, 1, 2, 1]
            .map(|seed| key(seed).text.expose().to_owned())
            .into_iter()
            .flat_map(|text| {
                [
                    text.clone(),
                    format!("{text}~acme"),
                    text[1..].to_owned(),
                    String::new(),
                ]
            })
            .collect();
        let mut last = LastKey::default();
        let read = |read: Result<&PresentedKey, KeyMistake>| {
            read.map(|read| (read.id, read.hash.0, read.selector.clone()))
        };
        for text in texts.iter().flat_map(|text| [text, text]) {
            let fresh = PresentedKey::read(text);
            assert_eq!(
                read(last.read(text)),
                read(fresh.as_ref().map_err(|mistake| *mistake)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_selector_changes_neither_id_nor_hash() {
        let issued = key(9);
        let with = PresentedKey::parse(&format!("{}~acme", issued.text.expose())).unwrap();
        assert!(with.hash.matches(&issued.hash));
        assert_eq!(with.selector, Selector::parse("acme"));
        let by_portal = PresentedKey::parse(&format!("{}~62515", issued.text.expose())).unwrap();
        assert_eq!(by_portal.selector, Selector::parse("62515"));
    }

    #[test]
    fn a_selector_that_can_name_nothing_does_not_spoil_the_key() {
        let issued = key(9);
        for selector in ["", "Bad!", "a~b", "../x", "0"] {
            let presented = PresentedKey::parse(&format!("{}~{selector}", issued.text.expose())).unwrap();
            assert!(presented.hash.matches(&issued.hash));
            assert_eq!(presented.selector, Some(Selector::Unreadable), "{selector}");
        }
    }

    #[test]
    fn one_wrong_character_is_a_typo_not_an_unknown_key() {
        let text = key(3).text.expose().to_owned();
        for place in 0..KEY_LENGTH {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(bytes).unwrap();
            assert!(PresentedKey::parse(&wrong).is_err(), "{place}");
        }
    }

    #[test]
    fn what_read_does_not_look_at_makes_another_hash() {
        let issued = key(3);
        for place in 0..KEY_LENGTH {
            let mut bytes = issued.text.expose().to_owned().into_bytes();
            bytes[place] = if bytes[place] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(bytes).unwrap();
            if let Ok(read) = PresentedKey::read(&wrong) {
                assert!(
                    read.id != issued.id || !read.hash.matches(&issued.hash),
                    "{place}"
                );
            }
        }
    }

    #[test]
    fn hostile_texts_are_no_keys() {
        let good = key(3).text.expose().to_owned();
        let cases = [
            String::new(),
            "pat-na1-00000000-0000-0000-0000-000000000000".to_owned(),
            good[..KEY_LENGTH - 1].to_owned(),
            format!("{good}x"),
            format!("{good} "),
            format!("{good}~{}", "a".repeat(65)),
            format!(" {good}"),
            good.to_uppercase(),
            "ä".repeat(34),
            "_".repeat(68),
            "x".repeat(100_000),
        ];
        for case in cases {
            assert!(PresentedKey::parse(&case).is_err(), "{case:.80}");
        }
    }

    #[test]
    fn a_key_is_found_wherever_it_stands_in_a_text() {
        let good = key(3).text.expose().to_owned();
        let typo = format!("{}x", &good[..KEY_LENGTH - 1]);
        for text in [
            good.clone(),
            typo,
            format!("{good}~acme"),
            format!("sg_sg_{good}"),
            format!("a,{good},b"),
        ] {
            assert!(stands_in(&text), "{text}");
        }
        for text in [
            "",
            "sg_",
            "sg_l_",
            &good[..KEY_LENGTH - 1],
            &good[1..],
            "msg_l_contact",
        ] {
            assert!(!stands_in(text), "{text}");
        }
        assert!(!stands_in(&"sg_".repeat(10_000)));
    }

    #[test]
    fn neither_key_nor_hash_prints() {
        let issued = key(3);
        let presented = PresentedKey::parse(issued.text.expose()).unwrap();
        let printed = format!("{presented:?} {:?} {:?}", issued.hash, issued.text);
        assert!(!printed.contains(&issued.text.expose()[18..61]));
        assert!(printed.contains("KeyHash(…)"));
    }
}
