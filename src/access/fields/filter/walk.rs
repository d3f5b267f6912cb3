//! The grammar of JSON over pieces of an answer, and the ranges of bytes that are kept.
//!
//! A [`Walk`] is what is remembered between two pieces; a [`Pass`] goes over one piece. It takes
//! whole tokens: one that is cut by the piece's end is left for the next pass, which gets it again.
//! Only values of strings may be longer than what is held, so they are taken as they come.
//! White space between tokens is not kept: what is written does not depend on how it was cut.

use super::lookahead::Lookahead;
use super::names::{Context, Meaning, Names, Opened};
use super::number::word_end;
use super::owners::Owners;
use super::scan::Specials;
use super::text;
use super::{DEPTH, Violation};
use crate::access::fields::shape::{Members, Of, Shape, Unknown};

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value.
    Value,
    /// The first name or value of a container, or its end.
    First,
    /// A name.
    Name,
    /// A colon.
    Colon,
    /// The rest of a string.
    Text,
    /// A comma, or the end of a container.
    Next,
    /// Nothing.
    Done,
}

/// What is known of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has this shape.
    Shaped(&'static Shape),
    /// It is an element of `Shape::Named`.
    Named(Of, &'static str, &'static Members),
    /// It is an element of `Shape::NameList`.
    Listed(Of),
    /// It is removed.
    Removed,
    /// It is removed if it is no container.
    Refused,
    /// It is inside of what is removed.
    Gone,
}

/// What stands in an open container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Any values, kept.
    AnyObject,
    AnyArray,
    /// An object's members, by name.
    Members(&'static Members),
    /// An object's values.
    Values(&'static Shape),
    /// An array's elements.
    Elements(&'static Shape),
    /// Properties of the view with this number.
    Properties {
        view: u16,
        granted: bool,
        value: &'static Shape,
        bare: &'static Shape,
    },
    /// Elements of `Shape::Named`.
    Named(Of, &'static str, &'static Members),
    /// Elements of `Shape::NameList`.
    Listed(Of),
    /// What is removed.
    GoneObject,
    GoneArray,
}

impl Rule {
    fn is_object(self) -> bool {
        use Rule::{AnyObject, GoneObject, Members, Properties, Values};
        matches!(
            self,
            AnyObject | GoneObject | Members(_) | Values(_) | Properties { .. }
        )
    }
}

/// An open container.
struct Frame {
    rule: Rule,
    is_object: bool,
    /// Whether something was written into it, so that a comma must come before what follows.
    has_some: bool,
    /// Whether it says its own type.
    is_owner: bool,
    names: Option<Opened>,
}

/// What is remembered between two pieces of an answer.
pub(super) struct Walk {
    state: State,
    pub(super) place: Place,
    frames: Vec<Frame>,
    /// How many containers were open when the value began that is being removed.
    removing: Option<usize>,
    /// A member's name, quotes and all, as long as it is not decided whether it is kept and the
    /// piece that held it is gone.
    name: Vec<u8>,
    names: Names,
    pub(super) owners: Owners,
    pub(super) lookahead: Lookahead,
    pub(super) stripped: u64,
    /// What may be held until it is known whose it is.
    pub(super) bound: usize,
}

impl Walk {
    pub fn new(shape: &'static Shape, owners: Owners, bound: usize) -> Self {
        Self {
            state: State::Value,
            place: Place::Shaped(shape),
            frames: Vec::new(),
            removing: None,
            name: Vec::new(),
            names: Names::new(),
            owners,
            lookahead: Lookahead::default(),
            stripped: 0,
            bound,
        }
    }

    /// Whether the one value of an answer has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub fn stripped(&self) -> u64 {
        self.stripped
    }

    /// Goes over a piece and appends to `out` what is kept of it. How many bytes it took; the rest
    /// must come again, with more behind it. `last` says that there is no more.
    pub fn pass(&mut self, bytes: &[u8], last: bool, out: &mut Vec<u8>) -> Result<usize, Violation> {
        let mut pass = Pass {
            walk: self,
            bytes,
            last,
            at: 0,
            kept_from: 0,
            undecided: 0,
            name: None,
            specials: Specials::new(),
            out,
        };
        pass.run()
    }
}

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
    pub(super) walk: &'p mut Walk,
    pub(super) bytes: &'p [u8],
    pub(super) last: bool,
    pub(super) at: usize,
    /// From here on bytes are kept, but not yet written. Inside of what is removed it has no meaning.
    kept_from: usize,
    /// Where the comma or first byte stands of the member or element that is not decided yet.
    undecided: usize,
    /// Where its name stands, quotes and all; `None` if it has none, or if it is in `walk.name`.
    name: Option<(usize, usize)>,
    pub(super) specials: Specials,
    pub(super) out: &'p mut Vec<u8>,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<usize, Violation> {
        while self.step()? == Go::On {}
        if self.walk.removing.is_none() {
            self.write_kept();
        }
        Ok(self.at)
    }

    /// Writes at the end of a piece what is decided, and saves what is not.
    fn write_kept(&mut self) {
        match self.walk.state {
            State::Text | State::Next | State::Done => self.write_to(self.at),
            State::Value | State::First | State::Name | State::Colon => self.write_to(self.undecided),
        }
        if let (State::Value | State::Colon, Some((from, to))) = (self.walk.state, self.name) {
            self.walk.name.clear();
            self.walk
                .name
                .extend_from_slice(self.bytes.get(from..to).unwrap_or_default());
        }
    }

    fn step(&mut self) -> Step {
        if self.walk.state == State::Text {
            return self.text();
        }
        let spaced = self.at;
        let Some(byte) = self.skip_space() else {
            self.drop_space(spaced);
            return Ok(Go::Wait);
        };
        self.drop_space(spaced);
        match self.walk.state {
            State::Value => self.value(byte),
            State::First => self.first(byte),
            State::Name => self.member_name(byte),
            State::Colon if byte == b':' => {
                self.at += 1;
                self.walk.state = State::Value;
                Ok(Go::On)
            }
            State::Next => self.next(byte),
            State::Colon | State::Done | State::Text => Err(Violation::NotJson),
        }
    }

    fn skip_space(&mut self) -> Option<u8> {
        loop {
            let byte = self.bytes.get(self.at).copied()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// White space where everything before it is decided.
    fn drop_space(&mut self, from: usize) {
        let is_decided = matches!(self.walk.state, State::Next | State::Done);
        if is_decided && self.at > from && self.walk.removing.is_none() {
            self.write_to(from);
            self.kept_from = self.at;
        }
    }

    /// Writes what is kept before `to`.
    pub(super) fn write_to(&mut self, to: usize) {
        if let Some(kept) = self.bytes.get(self.kept_from..to) {
            self.out.extend_from_slice(kept);
        }
        self.kept_from = to;
    }

    fn first(&mut self, byte: u8) -> Step {
        if matches!(byte, b'}' | b']') {
            if self.walk.removing.is_none() {
                self.write_to(self.undecided);
                self.kept_from = self.at;
            }
            return self.close(byte);
        }
        match self.walk.frames.last().is_some_and(|frame| frame.is_object) {
            true => self.member_name(byte),
            false => {
                self.element();
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
            false => self.element(),
        }
        Ok(Go::On)
    }

    fn close(&mut self, byte: u8) -> Step {
        let Some(frame) = self.walk.frames.pop() else {
            return Err(Violation::NotJson);
        };
        if byte != (if frame.is_object { b'}' } else { b']' }) {
            return Err(Violation::NotJson);
        }
        if let Some(opened) = frame.names {
            self.walk.names.close(opened);
        }
        if frame.is_owner {
            self.walk.owners.close();
        }
        self.at += 1;
        self.value_ended();
        Ok(Go::On)
    }

    fn value_ended(&mut self) {
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
        loop {
            self.at = self.specials.next(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    self.value_ended();
                    return Ok(Go::On);
                }
                Some(b'\\') => match text::escape_end(self.bytes, self.at)? {
                    Some(end) => self.at = end,
                    None => return Ok(Go::Wait),
                },
                Some(_) => return Err(Violation::NotJson),
                None => return Ok(Go::Wait),
            }
        }
    }

    /// A member's name: what it means, and that the object does not have it yet.
    fn member_name(&mut self, byte: u8) -> Step {
        if byte != b'"' {
            return Err(Violation::NotJson);
        }
        let from = self.at;
        let Some(token) = text::token(self.bytes, from, &mut self.specials)? else {
            self.walk.state = State::Name;
            return Ok(Go::Wait);
        };
        let inner = self.bytes.get(from + 1..token.end - 1).unwrap_or_default();
        self.walk.place = match token.escaped {
            false => self.walk.member(inner)?,
            true => self.walk.member(text::unescaped(inner)?.as_bytes())?,
        };
        self.name = Some((from, token.end));
        self.at = token.end;
        self.walk.state = State::Colon;
        Ok(Go::On)
    }

    /// An element's turn.
    fn element(&mut self) {
        self.name = None;
        self.walk.name.clear();
        self.walk.state = State::Value;
        self.walk.place = match self.walk.frames.last().map(|frame| frame.rule) {
            Some(Rule::AnyArray) => Place::Shaped(&Shape::Any),
            Some(Rule::Elements(shape)) => Place::Shaped(shape),
            Some(Rule::Named(of, key, item)) => Place::Named(of, key, item),
            Some(Rule::Listed(of)) => Place::Listed(of),
            _ => Place::Gone,
        };
    }

    /// How a value begins; `None` if more bytes must come first.
    pub(super) fn start(&self, byte: u8) -> Result<Option<Start>, Violation> {
        Ok(Some(match byte {
            b'"' => Start::Text,
            b'{' => Start::Object,
            b'[' => Start::Array,
            _ => return Ok(word_end(self.bytes, self.at, self.last)?.map(Start::Word)),
        }))
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
        match self.name {
            Some((from, to)) => self
                .out
                .extend_from_slice(self.bytes.get(from..to).unwrap_or_default()),
            None => self.out.extend_from_slice(&self.walk.name),
        }
        if self.name.is_some() || !self.walk.name.is_empty() {
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

    /// Goes over a value, or into it.
    pub(super) fn enter(&mut self, start: Start, object: Rule, array: Rule) -> Step {
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
    pub(super) fn open(&mut self, rule: Rule, is_owner: bool) -> Step {
        if self.walk.frames.len() >= DEPTH {
            return Err(Violation::TooDeep);
        }
        let is_object = rule.is_object();
        let watches_names = is_object && rule != Rule::GoneObject;
        let names = watches_names.then(|| self.walk.names.open());
        self.walk.frames.push(Frame {
            rule,
            is_object,
            has_some: false,
            is_owner,
            names,
        });
        self.at += 1;
        self.undecided = self.at;
        self.name = None;
        self.walk.name.clear();
        self.walk.state = State::First;
        Ok(Go::On)
    }
}

impl Walk {
    /// What is known of the value of a member with this name, unescaped.
    fn member(&mut self, name: &[u8]) -> Result<Place, Violation> {
        self.name.clear();
        let depth = self.frames.len();
        let Some(frame) = self.frames.last() else {
            return Err(Violation::NotJson);
        };
        let Some(opened) = frame.names else {
            return Ok(Place::Gone);
        };
        let owners = &self.owners;
        let mut meaning = |context, make: &dyn Fn(&str) -> Meaning| {
            self.names.meaning((context, depth), opened, name, make)
        };
        Ok(match frame.rule {
            Rule::AnyObject => {
                meaning(Context::Any, &|_| Meaning::Plain)?;
                Place::Shaped(&Shape::Any)
            }
            Rule::Values(shape) => {
                meaning(Context::Ids, &|_| Meaning::Plain)?;
                Place::Shaped(shape)
            }
            Rule::Members(members) => match meaning(Context::Members(members), &|name| known(members, name))?
            {
                Meaning::Known(shape) => Place::Shaped(shape),
                _ if members.unknown == Unknown::Refused => Place::Refused,
                _ => Place::Removed,
            },
            Rule::Properties {
                view,
                granted,
                value,
                bare,
            } => {
                let make = |name: &str| Meaning::Property {
                    reads: owners.view(view).reads(name),
                    history: owners.view(view).reads_history(name),
                };
                match meaning(Context::Properties(view), &make)? {
                    Meaning::Property { history: true, .. } => Place::Shaped(value),
                    Meaning::Property { reads: true, .. } if !granted => Place::Shaped(bare),
                    _ => Place::Removed,
                }
            }
            _ => Place::Gone,
        })
    }
}

fn known(members: &'static Members, name: &str) -> Meaning {
    let known = members.known.iter().find(|(known, _)| *known == name);
    known.map_or(Meaning::Unknown, |(_, shape)| Meaning::Known(shape))
}
