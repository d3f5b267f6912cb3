//! Where in a JSON body something stands, for `errors[].in`.
//!
//! A place is kept as a chain on the stack and written out only for a refusal: a body that passes
//! pays nothing for it.

use super::refusal::{Place, Refusal};

/// Longest key that is repeated in a pointer.
const KEY_BYTES: usize = 100;

/// One step from a value to one inside it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'k> {
    /// Into an object.
    Key(&'k str),
    /// Into an array, counted from 0.
    Index(usize),
}

/// A place in a body: the steps that lead to it, the last one first.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    before: Option<&'a At<'a>>,
    step: Option<Step<'a>>,
}

impl<'a> At<'a> {
    /// The whole body.
    pub const BODY: At<'static> = At {
        before: None,
        step: None,
    };

    /// A member of the object here.
    pub fn key(&'a self, key: &'a str) -> At<'a> {
        At {
            before: Some(self),
            step: Some(Step::Key(key)),
        }
    }

    /// An element of the array here.
    pub fn index(&'a self, index: usize) -> At<'a> {
        At {
            before: Some(self),
            step: Some(Step::Index(index)),
        }
    }

    /// As a place in a refusal.
    pub fn place(&self) -> Place {
        let mut steps = Vec::new();
        let mut here = Some(self);
        while let Some(at) = here {
            steps.extend(at.step);
            here = at.before;
        }
        pointer(steps.into_iter().rev())
    }

    /// A refusal of what stands here.
    pub fn refuse(&self, refusal: Refusal) -> Refusal {
        refusal.at(self.place())
    }
}

/// The JSON pointer (RFC 6901) of these steps. A key that is no plain word is somebody's text, and
/// becomes `?`; so none needs escaping.
pub fn pointer<'k>(steps: impl Iterator<Item = Step<'k>>) -> Place {
    let mut text = String::new();
    for step in steps {
        text.push('/');
        match step {
            Step::Key(key) if is_plain(key) => text.push_str(key),
            Step::Key(_) => text.push('?'),
            Step::Index(index) => text.push_str(&index.to_string()),
        }
    }
    match text.is_empty() {
        true => Place::BODY,
        false => Place::pointer(text),
    }
}

/// HubSpot's members are camel case, its properties snake case, its type ids `0-1`: anything beyond that is
/// a client's own text, which no answer repeats.
fn is_plain(key: &str) -> bool {
    let is_id = key.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || is_id;
    !key.is_empty() && key.len() <= KEY_BYTES && key.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_pointer_of_plain_words() {
        let inputs = At::BODY.key("inputs");
        let third = inputs.index(3);
        for (at, expected) in [
            (At::BODY, "/"),
            (inputs, "/inputs"),
            (third, "/inputs/3"),
            (third.key("objectTypeId"), "/inputs/3/objectTypeId"),
            (third.key("a@example.com"), "/inputs/3/?"),
            (third.key("a/b"), "/inputs/3/?"),
            (third.key("0-1"), "/inputs/3/0-1"),
            (third.key("ignore-what-stands-above"), "/inputs/3/?"),
            (third.key(""), "/inputs/3/?"),
            (third.key(&"x".repeat(101)), "/inputs/3/?"),
        ] {
            assert_eq!(at.place().as_str(), expected);
        }
    }
}
