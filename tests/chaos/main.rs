//! The real process, killed over and over under 500 clients: at every step of a refresh and at random
//! times, against servers that keep refresh tokens, rotate them, and punish their reuse.
//!
//! `CHAOS_ROUNDS=1000 cargo test --test chaos -- --nocapture` is the long one; without it every step is
//! killed once in each mode. The output is the chaos matrix.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod judge;
mod place;

use std::fmt::Write as _;
use std::time::Duration;

use judge::{Judge, Row};
use place::Place;
use scopegate::sim::Rotation;
use scopegate::tokens::failpoints;

/// Clients of each life of the gate.
const CLIENTS: usize = 500;

/// How long access tokens live: every life of the gate sees some end.
const LIFE: Duration = Duration::from_secs(1);

/// What a life of the gate ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    /// At the given pass of a fail point, while nobody uses any grant but this connection's.
    At(&'static str, u32, &'static str),
    /// This long after every connection was seen to work.
    After(Duration),
}

impl Kill {
    fn row(self) -> &'static str {
        match self {
            Self::At(point, ..) => point,
            Self::After(_) => "at a random time",
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn murder_under_load_loses_nothing_that_could_be_saved() {
    let modes = [
        Rotation::Stable,
        Rotation::Rotate,
        Rotation::RotateWithReuseDetection,
    ];
    let wished: Option<usize> = std::env::var("CHAOS_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    // A round kills twice: at a step, and at a random time.
    let rounds = wished.map_or(failpoints::ALL.len(), |kills| kills.div_ceil(2 * modes.len()));
    let mut judges = Vec::new();
    for mode in modes {
        judges.push(one_mode(mode, rounds).await);
        // As far as it has come: the long run takes its time.
        println!("{}", matrix(&judges));
    }
    for judge in &judges {
        judge.give_verdict();
    }
}

async fn one_mode(mode: Rotation, rounds: usize) -> Judge {
    let mut place = Place::new(mode).await;
    let mut judge = Judge::new(mode);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ mode as u64);
    for round in 0..rounds {
        let point = failpoints::ALL[round % failpoints::ALL.len()];
        let pass = 1 + random.below(2) as u32;
        // One that the kill before took is not refreshed any more.
        let targets = judge.at_work(&["one", "two", "three"]);
        if !targets.is_empty() {
            let target = targets[random.below(targets.len() as u64) as usize];
            life(&mut place, &mut judge, Kill::At(point, pass, target)).await;
        }
        let moment = Duration::from_millis(random.below(700));
        life(&mut place, &mut judge, Kill::After(moment)).await;
    }
    judge.close(&place);
    judge
}

/// One life of the gate, from its start to its murder, and what the dead leave behind.
async fn life(place: &mut Place, judge: &mut Judge, kill: Kill) {
    let mut gate = place.start(kill).await;
    let names: Vec<_> = match kill {
        Kill::At(_, _, "one") => vec!["one", "twin"],
        Kill::At(_, _, target) => vec![target],
        Kill::After(_) => place::CONNECTIONS.iter().map(|(name, ..)| *name).collect(),
    };
    let crowd = clients::Crowd::send(CLIENTS, gate.address, &place.key, &names);
    if let Kill::After(moment) = kill {
        // What the life before left behind is looked at first, under the same load.
        judge.look(place, gate.address).await;
        tokio::time::sleep(moment).await;
        gate.kill();
    }
    let died = gate.wait().await;
    let served = crowd.disperse().await;
    judge.note_death(place, kill, died, served, &gate.refreshes());
    if let Kill::After(_) = kill {
        let lost = judge.bury_the_lost(place);
        place.install_again(&lost).await;
    }
}

/// Marsaglia's xorshift: the same kills in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The chaos matrix: step killed × rotation mode × result.
fn matrix(judges: &[Judge]) -> String {
    let mut text = String::from("\nkilled                 ");
    for judge in judges {
        // Cannot fail: a string grows.
        let _ = write!(text, " | {:<26}", judge.mode());
    }
    text.push('\n');
    let rows = failpoints::ALL.into_iter().chain(["at a random time"]);
    for row in rows {
        let _ = write!(text, "{row:<23}");
        for judge in judges {
            let Row { kills, lost } = judge.row(row);
            let cell = format!("{kills} kills, {} kept, {lost} lost", kills - lost);
            let _ = write!(text, " | {cell:<26}");
        }
        text.push('\n');
    }
    for judge in judges {
        let _ = write!(text, "\n{}", judge.summary());
    }
    text
}
