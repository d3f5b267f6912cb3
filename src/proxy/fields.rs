//! The fields of a request's head that the gate reads. Others are checked on their way in, and not kept.

use http::HeaderValue;
use http::header::{self, HeaderMap, HeaderName};

const SELECTOR: HeaderName = HeaderName::from_static("x-scopegate-connection");

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// `Accept`.
    Accept,
    /// `Accept-Language`.
    AcceptLanguage,
    /// `Authorization`.
    Authorization,
    /// `Content-Encoding`.
    ContentEncoding,
    /// `Content-Length`.
    ContentLength,
    /// `Content-Type`.
    ContentType,
    /// `Expect`.
    Expect,
    /// `Host`.
    Host,
    /// `X-Scopegate-Connection`, by which an unbound key's request names its connection.
    Selector,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `Upgrade`.
    Upgrade,
}

impl Known {
    /// The field of this name, however it is spelled; `None`: nobody reads it.
    pub fn of(name: &[u8]) -> Option<Self> {
        let is = |known: Self| {
            let own = known.name();
            name.eq_ignore_ascii_case(own.as_str().as_bytes())
                .then_some(known)
        };
        match name.len() {
            4 => is(Self::Host),
            6 => is(Self::Accept).or_else(|| is(Self::Expect)),
            7 => is(Self::Upgrade),
            12 => is(Self::ContentType),
            13 => is(Self::Authorization),
            14 => is(Self::ContentLength),
            15 => is(Self::AcceptLanguage),
            16 => is(Self::ContentEncoding),
            17 => is(Self::TransferEncoding),
            22 => is(Self::Selector),
            _ => None,
        }
    }

    /// Its name.
    pub const fn name(self) -> HeaderName {
        match self {
            Self::Accept => header::ACCEPT,
            Self::AcceptLanguage => header::ACCEPT_LANGUAGE,
            Self::Authorization => header::AUTHORIZATION,
            Self::ContentEncoding => header::CONTENT_ENCODING,
            Self::ContentLength => header::CONTENT_LENGTH,
            Self::ContentType => header::CONTENT_TYPE,
            Self::Expect => header::EXPECT,
            Self::Host => header::HOST,
            Self::Selector => SELECTOR,
            Self::TransferEncoding => header::TRANSFER_ENCODING,
            Self::Upgrade => header::UPGRADE,
        }
    }

    /// Whether it may stand once: two of them could be read two ways.
    const fn is_singular(self) -> bool {
        !matches!(self, Self::Accept | Self::AcceptLanguage | Self::Upgrade)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// What a head has of them, in its order. A list: a map of so few costs a call more than all look-ups together.
/// No `Debug`: a key may be among them.
#[derive(Default)]
pub struct Fields(Vec<(Known, HeaderValue)>);

impl Fields {
    /// With room for what a client mostly sends.
    pub fn with_room() -> Self {
        Self(Vec::with_capacity(6))
    }

    /// Those of a map, as HTTP/2's reader makes it.
    pub fn of(map: &HeaderMap) -> Self {
        let known = |(name, value): (&HeaderName, &HeaderValue)| {
            Some((Known::of(name.as_str().as_bytes())?, value.clone()))
        };
        Self(map.iter().filter_map(known).collect())
    }

    /// One more.
    pub fn push(&mut self, known: Known, value: HeaderValue) {
        self.0.push((known, value));
    }

    /// The first of this name.
    pub fn get(&self, known: Known) -> Option<&HeaderValue> {
        self.all(known).next()
    }

    /// All of this name, in their order.
    pub fn all(&self, known: Known) -> impl Iterator<Item = &HeaderValue> {
        self.0
            .iter()
            .filter(move |field| field.0 == known)
            .map(|field| &field.1)
    }

    /// Whether there is one.
    pub fn has(&self, known: Known) -> bool {
        self.get(known).is_some()
    }

    /// Takes out all of this name, so that nothing later can see them; the first of them.
    pub fn take(&mut self, known: Known) -> Option<HeaderValue> {
        let at = self.0.iter().position(|field| field.0 == known)?;
        let (_, value) = self.0.remove(at);
        self.0.retain(|field| field.0 != known);
        Some(value)
    }

    /// Whether one stands twice that may stand once.
    pub fn has_repeats(&self) -> bool {
        let mut seen = 0;
        for known in self
            .0
            .iter()
            .map(|field| field.0)
            .filter(|known| known.is_singular())
        {
            if seen & known.bit() != 0 {
                return true;
            }
            seen |= known.bit();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Known; 11] = [
        Known::Accept,
        Known::AcceptLanguage,
        Known::Authorization,
        Known::ContentEncoding,
        Known::ContentLength,
        Known::ContentType,
        Known::Expect,
        Known::Host,
        Known::Selector,
        Known::TransferEncoding,
        Known::Upgrade,
    ];

    #[test]
    fn each_is_known_by_its_name_in_every_spelling_and_nothing_else_is() {
        for known in ALL {
            let name = known.name().as_str().to_owned();
            assert_eq!(Known::of(name.as_bytes()), Some(known));
            assert_eq!(Known::of(name.to_uppercase().as_bytes()), Some(known));
            assert_eq!(Known::of(format!("{name}s").as_bytes()), None);
            assert_eq!(Known::of(name.replace(char::is_alphabetic, "_").as_bytes()), None);
        }
        for other in [&b""[..], b"cookie", b"user-agent", b"x-scopegate-connectiom"] {
            assert_eq!(Known::of(other), None);
        }
    }

    #[test]
    fn the_first_is_read_all_are_taken_and_what_may_stand_once_is_seen_twice() {
        for known in ALL {
            let mut fields = Fields::default();
            assert!(!fields.has(known) && fields.take(known).is_none());
            fields.push(known, HeaderValue::from_static("a"));
            for other in ALL.into_iter().filter(|other| *other != known) {
                fields.push(other, HeaderValue::from_static("x"));
            }
            assert!(!fields.has_repeats());
            fields.push(known, HeaderValue::from_static("b"));
            let may_repeat = [Known::Accept, Known::AcceptLanguage, Known::Upgrade].contains(&known);
            assert_eq!(fields.has_repeats(), !may_repeat, "{known:?}");
            assert_eq!(fields.get(known).unwrap(), "a");
            assert!(fields.all(known).eq(["a", "b"]));
            assert_eq!(fields.take(known).unwrap(), "a");
            assert!(!fields.has(known));
            assert_eq!(fields.0.len(), ALL.len() - 1, "the others stay");
        }
    }

    #[test]
    fn of_a_map_those_are_taken_that_are_known_each_as_often_as_it_stands() {
        let mut map = HeaderMap::new();
        for (name, value) in [("host", "a"), ("cookie", "b"), ("host", "c"), ("accept", "d")] {
            map.append(name, HeaderValue::from_static(value));
        }
        let mut fields = Fields::of(&map);
        assert!(fields.has_repeats());
        assert_eq!(fields.take(Known::Host).unwrap(), "a");
        assert_eq!(fields.take(Known::Accept).unwrap(), "d");
        assert!(fields.0.is_empty());
    }
}
