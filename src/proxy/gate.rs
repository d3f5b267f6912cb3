//! What all workers share, and all that they share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use http::HeaderValue;

use super::judged::Budget;
use super::kills::Stops;
use super::lanes::Shares;
use crate::config::Limits;
use crate::hubspot::connect::{SharedUpstream, Upstream};
use crate::hubspot::shared::Shared;
use crate::metrics::Metrics;
use crate::quota::Quotas;
use crate::snapshot::Snapshot;
use crate::tokens::Live;

/// The gate as its workers see it.
pub struct Gate {
    /// Bounds of the request path.
    pub limits: Limits,
    /// Catalogue, policies and keys of the moment. Written by the publisher alone.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Connections and their tokens, with their live flags.
    pub live: Live,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// TLS for integrations; empty = clear text.
    pub tls: ArcSwapOption<rustls::ServerConfig>,
    /// The names the gate is known by.
    pub names: ArcSwap<Names>,
    /// `Host` of every upstream request.
    pub upstream_host: HeaderValue,
    /// What links in answers begin with.
    pub upstream_origin: Bytes,
    /// Ask for gzip and undo it.
    pub compression: bool,
    /// What the workers' upstream connections share: breaker, what may be sent again, where their counts come together.
    pub pools: Arc<Shared>,
    /// Room for judged bodies.
    pub judged: Arc<Budget>,
    /// What of that each integration may hold.
    pub shares: Shares,
    /// What integrations have used of their limits.
    pub quotas: Arc<Quotas>,
    /// Room for answers that are held until they are filtered.
    pub answers: Arc<Budget>,
    /// Room for the bodies of questions about keys, asked by strangers.
    pub questions: Arc<Budget>,
    /// The upstream and its version; a new version means trust was re-read.
    pub upstream: SharedUpstream,
    /// How long what the gate knows is fresh enough to decide on.
    pub freshness: Freshness,
    /// Emergency stops.
    pub stops: Stops,
}

/// How long the last look into the store is good for. Whoever should look and does not, dead or
/// stuck, lets it run out: there is nothing to forget to switch off.
#[derive(Debug)]
pub struct Freshness {
    epoch: Instant,
    until_ms: AtomicU64,
}

impl Freshness {
    /// Fresh for `period` from now on.
    pub fn starting(period: Duration) -> Self {
        let fresh = Self {
            epoch: Instant::now(),
            until_ms: AtomicU64::new(0),
        };
        fresh.renew(period);
        fresh
    }

    /// Fresh for `period` from now on.
    pub fn renew(&self, period: Duration) {
        let until = self.epoch.elapsed() + period;
        self.until_ms.store(
            u64::try_from(until.as_millis()).unwrap_or(u64::MAX),
            Ordering::Release,
        );
    }

    /// Whether it still is, at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        let at = now.saturating_duration_since(self.epoch).as_millis();
        at <= u128::from(self.until_ms.load(Ordering::Acquire))
    }
}

impl Gate {
    /// The upstream and its version.
    pub fn upstream(&self) -> (Upstream, u64) {
        let current = self.upstream.load();
        (current.upstream.clone(), current.version)
    }

    /// Whether the gate may decide: its store was read lately, for changes and for emergency stops.
    pub fn may_decide(&self, now: Instant) -> bool {
        self.freshness.holds(now) && self.stops.are_fresh(now)
    }
}

/// The names integrations reach the gate by: a link in an answer is turned back to the one the
/// request came by, if it is one of these, else to the configured one.
#[derive(Clone, Debug)]
pub struct Names {
    public_origin: Bytes,
    public_authority: String,
    known: Vec<String>,
}

impl Names {
    /// `public_url` is an origin; `listen` is the address bound, its port being the real one.
    pub fn new(public_url: &str, listen: SocketAddr) -> Self {
        let origin = public_url.trim_end_matches('/');
        let mut known = vec![listen.to_string(), format!("localhost:{}", listen.port())];
        if listen.ip().is_unspecified() {
            known.push(format!("127.0.0.1:{}", listen.port()));
        }
        Self {
            public_origin: Bytes::copy_from_slice(origin.as_bytes()),
            public_authority: origin
                .split_once("://")
                .map_or(String::new(), |(_, authority)| authority.to_owned()),
            known,
        }
    }

    /// The origin for links in the answer to a request that named `authority`. By its public name
    /// the gate is reached as `public_url` says, whatever stands in front of it.
    pub fn origin_for(&self, authority: Option<&str>, secure: bool) -> Bytes {
        let same = |asked: &str, name: &String| name.eq_ignore_ascii_case(asked);
        match authority {
            Some(asked) if same(asked, &self.public_authority) => self.public_origin.clone(),
            Some(asked) if self.known.iter().any(|name| same(asked, name)) => {
                Bytes::from(format!("{}://{asked}", if secure { "https" } else { "http" }))
            }
            _ => self.public_origin.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_runs_out_by_itself_and_is_renewed() {
        let fresh = Freshness::starting(Duration::from_secs(10));
        let now = Instant::now();
        assert!(fresh.holds(now));
        assert!(!fresh.holds(now + Duration::from_secs(11)));
        fresh.renew(Duration::from_secs(20));
        assert!(fresh.holds(now + Duration::from_secs(11)));
    }

    #[test]
    fn links_go_back_to_the_name_the_request_came_by_if_it_is_one_of_the_gates() {
        let names = Names::new("https://gate.example.com/", "0.0.0.0:8080".parse().unwrap());
        let origin = |asked, secure| String::from_utf8(names.origin_for(asked, secure).to_vec()).unwrap();
        assert_eq!(origin(Some("127.0.0.1:8080"), false), "http://127.0.0.1:8080");
        assert_eq!(origin(Some("localhost:8080"), true), "https://localhost:8080");
        assert_eq!(origin(Some("Gate.Example.com"), true), "https://gate.example.com");
        assert_eq!(
            origin(Some("gate.example.com"), false),
            "https://gate.example.com"
        );
        assert_eq!(origin(Some("evil.example"), false), "https://gate.example.com");
        assert_eq!(origin(None, false), "https://gate.example.com");
    }
}
