//! From the layers to the configuration: flag over environment over file over default, each value
//! with its origin, every mistake at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::layers::{AppLayers, Layered, Layers, without};
use super::mistakes::{ConfigErrors, Mistake};
use super::settings::{SETTINGS, Secrecy};
use super::tree;
use super::value::Value;
use super::{AppSettings, Config, apps, check};

/// Where the master key may come from: one of them counts.
const KEY_SOURCES: [&str; 4] = [
    "master_key.file",
    "master_key.env",
    "master_key.command",
    "master_key.credential",
];

/// Values from the command line, by setting.
#[derive(Clone, Debug, Default)]
pub struct Overrides(pub(super) Vec<(String, String)>);

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
    let mut loading = Layers {
        source: &source,
        values: BTreeMap::new(),
        apps: BTreeMap::new(),
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
            settings: loading.effective(&config),
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

impl Layers<'_> {
    fn config(&mut self, base: &Path) -> Config {
        let mut config = Config::in_folder(base);
        self.master_key = self.master_key();
        for setting in SETTINGS {
            let Some(layered) = self.values.get(setting.name) else {
                continue;
            };
            if self.is_overruled(setting.name) {
                continue;
            }
            if let Err(needed) = (setting.apply)(&mut config, &layered.value, base) {
                self.mistakes.push(mistake(setting.name, layered, needed));
            }
        }
        self.read_apps(&mut config);
        let (values, apps) = (&self.values, &self.apps);
        let place = |name: &str| {
            let of_app = || {
                let (app, member) = name.strip_prefix("apps.")?.split_once('.')?;
                let layers = apps.get(app)?;
                let of_member = layers
                    .members
                    .get(member)
                    .and_then(|layered| layered.place.clone());
                of_member.or_else(|| layers.place.clone())
            };
            values
                .get(name)
                .and_then(|layered| layered.place.clone())
                .or_else(of_app)
        };
        check::whole(&mut config, &place, &mut self.mistakes, &mut self.warnings);
        config
    }

    fn read_apps(&mut self, config: &mut Config) {
        for (name, layers) in &self.apps {
            let mut app = AppSettings::default();
            for member in &apps::MEMBERS {
                let Some(layered) = layers.members.get(member.name) else {
                    continue;
                };
                if let Err(needed) = (member.apply)(&mut app, &layered.value) {
                    let full = format!("apps.{name}.{}", member.name);
                    self.mistakes.push(mistake(&full, layered, needed));
                }
            }
            if !layers.members.contains_key("redirect_uri") {
                self.mistakes.push(
                    Mistake::new(format!("`apps.{name}` has no `redirect_uri`"))
                        .at(layers.place.clone())
                        .help("write the one registered with the app, as `https://connect.example.com/callback`"),
                );
            }
            config.apps.insert(name.clone(), app);
        }
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
            let counts = KEY_SOURCES.contains(name) && layered.value != Value::Null;
            counts.then(|| (rank(&layered.origin), *name))
        };
        let mut sources: Vec<_> = self.values.iter().filter_map(named).collect();
        sources.sort_unstable();
        let (strongest, one) = sources.pop()?;
        if let Some((next, another)) = sources.pop()
            && next == strongest
        {
            let place = self.values.get(another).and_then(|layered| layered.place.clone());
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
            .is_some_and(|one| KEY_SOURCES.contains(&name) && name != one)
    }

    /// What is in force, also where it follows from other settings or from the machine.
    fn effective(&self, config: &Config) -> Vec<Effective> {
        let settings = SETTINGS.iter().map(|setting| {
            let (value, origin) = match self.values.get(setting.name) {
                _ if self.is_overruled(setting.name) => (Value::Null, Origin::Default),
                Some(layered) => (layered.value.clone(), layered.origin.clone()),
                None => (Value::from_text(setting.default), Origin::Default),
            };
            let value = match (setting.name, value) {
                ("public_url", Value::Null) => Value::Text(config.public_url.clone()),
                ("instance", Value::Null) => Value::Text(config.instance.clone()),
                (_, value) => value,
            };
            Effective {
                name: setting.name.to_owned(),
                value: masked(value, setting.secrecy).shown(),
                origin,
            }
        });
        settings.chain(self.effective_apps()).collect()
    }

    fn effective_apps(&self) -> Vec<Effective> {
        if self.apps.is_empty() {
            return vec![Effective {
                name: apps::SECTION.to_owned(),
                value: Value::Null.shown(),
                origin: Origin::Default,
            }];
        }
        let of_app = |(name, layers): (&String, &AppLayers)| {
            let members = apps::MEMBERS.iter().map(|member| {
                let (value, origin) = match layers.members.get(member.name) {
                    Some(layered) => (layered.value.clone(), layered.origin.clone()),
                    None => (Value::from_text(member.default), Origin::Default),
                };
                Effective {
                    name: format!("apps.{name}.{}", member.name),
                    value: value.shown(),
                    origin,
                }
            });
            members.collect::<Vec<_>>()
        };
        self.apps.iter().flat_map(of_app).collect()
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
