//! A document as parsed: operations, fragments, fields with their arguments. Aliases and type
//! conditions are left out, since they change nothing of what is asked for.
//!
//! What GraphQL parsers disagree on is refused before the grammar is asked: bytes beyond ASCII (some
//! parsers end a comment at U+2028), a carriage return by itself, block strings.

use apollo_parser::Parser;
use apollo_parser::cst::{self, CstNode};

use super::{DEPTH, DOCUMENT_BYTES, TOKENS};
use crate::access::refusal::{Reason, Refusal};

/// An executable document of queries alone.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) operations: Vec<Operation>,
    pub(super) fragments: Vec<(String, Vec<Selection>)>,
}

/// One query.
#[derive(Debug)]
pub(super) struct Operation {
    /// Variables with the values they have when none is sent.
    pub(super) defaults: Vec<(String, Value)>,
    pub(super) selections: Vec<Selection>,
}

/// What a selection set holds.
#[derive(Debug)]
pub(super) enum Selection {
    Field(Field),
    /// A fragment by its name.
    Spread(String),
    Inline(Vec<Selection>),
}

/// A field, by its own name.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) arguments: Vec<(String, Value)>,
    pub(super) selections: Vec<Selection>,
}

/// The value of an argument. Strings are as written between their quotes: one with an escape is no
/// plain word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Variable(String),
    Word(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
    /// A number, a boolean or null.
    Other,
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        check_bytes(text)?;
        let tree = Parser::new(text)
            .recursion_limit(DEPTH)
            .token_limit(TOKENS)
            .parse();
        if tree.errors().next().is_some() {
            return Err(MALFORMED);
        }
        let mut document = Self::default();
        for definition in tree.document().definitions() {
            document.add(definition)?;
        }
        match document.operations.is_empty() {
            true => Err(MALFORMED),
            false => Ok(document),
        }
    }

    fn add(&mut self, definition: cst::Definition) -> Result<(), Refusal> {
        match definition {
            cst::Definition::OperationDefinition(operation) => {
                let kind = operation.operation_type();
                if kind.is_some_and(|kind| kind.query_token().is_none()) {
                    return Err(NO_QUERY);
                }
                if operation.directives().is_some() {
                    return Err(DIRECTIVE);
                }
                self.operations.push(Operation {
                    defaults: defaults(operation.variable_definitions())?,
                    selections: selections(operation.selection_set())?,
                });
                Ok(())
            }
            cst::Definition::FragmentDefinition(fragment) => {
                if fragment.directives().is_some() {
                    return Err(DIRECTIVE);
                }
                let name = fragment.fragment_name().and_then(|name| name.name());
                let name = text_of(name)?;
                if self.fragments.iter().any(|(other, _)| *other == name) {
                    return Err(MALFORMED);
                }
                self.fragments.push((name, selections(fragment.selection_set())?));
                Ok(())
            }
            _ => Err(NO_QUERY),
        }
    }

    /// The selections of a fragment.
    pub(super) fn fragment(&self, name: &str) -> Result<&[Selection], Refusal> {
        let found = self.fragments.iter().find(|(known, _)| known == name);
        found
            .map(|(_, selections)| selections.as_slice())
            .ok_or(MALFORMED)
    }
}

fn check_bytes(text: &str) -> Result<(), Refusal> {
    if text.len() > DOCUMENT_BYTES {
        return Err(TOO_LONG);
    }
    let is_plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let lone_return = text.replace("\r\n", "").contains('\r');
    if !text.bytes().all(is_plain) || lone_return || text.contains("\"\"\"") {
        return Err(ODD_BYTES);
    }
    Ok(())
}

fn defaults(definitions: Option<cst::VariableDefinitions>) -> Result<Vec<(String, Value)>, Refusal> {
    let mut defaults: Vec<(String, Value)> = Vec::new();
    let Some(definitions) = definitions else {
        return Ok(defaults);
    };
    for definition in definitions.variable_definitions() {
        if definition.directives().is_some() {
            return Err(DIRECTIVE);
        }
        let variable = definition.variable().ok_or(MALFORMED)?;
        let name = text_of(variable.name())?;
        // The grammar allows it, and servers differ on which one counts.
        if defaults.iter().any(|(other, _)| *other == name) {
            return Err(MALFORMED);
        }
        let value = match definition.default_value() {
            Some(default) => value(default.value())?,
            None => Value::Other,
        };
        defaults.push((name, value));
    }
    Ok(defaults)
}

/// Recursion is bounded: the parser has counted the depth.
fn selections(set: Option<cst::SelectionSet>) -> Result<Vec<Selection>, Refusal> {
    let Some(set) = set else {
        return Err(MALFORMED);
    };
    let selected: Vec<Selection> = set.selections().map(selection).collect::<Result<_, _>>()?;
    match selected.is_empty() {
        true => Err(MALFORMED),
        false => Ok(selected),
    }
}

fn selection(selection: cst::Selection) -> Result<Selection, Refusal> {
    Ok(match selection {
        cst::Selection::Field(field) => {
            check_directives(field.directives())?;
            Selection::Field(Field {
                name: text_of(field.name())?,
                arguments: arguments(field.arguments())?,
                selections: match field.selection_set() {
                    Some(set) => selections(Some(set))?,
                    None => Vec::new(),
                },
            })
        }
        cst::Selection::FragmentSpread(spread) => {
            check_directives(spread.directives())?;
            Selection::Spread(text_of(spread.fragment_name().and_then(|name| name.name()))?)
        }
        cst::Selection::InlineFragment(inline) => {
            check_directives(inline.directives())?;
            Selection::Inline(selections(inline.selection_set())?)
        }
    })
}

/// `@include` and `@skip` leave something out; every other directive may do anything.
fn check_directives(directives: Option<cst::Directives>) -> Result<(), Refusal> {
    for directive in directives.iter().flat_map(cst::Directives::directives) {
        if !["include", "skip"].contains(&text_of(directive.name())?.as_str()) {
            return Err(DIRECTIVE);
        }
        // The parser takes one without a value.
        arguments(directive.arguments())?;
    }
    Ok(())
}

fn arguments(given: Option<cst::Arguments>) -> Result<Vec<(String, Value)>, Refusal> {
    let given = given.iter().flat_map(cst::Arguments::arguments);
    given
        .map(|argument| Ok((text_of(argument.name())?, value(argument.value())?)))
        .collect()
}

fn value(given: Option<cst::Value>) -> Result<Value, Refusal> {
    Ok(match given.ok_or(MALFORMED)? {
        cst::Value::Variable(variable) => Value::Variable(text_of(variable.name())?),
        cst::Value::EnumValue(word) => Value::Word(text_of(word.name())?),
        cst::Value::StringValue(text) => {
            let token = text.syntax().first_token().ok_or(MALFORMED)?;
            let quoted = token.text();
            let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
            Value::Word(inner.ok_or(MALFORMED)?.to_owned())
        }
        cst::Value::ListValue(list) => {
            let values = list.values().map(|each| value(Some(each)));
            Value::List(values.collect::<Result<_, _>>()?)
        }
        cst::Value::ObjectValue(object) => {
            let mut fields = Vec::new();
            for field in object.object_fields() {
                fields.push((text_of(field.name())?, value(field.value())?));
            }
            Value::Object(fields)
        }
        cst::Value::IntValue(_)
        | cst::Value::FloatValue(_)
        | cst::Value::BooleanValue(_)
        | cst::Value::NullValue(_) => Value::Other,
    })
}

fn text_of(name: Option<cst::Name>) -> Result<String, Refusal> {
    name.map(|name| name.text().as_str().to_owned()).ok_or(MALFORMED)
}

const fn refused(cause: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(Reason::RefusedUnjudged, cause, remedy)
}

pub(super) const MALFORMED: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the GraphQL document is malformed, or nested too deep",
    "send one document of queries and fragments, at most 64 deep",
);
const TOO_LONG: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the GraphQL document is longer than 64 KiB",
    "ask for less at once",
);
const ODD_BYTES: Refusal = Refusal::new(
    Reason::RefusedBody,
    "the GraphQL document has characters that parsers disagree on",
    "write it in ASCII without block strings, and put other text into `variables`",
);
const NO_QUERY: Refusal = refused(
    "the GraphQL document is no query",
    "mutations and subscriptions do not pass: use the operation of the object type",
);
const DIRECTIVE: Refusal = refused(
    "the GraphQL document has a directive that the gate does not know",
    "use `@include` and `@skip` alone, on fields and fragments",
);
