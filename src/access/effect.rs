//! What a request does to the data, ordered by how hard it is to undo.

/// The effect of an operation or a request (contracts.md §2, item 4).
///
/// `Read < Write < Delete < Irreversible` is the order in which a denial of one denies the
/// stronger ones too. `Auth` and `Meta` stand outside that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Platform facts, no account data.
    Meta,
    /// Issues, inspects or revokes a credential.
    Auth,
    /// Reads account data.
    Read,
    /// Creates or changes.
    Write,
    /// Removes or archives, recoverable or not stated.
    Delete,
    /// Purge, merge, or stated permanent.
    Irreversible,
}

impl Effect {
    /// Every effect, weakest first.
    pub const ALL: [Effect; 6] = [
        Effect::Meta,
        Effect::Auth,
        Effect::Read,
        Effect::Write,
        Effect::Delete,
        Effect::Irreversible,
    ];

    /// The word used in policies, answers, metrics and audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Meta => "meta",
            Effect::Auth => "auth",
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Delete => "delete",
            Effect::Irreversible => "irreversible",
        }
    }

    /// Reads a policy's word; the tables' `destructive-irreversible` is `irreversible` here.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "meta" => Effect::Meta,
            "auth" => Effect::Auth,
            "read" => Effect::Read,
            "write" => Effect::Write,
            "delete" => Effect::Delete,
            "irreversible" | "destructive-irreversible" => Effect::Irreversible,
            _ => return None,
        })
    }

    /// Whether a `deny` that names `named` also denies `self`: the same effect, or a stronger one
    /// of the ordered four.
    pub fn is_at_least(self, named: Effect) -> bool {
        self == named || (named >= Effect::Read && self > named)
    }

    /// Whether the request's record must be durable before it is forwarded.
    pub fn changes_data(self) -> bool {
        self >= Effect::Write
    }

    /// Which side of a connection's health it tells of; `None`: neither.
    pub fn class(self) -> Option<Class> {
        match self {
            Effect::Meta | Effect::Auth => None,
            Effect::Read => Some(Class::Read),
            Effect::Write | Effect::Delete | Effect::Irreversible => Some(Class::Write),
        }
    }
}

/// Reads or changes: they work, and fail, apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Reads account data.
    Read,
    /// Creates, changes, removes or purges.
    Write,
}

impl Class {
    /// Both.
    pub const ALL: [Class; 2] = [Class::Read, Class::Write];

    /// The word in lists, metrics and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Class::Read => Class::Write,
            Class::Write => Class::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_effect_denies_the_stronger_ones_but_never_auth_or_meta() {
        assert!(Effect::Irreversible.is_at_least(Effect::Write));
        assert!(!Effect::Write.is_at_least(Effect::Delete));
        assert!(!Effect::Read.is_at_least(Effect::Auth));
        assert!(!Effect::Auth.is_at_least(Effect::Read));
        assert!(!Effect::Irreversible.is_at_least(Effect::Meta));
    }
}
