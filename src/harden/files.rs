//! Landlock: the kernel refuses every file and TCP port that is not among the places, whatever the
//! code in this process is made to ask for. No file may be executed at all.
//!
//! What an older kernel does not know is left out by the `landlock` crate, and said here.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, RestrictionStatus, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::State;
use super::places::Places;

/// What is asked for: rights that were looked at one by one. Later versions know more.
const FILES: ABI = ABI::V5;
const PORTS: ABI = ABI::V4;

/// Confines this thread and those it starts; tells of files, and of ports.
pub(super) fn confine(places: &Places) -> (State, State) {
    match restrict(places) {
        Ok(status) => (of_files(&status, places), of_ports(&status, places)),
        Err(error) => {
            let state = State::Failed(format!("the kernel refuses the rules: {error}"));
            (state.clone(), state)
        }
    }
}

fn restrict(places: &Places) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let device = AccessFs::ReadFile | AccessFs::WriteFile;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(FILES))?
        .handle_access(AccessNet::from_all(PORTS))?
        // No signal leaves this process.
        .scope(Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(&places.read, read))?
        .add_rules(path_beneath_rules(&places.write, writing()))?
        .add_rules(path_beneath_rules(&places.devices, device))?;
    for port in &places.listen {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    for port in &places.connect {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// All that SQLite and the audit log do: never execute, never make a device.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// The version of Landlock in the kernel, as far as it is used; 0 = none.
fn version(status: &RestrictionStatus) -> i32 {
    match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as i32,
        _ => 0,
    }
}

fn missing(status: &RestrictionStatus) -> Option<State> {
    let why = match (&status.landlock, &status.ruleset) {
        (LandlockStatus::NotEnabled, _) => "this kernel has Landlock, and it is not switched on (`lsm=`)",
        (LandlockStatus::NotImplemented, _) => {
            "this kernel has no Landlock (Linux 5.13 has), or a filter of system calls around the gate refuses it"
        }
        (_, RulesetStatus::NotEnforced) => "the kernel enforces none of it",
        _ => return None,
    };
    Some(State::NotAvailable(why.to_owned()))
}

fn of_files(status: &RestrictionStatus, places: &Places) -> State {
    missing(status).unwrap_or_else(|| {
        State::InForce(format!(
            "Landlock version {}, {} folders, {} of them writable, nothing executable",
            version(status),
            places.read.len() + places.write.len(),
            places.write.len()
        ))
    })
}

fn of_ports(status: &RestrictionStatus, places: &Places) -> State {
    missing(status).unwrap_or_else(|| match version(status) >= PORTS as i32 {
        true => State::InForce(format!("connects to {} alone", list(&places.connect))),
        false => State::NotAvailable("this kernel's Landlock knows no ports (Linux 6.7 does)".to_owned()),
    })
}

fn list(ports: &std::collections::BTreeSet<u16>) -> String {
    let words: Vec<String> = ports.iter().map(ToString::to_string).collect();
    words.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpListener;

    /// Confined on a thread of its own: the rest of the tests goes on as it was.
    fn confined<T: Send>(places: &Places, work: impl FnOnce() -> T + Send) -> Option<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let (files, ports) = confine(places);
                match (&files, &ports) {
                    (State::InForce(_), State::InForce(_)) => Some(work()),
                    (State::NotAvailable(_), _) | (_, State::NotAvailable(_)) => None,
                    other => panic!("{other:?}"),
                }
            });
            thread.join().unwrap()
        })
    }

    #[test]
    fn what_is_no_place_can_not_be_read_written_or_executed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["read", "write", "other"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("file"), "x").unwrap();
        }
        let mut places = Places::default();
        places.read.insert(dir.path().join("read"));
        places.write.insert(dir.path().join("write"));
        let at = |name: &str| dir.path().join(name);
        let denied = |result: std::io::Result<()>| matches!(result, Err(error) if error.kind() == ErrorKind::PermissionDenied);
        let outcome = confined(&places, || {
            [
                std::fs::read(at("read/file")).is_ok(),
                std::fs::read(at("write/file")).is_ok(),
                std::fs::write(at("write/new"), "y").is_ok(),
                std::fs::rename(at("write/new"), at("write/newer")).is_ok(),
                std::fs::create_dir(at("write/sub")).is_ok(),
                std::fs::remove_file(at("write/newer")).is_ok(),
                denied(std::fs::read(at("other/file")).map(drop)),
                denied(std::fs::read_dir(at("other")).map(drop)),
                denied(std::fs::write(at("other/file"), "y")),
                denied(std::fs::write(at("read/file"), "y")),
                denied(std::fs::remove_file(at("read/file"))),
                denied(std::fs::read("/etc/hostname").map(drop)),
                denied(std::process::Command::new("/bin/true").status().map(drop)),
            ]
        });
        if let Some(outcome) = outcome {
            assert_eq!(outcome, [true; 13]);
        }
        assert_eq!(std::fs::read(at("other/file")).unwrap(), b"x");
    }

    #[test]
    fn a_file_replaced_in_its_folder_stays_in_reach() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, "old").unwrap();
        let mut places = Places::default();
        places.read.insert(dir.path().to_owned());
        let (said, says) = std::sync::mpsc::channel();
        let (go, going) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let file = &file;
            let places = &places;
            scope.spawn(move || {
                confine(places);
                said.send(std::fs::read(file).unwrap()).unwrap();
                going.recv().unwrap();
                said.send(std::fs::read(file).unwrap()).unwrap();
            });
            assert_eq!(says.recv().unwrap(), b"old");
            std::fs::write(dir.path().join("next"), "new").unwrap();
            std::fs::rename(dir.path().join("next"), file).unwrap();
            go.send(()).unwrap();
            assert_eq!(says.recv().unwrap(), b"new");
        });
    }

    #[test]
    fn a_port_that_is_not_named_is_neither_listened_on_nor_connected_to() {
        let (named, other) = (
            TcpListener::bind("127.0.0.1:0").unwrap(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let mut places = Places::default();
        places.listen.insert(0);
        places.connect.insert(named.local_addr().unwrap().port());
        let (named, other) = (named.local_addr().unwrap(), other.local_addr().unwrap());
        let outcome = confined(&places, || {
            [
                TcpListener::bind("127.0.0.1:0").is_ok(),
                std::net::TcpStream::connect(named).is_ok(),
                std::net::TcpStream::connect(other).is_err(),
                TcpListener::bind("127.0.0.1:1").is_err(),
            ]
        });
        if let Some(outcome) = outcome {
            assert_eq!(outcome, [true; 4]);
        }
    }
}
