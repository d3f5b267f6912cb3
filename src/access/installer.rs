//! The person behind a connection's credential, and what a policy says when that person leaves or
//! loses rights (contracts.md §2).
//!
//! HubSpot's behaviour then is not known for certain: reads may go on while writes fail. So the gate
//! does not guess at it, each policy says what its integration may still do.

use crate::access::effect::Effect;
use crate::access::refusal::Reason;

/// What is known of the person behind a connection's credential, as far as calls are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Installer {
    /// Nothing speaks against the person, or an operator has acknowledged what does.
    #[default]
    Present,
    /// The person has fewer rights than when first seen.
    LostRights,
    /// Removed, deactivated, or offboarded by an operator.
    Gone,
}

impl Installer {
    /// Every state; a state's number is its place here.
    pub const ALL: [Self; 3] = [Self::Present, Self::LostRights, Self::Gone];

    /// The word in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::LostRights => "lost_rights",
            Self::Gone => "gone",
        }
    }
}

/// Whether a person can sign in to the HubSpot account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Nothing says otherwise.
    #[default]
    Here,
    /// Deactivated: can be reactivated.
    Deactivated,
    /// Removed from the account.
    Removed,
}

impl Presence {
    /// Every word.
    pub const ALL: [Self; 3] = [Self::Here, Self::Deactivated, Self::Removed];

    /// The word in the store and in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Deactivated => "deactivated",
            Self::Removed => "removed",
        }
    }

    /// Whether the person is gone, in whichever way.
    pub fn is_gone(self) -> bool {
        self != Self::Here
    }
}

/// What there is to say about a connection's installer; `installer_` before the word is a kind of
/// finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum About {
    /// An operator said that the person leaves.
    Offboarded,
    /// Removed from the HubSpot account.
    Removed,
    /// Deactivated there.
    Deactivated,
    /// Has fewer rights than when first seen.
    LostRights,
}

impl About {
    /// Every one.
    pub const ALL: [Self; 4] = [
        Self::Offboarded,
        Self::Removed,
        Self::Deactivated,
        Self::LostRights,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offboarded => "offboarded",
            Self::Removed => "removed",
            Self::Deactivated => "deactivated",
            Self::LostRights => "lost_rights",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|about| about.as_str() == word)
    }

    /// What it means for calls.
    pub fn installer(self) -> Installer {
        match self {
            Self::Offboarded | Self::Removed | Self::Deactivated => Installer::Gone,
            Self::LostRights => Installer::LostRights,
        }
    }
}

/// What there is to say about a connection's installer, since when, and whether an operator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallerNote {
    /// What.
    pub about: About,
    /// Since when.
    pub since: jiff::Timestamp,
    /// An operator has acknowledged it: calls pass as if it were not so.
    pub acknowledged: bool,
}

impl InstallerNote {
    /// What a note, or none, means for calls.
    pub fn installer(note: Option<&Self>) -> Installer {
        match note {
            Some(note) if !note.acknowledged => note.about.installer(),
            _ => Installer::Present,
        }
    }
}

/// What becomes of an integration's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstallerRule {
    /// None passes.
    Block,
    /// Reads pass.
    ReadOnly,
    /// All pass, and are counted.
    Alert,
}

impl InstallerRule {
    /// The words of the policy format.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("block", Self::Block),
        ("read-only", Self::ReadOnly),
        ("alert", Self::Alert),
    ];

    /// The word in a policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::ReadOnly => "read-only",
            Self::Alert => "alert",
        }
    }

    /// What it means, in a sentence for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Block => "every call is answered 401",
            Self::ReadOnly => "reads pass, everything else is answered 403",
            Self::Alert => "every call passes, and is counted",
        }
    }
}

/// A policy's `installer_removed` and `installer_lost_rights`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstallerRules {
    /// When the person was removed, deactivated or offboarded.
    pub removed: InstallerRule,
    /// When the person lost rights.
    pub lost_rights: InstallerRule,
}

impl Default for InstallerRules {
    fn default() -> Self {
        Self {
            removed: InstallerRule::Block,
            lost_rights: InstallerRule::ReadOnly,
        }
    }
}

/// Why a call does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barred {
    /// Nothing works with this key on this connection.
    Whole(Reason),
    /// This call does not, a read would.
    ButReads(Reason),
}

impl InstallerRules {
    /// The rule for a state; `None` when nothing speaks against the person.
    pub fn rule(self, installer: Installer) -> Option<InstallerRule> {
        match installer {
            Installer::Present => None,
            Installer::LostRights => Some(self.lost_rights),
            Installer::Gone => Some(self.removed),
        }
    }

    /// Whether a call of this effect passes.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(self, installer: Installer, effect: Effect) -> Result<(), Barred> {
        let reason = match installer {
            Installer::LostRights => Reason::ConnectionInstallerLostRights,
            Installer::Gone | Installer::Present => Reason::ConnectionInstallerRemoved,
        };
        match self.rule(installer) {
            None | Some(InstallerRule::Alert) => Ok(()),
            Some(InstallerRule::Block) => Err(Barred::Whole(reason)),
            Some(InstallerRule::ReadOnly) if matches!(effect, Effect::Read | Effect::Meta) => Ok(()),
            Some(InstallerRule::ReadOnly) => Err(Barred::ButReads(reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_follows_from_the_state_the_rule_and_the_effect() {
        use Installer::{Gone, LostRights, Present};
        let removed = Reason::ConnectionInstallerRemoved;
        let lost = Reason::ConnectionInstallerLostRights;
        let same = |rule| InstallerRules {
            removed: rule,
            lost_rights: rule,
        };
        let (block, read_only, alert) = (
            same(InstallerRule::Block),
            same(InstallerRule::ReadOnly),
            same(InstallerRule::Alert),
        );
        for effect in Effect::ALL {
            let reads = matches!(effect, Effect::Read | Effect::Meta);
            for rules in [block, read_only, alert, InstallerRules::default()] {
                assert_eq!(rules.judge(Present, effect), Ok(()), "{effect:?}");
            }
            for (state, reason) in [(Gone, removed), (LostRights, lost)] {
                assert_eq!(block.judge(state, effect), Err(Barred::Whole(reason)));
                let expected = if reads {
                    Ok(())
                } else {
                    Err(Barred::ButReads(reason))
                };
                assert_eq!(read_only.judge(state, effect), expected, "{effect:?}");
                assert_eq!(alert.judge(state, effect), Ok(()));
            }
            let default = InstallerRules::default();
            assert_eq!(default.judge(Gone, effect), Err(Barred::Whole(removed)));
            assert_eq!(default.judge(LostRights, effect).is_ok(), reads);
        }
    }
}
