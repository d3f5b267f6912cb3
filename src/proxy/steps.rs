//! The steps of one call, from its head to its token. `proxy::carry` says their order; each is a few
//! lines here.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri, header};
use http_body::Body;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::account;
use super::ask::{Ask, Request};
use super::case::Case;
use super::fields::Known;
use super::forward::{self, Answered, Call, Outgoing};
use super::headers;
use super::judged::{self, ReadBody};
use super::multipart;
use super::pace::Rate;
use super::rights::{self, Rights};
use super::stop::{Denied, Stop};
use super::upload::UploadBounds;
use crate::access::catalogue::{BodyNeed, Recognised};
use crate::access::connection::Selector;
use crate::access::decide::{self, Permit};
use crate::access::decision::Decision;
use crate::access::effect::Effect;
use crate::access::facts::Facts;
use crate::access::fields::{self, AnswerRule, Plan};
use crate::access::gather::gather;
use crate::access::installer::Installer;
use crate::access::integration::{KeyEntry, KeyFault};
use crate::access::json::{JudgedBody, check_content_type};
use crate::access::key;
use crate::access::policy::Policy;
use crate::access::policy_set::PolicyState;
use crate::access::refusal::{Reason, Refusal};
use crate::access::target::Target;
use crate::access::verdict::Verdict;
use crate::audit;
use crate::clock;
use crate::secret::Secret;
use crate::snapshot::Snapshot;
use crate::tokens::{ConnectionState, Lease};

/// A canonical target that is not a URI: the two parsers disagree, so nothing goes up.
const UNWRITABLE: Refusal = Refusal::new(
    Reason::RefusedPath,
    "the request target can't be written for the upstream",
    "use a standard HTTP client",
);

/// Who calls.
pub struct Caller {
    key: Arc<KeyEntry>,
    by_key: Option<Selector>,
    by_header: Option<Selector>,
    stirred: Arc<Notify>,
}

impl Caller {
    /// The key it came with.
    pub fn key(&self) -> &Arc<KeyEntry> {
        &self.key
    }

    /// What the call stands on from here on.
    pub fn rights(&self, at: &Standpoint, effect: Effect) -> Rights {
        Rights {
            key: Arc::clone(&self.key),
            connection: Arc::clone(&at.connection),
            policy: Arc::clone(&at.policy),
            effect,
            stirred: Arc::clone(&self.stirred),
        }
    }
}

/// Where a call stands under the policies of the moment.
pub struct Standpoint {
    /// The policy in force for the caller.
    pub policy: Arc<Policy>,
    /// The account the call goes to.
    pub connection: Arc<ConnectionState>,
    /// The operation.
    pub recognised: Recognised,
}

impl Case {
    /// Policy, connection and operation, in the order in which a caller may learn of them.
    pub fn locate(&mut self, caller: &Caller, ask: &Ask) -> Result<Standpoint, Stop> {
        let policy = self.policy(caller)?;
        let connection = self.connection(caller, &policy)?;
        let recognised = self.recognise(ask.target()?)?;
        Ok(Standpoint {
            policy,
            connection,
            recognised,
        })
    }

    /// Takes the snapshot anew; whether it is another one. A body may have been waited for, and no
    /// slow client may outlive a tightening.
    pub fn renew(&mut self) -> bool {
        let now = self.worker.snapshot();
        let changed = now.version != self.snapshot.version;
        self.snapshot = now;
        changed
    }

    /// Reads and checks the head.
    pub fn read(&mut self, request: Request) -> Result<Ask, Stop> {
        self.bodiless = request.line.method == Method::HEAD;
        if !self.worker.gate().may_decide(self.outcome.started()) {
            return Err(Stop::Unready);
        }
        let ask = Ask::read(request, self.worker.limits())?;
        self.authority = headers::authority(&ask.line, &ask.fields);
        Ok(ask)
    }

    /// Who calls. Nothing else is said to a caller without a good key.
    pub fn authenticate(&mut self, credential: Secret, by_header: Option<Selector>) -> Result<Caller, Stop> {
        let text = credential.expose();
        let mut last = self.peer.last_key.borrow_mut();
        let presented = last.read(text).map_err(|mistake| Stop::Key(mistake.reason()))?;
        let keys = &self.snapshot.keys;
        let (key, fault) = match keys.authenticate(presented, clock::now) {
            Ok(key) => (Some(key), None),
            // Its holder knows the secret: what a stopped integration goes on trying is on record as its own.
            Err(fault @ KeyFault::Killed) => (keys.find(&presented.id), Some(fault)),
            Err(fault) => (None, Some(fault)),
        };
        if let Some(key) = key {
            self.key = Some(Arc::clone(key));
            self.outcome.integration = Some(Arc::clone(&key.integration));
        }
        match (key, fault) {
            (Some(key), None) => Ok(Caller {
                key: Arc::clone(key),
                by_key: presented.selector.clone(),
                by_header,
                stirred: Arc::clone(self.worker.stirred()),
            }),
            (_, Some(fault)) if fault != KeyFault::Unknown => Err(Stop::Key(fault.reason())),
            _ => Err(Stop::Key(
                key::mistyped(text).map_or(Reason::KeyUnknown, |mistake| mistake.reason()),
            )),
        }
    }

    /// The policy in force for the caller.
    pub fn policy(&self, caller: &Caller) -> Result<Arc<Policy>, Stop> {
        match self
            .snapshot
            .policies
            .policy_at(&caller.key.integration, clock::now)
        {
            PolicyState::Missing => Err(Stop::Policy(Reason::PolicyMissing)),
            PolicyState::Invalid => Err(Stop::Policy(Reason::PolicyInvalid)),
            PolicyState::Expired(_) => Err(Stop::Policy(Reason::PolicyExpired)),
            PolicyState::Ready(policy) => Ok(Arc::clone(policy)),
        }
    }

    /// The HubSpot account the call goes to.
    pub fn connection(&mut self, caller: &Caller, policy: &Policy) -> Result<Arc<ConnectionState>, Stop> {
        let live = &self.worker.gate().live;
        let (by_key, by_header) = (caller.by_key.as_ref(), caller.by_header.as_ref());
        let chosen = account::choose(live, &caller.key, policy, by_key, by_header)?;
        // Before it is asked whether it is in service: the record says which was not.
        self.connection = Some(Arc::clone(&chosen));
        match chosen.standing().refusal() {
            Some(reason) => Err(Stop::Connection(reason)),
            None => Ok(chosen),
        }
    }

    /// Which operation is asked for.
    pub fn recognise(&mut self, target: &Target) -> Result<Recognised, Stop> {
        target.check_holds_no_key().map_err(Stop::Refused)?;
        let catalogue = &self.snapshot.catalogue;
        let recognised = catalogue.recognise(target).map_err(Stop::Refused)?;
        if let Some(operation) = catalogue.operation(recognised.operation) {
            self.operation = Some(Arc::clone(&operation.id));
            self.outcome.effect = Some(operation.effect);
        }
        self.template = catalogue.row(recognised.row).map(|row| Arc::clone(&row.template));
        Ok(recognised)
    }

    /// Reads what of the body decides. That takes its time: where the policies are others when it has
    /// come, the call stands elsewhere, and more of it may decide.
    pub async fn judge_body(
        &mut self,
        caller: &Caller,
        ask: &mut Ask,
        at: &mut Standpoint,
    ) -> Result<ReadBody, Stop> {
        let mut read = ReadBody::Nothing;
        loop {
            let need = self.body_need(at);
            if need == BodyNeed::None {
                if ask.body.as_ref().is_some_and(|body| !body.is_end_stream()) {
                    headers::check_type_of_stream(&ask.fields).map_err(Stop::Refused)?;
                }
                // It may have waited for its place.
                rights::check(caller.key(), &at.connection, &at.policy, Effect::Read)?;
            } else {
                // What the body asks for is not known yet: only what stops everything stops this wait.
                let rights = caller.rights(at, Effect::Read);
                read = tokio::select! {
                    biased;
                    read = self.read_body(ask, need, read) => read?,
                    stop = rights.withdrawn() => return Err(stop),
                };
                rights.check()?;
            }
            if !self.renew() {
                return Ok(read);
            }
            *at = self.locate(caller, ask)?;
        }
    }

    /// What of the body decides.
    fn body_need(&self, at: &Standpoint) -> BodyNeed {
        let Snapshot {
            catalogue, policies, ..
        } = &**self.snapshot;
        decide::body_need(catalogue, &at.recognised, &at.policy, policies.ceiling())
    }

    /// Reads as much of the body as decides, if that was not done.
    async fn read_body(&mut self, ask: &mut Ask, need: BodyNeed, read: ReadBody) -> Result<ReadBody, Stop> {
        let Some(body) = ask.body.take() else {
            return match (need, &read) {
                // It was read as something else than it counts for now; it is there only once.
                (BodyNeed::Import, ReadBody::Judged(_)) | (BodyNeed::Judge, ReadBody::Import(_)) => {
                    Err(Stop::Unready)
                }
                _ => Ok(read),
            };
        };
        let content_type = ask
            .fields
            .get(Known::ContentType)
            .map(|value| value.to_str().unwrap_or("?"));
        let limits = self.worker.limits();
        let bounds = judged::Bounds {
            bytes: limits.judged_body_bytes,
            idle: limits.body_idle,
            total: limits.judged_body,
            rate: Rate::of(limits),
        };
        if need == BodyNeed::Import {
            let import = multipart::read(body, content_type, self.room(), bounds).await?;
            return Ok(ReadBody::Import(Box::new(import)));
        }
        check_content_type(content_type).map_err(Stop::Refused)?;
        let whole = judged::read(body, self.room(), bounds).await?;
        self.outcome.request_bytes = whole.len() as u64;
        if whole.is_empty() {
            return Ok(ReadBody::Nothing);
        }
        let place = self.outcome.place.as_ref().ok_or(Stop::Unready)?;
        place.parse(whole).await.map(ReadBody::Judged)
    }

    /// Everything the decision looks at.
    pub fn gather(
        &mut self,
        ask: &Ask,
        recognised: &Recognised,
        body: Option<&JudgedBody>,
    ) -> Result<Facts, Stop> {
        let facts =
            gather(&self.snapshot.catalogue, recognised, ask.target()?, body).map_err(Stop::Refused)?;
        self.outcome.effect = Some(facts.effect());
        self.outcome.repeatable =
            facts.effect() == Effect::Read && facts.needs.iter().all(|need| need.risks.is_empty());
        for touch in facts.needs.iter().flat_map(|need| &need.touches) {
            if let Some(object) = &touch.object {
                let name = self.snapshot.catalogue.kept_object_name(object);
                if !self.object_types.contains(&name) {
                    self.object_types.push(name);
                }
            }
        }
        Ok(facts)
    }

    /// The decision, by policy and ceiling.
    pub fn decide(
        &mut self,
        at: &Standpoint,
        facts: &Facts,
        ask: &Ask,
        body: Option<&JudgedBody>,
    ) -> Result<Permit, Stop> {
        let policy = &*at.policy;
        let question = decide::Question {
            policy,
            ceiling: self.snapshot.policies.ceiling(),
            catalogue: &self.snapshot.catalogue,
            facts,
            request: Some(fields::Request {
                recognised: &at.recognised,
                target: ask.target()?,
                body: body.map(JudgedBody::value),
            }),
            connection: account::as_ref(&at.connection),
            now: match policy.depends_on_time() {
                true => clock::now(),
                false => Timestamp::MAX,
            },
        };
        match decide::decide(&question) {
            Decision::Allow(permit) => {
                self.rule = Some(Arc::clone(permit.rule()));
                Ok(permit)
            }
            Decision::Deny(denial) => {
                self.rule = denial.rule.map(Arc::from);
                Err(Stop::Denied(Box::new(Denied {
                    reason: denial.reason,
                    lacks: denial.lacks,
                    scopes: denial.required_scopes,
                    remedy: denial.remedy,
                    properties: denial.properties,
                    place: denial.place,
                    owner: policy.owner.clone(),
                })))
            }
            Decision::Refuse(refusal) => Err(Stop::Refused(*refusal)),
        }
    }

    /// Whether the person behind the connection is there as the policy wants it. Looked at before the
    /// record, so that it says what became of the call, and again wherever [`Rights::check`] is.
    pub fn check_installer(&mut self, rights: &Rights) -> Result<(), Stop> {
        let rule = match rights.connection.installer() {
            Installer::Present => return Ok(()),
            Installer::Gone => "installer_removed",
            Installer::LostRights => "installer_lost_rights",
        };
        let allowed = self.rule.take();
        self.rule = Some(format!("{}#{rule}", rights.policy.integration).into());
        rights.check()?;
        self.rule = allowed;
        Ok(())
    }

    /// The record: on the disk before anything that changes data goes up, and beside it, at the same time,
    /// what of the policy's limits is counted there.
    pub async fn record(&mut self, permit: &Permit) -> Result<(), Stop> {
        let verdict = if permit.observed_deny() {
            Verdict::WouldDeny
        } else {
            Verdict::Allow
        };
        let reason = if permit.observed_deny() {
            Reason::NoRule
        } else {
            Reason::None
        };
        let Some(record) = self.decision_record(verdict, reason) else {
            return Err(Stop::Unready);
        };
        let quotas = &self.worker.gate().quotas;
        let bill = self.outcome.bill.as_deref();
        let counting = bill.and_then(|bill| quotas.store(bill.charged()));
        let handed = self.worker.audit().decided(&record);
        self.recorded = true;
        // From here on, whatever becomes of it: a client may leave while the disk is waited for.
        self.outcome.owes_record = handed.is_ok();
        let recording = audit::on_disk(handed);
        let (recorded, counted) = match counting {
            None => (recording.await, Ok(())),
            Some(counting) => tokio::join!(recording, counting.wait()),
        };
        if let Some(bill) = self.outcome.bill.as_mut().filter(|_| counted.is_ok()) {
            bill.noted();
        }
        recorded.map_err(|why| self.unrecorded(why))?;
        counted.map_err(|_| Stop::Uncounted)?;
        self.verdict = Some(verdict);
        Ok(())
    }

    /// A live token, and one last look at what may have changed while waiting.
    pub async fn lease(&mut self, rights: &Rights, permit: &Permit) -> Result<Lease, Stop> {
        let at_hand = self.worker.gate().live.lease_at_hand(&rights.connection, permit);
        let lease = match at_hand {
            Ok(Some(lease)) => Ok(lease),
            Ok(None) => self.wait_for_lease(rights, permit).await,
            Err(error) => Err(forward::credential(&error)),
        };
        match (lease, rights.check()) {
            (Ok(lease), Ok(())) => {
                let reason = if self.verdict == Some(Verdict::WouldDeny) {
                    Reason::NoRule
                } else {
                    Reason::None
                };
                self.count(self.verdict.unwrap_or(Verdict::Allow), reason);
                let installer = rights.connection.installer();
                if installer != Installer::Present {
                    let integration = &rights.policy.integration;
                    self.worker.metrics().installer_alert(integration, installer);
                }
                Ok(lease)
            }
            (_, Err(stop)) | (Err(stop), Ok(())) => {
                self.verdict = None;
                Err(stop)
            }
        }
    }

    /// A live token that has to be made first.
    async fn wait_for_lease(&self, rights: &Rights, permit: &Permit) -> Result<Lease, Stop> {
        let leasing = self.worker.gate().live.lease(&rights.connection, permit);
        let leasing = tokio::time::timeout(self.worker.limits().token, leasing);
        tokio::select! {
            biased;
            leased = leasing => match leased {
                Ok(leased) => leased.map_err(|error| forward::credential(&error)),
                Err(_) => Err(Stop::Credential {
                    retry_after_seconds: 1,
                }),
            },
            stop = rights.withdrawn() => Err(stop),
        }
    }

    /// The request as it will go up, written from what was judged. The parsed form of a body, many
    /// times its bytes, is given up here, before anything is waited for.
    pub fn compose(
        &self,
        mut ask: Ask,
        body: ReadBody,
        plan: Option<Box<Plan>>,
    ) -> Result<(Call, AnswerRule), Stop> {
        let limits = self.worker.limits();
        let plan = plan.map_or_else(Plan::free, |plan| *plan);
        let target = match &plan.query {
            Some(query) => ask.target()?.path_with(query),
            None => ask.target()?.path_and_query(),
        };
        let narrowed = plan.body.map(JudgedBody::from);
        let mut headers = headers::upward(&ask.fields, self.worker.gate().compression);
        let (content_type, outgoing) = match (body, narrowed, ask.body.take()) {
            (ReadBody::Import(import), narrowed, _) => {
                let (content_type, outgoing) = import.send(narrowed)?;
                (Some(content_type), outgoing)
            }
            (ReadBody::Judged(_), Some(judged), _)
            | (ReadBody::Judged(judged), None, _)
            | (ReadBody::Nothing, Some(judged), _) => {
                let json = HeaderValue::from_static("application/json");
                (Some(json), Outgoing::Judged(judged.rebuild().into()))
            }
            (ReadBody::Nothing, None, Some(incoming)) if !incoming.is_end_stream() => {
                (None, Outgoing::Stream(incoming))
            }
            (ReadBody::Nothing, None, _) => (None, Outgoing::Judged(Bytes::new())),
        };
        if let Some(content_type) = content_type {
            headers.retain(|(name, _)| *name != header::CONTENT_TYPE);
            headers.push((header::CONTENT_TYPE, content_type));
        }
        let call = Call {
            target: Uri::try_from(target).map_err(|_| Stop::Refused(UNWRITABLE))?,
            headers,
            method: ask.line.method,
            body: outgoing,
            bounds: UploadBounds {
                body_bytes: limits.body_bytes,
                replay_bytes: limits.replay_bytes,
                idle: limits.body_idle,
                rate: Rate::of(limits),
                until: self.outcome.started() + limits.total,
            },
        };
        Ok((call, plan.answer))
    }

    /// Up to HubSpot.
    pub async fn forward(&mut self, call: Call, lease: Lease, rights: &Rc<Rights>) -> Result<Answered, Stop> {
        forward::forward(&self.worker, lease, call, rights, &mut self.outcome).await
    }
}
