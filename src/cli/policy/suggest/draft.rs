//! The draft: rules by operation with exactly the types that calls touch, the properties they name,
//! and the least set of scopes HubSpot asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::names::Named;
use crate::access::catalogue::Catalogue;
use crate::access::consent::{BASE_SCOPE, Least, Wanted, least};
use crate::access::effect::Effect;
use crate::access::facts::{Facts, Need, OperationIndex, ScopeIndex, Touch};
use crate::access::object_type::ObjectType;
use crate::hubspot::authorize::{AUTHORIZE_URL, Authorize};

/// What calls ask for, gathered.
#[derive(Debug, Default)]
pub struct Draft {
    /// By operation, types together and whether all calls of it are optional: the effects seen.
    asked: BTreeMap<Asked, BTreeSet<Effect>>,
    /// By type: the properties named.
    pub properties: BTreeMap<ObjectType, Named>,
    needs: Vec<(Need, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    operation: OperationIndex,
    /// The ends of a pair, sorted; none for an operation on one type, whose types are gathered later.
    pair: Option<BTreeSet<ObjectType>>,
    object: Option<ObjectType>,
    /// It touches types the call does not name, so only a rule for all of them opens it.
    every: bool,
}

/// Who a draft is for.
#[derive(Clone, Debug)]
pub struct Head {
    /// The integration's name.
    pub integration: String,
    /// Who answers for it.
    pub owner: String,
    /// Where it acts.
    pub connection: String,
    /// How many calls it was drafted from.
    pub calls: usize,
}

/// The scopes an app must ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Without these a call that is needed fails.
    pub required: Vec<String>,
    /// What optional calls need beside them.
    pub optional: Vec<String>,
}

impl Draft {
    /// Adds what a call asks for. `named` are the properties of the one type it is about, if it is.
    pub fn add(&mut self, facts: &Facts, named: Named, optional: bool) {
        for need in &facts.needs {
            let types: Vec<&ObjectType> = need.touches.iter().filter_map(|t| t.object.as_ref()).collect();
            let asked = Asked {
                operation: need.operation,
                pair: (types.len() == 2).then(|| types.iter().map(|object| (*object).clone()).collect()),
                object: (types.len() == 1)
                    .then(|| types.first().map(|o| (*o).clone()))
                    .flatten(),
                every: types.len() > 2,
            };
            self.asked.entry(asked).or_default().insert(need.effect);
            self.needs.push((need.clone(), optional));
        }
        if let [touch] = facts.main().touches.as_slice()
            && let Some(object) = &touch.object
        {
            let all = self.properties.entry(object.clone()).or_default();
            all.read.extend(named.read);
            all.write.extend(named.write);
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The draft as a policy's text.
    pub fn text(&self, catalogue: &Catalogue, head: &Head) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=./policy.schema.json\n#\n\
             # A draft, made by `scopegate policy suggest` from {} calls: it opens these operations{}\n\
             # and nothing else. Say what it is for, who answers for it, and where it acts.\n\
             integration: {}\nowner: {}\nconnections: [{}]\nallow:\n",
            head.calls,
            if self.names_properties() {
                ", types and properties"
            } else {
                " and types"
            },
            head.integration,
            head.owner,
            head.connection
        );
        for rule in self.rules(catalogue) {
            text.push_str(&rule);
        }
        text.push_str(&self.properties_text(catalogue));
        let scopes = self.scopes(catalogue);
        // Writing to a string can't fail.
        let _ = writeln!(text, "# scopes, required: {}", scopes.required.join(" "));
        if !scopes.optional.is_empty() {
            let _ = writeln!(text, "# scopes, optional: {}", scopes.optional.join(" "));
        }
        let _ = writeln!(text, "# install: {}", install_url(&scopes));
        text
    }

    /// One rule for all operations that say the same of the same types.
    fn rules(&self, catalogue: &Catalogue) -> Vec<String> {
        // Types of operations on one type are gathered; each pair stays by itself, since a rule opens
        // every pair of its types.
        let mut opened: BTreeMap<(OperationIndex, Option<BTreeSet<ObjectType>>, bool), Rest> =
            BTreeMap::new();
        for (asked, effects) in &self.asked {
            let key = (asked.operation, asked.pair.clone(), asked.every);
            let rest = opened.entry(key).or_default();
            rest.effects.extend(effects);
            rest.objects.extend(asked.object.clone());
            rest.objects.extend(asked.pair.iter().flatten().cloned());
        }
        let mut rules: BTreeMap<(Vec<String>, String), Vec<&str>> = BTreeMap::new();
        for ((index, pair, every), rest) in opened {
            let Some(operation) = catalogue.operation(index) else {
                continue;
            };
            let mut objects: Vec<String> = rest
                .objects
                .iter()
                .map(|object| catalogue.object_name(object).to_owned())
                .collect();
            if every {
                objects = vec!["\"*\"".to_owned()];
            }
            let mut more = String::new();
            if rest.effects.iter().ne([&operation.effect]) {
                let effects: Vec<&str> = rest.effects.iter().map(|e| e.as_str()).collect();
                let _ = writeln!(more, "    effects: [{}]", effects.join(", "));
            }
            let risks: Vec<&str> = operation.risks.names().collect();
            if !risks.is_empty() {
                let _ = writeln!(more, "    risks: [{}]", risks.join(", "));
            }
            if rest.effects.iter().any(|e| *e >= Effect::Delete) {
                more.push_str("    reason: stands in the calls this was drafted from\n");
            }
            if pair.is_some() && objects.len() == 2 {
                more.push_str("    # both ends\n");
            }
            rules.entry((objects, more)).or_default().push(&operation.id);
        }
        let rules = rules.into_iter().map(|((objects, more), ids)| {
            let ids = match ids.as_slice() {
                [one] => (*one).to_owned(),
                ids => format!("[{}]", ids.join(", ")),
            };
            let objects = match objects.is_empty() {
                true => String::new(),
                false => format!("    objects: [{}]\n", objects.join(", ")),
            };
            format!("  - operation: {ids}\n{objects}{more}")
        });
        rules.collect()
    }

    fn names_properties(&self) -> bool {
        self.properties.values().any(is_named)
    }

    fn properties_text(&self, catalogue: &Catalogue) -> String {
        let mut text = String::new();
        let named = self.properties.iter().filter(|(_, named)| is_named(named));
        for (object, named) in named.clone() {
            let list =
                |names: &BTreeSet<String>| names.iter().map(|n| shown(n)).collect::<Vec<_>>().join(", ");
            let mut parts = Vec::new();
            if !named.read.is_empty() {
                parts.push(format!("read: [{}]", list(&named.read)));
            }
            if !named.write.is_empty() {
                parts.push(format!("write: [{}]", list(&named.write)));
            }
            let _ = writeln!(
                text,
                "  {}: {{ {} }}",
                catalogue.object_name(object),
                parts.join(", ")
            );
        }
        let silent: Vec<&str> = self
            .properties
            .iter()
            .filter(|(_, named)| !is_named(named))
            .map(|(object, _)| catalogue.object_name(object))
            .collect();
        match (text.is_empty(), silent.is_empty()) {
            (true, true) => String::new(),
            (true, false) => {
                "# No call names a property, so nothing is said of properties: every one is readable.\n"
                    .to_owned()
            }
            (false, true) => format!("properties:\n{text}"),
            (false, false) => format!(
                "properties:\n{text}# No call names a property of these, so of their records none is readable: {}\n",
                silent.join(", ")
            ),
        }
    }

    /// The least set of scopes: of alternatives, one that is needed anyway.
    pub fn scopes(&self, catalogue: &Catalogue) -> Scopes {
        let wanted = |(need, is_optional): &(Need, bool)| {
            let is_optional = *is_optional;
            let of_touch = |touch: &Touch| Wanted {
                requirement: touch.requirement.clone(),
                is_optional,
            };
            need.touches.iter().map(of_touch).collect::<Vec<_>>()
        };
        let wanted: Vec<Wanted> = self.needs.iter().flat_map(wanted).collect();
        let Least { required, optional } = least(catalogue.scope_by_name(BASE_SCOPE), &wanted);
        let names = |scopes: &[ScopeIndex]| -> Vec<String> {
            catalogue
                .scope_names(scopes)
                .iter()
                .map(|s| (*s).to_owned())
                .collect()
        };
        let mut scopes = Scopes {
            required: names(&required),
            optional: names(&optional),
        };
        if !scopes.required.iter().any(|scope| scope == BASE_SCOPE) {
            scopes.required.insert(0, BASE_SCOPE.to_owned());
        }
        scopes
    }
}

fn is_named(named: &Named) -> bool {
    !named.read.is_empty() || !named.write.is_empty()
}

#[derive(Debug, Default)]
struct Rest {
    effects: BTreeSet<Effect>,
    objects: BTreeSet<ObjectType>,
}

/// A name as YAML takes it for text: one of digits alone would be a number.
fn shown(name: &str) -> String {
    let is_plain = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && !matches!(
            name,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "all"
        );
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

/// Where a person installs the app: what is not known yet stands in capitals.
pub fn install_url(scopes: &Scopes) -> String {
    Authorize {
        url: AUTHORIZE_URL,
        client_id: "CLIENT_ID",
        redirect_uri: "REDIRECT_URI",
        required: &scopes.required,
        optional: &scopes.optional,
        portal: None,
        binding: None,
    }
    .to_url()
}
