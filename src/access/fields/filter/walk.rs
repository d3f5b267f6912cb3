//! Where in an answer its filter is, between two pieces of it.

use super::lookahead::Lookahead;
use super::names::{Context, Names, Opened};
use super::owners::Owners;
use super::pass::Pass;
use super::{DEPTH, Violation};
use crate::access::fields::shape::{Members, Of, Shape, Unknown};

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
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

/// What is known of a value before it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has this shape.
    Shaped(&'static Shape),
    /// It is an element of which the container's rule says more.
    Element,
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
    /// Properties, as this shape says, of the view with this number.
    Properties(&'static Shape, u16),
    /// Elements that name their property in this member.
    Named(Of, &'static str, &'static Members),
    /// Elements that are names of properties.
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
            AnyObject | GoneObject | Members(_) | Values(_) | Properties(..)
        )
    }

    /// The context of an object's names, if they matter.
    fn context(self) -> Option<Context> {
        match self {
            Rule::AnyObject => Some(Context::Any),
            Rule::Values(_) => Some(Context::Ids),
            Rule::Members(members) => Some(Context::Members(members)),
            Rule::Properties(shape, view) => Some(Context::Properties(shape, view)),
            _ => None,
        }
    }
}

/// An open container.
pub(super) struct Frame {
    pub rule: Rule,
    pub is_object: bool,
    /// Whether something was written into it, so that a comma must come before what follows.
    pub has_some: bool,
    /// Whether it says its own type.
    pub is_owner: bool,
    pub names: Option<Opened>,
}

/// What is remembered between two pieces of an answer.
pub(super) struct Walk {
    pub state: State,
    pub place: Place,
    pub frames: Vec<Frame>,
    /// How many containers were open when the value began that is being removed.
    pub removing: Option<usize>,
    /// A member's name, quotes and all, as long as it is not decided whether it is kept and the
    /// piece that held it is gone.
    pub name: Vec<u8>,
    pub names: Names,
    pub owners: Owners,
    pub lookahead: Lookahead,
    pub stripped: u64,
    /// What may be held until it is known whose it is.
    pub bound: usize,
}

impl Walk {
    pub fn new(shape: &'static Shape, owners: Owners, bound: usize) -> Self {
        Self {
            state: State::Value,
            place: Place::Shaped(shape),
            frames: Vec::with_capacity(DEPTH / 4),
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

    /// Goes over a piece and appends to `out` what is kept of it. How many bytes it took; the rest
    /// must come again, with more behind it. `last` says that there is no more.
    pub fn pass(&mut self, bytes: &[u8], last: bool, out: &mut Vec<u8>) -> Result<usize, Violation> {
        Pass::new(self, bytes, last, out).run()
    }

    /// A container begins.
    pub fn open(&mut self, rule: Rule, is_owner: bool) {
        let depth = self.frames.len() + 1;
        let names = rule.context().map(|context| self.names.open(context, depth));
        self.frames.push(Frame {
            rule,
            is_object: rule.is_object(),
            has_some: false,
            is_owner,
            names,
        });
        self.name.clear();
        self.state = State::First;
    }

    /// The innermost container ends.
    pub fn close(&mut self) {
        let Some(frame) = self.frames.pop() else {
            return;
        };
        if let Some(opened) = &frame.names {
            self.names.close(opened);
        }
        if frame.is_owner {
            self.owners.close();
        }
    }

    /// It is an element's turn.
    pub fn element(&mut self) {
        self.name.clear();
        self.state = State::Value;
        self.place = match self.frames.last().map(|frame| frame.rule) {
            Some(Rule::AnyArray) => Place::Shaped(&Shape::Any),
            Some(Rule::Elements(shape)) => Place::Shaped(shape),
            Some(Rule::Named(..) | Rule::Listed(_)) => Place::Element,
            _ => Place::Gone,
        };
    }

    /// The place of the value of a member with this name, unescaped.
    pub fn member(&mut self, name: &[u8]) -> Result<Place, Violation> {
        let Some(frame) = self.frames.last() else {
            return Err(Violation::NotJson);
        };
        let Some(opened) = &frame.names else {
            return Ok(Place::Gone);
        };
        let owners = &self.owners;
        self.names
            .place(opened, name, |name| place(owners, frame.rule, name))
    }
}

/// What becomes of the value of a member, as far as that depends on its name.
pub(super) fn place(owners: &Owners, rule: Rule, name: &str) -> Place {
    let shape = match rule {
        Rule::AnyObject => &Shape::Any,
        Rule::Values(shape) => shape,
        Rule::Members(members) => match members.known.iter().find(|(known, _)| *known == name) {
            Some((_, shape)) => shape,
            None if members.unknown == Unknown::Refused => return Place::Refused,
            None => return Place::Removed,
        },
        Rule::Properties(
            Shape::Properties {
                granted, value, bare, ..
            },
            view,
        ) => {
            let view = owners.view(view);
            if view.reads_history(name) {
                value
            } else if !granted && view.reads(name) {
                bare
            } else {
                return Place::Removed;
            }
        }
        _ => return Place::Gone,
    };
    Place::Shaped(owners.settled(shape))
}
