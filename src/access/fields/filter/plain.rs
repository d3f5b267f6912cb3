//! The short way over members as they nearly always come: without white space, without escapes in
//! the name, whole in this piece, and with a value that is no container.
//!
//! It decides nothing by itself: names are looked up as on the long way, and whatever is not as
//! described is left to it.

use super::Violation;
use super::number::word_end;
use super::pass::{Go, Pass};
use super::scan::Specials;
use super::text::{self, End};
use super::walk::{Place, State, place};
use crate::access::fields::shape::Shape;

/// Longest name that is taken the short way.
const NAME_BYTES: usize = 256;

/// What becomes of a member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Removed,
    Gone,
}

/// What becomes of a member whose value is a string or a word; `None` if more must be known.
fn fate(place: Place) -> Option<Fate> {
    match place {
        Place::Shaped(Shape::Any | Shape::Scalar) => Some(Fate::Kept),
        Place::Shaped(Shape::Drop) | Place::Removed | Place::Refused => Some(Fate::Removed),
        Place::Gone => Some(Fate::Gone),
        Place::Shaped(_) | Place::Element => None,
    }
}

impl Pass<'_> {
    /// Goes over members from here, a name's quote, as far as they are plain. [`Go::Wait`] if the
    /// name here is not; otherwise something was taken, and the state says what comes next.
    pub(super) fn plain_members(&mut self) -> Result<Go, Violation> {
        let Some(frame) = self.walk.frames.last_mut() else {
            return Err(Violation::NotJson);
        };
        let has_comma = self.bytes.get(self.undecided) == Some(&b',');
        let follows = self.at == self.undecided + usize::from(has_comma);
        if !follows || frame.has_some && !has_comma {
            return Ok(Go::Wait);
        }
        let mut members = Members {
            bytes: self.bytes,
            last: self.last,
            at: self.at,
            kept_from: self.kept_from,
            undecided: self.undecided,
            specials: self.specials,
            has_some: frame.has_some,
            removed: 0,
        };
        let rule = frame.rule;
        let (opened, owners, names) = (&frame.names, &self.walk.owners, &mut self.walk.names);
        let stopped = loop {
            let Some((name, byte)) = members.name() else {
                break Stopped::AtName;
            };
            let place = match opened {
                Some(opened) => names.place(opened, name, |name| place(owners, rule, name))?,
                None => Place::Gone,
            };
            let value = members.at + name.len() + 3;
            let (Some(fate), Some(end)) = (fate(place), members.value_end(byte, value)?) else {
                break Stopped::AtValue(place, value);
            };
            members.meet(fate, end, self.out);
            if !members.next(end) {
                break Stopped::After;
            }
        };
        frame.has_some = members.has_some;
        self.kept_from = members.kept_from;
        self.undecided = members.undecided;
        self.specials = members.specials;
        self.walk.stripped += members.removed;
        let from = std::mem::replace(&mut self.at, members.at);
        match stopped {
            Stopped::AtName if self.at == from => return Ok(Go::Wait),
            Stopped::AtName => {}
            Stopped::AtValue(place, value) => {
                self.name = Some((self.at, value - 1));
                self.at = value;
                self.walk.place = place;
                self.walk.state = State::Value;
            }
            Stopped::After => self.walk.state = State::Next,
        }
        Ok(Go::On)
    }
}

/// Why the short way ends.
enum Stopped {
    /// The name is not plain, or not whole.
    AtName,
    /// The value is not plain, or not whole.
    AtValue(Place, usize),
    /// No other member follows at once.
    After,
}

/// The members of one object, as far as a pass has come. It is apart from the pass so that it can
/// live in registers.
struct Members<'p> {
    bytes: &'p [u8],
    last: bool,
    at: usize,
    kept_from: usize,
    undecided: usize,
    specials: Specials,
    has_some: bool,
    removed: u64,
}

impl<'p> Members<'p> {
    /// The name here and the first byte of its value.
    #[inline(always)]
    fn name(&mut self) -> Option<(&'p [u8], u8)> {
        let from = self.at + 1;
        let quote = self.specials.next(self.bytes, from);
        let name = self.bytes.get(from..quote)?;
        let [b'"', b':', byte] = self.bytes.get(quote..)?.first_chunk()? else {
            return None;
        };
        (name.len() <= NAME_BYTES).then_some((name, *byte))
    }

    /// Where a value ends that begins at `at`, if it is a plain one.
    #[inline(always)]
    fn value_end(&mut self, byte: u8, at: usize) -> Result<Option<usize>, Violation> {
        if byte == b'"' {
            return Ok(match text::end(self.bytes, at + 1, &mut self.specials)? {
                End::At(end) => Some(end),
                End::Cut(_) => None,
            });
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        match byte {
            b'f' if rest.first_chunk() == Some(b"false") => Ok(Some(at + 5)),
            b'n' if rest.first_chunk() == Some(b"null") => Ok(Some(at + 4)),
            b't' if rest.first_chunk() == Some(b"true") => Ok(Some(at + 4)),
            b'-' | b'0'..=b'9' => word_end(self.bytes, at, self.last),
            _ => Ok(None),
        }
    }

    /// What happens to the member here, which ends at `end`.
    #[inline(always)]
    fn meet(&mut self, fate: Fate, end: usize, out: &mut Vec<u8>) {
        match fate {
            Fate::Kept => {
                if !self.has_some && self.at != self.undecided {
                    self.write(out);
                    self.kept_from = self.at;
                }
                self.has_some = true;
            }
            Fate::Removed => {
                self.write(out);
                self.removed += 1;
                self.kept_from = end;
            }
            Fate::Gone => {}
        }
    }

    /// Writes what is kept before the member here.
    #[inline(always)]
    fn write(&self, out: &mut Vec<u8>) {
        if self.kept_from < self.undecided
            && let Some(kept) = self.bytes.get(self.kept_from..self.undecided)
        {
            out.extend_from_slice(kept);
        }
    }

    /// Whether another member follows; then that is the one here.
    #[inline(always)]
    fn next(&mut self, end: usize) -> bool {
        let rest = self.bytes.get(end..).unwrap_or_default();
        let follows = rest.first_chunk() == Some(b",\"");
        self.undecided = if follows { end } else { self.undecided };
        self.at = end + usize::from(follows);
        follows
    }
}
