//! Where something stands in a body, kept as a chain on the stack and written down only when it is
//! to blame.

use crate::access::fields::plan::plain_name;
use crate::access::refusal::Place;

/// A place in a body.
#[derive(Clone, Copy)]
pub(super) struct At<'p> {
    parent: Option<&'p At<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Item(usize),
}

impl<'p> At<'p> {
    /// The body as a whole.
    pub(super) const BODY: At<'static> = At {
        parent: None,
        step: Step::Root,
    };

    /// A member of the object that stands here.
    pub(super) fn member(&'p self, name: &'p str) -> At<'p> {
        At {
            parent: Some(self),
            step: Step::Member(name),
        }
    }

    /// An item of the array that stands here.
    pub(super) fn item(&'p self, index: usize) -> At<'p> {
        At {
            parent: Some(self),
            step: Step::Item(index),
        }
    }

    /// As a JSON pointer; a name that is not plain is somebody's text, and becomes `?`.
    pub(super) fn place(&self) -> Place {
        let mut out = String::new();
        self.write(&mut out);
        match out.is_empty() {
            true => Place::BODY,
            false => Place::pointer(out),
        }
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
        }
        match self.step {
            Step::Root => {}
            Step::Member(name) => {
                out.push('/');
                out.push_str(match plain_name(name).as_str() {
                    "?" => "?",
                    _ => name,
                });
            }
            Step::Item(index) => {
                out.push('/');
                out.push_str(&index.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_json_pointer_without_the_client_s_text() {
        let groups = At::BODY.member("filterGroups");
        let group = groups.item(0);
        for (at, pointer) in [
            (At::BODY, "/"),
            (groups, "/filterGroups"),
            (group.member("filters"), "/filterGroups/0/filters"),
            (At::BODY.member("a b"), "/?"),
            (At::BODY.member("a/b"), "/?"),
            (At::BODY.member("<script>"), "/?"),
        ] {
            assert_eq!(at.place().as_str(), pointer);
        }
    }
}
