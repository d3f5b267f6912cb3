//! The KMS hook: a program of the operator's that prints the master key.
//!
//! Run once at a start, before the gate gives up its right to run programs, and by commands that open
//! credentials. Without a shell, without input, with next to no environment, in bounded time, and never
//! twice: whoever starts the gate starts it again. What it writes to stderr is thrown away: tools like to
//! print there what they were given.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::master_key::MasterKeyError;
use super::secret_file;
use crate::config::KeyCommand;
use crate::secret::Secret;

/// Most that is read of what it prints: a key has 64 characters at most.
const OUTPUT_MAX: u64 = 4096;

/// What every program may need, and none of which is a secret. `CREDENTIALS_DIRECTORY` is where systemd puts
/// what a unit is given.
const ENVIRONMENT: [&str; 6] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "CREDENTIALS_DIRECTORY",
];

/// Runs the command and takes the one line it prints.
pub(super) fn run(words: &[String], settings: &KeyCommand) -> Result<Secret, MasterKeyError> {
    let (program, arguments) = words.split_first().ok_or_else(|| MasterKeyError::Command {
        program: String::new(),
        what: "is empty".to_owned(),
    })?;
    let failed = |what: String| MasterKeyError::Command {
        program: program.clone(),
        what,
    };
    let deadline = Instant::now() + settings.wait;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment(settings))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own: what it started ends with it.
        .process_group(0)
        .spawn()
        .map_err(|error| failed(format!("can't be started: {error}")))?;
    // Read on a thread of its own: a program that never stops printing, or leaves its output to a child
    // that lives on, must not outlast the deadline.
    let (said, says) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut bytes = Zeroizing::new(Vec::with_capacity(OUTPUT_MAX as usize));
            let read = output.take(OUTPUT_MAX).read_to_end(&mut bytes);
            // Nobody listens any more: too late.
            let _ = said.send(read.ok().and_then(|_| secret_file::one_line(&bytes)));
        });
    }
    let late = || {
        failed(format!(
            "took longer than {} s (`master_key.command_wait`)",
            settings.wait.as_secs()
        ))
    };
    let status = match wait(&mut child, deadline) {
        Ok(Some(status)) => status,
        Ok(None) => {
            end(&mut child);
            return Err(late());
        }
        Err(error) => {
            end(&mut child);
            return Err(failed(format!("was lost: {error}")));
        }
    };
    if !status.success() {
        return Err(failed(format!(
            "failed: {status}; what it wrote to stderr is not shown, it may hold secrets: run it by hand as the \
             gate's user, with the variables that `master_key.command_env` names and no others"
        )));
    }
    match says.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => Err(failed(
            "printed no key: one line, and nothing else, is needed".to_owned(),
        )),
        Err(_) => {
            end(&mut child);
            Err(late())
        }
    }
}

fn environment(settings: &KeyCommand) -> impl Iterator<Item = (String, std::ffi::OsString)> {
    ENVIRONMENT
        .iter()
        .map(|name| (*name).to_owned())
        .chain(settings.env.iter().cloned())
        .filter_map(|name| std::env::var_os(&name).map(|value| (name, value)))
}

/// Until the program has ended, or `None` at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            None => return Ok(None),
        }
    }
}

/// Ends the program and all that it started. Best effort: it is about to be reported as failed either way.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn shell(script: &str, settings: &KeyCommand) -> Result<String, String> {
        run(&words(&["/bin/sh", "-c", script]), settings)
            .map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_line_is_the_key_and_what_is_wrong_is_named_without_what_was_printed() {
        let settings = KeyCommand::default();
        assert_eq!(shell(&format!("echo {KEY}"), &settings).unwrap(), KEY);
        for (script, said) in [
            ("echo canary; echo canary", "printed no key"),
            ("true", "printed no key"),
            ("echo canary >&2; echo canary; exit 3", "exit status: 3"),
            ("echo canary; kill -9 $$", "signal: 9"),
            ("yes canary", "printed no key"),
        ] {
            // `yes` is ended by its pipe: it fails, or has printed too much.
            let error = shell(script, &settings).unwrap_err();
            assert!(
                error.contains(said) || (script == "yes canary" && error.contains("failed")),
                "{script}: {error}"
            );
            assert!(!error.contains("canary"), "{script}: {error}");
        }
        for nothing in [&["/nonexistent/kms"][..], &[]] {
            assert!(run(&words(nothing), &settings).is_err());
        }
    }

    #[test]
    fn it_sees_the_named_variables_and_no_others() {
        // Cargo sets both for every test.
        let settings = KeyCommand {
            env: words(&["CARGO_PKG_NAME"]),
            ..KeyCommand::default()
        };
        let seen = shell(
            "echo \"$CARGO_PKG_NAME:$CARGO_MANIFEST_DIR:${PATH:+path}\"",
            &settings,
        )
        .unwrap();
        assert_eq!(seen, "scopegate::path");
    }

    #[test]
    fn one_that_hangs_or_leaves_a_child_with_its_output_ends_at_the_deadline() {
        let settings = KeyCommand {
            wait: Duration::from_millis(300),
            ..KeyCommand::default()
        };
        for script in ["sleep 600", &format!("echo {KEY}; sleep 600 & exit 0")] {
            let began = Instant::now();
            let error = shell(script, &settings).unwrap_err();
            assert!(error.contains("command_wait"), "{error}");
            assert!(began.elapsed() < Duration::from_secs(60));
        }
    }
}
