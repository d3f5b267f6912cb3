//! What is asked of the admin API. What it changes stands in the audit log; here is who was turned away.

use std::net::IpAddr;

use crate::clock;
use crate::metrics::{AdminResult, Metrics};

/// A request to the admin API was answered.
pub struct AdminAnswered<'a> {
    /// What became of it.
    pub result: AdminResult,
    /// The answer's code, for those that were not done.
    pub code: &'static str,
    /// Who asked: `api:NAME/ID`, of a credential that works.
    pub actor: Option<&'a str>,
    /// From where. An operator's address, or of somebody who would be one.
    pub address: IpAddr,
    /// The route's template, if one was found.
    pub route: Option<&'static str>,
}

impl AdminAnswered<'_> {
    /// Counts it; writes a line about what was not done, within the budget.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.admin_request(self.result);
        if self.result == AdminResult::Done {
            return;
        }
        if let Some(withheld) = metrics.admin_lines.spend(clock::wall()) {
            tracing::warn!(
                result = self.result.as_str(),
                code = self.code,
                actor = self.actor.unwrap_or("-"),
                address = %self.address,
                route = self.route.unwrap_or("-"),
                withheld,
                "the admin API did not do as asked"
            );
        }
    }
}
