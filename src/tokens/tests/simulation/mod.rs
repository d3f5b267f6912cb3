//! Thousands of schedules of refresh and store, each from a seed: simulated clock, network and disk, a real SQLite
//! file, processes that die at any step, an operator who suspends, kills and installs anew, wall clocks that jump, and
//! at times a second process that believes to be alone.
//!
//! What must hold: an expired or foreign token is never lent; one refresh at a time asks for a grant; a token is lent
//! once it is saved, or while the store refuses it; a later token is never overwritten by an earlier one; everybody who
//! waits is answered within bounds; when faults end everything works again; and a grant is lost only where an answer
//! was lost, a process died between HubSpot's answer and the save, or two processes believed to be alone.
//!
//! `SIM_SEED=N` replays one schedule and prints its trace; `SIM_SCHEDULES=N` runs more of them.

mod dice;
mod inspector;
mod process;
mod schedule;
mod server;

use std::sync::atomic::{AtomicU64, Ordering};

use process::Counts;

/// Schedules of a plain `cargo test`.
const SCHEDULES: u64 = 1_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn a_thousand_schedules_lose_nothing_that_the_design_does_not_admit() {
    if let Some(seed) = number("SIM_SEED") {
        let ended = schedule::run(seed);
        println!("{}\n{:#?}", ended.trace.join("\n"), ended.counts);
        assert!(ended.violations.is_empty(), "{:#?}", ended.violations);
        return;
    }
    let schedules = number("SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let started = std::time::Instant::now();
    let (failed, counts) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&next, schedules)))
            .collect();
        let mut failed = Vec::new();
        let mut all = Counts::default();
        for worker in workers {
            let (more, counts) = worker.join().unwrap();
            failed.extend(more);
            all += counts;
        }
        (failed, all)
    });
    println!("{schedules} schedules in {:?}: {counts:#?}", started.elapsed());
    let first = failed.iter().min_by_key(|(seed, _)| *seed);
    assert!(
        first.is_none(),
        "{} of {schedules} schedules failed; the first: {:#?}\nreplay it with SIM_SEED={} cargo test --lib simulation -- \
         --nocapture",
        failed.len(),
        first.map(|(_, violations)| violations),
        first.map_or(0, |(seed, _)| *seed)
    );
    // A simulation in which nothing happens shows nothing.
    for (what, how_often) in [
        ("leases", counts.leases),
        ("refused requests", counts.refused),
        ("refreshes", counts.refreshes),
        ("lost answers", counts.lost_answers),
        ("deaths", counts.deaths),
        ("disk faults", counts.disk_faults),
        ("uses of a token not saved yet", counts.unsaved_use),
        ("second processes", counts.second_processes),
        ("losses by a death", counts.losses),
        ("new grants", counts.regrants),
        ("jumps of the clock", counts.jumps),
    ] {
        assert!(
            how_often * 100 >= schedules,
            "{what}: {how_often} in {schedules} schedules"
        );
    }
}

#[test]
fn a_seed_replays_the_same_schedule() {
    for seed in [1, 2, 3, 40, 41, 42] {
        let (one, other) = (schedule::run(seed), schedule::run(seed));
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert!(one.trace.len() > 10, "{:?}", one.trace);
    }
}

type Failures = Vec<(u64, Vec<String>)>;

fn work(next: &AtomicU64, schedules: u64) -> (Failures, Counts) {
    let (mut failed, mut counts) = (Vec::new(), Counts::default());
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= schedules {
            return (failed, counts);
        }
        // A panic is a finding, too, and must not take its seed along.
        match std::panic::catch_unwind(|| schedule::run(seed)) {
            Ok(ended) => {
                counts += ended.counts;
                if !ended.violations.is_empty() {
                    failed.push((seed, ended.violations));
                }
            }
            Err(_) => failed.push((seed, vec!["it panicked".to_owned()])),
        }
    }
}
