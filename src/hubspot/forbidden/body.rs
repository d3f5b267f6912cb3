//! The body of a 403, as far as it is looked at. Every member is optional, and one of an unexpected
//! type counts as absent: HubSpot's services differ.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::scopes::{Named, Quantity};

/// Longest body that is read. HubSpot's have some hundred bytes, a batch's a few thousand.
const BODY_BYTES: usize = 256 * 1024;

/// Most `errors` that are looked at, most scopes that are taken from one body, and their longest.
const ERRORS: usize = 64;
const SCOPES: usize = 32;
const SCOPE_BYTES: usize = 96;

/// What a body is.
pub(super) enum Read {
    Json(Body),
    NotJson,
    TooLong,
}

/// Reads a body. Twice the same member, too deep, invalid UTF-8: no JSON of HubSpot's.
pub(super) fn read(bytes: &[u8]) -> Read {
    if bytes.len() > BODY_BYTES {
        return Read::TooLong;
    }
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Read::NotJson; // serde takes a list for a struct, too
    }
    match serde_json::from_slice::<Part>(bytes) {
        Ok(whole) => Read::Json(Body::of(whole)),
        Err(_) => Read::NotJson,
    }
}

/// A body's texts and codes.
pub(super) struct Body {
    /// Categories, sub-categories and codes, as written.
    codes: Vec<String>,
    /// The messages in lower case, the body's own first.
    texts: Vec<String>,
    named: Named,
}

impl Body {
    fn of(mut whole: Part) -> Self {
        let mut body = Self {
            codes: Vec::new(),
            texts: Vec::new(),
            named: Named::default(),
        };
        let errors = whole.errors.take().unwrap_or_default();
        body.take(whole);
        errors.into_iter().take(ERRORS).for_each(|error| body.take(error));
        body
    }

    fn take(&mut self, part: Part) {
        let codes = [part.category, part.sub_category, part.code, part.error_type];
        self.codes.extend(codes.into_iter().filter_map(Lenient::text));
        let text = part.message.text().unwrap_or_default();
        let text = text.to_lowercase().replace('\u{2019}', "'");
        if let Some(context) = part.context {
            if text.contains("all of") {
                self.named.quantity = Quantity::All;
            }
            let lists = [context.required_granular_scopes, context.required_scopes];
            let scopes = lists.into_iter().flatten().flatten().filter_map(Lenient::text);
            scopes.for_each(|scope| add(&mut self.named, &scope));
        }
        self.texts.push(text);
    }

    /// Whether a category, sub-category or code is this one.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|known| known.eq_ignore_ascii_case(code))
    }

    /// Whether a code is, or a message contains, this word of capital letters.
    pub(super) fn mentions(&self, code: &str) -> bool {
        let lower = code.to_ascii_lowercase();
        self.has_code(code) || self.codes.iter().any(|known| known.contains(code)) || self.says(&lower)
    }

    /// Whether a message contains this, in lower case.
    pub(super) fn says(&self, text: &str) -> bool {
        self.texts.iter().any(|known| known.contains(text))
    }

    /// The messages, in lower case.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// The scopes that the context requires.
    pub(super) fn scopes(&self) -> Named {
        self.named.clone()
    }

    /// The scopes of `(requires any of [x, y])`, in whatever message says so first.
    pub(super) fn scopes_in_text(&self) -> Named {
        self.texts().find_map(required_in).unwrap_or_default()
    }
}

fn required_in(text: &str) -> Option<Named> {
    let (_, rest) = text.split_once("requires ")?;
    let (quantity, rest) = rest.split_once(" of [")?;
    let (list, _) = rest.split_once(']')?;
    let quantity = match quantity {
        "all" => Quantity::All,
        "any" | "one" | "one or more" => Quantity::Any,
        _ => return None,
    };
    let mut named = Named {
        quantity,
        ..Named::default()
    };
    list.split(',').for_each(|scope| add(&mut named, scope.trim()));
    Some(named)
}

fn add(named: &mut Named, scope: &str) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let fits = (1..=SCOPE_BYTES).contains(&scope.len()) && scope.bytes().all(is_plain);
    if fits && named.scopes.len() < SCOPES && !named.scopes.iter().any(|known| known == scope) {
        named.scopes.push(scope.to_owned());
    }
}

/// The members that the body and each of its `errors` may have. A member of these that stands twice,
/// or a list or map that is none, makes the whole unreadable.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part {
    category: Lenient,
    sub_category: Lenient,
    code: Lenient,
    error_type: Lenient,
    message: Lenient,
    context: Option<Context>,
    /// One level: what an error has below it is not looked at.
    errors: Option<Vec<Part>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Context {
    required_granular_scopes: Option<Vec<Lenient>>,
    required_scopes: Option<Vec<Lenient>>,
}

/// A string; anything else counts as absent.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Text(String),
    Other(IgnoredAny),
}

impl Default for Lenient {
    fn default() -> Self {
        Self::Other(IgnoredAny)
    }
}

impl Lenient {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }
}
