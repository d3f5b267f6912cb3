//! Reads ahead in an object for the members that say whose it is.
//!
//! It reads no further than it must, and goes on where it stopped when more bytes are there. It
//! takes the object to be JSON: what it reads is read again, and checked, before anything is kept.

use super::text::{escape_end, unescaped};
use super::{DEPTH, Violation};

/// Until when it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The first of the keys is known.
    First,
    /// The object has ended.
    End,
}

/// How far it has come in one object.
#[derive(Default)]
pub struct Lookahead {
    at: usize,
    depth: usize,
    /// Where the string begins that it is in, if that is one of the object's own names or values.
    string: Option<usize>,
    in_string: bool,
    /// Of the object's own members: whether the name is behind it.
    value: Value,
    found: Vec<String>,
}

/// What becomes of the next value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Value {
    /// A name comes first.
    #[default]
    NotYet,
    /// The name is behind, its value of no interest.
    Other,
    /// It is a key's.
    Wanted,
}

impl Lookahead {
    /// Reads on. `object` begins with the object's brace and may end anywhere. What it found, or
    /// `None` if more bytes must come first.
    pub fn read(
        &mut self,
        object: &[u8],
        keys: &[&str],
        until: Until,
        bound: usize,
    ) -> Result<Option<Vec<String>>, Violation> {
        while let Some(byte) = object.get(self.at)
            && self.at < bound
        {
            let done = match self.in_string {
                true => self.string_byte(object, *byte, keys, until)?,
                false => Some(self.other_byte(*byte, until)?),
            };
            match done {
                None => return Ok(None),
                Some(false) => {}
                Some(true) if self.found.is_empty() => return Err(Violation::Unnamed),
                Some(true) => return Ok(Some(std::mem::take(&mut self.found))),
            }
        }
        match object.len() > bound {
            true => Err(Violation::HeldTooLong),
            false => Ok(None),
        }
    }

    /// A byte outside of strings. Whether the object has ended.
    fn other_byte(&mut self, byte: u8, until: Until) -> Result<bool, Violation> {
        let own = self.depth == 1;
        self.at += 1;
        match byte {
            b'"' => {
                self.in_string = true;
                self.string = own.then_some(self.at);
                return Ok(false);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if own => self.value = Value::NotYet,
            _ => {}
        }
        if self.depth > DEPTH {
            return Err(Violation::TooDeep);
        }
        let is_value = !matches!(byte, b':' | b' ' | b'\t' | b'\n' | b'\r' | b'}' | b']');
        if own && is_value && self.value == Value::Wanted {
            self.value = match byte {
                b'n' if until == Until::End => Value::Other,
                _ => return Err(Violation::Unnamed),
            };
        }
        Ok(self.depth == 0)
    }

    /// A byte of a string. Whether enough is known; `None` if more bytes must come first.
    fn string_byte(
        &mut self,
        object: &[u8],
        byte: u8,
        keys: &[&str],
        until: Until,
    ) -> Result<Option<bool>, Violation> {
        match byte {
            b'\\' => match escape_end(object, self.at)? {
                Some(end) => {
                    self.at = end;
                    return Ok(Some(false));
                }
                None => return Ok(None),
            },
            b'"' => {}
            _ => {
                let rest = object.get(self.at..).unwrap_or_default();
                self.at += memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                return Ok(Some(false));
            }
        }
        self.in_string = false;
        let end = self.at;
        self.at += 1;
        let Some(start) = self.string.take() else {
            return Ok(Some(false));
        };
        let inner = object.get(start..end).unwrap_or_default();
        match self.value {
            Value::NotYet => {
                let name = unescaped(inner)?;
                self.value = match keys.contains(&name.as_str()) {
                    true => Value::Wanted,
                    false => Value::Other,
                };
                Ok(Some(false))
            }
            Value::Other => Ok(Some(false)),
            Value::Wanted => {
                self.found.push(unescaped(inner)?);
                self.value = Value::Other;
                Ok(Some(until == Until::First))
            }
        }
    }
}
