//! What was said about a request, and by whom: the words of metrics, audit and answers.

/// The decision in one word (contracts.md §5, label `decision`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Understood, and a rule opens it.
    Allow,
    /// Understood, and no rule opens it, or one forbids it.
    Deny,
    /// No rule opens it, but the policy only observes: it passed.
    WouldDeny,
    /// Not understood, or not in a state to be decided.
    Refuse,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 4] = [Verdict::Allow, Verdict::Deny, Verdict::WouldDeny, Verdict::Refuse];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
            Verdict::WouldDeny => "would_deny",
            Verdict::Refuse => "refuse",
        }
    }

    /// Whether the request goes on to the upstream.
    pub fn passes(self) -> bool {
        matches!(self, Verdict::Allow | Verdict::WouldDeny)
    }
}

/// Who wrote the answer the integration got (header `x-scopegate-source`, label `source`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The gate itself.
    Gate,
    /// The upstream; the gate passed it on.
    Upstream,
}

impl Source {
    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Gate => "gate",
            Source::Upstream => "upstream",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_allowed_or_an_observed_request_passes() {
        let passing: Vec<_> = Verdict::ALL.into_iter().filter(|v| v.passes()).collect();
        assert_eq!(passing, [Verdict::Allow, Verdict::WouldDeny]);
    }
}
