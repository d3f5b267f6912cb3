//! Which bytes of a piece are written: ranges that are kept, as long as they can be.

use super::pass::Pass;
use super::walk::State;

impl Pass<'_> {
    /// Writes what is kept before `to`.
    pub(super) fn write_to(&mut self, to: usize) {
        if let Some(kept) = self.bytes.get(self.kept_from..to)
            && !kept.is_empty()
        {
            self.out.extend_from_slice(kept);
        }
        self.kept_from = to;
    }

    /// White space from `from` to here is not written; everything before it is decided.
    pub(super) fn drop_space(&mut self, from: usize) {
        if self.at > from && self.walk.removing.is_none() {
            self.write_to(from);
            self.kept_from = self.at;
        }
    }

    /// Writes at the end of a piece what is decided, and saves what is not.
    pub(super) fn write_decided(&mut self) {
        match self.walk.state {
            State::Text | State::Next | State::Done => self.write_to(self.at),
            State::Value | State::First | State::Name | State::Colon => self.write_to(self.undecided),
        }
        if let (State::Value | State::Colon, Some((from, to))) = (self.walk.state, self.name) {
            let name = self.bytes.get(from..to).unwrap_or_default();
            self.walk.name.clear();
            self.walk.name.extend_from_slice(name);
        }
    }

    /// The member or element that begins at `undecided` is kept; its value begins here. Comma and
    /// name stay part of the range if they stand right before it, and are written if they do not.
    pub(super) fn keep(&mut self) {
        let Some(frame) = self.walk.frames.last_mut() else {
            self.kept_from = self.at;
            return;
        };
        let needs_comma = std::mem::replace(&mut frame.has_some, true);
        let (begin, value) = match self.name {
            Some((from, to)) => (from, to + 1),
            None => (self.at, self.at),
        };
        let has_comma = self.bytes.get(self.undecided) == Some(&b',');
        let is_compact =
            value == self.at && begin == self.undecided + usize::from(has_comma) && self.walk.name.is_empty();
        if is_compact && has_comma == needs_comma {
            return;
        }
        self.write_to(self.undecided);
        if is_compact && !needs_comma {
            self.kept_from = begin;
            return;
        }
        if needs_comma {
            self.out.push(b',');
        }
        let name = match self.name {
            Some((from, to)) => self.bytes.get(from..to).unwrap_or_default(),
            None => &self.walk.name,
        };
        if !name.is_empty() {
            self.out.extend_from_slice(name);
            self.out.push(b':');
        }
        self.kept_from = self.at;
    }

    /// The member or element that begins at `undecided` is removed.
    pub(super) fn remove(&mut self) {
        self.write_to(self.undecided);
        self.walk.stripped += 1;
        self.walk.removing = Some(self.walk.frames.len());
        if self.walk.frames.is_empty() {
            self.out.extend_from_slice(b"null");
        }
    }

    /// The value that begins here is replaced; what it belongs to is kept.
    pub(super) fn replace(&mut self, with: &[&[u8]]) {
        self.keep();
        self.write_to(self.at);
        self.walk.stripped += 1;
        self.walk.removing = Some(self.walk.frames.len());
        with.iter().for_each(|part| self.out.extend_from_slice(part));
    }
}
