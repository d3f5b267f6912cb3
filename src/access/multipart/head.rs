//! What a multipart body says of itself: its boundary, and each part's name, file name and type.

use percent_encoding::percent_decode_str;

use super::Fault;

/// Longest name of a file, in bytes: what file systems take.
const FILE_NAME_BYTES: usize = 255;
/// Longest content type of a part.
const TYPE_BYTES: usize = 100;

/// A part of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// What is imported, and how.
    Request {
        /// It is said to be JSON; else nothing is said.
        is_json: bool,
    },
    /// A file.
    File {
        /// Its name: no quote, slash, backslash, semicolon, equals sign or control character.
        name: Box<str>,
        /// Its type, if one was given: plain words.
        content_type: Option<Box<str>>,
    },
}

/// The boundary of a content type: `multipart/form-data` and one plain `boundary`, nothing else.
pub fn content_type_boundary(content_type: Option<&str>) -> Option<String> {
    let (media, parameters) = content_type?.split_once(';')?;
    if !media
        .trim_matches([' ', '\t'])
        .eq_ignore_ascii_case("multipart/form-data")
    {
        return None;
    }
    let found = Parameters(&format!(";{parameters}")).all().ok()?;
    let [(name, boundary)] = found.as_slice() else {
        return None;
    };
    // RFC 2046 §5.1.1, without the space: it would be trimmed by some.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let fits = (1..=70).contains(&boundary.len()) && boundary.bytes().all(is_plain);
    (name == "boundary" && fits).then(|| boundary.clone())
}

impl Part {
    /// Reads a block of header fields, without the empty line.
    pub(super) fn read(block: &[u8]) -> Result<Self, Fault> {
        let block = std::str::from_utf8(block).map_err(|_| Fault::Head)?;
        let mut fields = Fields::default();
        for line in block.split("\r\n") {
            fields.take(line)?;
        }
        let disposition = Disposition::read(fields.disposition.ok_or(Fault::Head)?)?;
        match disposition.name.as_str() {
            "importRequest" => Ok(Part::Request {
                is_json: is_json(fields.content_type)?,
            }),
            "files" => Ok(Part::File {
                name: disposition.file_name.ok_or(Fault::FileName).and_then(file_name)?,
                content_type: fields.content_type.map(file_type).transpose()?,
            }),
            _ => Err(Fault::Name),
        }
    }
}

/// The header fields of a part, each at most once.
#[derive(Default)]
struct Fields<'a> {
    disposition: Option<&'a str>,
    content_type: Option<&'a str>,
    transfer_encoding: Option<&'a str>,
    length: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, line: &'a str) -> Result<(), Fault> {
        // A control character ends a line for some, a leading space continues one for others.
        if line.chars().any(char::is_control) {
            return Err(Fault::Head);
        }
        let (name, value) = line.split_once(':').ok_or(Fault::Head)?;
        let value = value.trim_matches(' ');
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut self.disposition,
            "content-type" => &mut self.content_type,
            // The part goes up as it is, so only codings that are none.
            "content-transfer-encoding" if is_identity(value) => &mut self.transfer_encoding,
            // RFC 7578 has no such field; some clients send it, and the boundary says more.
            "content-length" if value.bytes().all(|byte| byte.is_ascii_digit()) => &mut self.length,
            _ => return Err(Fault::Head),
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(Fault::Head),
        }
    }
}

fn is_identity(value: &str) -> bool {
    ["binary", "8bit", "7bit"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

struct Disposition {
    name: String,
    file_name: Option<String>,
}

impl Disposition {
    fn read(value: &str) -> Result<Self, Fault> {
        let end = value.find(';').unwrap_or(value.len());
        let (kind, parameters) = value.split_at(end);
        if !kind.trim_matches(' ').eq_ignore_ascii_case("form-data") {
            return Err(Fault::Head);
        }
        let (mut name, mut file_name, mut extended_name) = (None, None, None);
        for (parameter, value) in Parameters(parameters).all()? {
            let (slot, value) = match parameter.as_str() {
                "name" => (&mut name, value),
                "filename" => (&mut file_name, value),
                // RFC 8187, which some clients use for names beyond ASCII, or for all.
                "filename*" => (&mut extended_name, extended(&value)?),
                _ => return Err(Fault::Head),
            };
            if slot.replace(value).is_some() {
                return Err(Fault::Head);
            }
        }
        Ok(Self {
            name: name.ok_or(Fault::Name)?,
            // RFC 6266 §4.3: of both, the extended one counts. One goes up.
            file_name: extended_name.or(file_name),
        })
    }
}

/// `; name=value; name="value"`, names in lower case, nothing escaped.
struct Parameters<'a>(&'a str);

impl Parameters<'_> {
    fn all(self) -> Result<Vec<(String, String)>, Fault> {
        let mut found = Vec::new();
        let mut rest = self.0.trim_matches([' ', '\t']);
        while !rest.is_empty() {
            let parameter = rest.strip_prefix(';').ok_or(Fault::Head)?;
            let parameter = parameter.trim_start_matches([' ', '\t']);
            let (name, value) = parameter.split_once('=').ok_or(Fault::Head)?;
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"*-_".contains(&byte);
            if name.is_empty() || !name.bytes().all(is_token) {
                return Err(Fault::Head);
            }
            let (value, after) = match value.strip_prefix('"') {
                // A backslash escapes for some and is itself for others.
                Some(quoted) => quoted
                    .split_once('"')
                    .filter(|(value, _)| !value.contains('\\'))
                    .ok_or(Fault::Head)?,
                None => value.split_at(value.find([';', ' ', '\t']).unwrap_or(value.len())),
            };
            if value.contains('"') {
                return Err(Fault::Head);
            }
            found.push((name.to_ascii_lowercase(), value.to_owned()));
            rest = after.trim_start_matches([' ', '\t']);
        }
        Ok(found)
    }
}

fn extended(value: &str) -> Result<String, Fault> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _, text) = (parts.next(), parts.next(), parts.next());
    if !charset.is_some_and(|charset| charset.eq_ignore_ascii_case("utf-8")) {
        return Err(Fault::FileName);
    }
    let decoded = percent_decode_str(text.ok_or(Fault::FileName)?).decode_utf8();
    decoded.map(String::from).map_err(|_| Fault::FileName)
}

fn file_name(name: String) -> Result<Box<str>, Fault> {
    // Who splits parameters without minding quotes must not find another one in here.
    let is_bad = |c: char| c.is_control() || matches!(c, '"' | '\\' | '/' | ';' | '=');
    let fits = (1..=FILE_NAME_BYTES).contains(&name.len()) && name != "." && name != "..";
    match fits && !name.chars().any(is_bad) {
        true => Ok(name.into()),
        false => Err(Fault::FileName),
    }
}

/// A type and at most a charset, in plain words; nothing that holds parts of its own.
fn file_type(value: &str) -> Result<Box<str>, Fault> {
    let (media, charset) = media_type(value)?;
    let (kind, _) = media.split_once('/').ok_or(Fault::Head)?;
    if kind == "multipart" || kind == "message" {
        return Err(Fault::Head);
    }
    Ok(match charset {
        Some(charset) => format!("{media}; charset={charset}").into(),
        None => media.into(),
    })
}

/// Whether the text of `importRequest` is said to be JSON. It is read as UTF-8.
fn is_json(value: Option<&str>) -> Result<bool, Fault> {
    let Some(value) = value else { return Ok(false) };
    let (media, charset) = media_type(value)?;
    if charset.is_some_and(|charset| charset != "utf-8") {
        return Err(Fault::Head);
    }
    match media.as_str() {
        "application/json" => Ok(true),
        "text/plain" => Ok(false),
        _ => Err(Fault::Head),
    }
}

/// Type and charset, in lower case.
fn media_type(value: &str) -> Result<(String, Option<String>), Fault> {
    let end = value.find(';').unwrap_or(value.len());
    let (media, parameters) = value.split_at(end);
    let media = media.trim_matches(' ').to_ascii_lowercase();
    let is_word = |word: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
        !word.is_empty() && word.bytes().all(is_plain)
    };
    let is_media = media
        .split_once('/')
        .is_some_and(|(kind, sub)| is_word(kind) && is_word(sub));
    if value.len() > TYPE_BYTES || !is_media {
        return Err(Fault::Head);
    }
    let charset = match Parameters(parameters).all()?.as_slice() {
        [] => None,
        [(name, charset)] if name == "charset" && is_word(charset) => Some(charset.to_ascii_lowercase()),
        _ => return Err(Fault::Head),
    };
    Ok((media, charset))
}
