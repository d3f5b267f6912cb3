//! What stands around a connection: how it fares, who uses it, what is the matter. Read once for all
//! connections that are shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::connection::ConnectionId;
use crate::access::effect::Class;
use crate::access::integration::Binding;
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_set::PolicySet;
use crate::config::Config;
use crate::health::{self, Failing};
use crate::reports::short;
use crate::store::{
    ConnectionHealth, ConnectionRow, FindingRow, KeyRow, KillRow, LastUse, Store, StoreError, kills_covering,
};

/// What is shown of all connections beside their own rows.
pub struct Surroundings {
    health: BTreeMap<ConnectionId, ConnectionHealth>,
    uses: Vec<LastUse>,
    keys: Vec<KeyRow>,
    /// Emergency stops in force.
    kills: Vec<KillRow>,
    /// Open findings about people.
    findings: Vec<FindingRow>,
    /// `None`: the policies can't be read now, so who is covered is not known.
    policies: Option<Arc<PolicySet>>,
    failing_after: Duration,
    /// How old a credential may become before it is due for rotation.
    pub max_age: Duration,
    now: Timestamp,
}

/// One integration on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Keys that work and open it: bound to it, or to none.
    pub keys: usize,
    /// Whether its policy names the connection; `None` when the policies can't be read.
    pub covered: Option<bool>,
    /// When HubSpot last carried out a read for it.
    pub last_read: Option<Timestamp>,
    /// When it last carried out a write.
    pub last_write: Option<Timestamp>,
}

impl Surroundings {
    /// Reads it. `policies` may be missing: a list of connections is wanted most when something is broken.
    ///
    /// # Errors
    /// The store's.
    pub fn read(
        store: &Store,
        config: &Config,
        policies: Option<Arc<PolicySet>>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            health: store.connection_health()?,
            uses: store.last_use(None)?,
            keys: store.keys()?,
            kills: store.kills()?,
            findings: store.open_findings()?,
            policies,
            failing_after: config.health_failing_after,
            max_age: config.rotation_max_age,
            now,
        })
    }

    /// When it was read.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The state it is in, in one place for list, sheet and JSON.
    pub fn state(&self, row: &ConnectionRow) -> &'static str {
        row.state(&self.kills).as_str()
    }

    /// The emergency stops that cover it.
    pub fn kills(&self, row: &ConnectionRow) -> Vec<&KillRow> {
        kills_covering(&self.kills, row)
    }

    /// How its reads and writes fare.
    pub fn health(&self, row: &ConnectionRow) -> ConnectionHealth {
        self.health.get(&row.id).cloned().unwrap_or_default()
    }

    /// Which sides do not work.
    pub fn failing(&self, row: &ConnectionRow) -> Vec<Failing> {
        health::findings(&self.health(row), self.failing_after)
    }

    /// What is open about it, each a sentence: of its calls, and of the person behind it.
    pub fn findings(&self, row: &ConnectionRow) -> Vec<String> {
        let of_people = self
            .findings
            .iter()
            .filter(|finding| finding.connection == row.id && finding.acknowledged.is_none())
            .map(|finding| {
                format!(
                    "{} since {}: see finding {} of `scopegate people list`",
                    finding.kind,
                    short(finding.since),
                    finding.id
                )
            });
        self.failing(row)
            .iter()
            .map(Failing::sentence)
            .chain(of_people)
            .collect()
    }

    /// Who uses it: whose policy names it, whose key is bound to it, who has used it.
    pub fn usage(&self, row: &ConnectionRow) -> BTreeMap<String, Usage> {
        let mut all: BTreeMap<String, Usage> = BTreeMap::new();
        let covering = self.policies.as_ref().map(|policies| covering(policies, row));
        for name in covering.iter().flatten() {
            all.entry(name.clone()).or_default();
        }
        for last in self.uses.iter().filter(|last| last.connection == row.id) {
            let usage = all.entry(last.integration.clone()).or_default();
            match last.class {
                Class::Read => usage.last_read = Some(last.at),
                Class::Write => usage.last_write = Some(last.at),
            }
        }
        for key in self.keys.iter().filter(|key| self.works(key)) {
            match key.binding {
                Binding::Connection(id) if id == row.id => {
                    all.entry(key.integration.clone()).or_default().keys += 1;
                }
                Binding::Any => {
                    // Opens it only where the policy names it, or is not known.
                    if let Some(usage) = all.get_mut(&key.integration) {
                        usage.keys += 1;
                    }
                }
                Binding::Connection(_) => {}
            }
        }
        for (name, usage) in &mut all {
            usage.covered = covering.as_ref().map(|covering| covering.contains(name));
        }
        all
    }

    fn works(&self, key: &KeyRow) -> bool {
        key.revoked.is_none() && key.expires.is_none_or(|at| self.now < at)
    }
}

fn covering(policies: &PolicySet, row: &ConnectionRow) -> Vec<String> {
    let connection = ConnectionRef {
        name: row.name.as_str(),
        app: row.app.as_deref(),
    };
    let all = policies.integrations();
    let covers = all.filter(|(_, policy, _)| policy.is_some_and(|policy| policy.covers(connection)));
    covers.map(|(name, ..)| name.to_string()).collect()
}
