//! The names of one HubSpot account as the gate knows it: its id, its name, its portal, and how a
//! request picks one.
//!
//! A name is for people, an id is for bindings: a removed connection's id never comes back, so a new
//! connection of the same name inherits nothing.

use std::fmt;
use std::sync::Arc;

use crate::access::base62;
use crate::access::installer::Installer;
use crate::access::refusal::Reason;

/// Characters in a [`ConnectionId`].
pub const CONNECTION_ID_LENGTH: usize = 12;

/// Longest name of a connection, an app or an integration, in bytes.
pub const NAME_LENGTH_MAX: usize = 64;

/// What a key is bound to and what the store keys its rows by. Random, never reused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId([u8; CONNECTION_ID_LENGTH]);

impl ConnectionId {
    /// A new id from 96 random bits.
    pub fn generate(random: [u8; 12]) -> Self {
        Self(base62::encode(&random))
    }

    /// Reads an id as [`fmt::Display`] writes it.
    pub fn parse(text: &str) -> Option<Self> {
        base62::exactly(text.as_bytes()).map(Self)
    }

    /// Twelve base62 characters.
    pub fn as_str(&self) -> &str {
        // Invariant: only base62 characters get in, and those are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({self})")
    }
}

/// What people call a connection: `[a-z0-9-]{1,64}`, not digits alone (those are portal ids).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionName(Arc<str>);

impl ConnectionName {
    /// Reads a name; `None` when it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let digits_alone = text.bytes().all(|byte| byte.is_ascii_digit());
        (is_name(text) && !digits_alone).then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A HubSpot account's id (`hub_id`), positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortalId(u64);

impl PortalId {
    /// A portal id; `None` for 0 and for what SQLite's signed integers and JSON numbers can't hold.
    pub fn new(id: u64) -> Option<Self> {
        (1..=9_007_199_254_740_991).contains(&id).then_some(Self(id))
    }

    /// Reads decimal digits without sign or leading zero.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = !text.is_empty()
            && text.len() <= 16
            && !text.starts_with('0')
            && text.bytes().all(|byte| byte.is_ascii_digit());
        if canonical {
            text.parse().ok().and_then(Self::new)
        } else {
            None
        }
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PortalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a request names its connection: after `~` in the key, or in `x-scopegate-connection`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// By name.
    Name(ConnectionName),
    /// By portal; may match connections of several apps, which is then ambiguous.
    Portal(PortalId),
    /// By a text that is neither: it names no connection, like a name that is nobody's.
    Unreadable,
}

impl Selector {
    /// Reads what a request sent, whatever it is.
    pub fn of_request(text: &str) -> Self {
        Self::parse(text).unwrap_or(Self::Unreadable)
    }

    /// Reads a selector; `None` when it can name no connection.
    pub fn parse(text: &str) -> Option<Self> {
        ConnectionName::parse(text)
            .map(Self::Name)
            .or_else(|| PortalId::parse(text).map(Self::Portal))
    }
}

/// What became of a connection; the words are contract (contracts.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Installed, but nobody has accepted it yet.
    Pending,
    /// Stored, but HubSpot could not yet tell whether it is what it claims; traffic passes.
    Unverified,
    /// In order.
    Ok,
    /// Stopped by an operator, or by the gate because its portal changed.
    Suspended,
    /// The person behind the credential is gone. Shown in place of `ok` and `unverified`, never
    /// stored: what passes then is each policy's to say.
    InstallerRemoved,
    /// The grant may have been lost in a crash; somebody has to install again.
    Reauthorise,
    /// HubSpot says the grant is dead.
    Dead,
    /// Stopped in an emergency.
    Killed,
}

impl Standing {
    /// Every standing, in the contract's order.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Unverified,
        Self::Ok,
        Self::Suspended,
        Self::InstallerRemoved,
        Self::Reauthorise,
        Self::Dead,
        Self::Killed,
    ];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unverified => "unverified",
            Self::Ok => "ok",
            Self::Suspended => "suspended",
            Self::InstallerRemoved => "installer_removed",
            Self::Reauthorise => "reauthorise",
            Self::Dead => "dead",
            Self::Killed => "killed",
        }
    }

    /// Reads the contract's word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word)
    }

    /// The state to show people: of a standing that lets calls pass, that the installer is gone.
    pub fn shown(self, installer: Installer) -> Self {
        match (self, installer) {
            (Self::Ok | Self::Unverified, Installer::Gone) => Self::InstallerRemoved,
            _ => self,
        }
    }

    /// Why no request may use the connection; `None` when it may.
    pub fn refusal(self) -> Option<Reason> {
        match self {
            Self::Ok | Self::Unverified => None,
            Self::Pending => Some(Reason::ConnectionPending),
            Self::Suspended => Some(Reason::ConnectionSuspended),
            Self::InstallerRemoved => Some(Reason::ConnectionInstallerRemoved),
            Self::Reauthorise => Some(Reason::ConnectionReauthorise),
            Self::Dead => Some(Reason::ConnectionDead),
            Self::Killed => Some(Reason::ConnectionKilled),
        }
    }
}

/// What kind of upstream credential a connection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A legacy private app's token: no expiry, never refreshed.
    PrivateApp,
    /// A service key: likewise.
    ServiceKey,
    /// An OAuth grant of an app: access tokens of half an hour, refreshed by the gate.
    OAuth,
}

impl CredentialKind {
    /// The word in lists and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrivateApp => "private-app",
            Self::ServiceKey => "service-key",
            Self::OAuth => "oauth",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::PrivateApp, Self::ServiceKey, Self::OAuth]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// Whether `text` is `[a-z0-9-]{1,64}`, the form of every name in the gate.
pub fn is_name(text: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_lower_case_and_not_a_number() {
        for good in ["acme", "a", "acme-2", "4you", &"x".repeat(64)] {
            assert!(ConnectionName::parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "Acme",
            "12345",
            "a b",
            "a~b",
            "ä",
            "a/b",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(ConnectionName::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_portal_has_one_spelling() {
        assert_eq!(PortalId::parse("62515").map(PortalId::get), Some(62515));
        for bad in [
            "",
            "0",
            "007",
            "+7",
            "-1",
            "1.0",
            "9007199254740992",
            "99999999999999999999",
        ] {
            assert!(PortalId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_selector_is_a_name_or_a_portal() {
        assert!(matches!(Selector::parse("acme"), Some(Selector::Name(_))));
        assert!(matches!(Selector::parse("62515"), Some(Selector::Portal(_))));
        assert!(Selector::parse("").is_none());
        assert!(Selector::parse("acme~b").is_none());
        assert!(Selector::parse("000").is_none());
    }

    #[test]
    fn an_id_reads_back_as_written() {
        let id = ConnectionId::generate([0xff; 12]);
        assert_eq!(ConnectionId::parse(&id.to_string()), Some(id));
        assert!(ConnectionId::parse("short").is_none());
        assert!(ConnectionId::parse("twelve-chars").is_none());
    }
}
