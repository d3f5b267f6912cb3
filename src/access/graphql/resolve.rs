//! From a document to the types and properties it asks for, level by level: root, collection, record,
//! associations.

use super::document::{Document, Field, MALFORMED, Operation, Selection, Value};
use super::names::{self, Root};
use super::{Asked, DEPTH, FIELDS, Resolved, TYPES};
use crate::access::catalogue::Catalogue;
use crate::access::json::{Json, Text};
use crate::access::object_type::ObjectType;
use crate::access::refusal::{Reason, Refusal};

/// Most fragments of one document, and most of them one inside the other.
const FRAGMENTS: usize = 100;

/// Leaves of a collection that tell of no record's values.
const COUNTS: [&str; 5] = ["total", "hasMore", "offset", "limit", "__typename"];

/// Resolves every operation of a document.
pub(super) fn document(
    catalogue: &Catalogue,
    document: &Document,
    variables: &[(Text, Json)],
) -> Result<Resolved, Refusal> {
    if document.fragments.len() > FRAGMENTS {
        return Err(TOO_MUCH);
    }
    let mut resolving = Resolving {
        catalogue,
        document,
        variables,
        found: Resolved::default(),
        seen: 0,
    };
    for operation in &document.operations {
        for field in resolving.fields(&operation.selections)? {
            match field.name.as_str() {
                "__typename" if is_leaf(field) => {}
                "CRM" if field.arguments.is_empty() => resolving.roots(operation, field)?,
                _ => return Err(UNRESOLVED),
            }
        }
    }
    match resolving.found.types.is_empty() {
        true => Err(UNRESOLVED),
        false => Ok(resolving.found),
    }
}

struct Resolving<'a> {
    catalogue: &'a Catalogue,
    document: &'a Document,
    variables: &'a [(Text, Json)],
    found: Resolved,
    /// Fields looked at so far, those of fragments once a use.
    seen: usize,
}

impl<'a> Resolving<'a> {
    /// The fields inside one that must have some.
    fn inside(&mut self, field: &'a Field) -> Result<Vec<&'a Field>, Refusal> {
        match field.selections.is_empty() {
            true => Err(UNRESOLVED),
            false => self.fields(&field.selections),
        }
    }

    /// The fields of one level, those of fragments where they are spread.
    fn fields(&mut self, selections: &'a [Selection]) -> Result<Vec<&'a Field>, Refusal> {
        let mut fields = Vec::new();
        // Selections that are left, each with the number of fragments it stands in.
        let mut left: Vec<(&'a Selection, usize)> = selections.iter().map(|each| (each, 0)).collect();
        while let Some((selection, inside)) = left.pop() {
            self.seen += 1;
            if self.seen > FIELDS || inside > FRAGMENTS {
                return Err(TOO_MUCH);
            }
            match selection {
                Selection::Field(field) => fields.push(field),
                Selection::Inline(more) => left.extend(more.iter().map(|each| (each, inside + 1))),
                Selection::Spread(name) => {
                    let more = self.document.fragment(name)?;
                    left.extend(more.iter().map(|each| (each, inside + 1)));
                }
            }
        }
        Ok(fields)
    }

    fn roots(&mut self, operation: &'a Operation, crm: &'a Field) -> Result<(), Refusal> {
        for field in self.inside(crm)? {
            if field.name == "__typename" && is_leaf(field) {
                continue;
            }
            match names::root(self.catalogue, &field.name).ok_or(UNRESOLVED)? {
                Root::One(object) => {
                    self.look_up(operation, &object, field)?;
                    self.record(operation, &object, field, 0)?;
                }
                Root::Collection(object) => self.collection(operation, &object, field, 0)?,
            }
        }
        Ok(())
    }

    /// `contact(uniqueIdentifier: "email", uniqueIdentifierValue: …)` looks a record up by a property.
    fn look_up(
        &mut self,
        operation: &'a Operation,
        object: &ObjectType,
        field: &'a Field,
    ) -> Result<(), Refusal> {
        for (name, value) in &field.arguments {
            match name.as_str() {
                "uniqueIdentifier" => match self.value(operation, value)? {
                    Value::Word(word) if word == "id" => {}
                    Value::Word(word) if names::is_plain(&word) => {
                        names::add(&mut self.asked(object)?.filtered, &word);
                    }
                    _ => return Err(UNRESOLVED),
                },
                "uniqueIdentifierValue" => {}
                _ => return Err(UNRESOLVED),
            }
        }
        Ok(())
    }

    fn collection(
        &mut self,
        operation: &'a Operation,
        object: &ObjectType,
        field: &'a Field,
        depth: usize,
    ) -> Result<(), Refusal> {
        // A collection is asked for even if only its size is.
        self.asked(object)?;
        for (name, value) in &field.arguments {
            match name.as_str() {
                "limit" | "offset" => {}
                "filter" => {
                    let filter = self.value(operation, value)?;
                    self.filter(operation, object, &filter, 0)?;
                }
                "orderBy" => {
                    let order = self.value(operation, value)?;
                    self.order(operation, object, &order)?;
                }
                _ => return Err(UNRESOLVED),
            }
        }
        for field in self.inside(field)? {
            match field.name.as_str() {
                "items" if field.arguments.is_empty() => {
                    self.record(operation, object, field, depth)?;
                }
                name if COUNTS.contains(&name) && is_leaf(field) => {}
                _ => return Err(UNRESOLVED),
            }
        }
        Ok(())
    }

    /// A record's properties, and the records it is linked to.
    fn record(
        &mut self,
        operation: &'a Operation,
        object: &ObjectType,
        record: &'a Field,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth == DEPTH {
            return Err(TOO_MUCH);
        }
        self.asked(object)?;
        for field in self.inside(record)? {
            match field.name.as_str() {
                "__typename" if is_leaf(field) => {}
                "_metadata" if field.arguments.is_empty() => self.only(field, &["id"])?,
                "associations" if field.arguments.is_empty() => {
                    for field in self.inside(field)? {
                        if field.name == "__typename" && is_leaf(field) {
                            continue;
                        }
                        let to = names::association(self.catalogue, &field.name).ok_or(UNRESOLVED)?;
                        self.link(object, &to)?;
                        self.collection(operation, &to, field, depth + 1)?;
                    }
                }
                name if name.starts_with("__") || !field.arguments.is_empty() => return Err(UNRESOLVED),
                name => {
                    // An enumeration's value comes with its label; nothing else has parts that are known.
                    self.only(field, &["label", "value"])?;
                    names::add(&mut self.asked(object)?.selected, name);
                }
            }
        }
        Ok(())
    }

    /// The field has no selections, or these alone.
    fn only(&mut self, field: &'a Field, known: &[&str]) -> Result<(), Refusal> {
        for part in self.fields(&field.selections)? {
            let is_known = known.contains(&part.name.as_str()) || part.name == "__typename";
            if !is_known || !is_leaf(part) {
                return Err(UNRESOLVED);
            }
        }
        Ok(())
    }

    /// `{email__contains: …, OR: [{…}]}`, in the document or in a variable.
    fn filter(
        &mut self,
        operation: &'a Operation,
        object: &ObjectType,
        filter: &Value,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth == DEPTH {
            return Err(TOO_MUCH);
        }
        match filter {
            Value::Other => Ok(()),
            Value::List(filters) => filters.iter().try_for_each(|each| {
                let each = self.value(operation, each)?;
                self.filter(operation, object, &each, depth + 1)
            }),
            Value::Object(members) => {
                for (key, value) in members {
                    if key == "AND" || key == "OR" {
                        let value = self.value(operation, value)?;
                        self.filter(operation, object, &value, depth + 1)?;
                        continue;
                    }
                    let name = names::filtered(key).ok_or(UNRESOLVED)?;
                    names::add(&mut self.asked(object)?.filtered, name);
                }
                Ok(())
            }
            Value::Variable(_) | Value::Word(_) => Err(UNRESOLVED),
        }
    }

    /// `createdate__desc`, or a list of such words.
    fn order(&mut self, operation: &'a Operation, object: &ObjectType, order: &Value) -> Result<(), Refusal> {
        let words = match order {
            Value::List(words) => words.as_slice(),
            word => std::slice::from_ref(word),
        };
        for word in words {
            match self.value(operation, word)? {
                Value::Word(word) => {
                    let name = names::sorted(&word).ok_or(UNRESOLVED)?;
                    names::add(&mut self.asked(object)?.filtered, name);
                }
                Value::Other => {}
                _ => return Err(UNRESOLVED),
            }
        }
        Ok(())
    }

    /// A value, or what the variable it names stands for: as sent, else as the operation says. A `null`
    /// that is sent hides no default: some take it for nothing sent.
    fn value(&self, operation: &Operation, value: &Value) -> Result<Value, Refusal> {
        let Value::Variable(name) = value else {
            return Ok(value.clone());
        };
        let default = operation.defaults.iter().find(|(known, _)| known == name);
        let (_, default) = default.ok_or(MALFORMED)?;
        let value = match self.variables.iter().find(|(known, _)| known == name) {
            Some((_, sent)) if *sent != Json::Null => of_json(sent),
            _ => default.clone(),
        };
        match value {
            // A default is a constant.
            Value::Variable(_) => Err(MALFORMED),
            value => Ok(value),
        }
    }

    fn asked(&mut self, object: &ObjectType) -> Result<&mut Asked, Refusal> {
        let types = &mut self.found.types;
        let at = match types.iter().position(|asked| asked.object == *object) {
            Some(at) => at,
            None if types.len() == TYPES => return Err(TOO_MUCH),
            None => {
                types.push(Asked {
                    object: object.clone(),
                    selected: Default::default(),
                    filtered: Default::default(),
                });
                types.len() - 1
            }
        };
        types.get_mut(at).ok_or(TOO_MUCH)
    }

    fn link(&mut self, from: &ObjectType, to: &ObjectType) -> Result<(), Refusal> {
        let pair = (from.clone(), to.clone());
        let links = &mut self.found.associations;
        if links.contains(&pair) {
            return Ok(());
        }
        if links.len() == TYPES {
            return Err(TOO_MUCH);
        }
        links.push(pair);
        Ok(())
    }
}

fn is_leaf(field: &Field) -> bool {
    field.arguments.is_empty() && field.selections.is_empty()
}

/// A variable as sent. A string that begins with `$` is no variable.
fn of_json(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::Word(text.to_string()),
        Json::Array(items) => Value::List(items.iter().map(of_json).collect()),
        Json::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| (key.to_string(), of_json(value)))
                .collect(),
        ),
        Json::Null | Json::Bool(_) | Json::Number(_) => Value::Other,
    }
}

pub(super) const UNRESOLVED: Refusal = Refusal::new(
    Reason::RefusedUnjudged,
    "the GraphQL document asks for something whose object type or property the gate can't tell",
    "ask for records below `CRM`, their properties and `associations`, as HubSpot documents them",
);
const TOO_MUCH: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the GraphQL document asks for more, or nests deeper, than the gate looks at",
    "ask for less at once; a fragment must not use itself",
);
