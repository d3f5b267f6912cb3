//! Reads the tree of a document into typed values and collects every mistake on the way.
//!
//! A list with a mistake in it is read as what is sound in it, possibly nothing: its author wants
//! the other names judged, too, and not to be told that the list is missing. The mistake beside it
//! keeps the file from loading.

use jiff::civil::Date;

use super::mistake::{Mistake, Span, code};
use super::nearest::{did_you_mean, nearest};
use super::tree::{Key, Located, Node};
use super::written::{At, Names};
use crate::access::effect::Effect;
use crate::access::facts::Risks;

/// Longest list in a policy. A rule index is 16 bits wide.
pub const LIST_ITEMS_MAX: usize = 1000;

/// Longest piece of text in a policy, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Mistakes found so far.
#[derive(Debug, Default)]
pub struct Reader {
    /// In the order of reading.
    pub mistakes: Vec<Mistake>,
}

/// The entries of a mapping, taken out one by one; what is left at the end is unknown.
#[derive(Debug)]
pub struct Entries {
    /// Place of the mapping.
    pub span: Span,
    left: Vec<(Key, Located)>,
}

impl Reader {
    /// Records a mistake for which the file does not load.
    pub fn error(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.mistakes
            .push(Mistake::error(code, span.clone(), message).help(help));
    }

    /// A mapping, or a mistake.
    pub fn entries(&mut self, what: &str, located: Located) -> Option<Entries> {
        match located.node {
            Node::Map(left) => Some(Entries {
                span: located.span,
                left,
            }),
            other => {
                self.wrong_kind(what, "a mapping of keys and values", &other, &located.span);
                None
            }
        }
    }

    /// Whether values were lost since the `before`th mistake. A value written twice is not.
    pub fn lost_values_since(&self, before: usize) -> bool {
        let mut since = self.mistakes.iter().skip(before);
        since.any(|mistake| mistake.code != code::REPEATED)
    }

    /// Reports what nobody took: reserved words as such, the rest with the nearest known key.
    pub fn finish(&mut self, entries: Entries, known: &[&str], reserved: &[(&str, &str)]) {
        for (key, _) in entries.left {
            if let Some((word, remedy)) = reserved.iter().find(|(word, _)| *word == key.name) {
                self.error(
                    code::NOT_SUPPORTED_YET,
                    &key.span,
                    format!("`{word}` is not supported yet"),
                    *remedy,
                );
            } else {
                self.error(
                    code::UNKNOWN_KEY,
                    &key.span,
                    format!("unknown key `{}`", shown(&key.name)),
                    did_you_mean(
                        &key.name,
                        known.iter().copied(),
                        &format!("known keys here: {}", known.join(", ")),
                    ),
                );
            }
        }
    }

    /// Says that a required key is absent.
    pub fn missing(&mut self, span: &Span, key: &str, help: &str) {
        let span = Span {
            bytes: span.bytes.start..span.bytes.start,
            ..span.clone()
        };
        self.error(code::MISSING_KEY, &span, format!("`{key}` is missing"), help);
    }

    /// Takes out the value of a required key, or says that it is missing, unless it is misspelled.
    pub fn required(
        &mut self,
        entries: &mut Entries,
        known: &[&str],
        key: &str,
        help: &str,
    ) -> Option<Located> {
        let value = entries.take(key);
        if value.is_none() && !entries.means(key, known) {
            self.missing(&entries.span.clone(), key, help);
        }
        value
    }

    fn wrong_kind(&mut self, what: &str, expected: &str, found: &Node, span: &Span) {
        self.error(
            code::WRONG_KIND,
            span,
            format!("`{what}` is {}", found.kind()),
            format!("write {expected}"),
        );
    }

    /// Text that is not empty and has no control characters.
    pub fn text(&mut self, what: &str, located: Located) -> Option<At<String>> {
        let span = located.span;
        match located.node {
            Node::Text(value) if value.len() > TEXT_BYTES_MAX => {
                self.error(
                    code::TOO_LARGE,
                    &span,
                    format!("`{what}` is longer than {TEXT_BYTES_MAX} bytes"),
                    "shorten it",
                );
                None
            }
            Node::Text(value) if value.trim().is_empty() => {
                self.error(
                    code::WRONG_KIND,
                    &span,
                    format!("`{what}` is empty"),
                    "write text",
                );
                None
            }
            Node::Text(value) if value.chars().any(|c| c.is_control() && c != '\n') => {
                self.error(
                    code::WRONG_KIND,
                    &span,
                    format!("`{what}` has control characters"),
                    "write plain text",
                );
                None
            }
            Node::Text(value) => Some(At { value, span }),
            other @ Node::Number(_) => {
                self.wrong_kind(what, "text; put a number in quotes", &other, &span);
                None
            }
            other => {
                self.wrong_kind(what, "text", &other, &span);
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, what: &str, located: Located) -> Option<At<bool>> {
        match located.node {
            Node::Bool(value) => Some(At {
                value,
                span: located.span,
            }),
            other => {
                self.wrong_kind(what, "`true` or `false`", &other, &located.span);
                None
            }
        }
    }

    /// A calendar day.
    pub fn date(&mut self, what: &str, located: Located) -> Option<At<Date>> {
        let text = self.text(what, located)?;
        let shape = text.value.len() == 10 && text.value.is_ascii();
        match text.value.parse::<Date>() {
            Ok(value) if shape => Some(At {
                value,
                span: text.span,
            }),
            _ => {
                self.error(
                    code::BAD_DATE,
                    &text.span,
                    format!("`{}` is not a calendar day", shown(&text.value)),
                    format!("write `{what}` as YYYY-MM-DD"),
                );
                None
            }
        }
    }

    /// A list; one value alone counts as a list of one. Empty after a mistake in its shape.
    pub fn list(&mut self, what: &str, located: Located) -> (Vec<Located>, Span) {
        let span = located.span.clone();
        let items = match located.node {
            Node::List(items) => items,
            Node::Null | Node::Map(_) if what != "connections" => {
                self.wrong_kind(what, "a name or a list of names", &located.node, &span);
                return (Vec::new(), span);
            }
            node => vec![Located {
                node,
                span: span.clone(),
            }],
        };
        self.bounded(what, items, span)
    }

    /// A list of rules or cases: never one alone, possibly empty.
    pub fn sequence(&mut self, what: &str, located: Located) -> Vec<Located> {
        let span = located.span;
        match located.node {
            Node::List(items) if items.len() <= LIST_ITEMS_MAX => items,
            Node::List(_) => {
                self.too_long(what, &span);
                Vec::new()
            }
            other => {
                self.wrong_kind(what, "a list, each item beginning with `- `", &other, &span);
                Vec::new()
            }
        }
    }

    fn bounded(&mut self, what: &str, items: Vec<Located>, span: Span) -> (Vec<Located>, Span) {
        if items.is_empty() {
            self.error(
                code::WRONG_KIND,
                &span,
                format!("`{what}` is an empty list"),
                "name at least one, or leave the key out",
            );
        }
        self.no_more_than_a_list(what, items, span)
    }

    /// The items, as long as there are no more than a list may have.
    pub fn no_more_than_a_list<T>(&mut self, what: &str, items: Vec<T>, span: Span) -> (Vec<T>, Span) {
        if items.len() > LIST_ITEMS_MAX {
            self.too_long(what, &span);
            return (Vec::new(), span);
        }
        (items, span)
    }

    fn too_long(&mut self, what: &str, span: &Span) {
        self.error(
            code::TOO_LARGE,
            span,
            format!("`{what}` has more than {LIST_ITEMS_MAX} items"),
            "split the policy",
        );
    }

    /// A list of names, none twice.
    pub fn names(&mut self, what: &str, located: Located) -> At<Names> {
        let (items, span) = self.list(what, located);
        let mut names: Names = Vec::with_capacity(items.len());
        for item in items {
            match self.text(what, item) {
                Some(name) if names.iter().any(|n| n.value == name.value) => {
                    self.repeated(&name.value, &name.span);
                }
                Some(name) => names.push(name),
                None => {}
            }
        }
        At { value: names, span }
    }

    /// Says that a value stands in a list twice.
    pub fn repeated(&mut self, value: &str, span: &Span) {
        self.error(
            code::REPEATED,
            span,
            format!("`{}` stands in this list twice", shown(value)),
            "remove one",
        );
    }

    /// Effects by their words.
    pub fn effects(&mut self, located: Located) -> At<Vec<At<Effect>>> {
        let names = self.names("effects", located);
        let span = names.span;
        let words = Effect::ALL.map(Effect::as_str);
        let value = self.words(names.value, code::BAD_EFFECT, "an effect", &words, |word| {
            Effect::parse(word).filter(|effect| effect.as_str() == word)
        });
        At { value, span }
    }

    /// Risks by their names.
    pub fn risks(&mut self, located: Located) -> At<Vec<At<Risks>>> {
        let names = self.names("risks", located);
        let span = names.span;
        let words = Risks::NAMES.map(|(name, _)| name);
        let value = self.words(names.value, code::BAD_RISK, "a risk", &words, Risks::parse);
        At { value, span }
    }

    /// Names out of a closed vocabulary.
    pub fn words<T>(
        &mut self,
        names: Names,
        code: &'static str,
        kind: &str,
        vocabulary: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<At<T>> {
        let mut values = Vec::with_capacity(names.len());
        for At { value: word, span } in names {
            match parse(&word) {
                Some(value) => values.push(At { value, span }),
                None => self.error(
                    code,
                    &span,
                    format!("`{}` is not {kind}", shown(&word)),
                    did_you_mean(
                        &word,
                        vocabulary.iter().copied(),
                        &format!("one of: {}", vocabulary.join(", ")),
                    ),
                ),
            }
        }
        values
    }
}

impl Entries {
    /// Whether a key is written, or an unknown one that most likely means it: what is misspelled
    /// is not missing.
    pub fn means(&self, name: &str, known: &[&str]) -> bool {
        self.left.iter().any(|(key, _)| {
            key.name == name
                || (!known.contains(&key.name.as_str())
                    && nearest(&key.name, known.iter().copied()) == Some(name))
        })
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// What is left, in the order written: for mappings whose keys are names.
    pub fn into_left(self) -> Vec<(Key, Located)> {
        self.left
    }

    /// Takes the value of a key out, if it is there.
    pub fn take(&mut self, name: &str) -> Option<Located> {
        self.take_with_key(name).map(|(_, value)| value)
    }

    /// Takes a key and its value out.
    pub fn take_with_key(&mut self, name: &str) -> Option<(Key, Located)> {
        let at = self.left.iter().position(|(key, _)| key.name == name)?;
        Some(self.left.remove(at))
    }
}

/// An author's word, short enough for a message.
pub fn shown(word: &str) -> String {
    let mut short: String = word.chars().filter(|c| !c.is_control()).take(80).collect();
    if short.len() < word.len() {
        short.push('…');
    }
    short
}
