//! The fields of an answer's head: those of HubSpot's that the gate reads, and its own.
//!
//! A short list in place of a map: of a dozen fields each is looked at once or twice, and none is hashed. A name is
//! a number with its spellings beside it, a value a place in the head that it was read from: each is no counted piece
//! of that head. (`benches/instructions`: with heads looked at sixteen bytes at a time, a read of 1 KB costs nine
//! thousand instructions less than with a map.)
//!
//! What it does not do: say which fields come down, or what their values may be.

use std::fmt;

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
    /// A place in the head.
    Part { from: u32, to: u32 },
    /// It is the same in all answers.
    Constant(&'static [u8]),
    /// One that was made.
    Made(Vec<u8>),
}

impl Value {
    fn bytes<'a>(&'a self, head: &'a [u8]) -> &'a [u8] {
        match self {
            // It was found in this head.
            Self::Part { from, to } => head.get(*from as usize..*to as usize).unwrap_or_default(),
            Self::Constant(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

/// Fields in the order they came.
#[derive(Clone, Default)]
pub struct AnswerFields {
    /// What some of the values are parts of.
    head: Bytes,
    list: Vec<(Name, Value)>,
}

impl AnswerFields {
    /// None, with room for what HubSpot's answers and the gate's own words have.
    pub fn with_room() -> Self {
        Self::of(Bytes::new())
    }

    /// The same for fields of this head.
    pub fn of(head: Bytes) -> Self {
        Self {
            head,
            list: Vec::with_capacity(16),
        }
    }

    /// Adds one, whose value is one. If that is a part of the head, it stays where it is.
    pub fn push(&mut self, name: impl Into<Name>, value: &[u8]) {
        debug_assert!(is_value(value), "{value:?}");
        let value = match place(value, &self.head) {
            Some((from, to)) => Value::Part { from, to },
            None => Value::Made(value.to_vec()),
        };
        self.list.push((name.into(), value));
    }

    /// The one field of this name from now on.
    pub fn set(&mut self, known: Known, value: &'static str) {
        self.replace(known, Value::Constant(value.as_bytes()));
    }

    /// The same with a text that was made; what can't stand in a value is left out.
    pub fn set_text(&mut self, known: Known, text: String) {
        if is_value(text.as_bytes()) {
            self.replace(known, Value::Made(text.into_bytes()));
        }
    }

    fn replace(&mut self, known: Known, value: Value) {
        match self.list.iter_mut().find(|(name, _)| *name == Name::Known(known)) {
            None => self.list.push((known.into(), value)),
            Some((_, first)) => {
                *first = value;
                let mut is_first = true;
                self.list
                    .retain(|(name, _)| *name != Name::Known(known) || std::mem::take(&mut is_first));
            }
        }
    }

    /// Takes out all of this name.
    pub fn remove(&mut self, known: Known) {
        self.list.retain(|(name, _)| *name != Name::Known(known));
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
        self.list
            .iter()
            .map(|(name, value)| (name, value.bytes(&self.head)))
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
        self.list.retain(|_| kept.next().unwrap_or(false));
    }

    /// The bits of known names that stand twice.
    fn repeated(&self) -> u32 {
        let (mut seen, mut repeated) = (0, 0);
        for (name, _) in &self.list {
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
        let mut map = Self::with_capacity(fields.list.len());
        for (name, value) in fields.list {
            // What a value may hold was checked: none is left out.
            let value = match value {
                Value::Part { from, to } => {
                    HeaderValue::from_maybe_shared(fields.head.slice(from as usize..to as usize))
                }
                Value::Constant(bytes) => HeaderValue::from_maybe_shared(Bytes::from_static(bytes)),
                Value::Made(bytes) => HeaderValue::try_from(bytes),
            };
            if let Ok(value) = value {
                map.append(name.into_header_name(), value);
            }
        }
        map
    }
}

impl PartialEq for AnswerFields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for AnswerFields {}

impl fmt::Debug for AnswerFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(
                self.iter()
                    .map(|(name, value)| (name, value.escape_ascii().to_string())),
            )
            .finish()
    }
}

/// Where `part` lies in `whole`, if it is a part of it.
fn place(part: &[u8], whole: &[u8]) -> Option<(u32, u32)> {
    let from = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let to = from.checked_add(part.len())?;
    (to <= whole.len()).then_some((u32::try_from(from).ok()?, u32::try_from(to).ok()?))
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
            fields.push(name.clone(), value.as_bytes());
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
        list.push(Known::ETag, b"2");
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

    #[test]
    fn what_is_a_part_of_the_head_stays_there_and_what_is_none_is_kept_beside_it() {
        let text = "Date: then\r\nVary: \r\nX-A: \u{fc}\r\n";
        let head = Bytes::from_static(text.as_bytes());
        let at = |part: &str| {
            let from = text.find(part).unwrap();
            &head[from..from + part.len()]
        };
        let mut list = AnswerFields::of(head.clone());
        list.push(Known::Date, at("then"));
        list.push(Known::Vary, &head[18..18]);
        list.push(other("x-a"), at("\u{fc}"));
        list.push(Known::ETag, &[&b"a"[..], b"b"].concat());
        list.set(Known::Source, "gate");
        let are_parts: Vec<_> = list
            .list
            .iter()
            .map(|(_, value)| matches!(value, Value::Part { .. }))
            .collect();
        assert_eq!(are_parts, [true, true, true, false, false]);
        let values: Vec<_> = list.iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&b"then"[..], b"", "\u{fc}".as_bytes(), b"ab", b"gate"]);
        let map = HeaderMap::from(list.clone());
        assert_eq!(
            (&map["date"], &map["vary"], &map["etag"]),
            (
                &HeaderValue::from_static("then"),
                &HeaderValue::from_static(""),
                &HeaderValue::from_static("ab")
            )
        );
        assert_eq!(map["x-a"].as_bytes(), "\u{fc}".as_bytes());
        // The end of the head is a place in it, what lies across it is none.
        assert_eq!(place(&head[head.len()..], &head), Some((29, 29)));
        assert_eq!(place(&head, &head[1..]), None);
        assert_eq!(place(&head, &head[..head.len() - 1]), None);
        assert_eq!(place(at("then"), &head), Some((6, 10)));
    }
}
