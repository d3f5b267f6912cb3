//! The query: parsed once, bounded, and written back from the parsed form.
//!
//! The catalogue knows no parameter lists, so unknown names pass. Names that carry facts are
//! understood everywhere; names that carry credentials or override the method are refused.

use super::refusal::{Place, Reason, Refusal};
use super::target::{decode, encode_into};

/// Most parameters of one query. 100 ids as parameters of their own is the most seen in clients.
pub const PARAMETERS: usize = 2048;

/// Names that carry facts, as HubSpot spells them; singletons are refused when doubled.
const FACTS: [(&str, Occurs); 12] = [
    ("properties", Occurs::Repeatedly),
    ("propertiesWithHistory", Occurs::Repeatedly),
    ("property", Occurs::Repeatedly),
    ("associations", Occurs::Repeatedly),
    ("includeAssociations", Occurs::Once),
    ("archived", Occurs::Once),
    ("idProperty", Occurs::Once),
    ("objectType", Occurs::Once),
    ("objectTypeId", Occurs::Once),
    ("toObjectType", Occurs::Once),
    ("q", Occurs::Once),
    ("query", Occurs::Once),
];

/// Names that carry a credential, compared without case, `-` and `_`.
const CREDENTIALS: [&str; 10] = [
    "hapikey",
    "apikey",
    "accesstoken",
    "oauthtoken",
    "bearertoken",
    "refreshtoken",
    "authtoken",
    "clientsecret",
    "authorization",
    "privateapptoken",
];

/// Names that servers take for another method, likewise.
const OVERRIDES: [&str; 5] = [
    "method",
    "httpmethod",
    "xhttpmethod",
    "xhttpmethodoverride",
    "xmethodoverride",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Occurs {
    Once,
    Repeatedly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    name: String,
    /// `None`: the name stood without `=`.
    value: Option<String>,
}

/// A parsed query. Parameters keep their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    parameters: Vec<Parameter>,
}

impl Query {
    /// Reads a query without its `?`. `+` is a space, as in the forms HubSpot reads; empty pairs are dropped.
    pub fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parsed = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if parsed.parameters.len() == PARAMETERS {
                return Err(TOO_MANY);
            }
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(read(value)?)),
                None => (pair, None),
            };
            let name = read(name)?;
            check_name(&name)?;
            if let Some((known, Occurs::Once)) = occurs(&name)?
                && parsed.parameters.iter().any(|p| p.name == known)
            {
                return Err(DOUBLED.at(Place::parameter(known)));
            }
            parsed.parameters.push(Parameter { name, value });
        }
        Ok(parsed)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Every parameter in order, decoded; the value of a name without `=` is empty.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters
            .iter()
            .map(|p| (p.name.as_str(), p.value.as_deref().unwrap_or("")))
    }

    /// The values of a name, in order.
    pub fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.iter()
            .filter(move |(n, _)| *n == name)
            .map(|(_, value)| value)
    }

    /// The first value of a name: the only one of a singleton.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Puts one parameter in the place of the first of this name, or at the end, and drops the
    /// others of this name.
    pub fn set(&mut self, name: &str, value: String) {
        let at = self.parameters.iter().position(|p| p.name == name);
        self.remove(name);
        let parameter = Parameter {
            name: name.to_owned(),
            value: Some(value),
        };
        self.parameters.insert(
            at.unwrap_or(self.parameters.len()).min(self.parameters.len()),
            parameter,
        );
    }

    /// Puts parameters of one name, in this order, in the place of the first of this name, or at
    /// the end, and drops the others of this name.
    pub fn set_all(&mut self, name: &str, values: Vec<String>) {
        let at = self.parameters.iter().position(|p| p.name == name);
        self.remove(name);
        let at = at.unwrap_or(self.parameters.len()).min(self.parameters.len());
        let parameters = values.into_iter().map(|value| Parameter {
            name: name.to_owned(),
            value: Some(value),
        });
        self.parameters.splice(at..at, parameters);
    }

    /// Drops every parameter of a name.
    pub fn remove(&mut self, name: &str) {
        self.parameters.retain(|p| p.name != name);
    }

    pub(super) fn encoded_len_hint(&self) -> usize {
        self.iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum()
    }

    /// Writes the query with its `?`, or nothing if it is empty.
    pub(super) fn write(&self, out: &mut String) {
        for (index, parameter) in self.parameters.iter().enumerate() {
            out.push(if index == 0 { '?' } else { '&' });
            encode_into(out, &parameter.name);
            if let Some(value) = &parameter.value {
                out.push('=');
                encode_into(out, value);
            }
        }
    }
}

/// Decodes a name or value once.
fn read(text: &str) -> Result<String, Refusal> {
    let is_plain = |byte: u8| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'%' | b'+' | b'#' | b'\\');
    if text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => bytes.push(decode(rest.next(), rest.next()).ok_or(BAD_ENCODING)?),
            b'+' => bytes.push(b' '),
            b'#' | b'\\' => return Err(BAD_BYTE),
            0x21..=0x7e => bytes.push(byte),
            _ => return Err(BAD_BYTE),
        }
    }
    let decoded = String::from_utf8(bytes).map_err(|_| BAD_ENCODING)?;
    if decoded.chars().any(char::is_control) {
        return Err(BAD_BYTE);
    }
    Ok(decoded)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.contains(['%', ' ']) {
        return Err(BAD_NAME);
    }
    let folds_to = |known: &str| {
        let mut folded = name.bytes().filter(|b| !matches!(b, b'-' | b'_'));
        known
            .bytes()
            .all(|b| folded.next().is_some_and(|f| f.eq_ignore_ascii_case(&b)))
            && folded.next().is_none()
    };
    if CREDENTIALS.iter().any(|known| folds_to(known)) {
        return Err(CREDENTIAL);
    }
    // A parameter plainly named `method` belongs to no method override.
    if name != "method" && OVERRIDES.iter().any(|known| folds_to(known)) {
        return Err(OVERRIDE);
    }
    Ok(())
}

/// How often a fact-bearing name may stand; an approximate spelling of one is refused, because the
/// gate and HubSpot might disagree on whether it counts.
fn occurs(name: &str) -> Result<Option<(&'static str, Occurs)>, Refusal> {
    let stem = name.split(['[', '.']).next().unwrap_or(name);
    for (known, occurs) in FACTS {
        if name == known {
            return Ok(Some((known, occurs)));
        }
        if stem.eq_ignore_ascii_case(known) && (stem.len() == name.len() || name.contains('[')) {
            return Err(MISSPELT.at(Place::parameter(known)));
        }
    }
    Ok(None)
}

const fn query(cause: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(Reason::RefusedQuery, cause, remedy)
}

const TOO_MANY: Refusal = query(
    "the query has more than 2,048 parameters",
    "use a batch or search operation, whose list stands in the body",
);
const BAD_ENCODING: Refusal = query(
    "the query has a percent-encoding that is incomplete or not UTF-8",
    "percent-encode the UTF-8 bytes of each name and value, once",
);
const BAD_BYTE: Refusal = query(
    "the query has a control character or a byte that must be percent-encoded",
    "percent-encode each name and value; control characters are never accepted",
);
const BAD_NAME: Refusal = query(
    "a query parameter has no name, or one with a space or `%` in it",
    "name every parameter, and encode names once",
);
const DOUBLED: Refusal = query(
    "a query parameter that may stand once stands twice",
    "send `archived`, `idProperty`, `objectType`, `objectTypeId`, `toObjectType`, `q` and `query` at most once",
);
const MISSPELT: Refusal = query(
    "a query parameter is nearly one that decides, in another case or with brackets",
    "write `properties`, `associations`, `archived` and the like exactly as HubSpot documents them",
);
const CREDENTIAL: Refusal = query(
    "the query carries a credential",
    "send the gate's key as `Authorization: Bearer`, never in the query",
);
const OVERRIDE: Refusal = query("the query overrides the method", "send the method itself");

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(query: &str) -> Result<String, &'static str> {
        let parsed = Query::parse(query).map_err(|refusal| refusal.cause)?;
        let mut out = String::new();
        parsed.write(&mut out);
        Ok(out)
    }

    #[test]
    fn a_query_is_written_back_in_one_form() {
        for (given, expected) in [
            ("", ""),
            ("&&", ""),
            ("limit=100&after=NTI%3D", "?limit=100&after=NTI%3D"),
            ("properties=email,firstname", "?properties=email%2Cfirstname"),
            ("q=a+b", "?q=a%20b"),
            ("%71=a", "?q=a"),
            ("a=50%25", "?a=50%25"),
            ("archived", "?archived"),
            ("a=b=c", "?a=b%3Dc"),
            ("a=b;archived=true", "?a=b%3Barchived%3Dtrue"),
            ("vid=1&vid=2", "?vid=1&vid=2"),
        ] {
            assert_eq!(rewritten(given).as_deref(), Ok(expected), "{given}");
        }
    }

    #[test]
    fn credentials_and_method_overrides_are_refused_in_every_spelling() {
        for name in [
            "hapikey",
            "HAPIKEY",
            "hapi_key",
            "hap%69key",
            "access_token",
            "accessToken",
            "access-token",
            "oauth_token",
            "_method",
            "x-http-method-override",
            "X_HTTP_Method",
            "httpMethod",
            "client_secret",
            "Authorization",
        ] {
            assert!(Query::parse(&format!("limit=1&{name}=x")).is_err(), "{name}");
            assert!(Query::parse(name).is_err(), "{name}");
        }
        assert!(Query::parse("method=email").is_ok());
    }

    #[test]
    fn a_doubled_singleton_is_refused_and_lists_are_not() {
        assert!(Query::parse("archived=false&archived=true").is_err());
        assert!(Query::parse("archived=false&archived").is_err());
        assert!(Query::parse("archived=false&%61rchived=true").is_err());
        assert!(Query::parse("idProperty=email&idProperty=x").is_err());
        assert!(Query::parse("properties=a&properties=b&associations=deals&associations=notes").is_ok());
    }

    #[test]
    fn a_near_miss_of_a_deciding_name_is_refused() {
        for query in [
            "Archived=true",
            "ASSOCIATIONS=deals",
            "associations[]=deals",
            "associations%5B0%5D=deals",
        ] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
        assert!(Query::parse("associationCategory=x&createdAfter=1&property.name=2").is_ok());
    }

    #[test]
    fn a_refused_parameter_is_named_as_hubspot_spells_it() {
        for (query, expected) in [
            ("archived=false&archived=true", "archived"),
            ("ASSOCIATIONS=deals", "associations"),
            ("x=1&idproperty=secret@example.com", "idProperty"),
        ] {
            let place = Query::parse(query).unwrap_err().place;
            assert_eq!(place.as_ref().map(Place::as_str), Some(expected), "{query}");
        }
    }

    #[test]
    fn bytes_that_parsers_disagree_on_are_refused() {
        for query in [
            "a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "a=%0a", "a=b\tc", "a=b c", "a=é", "a=#", "=x",
            "%2561=x", "a=\\",
        ] {
            assert!(Query::parse(query).is_err(), "{query:?}");
        }
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        assert!(Query::parse(&"a&".repeat(PARAMETERS)).is_ok());
        assert!(Query::parse(&"a&".repeat(PARAMETERS + 1)).is_err());
    }
}
