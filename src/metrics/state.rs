//! Pictures of what is configured: replaced whole, so that what is gone has no series.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use jiff::Timestamp;

use super::{FindingKind, Metrics, UNKNOWN};
use crate::access::effect::Class;
use crate::access::kill::{KillKind, Kills};

/// One integration's policy.
#[derive(Clone, Debug)]
pub struct PolicySample<'a> {
    /// Whose.
    pub integration: &'a str,
    /// It does not load.
    pub invalid: bool,
    /// Its `expires`, as the first moment it denies everything.
    pub expires: Option<Timestamp>,
}

/// One key that is not revoked and expires.
#[derive(Clone, Debug)]
pub struct KeySample<'a> {
    /// Whose.
    pub integration: &'a str,
    /// When.
    pub expires: Timestamp,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionSample<'a> {
    /// Its name.
    pub connection: &'a str,
    /// The app of an OAuth grant.
    pub app: Option<&'a str>,
    /// The contract's word for its state.
    pub state: &'static str,
    /// When its access token expires, if it does.
    pub token_expires: Option<Timestamp>,
}

/// How one connection fares.
#[derive(Clone, Debug)]
pub struct HealthSample<'a> {
    /// Its name.
    pub connection: &'a str,
    /// The app of an OAuth grant.
    pub app: Option<&'a str>,
    /// Its reads have been refused for long.
    pub read_fails: bool,
    /// Its writes have.
    pub write_fails: bool,
    /// When its access token was refreshed.
    pub last_refresh: Option<Timestamp>,
}

impl Metrics {
    /// Replaces the series of the connections' health: sums always, each of its own only while there
    /// are at most `metrics.connections`.
    pub fn set_connection_health(&self, connections: &[HealthSample<'_>]) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections_failing.reset();
        self.connection_health.reset();
        self.last_refresh.reset();
        let each = self.shows_each(connections.len());
        let mut failing: BTreeMap<(&str, Class), i64> = BTreeMap::new();
        for sample in connections {
            for (class, fails) in [
                (Class::Read, sample.read_fails),
                (Class::Write, sample.write_fails),
            ] {
                *failing.entry((sample.app.unwrap_or(UNKNOWN), class)).or_default() += i64::from(fails);
                if each {
                    self.connection_health
                        .with_label_values(&[sample.connection, class.as_str()])
                        .set((!fails).into());
                }
            }
            if let Some(at) = sample.last_refresh.filter(|_| each) {
                self.last_refresh
                    .with_label_values(&[sample.connection])
                    .set(seconds(at));
            }
        }
        for ((app, class), count) in failing {
            self.connections_failing
                .with_label_values(&[app, class.as_str()])
                .set(count);
        }
    }

    /// Whether each of so many connections has series of its own.
    pub fn shows_each(&self, connections: usize) -> bool {
        connections <= self.bounds.connections
    }

    /// Replaces how full limits are: integration, limit, used part.
    pub fn set_limits<'a>(&self, used: impl IntoIterator<Item = (&'a str, &'static str, f64)>) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit_used.reset();
        for (integration, limit, ratio) in used {
            self.limit_used
                .with_label_values(&[integration, limit])
                .set(ratio);
        }
    }

    /// Replaces the policies' series.
    pub fn set_policies(&self, digest: &str, policies: &[PolicySample<'_>]) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.policy_info.reset();
        self.policy_info.with_label_values(&[digest]).set(1);
        self.policy_invalid.reset();
        self.policy_expires.reset();
        for policy in policies {
            self.policy_invalid
                .with_label_values(&[policy.integration])
                .set(policy.invalid.into());
            if let Some(expires) = policy.expires {
                self.policy_expires
                    .with_label_values(&[policy.integration])
                    .set(seconds(expires));
            }
        }
    }

    /// Names the catalogue in force.
    pub fn set_catalogue(&self, digest: &str) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.catalogue_info.reset();
        self.catalogue_info.with_label_values(&[digest]).set(1);
    }

    /// Replaces the keys' series: the first to expire stands for its integration.
    pub fn set_keys(&self, keys: &[KeySample<'_>]) {
        let mut first: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for key in keys {
            let expires = first.entry(key.integration).or_insert(key.expires);
            *expires = key.expires.min(*expires);
        }
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.key_expires.reset();
        for (integration, expires) in first {
            self.key_expires
                .with_label_values(&[integration])
                .set(seconds(expires));
        }
    }

    /// Replaces the connections' series: sums always, each of its own only while there are at most
    /// `metrics.connections`.
    pub fn set_connections(&self, connections: &[ConnectionSample<'_>]) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.connections.reset();
        self.connection_state.reset();
        self.token_expires.reset();
        let each = self.shows_each(connections.len());
        // Counted here and set once: a look-up among the series for each would be most of what it costs.
        let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for sample in connections {
            *counts
                .entry((sample.app.unwrap_or(UNKNOWN), sample.state))
                .or_default() += 1;
            if !each {
                continue;
            }
            self.connection_state
                .with_label_values(&[sample.connection, sample.state])
                .set(1);
            if let Some(expires) = sample.token_expires {
                self.token_expires
                    .with_label_values(&[sample.connection])
                    .set(seconds(expires));
            }
        }
        for ((app, state), count) in counts {
            self.connections.with_label_values(&[app, state]).set(count);
        }
    }

    /// Counts the emergency stops in force, each kind always.
    pub fn set_killed(&self, kills: &Kills) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in KillKind::ALL {
            let count = i64::try_from(kills.count(kind)).unwrap_or(i64::MAX);
            self.killed.with_label_values(&[kind.as_str()]).set(count);
        }
    }

    /// Says how many findings of each kind are open.
    pub fn set_findings(&self, counts: &[(FindingKind, usize)]) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, count) in counts {
            self.findings
                .with_label_values(&[kind.as_str()])
                .set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }

    /// Replaces the count of credentials due for rotation. `due` has an entry for every connection:
    /// its app, and whether it is due, so that an app with none shows 0.
    pub fn set_rotation_due<'a>(&self, due: impl IntoIterator<Item = (Option<&'a str>, bool)>) {
        let _picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
        self.rotation_due.reset();
        for (app, is_due) in due {
            let gauge = self.rotation_due.with_label_values(&[app.unwrap_or(UNKNOWN)]);
            gauge.add(is_due.into());
        }
    }

    /// Says how the last reload of configuration and policies went.
    pub fn set_reload(&self, successful: bool, now: Timestamp) {
        self.reload_successful.set(successful.into());
        if successful {
            self.reload_success_time.set(seconds(now));
        }
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}
