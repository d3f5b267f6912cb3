//! Object types of a rule: which are meant, and whether the rule's scopes serve them.

use super::Resolver;
use crate::access::facts::ScopeIndex;
use crate::access::object_type::ObjectType;
use crate::access::policy::rule::Objects;
use crate::access::policy_text::mistake::{Mistake, code};
use crate::access::policy_text::nearest::did_you_mean;
use crate::access::policy_text::reader::shown;
use crate::access::policy_text::written::{At, Names};

/// Types named in a rule, not yet matched with what its scopes serve.
pub(super) struct NamedObjects {
    pub(super) all: Option<At<()>>,
    pub(super) types: Vec<At<NamedType>>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum NamedType {
    /// `custom`: every custom object.
    AnyCustom,
    One(ObjectType),
}

impl Resolver<'_> {
    /// The type a scope is named after, or its own rows that touch no type.
    pub(super) fn default_objects(&mut self, scope: &At<ScopeIndex>) -> Option<Objects> {
        let found = self.catalogue.scope(scope.value)?;
        if let Some(object) = &found.named_after {
            return Some(Objects {
                typeless: true,
                named: vec![object.clone()],
                ..Objects::default()
            });
        }
        if found.serves.is_empty() {
            return Some(Objects {
                typeless: true,
                any_custom: found.serves_custom,
                ..Objects::default()
            });
        }
        let served = self.names_of(&found.serves);
        let message = format!("`{}` serves several types and is named after none", found.name);
        let help = format!("add `objects` with some of: {served}");
        self.error(code::OBJECTS_REQUIRED, scope, message, help);
        None
    }

    /// Each type must be served by one of the rule's scopes.
    pub(super) fn served(&mut self, scopes: &[At<ScopeIndex>], objects: &NamedObjects) {
        for object in &objects.types {
            if scopes.is_empty() || scopes.iter().any(|s| self.serves(s.value, &object.value)) {
                continue;
            }
            let served: Vec<ObjectType> = scopes
                .iter()
                .filter_map(|s| self.catalogue.scope(s.value))
                .flat_map(|s| s.serves.clone())
                .collect();
            let help = match served.is_empty() {
                true => "leave `objects` out: this scope serves no object type".to_owned(),
                false => format!("it serves: {}", self.names_of(&served)),
            };
            let message = match scopes {
                [one] => format!(
                    "`{}` does not serve `{}`",
                    self.scope_name(one.value),
                    self.word_of(&object.value)
                ),
                _ => format!("none of these scopes serves `{}`", self.word_of(&object.value)),
            };
            self.error(code::OBJECT_NOT_SERVED, object, message, help);
        }
    }

    /// Each scope must serve one of the rule's types.
    pub(super) fn serving(&mut self, scopes: &[At<ScopeIndex>], objects: &NamedObjects) {
        for scope in scopes {
            let idle = !objects.types.is_empty()
                && !objects.types.iter().any(|o| self.serves(scope.value, &o.value));
            if idle && scopes.len() > 1 {
                let message = format!(
                    "`{}` serves none of these `objects`",
                    self.scope_name(scope.value)
                );
                self.error(
                    code::OBJECT_NOT_SERVED,
                    scope,
                    message,
                    "give it a rule of its own",
                );
            }
        }
    }

    fn serves(&self, scope: ScopeIndex, object: &NamedType) -> bool {
        let Some(scope) = self.catalogue.scope(scope) else {
            return false;
        };
        match object {
            NamedType::AnyCustom | NamedType::One(ObjectType::Custom(_)) => scope.serves_custom,
            NamedType::One(object) => scope.serves.contains(object),
        }
    }

    /// The named types that this scope serves. Its rows without a type belong to the type it is
    /// named after.
    pub(super) fn objects_of(&self, scope: ScopeIndex, objects: &NamedObjects) -> Objects {
        let named_after = self.catalogue.scope(scope).and_then(|s| s.named_after.clone());
        let mut set = Objects::default();
        for object in objects.types.iter().filter(|o| self.serves(scope, &o.value)) {
            match &object.value {
                NamedType::AnyCustom => set.any_custom = true,
                NamedType::One(object) => {
                    set.typeless |= named_after.as_ref() == Some(object);
                    set.named.push(object.clone());
                }
            }
        }
        set
    }

    /// A denied custom object has other spellings that HubSpot alone knows: the rule catches
    /// every custom object that no rule of this file names, too.
    pub(super) fn denied_objects(&mut self, names: &At<Names>) -> Objects {
        let named = self.objects(names);
        let mut set = any_of(&named);
        for object in &named.types {
            if let NamedType::One(ObjectType::Custom(_)) = object.value {
                set.unnamed_custom = true;
                self.mistakes.push(
                    Mistake::warning(
                        code::LINT_CUSTOM_DENY,
                        object.span.clone(),
                        "a custom object has several spellings, and HubSpot alone knows which mean the same",
                    )
                    .help("this rule also denies every custom object that no rule here names: better name in `allow` the ones you mean"),
                );
            }
        }
        set
    }

    pub(super) fn objects(&mut self, names: &At<Names>) -> NamedObjects {
        let mut named = NamedObjects {
            all: None,
            types: Vec::new(),
        };
        for name in &names.value {
            if name.value == "*" {
                if names.value.len() > 1 {
                    self.error(
                        code::WILDCARD,
                        name,
                        "`*` stands beside other types".to_owned(),
                        "write `[\"*\"]` alone, or the types",
                    );
                }
                named.all = Some(At {
                    value: (),
                    span: name.span.clone(),
                });
                continue;
            }
            let found = match name.value.as_str() {
                "custom" => Some(NamedType::AnyCustom),
                word => self.catalogue.object_type(word).map(NamedType::One),
            };
            match found {
                Some(value) if named.types.iter().any(|t| t.value == value) => self.error(
                    code::REPEATED,
                    name,
                    format!(
                        "`{}` is a type that stands in this list already",
                        shown(&name.value)
                    ),
                    "remove one",
                ),
                Some(value) => named.types.push(At {
                    value,
                    span: name.span.clone(),
                }),
                None => self.unknown_object(name),
            }
        }
        named
    }

    pub(super) fn unknown_object(&mut self, name: &At<String>) {
        if name.value.contains('*') {
            let message = format!("`{}` has a wildcard", shown(&name.value));
            self.error(code::WILDCARD, name, message, "name each type");
            return;
        }
        let names: Vec<String> = self
            .catalogue
            .object_types()
            .map(|(_, name)| name.to_owned())
            .chain(["custom".to_owned()])
            .collect();
        let help = did_you_mean(
            &name.value,
            names.iter().map(String::as_str),
            "a custom object is written `2-123` or `p_name`",
        );
        let message = format!("unknown object type `{}`", shown(&name.value));
        self.error(code::UNKNOWN_OBJECT, name, message, help);
    }

    fn word_of<'o>(&'o self, object: &'o NamedType) -> &'o str {
        match object {
            NamedType::AnyCustom => "custom",
            NamedType::One(object) => self.catalogue.object_name(object),
        }
    }
}

/// All the types named.
pub(super) fn any_of(named: &NamedObjects) -> Objects {
    Objects {
        all: named.all.is_some(),
        any_custom: named.types.iter().any(|t| t.value == NamedType::AnyCustom),
        named: named
            .types
            .iter()
            .filter_map(|t| match &t.value {
                NamedType::One(object) => Some(object.clone()),
                NamedType::AnyCustom => None,
            })
            .collect(),
        ..Objects::default()
    }
}
