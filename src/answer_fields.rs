//! The fields of an answer's head: those of HubSpot's that the gate reads, and its own.
//!
//! A short list in place of a map: of a dozen fields each is looked at once or twice, and none is hashed. A name is
//! a number with its spellings beside it, a value a part of the buffer that it was read into. (`benches/instructions`:
//! with heads looked at sixteen bytes at a time, a read of 1 KB costs nine thousand instructions less than with a map.)
//!
//! What it does not do: say which fields come down, or what their values may be.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::heads;

/// A field that the gate knows by name.
macro_rules! known {
    ($($(#[$doc:meta])* $known:ident = $lower:literal, $spelled:literal;)*) => {
        /// A name that the gate knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Known { $($(#[$doc])* $known,)* }

        impl Known {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$known),*];

            /// In small letters.
            pub const fn lower(self) -> &'static str {
                match self { $(Self::$known => $lower,)* }
            }

            /// As HubSpot spells it, with what follows a name on its line: some clients look names up in this
            /// spelling.
            pub const fn spelled(self) -> &'static str {
                match self { $(Self::$known => concat!($spelled, ": "),)* }
            }

            /// As a library wants it.
            pub const fn header_name(self) -> HeaderName {
                match self { $(Self::$known => HeaderName::from_static($lower),)* }
            }

            const fn bit(self) -> u32 {
                1 << self as u32
            }
        }
    };
}

known! {
    /// Who may keep the answer, and how long.
    CacheControl = "cache-control", "Cache-Control";
    /// Why HubSpot answered 403: `CAUSE[; lacks="SCOPES"]`.
    Cause = "x-scopegate-cause", "X-Scopegate-Cause";
    /// Whether the connection ends.
    Connection = "connection", "Connection";
    /// A file's name.
    ContentDisposition = "content-disposition", "Content-Disposition";
    /// How the body is packed.
    ContentEncoding = "content-encoding", "Content-Encoding";
    /// Whose language the body speaks.
    ContentLanguage = "content-language", "Content-Language";
    /// What the body is.
    ContentType = "content-type", "Content-Type";
    /// HubSpot's correlation id, or the gate's in its place.
    Correlation = "x-hubspot-correlation-id", "X-Hubspot-Correlation-Id";
    /// When it was made.
    Date = "date", "Date";
    /// Decision, id and rule.
    Decision = "x-scopegate-decision", "X-Scopegate-Decision";
    /// A validator.
    ETag = "etag", "Etag";
    /// Until when it is fresh.
    Expires = "expires", "Expires";
    /// When the resource was changed.
    LastModified = "last-modified", "Last-Modified";
    /// A limit of HubSpot's: calls in an interval.
    LimitMax = "x-hubspot-ratelimit-max", "X-Hubspot-Ratelimit-Max";
    /// What is left of it.
    LimitRemaining = "x-hubspot-ratelimit-remaining", "X-Hubspot-Ratelimit-Remaining";
    /// How long the interval is.
    LimitInterval = "x-hubspot-ratelimit-interval-milliseconds", "X-Hubspot-Ratelimit-Interval-Milliseconds";
    /// Calls in a day.
    LimitDaily = "x-hubspot-ratelimit-daily", "X-Hubspot-Ratelimit-Daily";
    /// What is left of them.
    LimitDailyRemaining = "x-hubspot-ratelimit-daily-remaining", "X-Hubspot-Ratelimit-Daily-Remaining";
    /// Calls in a second.
    LimitSecondly = "x-hubspot-ratelimit-secondly", "X-Hubspot-Ratelimit-Secondly";
    /// What is left of them.
    LimitSecondlyRemaining = "x-hubspot-ratelimit-secondly-remaining", "X-Hubspot-Ratelimit-Secondly-Remaining";
    /// How long to wait.
    RetryAfter = "retry-after", "Retry-After";
    /// The gate's name for the account.
    ScopegateConnection = "x-scopegate-connection", "X-Scopegate-Connection";
    /// Whether OpenAI's and HubSpot's generated clients repeat the request.
    ShouldRetry = "x-should-retry", "X-Should-Retry";
    /// Who wrote the answer.
    Source = "x-scopegate-source", "X-Scopegate-Source";
    /// How many values property rules removed from an answer that was filtered whole.
    Stripped = "x-scopegate-stripped", "X-Scopegate-Stripped";
    /// What else the answer depends on.
    Vary = "vary", "Vary";
    /// How to authenticate.
    WwwAuthenticate = "www-authenticate", "Www-Authenticate";
}

/// A field's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// One that is known.
    Known(Known),
    /// One that is not.
    Other(HeaderName),
}

impl Name {
    /// In small letters.
    pub fn lower(&self) -> &str {
        match self {
            Self::Known(known) => known.lower(),
            Self::Other(name) => name.as_str(),
        }
    }

    fn into_header_name(self) -> HeaderName {
        match self {
            Self::Known(known) => known.header_name(),
            Self::Other(name) => name,
        }
    }
}

impl From<Known> for Name {
    fn from(known: Known) -> Self {
        Self::Known(known)
    }
}

/// A value: what RFC 9110 §5.5 lets stand in one.
#[derive(Clone, Debug)]
enum Value {
    /// A part of the buffer that it was read into, or a constant.
    Part(Bytes),
    /// A text that was made: as `Bytes` it would be allocated twice.
    Text(String),
}

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Part(bytes) => bytes,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Value {}

/// Fields in the order they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerFields(Vec<(Name, Value)>);

impl AnswerFields {
    /// None, with room for what HubSpot's answers and the gate's own words have.
    pub fn with_room() -> Self {
        Self(Vec::with_capacity(16))
    }

    /// Adds one, whose value is one.
    pub fn push(&mut self, name: impl Into<Name>, value: Bytes) {
        debug_assert!(is_value(&value), "{value:?}");
        self.0.push((name.into(), Value::Part(value)));
    }

    /// The one field of this name from now on.
    pub fn set(&mut self, known: Known, value: &'static str) {
        self.replace(known, Value::Part(Bytes::from_static(value.as_bytes())));
    }

    /// The same with a text that was made; what can't stand in a value is left out.
    pub fn set_text(&mut self, known: Known, text: String) {
        if is_value(text.as_bytes()) {
            self.replace(known, Value::Text(text));
        }
    }

    fn replace(&mut self, known: Known, value: Value) {
        match self.0.iter_mut().find(|(name, _)| *name == Name::Known(known)) {
            None => self.0.push((known.into(), value)),
            Some((_, first)) => {
                *first = value;
                let mut is_first = true;
                self.0
                    .retain(|(name, _)| *name != Name::Known(known) || std::mem::take(&mut is_first));
            }
        }
    }

    /// Takes out all of this name.
    pub fn remove(&mut self, known: Known) {
        self.0.retain(|(name, _)| *name != Name::Known(known));
    }

    /// The value of the first of this name.
    pub fn get(&self, known: Known) -> Option<&[u8]> {
        self.all(known).next()
    }

    /// The values of all of this name.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(name, _)| **name == Name::Known(known))
            .map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &[u8])> {
        self.0.iter().map(|(name, value)| (name, value.bytes()))
    }

    /// Keeps those of which `keeps` says so: it is told name, value, and whether the name stands twice.
    pub fn keep(&mut self, mut keeps: impl FnMut(&Name, &[u8], bool) -> bool) {
        let repeated = self.repeated();
        let is_repeated = |name: &Name| match name {
            Name::Known(known) => repeated & known.bit() != 0,
            other => self.iter().filter(|(name, _)| *name == other).nth(1).is_some(),
        };
        let kept: SmallVec<[bool; 32]> = self
            .iter()
            .map(|(name, value)| keeps(name, value, is_repeated(name)))
            .collect();
        let mut kept = kept.into_iter();
        self.0.retain(|_| kept.next().unwrap_or(false));
    }

    /// The bits of known names that stand twice.
    fn repeated(&self) -> u32 {
        let (mut seen, mut repeated) = (0, 0);
        for (name, _) in &self.0 {
            if let Name::Known(known) = name {
                repeated |= seen & known.bit();
                seen |= known.bit();
            }
        }
        repeated
    }
}

impl From<AnswerFields> for HeaderMap {
    fn from(fields: AnswerFields) -> Self {
        let mut map = Self::with_capacity(fields.0.len());
        for (name, value) in fields.0 {
            // What a value may hold was checked: none is left out.
            let value = match value {
                Value::Part(bytes) => HeaderValue::from_maybe_shared(bytes),
                Value::Text(text) => HeaderValue::try_from(text),
            };
            if let Ok(value) = value {
                map.append(name.into_header_name(), value);
            }
        }
        map
    }
}

fn is_value(text: &[u8]) -> bool {
    heads::leading_text(text) == text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(Name, &'static str)]) -> AnswerFields {
        let mut fields = AnswerFields::with_room();
        for (name, value) in of {
            fields.push(name.clone(), Bytes::from_static(value.as_bytes()));
        }
        fields
    }

    fn other(name: &'static str) -> Name {
        Name::Other(HeaderName::from_static(name))
    }

    #[test]
    fn a_name_has_one_spelling_in_small_letters_and_one_as_hubspot_has_it() {
        for known in Known::ALL {
            let name = known.header_name();
            assert_eq!(name.as_str(), known.lower());
            assert_eq!(
                known.spelled().to_ascii_lowercase(),
                format!("{}: ", known.lower())
            );
            let mut before = '-';
            for char in known.spelled().chars() {
                assert_eq!(
                    char.is_ascii_uppercase(),
                    before == '-' && char.is_ascii_alphabetic()
                );
                before = char;
            }
            let same = Known::ALL.iter().filter(|one| one.lower() == known.lower());
            assert_eq!(same.count(), 1);
        }
        assert!(Known::ALL.len() <= 32, "a bit for each");
    }

    #[test]
    fn a_field_that_is_set_is_the_only_one_of_its_name() {
        let mut list = fields(&[
            (Known::Date.into(), "1"),
            (other("x-a"), "2"),
            (Known::Date.into(), "3"),
        ]);
        assert_eq!(list.get(Known::Date), Some(&b"1"[..]));
        assert_eq!(list.all(Known::Date).count(), 2);
        list.set(Known::Date, "4");
        list.set(Known::Vary, "5");
        list.set_text(Known::Vary, "6".to_owned());
        list.set_text(Known::ETag, "a\r\nSet-Cookie: b".to_owned());
        let expected = fields(&[
            (Known::Date.into(), "4"),
            (other("x-a"), "2"),
            (Known::Vary.into(), "6"),
        ]);
        assert_eq!(list, expected);
        list.remove(Known::Date);
        assert_eq!(list.iter().count(), 2);
        let map = HeaderMap::from(list);
        assert_eq!(
            (&map["x-a"], &map["vary"], map.len()),
            (&HeaderValue::from(2), &HeaderValue::from(6), 2)
        );
    }

    #[test]
    fn what_stands_twice_is_known_of_every_name() {
        let names = [
            Known::Date.into(),
            other("x-a"),
            Known::Vary.into(),
            other("x-b"),
            other("x-a"),
            Known::Date.into(),
        ];
        let mut list = fields(&names.map(|name| (name, "1")));
        list.push(Known::ETag, Bytes::from_static(b"2"));
        let mut told = Vec::new();
        list.keep(|name, value, twice| {
            told.push((name.lower().to_owned(), twice));
            value == b"1" && !twice
        });
        let told: Vec<_> = told.iter().map(|(name, twice)| (&name[..], *twice)).collect();
        let expected = [
            ("date", true),
            ("x-a", true),
            ("vary", false),
            ("x-b", false),
            ("x-a", true),
            ("date", true),
            ("etag", false),
        ];
        assert_eq!(told, expected);
        assert_eq!(list, fields(&[(Known::Vary.into(), "1"), (other("x-b"), "1")]));
    }
}
