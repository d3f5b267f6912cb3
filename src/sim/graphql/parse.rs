//! From a query's text to its selections, variables already put in place.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Selections within selections.
const DEPTH: usize = 20;
/// Tokens of one query.
const TOKENS: usize = 20_000;

/// The operation that was asked for, and all fragments.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) selections: Vec<Selection>,
    pub(super) fragments: HashMap<String, Vec<Selection>>,
}

/// What stands between braces.
#[derive(Debug, PartialEq)]
pub(super) enum Selection {
    Field(Field),
    /// `...Name`
    Spread(String),
    /// `... on Type { }`
    Inline(Vec<Selection>),
}

/// `alias: name(arguments) { selections }`
#[derive(Debug, PartialEq)]
pub(super) struct Field {
    /// What the answer calls it.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) arguments: Map<String, Value>,
    pub(super) selections: Vec<Selection>,
}

/// Reads a query; the error is the message.
pub(super) fn document(
    text: &str,
    operation: Option<&str>,
    variables: &Map<String, Value>,
) -> Result<Document, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
        variables,
    };
    let (mut document, mut found) = (Document::default(), 0);
    while let Some(token) = parser.peek().cloned() {
        match token {
            Token::Mark('{') => {
                document.selections = parser.selections(0)?;
                found += 1;
            }
            Token::Name(word) if word == "query" => {
                parser.at += 1;
                let (name, selections) = parser.query()?;
                if operation.is_none() || operation == name.as_deref() {
                    document.selections = selections;
                    found += 1;
                }
            }
            Token::Name(word) if word == "fragment" => {
                parser.at += 1;
                let name = parser.name()?;
                let _on = (parser.name()?, parser.name()?);
                let selections = parser.selections(0)?;
                document.fragments.insert(name, selections);
            }
            _ => return Err("Only queries and fragments are known".to_owned()),
        }
    }
    match found {
        1 => Ok(document),
        0 => Err("Unknown operation".to_owned()),
        _ => Err("Must provide operation name if query contains multiple operations".to_owned()),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(Value),
    Text(String),
    Variable(String),
    Spread,
    Mark(char),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while let Some(first) = rest.chars().next() {
        if tokens.len() >= TOKENS {
            return Err("The query is too long".to_owned());
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = |from: &str| from.find(|c| !is_name(c)).unwrap_or(from.len());
        let (token, length) = match first {
            _ if first.is_whitespace() || first == ',' => (None, first.len_utf8()),
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '.' if rest.starts_with("...") => (Some(Token::Spread), 3),
            '"' => {
                let (text, length) = string(rest)?;
                (Some(Token::Text(text)), length)
            }
            '$' => {
                let length = word(rest.get(1..).unwrap_or_default());
                let name = rest.get(1..=length).unwrap_or_default().to_owned();
                (Some(Token::Variable(name)), length + 1)
            }
            '-' | '0'..='9' => {
                let end = rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9'));
                let length = end.unwrap_or(rest.len());
                let number = serde_json::from_str(rest.get(..length).unwrap_or_default());
                (
                    Some(Token::Number(number.map_err(|_| "Bad number".to_owned())?)),
                    length,
                )
            }
            _ if is_name(first) => {
                let length = word(rest);
                (
                    Some(Token::Name(rest.get(..length).unwrap_or_default().to_owned())),
                    length,
                )
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '!' | '=' | '|' => (Some(Token::Mark(first)), 1),
            _ => return Err("Invalid syntax".to_owned()),
        };
        tokens.extend(token);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(tokens)
}

/// A string in quotes, as JSON escapes it; block strings are taken as they stand.
fn string(rest: &str) -> Result<(String, usize), String> {
    let unended = || "Unterminated string".to_owned();
    if let Some(block) = rest.strip_prefix("\"\"\"") {
        let length = block.find("\"\"\"").ok_or_else(unended)?;
        return Ok((block.get(..length).unwrap_or_default().to_owned(), length + 6));
    }
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            '"' if !escaped => {
                let text = serde_json::from_str(rest.get(..=at).unwrap_or_default());
                return Ok((text.map_err(|_| unended())?, at + 1));
            }
            _ => escaped = character == '\\' && !escaped,
        }
    }
    Err(unended())
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    variables: &'a Map<String, Value>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self
            .peek()
            .cloned()
            .ok_or_else(|| "The query ends early".to_owned())?;
        self.at += 1;
        Ok(token)
    }

    fn takes(&mut self, mark: char) -> bool {
        let there = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(there);
        there
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next()? {
            Token::Name(name) => Ok(name),
            _ => Err("A name is missing".to_owned()),
        }
    }

    /// After the word `query`: a name, the variables' declarations, the selections.
    fn query(&mut self) -> Result<(Option<String>, Vec<Selection>), String> {
        let name = match self.peek() {
            Some(Token::Name(_)) => Some(self.name()?),
            _ => None,
        };
        if self.takes('(') {
            while !self.takes(')') {
                self.next()?;
            }
        }
        Ok((name, self.selections(0)?))
    }

    fn selections(&mut self, depth: usize) -> Result<Vec<Selection>, String> {
        if depth >= DEPTH {
            return Err("The query is nested too deeply".to_owned());
        }
        if !self.takes('{') {
            return Err("A selection is missing".to_owned());
        }
        let mut selections = Vec::new();
        while !self.takes('}') {
            selections.push(match self.next()? {
                Token::Spread => match self.peek().cloned() {
                    Some(Token::Name(word)) if word == "on" => {
                        self.at += 1;
                        self.name()?;
                        Selection::Inline(self.selections(depth + 1)?)
                    }
                    Some(Token::Name(_)) => Selection::Spread(self.name()?),
                    _ => Selection::Inline(self.selections(depth + 1)?),
                },
                Token::Name(name) => Selection::Field(self.field(name, depth)?),
                _ => return Err("Invalid syntax".to_owned()),
            });
        }
        Ok(selections)
    }

    fn field(&mut self, key: String, depth: usize) -> Result<Field, String> {
        let name = if self.takes(':') {
            self.name()?
        } else {
            key.clone()
        };
        let mut arguments = Map::new();
        if self.takes('(') {
            while !self.takes(')') {
                let name = self.name()?;
                if !self.takes(':') {
                    return Err("An argument has no value".to_owned());
                }
                let value = self.value(depth)?;
                arguments.insert(name, value);
            }
        }
        let selections = match self.peek() {
            Some(Token::Mark('{')) => self.selections(depth + 1)?,
            _ => Vec::new(),
        };
        Ok(Field {
            key,
            name,
            arguments,
            selections,
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth >= DEPTH {
            return Err("The query is nested too deeply".to_owned());
        }
        match self.next()? {
            Token::Number(number) => Ok(number),
            Token::Text(text) => Ok(Value::String(text)),
            Token::Variable(name) => Ok(self.variables.get(&name).cloned().unwrap_or(Value::Null)),
            Token::Name(word) => Ok(match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => Value::String(word),
            }),
            Token::Mark('[') => {
                let mut list = Vec::new();
                while !self.takes(']') {
                    list.push(self.value(depth + 1)?);
                }
                Ok(Value::Array(list))
            }
            Token::Mark('{') => {
                let mut map = Map::new();
                while !self.takes('}') {
                    let name = self.name()?;
                    if !self.takes(':') {
                        return Err("A member has no value".to_owned());
                    }
                    let value = self.value(depth + 1)?;
                    map.insert(name, value);
                }
                Ok(Value::Object(map))
            }
            _ => Err("Invalid syntax".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn aliases_arguments_variables_and_fragments_are_read() {
        let mut variables = Map::new();
        variables.insert("n".to_owned(), json!(3));
        let text = "query Q($n: Int! = 2) { CRM { a: contact_collection(limit: $n, filter: {email__eq: \"x\\\"\"}) \
                    { ...F ... on X { total } } } } fragment F on Y { items { email } } # end";
        let document = document(text, Some("Q"), &variables).unwrap();
        let Some(Selection::Field(crm)) = document.selections.first() else {
            panic!("{document:?}")
        };
        let Some(Selection::Field(collection)) = crm.selections.first() else {
            panic!("{crm:?}")
        };
        assert_eq!(
            (collection.key.as_str(), collection.name.as_str()),
            ("a", "contact_collection")
        );
        assert_eq!(
            Value::Object(collection.arguments.clone()),
            json!({"limit": 3, "filter": {"email__eq": "x\""}})
        );
        assert_eq!(collection.selections.len(), 2);
        assert!(document.fragments.contains_key("F"));
    }

    #[test]
    fn what_is_no_query_is_told() {
        let deep = format!("{}{}", "{a".repeat(50), "}".repeat(50));
        for text in [
            "",
            "{",
            "{a",
            "{a(b:)}",
            "mutation { a }",
            "{a(b:\"x)}",
            "{a}{b}",
            "\u{1}",
            deep.as_str(),
        ] {
            assert!(document(text, None, &Map::new()).is_err(), "{text}");
        }
    }
}
