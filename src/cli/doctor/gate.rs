//! What the running gate says of itself, and whether its upstream can be reached from here.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::sheet::Sheet;
use crate::cli::admin::short;
use crate::cli::health::{Asked, ask_for};
use crate::config::Config;
use crate::publisher::read_upstream;
use crate::store::gate_runs;

/// Resolve, connect, handshake.
const REACH: Duration = Duration::from_secs(10);

/// Warnings of the gate's that other lines of the page tell with more detail.
const TOLD_ELSEWHERE: [&str; 4] = ["connection ", "policy ", "kill ", "rotation"];

pub(super) fn running(sheet: &mut Sheet, config: &Config) {
    let address = config.monitor_address();
    let runs = gate_runs(&config.store);
    if !runs {
        sheet.broken(
            "gate",
            "no gate runs on this store",
            "systemctl start scopegate, or scopegate run",
        );
        return;
    }
    if address.port() == 0 {
        sheet.look(
            "gate",
            "runs; its monitor listener has another port at each start and can't be asked",
            "set `monitor.listen` or `admin.listen` to a port of its own",
        );
        return;
    }
    let ready = match ask_for(address, "/readyz?verbose") {
        Ok(answer) => answer,
        Err(why) => {
            sheet.broken(
                "gate",
                format!("its process runs and does not answer on {address}: {why}"),
                "scopegate health --verbose; then the gate's log",
            );
            return;
        }
    };
    readiness(sheet, &ready);
    if let Ok(metrics) = ask_for(address, "/metrics") {
        reload(sheet, &metrics.text);
    }
}

/// The lines of `/readyz?verbose`: `[+]` holds, `[-]` keeps it from being ready, `[!]` is a warning.
fn readiness(sheet: &mut Sheet, ready: &Asked) {
    for line in ready.text.lines() {
        if let Some(condition) = line.strip_prefix("[-] ") {
            sheet.broken(
                "gate",
                format!("not ready: `{condition}` does not hold"),
                "the gate's log says why",
            );
        }
        let Some(warning) = line.strip_prefix("[!] ") else {
            continue;
        };
        match warning.strip_prefix("hardening: ") {
            Some(measure) => sheet.look("hardening", measure, "see \"Hardening\" in deploy/README.md"),
            None if TOLD_ELSEWHERE.iter().any(|kind| warning.starts_with(kind)) => {}
            None => sheet.look("gate", warning, "scopegate health --verbose"),
        }
    }
    if sheet.is_fine("gate") {
        sheet.fine("gate", "runs and is ready");
    }
    let in_force = ready.text.matches("[+] hardening: ").count();
    sheet.fine("hardening", format!("{in_force} measures are in force"));
}

fn reload(sheet: &mut Sheet, metrics: &str) {
    let value = |name: &str| -> Option<f64> {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line?.trim().parse().ok()
    };
    let sound = value("scopegate_config_last_reload_successful ");
    let at = value("scopegate_config_last_reload_success_timestamp_seconds ")
        .and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    let at = at.map_or_else(|| "never".to_owned(), short);
    match sound {
        Some(1.0) => sheet.fine("reload", format!("the last was without mistakes, {at}")),
        Some(_) => sheet.broken(
            "reload",
            format!("the last found mistakes and left what was in force; the last good one: {at}"),
            "scopegate policy check; then the gate's log",
        ),
        None => {}
    }
}

pub(super) fn upstream(sheet: &mut Sheet, config: &Config) {
    let remedy = "see whether this machine reaches it: DNS, firewall, `upstream.ca`";
    let upstream = match read_upstream(config) {
        Ok(upstream) => upstream,
        Err(error) => return sheet.broken("upstream", error, "mend `upstream` in the configuration"),
    };
    let Ok(runtime) = crate::cli::admin::runtime() else {
        return;
    };
    let began = Instant::now();
    let reached = runtime.block_on(async { tokio::time::timeout(REACH, upstream.connect()).await });
    let origin = upstream.origin();
    match reached {
        Ok(Ok(_)) => sheet.fine(
            "upstream",
            format!(
                "{origin} reached from here within {} ms",
                began.elapsed().as_millis()
            ),
        ),
        Ok(Err(error)) => sheet.broken(
            "upstream",
            format!("{origin} can't be reached from here: {error}"),
            remedy,
        ),
        Err(_) => sheet.broken(
            "upstream",
            format!("{origin} can't be reached from here within {} s", REACH.as_secs()),
            remedy,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gate_says_is_graded_and_nothing_is_said_twice() {
        let mut sheet = Sheet::default();
        let text = "[+] configuration loaded\n[-] audit writable\n[+] hardening: no core dumps: in force\n[!] hardening: \
                    unprivileged user: not in force: root\n[!] connection acme: is `dead`\n[!] watch: changed files are not \
                    noticed\nnot ready\n";
        readiness(
            &mut sheet,
            &Asked {
                text: text.to_owned(),
            },
        );
        reload(
            &mut sheet,
            "scopegate_config_last_reload_successful 0\nscopegate_config_last_reload_success_timestamp_seconds 1790000000\n",
        );
        insta::assert_snapshot!(sheet.text("test", Timestamp::UNIX_EPOCH));
    }
}
