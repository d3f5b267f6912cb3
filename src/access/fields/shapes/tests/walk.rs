//! A slow walk along a shape, to try samples against it. It is no filter: it takes a parsed answer.

use serde_json::{Map, Value};

use crate::access::fields::grant::View;
use crate::access::fields::shape::{Members, Of, Shape, Unknown, Views};

/// What is left of an answer; what does not fit is said.
pub(super) fn walk(shape: &Shape, views: &Views, answer: &Value) -> Result<Value, String> {
    let walker = Walker {
        views,
        own: views.bounds.view_of_spellings([]),
    };
    let left = walker.value(shape, answer, "")?;
    Ok(left.unwrap_or(Value::Null))
}

struct Walker<'v> {
    views: &'v Views,
    own: View,
}

type Left = Result<Option<Value>, String>;

impl Walker<'_> {
    fn view(&self, of: Of) -> View {
        match of {
            Of::Type(position) => self.views.of(position),
            Of::Own => self.own.clone(),
        }
    }

    fn value(&self, shape: &Shape, value: &Value, place: &str) -> Left {
        match (shape, value) {
            (Shape::Drop, _) => Ok(None),
            (Shape::IfAll(of, all, some), _) => match self.view(*of).reads_all() {
                true => self.value(all, value, place),
                false => self.value(some, value, place),
            },
            (
                Shape::Kinds {
                    scalar,
                    object,
                    array,
                },
                _,
            ) => match value {
                Value::Object(_) => self.value(object, value, place),
                Value::Array(_) => self.value(array, value, place),
                _ => self.value(scalar, value, place),
            },
            (Shape::Either { object, .. }, Value::Object(_)) => self.value(object, value, place),
            (Shape::Either { array, .. }, Value::Array(_)) => self.value(array, value, place),
            (_, Value::Null) | (Shape::Any, _) => Ok(Some(value.clone())),
            (Shape::Scalar, Value::Bool(_) | Value::Number(_) | Value::String(_)) => Ok(Some(value.clone())),
            (Shape::Text(text), Value::String(_)) => Ok(Some(Value::from(*text))),
            (Shape::TextUnless(kept, text), Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                let is_kept = value.as_str().is_some_and(|text| kept.contains(&text));
                Ok(Some(if is_kept {
                    value.clone()
                } else {
                    Value::from(*text)
                }))
            }
            (Shape::Name(of), Value::String(name)) => {
                let name = self.view(*of).reads(name).then(|| value.clone());
                Ok(Some(name.unwrap_or(Value::Null)))
            }
            (_, Value::Object(members)) => self.object(shape, members, place),
            (_, Value::Array(elements)) => self.array(shape, elements, place),
            _ => Err(format!("{place}: a scalar")),
        }
    }

    fn object(&self, shape: &Shape, members: &Map<String, Value>, place: &str) -> Left {
        match shape {
            Shape::Object(known) => self.members(known, members, place),
            Shape::Map(shape) => self.each(members, place, &|_| Some(shape)),
            Shape::Properties {
                of,
                granted,
                value,
                bare,
            } => {
                let view = self.view(*of);
                self.each(members, place, &|name| match view.reads_history(name) {
                    true => Some(value),
                    false if !granted && view.reads(name) => Some(bare),
                    false => None,
                })
            }
            Shape::NamedOne { of, key, item } => {
                let left = self.named(*of, key, item, members, place)?;
                Ok(Some(left.unwrap_or_else(|| Value::Object(Map::new()))))
            }
            Shape::Typed { keys, members: known } => {
                let spellings = keys.iter().filter_map(|key| members.get(*key)?.as_str());
                let inner = Walker {
                    views: self.views,
                    own: self.views.bounds.view_of_spellings(spellings),
                };
                inner.members(known, members, place)
            }
            _ => Err(format!("{place}: an object")),
        }
    }

    fn array(&self, shape: &Shape, elements: &[Value], place: &str) -> Left {
        let mut left = Vec::new();
        for element in elements {
            left.extend(match (shape, element) {
                (Shape::Array(shape), _) => self.value(shape, element, &format!("{place}[]"))?,
                (Shape::Named { of, key, item }, Value::Object(members)) => {
                    self.named(*of, key, item, members, place)?
                }
                (Shape::NameList(of), Value::String(name)) => {
                    self.view(*of).reads(name).then(|| element.clone())
                }
                _ => return Err(format!("{place}: an array")),
            });
        }
        Ok(Some(Value::Array(left)))
    }

    fn named(&self, of: Of, key: &str, item: &Members, members: &Map<String, Value>, place: &str) -> Left {
        let name = members.get(key).and_then(Value::as_str);
        let name = name.ok_or_else(|| format!("{place}: no `{key}`"))?;
        match self.view(of).reads(name) {
            true => self.members(item, members, place),
            false => Ok(None),
        }
    }

    fn members(&self, known: &Members, members: &Map<String, Value>, place: &str) -> Left {
        for (name, value) in members {
            let is_known = known.known.iter().any(|(known, _)| known == name);
            if !is_known && known.unknown == Unknown::Refused && (value.is_object() || value.is_array()) {
                return Err(format!("{place}: unknown container `{name}`"));
            }
        }
        self.each(members, place, &|name| {
            let found = known.known.iter().find(|(known, _)| *known == name);
            found.map(|(_, shape)| shape)
        })
    }

    fn each<'s>(
        &self,
        members: &Map<String, Value>,
        place: &str,
        shape_of: &dyn Fn(&str) -> Option<&'s Shape>,
    ) -> Left {
        let mut left = Map::new();
        for (name, value) in members {
            if let Some(shape) = shape_of(name)
                && let Some(value) = self.value(shape, value, &format!("{place}/{name}"))?
            {
                left.insert(name.clone(), value);
            }
        }
        Ok(Some(Value::Object(left)))
    }
}
