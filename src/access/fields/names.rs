//! Sets of property names: all, a list, all but what matches.

/// A name with wildcards, as `except` may hold one. Lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern; `*` stands for any run of characters, an empty one too.
    pub fn new(text: &str) -> Self {
        Self(text.to_lowercase().into())
    }

    /// As it was written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches everything that another pattern does. Exact: a character that no name has
    /// stands for the other's wildcard, and only a wildcard can match it.
    fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0.replace('*', "\u{0}"))
    }

    /// Whether a name in lower case matches.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(first) = parts.next() else {
            return name.is_empty();
        };
        let Some(mut rest) = name.strip_prefix(first) else {
            return false;
        };
        let mut last: Option<&str> = None;
        for part in parts {
            if let Some(between) = last
                && let Some(at) = rest.find(between)
            {
                rest = rest.get(at + between.len()..).unwrap_or_default();
            } else if last.is_some() {
                return false;
            }
            last = Some(part);
        }
        match last {
            None => rest.is_empty(),
            Some(end) => rest.ends_with(end),
        }
    }
}

/// A set of property names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Every property.
    All,
    /// These: lower case, sorted, each once. Empty = none.
    Listed(Box<[Box<str>]>),
    /// All but those that match.
    Except {
        /// As written, and the derived properties that are known by how they begin.
        patterns: Box<[Pattern]>,
        /// Properties derived from one that matches and do not match themselves; lower case, sorted.
        derived: Box<[Box<str>]>,
    },
}

impl Names {
    /// No property.
    pub fn none() -> Self {
        Self::Listed(Box::default())
    }

    /// These names, in whatever order and case.
    pub fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().map(|name| name.to_lowercase().into()).collect();
        names.sort_unstable();
        names.dedup();
        Self::Listed(names.into())
    }

    /// All but these; what is derived from a hidden property is hidden, too.
    pub fn except<'n>(patterns: impl IntoIterator<Item = &'n str>) -> Self {
        let mut patterns: Vec<Pattern> = patterns.into_iter().map(Pattern::new).collect();
        let hidden = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        let derived = super::judge::known::derived_from(&hidden).into_vec();
        let (families, derived): (Vec<_>, Vec<_>) = derived.into_iter().partition(|name| name.contains('*'));
        for family in families.iter().map(|name| Pattern::new(name)) {
            if !patterns.iter().any(|pattern| pattern.covers(&family)) {
                patterns.push(family);
            }
        }
        Self::all_but(patterns.into(), derived)
    }

    /// What matches a pattern is not listed beside it.
    fn all_but(patterns: Box<[Pattern]>, mut derived: Vec<Box<str>>) -> Self {
        derived.retain(|name| !patterns.iter().any(|pattern| pattern.matches(name)));
        derived.sort_unstable();
        derived.dedup();
        Self::Except {
            patterns,
            derived: derived.into(),
        }
    }

    /// Whether every property is in it.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Whether no property is in it.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Listed(names) if names.is_empty())
    }

    /// What is in both.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All, names) | (names, Self::All) => names.clone(),
            (Self::Listed(names), other) | (other, Self::Listed(names)) => {
                Self::Listed(names.iter().filter(|name| other.hold(name)).cloned().collect())
            }
            (
                Self::Except { patterns, derived },
                Self::Except {
                    patterns: more,
                    derived: more_derived,
                },
            ) => {
                let new = more.iter().filter(|pattern| !patterns.contains(pattern));
                Self::all_but(
                    patterns.iter().chain(new).cloned().collect(),
                    derived.iter().chain(more_derived).cloned().collect(),
                )
            }
        }
    }

    /// What is in it and not in `other`, exactly.
    pub fn beyond(&self, other: &Self) -> Beyond {
        let named = |names: Vec<Box<str>>| match names.is_empty() {
            true => Beyond::Nothing,
            false => Beyond::Names(names),
        };
        match (self, other) {
            (_, Self::All) => Beyond::Nothing,
            (Self::Listed(names), other) => {
                named(names.iter().filter(|name| !other.hold(name)).cloned().collect())
            }
            (Self::All | Self::Except { .. }, Self::Listed(_)) => Beyond::AllButListed,
            (own, Self::Except { patterns, derived }) => {
                let open = patterns.iter().filter(|pattern| !own.excepts(pattern));
                let open: Vec<Box<str>> = open.map(|pattern| pattern.0.clone()).collect();
                // What is derived follows from the patterns, and is named only where it does not.
                match open.is_empty() {
                    true => named(derived.iter().filter(|name| own.hold(name)).cloned().collect()),
                    false => named(open),
                }
            }
        }
    }

    /// Whether no name that a pattern matches is in it.
    fn excepts(&self, pattern: &Pattern) -> bool {
        match self {
            Self::All => false,
            Self::Listed(names) => !names.iter().any(|name| pattern.matches(name)),
            Self::Except { patterns, derived } => {
                let is_one_name = !pattern.0.contains('*');
                patterns.iter().any(|own| own.covers(pattern))
                    || (is_one_name && derived.contains(&pattern.0))
            }
        }
    }

    /// Whether it holds a name; `name` is in lower case.
    pub fn hold(&self, name: &str) -> bool {
        let is_in = |names: &[Box<str>]| names.binary_search_by(|known| (**known).cmp(name)).is_ok();
        match self {
            Self::All => true,
            Self::Listed(names) => is_in(names),
            Self::Except { patterns, derived } => {
                !patterns.iter().any(|pattern| pattern.matches(name)) && !is_in(derived)
            }
        }
    }
}

/// What one set of names has beyond another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing.
    Nothing,
    /// These names, or all that these patterns match.
    Names(Vec<Box<str>>),
    /// Everything that the other does not list.
    AllButListed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, name, expected) in [
            ("*ssn*", "ssn", true),
            ("*ssn*", "my_ssn_old", true),
            ("*ssn*", "sn", false),
            ("salary*", "salary", true),
            ("salary*", "base_salary", false),
            ("*_iban", "bank_iban", true),
            ("*_iban", "bank_iban_old", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*", "", true),
            ("*", "anything", true),
            ("iban", "iban", true),
            ("iban", "ibans", false),
            ("IBAN", "iban", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }

    /// Every text of at most `longest` of these characters.
    fn every_text(characters: &str, longest: usize) -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut last = texts.clone();
        for _ in 0..longest {
            last = last
                .iter()
                .flat_map(|text| characters.chars().map(move |next| format!("{text}{next}")))
                .collect();
            texts.extend(last.iter().cloned());
        }
        texts
    }

    /// What a pattern means, said as plainly as can be.
    fn means(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|run| means(rest, &name[run..])),
            Some((letter, rest)) => name.first() == Some(letter) && means(rest, &name[1..]),
        }
    }

    #[test]
    fn a_pattern_matches_what_it_means_and_covers_what_matches_nothing_else() {
        let patterns: Vec<Pattern> = every_text("ab*", 4)
            .iter()
            .map(|text| Pattern::new(text))
            .collect();
        let names = every_text("abc", 5);
        let matched: Vec<Vec<bool>> = patterns
            .iter()
            .map(|pattern| names.iter().map(|name| pattern.matches(name)).collect())
            .collect();
        for (pattern, matched) in patterns.iter().zip(&matched) {
            for (name, matched) in names.iter().zip(matched) {
                let expected = means(pattern.as_str().as_bytes(), name.as_bytes());
                assert_eq!(*matched, expected, "{pattern:?} {name}");
            }
        }
        for (one, of_one) in patterns.iter().zip(&matched) {
            for (other, of_other) in patterns.iter().zip(&matched) {
                let expected = of_one.iter().zip(of_other).all(|(one, other)| *one || !*other);
                assert_eq!(one.covers(other), expected, "{one:?} covers {other:?}");
            }
        }
    }

    #[test]
    fn what_is_in_both_is_what_each_holds() {
        let sets = [
            Names::All,
            Names::none(),
            Names::listed(["email", "ssn", "salary"]),
            Names::except(["*ssn*"]),
            Names::except(["salary", "e*"]),
        ];
        for one in &sets {
            for other in &sets {
                let both = one.both(other);
                for name in ["email", "ssn", "my_ssn_old", "salary", "phone"] {
                    let expected = one.hold(name) && other.hold(name);
                    assert_eq!(both.hold(name), expected, "{name} in {one:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn what_goes_beyond_is_named() {
        let names = |names: &[&str]| Beyond::Names(names.iter().map(|name| (*name).into()).collect());
        for (own, other, expected) in [
            (Names::All, Names::All, Beyond::Nothing),
            (Names::none(), Names::none(), Beyond::Nothing),
            (
                Names::listed(["email", "ssn"]),
                Names::except(["*ssn*"]),
                names(&["ssn"]),
            ),
            (
                Names::listed(["email"]),
                Names::listed(["email", "phone"]),
                Beyond::Nothing,
            ),
            (Names::listed(["email"]), Names::none(), names(&["email"])),
            (Names::All, Names::listed(["email"]), Beyond::AllButListed),
            (Names::except(["email"]), Names::none(), Beyond::AllButListed),
            (
                Names::All,
                Names::except(["*ssn*", "iban"]),
                names(&["*ssn*", "iban"]),
            ),
            (
                Names::except(["*ssn*"]),
                Names::except(["*ssn*", "iban"]),
                names(&["iban"]),
            ),
            (
                Names::except(["s*"]),
                Names::except(["ssn*", "s*n", "s", "*s"]),
                names(&["*s"]),
            ),
            (
                Names::except(["*a*", "b"]),
                Names::except(["ba*"]),
                Beyond::Nothing,
            ),
            (Names::except(["a*b"]), Names::except(["a*"]), names(&["a*"])),
        ] {
            assert_eq!(own.beyond(&other), expected, "{own:?} beyond {other:?}");
        }
    }
}
