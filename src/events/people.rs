//! People: installs, and findings about who is behind a credential.

use crate::access::connection::{ConnectionName, PortalId};
use crate::clock;
use crate::metrics::Metrics;

/// An install has come one step further.
#[derive(Debug)]
pub struct InstallMoved<'a> {
    /// The app.
    pub app: &'a str,
    /// What the connection is called, if that is known yet.
    pub connection: Option<&'a ConnectionName>,
    /// The account, if that is known yet.
    pub portal: Option<PortalId>,
    /// `begun`, `connected`, `connected_again`, `pending`.
    pub step: &'static str,
}

impl InstallMoved<'_> {
    /// Writes a line.
    pub fn emit(&self) {
        let connection = self.connection.map_or("-", ConnectionName::as_str);
        let portal = self.portal.map_or(0, PortalId::get);
        tracing::info!(app = self.app, connection, portal, step = self.step, "install");
    }
}

/// An install, or something that looked like one, was not gone on with.
#[derive(Debug)]
pub struct InstallRefused<'a> {
    /// The app, if a known one was meant.
    pub app: Option<&'a str>,
    /// The connection, if a ticket names one.
    pub connection: Option<&'a ConnectionName>,
    /// One of a fixed set of words.
    pub reason: &'static str,
}

impl InstallRefused<'_> {
    /// Writes a warning, within the budget: strangers can cause it.
    pub fn emit(&self, metrics: &Metrics) {
        let Some(withheld) = metrics.install_lines.spend(clock::wall()) else {
            return;
        };
        let (app, connection) = (
            self.app.unwrap_or("-"),
            self.connection.map_or("-", ConnectionName::as_str),
        );
        tracing::warn!(
            app,
            connection,
            reason = self.reason,
            withheld,
            "install not gone on with"
        );
    }
}

/// Something about the people behind credentials is to be acted upon.
#[derive(Debug)]
pub struct FindingBegan<'a> {
    /// What an operator acknowledges it by.
    pub id: i64,
    /// The word of its kind.
    pub kind: &'a str,
    /// Connection, portal, integrations and what they last did, as JSON. Not the person: addresses
    /// are for who asks, `scopegate people list`.
    pub detail: &'a str,
}

impl FindingBegan<'_> {
    /// Writes a warning, once.
    pub fn emit(&self) {
        let (finding, kind, detail) = (self.id, self.kind, self.detail);
        tracing::warn!(finding, kind, detail, "a finding: see `scopegate people list`");
    }
}

/// It is over.
#[derive(Debug)]
pub struct FindingEnded<'a> {
    /// Which.
    pub id: i64,
    /// The word of its kind.
    pub kind: &'a str,
    /// As it was when it began.
    pub detail: &'a str,
}

impl FindingEnded<'_> {
    /// Writes a line, once.
    pub fn emit(&self) {
        let (finding, kind, detail) = (self.id, self.kind, self.detail);
        tracing::info!(finding, kind, detail, "a finding is over");
    }
}

/// More findings began or ended in one look than are told one by one.
#[derive(Debug)]
pub struct FindingsWithheld {
    /// How many more began.
    pub began: usize,
    /// How many more are over.
    pub ended: usize,
}

impl FindingsWithheld {
    /// Writes a line if there are any.
    pub fn emit(&self) {
        let (began, ended) = (self.began, self.ended);
        if began > 0 {
            tracing::warn!(
                began,
                ended,
                "more findings than are logged one by one: see `scopegate people list`"
            );
        } else if ended > 0 {
            tracing::info!(ended, "more findings are over than are logged one by one");
        }
    }
}
