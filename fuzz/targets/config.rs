//! Any text as the configuration: it is read the same way twice, and every mistake has words. No setting holds a secret:
//! they name files, variables and commands.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use scopegate::config::{self, Overrides};

fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let make = || tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().expect("a folder"));
    FOLDER.get_or_init(make).path()
}

fuzz_target!(|text: &[u8]| {
    let file = folder().join("scopegate.yaml");
    std::fs::write(&file, text).expect("written");
    let load = || config::load(Some(&file), Overrides::default());
    match (load(), load()) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.settings, other.settings);
            assert_eq!(one.warnings, other.warnings);
        }
        (Err(one), Err(other)) => {
            let (one, other) = (one.render(false), other.render(false));
            assert!(!one.trim().is_empty(), "it failed without a word");
            assert_eq!(one, other);
        }
        _ => panic!("one text, two readings"),
    }
});
