//! HubSpot's error bodies, written anew from the members that are known of them.
//!
//! What clients read of an error is a short list: HubSpot's envelope, and what its older APIs put in
//! its place. Everything else an upstream, or something that stands before it, might say is left out.
//! Values pass as they are: they are HubSpot's words to whoever asked, and property rules, where a
//! policy has them, are stricter than this.
//!
//! Names are free in `context`, `links` and their like only, which HubSpot documents as maps.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Most elements of a list, and most names of a map. A batch has 100 inputs.
const ELEMENTS: usize = 1000;

/// Longest free name.
const NAME_BYTES: usize = 128;

/// What may stand at a place. Anything else that stands there is left out.
enum Shape {
    /// A text, a number, yes, no or nothing.
    Word,
    /// One word or several.
    Words,
    /// Words under free names.
    Named,
    /// Known members, in the order in which they are written.
    Object(&'static [(&'static str, Shape)]),
    /// Several of these; words pass, too: some services list mere texts.
    List(&'static [(&'static str, Shape)]),
}

use Shape::{List, Named, Object, Word, Words};

/// An error: HubSpot's envelope first, then what older services say.
const ERROR: &[(&str, Shape)] = &[
    ("status", Word),
    ("statusCode", Word),
    ("message", Word),
    ("correlationId", Word),
    ("requestId", Word),
    ("category", Word),
    ("subCategory", Word),
    ("errorType", Word),
    ("errorCode", Word),
    ("policyName", Word),
    ("groupName", Word),
    ("code", Word),
    ("name", Word),
    ("id", Word),
    ("error", Word),
    ("error_description", Word),
    ("isGated", Word),
    ("errors", List(DETAIL)),
    ("numErrors", Word),
    ("context", Named),
    ("links", Named),
    ("errorTokens", Named),
    ("requiredScopes", Words),
    ("requiredGranularScopes", Words),
    ("missingScopes", Words),
    ("validationResults", List(VALIDATION)),
    ("failureMessages", List(FAILURE)),
    ("invalidEmails", Words),
    ("propertiesErrors", Named),
    ("identityProfile", Object(IDENTITY_PROFILE)),
];

/// One of several errors.
const DETAIL: &[(&str, Shape)] = &[
    ("status", Word),
    ("id", Word),
    ("index", Word),
    ("category", Word),
    ("subCategory", Word),
    ("message", Word),
    ("code", Word),
    ("errorType", Word),
    ("error", Word),
    ("in", Word),
    ("name", Word),
    ("type", Word),
    ("objectWriteTraceId", Word),
    ("context", Named),
    ("links", Named),
    ("errorTokens", Named),
    ("errors", List(INNER)),
    ("path", Words),
    ("locations", List(LOCATION)),
];

/// Where in a GraphQL query.
const LOCATION: &[(&str, Shape)] = &[("line", Word), ("column", Word)];

/// An error's own errors.
const INNER: &[(&str, Shape)] = &[
    ("message", Word),
    ("code", Word),
    ("subCategory", Word),
    ("in", Word),
    ("context", Named),
];

/// What v1 and v2 say of a property.
const VALIDATION: &[(&str, Shape)] = &[
    ("isValid", Word),
    ("message", Word),
    ("error", Word),
    ("name", Word),
    ("propertyName", Word),
];

/// What v1's batches say of one input.
const FAILURE: &[(&str, Shape)] = &[
    ("index", Word),
    ("message", Word),
    ("error", Object(INPUT_ERROR)),
    ("propertyValidationResult", Object(VALIDATION)),
    ("invalidEmail", Word),
];

const INPUT_ERROR: &[(&str, Shape)] = &[
    ("status", Word),
    ("message", Word),
    ("correlationId", Word),
    ("requestId", Word),
    ("validationResults", List(VALIDATION)),
];

/// The contact that stands in the way of a new one (v1): clients take its id from here.
const IDENTITY_PROFILE: &[(&str, Shape)] = &[
    ("vid", Word),
    ("portalId", Word),
    ("portal-id", Word),
    ("isContact", Word),
    ("is-contact", Word),
    ("identity", List(IDENTITY)),
    ("identities", List(IDENTITY)),
    ("linkedVid", Words),
    ("linked-vids", Words),
];

const IDENTITY: &[(&str, Shape)] = &[
    ("type", Word),
    ("value", Word),
    ("timestamp", Word),
    ("is-primary", Word),
    ("isPrimary", Word),
];

/// The body of an error, from what is known of it; `None`: it is no error of HubSpot's.
pub fn rebuild(body: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let known = Members {
        of: value.as_object()?,
        shape: ERROR,
    };
    known.iter().next()?;
    serde_json::to_vec(&known).ok()
}

/// The known members of an object.
struct Members<'v> {
    of: &'v Map<String, Value>,
    shape: &'static [(&'static str, Shape)],
}

impl<'v> Members<'v> {
    fn iter(&self) -> impl Iterator<Item = (&'static str, Part<'v>)> {
        let of = self.of;
        self.shape.iter().filter_map(move |(name, shape)| {
            let value = of.get(*name)?;
            Part { value, shape }.if_fits().map(|part| (*name, part))
        })
    }
}

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, part) in self.iter() {
            map.serialize_entry(name, &part)?;
        }
        map.end()
    }
}

/// A value at a place.
struct Part<'v> {
    value: &'v Value,
    shape: &'static Shape,
}

impl Part<'_> {
    /// Itself, if such a value may stand here.
    fn if_fits(self) -> Option<Self> {
        let fits = match self.shape {
            Word => is_word(self.value),
            Words => is_word(self.value) || self.value.is_array(),
            Named | Object(_) => self.value.is_object(),
            List(_) => self.value.is_array(),
        };
        fits.then_some(self)
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.shape, self.value) {
            (Words, Value::Array(words)) => {
                serializer.collect_seq(words.iter().filter(|v| is_word(v)).take(ELEMENTS))
            }
            (Named, Value::Object(named)) => serialize_named(named, serializer),
            (Object(shape), Value::Object(of)) => Members { of, shape }.serialize(serializer),
            (List(shape), Value::Array(list)) => serialize_list(list, shape, serializer),
            // A word: `if_fits` has let nothing else come here.
            (_, word) => word.serialize(serializer),
        }
    }
}

fn serialize_named<S: Serializer>(named: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    let short = named.iter().filter(|(name, _)| name.len() <= NAME_BYTES);
    for (name, value) in short.take(ELEMENTS) {
        if let Some(part) = (Part { value, shape: &Words }).if_fits() {
            map.serialize_entry(name, &part)?;
        }
    }
    map.end()
}

fn serialize_list<S: Serializer>(
    list: &[Value],
    shape: &'static [(&'static str, Shape)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(None)?;
    for element in list.iter().take(ELEMENTS) {
        match element {
            Value::Object(of) => seq.serialize_element(&Members { of, shape })?,
            Value::Array(_) => {}
            word => seq.serialize_element(word)?,
        }
    }
    seq.end()
}

fn is_word(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(body: &str) -> Option<String> {
        rebuild(body.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_clients_read_of_hubspots_errors_passes_as_it_is() {
        for body in [
            r#"{"status":"error","message":"x","correlationId":"c","category":"MISSING_SCOPES","subCategory":"S","errors":[{"message":"One or more","code":"C","in":"properties","context":{"requiredGranularScopes":["a","b"],"requiredScopes":["c"]}}],"context":{"expire time":["t"],"id":["1"]},"links":{"scopes":"https://developers.hubspot.com/scopes"}}"#,
            r#"{"status":"error","message":"You have reached your secondly limit.","correlationId":"c","requestId":"r","errorType":"RATE_LIMIT","policyName":"SECONDLY","groupName":"publicapi:x"}"#,
            r#"{"status":"error","message":"m","requestId":"r","validationResults":[{"isValid":false,"message":"m","error":"PROPERTY_DOESNT_EXIST","name":"x"}]}"#,
            r#"{"status":"error","message":"Contact already exists","error":"CONTACT_EXISTS","identityProfile":{"vid":7,"portalId":1,"isContact":true,"identity":[{"type":"EMAIL","value":"a@b","timestamp":1}],"linkedVid":[1,2]}}"#,
            r#"{"status":"error","failureMessages":[{"index":0,"error":{"status":"error","message":"m"}}],"invalidEmails":["a@b"]}"#,
            r#"{"errors":[{"message":"m","errorType":"E","path":["CRM","contact"],"locations":[{"line":1,"column":2}]}]}"#,
            r#"{"message":"m","isGated":true,"errors":["a text"]}"#,
            r#"{"id":18446744073709551615,"numErrors":2}"#,
        ] {
            assert_eq!(rebuilt(body).unwrap(), body);
        }
    }

    #[test]
    fn a_number_is_written_so_that_it_is_read_as_the_same_again() {
        for number in [
            "6.9999999999999995e+53",
            "0.1",
            "5e-324",
            "700000000000000000000000000000200000000000000000601994270",
        ] {
            let once = rebuilt(&format!(r#"{{"index":1,"numErrors":{number}}}"#)).unwrap();
            assert_eq!(rebuilt(&once).unwrap(), once, "{number}");
        }
    }

    #[test]
    fn everything_else_is_left_out() {
        for (body, expected) in [
            (
                r#"{"message":"m","stack":"at x","debug":{"a":1}}"#,
                r#"{"message":"m"}"#,
            ),
            (
                r#"{"message":{"message":"m"},"status":"error"}"#,
                r#"{"status":"error"}"#,
            ),
            (r#"{"message":["m"],"status":"error"}"#, r#"{"status":"error"}"#),
            (
                r#"{"errors":[{"message":"m","env":"x"},[1],7],"x":1}"#,
                r#"{"errors":[{"message":"m"},7]}"#,
            ),
            (
                r#"{"context":{"a":["x",["y"],{"b":1}],"c":{"d":1},"e":"f"}}"#,
                r#"{"context":{"a":["x"],"e":"f"}}"#,
            ),
            (r#"{"links":["x"],"status":"s"}"#, r#"{"status":"s"}"#),
            (
                r#"{"identityProfile":{"vid":1,"properties":{"ssn":"1"}}}"#,
                r#"{"identityProfile":{"vid":1}}"#,
            ),
            (r#"{"message":"first","message":"last"}"#, r#"{"message":"last"}"#),
            (
                r#"{"message":"\u0070at\u002d\ud83d\ude00"}"#,
                "{\"message\":\"pat-\u{1f600}\"}",
            ),
        ] {
            assert_eq!(rebuilt(body).as_deref(), Some(expected), "{body}");
        }
        let long = format!(
            r#"{{"context":{{"{}":["x"],"a":["y"]}}}}"#,
            "n".repeat(NAME_BYTES + 1)
        );
        assert_eq!(rebuilt(&long).unwrap(), r#"{"context":{"a":["y"]}}"#);
        let many = format!(r#"{{"errors":[{}1]}}"#, "1,".repeat(ELEMENTS));
        assert_eq!(rebuilt(&many).unwrap().matches('1').count(), ELEMENTS);
    }

    #[test]
    fn what_is_no_object_with_a_known_member_is_no_error_of_hubspots() {
        for body in [
            "",
            "{}",
            "[]",
            "\"x\"",
            "7",
            "null",
            "<html>",
            "{\"a\":1}",
            "{\"message\":[]}",
            "{\"message\":\"x\"",
            "{\"message\":\"x\"}{}",
            "\u{feff}{\"message\":\"x\"}",
            "{\"message\":1e999}",
            "{\"message\":\"\\ud800\"}",
        ] {
            assert_eq!(rebuilt(body), None, "{body}");
        }
        assert_eq!(rebuild(b"{\"message\":\"\xff\"}"), None);
        let deep = format!("{{\"message\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        assert_eq!(rebuilt(&deep), None);
    }
}
