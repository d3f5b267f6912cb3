//! The steps of one call. `proxy::carry` says their order; each is a few lines here.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use jiff::Timestamp;

use super::account;
use super::ask::Ask;
use super::connection::Peer;
use super::download::{Download, GateBody, Stages};
use super::echo::EchoGuard;
use super::forward::{self, Answered, Call, Outgoing};
use super::gunzip::Gunzip;
use super::headers;
use super::introspect::{self, Question};
use super::judged::{self, Share};
use super::links::LinkRewriter;
use super::outcome::Outcome;
use super::stop::{self, Denied, Stop};
use super::upload::UploadBounds;
use super::worker::Worker;
use crate::access::catalogue::{BodyNeed, Recognised};
use crate::access::connection::Selector;
use crate::access::decide::{self, Permit};
use crate::access::decision::Decision;
use crate::access::facts::Facts;
use crate::access::gather::gather;
use crate::access::integration::KeyEntry;
use crate::access::json::JudgedBody;
use crate::access::key::PresentedKey;
use crate::access::policy::Policy;
use crate::access::policy_set::PolicyState;
use crate::access::refusal::Reason;
use crate::access::target::Target;
use crate::access::verdict::{Source, Verdict};
use crate::audit::{AuditRefused, DecisionRecord, Network, Record};
use crate::events::{AuditRefusedRequest, RequestDecided, UpstreamForbade};
use crate::hubspot::forbidden::ForbiddenCause;
use crate::metrics::RequestLabels;
use crate::secret::Secret;
use crate::snapshot::Snapshot;
use crate::tokens::{ConnectionState, Lease};

/// Who calls.
pub struct Caller {
    key: Arc<KeyEntry>,
    selector: Option<Selector>,
}

/// What goes back to the client.
pub enum Answer {
    /// The gate's own words.
    Own(StatusCode, Bytes),
    /// The upstream's, read whole.
    Whole(StatusCode, HeaderMap, Bytes),
    /// The upstream's.
    Upstream(StatusCode, HeaderMap, Box<Download>),
}

/// What is known of a call so far: the material of its record, its counts and its answer's head.
pub struct Case {
    worker: Rc<Worker>,
    snapshot: Arc<Snapshot>,
    outcome: Box<Outcome>,
    network: Network,
    secure: bool,
    authority: Option<String>,
    closes: bool,
    key: Option<Arc<KeyEntry>>,
    connection: Option<Arc<ConnectionState>>,
    operation: Option<Arc<str>>,
    template: Option<Arc<str>>,
    object_types: smallvec::SmallVec<[Arc<str>; 2]>,
    rule: Option<Arc<str>>,
    verdict: Option<Verdict>,
    recorded: bool,
    _share: Share,
}

impl Case {
    /// A call begins: it takes one snapshot and keeps it.
    pub fn open(worker: &Rc<Worker>, peer: &Peer) -> Self {
        let gate = worker.gate();
        Self {
            snapshot: gate.snapshot.load_full(),
            outcome: Box::new(Outcome::begin(worker, peer.activity.begin())),
            network: Network::of(peer.address.ip()),
            secure: peer.secure,
            authority: None,
            closes: false,
            key: None,
            connection: None,
            operation: None,
            template: None,
            object_types: smallvec::SmallVec::new(),
            rule: None,
            verdict: None,
            recorded: false,
            _share: Share::of(&gate.judged),
            worker: Rc::clone(worker),
        }
    }

    /// Reads and checks the head.
    pub fn read(&mut self, request: Request<Incoming>) -> Result<Ask, Stop> {
        if !self.worker.gate().may_decide(self.outcome.started()) {
            return Err(Stop::Unready);
        }
        let ask = Ask::read(request, self.worker.limits())?;
        self.authority = headers::authority(&ask.parts).map(str::to_owned);
        self.closes = ask.closes();
        Ok(ask)
    }

    /// Who calls. Nothing else is said to a caller without a good key.
    pub fn authenticate(&mut self, credential: Secret) -> Result<Caller, Stop> {
        let presented =
            PresentedKey::parse(credential.expose()).map_err(|mistake| Stop::Key(mistake.reason()))?;
        let key = self
            .snapshot
            .keys
            .authenticate(&presented, Timestamp::now())
            .map_err(|fault| Stop::Key(fault.reason()))?;
        self.key = Some(Arc::clone(key));
        self.outcome.integration = Some(Arc::clone(&key.integration));
        Ok(Caller { key: Arc::clone(key), selector: presented.selector })
    }

    /// The policy in force for the caller.
    pub fn policy(&self, caller: &Caller) -> Result<Arc<Policy>, Stop> {
        match self.snapshot.policies.policy(&caller.key.integration, Timestamp::now()) {
            PolicyState::Missing => Err(Stop::Policy(Reason::PolicyMissing)),
            PolicyState::Invalid => Err(Stop::Policy(Reason::PolicyInvalid)),
            PolicyState::Expired(_) => Err(Stop::Policy(Reason::PolicyExpired)),
            PolicyState::Ready(policy) => Ok(Arc::clone(policy)),
        }
    }

    /// The HubSpot account the call goes to.
    pub fn connection(
        &mut self,
        caller: &Caller,
        policy: &Policy,
        header: Option<Selector>,
    ) -> Result<Arc<ConnectionState>, Stop> {
        let live = &self.worker.gate().live;
        let chosen = account::choose(live, &caller.key, policy, caller.selector.as_ref(), header.as_ref())?;
        self.connection = Some(Arc::clone(&chosen));
        Ok(chosen)
    }

    /// Which operation is asked for.
    pub fn recognise(&mut self, target: &Target) -> Result<Recognised, Stop> {
        let catalogue = &self.snapshot.catalogue;
        let recognised = catalogue.recognise(target).map_err(Stop::Refused)?;
        if let Some(operation) = catalogue.operation(recognised.operation) {
            self.operation = Some(Arc::clone(&operation.id));
            self.outcome.effect = Some(operation.effect);
        }
        self.template = catalogue.row(recognised.row).map(|row| Arc::clone(&row.template));
        Ok(recognised)
    }

    /// Reads the body whole where it decides.
    pub async fn judge_body(&mut self, ask: &mut Ask, recognised: &Recognised) -> Result<Option<JudgedBody>, Stop> {
        if recognised.body_need() == BodyNeed::None {
            return Ok(None);
        }
        let Some(body) = ask.body.take() else { return Ok(None) };
        let limits = self.worker.limits();
        let whole = judged::read(body, &mut self._share, limits.judged_body_bytes, limits.body_idle).await?;
        self.outcome.request_bytes = whole.len() as u64;
        if whole.is_empty() {
            return Ok(None);
        }
        JudgedBody::parse(&whole).map(Some).map_err(Stop::Refused)
    }

    /// Everything the decision looks at.
    pub fn gather(&mut self, ask: &Ask, recognised: &Recognised, body: &Option<JudgedBody>) -> Result<Facts, Stop> {
        let facts = gather(&self.snapshot.catalogue, recognised, ask.target()?, body.as_ref()).map_err(Stop::Refused)?;
        self.outcome.effect = Some(facts.effect());
        for touch in facts.needs.iter().flat_map(|need| &need.touches) {
            if let Some(object) = &touch.object {
                let name: Arc<str> = self.snapshot.catalogue.object_name(object).into();
                if !self.object_types.contains(&name) {
                    self.object_types.push(name);
                }
            }
        }
        Ok(facts)
    }

    /// The decision, by policy and ceiling.
    pub fn decide(&mut self, policy: &Policy, facts: &Facts, connection: &ConnectionState) -> Result<Permit, Stop> {
        let question = decide::Question {
            policy,
            ceiling: self.snapshot.policies.ceiling(),
            catalogue: &self.snapshot.catalogue,
            facts,
            connection: account::as_ref(connection),
            now: Timestamp::now(),
        };
        match decide::decide(&question) {
            Decision::Allow(permit) => {
                self.rule = Some(Arc::clone(permit.rule()));
                Ok(permit)
            }
            Decision::Deny(denial) => {
                self.rule = denial.rule.map(Arc::from);
                Err(Stop::Denied(Denied {
                    reason: denial.reason,
                    lacks: denial.lacks,
                    scopes: denial.required_scopes,
                    remedy: denial.remedy,
                }))
            }
        }
    }

    /// The record: on the disk before anything that changes data goes up.
    pub async fn record(&mut self, permit: &Permit) -> Result<(), Stop> {
        let verdict = if permit.observed_deny() { Verdict::WouldDeny } else { Verdict::Allow };
        let reason = if permit.observed_deny() { Reason::NoRule } else { Reason::None };
        let Some(record) = self.decision_record(verdict, reason) else { return Err(Stop::Unready) };
        self.recorded = true;
        self.worker.audit().decided(record).await.map_err(|why| self.unrecorded(why))?;
        self.outcome.owes_record = true;
        self.verdict = Some(verdict);
        Ok(())
    }

    /// A live token, and one last look at what may have changed while waiting.
    pub async fn lease(
        &mut self,
        caller: &Caller,
        connection: &Arc<ConnectionState>,
        permit: &Permit,
    ) -> Result<Lease, Stop> {
        let leasing = self.worker.gate().live.lease(connection, permit);
        let lease = match tokio::time::timeout(self.worker.limits().token, leasing).await {
            Ok(leased) => leased.map_err(|error| forward::credential(&error)),
            Err(_) => Err(Stop::Credential { retry_after_seconds: 1 }),
        };
        let changed = match (caller.key.fault(Timestamp::now()), connection.standing().refusal()) {
            (Some(fault), _) => Some(Stop::Key(fault.reason())),
            (None, Some(reason)) => Some(Stop::Connection(reason)),
            (None, None) => None,
        };
        match (lease, changed) {
            (Ok(lease), None) => {
                let reason = if self.verdict == Some(Verdict::WouldDeny) { Reason::NoRule } else { Reason::None };
                self.count(self.verdict.unwrap_or(Verdict::Allow), reason);
                Ok(lease)
            }
            (_, Some(stop)) | (Err(stop), None) => {
                self.verdict = None;
                Err(stop)
            }
        }
    }

    /// Up to HubSpot.
    pub async fn forward(&mut self, mut ask: Ask, body: Option<JudgedBody>, lease: Lease) -> Result<Answered, Stop> {
        let limits = self.worker.limits();
        let target = ask.target()?.path_and_query();
        let outgoing = match (body, ask.body.take()) {
            (Some(judged), _) => Outgoing::Judged(judged.rebuild().into()),
            (None, Some(incoming)) => Outgoing::Stream(incoming),
            (None, None) => Outgoing::Judged(Bytes::new()),
        };
        let call = Call {
            target: target.parse().map_err(|_| Stop::Refused(super::UNWRITABLE))?,
            headers: headers::upward(&ask.parts.headers, self.worker.gate().compression),
            method: ask.parts.method,
            body: outgoing,
            bounds: UploadBounds {
                body_bytes: limits.body_bytes,
                replay_bytes: limits.replay_bytes,
                idle: limits.body_idle,
                until: self.outcome.started() + limits.total,
            },
        };
        forward::forward(&self.worker, lease, call, &mut self.outcome).await
    }

    /// Judges the answer's head and sets up what is done to its body.
    pub async fn read_answer(&mut self, (response, lease): Answered) -> Result<Answer, Stop> {
        let (parts, answer) = response.into_parts();
        if parts.status.is_informational() || parts.status.is_redirection() {
            return Err(Stop::Answer("scopegate: HubSpot answered with a redirect, which the gate never follows."));
        }
        let gunzip = match coding(&parts.headers)? {
            Coding::Plain => None,
            Coding::Gzip => Some(Gunzip::new(self.worker.limits().body_bytes)),
        };
        let echo = EchoGuard::new(lease.plain().expose());
        if parts.headers.values().any(|value| echo.is_in(value.as_bytes())) {
            tracing::error!(event = "token.echoed", id = %self.outcome.id(), "an answer's head holds the upstream token");
            return Err(Stop::Answer("scopegate: HubSpot's answer can't be passed on. Tell whoever runs the gate."));
        }
        let links = (headers::is_json(&parts.headers) && !answer.is_end_stream()).then(|| {
            let gate = self.worker.gate();
            let own = gate.names.load().origin_for(self.authority.as_deref(), self.secure);
            LinkRewriter::new(gate.upstream_origin.clone(), own)
        });
        let stages = Stages { gunzip, echo: Some(echo), links };
        let headers = headers::downward(&parts.headers, stages.change_bytes());
        let download = Download {
            answer,
            stages,
            connection: Arc::clone(lease.connection()),
            until: self.outcome.started() + self.worker.limits().total,
            ended: false,
        };
        if parts.status == StatusCode::FORBIDDEN {
            return self.read_forbidden(headers, download).await;
        }
        Ok(Answer::Upstream(parts.status, headers, Box::new(download)))
    }

    /// A 403 of HubSpot is read whole: why it stands there is worth a count of its own.
    async fn read_forbidden(&mut self, headers: HeaderMap, mut download: Download) -> Result<Answer, Stop> {
        let mut whole = BytesMut::new();
        while let Some(data) = poll_fn(|cx| download.poll(cx, &mut self.outcome)).await {
            let data = data.map_err(|_| Stop::Upstream)?;
            if whole.len() + data.len() > self.worker.limits().error_body_bytes {
                return Err(Stop::Answer("scopegate: HubSpot's refusal is too long to be passed on."));
            }
            whole.extend_from_slice(&data);
        }
        if let Some(integration) = self.outcome.integration.as_deref() {
            let cause = ForbiddenCause::of(&whole);
            UpstreamForbade { id: self.outcome.id(), integration, cause }.emit(self.worker.metrics());
        }
        Ok(Answer::Whole(StatusCode::FORBIDDEN, headers, whole.freeze()))
    }

    /// Answers a question about the credential itself.
    pub async fn introspect(
        &mut self,
        question: Question,
        in_path: Option<Secret>,
        mut ask: Ask,
    ) -> Result<Answer, Stop> {
        self.template = Some(question.template().into());
        let authorization = ask.take_optional_credential()?;
        let selector = ask.take_selector()?;
        let key = match (in_path, ask.body.take()) {
            (Some(key), _) => Some(key),
            (None, Some(body)) => {
                let idle = self.worker.limits().body_idle;
                let body = judged::read(body, &mut self._share, introspect::BODY_BYTES_MOST, idle).await?;
                question.key_in_body(&body)
            }
            (None, None) => None,
        };
        let differs = authorization.is_some_and(|sent| key.as_ref().is_none_or(|key| sent.expose() != key.expose()));
        let known = match &key {
            Some(key) if !differs => self.authenticate(key.clone()),
            Some(_) => Err(Stop::Key(Reason::KeyUnknown)),
            None => Err(Stop::Key(Reason::KeyMissing)),
        };
        let (caller, key) = match (known, key, question.unknown()) {
            (Ok(caller), Some(key), _) => (caller, key),
            (Err(stop), _, Some((status, body))) => {
                self.count(Verdict::Deny, stop.reason());
                self.worker.audit().stranger(stop.reason(), self.network);
                self.verdict = Some(Verdict::Deny);
                return Ok(Answer::Own(status, body));
            }
            (Err(stop), _, None) => return Err(stop),
            (Ok(_), None, _) => return Err(Stop::Key(Reason::KeyMissing)),
        };
        let policy = self.policy(&caller)?;
        let connection = self.connection(&caller, &policy, selector)?;
        self.outcome.effect = Some(crate::access::effect::Effect::Auth);
        let record = self.decision_record(Verdict::Allow, Reason::None).ok_or(Stop::Unready)?;
        self.recorded = true;
        self.worker.audit().push(Record::Decision(Box::new(record))).map_err(|why| self.unrecorded(why))?;
        self.verdict = Some(Verdict::Allow);
        self.count(Verdict::Allow, Reason::None);
        let catalogue = &self.snapshot.catalogue;
        let account = connection.account();
        let granted = |name: &&str| account.scopes.is_empty() || account.scopes.iter().any(|scope| scope == name);
        let allowed = policy.granted_scopes();
        let scopes: Vec<&str> = catalogue.scope_names(&allowed).into_iter().filter(granted).collect();
        Ok(Answer::Own(StatusCode::OK, question.answer(&key, &policy, &connection, &scopes)))
    }

    /// The answer with the gate's own header fields.
    pub fn deliver(mut self, answer: Answer) -> Response<GateBody> {
        let verdict = self.verdict.unwrap_or(Verdict::Allow);
        let (status, mut headers, source) = match &answer {
            Answer::Own(status, _) => {
                let mut headers = HeaderMap::new();
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(stop::JSON_UTF8));
                (*status, headers, Source::Gate)
            }
            Answer::Whole(status, headers, _) | Answer::Upstream(status, headers, _) => {
                (*status, headers.clone(), Source::Upstream)
            }
        };
        let upstream_id = headers.remove(stop::CORRELATION);
        stop::insert_decision(&mut headers, verdict, self.outcome.id(), self.rule.as_deref());
        if let Some(id) = upstream_id {
            // HubSpot's own id is what its support asks for; ours stands in the decision header.
            headers.insert(stop::CORRELATION, id);
        }
        headers.insert(stop::SOURCE, HeaderValue::from_static(source.as_str()));
        self.outcome.status = status.as_u16();
        self.outcome.source = source;
        let (head, outcome) = self.finish_head(headers);
        let body = match answer {
            Answer::Own(_, bytes) | Answer::Whole(_, _, bytes) => GateBody::own(bytes, outcome),
            Answer::Upstream(_, _, download) => GateBody::upstream(*download, outcome),
        };
        respond(status, head, body)
    }

    /// The answer to a call that ended at the gate.
    pub fn stopped(mut self, stop: Stop) -> Response<GateBody> {
        let stop = self.note(stop);
        self.outcome.reason = stop.reason();
        let decided = self.verdict.filter(|verdict| verdict.passes());
        let answer = stop.answer(self.outcome.id(), decided, self.rule.as_deref());
        let (parts, bytes) = answer.into_parts();
        self.outcome.status = parts.status.as_u16();
        let (head, outcome) = self.finish_head(parts.headers);
        respond(parts.status, head, GateBody::own(bytes, outcome))
    }

    /// Counts and records a call that ends at the gate; a denial that can't be recorded is none.
    fn note(&mut self, stop: Stop) -> Stop {
        let (verdict, reason) = (stop.verdict(), stop.reason());
        if self.verdict.is_none() {
            self.count(verdict, reason);
        }
        if self.recorded {
            return stop;
        }
        match self.decision_record(verdict, reason) {
            None => {
                self.worker.audit().stranger(reason, self.network);
                stop
            }
            Some(record) => match self.worker.audit().push(Record::Decision(Box::new(record))) {
                Ok(()) => stop,
                Err(why) => self.unrecorded(why),
            },
        }
    }

    fn unrecorded(&self, why: AuditRefused) -> Stop {
        AuditRefusedRequest { id: self.outcome.id(), why }.emit(self.worker.metrics().metrics());
        Stop::Audit
    }

    fn count(&self, verdict: Verdict, reason: Reason) {
        let labels = RequestLabels {
            integration: self.outcome.integration.as_deref(),
            operation: self.operation.as_deref(),
            effect: self.outcome.effect,
            verdict,
            reason,
        };
        RequestDecided { id: self.outcome.id(), labels, rule: self.rule.as_deref() }.emit(self.worker.metrics());
    }

    /// `None` before the key is known: such a call is no decision.
    fn decision_record(&self, verdict: Verdict, reason: Reason) -> Option<DecisionRecord> {
        let key = self.key.as_ref()?;
        let connection = self.connection.as_ref();
        Some(DecisionRecord {
            time: Timestamp::now(),
            id: self.outcome.id(),
            integration: Arc::clone(&key.integration),
            key: key.id.as_str().into(),
            connection: connection.map(|connection| connection.name().as_str().into()),
            portal: connection.map(|connection| connection.portal().get()),
            operation: self.operation.clone(),
            template: self.template.clone(),
            effect: self.outcome.effect,
            object_types: self.object_types.clone(),
            verdict,
            rule: self.rule.clone(),
            reason,
            policy: Arc::clone(&self.snapshot.policy_digest),
            catalogue: Arc::clone(&self.snapshot.catalogue_digest),
            snapshot: self.snapshot.version,
            network: self.network,
        })
    }

    fn finish_head(mut self, mut headers: HeaderMap) -> (HeaderMap, Box<Outcome>) {
        if let Some(connection) = self.connection.take()
            && let Ok(name) = HeaderValue::from_str(connection.name().as_str())
        {
            headers.insert(stop::CONNECTION, name);
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        (headers, self.outcome)
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: GateBody) -> Response<GateBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

enum Coding {
    Plain,
    Gzip,
}

/// The answer's coding: none, or the one the gate can undo.
fn coding(headers: &HeaderMap) -> Result<Coding, Stop> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(Coding::Plain),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(Coding::Plain),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"gzip") => Ok(Coding::Gzip),
        _ => Err(Stop::Answer("scopegate: HubSpot's answer is in a coding that was not asked for.")),
    }
}

