//! `scopegate config --print`: the settings in force and where each comes from. And the one way in
//! which commands read the configuration.

use std::io::{self, IsTerminal, Write};

use super::{CommandError, CommandResult, Exit, Globals};
use crate::config::{self, Effective, Loaded, Origin, Overrides};

/// Arguments of `config`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    /// Print every setting as it is in force, with its origin; secrets are masked.
    #[arg(long, required = true)]
    pub print: bool,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: ConfigArgs, globals: &Globals) -> CommandResult {
    let loaded = load(globals, Overrides::default())?;
    let mut stdout = io::stdout().lock();
    let printed = if args.json {
        print_json(&loaded, &mut stdout)
    } else {
        print(&loaded, &mut stdout)
    };
    printed.map_err(|error| CommandError::internal(format!("stdout could not be written: {error}")))?;
    Ok(Exit::Fine)
}

/// Reads the configuration for a command: mistakes and warnings go to stderr.
///
/// # Errors
/// Usage, with the number of mistakes; what they are has been printed.
pub fn load(globals: &Globals, overrides: Overrides) -> Result<Loaded, CommandError> {
    let stderr = io::stderr();
    // Colour is for people at a terminal who did not say no (<https://no-color.org>).
    let coloured = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut stderr = stderr.lock();
    match config::load(globals.config.as_deref(), overrides) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                // Nobody to tell if stderr is gone.
                let _ = writeln!(stderr, "warning: {warning}");
            }
            Ok(loaded)
        }
        Err(errors) => {
            let _ = writeln!(stderr, "{}\n", errors.render(coloured));
            let count = errors.mistakes().len();
            Err(CommandError::usage(match count {
                1 => "the configuration has a mistake".to_owned(),
                _ => format!("the configuration has {count} mistakes"),
            }))
        }
    }
}

fn origin(origin: &Origin, file: &str) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File { line } => format!("{file}:{line}"),
        Origin::Environment(variable) => variable.clone(),
        Origin::Flag => "flag".to_owned(),
    }
}

/// As a configuration file, with the origins as comments.
fn print(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    let file = loaded.file.display().to_string();
    let mut open: Vec<&str> = Vec::new();
    for setting in &loaded.settings {
        let mut path: Vec<&str> = setting.name.split('.').collect();
        let key = path.pop().unwrap_or_default();
        let shared = open.iter().zip(&path).take_while(|(a, b)| a == b).count();
        for (depth, section) in path.iter().enumerate().skip(shared) {
            writeln!(out, "{:indent$}{section}:", "", indent = 2 * depth)?;
        }
        let line = format!("{:indent$}{key}: {}", "", setting.value, indent = 2 * path.len());
        writeln!(out, "{line:<50} # {}", origin(&setting.origin, &file))?;
        open = path;
    }
    Ok(())
}

fn print_json(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    let file = loaded.file.display().to_string();
    for Effective {
        name,
        value,
        origin: from,
    } in &loaded.settings
    {
        // Text that says `null` is printed in quotes: this is the absent value alone.
        let value = (value != "null").then_some(value);
        let line = serde_json::json!({ "setting": name, "value": value, "origin": origin(from, &file) });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str, json: bool) -> (String, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scopegate.yaml");
        std::fs::write(&path, text).unwrap();
        let overrides = Overrides::default().set("workers", "3");
        let loaded = config::load(Some(&path), overrides).unwrap();
        let mut out = Vec::new();
        let result = if json {
            print_json(&loaded, &mut out)
        } else {
            print(&loaded, &mut out)
        };
        result.unwrap();
        (String::from_utf8(out).unwrap(), folder)
    }

    const SETTINGS: &str = "\
store: sqlite:x.db
master_key: { command: [kms, canary] }
upstream:
  allow_private: true
apps:
  reports: { redirect_uri: https://connect.example.com/callback }
";

    #[test]
    fn what_is_printed_is_a_configuration_that_loads_and_names_each_origin() {
        let (text, folder) = printed(SETTINGS, false);
        for (line, origin) in [
            ("  url: sqlite:x.db", "scopegate.yaml:1"),
            ("  allow_private: true", "scopegate.yaml:4"),
            (
                "    redirect_uri: https://connect.example.com/callback",
                "scopegate.yaml:6",
            ),
            ("    new_portals: refuse", "default"),
            ("workers: 3", "flag"),
            ("  grace: 25s", "default"),
        ] {
            let found = text
                .lines()
                .find(|found| found.starts_with(line))
                .unwrap_or_else(|| panic!("{line} in\n{text}"));
            assert!(found.ends_with(origin), "{found}");
        }
        assert!(!text.contains("canary"), "{text}");
        let again = folder.path().join("again.yaml");
        std::fs::write(&again, &text).unwrap();
        let loaded = config::load(Some(&again), Overrides::default()).unwrap();
        assert_eq!(loaded.config.workers, 3);
        assert!(loaded.config.upstream.allow_private);
        assert_eq!(loaded.config.apps["reports"].callback_path(), "/callback");
    }

    #[test]
    fn json_is_one_object_a_line() {
        let (text, _folder) = printed(SETTINGS, true);
        let values: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let workers = values.iter().find(|value| value["setting"] == "workers").unwrap();
        assert_eq!(
            (&workers["value"], &workers["origin"]),
            (&"3".into(), &"flag".into())
        );
        assert!(!text.contains("canary"));
        let value = |name: &str| &values.iter().find(|value| value["setting"] == name).unwrap()["value"];
        assert!(value("monitor.listen").is_null());
        assert_eq!(value("public_url"), "http://127.0.0.1:8080");
        assert!(value("instance").is_string());
    }

    #[test]
    fn mistakes_are_a_usage_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scopegate.yaml");
        std::fs::write(&path, "lisen: x\nworkers: many\n").unwrap();
        let globals = Globals { config: Some(path) };
        let error = load(&globals, Overrides::default()).unwrap_err();
        assert_eq!(
            (error.exit, error.message.as_str()),
            (Exit::Usage, "the configuration has 2 mistakes")
        );
    }
}
