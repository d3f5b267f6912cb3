//! `properties:` as its author wrote it: names of types and properties, nothing resolved.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::written::{At, Names};

/// What may be read and written of records, by object type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WrittenProperties {
    /// In the order written.
    pub entries: Vec<WrittenEntry>,
}

/// One object type, and what is granted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenEntry {
    /// The type in any spelling, `custom`, or `*`.
    pub object: At<String>,
    /// What is granted.
    pub grant: WrittenGrant,
}

/// What is granted of a type.
#[derive(Clone, Debug, PartialEq)]
pub enum WrittenGrant {
    /// `all`.
    All,
    /// By direction; one that is not there is none.
    Directions {
        /// What may be read, filtered and sorted by.
        read: Option<WrittenNames>,
        /// What may be written.
        write: Option<WrittenNames>,
        /// Property to the values that may be set.
        values: Vec<(At<String>, Names)>,
        /// Not all of it could be read, which is a mistake already: what is missing may not be.
        unsound: bool,
    },
}

/// A set of property names.
#[derive(Clone, Debug, PartialEq)]
pub enum WrittenNames {
    /// `all`.
    All,
    /// These.
    Listed(Names),
    /// All but what matches.
    Except(Names),
}

impl WrittenGrant {
    /// What is written for a direction, with its key.
    pub fn directions(&self) -> [(&'static str, Option<&WrittenNames>); 2] {
        match self {
            Self::All => [
                ("read", Some(&WrittenNames::All)),
                ("write", Some(&WrittenNames::All)),
            ],
            Self::Directions { read, write, .. } => [("read", read.as_ref()), ("write", write.as_ref())],
        }
    }
}

impl WrittenNames {
    /// The names and patterns in it.
    pub fn names(&self) -> &[At<String>] {
        match self {
            Self::All => &[],
            Self::Listed(names) | Self::Except(names) => names,
        }
    }
}

/// A property's name, as far as its letters go.
const NAME_PATTERN: &str = "^[A-Za-z0-9_.-]{1,100}$";

impl JsonSchema for WrittenProperties {
    fn schema_name() -> Cow<'static, str> {
        "Properties".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let grant = generator.subschema_for::<WrittenGrant>();
        json_schema!({ "type": "object", "additionalProperties": grant })
    }
}

impl JsonSchema for WrittenGrant {
    fn schema_name() -> Cow<'static, str> {
        "PropertyGrant".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<WrittenNames>();
        let value = serde_json::json!({ "type": ["string", "number", "boolean"] });
        json_schema!({
            "description": "`all`, or what is granted by direction; a direction not named is none.",
            "anyOf": [
                { "const": "all" },
                {
                    "type": "object",
                    "properties": {
                        "read": names,
                        "write": names,
                        "values": {
                            "description": "Property to the values that may be set; `write` must hold it.",
                            "type": "object",
                            "propertyNames": { "pattern": NAME_PATTERN },
                            "additionalProperties": {
                                "anyOf": [value, { "type": "array", "items": value, "minItems": 1 }]
                            }
                        }
                    },
                    "dependentRequired": { "values": ["write"] },
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl JsonSchema for WrittenNames {
    fn schema_name() -> Cow<'static, str> {
        "PropertyNames".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = serde_json::json!({ "type": "string", "pattern": "^[A-Za-z0-9_.*-]{1,100}$" });
        json_schema!({
            "description": "`all`, a list of names, or `{except: [...]}`, where `*` matches within a name.",
            "anyOf": [
                { "const": "all" },
                {
                    "type": "array",
                    "items": { "type": "string", "pattern": NAME_PATTERN },
                    "minItems": 1
                },
                {
                    "type": "object",
                    "properties": {
                        "except": {
                            "anyOf": [pattern, { "type": "array", "items": pattern, "minItems": 1 }]
                        }
                    },
                    "required": ["except"],
                    "additionalProperties": false
                }
            ]
        })
    }
}
