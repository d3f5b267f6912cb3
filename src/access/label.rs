//! Labels of connections: what an agency sorts hundreds of accounts by (`region=eu`, `tier=gold`).
//!
//! They pick connections in commands. No policy looks at them: who may do what never hangs on a word
//! that anybody at the store may change.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Most labels of one connection.
pub const LABELS_MAX: usize = 16;

/// Longest key and longest value, in characters.
pub const LABEL_LENGTH_MAX: usize = 63;

/// Why something is not a label. Names no text of the caller's: it may stand in a file of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelMistake {
    /// Not `KEY=VALUE`.
    #[error("a label is written as `KEY=VALUE`")]
    Form,
    /// Not a key.
    #[error("a label's key has 1 to 63 characters of `a-z`, `0-9`, `.`, `_` and `-`")]
    Key,
    /// Not a value.
    #[error("a label's value has 1 to 63 characters of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`")]
    Value,
    /// Too many.
    #[error("a connection has at most {LABELS_MAX} labels")]
    TooMany,
    /// The same key twice in one wish.
    #[error("a label's key is given twice")]
    Twice,
}

/// The key of a label: `[a-z0-9._-]{1,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelKey(String);

impl LabelKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelKey {
    type Err = LabelMistake;

    fn from_str(text: &str) -> Result<Self, LabelMistake> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if (1..=LABEL_LENGTH_MAX).contains(&text.len()) && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LabelMistake::Key)
        }
    }
}

/// One label: a key and `[A-Za-z0-9._-]{1,63}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    key: LabelKey,
    value: String,
}

impl Label {
    /// A label of these two.
    ///
    /// # Errors
    /// One of them is none.
    pub fn new(key: &str, value: &str) -> Result<Self, LabelMistake> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=LABEL_LENGTH_MAX).contains(&value.len()) || !value.bytes().all(fits) {
            return Err(LabelMistake::Value);
        }
        Ok(Self {
            key: key.parse()?,
            value: value.to_owned(),
        })
    }

    /// Its key.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// Its value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Reads `KEY=VALUE`.
impl FromStr for Label {
    type Err = LabelMistake;

    fn from_str(text: &str) -> Result<Self, LabelMistake> {
        let (key, value) = text.split_once('=').ok_or(LabelMistake::Form)?;
        Self::new(key, value)
    }
}

/// All labels of a connection, in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<LabelKey, String>);

impl Labels {
    /// These labels.
    ///
    /// # Errors
    /// A key twice, or too many.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Result<Self, LabelMistake> {
        let mut all = BTreeMap::new();
        for label in labels {
            if all.insert(label.key, label.value).is_some() {
                return Err(LabelMistake::Twice);
            }
        }
        Self(all).bounded()
    }

    /// Labels as the store holds them. What can't be one is left out.
    pub fn of_stored(pairs: &[(String, String)]) -> Self {
        let labels = pairs
            .iter()
            .filter_map(|(key, value)| Label::new(key, value).ok());
        Self(labels.map(|label| (label.key, label.value)).collect())
    }

    /// The same without the keys of `unset`, and with the labels of `set` in place of earlier ones.
    ///
    /// # Errors
    /// Too many.
    pub fn changed(&self, set: &[Label], unset: &[LabelKey]) -> Result<Self, LabelMistake> {
        let mut all = self.0.clone();
        all.retain(|key, _| !unset.contains(key));
        all.extend(set.iter().map(|label| (label.key.clone(), label.value.clone())));
        Self(all).bounded()
    }

    /// The same, with `others` in place of labels of the same keys.
    ///
    /// # Errors
    /// Too many.
    pub fn with(&self, others: &Self) -> Result<Self, LabelMistake> {
        let mut all = self.0.clone();
        all.extend(others.0.clone());
        Self(all).bounded()
    }

    fn bounded(self) -> Result<Self, LabelMistake> {
        if self.0.len() > LABELS_MAX {
            return Err(LabelMistake::TooMany);
        }
        Ok(self)
    }

    /// Whether this label is among them.
    pub fn has(&self, label: &Label) -> bool {
        self.0.get(&label.key) == Some(&label.value)
    }

    /// Key and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// `key=value` of each, separated by blanks: for the store and for people.
    pub fn to_text(&self) -> String {
        let words: Vec<String> = self.iter().map(|(key, value)| format!("{key}={value}")).collect();
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        text.parse().unwrap()
    }

    #[test]
    fn a_label_is_a_short_plain_key_and_value() {
        for good in [
            "region=eu",
            "a=B",
            "a.b_c-d=1.0_x-Y",
            &format!("{0}={0}", "x".repeat(63)),
        ] {
            assert!(good.parse::<Label>().is_ok(), "{good}");
        }
        for (bad, why) in [
            ("region", LabelMistake::Form),
            ("=eu", LabelMistake::Key),
            ("Region=eu", LabelMistake::Key),
            ("region=", LabelMistake::Value),
            ("region=a b", LabelMistake::Value),
            ("region=a=b", LabelMistake::Value),
            ("region=ä", LabelMistake::Value),
            (&format!("a={}", "x".repeat(64)), LabelMistake::Value),
            (&format!("{}=a", "x".repeat(64)), LabelMistake::Key),
        ] {
            assert_eq!(bad.parse::<Label>(), Err(why), "{bad}");
        }
    }

    #[test]
    fn labels_are_set_in_place_and_unset_by_key() {
        let labels = Labels::new([label("region=eu"), label("tier=gold")]).unwrap();
        let changed = labels
            .changed(&[label("region=us"), label("a=b")], &["tier".parse().unwrap()])
            .unwrap();
        assert_eq!(changed.to_text(), "a=b region=us");
        assert!(changed.has(&label("region=us")) && !changed.has(&label("region=eu")));
        assert_eq!(
            labels.with(&changed).unwrap().to_text(),
            "a=b region=us tier=gold"
        );
        let stored = [("a".to_owned(), "b".to_owned()), ("B".to_owned(), "x".to_owned())];
        assert_eq!(Labels::of_stored(&stored).to_text(), "a=b");
    }

    #[test]
    fn a_key_stands_once_and_there_are_at_most_sixteen() {
        let twice = Labels::new([label("a=1"), label("a=2")]);
        assert_eq!(twice, Err(LabelMistake::Twice));
        let many = |count: usize| Labels::new((0..count).map(|n| label(&format!("k{n}=v"))));
        assert!(many(16).is_ok());
        assert_eq!(many(17), Err(LabelMistake::TooMany));
        let full = many(16).unwrap();
        assert!(full.changed(&[label("k3=w")], &[]).is_ok());
        assert_eq!(full.changed(&[label("new=w")], &[]), Err(LabelMistake::TooMany));
    }
}
