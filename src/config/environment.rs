//! The environment as a layer: `SCOPEGATE_*` variables, their `_FILE` variants, and those that are
//! somebody else's.

use std::collections::BTreeMap;
use std::path::Path;

use super::apps;
use super::settings::{self, SETTINGS, SHORTHANDS, Secrecy};
use crate::access::policy_text::nearest::nearest;
use crate::vault::secret_file;

const PREFIX: &str = "SCOPEGATE_";
/// Names the configuration file; no setting.
const CONFIG: &str = "SCOPEGATE_CONFIG";

/// The variables that begin with `SCOPEGATE_`.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment(BTreeMap<String, String>);

/// What a variable turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A setting and its value.
    Setting(&'static str, String),
    /// A member of an app, and its value.
    App(String, &'static str, String),
    /// A setting whose value could not be read.
    Unreadable(String),
    /// No setting; perhaps this one was meant.
    Unknown(Option<String>),
}

impl Environment {
    /// This process's.
    pub(super) fn of_process() -> Self {
        let ours = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self(ours.collect())
    }

    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(variables.iter().map(own).collect())
    }

    /// `$SCOPEGATE_CONFIG`, unless empty.
    pub(super) fn config(&self) -> Option<&str> {
        self.0
            .get(CONFIG)
            .map(String::as_str)
            .filter(|path| !path.is_empty())
    }

    /// Each variable and what it is.
    pub(super) fn settings(&self) -> Vec<(String, Found)> {
        let known = Known::new();
        let mut found = Vec::new();
        for (variable, value) in &self.0 {
            if variable == CONFIG {
                continue;
            }
            if let Some((app, member)) = apps::of_variable(variable) {
                found.push((variable.clone(), Found::App(app, member, value.clone())));
                continue;
            }
            let what = match known.plain.get(variable) {
                Some(name) => Some(Found::Setting(name, value.clone())),
                None => match known.files.get(variable) {
                    Some(name) => Some(self.out_of_file(name, variable, value)),
                    None if is_service_link(variable) => None,
                    None => Some(Found::Unknown(known.nearest(variable))),
                },
            };
            found.extend(what.map(|what| (variable.clone(), what)));
        }
        found
    }

    fn out_of_file(&self, name: &'static str, variable: &str, path: &str) -> Found {
        let plain = variable.strip_suffix("_FILE").unwrap_or(variable);
        if self.0.contains_key(plain) {
            return Found::Unreadable(format!("`{plain}` is set, too; keep one"));
        }
        match secret_file::read(Path::new(path)) {
            Ok(secret) => Found::Setting(name, secret.expose().to_owned()),
            Err(error) => Found::Unreadable(error.to_string()),
        }
    }
}

/// All variables that mean something.
struct Known {
    plain: BTreeMap<String, &'static str>,
    /// `_FILE` variants of values that may hold a secret.
    files: BTreeMap<String, &'static str>,
}

impl Known {
    fn new() -> Self {
        let mut plain = BTreeMap::new();
        let mut files = BTreeMap::new();
        for (short, main) in SHORTHANDS {
            plain.insert(settings::variable(short), main);
            files.insert(settings::variable(short) + "_FILE", main);
        }
        for setting in SETTINGS {
            let variable = settings::variable(setting.name);
            if setting.secrecy != Secrecy::Plain {
                files.insert(format!("{variable}_FILE"), setting.name);
            }
            plain.insert(variable, setting.name);
        }
        Self { plain, files }
    }

    fn nearest(&self, variable: &str) -> Option<String> {
        let bare = |name: &str| name.trim_start_matches(PREFIX).to_ascii_lowercase();
        let names: Vec<String> = self.plain.keys().map(|name| bare(name)).collect();
        let nearest = nearest(&bare(variable), names.iter().map(String::as_str))?;
        Some(format!("{PREFIX}{}", nearest.to_ascii_uppercase()))
    }
}

/// What Kubernetes sets for a service whose name begins with `scopegate`: `…_PORT`,
/// `…_SERVICE_*`, `…_PORT_*_TCP*`.
fn is_service_link(variable: &str) -> bool {
    let port_of = |rest: &str| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let protocol = rest.get(digits..).unwrap_or_default();
        digits > 0
            && ["_TCP", "_UDP", "_SCTP"].iter().any(|known| {
                protocol
                    .strip_prefix(known)
                    .is_some_and(|end| end.is_empty() || end.starts_with('_'))
            })
    };
    variable.ends_with("_PORT")
        || variable.contains("_SERVICE_")
        || variable
            .match_indices("_PORT_")
            .any(|(at, mark)| variable.get(at + mark.len()..).is_some_and(port_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_of_kubernetes_are_not_ours() {
        let environment = Environment::of(&[
            ("SCOPEGATE_PORT", "tcp://10.0.0.1:80"),
            ("SCOPEGATE_SERVICE_HOST", "10.0.0.1"),
            ("SCOPEGATE_SERVICE_PORT_HTTP", "80"),
            ("SCOPEGATE_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("SCOPEGATE_ADMIN_PORT_9465_TCP_PROTO", "tcp"),
        ]);
        assert_eq!(environment.settings(), []);
    }

    #[test]
    fn an_unknown_variable_is_named_with_what_was_likely_meant() {
        let environment = Environment::of(&[("SCOPEGATE_UPSTREAM_URI", "x"), ("SCOPEGATE_FROBNICATE", "x")]);
        assert_eq!(
            environment.settings(),
            [
                ("SCOPEGATE_FROBNICATE".to_owned(), Found::Unknown(None)),
                (
                    "SCOPEGATE_UPSTREAM_URI".to_owned(),
                    Found::Unknown(Some("SCOPEGATE_UPSTREAM_URL".to_owned()))
                ),
            ]
        );
    }

    #[test]
    fn every_setting_has_a_variable_of_its_own() {
        let mut variables: Vec<_> = SETTINGS.iter().map(|s| settings::variable(s.name)).collect();
        variables.sort();
        let count = variables.len();
        variables.dedup();
        assert_eq!(variables.len(), count);
        assert!(variables.iter().all(|variable| !is_service_link(variable)));
    }
}
