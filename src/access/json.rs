//! A body that decides: strict JSON, parsed once, forwarded as parsed.
//!
//! What parsers disagree on is refused: duplicate keys, invalid UTF-8, a byte order mark, lone
//! surrogates, deep nesting (RFC 8259 §4, §8.1, §9). Numbers keep their text, so none changes on the way.

use std::collections::HashSet;

use compact_str::CompactString;

use super::pointer::{Step, pointer};
use super::refusal::{Place, Reason, Refusal};

/// Deepest nesting of arrays and objects.
pub const DEPTH: usize = 32;
/// Most values and keys in one body: a batch of 100 records with 1,000 properties each, twice over.
pub const ELEMENTS: usize = 250_000;
/// Longest key, in bytes. HubSpot's property names have at most 100 characters.
pub const KEY_BYTES: usize = 1024;

/// A key or a value: names and values are mostly short, and stand in place up to 24 bytes.
pub type Text = CompactString;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Text),
    /// A string, unescaped.
    String(Text),
    /// An array.
    Array(Vec<Json>),
    /// An object, in the order of its keys, each of which stands once.
    Object(Vec<(Text, Json)>),
}

impl Json {
    /// The value of a key, if this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members.iter().find(|(k, _)| k == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// `null`, `[]` or `{}`.
    pub fn is_empty(&self) -> bool {
        match self {
            Json::Null => true,
            Json::Array(items) => items.is_empty(),
            Json::Object(members) => members.is_empty(),
            _ => false,
        }
    }
}

/// A whole body, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedBody {
    value: Json,
}

impl JudgedBody {
    /// Parses a body whose size the caller has bounded.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(bytes).map_err(|_| NOT_UTF8.at(Place::BODY))?;
        if text.starts_with('\u{feff}') {
            return Err(BYTE_ORDER_MARK.at(Place::BODY));
        }
        let mut parser = Parser {
            bytes: text.as_bytes(),
            text,
            at: 0,
            elements: 0,
            inside: Vec::new(),
        };
        let value = parser.value(0).map_err(|refusal| parser.place(refusal))?;
        parser.space();
        match parser.peek() {
            None => Ok(Self { value }),
            Some(_) => Err(MALFORMED.at(Place::BODY)),
        }
    }

    /// The parsed value.
    pub fn value(&self) -> &Json {
        &self.value
    }

    /// What is forwarded: the same value without white space, members in their order.
    pub fn rebuild(&self) -> Vec<u8> {
        let mut out = String::new();
        write(&mut out, &self.value);
        out.into_bytes()
    }
}

impl From<Json> for JudgedBody {
    /// A body made from one that was parsed.
    fn from(value: Json) -> Self {
        Self { value }
    }
}

/// Most keys of an object that are compared each with each.
const FEW: usize = 16;

/// The keys of an object so far.
#[derive(Default)]
struct Seen(HashSet<Text>);

impl Seen {
    /// Whether the object has no such key yet, of which these are the members. Few are looked through; of many a set is
    /// made, by a hash that nobody outside can aim at.
    fn is_new(&mut self, key: &str, members: &[(Text, Json)]) -> bool {
        if members.len() < FEW {
            return members.iter().all(|(one, _)| one != key);
        }
        if self.0.is_empty() {
            self.0.extend(members.iter().map(|(one, _)| one.clone()));
        }
        self.0.insert(key.into())
    }
}

struct Parser<'b> {
    bytes: &'b [u8],
    text: &'b str,
    at: usize,
    elements: usize,
    /// The members and elements one is inside of, which a refusal leaves as they are.
    inside: Vec<Inside>,
}

/// A step into a value.
#[derive(Clone, Copy)]
enum Inside {
    /// Where the key's opening quote stands: it is read again if it must be named.
    Member(usize),
    Element(usize),
}

impl Parser<'_> {
    /// A refusal at the value that was being read.
    fn place(&mut self, refusal: Refusal) -> Refusal {
        let inside = std::mem::take(&mut self.inside);
        let mut keys = Vec::with_capacity(inside.len());
        for step in &inside {
            keys.push(match step {
                Inside::Member(at) => {
                    self.at = *at;
                    self.string().ok()
                }
                Inside::Element(_) => None,
            });
        }
        let steps = inside.iter().zip(&keys).map(|(step, key)| match step {
            Inside::Member(_) => Step::Key(key.as_deref().unwrap_or("")),
            Inside::Element(index) => Step::Index(*index),
        });
        refusal.at(pointer(steps))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), Refusal> {
        match self
            .bytes
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word.as_bytes()))
        {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => Err(MALFORMED),
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        self.elements += 1;
        match self.elements > ELEMENTS {
            true => Err(TOO_MANY_ELEMENTS),
            false => Ok(()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, Refusal> {
        self.count()?;
        self.space();
        match self.peek().ok_or(MALFORMED)? {
            b'{' | b'[' if depth == DEPTH => Err(TOO_DEEP),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.string().map(Json::String),
            b't' => self.expect("true").map(|()| Json::Bool(true)),
            b'f' => self.expect("false").map(|()| Json::Bool(false)),
            b'n' => self.expect("null").map(|()| Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Refusal> {
        self.at += 1;
        let mut members: Vec<(Text, Json)> = Vec::new();
        let mut seen = Seen::default();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(MALFORMED);
            }
            let start = self.at;
            let key = self.string()?;
            self.inside.push(Inside::Member(start));
            self.count()?;
            if key.len() > KEY_BYTES {
                return Err(LONG_KEY);
            }
            if !seen.is_new(&key, &members) {
                return Err(DUPLICATE_KEY);
            }
            self.space();
            self.expect(":")?;
            let value = self.value(depth)?;
            members.push((key, value));
            self.space();
            let next = self.next();
            if !matches!(next, Some(b',' | b'}')) {
                return Err(MALFORMED);
            }
            self.inside.pop();
            if next == Some(b'}') {
                return Ok(Json::Object(members));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Refusal> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            self.inside.push(Inside::Element(items.len()));
            items.push(self.value(depth)?);
            self.space();
            let next = self.next();
            if !matches!(next, Some(b',' | b']')) {
                return Err(MALFORMED);
            }
            self.inside.pop();
            if next == Some(b']') {
                return Ok(Json::Array(items));
            }
        }
    }

    fn string(&mut self) -> Result<Text, Refusal> {
        self.at += 1;
        let mut out = Text::const_new("");
        loop {
            let start = self.at;
            self.at += leading_plain(self.bytes.get(start..).unwrap_or_default());
            // Only ASCII bytes end a run, so both ends are character boundaries.
            let plain = self.text.get(start..self.at).ok_or(MALFORMED)?;
            match out.is_empty() {
                true => out = plain.into(),
                false => out.push_str(plain),
            }
            match self.next() {
                Some(b'"') => return Ok(out),
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(MALFORMED),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        Ok(match self.next().ok_or(MALFORMED)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four_digits()?;
                let code = match first {
                    0xd800..=0xdbff => {
                        self.expect("\\u")?;
                        match self.four_digits()? {
                            second @ 0xdc00..=0xdfff => {
                                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                            }
                            _ => return Err(MALFORMED),
                        }
                    }
                    code => code,
                };
                char::from_u32(code).ok_or(MALFORMED)?
            }
            _ => return Err(MALFORMED),
        })
    }

    fn four_digits(&mut self) -> Result<u32, Refusal> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.next().ok_or(MALFORMED)?)
                .to_digit(16)
                .ok_or(MALFORMED)?;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    /// RFC 8259 §6.
    fn number(&mut self) -> Result<Json, Refusal> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(MALFORMED),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.at).ok_or(MALFORMED)?;
        Ok(Json::Number(text.into()))
    }

    fn digits(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at == start {
            true => Err(MALFORMED),
            false => Ok(()),
        }
    }
}

fn write(out: &mut String, value: &Json) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(text) => out.push_str(text),
        Json::String(text) => write_string(out, text),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write(out, value);
            }
            out.push('}');
        }
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // What is not plain is ASCII: both ends are character boundaries.
    while let Some((plain, behind)) = rest.split_at_checked(leading_plain(rest.as_bytes())) {
        out.push_str(plain);
        let mut characters = behind.chars();
        match characters.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
        rest = characters.as_str();
    }
    out.push('"');
}

/// How many bytes at the beginning stand in a string as they are: all but `"`, `\`, and control characters
/// below 0x20. Eight are looked at together.
fn leading_plain(bytes: &[u8]) -> usize {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // The high bit of the first byte that is zero, and of none before it.
    const fn zero(word: u64) -> u64 {
        word.wrapping_sub(each(1)) & !word & each(0x80)
    }
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(each(0x20)) & !word & each(0x80);
        let marks = control | zero(word ^ each(b'"')) | zero(word ^ each(b'\\'));
        if marks != 0 {
            return bytes.len() - rest.len() + (marks.trailing_zeros() / 8) as usize;
        }
        rest = behind;
    }
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | ..0x20);
    let tail = rest.iter().take_while(|byte| is_plain(byte)).count();
    bytes.len() - rest.len() + tail
}

const fn body(cause: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(Reason::RefusedBody, cause, remedy)
}

const NOT_UTF8: Refusal = body("the body is not UTF-8", "send JSON in UTF-8, uncompressed");
const BYTE_ORDER_MARK: Refusal = body("the body begins with a byte order mark", "send JSON without it");
const MALFORMED: Refusal = body(
    "the body is not valid JSON",
    "send one JSON value: this operation is decided by what stands in the body",
);
const DUPLICATE_KEY: Refusal = body(
    "a JSON object has the same key twice",
    "send each key once: parsers disagree on which one counts",
);
const TOO_DEEP: Refusal = body("the JSON is nested more than 32 deep", "send a flatter body");
const TOO_MANY_ELEMENTS: Refusal = body(
    "the JSON has more than 250,000 values and keys",
    "split the request into smaller batches",
);
const LONG_KEY: Refusal = body("a JSON key is longer than 1,024 bytes", "shorten the key");

/// A judged body is read as UTF-8 JSON and written back as such: a content type that says anything
/// else would have HubSpot read other values than the gate did. `None`: none was sent.
pub fn check_content_type(content_type: Option<&str>) -> Result<(), Refusal> {
    const WRONG: Refusal = Refusal::new(
        Reason::RefusedBody,
        "the body of this operation must be JSON in UTF-8",
        "send it as `application/json`",
    );
    let Some(value) = content_type else { return Ok(()) };
    let mut parts = value.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    });
    if is_json && is_utf8 { Ok(()) } else { Err(WRONG) }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
