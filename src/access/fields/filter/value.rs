//! What becomes of a value in its place.

use super::lookahead::{Lookahead, Until};
use super::pass::{Go, Pass, Start, Step};
use super::text;
use super::walk::{Place, Rule};
use super::{Violation, WHOLE_OBJECTS};
use crate::access::fields::shape::{Members, Of, Shape};

impl Pass<'_> {
    /// A value begins here. Nothing is decided before its first bytes say what it is.
    pub(super) fn value(&mut self, byte: u8) -> Step {
        let Some(start) = self.start(byte)? else {
            return Ok(Go::Wait);
        };
        match (self.walk.place, start) {
            (Place::Gone, _) => self.enter(start, Rule::GoneObject, Rule::GoneArray),
            (Place::Refused, Start::Object | Start::Array) => Err(Violation::UnknownContainer),
            (Place::Removed | Place::Refused, _) => self.enter_removed(start),
            (Place::Shaped(shape), _) => self.shaped(shape, start, byte == b'n'),
            (Place::Element, _) if byte == b'n' => self.enter_kept(start),
            (Place::Element, _) => match (self.walk.frames.last().map(|frame| frame.rule), start) {
                (Some(Rule::Named(of, key, item)), Start::Object) => {
                    self.named(of, key, item, Otherwise::Removed)
                }
                (Some(Rule::Listed(of)), Start::Text) => self.property_name(of, Otherwise::Removed),
                _ => Err(Violation::WrongKind),
            },
        }
    }

    fn enter_removed(&mut self, start: Start) -> Step {
        self.remove();
        self.enter(start, Rule::GoneObject, Rule::GoneArray)
    }

    fn enter_kept(&mut self, start: Start) -> Step {
        self.keep();
        self.enter(start, Rule::AnyObject, Rule::AnyArray)
    }

    fn open_kept(&mut self, rule: Rule) -> Step {
        self.keep();
        self.open(rule, false)
    }

    fn shaped(&mut self, shape: &'static Shape, start: Start, is_null: bool) -> Step {
        match (*shape, start) {
            (Shape::Drop, _) => self.enter_removed(start),
            (Shape::IfAll(of, all, some), _) => match self.walk.owners.of(of).reads_all() {
                true => self.shaped(all, start, is_null),
                false => self.shaped(some, start, is_null),
            },
            (Shape::Either { object, .. }, Start::Object) => self.shaped(object, start, is_null),
            (Shape::Either { array, .. }, Start::Array) => self.shaped(array, start, is_null),
            (Shape::Kinds { object, .. }, Start::Object) => self.shaped(object, start, is_null),
            (Shape::Kinds { array, .. }, Start::Array) => self.shaped(array, start, is_null),
            (Shape::Kinds { scalar, .. }, _) => self.shaped(scalar, start, is_null),
            _ if is_null => self.enter_kept(start),
            (Shape::Any, _) | (Shape::Scalar, Start::Text | Start::Word(_)) => self.enter_kept(start),
            (Shape::Text(text), Start::Text) => self.replace_by(text, start),
            (Shape::TextUnless(kept, text), Start::Text | Start::Word(_)) => match self.is_among(kept) {
                None => Ok(Go::Wait),
                Some(true) => self.enter_kept(start),
                Some(false) => self.replace_by(text, start),
            },
            (Shape::Object(members), Start::Object) => self.open_kept(Rule::Members(members)),
            (Shape::Map(value), Start::Object) => self.open_kept(Rule::Values(value)),
            (Shape::Array(item), Start::Array) => self.open_kept(Rule::Elements(item)),
            (Shape::Properties { of, .. }, Start::Object) => {
                self.open_kept(Rule::Properties(shape, self.walk.owners.number(of)))
            }
            (Shape::Named { of, key, item }, Start::Array) => self.open_kept(Rule::Named(of, key, item)),
            (Shape::NamedOne { of, key, item }, Start::Object) => {
                self.named(of, key, item, Otherwise::Replaced(b"{}"))
            }
            (Shape::NameList(of), Start::Array) => self.open_kept(Rule::Listed(of)),
            (Shape::Name(of), Start::Text) => self.property_name(of, Otherwise::Replaced(b"null")),
            (Shape::Typed { keys, members }, Start::Object) => self.typed(keys, members),
            _ => Err(Violation::WrongKind),
        }
    }

    fn replace_by(&mut self, text: &str, start: Start) -> Step {
        self.replace(&[b"\"", text.as_bytes(), b"\""]);
        self.enter(start, Rule::GoneObject, Rule::GoneArray)
    }

    /// Whether a string here is one of `texts`, none of which has anything to escape; `None` if
    /// more bytes must come first.
    fn is_among(&self, texts: &[&str]) -> Option<bool> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut may_be = false;
        for text in texts {
            let quoted = [b"\"", text.as_bytes(), b"\""].concat();
            if rest.starts_with(&quoted) {
                return Some(true);
            }
            may_be |= quoted.starts_with(rest);
        }
        match may_be && !self.last {
            true => None,
            false => Some(false),
        }
    }

    fn hidden(&mut self, start: Start, otherwise: Otherwise) -> Step {
        match otherwise {
            Otherwise::Removed => self.remove(),
            Otherwise::Replaced(with) => self.replace(&[with]),
        }
        self.enter(start, Rule::GoneObject, Rule::GoneArray)
    }

    /// An object that names its property.
    fn named(&mut self, of: Of, key: &str, item: &'static Members, otherwise: Otherwise) -> Step {
        let Some(found) = self.read_ahead(&[key], Until::First)? else {
            return Ok(Go::Wait);
        };
        let view = self.walk.owners.of(of);
        match found.first().is_some_and(|name| view.reads(name)) {
            true => self.open_kept(Rule::Members(item)),
            false => self.hidden(Start::Object, otherwise),
        }
    }

    /// A string that is the name of a property.
    fn property_name(&mut self, of: Of, otherwise: Otherwise) -> Step {
        let Some(end) = text::token_end(self.bytes, self.at, &mut self.specials)? else {
            return Ok(Go::Wait);
        };
        let inner = self.bytes.get(self.at + 1..end - 1).unwrap_or_default();
        let name = text::unescaped(inner)?;
        match self.walk.owners.of(of).reads(&name) {
            true => self.enter_kept(Start::Text),
            false => self.hidden(Start::Text, otherwise),
        }
    }

    /// An object that says its type.
    fn typed(&mut self, keys: &[&str], members: &'static Members) -> Step {
        let Some(spellings) = self.read_ahead(keys, Until::End)? else {
            return Ok(Go::Wait);
        };
        self.keep();
        self.open(Rule::Members(members), true)?;
        self.walk.owners.open(spellings)?;
        Ok(Go::On)
    }

    fn read_ahead(&mut self, keys: &[&str], until: Until) -> Result<Option<Vec<String>>, Violation> {
        let object = self.bytes.get(self.at..).unwrap_or_default();
        let bound = match until {
            Until::First => self.walk.bound,
            Until::End => self.walk.bound.saturating_mul(WHOLE_OBJECTS),
        };
        let found = self.walk.lookahead.read(object, keys, until, bound)?;
        match found {
            None if self.last => Err(Violation::Truncated),
            None => Ok(None),
            Some(found) => {
                self.walk.lookahead = Lookahead::default();
                Ok(Some(found))
            }
        }
    }
}

/// What becomes of what is of a hidden property.
#[derive(Clone, Copy)]
enum Otherwise {
    Removed,
    Replaced(&'static [u8]),
}
