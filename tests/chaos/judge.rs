//! Looks at what the dead left on the disk, at what HubSpot holds, and says who lost what, and whether that
//! could have been helped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use scopegate::access::connection::{ConnectionName, Standing};
use scopegate::sim::{Rotation, TokenCall};
use scopegate::tokens::failpoints;

use crate::clients::{Served, ask, connect};
use crate::place::{CONNECTIONS, Place, Refreshed};
use crate::{Kill, LIFE};

/// A grant whose loss came later than this after the server's commit was not lost in the window; what the
/// system takes to run who is due is included, on a machine with more to do than it can.
const WINDOW_MAX: Duration = Duration::from_secs(2);

/// Part of a token's life before which it is not renewed; renewal begins at three quarters.
const EARLIEST: f64 = 0.7;

/// A token used this long after its end was known to be expired.
const LATE_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Default)]
pub struct Row {
    pub kills: u64,
    /// Kills in which a grant was lost.
    pub lost: u64,
}

pub struct Judge {
    rotation: Rotation,
    rows: BTreeMap<&'static str, Row>,
    deaths: Vec<Instant>,
    /// Connections whose grant is lost, until somebody installs them again.
    lost: BTreeSet<&'static str>,
    grants_lost: u64,
    /// The longest time from the server's commit of a lost grant to the death.
    longest_gap: Duration,
    windows: Vec<u64>,
    served: u64,
    waited: u64,
    calls: Calls,
}

/// What the token endpoint saw.
#[derive(Default)]
struct Calls {
    granted: usize,
    refused: usize,
    /// Granted although the token before was good, after a kill in between.
    repeated: usize,
    expired_uses: u64,
    latest: Duration,
}

impl Judge {
    pub fn new(rotation: Rotation) -> Self {
        Self {
            rotation,
            rows: BTreeMap::new(),
            deaths: Vec::new(),
            lost: BTreeSet::new(),
            grants_lost: 0,
            longest_gap: Duration::ZERO,
            windows: Vec::new(),
            served: 0,
            waited: 0,
            calls: Calls::default(),
        }
    }

    pub fn mode(&self) -> &'static str {
        match self.rotation {
            Rotation::Stable => "stable",
            Rotation::Rotate => "rotating",
            Rotation::RotateWithReuseDetection => "rotating, reuse detected",
        }
    }

    pub fn row(&self, kill: &str) -> Row {
        self.rows.get(kill).copied().unwrap_or_default()
    }

    /// Those whose grant is not lost.
    pub fn at_work(&self, names: &[&'static str]) -> Vec<&'static str> {
        let works = |name: &&&'static str| !self.lost.contains(**name);
        names.iter().filter(works).copied().collect()
    }

    /// The gate is dead: which grants did it take along?
    pub fn note_death(
        &mut self,
        place: &Place,
        kill: Kill,
        died: Instant,
        served: Served,
        refreshes: &[Refreshed],
    ) {
        self.deaths.push(died);
        self.windows
            .extend(refreshes.iter().map(|refreshed| refreshed.window_us));
        one_call_for_one_expiry(kill, refreshes);
        for ((name, status), count) in served {
            match status {
                200 => self.served += count,
                // No token for a moment.
                503 => self.waited += count,
                401 if self.lost.contains(name) => {}
                other => panic!("{kill:?}: {name} was answered {other}"),
            }
        }
        let (store, vault) = place.open();
        let calls = place.sim.token_calls();
        let mut lost_now = Vec::new();
        for (name, _, portal) in CONNECTIONS {
            let known = ConnectionName::parse(name).unwrap();
            let row = store.connection_by_name(&known).unwrap().unwrap();
            if self.lost.contains(name) {
                continue;
            }
            let (client_id, stored) = (&place.app.client_id, Place::stored_refresh_token(&row, &vault));
            let good = place.sim.current_refresh_token(client_id, portal);
            if good.is_some_and(|good| good.expose() == stored.expose()) {
                assert!(
                    row.standing.refusal().is_none(),
                    "{kill:?}: {name} is {:?} with a good grant",
                    row.standing
                );
                continue;
            }
            // Only what the server committed right before the death, and the dead had not yet written.
            assert_ne!(
                self.rotation,
                Rotation::Stable,
                "{kill:?}: a stable grant was lost"
            );
            assert!(
                row.intent.is_some(),
                "{kill:?}: {name} was lost and nobody will know"
            );
            let commit = calls
                .iter()
                .rev()
                .find(|call| call.hub_id == Some(portal))
                .unwrap()
                .at;
            let gap = died.saturating_duration_since(commit);
            assert!(
                gap < WINDOW_MAX,
                "{kill:?}: {name} was lost {gap:?} after the server's commit"
            );
            self.longest_gap = self.longest_gap.max(gap);
            self.lost.insert(name);
            if name != "twin" {
                self.grants_lost += 1;
            }
            lost_now.push(name);
        }
        let lost = match kill {
            // Others are not in use, and those that an earlier kill left uncertain are at their own step.
            Kill::At(point, _, target) => {
                let lost = lost_now.contains(&target);
                self.expect(point, lost);
                lost
            }
            Kill::After(_) => !lost_now.is_empty(),
        };
        let row = self.rows.entry(kill.row()).or_default();
        row.kills += 1;
        row.lost += u64::from(lost);
    }

    /// What a kill at a step of a refresh must cost the one that was refreshed.
    fn expect(&self, point: &str, lost: bool) {
        let expected = match point {
            // The server may have been quicker than the kill.
            failpoints::AFTER_SEND => lost && self.rotation != Rotation::Stable,
            failpoints::AFTER_ANSWER | failpoints::BEFORE_SAVE => self.rotation != Rotation::Stable,
            _ => false,
        };
        assert_eq!(lost, expected, "{point}, {}", self.mode());
    }

    /// After a start: every connection works, but those that were lost, and these say so.
    pub async fn look(&self, place: &Place, gate: SocketAddr) {
        for (name, ..) in CONNECTIONS {
            let expected = if self.lost.contains(name) { 401 } else { 200 };
            let key = format!("{}~{name}", place.key);
            let mut sender = connect(gate).await.unwrap();
            let until = Instant::now() + Duration::from_secs(20);
            loop {
                match ask(&mut sender, gate, &key).await {
                    Some(status) if status == expected => break,
                    // Being refreshed, or found out about.
                    // Its last access token may serve until its end.
                    Some(503 | 200) if Instant::now() < until => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    other => panic!("{name}: {other:?}, not {expected}; lost: {:?}", self.lost),
                }
            }
        }
    }

    /// The lost ones, which were found out and are shown as such, and no other is; they may be installed
    /// again. What the last kill took is looked at by the next life.
    pub fn bury_the_lost(&mut self, place: &Place) -> Vec<&'static str> {
        let (store, _) = place.open();
        let mut buried = Vec::new();
        for (name, ..) in CONNECTIONS {
            let known = ConnectionName::parse(name).unwrap();
            let row = store.connection_by_name(&known).unwrap().unwrap();
            match row.standing {
                Standing::Reauthorise => {
                    assert!(
                        self.lost.remove(name),
                        "{name} is to be authorised again for nothing"
                    );
                    buried.push(name);
                }
                Standing::Ok => {}
                other => panic!("{name} is {other:?}"),
            }
        }
        // They hold one grant, so they are installed again together.
        if buried.contains(&"one") != buried.contains(&"twin") {
            let other = if buried.contains(&"one") { "twin" } else { "one" };
            assert!(self.lost.remove(other), "{other} has the grant that was lost");
            buried.push(other);
        }
        buried
    }

    /// What the token endpoint saw over all lives.
    pub fn close(&mut self, place: &Place) {
        let calls = place.sim.token_calls();
        let mut before: BTreeMap<u64, &TokenCall> = BTreeMap::new();
        for call in &calls {
            let Some(portal) = call.hub_id else {
                self.calls.refused += 1;
                continue;
            };
            self.calls.granted += 1;
            let last = before.insert(portal, call);
            // Within one life there is none, see `one_call_for_one_expiry`; so a kill came in between.
            let early = |last: &&TokenCall| call.at.duration_since(last.at) < LIFE.mul_f64(EARLIEST);
            self.calls.repeated += usize::from(last.is_some_and(|last| early(&last)));
        }
        if self.rotation != Rotation::Stable {
            let mut tokens = BTreeSet::new();
            for call in calls.iter().filter(|call| call.hub_id.is_some()) {
                assert!(
                    tokens.insert(call.refresh_token.expose()),
                    "a rotated refresh token was used twice"
                );
            }
        }
        (self.calls.expired_uses, self.calls.latest) = place.sim.expired_uses();
    }

    pub fn summary(&self) -> String {
        let mut sorted = self.windows.clone();
        sorted.sort_unstable();
        let at = |part: usize| sorted[(sorted.len() - 1) * part / 100];
        let mut text = format!(
            "{}: {} kills; {} requests served, {} told to wait\n  token calls: {} granted, {} of them repeated after a \
             kill, {} refused; expired tokens used: {}, at most {:?} after their end\n",
            self.mode(),
            self.deaths.len(),
            self.served,
            self.waited,
            self.calls.granted,
            self.calls.repeated,
            self.calls.refused,
            self.calls.expired_uses,
            self.calls.latest,
        );
        // Cannot fail: a string grows.
        let _ = writeln!(
            text,
            "  grants lost: {}, all between the server's commit and ours, at most {:?} before the death was seen",
            self.grants_lost, self.longest_gap,
        );
        let _ = writeln!(
            text,
            "  window from the answer's last byte to the commit, in µs: median {}, 99 % {}, longest {}, of {}",
            at(50),
            at(99),
            at(100),
            sorted.len(),
        );
        text
    }

    pub fn give_verdict(&self) {
        assert!(self.served > 0, "nobody was served");
        assert!(
            self.calls.latest <= LATE_MAX,
            "a token was sent {:?} after its end",
            self.calls.latest
        );
        // A lost grant's old token is tried when its loss is found out; a kill in that moment repeats it.
        let kills = self.deaths.len();
        let tries = self.grants_lost as usize + kills;
        assert!(
            self.calls.refused <= tries,
            "{} refused calls",
            self.calls.refused
        );
        // A kill can cost a call for each grant that was being refreshed.
        assert!(
            self.calls.repeated <= 3 * kills,
            "{} repeated calls",
            self.calls.repeated
        );
        for point in failpoints::ALL {
            assert!(self.row(point).kills > 0, "{point} was never reached");
        }
    }
}

/// Within one life of the gate no grant is refreshed before its token is nearly over, whoever asks.
fn one_call_for_one_expiry(kill: Kill, refreshes: &[Refreshed]) {
    let mut before: BTreeMap<u64, jiff::Timestamp> = BTreeMap::new();
    for refreshed in refreshes {
        let (.., portal) = CONNECTIONS
            .iter()
            .find(|(name, ..)| *name == refreshed.connection)
            .unwrap();
        if let Some(last) = before.insert(*portal, refreshed.asked) {
            let gap = refreshed.asked.duration_since(last).as_secs_f64();
            let earliest = LIFE.as_secs_f64() * EARLIEST;
            assert!(
                gap >= earliest,
                "{kill:?}: portal {portal} was refreshed again after {gap} s"
            );
        }
    }
}
