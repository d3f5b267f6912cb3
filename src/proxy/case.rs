//! What is known of a call so far: the material of its record, its counts and its answer's head.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use smallvec::SmallVec;

use super::connection::Peer;
use super::judged::Share;
use super::outcome::Outcome;
use super::stop::Stop;
use super::worker::{Taken, Worker};
use crate::access::integration::KeyEntry;
use crate::access::refusal::Reason;
use crate::access::verdict::Verdict;
use crate::audit::{AuditRefused, DecisionRecord, Network};
use crate::clock;
use crate::events::{AuditRefusedRequest, RequestDecided};
use crate::metrics::RequestLabels;
use crate::tokens::ConnectionState;

/// What is known of a call so far: the material of its record, its counts and its answer's head.
pub struct Case {
    pub(super) worker: Rc<Worker>,
    pub(super) snapshot: Rc<Taken>,
    pub(super) outcome: Box<Outcome>,
    pub(super) network: Network,
    pub(super) secure: bool,
    pub(super) authority: Option<HeaderValue>,
    /// The connection is of no use to its client, and ends with this answer.
    pub(super) closes: bool,
    /// A call of a stopped integration that waited for its turn to be refused, and found none.
    pub(super) is_crowded_out: bool,
    /// The answer is to a `HEAD`: RFC 9110 §9.3.2 wants it without content, and only HTTP/1 sees
    /// to that by itself.
    pub(super) bodiless: bool,
    pub(super) key: Option<Arc<KeyEntry>>,
    pub(super) connection: Option<Arc<ConnectionState>>,
    pub(super) operation: Option<Arc<str>>,
    pub(super) template: Option<Arc<str>>,
    pub(super) object_types: SmallVec<[Arc<str>; 2]>,
    pub(super) rule: Option<Arc<str>>,
    pub(super) verdict: Option<Verdict>,
    pub(super) recorded: bool,
    /// Room for its body, once one is read.
    pub(super) share: Option<Share>,
    pub(super) peer: Rc<Peer>,
}

impl Case {
    /// A call begins: it takes one snapshot and keeps it.
    pub fn open(worker: &Rc<Worker>, peer: &Rc<Peer>) -> Self {
        Self {
            snapshot: worker.snapshot(),
            outcome: Box::new(Outcome::begin(worker, peer.activity.begin())),
            network: Network::of(peer.address.ip()),
            secure: peer.secure,
            authority: None,
            closes: false,
            is_crowded_out: false,
            bodiless: false,
            key: None,
            connection: None,
            operation: None,
            template: None,
            object_types: SmallVec::new(),
            rule: None,
            verdict: None,
            recorded: false,
            share: None,
            peer: Rc::clone(peer),
            worker: Rc::clone(worker),
        }
    }

    /// Counts and records a call that ends at the gate; a denial that can't be recorded is none.
    pub(super) fn note(&mut self, stop: Stop) -> Stop {
        let (verdict, reason) = (stop.verdict(), stop.reason());
        if self.verdict.is_none() {
            self.count(verdict, reason);
        }
        if self.recorded {
            return stop;
        }
        // What is turned away unread is no decision, and a flood of it must not fill the log.
        if self.is_turned_away(&stop) {
            self.worker.audit().stranger(reason, self.network);
            return stop;
        }
        let Some(record) = self.decision_record(verdict, reason) else {
            self.worker.audit().stranger(reason, self.network);
            return stop;
        };
        let (lacks, limit) = (stop.lacks(), stop.limit());
        let handed = self.worker.audit().decided(&DecisionRecord {
            lacks: &lacks,
            limit: limit.as_ref(),
            ..record
        });
        match handed {
            // What does not pass is never waited for.
            Ok(_) => stop,
            Err(why) => self.unrecorded(why),
        }
    }

    /// Room for its body: of the gate's, and of its integration's part of that.
    pub(super) fn room(&mut self) -> &mut Share {
        let (gate, place) = (self.worker.gate(), self.outcome.place.as_ref());
        self.share.get_or_insert_with(|| {
            let mut share = Share::of(&gate.judged);
            if let Some(place) = place {
                share.within(Arc::clone(place.judged()));
            }
            share
        })
    }

    /// Whether the call found no place among those under way.
    fn is_turned_away(&self, stop: &Stop) -> bool {
        match stop {
            Stop::Shed(_) => true,
            Stop::Overloaded => self.outcome.place.is_none(),
            Stop::Key(Reason::Killed) => self.is_crowded_out,
            _ => false,
        }
    }

    pub(super) fn unrecorded(&self, why: AuditRefused) -> Stop {
        AuditRefusedRequest {
            id: self.outcome.id(),
            why,
        }
        .emit(self.worker.metrics().metrics());
        Stop::Audit
    }

    pub(super) fn count(&self, verdict: Verdict, reason: Reason) {
        let labels = RequestLabels {
            integration: self.outcome.integration.as_deref(),
            operation: self.operation.as_deref(),
            effect: self.outcome.effect,
            verdict,
            reason,
        };
        RequestDecided {
            id: self.outcome.id(),
            labels,
            rule: self.rule.as_deref(),
        }
        .emit(self.worker.metrics());
    }

    /// `None` before the key is known: such a call is no decision.
    pub(super) fn decision_record(&self, verdict: Verdict, reason: Reason) -> Option<DecisionRecord<'_>> {
        let key = self.key.as_ref()?;
        let connection = self.connection.as_ref();
        Some(DecisionRecord {
            time: clock::wall(),
            id: self.outcome.id(),
            integration: &key.integration,
            key: key.id,
            connection: connection.map(|connection| connection.name()),
            portal: connection.map(|connection| connection.portal().get()),
            operation: self.operation.as_deref(),
            template: self.template.as_deref(),
            effect: self.outcome.effect,
            object_types: &self.object_types,
            verdict,
            rule: self.rule.as_deref(),
            reason,
            lacks: &[],
            limit: None,
            policy: &self.snapshot.policy_digest,
            catalogue: &self.snapshot.catalogue_digest,
            snapshot: self.snapshot.version,
            network: self.network,
        })
    }
}
