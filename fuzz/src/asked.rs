//! GraphQL documents read a second time: by hand, slowly, from the grammar of the specification and from what HubSpot
//! documents of its fields. For documents that the gate let pass: whatever has no place in one is an error here, so
//! that the gate may refuse what this reads, and must not read what this refuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::access::object_type::ObjectType;
use crate::catalogue;

/// What a document asks for, whichever of its operations is picked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Each type whose records, or their number, are asked for.
    pub types: BTreeMap<ObjectType, Names>,
    /// Links that are followed.
    pub links: BTreeSet<(ObjectType, ObjectType)>,
}

/// Properties, by their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those whose values would be shown.
    pub selected: BTreeSet<String>,
    /// Those that are filtered by, sorted by, or looked up.
    pub filtered: BTreeSet<String>,
}

type Read<T> = Result<T, String>;

/// Reads a document, with the variables that are sent beside it.
///
/// # Errors
/// What has no place in a document that passes.
pub fn asked(text: &str, sent: &Json) -> Read<Asked> {
    let mut reader = Reader {
        tokens: tokens(text)?,
        at: 0,
    };
    let (mut operations, mut fragments) = (Vec::new(), BTreeMap::new());
    while reader.at < reader.tokens.len() {
        match reader.peek() {
            Some(Token::Mark('{')) => operations.push(reader.operation()?),
            Some(Token::Name("query")) => {
                reader.at += 1;
                operations.push(reader.operation()?);
            }
            Some(Token::Name("fragment")) => {
                reader.at += 1;
                let name = reader.name()?;
                reader.type_condition()?;
                if fragments.insert(name, reader.set()?).is_some() {
                    return Err(format!("it has two fragments {name}"));
                }
            }
            other => return Err(format!("{other:?} begins no query and no fragment")),
        }
    }
    let mut found = Asked::default();
    for operation in &operations {
        let walk = Walk {
            operation,
            fragments: &fragments,
            sent,
        };
        walk.query(&mut found)?;
    }
    Ok(found)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Name(&'t str),
    /// A string, as it stands between its quotes.
    Text(&'t str),
    Number,
    Spread,
    /// Any other sign.
    Mark(char),
}

fn tokens(text: &str) -> Read<Vec<Token<'_>>> {
    let bytes = text.as_bytes();
    let end_of = |from: usize, inside: &dyn Fn(u8) -> bool| {
        let more = bytes[from..].iter().take_while(|byte| inside(**byte)).count();
        from + more
    };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => at += 1,
            b'#' => at = end_of(at, &|byte| byte != b'\n' && byte != b'\r'),
            b'"' => {
                at += 1;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    if bytes[at] == b'\n' || bytes[at] == b'\r' {
                        return Err("a string of it has two lines".to_owned());
                    }
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                let inner = text.get(from + 1..at).ok_or("a string of it has no end")?;
                tokens.push(Token::Text(inner));
                at += 1;
                if at > bytes.len() {
                    return Err("a string of it has no end".to_owned());
                }
            }
            b'.' if bytes[at..].starts_with(b"...") => {
                tokens.push(Token::Spread);
                at += 3;
            }
            byte if byte.is_ascii_digit() || byte == b'-' => {
                let digits = |from| end_of(from, &|byte| byte.is_ascii_digit());
                at = digits(at + 1);
                if bytes.get(at) == Some(&b'.') {
                    at = digits(at + 1);
                }
                if matches!(bytes.get(at), Some(b'e' | b'E')) {
                    at += 1;
                    at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
                    at = digits(at);
                }
                if bytes.get(at).is_some_and(|byte| in_name(*byte) || *byte == b'.') {
                    return Err("something follows right behind a number of it".to_owned());
                }
                tokens.push(Token::Number);
            }
            byte if in_name(byte) => {
                at = end_of(at, &in_name);
                tokens.push(Token::Name(&text[from..at]));
            }
            byte if b"!$&()|:=@[]{}".contains(&byte) => {
                tokens.push(Token::Mark(char::from(byte)));
                at += 1;
            }
            byte => return Err(format!("it has the byte {byte:#x}")),
        }
    }
    Ok(tokens)
}

struct Operation<'t> {
    /// Variables with the values they have when none is sent.
    defaults: BTreeMap<&'t str, Value>,
    set: Vec<Selection<'t>>,
}

enum Selection<'t> {
    Field(Field<'t>),
    Spread(&'t str),
    Inline(Vec<Selection<'t>>),
}

struct Field<'t> {
    name: &'t str,
    arguments: Vec<(&'t str, Value)>,
    set: Vec<Selection<'t>>,
}

#[derive(Clone, Debug)]
enum Value {
    Variable(String),
    Word(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
    /// What names nothing: a number, a boolean, null.
    Plain,
}

struct Reader<'t> {
    tokens: Vec<Token<'t>>,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    fn takes(&mut self, mark: char) -> bool {
        let is_there = self.peek() == Some(Token::Mark(mark));
        self.at += usize::from(is_there);
        is_there
    }

    fn must_take(&mut self, mark: char) -> Read<()> {
        match self.takes(mark) {
            true => Ok(()),
            false => Err(format!("{:?} stands where {mark} belongs", self.peek())),
        }
    }

    fn name(&mut self) -> Read<&'t str> {
        match self.peek() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name)
            }
            other => Err(format!("{other:?} stands where a name belongs")),
        }
    }

    /// What follows the word `query`, or an operation without it.
    fn operation(&mut self) -> Read<Operation<'t>> {
        if let Some(Token::Name(_)) = self.peek() {
            self.at += 1;
        }
        let mut defaults = BTreeMap::new();
        if self.takes('(') {
            while !self.takes(')') {
                self.must_take('$')?;
                let name = self.name()?;
                self.must_take(':')?;
                self.kind()?;
                let default = match self.takes('=') {
                    true => self.value()?,
                    false => Value::Plain,
                };
                if defaults.insert(name, default).is_some() {
                    return Err(format!("it has two variables {name}"));
                }
            }
        }
        let set = self.set()?;
        Ok(Operation { defaults, set })
    }

    /// The type of a variable.
    fn kind(&mut self) -> Read<()> {
        match self.takes('[') {
            true => {
                self.kind()?;
                self.must_take(']')?;
            }
            false => {
                self.name()?;
            }
        }
        self.takes('!');
        Ok(())
    }

    fn type_condition(&mut self) -> Read<()> {
        match (self.name()?, self.name()?) {
            ("on", _) => Ok(()),
            (other, _) => Err(format!("{other} stands where `on` belongs")),
        }
    }

    fn set(&mut self) -> Read<Vec<Selection<'t>>> {
        self.must_take('{')?;
        let mut set = Vec::new();
        while !self.takes('}') {
            set.push(self.selection()?);
        }
        match set.is_empty() {
            true => Err("nothing is selected somewhere".to_owned()),
            false => Ok(set),
        }
    }

    fn selection(&mut self) -> Read<Selection<'t>> {
        if self.peek() == Some(Token::Spread) {
            self.at += 1;
            match self.peek() {
                Some(Token::Name(name)) if name != "on" => {
                    self.at += 1;
                    self.directives()?;
                    return Ok(Selection::Spread(name));
                }
                Some(Token::Name(_)) => self.type_condition()?,
                _ => {}
            }
            self.directives()?;
            return Ok(Selection::Inline(self.set()?));
        }
        let mut name = self.name()?;
        if self.takes(':') {
            // What stood before it is an alias.
            name = self.name()?;
        }
        let arguments = self.arguments()?;
        self.directives()?;
        let set = match self.peek() {
            Some(Token::Mark('{')) => self.set()?,
            _ => Vec::new(),
        };
        Ok(Selection::Field(Field { name, arguments, set }))
    }

    fn arguments(&mut self) -> Read<Vec<(&'t str, Value)>> {
        let mut arguments = Vec::new();
        if self.takes('(') {
            while !self.takes(')') {
                let name = self.name()?;
                self.must_take(':')?;
                arguments.push((name, self.value()?));
            }
        }
        Ok(arguments)
    }

    /// Those that leave something out.
    fn directives(&mut self) -> Read<()> {
        while self.takes('@') {
            let name = self.name()?;
            if name != "include" && name != "skip" {
                return Err(format!("it has the directive {name}"));
            }
            self.arguments()?;
        }
        Ok(())
    }

    fn value(&mut self) -> Read<Value> {
        if self.takes('$') {
            return Ok(Value::Variable(self.name()?.to_owned()));
        }
        if self.takes('[') {
            let mut items = Vec::new();
            while !self.takes(']') {
                items.push(self.value()?);
            }
            return Ok(Value::List(items));
        }
        if self.takes('{') {
            let mut members = Vec::new();
            while !self.takes('}') {
                let name = self.name()?.to_owned();
                self.must_take(':')?;
                members.push((name, self.value()?));
            }
            return Ok(Value::Object(members));
        }
        let value = match self.peek() {
            Some(Token::Number | Token::Name("true" | "false" | "null")) => Value::Plain,
            Some(Token::Name(word) | Token::Text(word)) => Value::Word(word.to_owned()),
            other => return Err(format!("{other:?} stands where a value belongs")),
        };
        self.at += 1;
        Ok(value)
    }
}

/// The type that a field is named after, in singular or plural.
fn object(word: &str) -> Read<ObjectType> {
    let object = catalogue().object_type(word);
    object.ok_or_else(|| format!("{word} is no object type"))
}

/// What stands before the last `__`: `email__contains` is about `email`.
fn property(word: &str) -> Read<String> {
    let parts = word.rsplit_once("__");
    let name = parts.map(|(name, _)| name.to_owned());
    name.ok_or_else(|| format!("{word} names no property"))
}

fn of_json(json: &Json) -> Value {
    match json {
        Json::String(word) => Value::Word(word.clone()),
        Json::Array(items) => Value::List(items.iter().map(of_json).collect()),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), of_json(value)));
            Value::Object(members.collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Value::Plain,
    }
}

/// One operation, from level to level.
struct Walk<'w, 't> {
    operation: &'w Operation<'t>,
    fragments: &'w BTreeMap<&'t str, Vec<Selection<'t>>>,
    sent: &'w Json,
}

impl<'w, 't> Walk<'w, 't> {
    /// The fields of a level; fragments stand for what is in them.
    fn fields(&self, set: &'w [Selection<'t>]) -> Read<Vec<&'w Field<'t>>> {
        let mut fields = Vec::new();
        for selection in set {
            match selection {
                Selection::Field(field) => fields.push(field),
                Selection::Inline(set) => fields.extend(self.fields(set)?),
                Selection::Spread(name) => {
                    let set = self.fragments.get(name);
                    let set = set.ok_or_else(|| format!("it has no fragment {name}"))?;
                    fields.extend(self.fields(set)?);
                }
            }
        }
        Ok(fields)
    }

    fn query(&self, found: &mut Asked) -> Read<()> {
        for field in self.fields(&self.operation.set)? {
            match field.name {
                "__typename" => leaf(field)?,
                "CRM" => {
                    plain(field)?;
                    self.records(found, field)?;
                }
                other => return Err(format!("it asks for {other}")),
            }
        }
        Ok(())
    }

    fn records(&self, found: &mut Asked, crm: &'w Field<'t>) -> Read<()> {
        for field in self.fields(&crm.set)? {
            if field.name == "__typename" {
                leaf(field)?;
            } else if let Some(word) = field.name.strip_suffix("_collection") {
                self.collection(found, &object(word)?, field)?;
            } else {
                let object = object(field.name)?;
                let names = found.types.entry(object.clone()).or_default();
                for (name, value) in &field.arguments {
                    match *name {
                        "uniqueIdentifier" => match self.value(value)? {
                            Value::Word(word) if word == "id" => {}
                            Value::Word(word) => {
                                names.filtered.insert(word);
                            }
                            other => return Err(format!("one is looked up by {other:?}")),
                        },
                        "uniqueIdentifierValue" => {}
                        other => return Err(format!("one is looked up by {other}")),
                    }
                }
                self.record(found, &object, field)?;
            }
        }
        Ok(())
    }

    fn collection(&self, found: &mut Asked, object: &ObjectType, field: &'w Field<'t>) -> Read<()> {
        let names = found.types.entry(object.clone()).or_default();
        for (name, value) in &field.arguments {
            match *name {
                "limit" | "offset" => {}
                "filter" => self.filter(names, &self.value(value)?)?,
                "orderBy" => self.order(names, &self.value(value)?)?,
                other => return Err(format!("a collection is chosen by {other}")),
            }
        }
        for field in self.fields(&field.set)? {
            match field.name {
                "items" => {
                    plain(field)?;
                    self.record(found, object, field)?;
                }
                "total" | "hasMore" | "offset" | "limit" | "__typename" => leaf(field)?,
                other => return Err(format!("a collection is asked for {other}")),
            }
        }
        Ok(())
    }

    fn record(&self, found: &mut Asked, from: &ObjectType, record: &'w Field<'t>) -> Read<()> {
        found.types.entry(from.clone()).or_default();
        for field in self.fields(&record.set)? {
            plain(field)?;
            match field.name {
                "__typename" => leaf(field)?,
                "_metadata" => self.leaves(field, &["id"])?,
                "associations" => {
                    for field in self.fields(&field.set)? {
                        if field.name == "__typename" {
                            leaf(field)?;
                            continue;
                        }
                        let parts = field.name.split_once("_collection__");
                        let (word, _) = parts.ok_or_else(|| format!("{} is no link", field.name))?;
                        let to = object(word)?;
                        found.links.insert((from.clone(), to.clone()));
                        self.collection(found, &to, field)?;
                    }
                }
                name => {
                    self.leaves(field, &["label", "value"])?;
                    let names = found.types.entry(from.clone()).or_default();
                    names.selected.insert(name.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Nothing but these, each without parts of its own.
    fn leaves(&self, field: &'w Field<'t>, known: &[&str]) -> Read<()> {
        for part in self.fields(&field.set)? {
            leaf(part)?;
            if !known.contains(&part.name) && part.name != "__typename" {
                return Err(format!("{} is asked for {}", field.name, part.name));
            }
        }
        Ok(())
    }

    /// A value, or what a variable stands for. A `null` that is sent hides no default.
    fn value(&self, value: &Value) -> Read<Value> {
        let Value::Variable(name) = value else {
            return Ok(value.clone());
        };
        let default = self.operation.defaults.get(name.as_str());
        let default = default.ok_or_else(|| format!("it has no variable {name}"))?;
        Ok(match self.sent.get(name) {
            Some(sent) if !sent.is_null() => of_json(sent),
            _ => default.clone(),
        })
    }

    fn filter(&self, names: &mut Names, filter: &Value) -> Read<()> {
        match filter {
            Value::Plain => {}
            Value::List(filters) => {
                for filter in filters {
                    self.filter(names, &self.value(filter)?)?;
                }
            }
            Value::Object(members) => {
                for (key, value) in members {
                    match key.as_str() {
                        "AND" | "OR" => self.filter(names, &self.value(value)?)?,
                        key => {
                            names.filtered.insert(property(key)?);
                        }
                    }
                }
            }
            other => return Err(format!("it filters by {other:?}")),
        }
        Ok(())
    }

    fn order(&self, names: &mut Names, order: &Value) -> Read<()> {
        let words = match order {
            Value::List(words) => words.as_slice(),
            word => std::slice::from_ref(word),
        };
        for word in words {
            match self.value(word)? {
                Value::Plain => {}
                Value::Word(word) => {
                    names.filtered.insert(property(&word)?);
                }
                other => return Err(format!("it sorts by {other:?}")),
            }
        }
        Ok(())
    }
}

fn plain(field: &Field<'_>) -> Read<()> {
    match field.arguments.is_empty() {
        true => Ok(()),
        false => Err(format!("{} has arguments", field.name)),
    }
}

fn leaf(field: &Field<'_>) -> Read<()> {
    plain(field)?;
    match field.set.is_empty() {
        true => Ok(()),
        false => Err(format!("{} has parts", field.name)),
    }
}
