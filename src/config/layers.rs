//! The layers themselves: what file, environment and flags say, walked without judging values.
//! The stronger layer overwrites the weaker; what has no setting is a mistake or a warning.

use std::collections::BTreeMap;
use std::ops::Range;

use super::apps;
use super::environment::{Environment, Found};
use super::load::{Origin, Overrides};
use super::mistakes::Mistake;
use super::settings::{self, SETTINGS, SHORTHANDS, Secrecy};
use super::tree::{self, Key, Kind, Node};
use super::value::Value;
use crate::access::connection::is_name;
use crate::access::policy_text::nearest::nearest;

/// A value of the strongest layer that has one.
pub(super) struct Layered {
    pub(super) value: Value,
    pub(super) origin: Origin,
    pub(super) place: Option<Range<usize>>,
}

/// Members of one app by name, and where its name stands in the file.
#[derive(Default)]
pub(super) struct AppLayers {
    pub(super) place: Option<Range<usize>>,
    pub(super) members: BTreeMap<&'static str, Layered>,
}

pub(super) struct Layers<'a> {
    pub(super) source: &'a str,
    pub(super) values: BTreeMap<&'static str, Layered>,
    pub(super) apps: BTreeMap<String, AppLayers>,
    /// The one source of the master key that is in force, unless it is the default.
    pub(super) master_key: Option<&'static str>,
    /// Where values stand that may hold a secret.
    pub(super) secrets: Vec<Range<usize>>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

impl Layers<'_> {
    pub(super) fn file(&mut self) {
        match tree::parse(self.source) {
            Ok(root) => self.section("", &root),
            Err(mistake) => self.mistakes.push(mistake),
        }
    }

    fn section(&mut self, section: &str, node: &Node) {
        let entries = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Null => return, // an empty section says nothing
            Kind::Text(_) | Kind::List(_) => {
                let what = if section.is_empty() { "the file" } else { section };
                let mistake = Mistake::new(format!("`{what}` must be a mapping of settings"));
                self.mistakes.push(mistake.at(Some(node.place.clone())));
                return;
            }
        };
        for (key, value) in entries {
            let name = if section.is_empty() {
                key.name.clone()
            } else {
                format!("{section}.{}", key.name)
            };
            self.entry(section, &name, key, value);
        }
    }

    fn entry(&mut self, section: &str, name: &str, key: &Key, node: &Node) {
        if let Some(setting) = settings::by_name(name) {
            self.setting(setting.name, node);
        } else if let Some(main) = shorthand(name)
            && matches!(node.kind, Kind::Text(_))
        {
            self.setting(main, node);
        } else if settings::is_section(name) {
            self.section(name, node);
        } else if name == apps::SECTION {
            self.apps(node);
        } else {
            let place = Some(key.place.clone());
            let mistake = unknown(name, &key.name, &names_in(section));
            self.mistakes.push(mistake.at(place));
        }
    }

    /// The one section whose keys are the operator's own words.
    fn apps(&mut self, node: &Node) {
        let Some(named) = self.mapping("`apps` must be a mapping of app names", node) else {
            return;
        };
        for (name, app) in named {
            if !is_name(&name.name) {
                let mistake = Mistake::new(format!("`{}` can't be an app's name", name.name))
                    .help("use 1 to 64 of a-z, 0-9 and `-`, as in `scopegate app add NAME`");
                self.mistakes.push(mistake.at(Some(name.place.clone())));
                continue;
            }
            let full = format!("apps.{}", name.name);
            self.apps.entry(name.name.clone()).or_default().place = Some(name.place.clone());
            let what = format!("`{full}` must be a mapping of settings");
            for (key, value) in self.mapping(&what, app).unwrap_or_default() {
                self.app_member(&name.name, key, value);
            }
        }
    }

    fn app_member(&mut self, app: &str, key: &Key, node: &Node) {
        let full = format!("apps.{app}.{}", key.name);
        let Some(member) = apps::member(&key.name) else {
            let names: Vec<String> = apps::MEMBERS
                .iter()
                .map(|member| member.name.to_owned())
                .collect();
            self.mistakes
                .push(unknown(&full, &key.name, &names).at(Some(key.place.clone())));
            return;
        };
        match value(node) {
            Some(value) => {
                let layered = self.of_file(value, node);
                let layers = self.apps.entry(app.to_owned()).or_default();
                layers.members.insert(member.name, layered);
            }
            None => self
                .mistakes
                .push(Mistake::new(format!("`{full}` must be one value")).at(Some(node.place.clone()))),
        }
    }

    /// The entries of a mapping; nothing is an empty one, something else a mistake.
    fn mapping<'n>(&mut self, needed: &str, node: &'n Node) -> Option<&'n [(Key, Node)]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => None,
            Kind::Text(_) | Kind::List(_) => {
                self.mistakes
                    .push(Mistake::new(needed).at(Some(node.place.clone())));
                None
            }
        }
    }

    fn setting(&mut self, name: &'static str, node: &Node) {
        let secret = match settings::by_name(name).map(|setting| setting.secrecy) {
            Some(Secrecy::Url) => matches!(&node.kind, Kind::Text(url) if url.contains('@')),
            Some(Secrecy::Command) => true,
            Some(Secrecy::Plain) | None => false,
        };
        if secret {
            self.secrets.push(node.place.clone());
        }
        match value(node) {
            Some(value) => self.put(name, value, node),
            None => self.mistakes.push(
                Mistake::new(format!("`{name}` must be one value or a list of values"))
                    .at(Some(node.place.clone())),
            ),
        }
    }

    fn put(&mut self, name: &'static str, value: Value, node: &Node) {
        let layered = self.of_file(value, node);
        self.values.insert(name, layered);
    }

    fn of_file(&self, value: Value, node: &Node) -> Layered {
        let before = self.source.get(..node.place.start).unwrap_or_default();
        Layered {
            value,
            origin: Origin::File {
                line: before.matches('\n').count() + 1,
            },
            place: Some(node.place.clone()),
        }
    }

    pub(super) fn environment(&mut self, environment: &Environment) {
        for (variable, found) in environment.settings() {
            let layered = |text: &str| Layered {
                value: Value::from_text(text),
                origin: Origin::Environment(variable.clone()),
                place: None,
            };
            match found {
                Found::Setting(name, text) => {
                    self.values.insert(name, layered(&text));
                }
                Found::App(app, member, text) => {
                    let layers = self.apps.entry(app).or_default();
                    layers.members.insert(member, layered(&text));
                }
                Found::Unreadable(why) => self.mistakes.push(Mistake::new(format!("`{variable}`: {why}"))),
                Found::Unknown(nearest) => self.warnings.push(match nearest {
                    Some(nearest) => format!("`{variable}` is no setting: did you mean `{nearest}`?"),
                    None => format!("`{variable}` is no setting: it is ignored"),
                }),
            }
        }
    }

    pub(super) fn flags(&mut self, overrides: &Overrides) {
        for (name, text) in &overrides.0 {
            let known = shorthand(name).or_else(|| settings::by_name(name).map(|setting| setting.name));
            match known {
                Some(name) => {
                    let layered = Layered {
                        value: Value::from_text(text),
                        origin: Origin::Flag,
                        place: None,
                    };
                    self.values.insert(name, layered);
                }
                None => self
                    .mistakes
                    .push(Mistake::new(format!("`{name}` is no setting"))),
            }
        }
    }
}

/// The file with stars in place of secrets: it stands below mistakes on the same line.
pub(super) fn without(source: &str, secrets: &[Range<usize>]) -> String {
    let starred = source.char_indices().flat_map(|(at, c)| {
        let secret = !c.is_whitespace() && secrets.iter().any(|place| place.contains(&at));
        // As many bytes as before: places are byte offsets.
        let (star, times) = if secret { ('*', c.len_utf8()) } else { (c, 1) };
        std::iter::repeat_n(star, times)
    });
    starred.collect()
}

fn shorthand(name: &str) -> Option<&'static str> {
    SHORTHANDS
        .iter()
        .find(|(short, _)| *short == name)
        .map(|(_, main)| *main)
}

fn value(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Null => Some(Value::Null),
        Kind::Text(text) => Some(Value::Text(text.clone())),
        Kind::List(items) => items
            .iter()
            .map(|item| match &item.kind {
                Kind::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect::<Option<_>>()
            .map(Value::List),
        Kind::Map(_) => None,
    }
}

/// The keys that may stand in a section.
fn names_in(section: &str) -> Vec<String> {
    let mut names: Vec<String> = SETTINGS
        .iter()
        .map(|setting| setting.name)
        .filter_map(|name| match section {
            "" => name.split('.').next(),
            _ => name.strip_prefix(section)?.strip_prefix('.'),
        })
        .map(str::to_owned)
        .collect();
    if section.is_empty() {
        names.push(apps::SECTION.to_owned());
    }
    names.dedup();
    names
}

fn unknown(full: &str, key: &str, known: &[String]) -> Mistake {
    let mistake = Mistake::new(format!("`{full}` is no setting"));
    match nearest(key, known.iter().map(String::as_str)) {
        Some(nearest) => mistake.help(format!("did you mean `{nearest}`?")),
        None => mistake.help(format!("known here: {}", known.join(", "))),
    }
}
