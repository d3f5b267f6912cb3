//! From the layers to the configuration: flag over environment over file over default, each value
//! with its origin, every mistake at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::environment::{Environment, Found};
use super::mistakes::{ConfigErrors, Mistake};
use super::settings::{self, APP_KEYS, NAMED, SETTINGS, SHORTHANDS, Secrecy};
use super::tree::{self, Key, Kind, Node};
use super::value::Value;
use super::{Config, check};
use crate::access::connection::is_name;

/// Values from the command line, by setting.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<(String, String)>);

impl Overrides {
    /// Sets `name` (`listen`, `upstream.url`) whatever file and environment say.
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file, at this line.
    File {
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag,
}

/// A setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Its name, sections separated by points.
    pub name: String,
    /// Its value as YAML, secrets masked.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// A configuration that was read without a mistake.
#[derive(Debug)]
pub struct Loaded {
    /// What the gate runs on.
    pub config: Config,
    /// The file it was read from.
    pub file: PathBuf,
    /// Every setting with its origin, in a stable order.
    pub settings: Vec<Effective>,
    /// What is no mistake, but likely not meant: for the log or stderr.
    pub warnings: Vec<String>,
}

/// Reads the configuration from `path`, or where it is looked for: `$SCOPEGATE_CONFIG`,
/// `./scopegate.yaml`, `/etc/scopegate/scopegate.yaml`.
///
/// # Errors
/// Every mistake in file, environment and flags; or that there is no file.
pub fn load(path: Option<&Path>, overrides: Overrides) -> Result<Loaded, ConfigErrors> {
    load_with(path, &overrides, &Environment::of_process())
}

/// [`load`] with an environment of the caller's.
pub(super) fn load_with(
    path: Option<&Path>,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Loaded, ConfigErrors> {
    let file = find(path, environment)?;
    let source = read(&file)?;
    let base = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let base = std::path::absolute(&base).unwrap_or(base);
    let mut loading = Loading {
        source: &source,
        layers: BTreeMap::new(),
        apps: Vec::new(),
        master_key: None,
        secrets: Vec::new(),
        mistakes: Vec::new(),
        warnings: Vec::new(),
    };
    loading.file();
    loading.environment(environment);
    loading.flags(overrides);
    let config = loading.config(&base);
    if loading.mistakes.is_empty() {
        return Ok(Loaded {
            settings: loading.effective(),
            warnings: loading.warnings,
            config,
            file,
        });
    }
    loading
        .mistakes
        .sort_by_key(|mistake| mistake.place.as_ref().map_or(usize::MAX, |place| place.start));
    Err(ConfigErrors {
        file: file.display().to_string(),
        source: without(&source, &loading.secrets),
        mistakes: loading.mistakes,
    })
}

fn find(path: Option<&Path>, environment: &Environment) -> Result<PathBuf, ConfigErrors> {
    if let Some(path) = path {
        return Ok(path.to_owned());
    }
    if let Some(path) = environment.config() {
        return Ok(PathBuf::from(path));
    }
    let usual = ["scopegate.yaml", "/etc/scopegate/scopegate.yaml"];
    let found = usual.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_owned).ok_or_else(|| {
        ConfigErrors::general(
            Mistake::new("no configuration file: neither `./scopegate.yaml` nor `/etc/scopegate/scopegate.yaml` exists")
                .help("name one by `--config FILE` or `SCOPEGATE_CONFIG`, or write one by `scopegate init DIR`"),
        )
    })
}

fn read(file: &Path) -> Result<String, ConfigErrors> {
    let shown = file.display();
    let general = |message: String| ConfigErrors::general(Mistake::new(message));
    let length = std::fs::metadata(file)
        .map_err(|error| general(format!("the configuration file `{shown}` can't be read: {error}")))?
        .len();
    if length > tree::FILE_BYTES as u64 {
        return Err(general(format!(
            "the configuration file `{shown}` is larger than {} bytes",
            tree::FILE_BYTES
        )));
    }
    let bytes = std::fs::read(file)
        .map_err(|error| general(format!("the configuration file `{shown}` can't be read: {error}")))?;
    String::from_utf8(bytes)
        .map_err(|_| general(format!("the configuration file `{shown}` is not UTF-8 text")))
}

/// A value of the strongest layer that has one.
struct Layered {
    value: Value,
    origin: Origin,
    place: Option<Range<usize>>,
}

/// One value of an app.
struct AppValue {
    app: String,
    key: &'static str,
    layered: Layered,
}

struct Loading<'a> {
    source: &'a str,
    layers: BTreeMap<&'static str, Layered>,
    apps: Vec<AppValue>,
    /// The one source of the master key that is in force, unless it is the default.
    master_key: Option<&'static str>,
    /// Where values stand that may hold a secret.
    secrets: Vec<Range<usize>>,
    mistakes: Vec<Mistake>,
    warnings: Vec<String>,
}

impl Loading<'_> {
    fn file(&mut self) {
        match tree::parse(self.source) {
            Ok(root) => self.section("", &root),
            Err(error) => self
                .mistakes
                .push(Mistake::new(error.message).at(Some(error.place))),
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
        if name == NAMED {
            self.named(node);
        } else if let Some(setting) = settings::by_name(name) {
            self.setting(setting.name, node);
        } else if let Some(main) = shorthand(name)
            && matches!(node.kind, Kind::Text(_))
        {
            self.setting(main, node);
        } else if settings::is_section(name) {
            self.section(name, node);
        } else {
            let place = Some(key.place.clone());
            let mistake = unknown(name, &key.name, &names_in(section));
            self.mistakes.push(mistake.at(place));
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
        // A reserved setting's own refusal says more than that it is a mapping.
        let reserved = name == "admin.tls";
        match value(node) {
            Some(value) => self.put(name, value, node),
            None if reserved => self.put(name, Value::List(Vec::new()), node),
            None => self.mistakes.push(
                Mistake::new(format!("`{name}` must be one value or a list of values"))
                    .at(Some(node.place.clone())),
            ),
        }
    }

    fn put(&mut self, name: &'static str, value: Value, node: &Node) {
        let layered = self.of_file(value, node);
        self.layers.insert(name, layered);
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

    fn named(&mut self, node: &Node) {
        let Kind::Map(apps) = &node.kind else {
            return self.section(NAMED, node);
        };
        for (name, app) in apps {
            if !is_name(&name.name) {
                self.mistakes.push(
                    Mistake::new("an app's name is at most 64 lower-case letters, digits and hyphens")
                        .at(Some(name.place.clone())),
                );
                continue;
            }
            let entries = match &app.kind {
                Kind::Map(entries) => entries.as_slice(),
                Kind::Null => &[],
                _ => return self.section(&format!("{NAMED}.{}", name.name), app),
            };
            // The app exists even if its entry says nothing.
            let layered = self.of_file(Value::Null, app);
            self.push_app(&name.name, "redirect_uri", layered);
            for (key, node) in entries {
                match (APP_KEYS.iter().find(|known| **known == key.name), value(node)) {
                    (Some(known), Some(value)) => {
                        let layered = self.of_file(value, node);
                        self.push_app(&name.name, known, layered);
                    }
                    (Some(known), None) => self.mistakes.push(
                        Mistake::new(format!("`{known}` must be one value")).at(Some(node.place.clone())),
                    ),
                    (None, _) => {
                        let full = format!("{NAMED}.{}.{}", name.name, key.name);
                        let known: Vec<_> = APP_KEYS.iter().map(|key| (*key).to_owned()).collect();
                        let mistake = unknown(&full, &key.name, &known);
                        self.mistakes.push(mistake.at(Some(key.place.clone())));
                    }
                }
            }
        }
    }

    fn push_app(&mut self, app: &str, key: &'static str, layered: Layered) {
        self.apps
            .retain(|value| (value.app.as_str(), value.key) != (app, key));
        self.apps.push(AppValue {
            app: app.to_owned(),
            key,
            layered,
        });
    }

    fn environment(&mut self, environment: &Environment) {
        let apps: Vec<String> = self.apps.iter().map(|value| value.app.clone()).collect();
        for (variable, found) in environment.settings(&apps) {
            let layered = |text: &str| Layered {
                value: Value::from_text(text),
                origin: Origin::Environment(variable.clone()),
                place: None,
            };
            match found {
                Found::Setting(name, text) => {
                    self.layers.insert(name, layered(&text));
                }
                Found::App(app, key, text) => self.push_app(&app, key, layered(&text)),
                Found::Unreadable(why) => self.mistakes.push(Mistake::new(format!("`{variable}`: {why}"))),
                Found::Unknown(nearest) => self.warnings.push(match nearest {
                    Some(nearest) => format!("`{variable}` is no setting: did you mean `{nearest}`?"),
                    None => format!("`{variable}` is no setting: it is ignored"),
                }),
            }
        }
    }

    fn flags(&mut self, overrides: &Overrides) {
        for (name, text) in &overrides.0 {
            let known = shorthand(name).or_else(|| settings::by_name(name).map(|setting| setting.name));
            match known {
                Some(name) => {
                    let layered = Layered {
                        value: Value::from_text(text),
                        origin: Origin::Flag,
                        place: None,
                    };
                    self.layers.insert(name, layered);
                }
                None => self
                    .mistakes
                    .push(Mistake::new(format!("`{name}` is no setting"))),
            }
        }
    }

    fn config(&mut self, base: &Path) -> Config {
        let mut config = Config::in_folder(base);
        self.master_key = self.master_key();
        for setting in SETTINGS {
            let Some(layered) = self.layers.get(setting.name) else {
                continue;
            };
            if self.is_overruled(setting.name) {
                continue;
            }
            if let Err(needed) = (setting.apply)(&mut config, &layered.value, base) {
                self.mistakes.push(mistake(setting.name, layered, needed));
            }
        }
        for value in &self.apps {
            if let Err(needed) = settings::apply_app(&mut config, &value.app, value.key, &value.layered.value)
            {
                let name = format!("{NAMED}.{}.{}", value.app, value.key);
                self.mistakes.push(mistake(&name, &value.layered, needed));
            }
        }
        let layers = &self.layers;
        let place = |name: &str| layers.get(name).and_then(|layered| layered.place.clone());
        check::whole(&mut config, &place, &mut self.mistakes, &mut self.warnings);
        config
    }

    /// The source of the master key in force: the strongest layer that names one decides alone,
    /// and may name one only.
    fn master_key(&mut self) -> Option<&'static str> {
        let rank = |origin: &Origin| match origin {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Environment(_) => 2,
            Origin::Flag => 3,
        };
        let named = |(name, layered): (&&'static str, &Layered)| {
            let counts = name.starts_with("master_key.") && layered.value != Value::Null;
            counts.then(|| (rank(&layered.origin), *name))
        };
        let mut sources: Vec<_> = self.layers.iter().filter_map(named).collect();
        sources.sort_unstable();
        let (strongest, one) = sources.pop()?;
        if let Some((next, another)) = sources.pop()
            && next == strongest
        {
            let place = self.layers.get(another).and_then(|layered| layered.place.clone());
            self.mistakes.push(
                Mistake::new(format!("`{another}` and `{one}` both name the master key"))
                    .at(place)
                    .help("keep one of `file`, `env`, `command`, `credential`"),
            );
        }
        Some(one)
    }

    /// A source of the master key besides the one in force.
    fn is_overruled(&self, name: &str) -> bool {
        self.master_key
            .is_some_and(|one| name.starts_with("master_key.") && name != one)
    }

    fn effective(&self) -> Vec<Effective> {
        let mut effective: Vec<_> = SETTINGS
            .iter()
            .map(|setting| {
                let (value, origin) = match self.layers.get(setting.name) {
                    _ if self.is_overruled(setting.name) => (Value::Null, Origin::Default),
                    Some(layered) => (layered.value.clone(), layered.origin.clone()),
                    None => (Value::from_text(setting.default), Origin::Default),
                };
                Effective {
                    name: setting.name.to_owned(),
                    value: masked(value, setting.secrecy).shown(),
                    origin,
                }
            })
            .collect();
        effective.extend(self.apps.iter().map(|value| Effective {
            name: format!("{NAMED}.{}.{}", value.app, value.key),
            value: value.layered.value.shown(),
            origin: value.layered.origin.clone(),
        }));
        effective
    }
}

/// The file with stars in place of secrets: it stands below mistakes on the same line.
fn without(source: &str, secrets: &[Range<usize>]) -> String {
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
        .chain([NAMED])
        .filter_map(|name| match section {
            "" => name.split('.').next(),
            _ => name.strip_prefix(section)?.strip_prefix('.'),
        })
        .map(str::to_owned)
        .collect();
    names.dedup();
    names
}

fn unknown(full: &str, key: &str, known: &[String]) -> Mistake {
    let mistake = Mistake::new(format!("`{full}` is no setting"));
    match super::nearest(key, known.iter().map(String::as_str)) {
        Some(nearest) => mistake.help(format!("did you mean `{nearest}`?")),
        None => mistake.help(format!("known here: {}", known.join(", "))),
    }
}

fn mistake(name: &str, layered: &Layered, needed: String) -> Mistake {
    let subject = match &layered.origin {
        Origin::Environment(variable) => format!("`{variable}`"),
        Origin::Flag => format!("the flag for `{name}`"),
        Origin::File { .. } | Origin::Default => format!("`{name}`"),
    };
    Mistake::new(format!("{subject}: {needed}")).at(layered.place.clone())
}

fn masked(value: Value, secrecy: Secrecy) -> Value {
    match (secrecy, value) {
        (Secrecy::Command, Value::List(words)) => {
            let arguments = words.len().saturating_sub(1);
            let program = words.into_iter().next();
            Value::List(
                program
                    .into_iter()
                    .chain((0..arguments).map(|_| "***".to_owned()))
                    .collect(),
            )
        }
        (Secrecy::Command, Value::Text(_)) => Value::Text("***".to_owned()),
        (Secrecy::Url, Value::Text(url)) => Value::Text(match url.rsplit_once('@') {
            Some((credentials, rest)) => {
                let scheme = credentials.split_once("://").map_or("", |(scheme, _)| scheme);
                format!("{scheme}://***@{rest}")
            }
            None => url,
        }),
        (_, value) => value,
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
