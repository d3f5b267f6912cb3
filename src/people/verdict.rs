//! Whether a person is still there and still has the same rights, settled from what several sources
//! say. Pure: time is an argument.
//!
//! A change is settled when two sources agree on it, or when one says it twice, a poll apart. Being
//! wrong towards "gone" would stop integrations, being wrong towards "here" would leave a leaver's
//! grant at work for another poll; so neither rests on one answer, and an answer that can't be read is
//! no answer. What nobody can tell stays as it was, and since when it is unknown is kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::installer::Presence;

/// A moment further ahead than this was told by a clock that was wrong.
const FAR_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// What a source says, or why it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    /// It says this.
    Known(T),
    /// It could not be asked or read.
    Unknown(String),
}

impl<T> Told<T> {
    fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(why) => Some(why),
        }
    }
}

/// A person's rights, as far as HubSpot tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// May do everything.
    pub super_admin: bool,
    /// Permission sets, by id.
    pub roles: Vec<String>,
}

impl Rights {
    /// Whether something of these is missing in `now`. What a permission set contains is not told,
    /// so another one in its place counts as less.
    fn lost_in(&self, now: &Self) -> bool {
        !now.super_admin && (self.super_admin || self.roles.iter().any(|role| !now.roles.contains(role)))
    }
}

/// What the security log's last entries say of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// The last coming or going; `None`: none is logged.
    pub presence: Option<Presence>,
    /// The last entry about an admin's rights took them.
    pub rights_taken: bool,
}

/// What one poll brought about one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The account's users: the rights of this one; `None`: HubSpot says there is none.
    pub user: Told<Option<Rights>>,
    /// Whether the person is an active owner.
    pub active_owner: Told<bool>,
    /// Whether the person is among the deactivated owners.
    pub archived_owner: Told<bool>,
    /// The security log.
    pub log: Told<Logged>,
}

impl Sighting {
    /// Of a poll that could not ask anything.
    pub fn unknown(why: &str) -> Self {
        Self {
            user: Told::Unknown(why.to_owned()),
            active_owner: Told::Unknown(why.to_owned()),
            archived_owner: Told::Unknown(why.to_owned()),
            log: Told::Unknown(why.to_owned()),
        }
    }
}

/// A claim that is not settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claim<T> {
    of: T,
    #[serde(with = "stamp")]
    since: Timestamp,
}

/// That nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Since when.
    #[serde(with = "stamp")]
    pub since: Timestamp,
    /// Why, as of the last poll.
    pub why: String,
}

/// What is held of a person, from poll to poll.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// As settled.
    pub presence: Presence,
    /// Since when; `None`: since it was first looked for.
    #[serde(with = "stamp_opt")]
    pub presence_since: Option<Timestamp>,
    /// Since when the person has fewer rights than at first, as settled.
    #[serde(with = "stamp_opt")]
    pub lost_rights_since: Option<Timestamp>,
    /// The rights now.
    pub rights: Option<Rights>,
    /// Since when nobody can tell, and why.
    pub unknown: Option<Unknown>,
    /// When it was last known.
    #[serde(with = "stamp_opt")]
    pub seen: Option<Timestamp>,
    /// The rights at first sight.
    first: Option<Rights>,
    /// The rights that a settled loss left.
    left: Option<Rights>,
    presence_claim: Option<Claim<Presence>>,
    rights_claim: Option<Claim<bool>>,
}

/// One poll's word: what is claimed, and how many sources say so.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Claims(Presence, u8),
    Unknown(String),
}

impl Held {
    /// What is settled, and nothing else.
    pub fn settled(
        presence: Presence,
        since: Timestamp,
        lost_rights_since: Option<Timestamp>,
        unknown_since: Option<Timestamp>,
    ) -> Self {
        Self {
            presence,
            presence_since: Some(since),
            lost_rights_since,
            unknown: unknown_since.map(|since| Unknown {
                since,
                why: String::new(),
            }),
            ..Self::default()
        }
    }

    /// Takes a poll in. `apart`: how long after the first time a source counts as saying it twice.
    pub fn take(&mut self, sighting: &Sighting, now: Timestamp, apart: std::time::Duration) {
        match presence(sighting, self.presence) {
            Word::Unknown(why) => {
                let since = self
                    .unknown
                    .as_ref()
                    .map_or(now, |unknown| begun(unknown.since, now));
                self.unknown = Some(Unknown { since, why });
            }
            Word::Claims(claimed, sources) => {
                self.unknown = None;
                self.seen = Some(now);
                self.settle_presence(claimed, sources, now, apart);
            }
        }
        if let Some(Some(rights)) = sighting.user.known() {
            let taken = sighting.log.known().is_some_and(|log| log.rights_taken);
            self.settle_rights(rights, taken, now, apart);
        }
    }

    fn settle_presence(
        &mut self,
        claimed: Presence,
        sources: u8,
        now: Timestamp,
        apart: std::time::Duration,
    ) {
        if claimed == self.presence {
            self.presence_claim = None;
            return;
        }
        // Deactivation comes before removal: the one, then the other, agree that the person is gone.
        let since = match self.presence_claim {
            Some(claim) if claim.of.is_gone() == claimed.is_gone() => begun(claim.since, now),
            _ => now,
        };
        if sources >= 2 || is_apart(since, now, apart) {
            self.presence = claimed;
            self.presence_since = Some(now);
            self.presence_claim = None;
        } else {
            self.presence_claim = Some(Claim { of: claimed, since });
        }
    }

    fn settle_rights(&mut self, rights: &Rights, taken: bool, now: Timestamp, apart: std::time::Duration) {
        let first = self.first.get_or_insert_with(|| rights.clone()).clone();
        self.rights = Some(rights.clone());
        let lost = first.lost_in(rights);
        let changed = match &self.left {
            None => lost,
            // Given back, or more taken.
            Some(left) => !lost || left.lost_in(rights),
        };
        if !changed {
            self.rights_claim = None;
            return;
        }
        let since = match self.rights_claim {
            Some(claim) if claim.of == lost => begun(claim.since, now),
            _ => now,
        };
        // The log speaks of an admin's rights: it agrees only where those are what is missing.
        let before = self.left.as_ref().unwrap_or(&first);
        let admin_lost = before.super_admin && !rights.super_admin;
        let sources = 1 + u8::from(lost && taken && admin_lost);
        if sources >= 2 || is_apart(since, now, apart) {
            self.lost_rights_since = lost.then_some(now);
            self.left = lost.then(|| rights.clone());
            self.rights_claim = None;
        } else {
            self.rights_claim = Some(Claim { of: lost, since });
        }
    }
}

/// When something began; anew now if the clock was far ahead then, else nothing would follow from it until
/// the clock is there again.
fn begun(since: Timestamp, now: Timestamp) -> Timestamp {
    match since.duration_since(now) > FAR_AHEAD {
        true => now,
        false => since,
    }
}

fn is_apart(since: Timestamp, now: Timestamp, apart: std::time::Duration) -> bool {
    // A clock that went back makes it wait, never hurry.
    now > since && now.duration_since(since).unsigned_abs() >= apart
}

/// What the sources say together.
fn presence(sighting: &Sighting, settled: Presence) -> Word {
    let contradiction = || Word::Unknown("HubSpot's sources contradict each other".to_owned());
    let archived = sighting.archived_owner.known().copied();
    let active = sighting.active_owner.known().copied() == Some(true);
    let logged = sighting.log.known().and_then(|log| log.presence);
    let logged_gone = u8::from(logged.is_some_and(Presence::is_gone));
    let logged_here = u8::from(logged == Some(Presence::Here));
    if active && archived == Some(true) {
        return contradiction();
    }
    let is_archived = u8::from(archived == Some(true));
    match (&sighting.user, archived) {
        (Told::Known(None), _) if active => contradiction(),
        (Told::Known(None), _) => Word::Claims(Presence::Removed, 1 + is_archived + logged_gone),
        (_, Some(true)) => Word::Claims(Presence::Deactivated, 1 + logged_gone),
        (Told::Known(Some(_)), _) if active => {
            // Being listed speaks against removal, not against deactivation.
            let listed = u8::from(settled == Presence::Removed);
            Word::Claims(Presence::Here, 1 + listed + logged_here)
        }
        // The log alone: somebody who was never an owner.
        (Told::Known(Some(_)), _) if logged == Some(Presence::Deactivated) => {
            Word::Claims(Presence::Deactivated, 1)
        }
        // Nor does a log that forgets in time bring anybody back.
        (Told::Known(Some(_)), Some(false)) if settled == Presence::Deactivated && logged_here == 0 => {
            Word::Unknown("nothing says that the person was reactivated".to_owned())
        }
        (Told::Known(Some(_)), Some(false)) => Word::Claims(Presence::Here, 1 + logged_here),
        (Told::Known(Some(_)), None) => unknown(&sighting.archived_owner),
        (Told::Unknown(_), _) if active => Word::Claims(Presence::Here, 1 + logged_here),
        (Told::Unknown(_), _) => match logged.filter(|presence| presence.is_gone()) {
            Some(gone) => Word::Claims(gone, 1),
            None => unknown(&sighting.user),
        },
    }
}

fn unknown<T>(source: &Told<T>) -> Word {
    Word::Unknown(source.why().unwrap_or("nothing was told").to_owned())
}

/// Times as text.
mod stamp {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Times that may be missing, as text.
mod stamp_opt {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    #[allow(clippy::ref_option)] // serde's signature
    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(|at| at.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
