//! A policy as its author wrote it: words with their places, nothing resolved.
//!
//! The JSON Schema editors use is generated from these types (`scopegate policy schema`).

use std::borrow::Cow;

use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::mistake::Span;
use super::properties::WrittenProperties;
use crate::access::effect::Effect;
use crate::access::facts::Risks;
use crate::access::fields::OnExtra;
use crate::access::installer::InstallerRule;
use crate::access::limits::{BATCH_MAX, Cap, Counted};

/// A value and the place it was written at.
#[derive(Clone, Debug, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A list of names; one name may stand alone.
pub type Names = Vec<At<String>>;

/// What one integration may do. Default: nothing.
// A required key is `None` beside a mistake only: the rest is judged all the same.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(
    title = "scopegate policy",
    deny_unknown_fields,
    extend("required" = ["integration", "owner", "connections"])
)]
pub struct WrittenPolicy {
    /// Name of the integration: the file's name without `.yaml`.
    #[schemars(with = "String", extend("pattern" = "^[a-z0-9-]{1,64}$"))]
    pub integration: Option<At<String>>,
    /// What the integration is for, in a sentence.
    #[schemars(with = "String")]
    pub description: Option<At<String>>,
    /// Who answers for it: an address people read.
    #[schemars(with = "String", length(min = 1, max = 254))]
    pub owner: Option<At<String>>,
    /// Day of the next review; afterwards a finding and a metric, never a refusal.
    #[schemars(with = "CalendarDay")]
    pub review_by: Option<At<Date>>,
    /// Last day; from its end (UTC) on everything is denied.
    #[schemars(with = "CalendarDay")]
    pub expires: Option<At<Date>>,
    /// HubSpot accounts it may act in: names, `{app: NAME}`, or "*" alone.
    #[schemars(with = "ConnectionsSchema")]
    pub connections: Option<At<Vec<At<Selector>>>>,
    /// What it may do.
    #[schemars(with = "Vec<AllowSchema>")]
    pub allow: Vec<WrittenRule>,
    /// What it may not do, whatever `allow` says.
    #[schemars(with = "Vec<DenySchema>")]
    pub deny: Vec<WrittenRule>,
    /// Which properties of records may be read and written, by object type; a type that is not
    /// listed has none. Absent = all. "*" holds for every type, beside the type's own entry; `custom`
    /// for every custom object without one. Bounds every rule and opens nothing.
    #[schemars(with = "WrittenProperties")]
    pub properties: Option<At<WrittenProperties>>,
    /// What becomes of a read that names a hidden property: `strip` (default) leaves it out, `deny`
    /// denies the request. Writes outside the list are always denied.
    #[schemars(with = "OnExtraSchema")]
    pub on_extra_property: Option<At<OnExtra>>,
    /// What becomes of calls when the person behind the connection's credential was removed from
    /// the HubSpot account or deactivated: `block` (default), `read-only`, `alert`.
    #[schemars(with = "InstallerSchema")]
    pub installer_removed: Option<At<InstallerRule>>,
    /// The same when that person lost rights: `read-only` (default), `block`, `alert`.
    #[schemars(with = "InstallerSchema")]
    pub installer_lost_rights: Option<At<InstallerRule>>,
    /// How much in one request, and in any span of time. Each connection counts by itself.
    #[schemars(with = "LimitsSchema")]
    pub limits: Option<WrittenLimits>,
    /// Calls that nothing allows pass for a while and are recorded.
    #[schemars(with = "WrittenObserve")]
    pub observe: Option<At<WrittenObserve>>,
    /// Accepted and means nothing: enforcing is what a policy does.
    #[schemars(with = "ModeSchema")]
    pub mode: Option<At<String>>,
}

/// A policy that no integration's policy can exceed. Grants nothing.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(title = "scopegate ceiling", deny_unknown_fields, transform = all_optional)]
pub struct WrittenCeiling {
    /// The most that policies may allow; absent = whatever `deny` leaves.
    #[schemars(with = "Vec<AllowSchema>")]
    pub allow: Option<Vec<WrittenRule>>,
    /// What no policy may do.
    #[schemars(with = "Vec<DenySchema>")]
    pub deny: Vec<WrittenRule>,
    /// The most that may be read and written of records, by object type, as in a policy.
    #[schemars(with = "WrittenProperties")]
    pub properties: Option<At<WrittenProperties>>,
    /// `never`: no policy may observe.
    #[schemars(with = "NeverSchema")]
    pub observe: Option<At<Never>>,
    /// Policies must expire within this many days: `400d`.
    #[schemars(with = "DaysSchema")]
    pub expires_within: Option<At<u32>>,
    /// Keys every policy must have.
    #[schemars(with = "Vec<Required>")]
    pub require: Vec<At<Required>>,
}

/// One rule of `allow` or `deny`.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, transform = all_optional)]
pub struct WrittenRule {
    /// Place of the whole rule.
    #[schemars(skip)]
    pub span: Span,
    /// Keys that are misspelled, or whose values were not all read: they are not missing, and
    /// what follows from the rest of their values may not be what the author meant.
    #[schemars(skip)]
    pub unsound: Vec<&'static str>,
    /// Opens what a reviewer reads in the scope's name. One name or a list.
    #[schemars(with = "OneOrMany<String>")]
    pub scope: Option<At<Names>>,
    /// Opens exactly these operations. One id or a list; in `deny` the last segment may be `*`.
    #[schemars(with = "OneOrMany<String>")]
    pub operation: Option<At<Names>>,
    /// Effects opened in place of the default, or denied together with the stronger ones.
    #[schemars(with = "OneOrMany<EffectSchema>")]
    pub effects: Option<At<Vec<At<Effect>>>>,
    /// Object types; `["*"]` = all, on operation rules and in `deny`.
    #[schemars(with = "OneOrMany<String>")]
    pub objects: Option<At<Names>>,
    /// Consequences the rule takes in, or denies.
    #[schemars(with = "OneOrMany<RiskSchema>")]
    pub risks: Option<At<Vec<At<Risks>>>>,
    /// Connections the rule holds for; absent = all of the policy.
    #[schemars(with = "OneOrMany<SelectorSchema>")]
    pub connections: Option<At<Vec<At<Selector>>>>,
    /// Name of the rule in answers and audit; default `allow[N]` or `deny[N]`.
    #[schemars(with = "String", extend("pattern" = "^[A-Za-z0-9._-]{1,64}$"))]
    pub id: Option<At<String>>,
    /// Why the rule is there.
    #[schemars(with = "String")]
    pub reason: Option<At<String>>,
    /// The rule's scopes are asked for as `optional_scope` when a portal is connected. No
    /// influence on decisions.
    #[schemars(with = "bool")]
    pub optional: Option<At<bool>>,
}

/// `observe:`.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(deny_unknown_fields, extend("required" = ["until", "effects"]))]
pub struct WrittenObserve {
    /// Last day of observing, at most 60 days ahead.
    #[schemars(with = "CalendarDay")]
    pub until: At<Date>,
    /// Effects that pass; never `irreversible` or `auth`.
    #[schemars(with = "OneOrMany<ObservableSchema>")]
    pub effects: Vec<At<Effect>>,
    /// Risks that pass.
    #[schemars(with = "OneOrMany<RiskSchema>")]
    pub risks: Vec<At<Risks>>,
}

/// `limits:`.
#[derive(Clone, Debug, Default)]
pub struct WrittenLimits {
    /// Most records that one request may name.
    pub batch: Option<At<u32>>,
    /// Most of what is counted in any span of time.
    pub caps: Vec<(Counted, At<Cap>)>,
}

/// What `connections` names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// A connection by its name.
    Name(String),
    /// All portals of an app.
    App(String),
    /// All connections.
    All,
}

/// `observe: never` in a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Never;

/// What a ceiling may require of each policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Required {
    /// `owner`: always there, so this says it for readers.
    Owner,
    /// `review_by`.
    ReviewBy,
    /// `expires`.
    Expires,
}

impl WrittenRule {
    /// Whether nothing of what was written for these keys was lost.
    pub fn is_sound(&self, keys: &[&str]) -> bool {
        !keys.iter().any(|key| self.unsound.contains(key))
    }
}

impl Required {
    /// Every word.
    pub const ALL: [(&'static str, Required); 3] = [
        ("owner", Required::Owner),
        ("review_by", Required::ReviewBy),
        ("expires", Required::Expires),
    ];
}

/// Fields described by the schema of another type count as required unless told otherwise.
fn all_optional(schema: &mut Schema) {
    schema.remove("required");
}

/// The schema of a policy file.
pub fn policy_schema() -> Schema {
    schemars::schema_for!(WrittenPolicy)
}

/// The schema of `_ceiling.yaml`.
pub fn ceiling_schema() -> Schema {
    schemars::schema_for!(WrittenCeiling)
}

/// One value, or a list of them.
struct OneOrMany<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// Declares a schema that stands for a word of the format.
macro_rules! word_schema {
    ($name:ident, $title:literal, $body:expr) => {
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let make: fn(&mut SchemaGenerator) -> Schema = $body;
                make(generator)
            }
        }
    };
}

word_schema!(CalendarDay, "Day", |_| json_schema!({
    "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
}));
word_schema!(EffectSchema, "Effect", |_| {
    let words = Effect::ALL.map(Effect::as_str);
    json_schema!({ "type": "string", "enum": words })
});
word_schema!(ObservableSchema, "ObservableEffect", |_| json_schema!({
    "type": "string", "enum": ["meta", "read", "write", "delete"]
}));
word_schema!(RiskSchema, "Risk", |_| {
    let words = Risks::NAMES.map(|(name, _)| name);
    json_schema!({ "type": "string", "enum": words })
});
word_schema!(SelectorSchema, "Connection", |_| json_schema!({
    "anyOf": [
        { "type": "string" },
        {
            "type": "object",
            "properties": { "app": { "type": "string" } },
            "required": ["app"],
            "additionalProperties": false
        }
    ]
}));
word_schema!(ConnectionsSchema, "Connections", |generator| {
    <OneOrMany<SelectorSchema>>::json_schema(generator)
});
word_schema!(NeverSchema, "Never", |_| json_schema!({ "const": "never" }));
word_schema!(ModeSchema, "Mode", |_| json_schema!({ "const": "enforce" }));
word_schema!(DaysSchema, "Days", |_| json_schema!({
    "type": "string", "pattern": "^[1-9][0-9]{0,3}d$"
}));
word_schema!(OnExtraSchema, "OnExtraProperty", |_| {
    let words = OnExtra::WORDS.map(|(word, _)| word);
    json_schema!({ "type": "string", "enum": words })
});
word_schema!(InstallerSchema, "InstallerRule", |_| {
    let words = InstallerRule::WORDS.map(|(word, _)| word);
    json_schema!({ "type": "string", "enum": words })
});
word_schema!(LimitsSchema, "Limits", |generator| {
    let cap = generator.subschema_for::<CapSchema>();
    json_schema!({
        "type": "object",
        "properties": {
            "batch": {
                "description": "Most records that one request may name.",
                "type": "integer", "minimum": 1, "maximum": BATCH_MAX
            },
            "requests": cap,
            "records_read": cap,
            "records_written": cap,
            "records_deleted": cap,
            "records_irreversible": cap
        },
        "minProperties": 1,
        "additionalProperties": false
    })
});
word_schema!(CapSchema, "Cap", |_| json_schema!({
    "description": "At most so many in any span of this length: 50/10s, 5000/1h. Units: s, m, h, d; at most 31d.",
    "type": "string", "pattern": "^[1-9][0-9]{0,9}/[1-9][0-9]{0,6}[smhd]$"
}));
word_schema!(AllowSchema, "AllowRule", |generator| {
    let mut schema = WrittenRule::json_schema(generator);
    schema.insert(
        "oneOf".to_owned(),
        serde_json::json!([{ "required": ["scope"] }, { "required": ["operation"] }]),
    );
    schema
});
word_schema!(DenySchema, "DenyRule", |generator| {
    let mut schema = WrittenRule::json_schema(generator);
    if let Some(properties) = schema.get_mut("properties").and_then(|p| p.as_object_mut()) {
        properties.remove("optional");
    }
    let any =
        ["scope", "operation", "effects", "objects", "risks"].map(|k| serde_json::json!({ "required": [k] }));
    schema.insert("anyOf".to_owned(), serde_json::json!(any));
    schema
});
