//! One way over one piece of an answer: the grammar of JSON.
//!
//! It takes whole tokens: one that is cut by the piece's end is left for the next pass, which gets
//! it again. Only values of strings may be longer than what is held, so they are taken as they come.
//! White space between tokens is not kept: what is written does not depend on how it was cut.

use super::number::word_end;
use super::scan::Specials;
use super::text::{self, End};
use super::walk::{Rule, State, Walk};
use super::{DEPTH, Violation};

/// Whether the pass can go on; if not, more bytes must come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Wait,
}

pub(super) type Step = Result<Go, Violation>;

/// How a value begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Object,
    Array,
    Text,
    /// A number, `true`, `false` or `null`, with its end.
    Word(usize),
}

/// One way over one piece.
pub(super) struct Pass<'p> {
    pub walk: &'p mut Walk,
    pub bytes: &'p [u8],
    pub last: bool,
    pub at: usize,
    /// From here on bytes are kept, but not yet written. Inside of what is removed it has no meaning.
    pub kept_from: usize,
    /// Where the comma or first byte stands of the member or element that is not decided yet.
    pub undecided: usize,
    /// Where its name stands, quotes and all; `None` if it has none, or if it is in `walk.name`.
    pub name: Option<(usize, usize)>,
    pub specials: Specials,
    pub out: &'p mut Vec<u8>,
}

impl<'p> Pass<'p> {
    pub fn new(walk: &'p mut Walk, bytes: &'p [u8], last: bool, out: &'p mut Vec<u8>) -> Self {
        Self {
            walk,
            bytes,
            last,
            at: 0,
            kept_from: 0,
            undecided: 0,
            name: None,
            specials: Specials::new(),
            out,
        }
    }

    /// How many bytes it took.
    pub fn run(mut self) -> Result<usize, Violation> {
        while self.step()? == Go::On {}
        if self.walk.removing.is_none() {
            self.write_decided();
        }
        Ok(self.at)
    }

    fn step(&mut self) -> Step {
        if self.walk.state == State::Text {
            return self.text();
        }
        let Some(byte) = self.skip_space() else {
            return Ok(Go::Wait);
        };
        match self.walk.state {
            State::Next => self.next(byte),
            State::Name => self.member(byte),
            State::Value => self.value(byte),
            State::First => self.first(byte),
            State::Colon if byte == b':' => {
                self.at += 1;
                self.walk.state = State::Value;
                Ok(Go::On)
            }
            State::Colon | State::Done | State::Text => Err(Violation::NotJson),
        }
    }

    /// The next byte that is no white space.
    fn skip_space(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        match byte {
            Some(b' ' | b'\t' | b'\n' | b'\r') => {}
            _ => return byte,
        }
        let from = self.at;
        let rest = self.bytes.get(from..).unwrap_or_default();
        let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().take_while(is_space).count();
        if matches!(self.walk.state, State::Next | State::Done) {
            self.drop_space(from);
        }
        self.bytes.get(self.at).copied()
    }

    fn first(&mut self, byte: u8) -> Step {
        if matches!(byte, b'}' | b']') {
            self.drop_space(self.undecided);
            return self.close(byte);
        }
        match self.walk.frames.last().is_some_and(|frame| frame.is_object) {
            true => self.member(byte),
            false => {
                self.walk.element();
                self.value(byte)
            }
        }
    }

    fn next(&mut self, byte: u8) -> Step {
        let Some(frame) = self.walk.frames.last() else {
            return Err(Violation::NotJson);
        };
        if byte != b',' {
            return self.close(byte);
        }
        self.undecided = self.at;
        self.at += 1;
        match frame.is_object {
            true => self.walk.state = State::Name,
            false => {
                self.name = None;
                self.walk.element();
            }
        }
        Ok(Go::On)
    }

    fn close(&mut self, byte: u8) -> Step {
        let closing = self.walk.frames.last().map(|frame| match frame.is_object {
            true => b'}',
            false => b']',
        });
        if closing != Some(byte) {
            return Err(Violation::NotJson);
        }
        self.walk.close();
        self.at += 1;
        self.value_ended();
        Ok(Go::On)
    }

    pub fn value_ended(&mut self) {
        let open = self.walk.frames.len();
        if self.walk.removing == Some(open) {
            self.walk.removing = None;
            self.kept_from = self.at;
        }
        self.walk.state = match open {
            0 => State::Done,
            _ => State::Next,
        };
    }

    fn text(&mut self) -> Step {
        match text::end(self.bytes, self.at, &mut self.specials)? {
            End::At(end) => {
                self.at = end;
                self.value_ended();
                Ok(Go::On)
            }
            End::Cut(end) => {
                self.at = end;
                Ok(Go::Wait)
            }
        }
    }

    /// Members, as far as they are plain, or else a member's name.
    fn member(&mut self, byte: u8) -> Step {
        if byte != b'"' {
            return Err(Violation::NotJson);
        }
        self.walk.name.clear();
        self.walk.state = State::Name;
        if self.plain_members()? == Go::On {
            return Ok(Go::On);
        }
        let from = self.at;
        let Some(end) = text::token_end(self.bytes, from, &mut self.specials)? else {
            return Ok(Go::Wait);
        };
        let inner = self.bytes.get(from + 1..end - 1).unwrap_or_default();
        self.walk.place = match inner.contains(&b'\\') {
            false => self.walk.member(inner)?,
            true => self.walk.member(text::unescaped(inner)?.as_bytes())?,
        };
        self.name = Some((from, end));
        self.at = end;
        self.walk.state = State::Colon;
        Ok(Go::On)
    }

    /// How a value begins; `None` if more bytes must come first.
    pub fn start(&self, byte: u8) -> Result<Option<Start>, Violation> {
        Ok(Some(match byte {
            b'"' => Start::Text,
            b'{' => Start::Object,
            b'[' => Start::Array,
            _ => return Ok(word_end(self.bytes, self.at, self.last)?.map(Start::Word)),
        }))
    }

    /// Goes over a value, or into it.
    pub fn enter(&mut self, start: Start, object: Rule, array: Rule) -> Step {
        match start {
            Start::Object => self.open(object, false),
            Start::Array => self.open(array, false),
            Start::Text => {
                self.at += 1;
                self.walk.state = State::Text;
                self.text()
            }
            Start::Word(end) => {
                self.at = end;
                self.value_ended();
                Ok(Go::On)
            }
        }
    }

    /// Goes into a container.
    pub fn open(&mut self, rule: Rule, is_owner: bool) -> Step {
        if self.walk.frames.len() >= DEPTH {
            return Err(Violation::TooDeep);
        }
        self.walk.open(rule, is_owner);
        self.at += 1;
        self.undecided = self.at;
        self.name = None;
        Ok(Go::On)
    }
}
