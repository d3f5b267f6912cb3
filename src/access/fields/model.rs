//! What a filtered answer must be, worked out slowly on a tree: the filter's oracle.
//!
//! It shares no code with the [filter](super::filter) but the names of violations, and it never
//! runs on an answer to a client. It knows no bound but that of nesting.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::filter::Violation;
use super::grant::View;
use super::shape::{Members, Of, Shape, Unknown, Views};

/// Deepest nesting of arrays and objects.
const DEPTH: usize = 64;

/// A JSON value. Objects keep the order of their members, and every one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tree {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    String(Text),
    /// An array.
    Array(Vec<Tree>),
    /// An object.
    Object(Vec<(String, Tree)>),
}

/// A string of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What it stands for.
    pub text: String,
    /// Whether it is written with an escape.
    pub is_escaped: bool,
}

/// An answer as a client may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// What is left; nothing of an answer without a body.
    pub tree: Option<Tree>,
    /// How many values were removed or replaced.
    pub stripped: u64,
}

/// Filters a whole answer.
pub fn filtered(shape: &'static Shape, views: &Views, answer: &[u8]) -> Result<Filtered, Violation> {
    if answer.is_empty() {
        return Ok(Filtered {
            tree: None,
            stripped: 0,
        });
    }
    let tree = parsed(answer)?;
    let mut walk = Walk { views, stripped: 0 };
    let own = views.of(u8::MAX);
    let left = walk.value(shape, &tree, &own)?;
    Ok(Filtered {
        tree: Some(left.unwrap_or(Tree::Null)),
        stripped: walk.stripped,
    })
}

/// Parses strictly, but for members of one name.
pub fn parsed(answer: &[u8]) -> Result<Tree, Violation> {
    let text = std::str::from_utf8(answer).map_err(|_| Violation::NotJson)?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| Violation::NotJson)?;
    tree(raw.get(), 0)
}

fn tree(text: &str, depth: usize) -> Result<Tree, Violation> {
    let inner = |raw: &RawValue| match depth < DEPTH {
        true => tree(raw.get(), depth + 1),
        false => Err(Violation::TooDeep),
    };
    match text.as_bytes().first() {
        Some(b'n') => Ok(Tree::Null),
        Some(b't') => Ok(Tree::Bool(true)),
        Some(b'f') => Ok(Tree::Bool(false)),
        Some(b'"') => Ok(Tree::String(Text {
            is_escaped: text.contains('\\'),
            text: parse(text)?,
        })),
        Some(b'[') if depth == DEPTH => Err(Violation::TooDeep),
        Some(b'{') if depth == DEPTH => Err(Violation::TooDeep),
        Some(b'[') => {
            let elements: Vec<&RawValue> = parse(text)?;
            let elements = elements.into_iter().map(inner);
            elements.collect::<Result<_, _>>().map(Tree::Array)
        }
        Some(b'{') => {
            let Pairs(pairs) = parse(text)?;
            let members = pairs.into_iter().map(|(name, raw)| Ok((name, inner(raw)?)));
            members.collect::<Result<_, _>>().map(Tree::Object)
        }
        _ => Ok(Tree::Number(text.to_owned())),
    }
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Violation> {
    serde_json::from_str(text).map_err(|_| Violation::NotJson)
}

/// The members of an object, each with its value's text.
struct Pairs<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Pairs<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'t> Visitor<'t> for All {
            type Value = Pairs<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Pairs<'t>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// What is left of a value; `None` if it goes.
type Left = Result<Option<Tree>, Violation>;

struct Walk<'v> {
    views: &'v Views,
    stripped: u64,
}

impl Walk<'_> {
    fn view(&self, of: Of, own: &View) -> View {
        match of {
            Of::Type(position) => self.views.of(position),
            Of::Own => own.clone(),
        }
    }

    fn gone(&mut self) -> Left {
        self.stripped += 1;
        Ok(None)
    }

    fn instead(&mut self, tree: Tree) -> Left {
        self.stripped += 1;
        Ok(Some(tree))
    }

    fn value(&mut self, shape: &Shape, value: &Tree, own: &View) -> Left {
        match (shape, value) {
            (Shape::Drop, _) => self.gone(),
            (Shape::IfAll(of, all, _), _) if self.view(*of, own).reads_all() => self.value(all, value, own),
            (Shape::IfAll(_, _, some), _) => self.value(some, value, own),
            (Shape::Either { object, .. }, Tree::Object(_)) => self.value(object, value, own),
            (Shape::Either { array, .. }, Tree::Array(_)) => self.value(array, value, own),
            (Shape::Kinds { object, .. }, Tree::Object(_)) => self.value(object, value, own),
            (Shape::Kinds { array, .. }, Tree::Array(_)) => self.value(array, value, own),
            (Shape::Kinds { scalar, .. }, _) => self.value(scalar, value, own),
            (_, Tree::Null) => Ok(Some(Tree::Null)),
            (Shape::Any, _) => any(value).map(Some),
            (Shape::Scalar, Tree::Bool(_) | Tree::Number(_) | Tree::String(_)) => Ok(Some(value.clone())),
            (Shape::Text(text), Tree::String(_)) => self.instead(ours(text)),
            (Shape::TextUnless(kept, _), Tree::String(text))
                if !text.is_escaped && kept.contains(&text.text.as_str()) =>
            {
                Ok(Some(value.clone()))
            }
            (Shape::TextUnless(_, text), Tree::Bool(_) | Tree::Number(_) | Tree::String(_)) => {
                self.instead(ours(text))
            }
            (Shape::Object(members), Tree::Object(pairs)) => self.object(members, pairs, own),
            (Shape::Array(item), Tree::Array(elements)) => {
                self.elements(elements, |walk, element| walk.value(item, element, own))
            }
            (Shape::Map(item), Tree::Object(pairs)) => {
                self.members(pairs, |walk, _, value| walk.value(item, value, own))
            }
            (Shape::Properties { of, .. }, Tree::Object(pairs)) => {
                let view = self.view(*of, own);
                self.members(pairs, |walk, name, value| {
                    walk.property(shape, &view, name, value, own)
                })
            }
            (Shape::Named { of, key, item }, Tree::Array(elements)) => {
                let view = self.view(*of, own);
                self.elements(elements, |walk, element| match element {
                    Tree::Null => Ok(Some(Tree::Null)),
                    _ => walk.named(&view, key, item, element, own),
                })
            }
            (Shape::NamedOne { of, key, item }, Tree::Object(_)) => {
                let view = self.view(*of, own);
                let left = self.named(&view, key, item, value, own)?;
                Ok(Some(left.unwrap_or(Tree::Object(Vec::new()))))
            }
            (Shape::NameList(of), Tree::Array(elements)) => {
                let view = self.view(*of, own);
                self.elements(elements, |walk, element| match element {
                    Tree::Null => Ok(Some(Tree::Null)),
                    Tree::String(name) if view.reads(&name.text) => Ok(Some(element.clone())),
                    Tree::String(_) => walk.gone(),
                    _ => Err(Violation::WrongKind),
                })
            }
            (Shape::Name(of), Tree::String(name)) => match self.view(*of, own).reads(&name.text) {
                true => Ok(Some(value.clone())),
                false => self.instead(Tree::Null),
            },
            (Shape::Typed { keys, members }, Tree::Object(pairs)) => {
                let own = self.own(keys, pairs)?;
                self.object(members, pairs, &own)
            }
            _ => Err(Violation::WrongKind),
        }
    }

    fn property(&mut self, shape: &Shape, view: &View, name: &str, value: &Tree, own: &View) -> Left {
        match shape {
            Shape::Properties { value: full, .. } if view.reads_history(name) => self.value(full, value, own),
            Shape::Properties {
                granted: false, bare, ..
            } if view.reads(name) => self.value(bare, value, own),
            _ => self.gone(),
        }
    }

    fn named(&mut self, view: &View, key: &str, item: &Members, element: &Tree, own: &View) -> Left {
        let Tree::Object(pairs) = element else {
            return Err(Violation::WrongKind);
        };
        match pairs.iter().find(|(name, _)| name == key) {
            Some((_, Tree::String(property))) if view.reads(&property.text) => self.object(item, pairs, own),
            Some((_, Tree::String(_))) => self.gone(),
            _ => Err(Violation::Unnamed),
        }
    }

    fn own(&self, keys: &[&str], pairs: &[(String, Tree)]) -> Result<View, Violation> {
        let mut spellings = Vec::new();
        for (name, value) in pairs {
            match value {
                _ if !keys.contains(&name.as_str()) => {}
                Tree::String(spelling) => spellings.push(spelling.text.as_str()),
                Tree::Null => {}
                _ => return Err(Violation::Unnamed),
            }
        }
        match spellings.is_empty() {
            true => Err(Violation::Unnamed),
            false => Ok(self.views.bounds.view_of_spellings(spellings)),
        }
    }

    fn object(&mut self, members: &Members, pairs: &[(String, Tree)], own: &View) -> Left {
        self.members(pairs, |walk, name, value| {
            let known = members.known.iter().find(|(known, _)| *known == name);
            match (known, members.unknown, value) {
                (Some((_, shape)), _, _) => walk.value(shape, value, own),
                (None, Unknown::Refused, Tree::Object(_) | Tree::Array(_)) => {
                    Err(Violation::UnknownContainer)
                }
                (None, _, _) => walk.gone(),
            }
        })
    }

    fn members(
        &mut self,
        pairs: &[(String, Tree)],
        mut left: impl FnMut(&mut Self, &str, &Tree) -> Left,
    ) -> Left {
        each_name_once(pairs)?;
        let mut kept = Vec::new();
        for (name, value) in pairs {
            if let Some(value) = left(self, name, value)? {
                kept.push((name.clone(), value));
            }
        }
        Ok(Some(Tree::Object(kept)))
    }

    fn elements(&mut self, elements: &[Tree], mut left: impl FnMut(&mut Self, &Tree) -> Left) -> Left {
        let mut kept = Vec::new();
        for element in elements {
            kept.extend(left(self, element)?);
        }
        Ok(Some(Tree::Array(kept)))
    }
}

fn ours(text: &str) -> Tree {
    Tree::String(Text {
        text: text.to_owned(),
        is_escaped: false,
    })
}

fn any(value: &Tree) -> Result<Tree, Violation> {
    match value {
        Tree::Array(elements) => elements.iter().try_for_each(|element| any(element).map(drop))?,
        Tree::Object(pairs) => {
            each_name_once(pairs)?;
            pairs.iter().try_for_each(|(_, value)| any(value).map(drop))?;
        }
        _ => {}
    }
    Ok(value.clone())
}

fn each_name_once(pairs: &[(String, Tree)]) -> Result<(), Violation> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).any(|two| two.first() == two.last()) {
        true => Err(Violation::DuplicateName),
        false => Ok(()),
    }
}
