//! Tokens: refreshed or not, and credentials that are due for rotation.

use std::time::Duration;

use super::micros;
use crate::metrics::{Metrics, RefreshCause, RefreshResult};

/// Why a token refresh failed: words of ours, never the token endpoint's.
#[derive(Clone, Copy, Debug)]
pub struct RefreshFailure {
    /// The contract's word.
    pub cause: RefreshCause,
    /// The status of an answer that was a refusal.
    pub status: Option<u16>,
}

impl From<RefreshCause> for RefreshFailure {
    fn from(cause: RefreshCause) -> Self {
        Self { cause, status: None }
    }
}

/// A token refresh ended.
#[derive(Debug)]
pub struct TokenRefreshed<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// Its app.
    pub app: Option<&'a str>,
    /// How it ended.
    pub result: RefreshResult,
    /// Why it failed, if it did.
    pub failure: Option<RefreshFailure>,
    /// How long it took.
    pub duration: Duration,
    /// From the last byte of HubSpot's answer to the durable commit: the time in which a crash would lose
    /// a grant that was rotated.
    pub window: Option<Duration>,
}

impl TokenRefreshed<'_> {
    /// Counts it; what somebody must act upon is an error, what passes by itself a warning.
    pub fn emit(&self, metrics: &Metrics) {
        metrics.token_refresh(self.app, self.result);
        if let Some(failure) = self.failure {
            metrics.token_refresh_failed(failure.cause);
        }
        let (connection, app) = (self.connection, self.app.unwrap_or("-"));
        let (result, duration_us) = (self.result.as_str(), micros(self.duration));
        let cause = self.failure.map(|failure| failure.cause.as_str());
        let status = self.failure.and_then(|failure| failure.status);
        match self.result {
            RefreshResult::Ok | RefreshResult::Rotated | RefreshResult::Superseded => {
                let window_us = self.window.map(micros);
                tracing::info!(connection, app, result, duration_us, window_us, "token refreshed");
            }
            RefreshResult::Transient => {
                tracing::warn!(
                    connection,
                    app,
                    result,
                    cause,
                    status,
                    duration_us,
                    "token not refreshed; it is tried again"
                );
            }
            RefreshResult::NotDurable => {
                tracing::error!(
                    connection,
                    app,
                    result,
                    cause,
                    status,
                    duration_us,
                    "a refreshed token could not be saved; it is kept in memory and tried again"
                );
            }
            // The alert is the connection's change of state.
            RefreshResult::DeadGrant => {
                tracing::info!(
                    connection,
                    app,
                    result,
                    cause,
                    status,
                    duration_us,
                    "token not refreshed: the grant is dead"
                );
            }
            RefreshResult::WrongClient | RefreshResult::Configuration => {
                tracing::error!(
                    connection,
                    app,
                    result,
                    cause,
                    status,
                    duration_us,
                    "token not refreshed; somebody has to act"
                );
            }
        }
    }
}

/// The token endpoint went down, for all connections, or came back.
#[derive(Debug)]
pub struct TokenEndpoint<'a> {
    /// Which of the two.
    pub up: bool,
    /// Why the last refresh failed, if it went down.
    pub failure: Option<RefreshFailure>,
    /// This gate.
    pub instance: &'a str,
}

impl TokenEndpoint<'_> {
    /// Once each time; what it means for each connection is counted with its refreshes.
    pub fn emit(&self) {
        let instance = self.instance;
        let cause = self.failure.map(|failure| failure.cause.as_str());
        let status = self.failure.and_then(|failure| failure.status);
        if self.up {
            tracing::info!(
                event = "token_endpoint.up",
                instance,
                "the token endpoint answers again"
            );
        } else {
            tracing::error!(
                event = "token_endpoint.down",
                instance,
                cause,
                status,
                "the token endpoint is down: refreshes are held back, one at a time asks whether it is back"
            );
        }
    }
}

/// Credentials are due for rotation.
#[derive(Debug)]
pub struct RotationFound {
    /// How many.
    pub due: usize,
}

impl RotationFound {
    /// Logs it; the gauge is set where they are counted.
    pub fn emit(&self) {
        tracing::warn!(
            event = "rotation.due",
            due = self.due,
            "credentials are due for rotation: see `scopegate connection list --rotation-due`"
        );
    }
}
