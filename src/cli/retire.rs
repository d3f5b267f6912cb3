//! What `scopegate kill` does at HubSpot when it is asked to: uninstall the app, revoke the grant. After
//! the stop is in force, one connection after the other; a step that fails undoes nothing.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::admin::Admin;
use super::{CommandError, Exit};
use crate::metrics::{Metrics, MetricsBounds};
use crate::store::{ConnectionRow, Provenance, kills_covering};
use crate::tokens::{LiveParts, RetireError, RetireStep, Retirement, TokenSettings};

/// What to do at HubSpot, besides stopping here.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct RetireArgs {
    /// Also uninstall the app from the portals: grants and access tokens die at HubSpot, and super admins
    /// are told by e-mail.
    #[arg(long, conflicts_with_all = ["integration", "all", "list"])]
    pub uninstall: bool,
    /// Also revoke the refresh tokens: access tokens that are out live up to half an hour more.
    #[arg(long, conflicts_with_all = ["integration", "all", "list"])]
    pub revoke: bool,
}

/// What became of one step.
pub struct Done {
    connection: String,
    portal: u64,
    step: RetireStep,
    ended: Result<(), RetireError>,
}

impl RetireArgs {
    /// HubSpot's order: uninstalling takes an access token, which a revoked grant no longer brings.
    fn steps(self) -> impl Iterator<Item = RetireStep> {
        let uninstall = self.uninstall.then_some(RetireStep::Uninstall);
        let revoke = self.revoke.then_some(RetireStep::Revoke);
        uninstall.into_iter().chain(revoke)
    }
}

/// Carries out the steps for every connection in `connections`, telling each on `err` as it ends.
///
/// # Errors
/// Nothing could be begun: no master key, no upstream.
pub fn carry_out(
    args: RetireArgs,
    connections: &[ConnectionRow],
    admin: &Admin,
    by: &Provenance,
    err: &mut dyn Write,
) -> Result<Vec<Done>, CommandError> {
    if args.steps().next().is_none() || connections.is_empty() {
        return Ok(Vec::new());
    }
    let runtime = super::admin::runtime()?;
    let retirement = Retirement::new(parts(admin, runtime.handle().clone())?);
    let kills = admin.store.kills()?;
    let mut living = admin.store.connections()?;
    living.retain(|row| kills_covering(&kills, row).is_empty());
    let mut all = Vec::new();
    for row in connections {
        for step in args.steps() {
            let done = Done {
                connection: row.name.to_string(),
                portal: row.portal.get(),
                step,
                ended: runtime.block_on(retirement.carry_out(step, row, &living, by)),
            };
            // Nobody to tell if stderr is gone.
            let _ = writeln!(err, "{}", done.line());
            all.push(done);
        }
    }
    Ok(all)
}

fn parts(admin: &Admin, runtime: tokio::runtime::Handle) -> Result<LiveParts, CommandError> {
    let bounds = MetricsBounds {
        series: 1,
        connections: 0,
    };
    Ok(LiveParts {
        store: Arc::clone(&admin.store),
        vault: Arc::new(admin.vault()?),
        client: admin.client()?,
        endpoints: admin.endpoints(),
        runtime,
        instance: format!("command:{}", std::process::id()),
        // Nobody scrapes a command.
        metrics: Metrics::new(bounds).map_err(|error| CommandError::internal(error.to_string()))?,
        settings: TokenSettings::default(),
        watchers: std::collections::BTreeSet::new(),
    })
}

impl Done {
    fn line(&self) -> String {
        let connection = &self.connection;
        match (&self.ended, self.step) {
            (Ok(()), RetireStep::Uninstall) => {
                format!(
                    "connection `{connection}`: the app is uninstalled from portal {}",
                    self.portal
                )
            }
            (Ok(()), RetireStep::Revoke) => {
                format!("connection `{connection}`: its refresh token is revoked")
            }
            (Err(error), RetireStep::Uninstall) => {
                format!("warning: connection `{connection}`: NOT UNINSTALLED: {error}")
            }
            (Err(error), RetireStep::Revoke) => {
                format!("warning: connection `{connection}`: NOT REVOKED: {error}")
            }
        }
    }

    /// The step as one object.
    pub fn json(&self) -> Value {
        json!({
            "connection": self.connection,
            "portal": self.portal,
            "step": match self.step {
                RetireStep::Uninstall => "uninstall",
                RetireStep::Revoke => "revoke",
            },
            "done": self.ended.is_ok(),
            "why": self.ended.as_ref().err().map(ToString::to_string),
        })
    }
}

/// Not fine unless every step was done.
pub fn exit(done: &[Done]) -> Exit {
    match done.iter().all(|done| done.ended.is_ok()) {
        true => Exit::Fine,
        false => Exit::Findings,
    }
}
