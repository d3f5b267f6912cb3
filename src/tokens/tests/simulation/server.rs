//! HubSpot's side of a schedule, with the ground truth of every grant: which refresh token is good, which access
//! tokens are, and whether a loss is one that the design admits.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It stays.
    Stable,
    /// A new one replaces it; the old one is refused.
    Rotating,
    /// A new one replaces it; the old one, shown again, ends the grant.
    ReuseDetecting,
}

/// Why nobody may know a grant's good refresh token any more: the losses that the design admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    Answer,
    DiedBeforeAnswer,
    DiedBeforeSave,
    LateQuestion,
    TwoProcesses,
}

impl Loss {
    /// It happened in a refresh of one process, which left its intent behind: its successor must know.
    pub(super) fn is_own(self) -> bool {
        matches!(self, Self::Answer | Self::DiedBeforeAnswer | Self::DiedBeforeSave)
    }
}

pub(super) struct Grant {
    pub(super) portal: u64,
    /// Number of the good refresh token.
    pub(super) current: u64,
    pub(super) alive: bool,
    /// An answer was lost, or a process died between the answer and its save: with a server that rotates,
    /// nobody may know the good refresh token any more.
    pub(super) lost: Option<Loss>,
    /// Questions under way: of which process.
    pub(super) asking: Vec<usize>,
}

#[derive(Default)]
pub(super) struct Server {
    pub(super) grants: Vec<Grant>,
    access: BTreeMap<String, (usize, Instant)>,
    pub(super) refreshes: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// The one process on the store.
    Alone,
    /// One of two that each believe to be alone, or were.
    OneOfTwo,
    /// A process that died after its question had left.
    Dead,
}

/// What a question brought.
pub(super) enum Answer {
    Tokens {
        access: String,
        refresh: String,
        portal: u64,
        life: Duration,
    },
    InvalidGrant,
}

pub(super) fn refresh_token(grant: usize, number: u64) -> String {
    format!("refresh-{grant}-{number}")
}

/// Grant and number of a refresh token.
pub(super) fn read_refresh_token(token: &str) -> Option<(usize, u64)> {
    let (grant, number) = token.strip_prefix("refresh-")?.split_once('-')?;
    Some((grant.parse().ok()?, number.parse().ok()?))
}

impl Server {
    /// Somebody consents: a new grant.
    pub(super) fn install(&mut self, portal: u64) -> usize {
        self.grants.push(Grant {
            portal,
            current: 0,
            alive: true,
            lost: None,
            asking: Vec::new(),
        });
        self.grants.len() - 1
    }

    /// Acts on a question. `Err`: what is wrong about it.
    pub(super) fn refresh(
        &mut self,
        token: &str,
        mode: Mode,
        life: Duration,
        asker: Asker,
    ) -> Result<Answer, String> {
        let (index, number) = read_refresh_token(token).ok_or_else(|| format!("asked with `{token}`"))?;
        let grant = &mut self.grants[index];
        if !grant.alive {
            return Ok(Answer::InvalidGrant);
        }
        if number != grant.current {
            if mode == Mode::ReuseDetecting {
                grant.alive = false;
            }
            let why = match asker {
                Asker::Dead => Some(Loss::LateQuestion),
                Asker::OneOfTwo => Some(Loss::TwoProcesses),
                Asker::Alone => None,
            };
            return match grant.lost.or(why) {
                // Refused, and nothing more: the good token is where it was.
                Some(_) if grant.alive && asker == Asker::Dead => Ok(Answer::InvalidGrant),
                Some(why) => {
                    grant.lost = Some(why);
                    Ok(Answer::InvalidGrant)
                }
                None => Err(format!(
                    "refresh token {number} of grant {index} was shown after {} was given out, and nothing was lost",
                    grant.current
                )),
            };
        }
        if mode != Mode::Stable {
            grant.current += 1;
            if asker == Asker::Dead {
                grant.lost = Some(Loss::DiedBeforeAnswer);
            }
        }
        self.refreshes += 1;
        let access = format!("access-{index}-{}", self.refreshes);
        self.access.insert(access.clone(), (index, Instant::now() + life));
        Ok(Answer::Tokens {
            access,
            refresh: refresh_token(index, grant.current),
            portal: grant.portal,
            life,
        })
    }

    /// Whether a call with this access token would pass now, and for which portal.
    pub(super) fn accepts(&self, access: &str) -> Result<u64, String> {
        let (grant, ends) = self
            .access
            .get(access)
            .ok_or_else(|| format!("`{access}` is no token"))?;
        match *ends > Instant::now() {
            true => Ok(self.grants[*grant].portal),
            false => Err(format!("`{access}` expired {:?} ago", ends.elapsed())),
        }
    }
}
