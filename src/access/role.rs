//! What a credential of the admin listener may do there. Pure: an order of three words.

/// A role; each may do all that the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks, and changes nothing.
    Viewer,
    /// Runs things day by day: one connection, one key, one finding at a time.
    Operator,
    /// Stops everything and lets it go again, sees who did what, ends credentials.
    Security,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Security];

    /// The word on the command line, in the store and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Security => "security",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether this role may do what needs at least `least`.
    pub fn may(self, least: Role) -> bool {
        self >= least
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::parse(word).ok_or_else(|| {
            let words = Self::ALL.map(|role| format!("`{}`", role.as_str()));
            format!("one of {} is needed here", words.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_weaker_ones_may_and_nothing_of_the_stronger_ones() {
        for (n, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            for (m, least) in Role::ALL.into_iter().enumerate() {
                assert_eq!(role.may(least), n >= m, "{role:?} {least:?}");
            }
        }
        for word in ["", "Viewer", "root", "admin", "viewer "] {
            assert_eq!(Role::parse(word), None, "{word}");
        }
    }
}
