//! `scopegate init DIR`: a configuration, a master key and an example policy. Never overwrites.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{CommandError, CommandResult, Exit, Globals};
use crate::access::policy_text::written::{ceiling_schema, policy_schema};
use crate::vault::MasterKey;
use crate::vault::secret_file;

const CONFIGURATION: &str = include_str!("init/scopegate.yaml");
const POLICY: &str = include_str!("init/contact-report.yaml");

/// Arguments of `init`.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArgs {
    /// The folder to make or to fill.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// Runs the command.
pub fn run(args: InitArgs, _globals: &Globals) -> CommandResult {
    let exit = init(&args.dir, &mut io::stdout().lock())?;
    // Nobody to tell if stderr is gone.
    let _ = writeln!(
        io::stderr(),
        "next: cd {}; scopegate connection add acme --portal ID --token-file FILE; edit policies/contact-report.yaml; \
         scopegate key create --integration contact-report; scopegate run",
        args.dir.display()
    );
    Ok(exit)
}

fn init(dir: &Path, out: &mut dyn Write) -> CommandResult {
    let configuration = dir.join("scopegate.yaml");
    let master_key = dir.join("data/master.key");
    let policy = dir.join("policies/contact-report.yaml");
    // Looked at first, so that nothing is half done; `create_new` below holds against a race.
    for path in [&configuration, &master_key, &policy] {
        if path.symlink_metadata().is_ok() {
            return Err(
                CommandError::usage(format!("`{}` exists; nothing was written", path.display())).hint(
                    "name another folder: a master key must never be replaced while a store depends on it",
                ),
            );
        }
    }
    let key = MasterKey::generate().map_err(|error| CommandError::internal(error.to_string()))?;
    folder(dir, 0o755)?;
    folder(&dir.join("data"), 0o700)?;
    folder(&dir.join("policies"), 0o755)?;
    secret_file::write_new(&master_key, &key.to_text()).map_err(|error| unwritable(&master_key, &error))?;
    write_new(&policy, POLICY)?;
    for (name, schema) in [
        ("policy.schema.json", policy_schema()),
        ("ceiling.schema.json", ceiling_schema()),
    ] {
        let text = serde_json::to_string_pretty(&schema)
            .map_err(|error| CommandError::internal(format!("the schema could not be written: {error}")))?;
        // A newer gate's schema may replace an older one's: it is not the operator's work.
        let path = dir.join("policies").join(name);
        std::fs::write(&path, text + "\n").map_err(|error| unwritable(&path, &error))?;
    }
    write_new(&configuration, CONFIGURATION)?;
    for path in [&configuration, &master_key, &policy] {
        writeln!(out, "{}", path.display())
            .map_err(|error| CommandError::internal(format!("stdout could not be written: {error}")))?;
    }
    Ok(Exit::Fine)
}

fn folder(path: &Path, mode: u32) -> Result<(), CommandError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|error| unwritable(path, &error))
}

fn write_new(path: &Path, text: &str) -> Result<(), CommandError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::usage(format!("`{}` can't be written: {error}", path.display()))
        .hint("name a folder you may write to")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{self, Config, MasterKeySource, Origin, Overrides};

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_folder_loads_with_a_key_of_its_own_that_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("gate");
        let mut out = Vec::new();
        assert_eq!(init(&dir, &mut out).unwrap(), Exit::Fine);
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
        let loaded = config::load(Some(&dir.join("scopegate.yaml")), Overrides::default()).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        assert_eq!(
            loaded.config.master_key,
            MasterKeySource::File(dir.join("data/master.key"))
        );
        MasterKey::load(&loaded.config.master_key, &loaded.config.key_command).unwrap();
        assert_eq!(mode(&dir.join("data/master.key")), 0o600);
        assert_eq!(mode(&dir.join("data")), 0o700);
        assert!(dir.join("policies/contact-report.yaml").exists());
        let other = folder.path().join("other");
        init(&other, &mut Vec::new()).unwrap();
        let read = |dir: &Path| std::fs::read(dir.join("data/master.key")).unwrap();
        assert_ne!(read(&dir), read(&other));
    }

    #[test]
    fn the_example_policy_loads_without_a_finding() {
        use crate::cli::policy::{self, PolicyCommand};
        let folder = tempfile::tempdir().unwrap();
        init(folder.path(), &mut Vec::new()).unwrap();
        let globals = Globals {
            config: Some(folder.path().join("scopegate.yaml")),
        };
        let check = PolicyCommand::Check {
            dir: folder.path().join("policies"),
            deny_warnings: true,
            json: false,
        };
        assert_eq!(policy::run(check, &globals).unwrap(), Exit::Fine);
        assert!(folder.path().join("policies/policy.schema.json").exists());
    }

    #[test]
    fn nothing_is_ever_overwritten_and_a_refusal_writes_nothing() {
        for existing in [
            "scopegate.yaml",
            "data/master.key",
            "policies/contact-report.yaml",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(existing);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "precious").unwrap();
            let error = init(folder.path(), &mut Vec::new()).unwrap_err();
            assert_eq!(error.exit, Exit::Usage);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
            let files = [
                "scopegate.yaml",
                "data/master.key",
                "policies/contact-report.yaml",
            ]
            .iter()
            .filter(|name| folder.path().join(name).exists());
            assert_eq!(files.count(), 1, "{existing}");
        }
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = init(&file, &mut Vec::new()).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.message.contains("can't be written"), "{}", error.message);
    }

    #[test]
    fn what_is_commented_out_in_the_configuration_is_the_default_and_no_setting_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scopegate.yaml");
        let all: String = CONFIGURATION
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') || setting.starts_with("  ") => {
                    format!("{setting}\n")
                }
                _ => format!("{line}\n"),
            })
            // The sections whose values are an example.
            .filter(|line| {
                [
                    "cert: gate",
                    "key: gate",
                    "client_ca: clients",
                    "marketing:",
                    "redirect_uri:",
                    "new_portals:",
                ]
                .iter()
                .all(|key| !line.trim_start().starts_with(key))
            })
            .collect();
        std::fs::write(&path, &all).unwrap();
        let loaded =
            config::load(Some(&path), Overrides::default()).unwrap_or_else(|error| panic!("{error}"));
        let mut defaults = Config::in_folder(folder.path());
        defaults.public_url_is_default = false;
        assert_eq!(format!("{:?}", loaded.config), format!("{defaults:?}"));
        let silent: Vec<_> = loaded
            .settings
            .iter()
            .filter(|setting| setting.origin == Origin::Default)
            .map(|setting| setting.name.as_str())
            .filter(|name| !name.starts_with("tls.") && !name.starts_with("master_key.") && *name != "apps")
            .collect();
        assert_eq!(silent, ["store.max_staleness"]);
    }
}
