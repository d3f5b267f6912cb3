//! One gate's process: its network and its disk with their faults, and its death, which may come at every step.
//!
//! A dead process is one whose next wait never ends: what it had asked by then HubSpot still acts upon, what it
//! had not committed is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::server::{Answer, Asker, Loss, Mode, Server, read_refresh_token};
use crate::hubspot::control::{ControlAnswer, ControlError, Unanswered, Unsent};
use crate::hubspot::simulated::Outside;

/// How often, in a thousand, each fault strikes.
#[derive(Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) not_sent: u64,
    pub(super) lost_question: u64,
    pub(super) lost_answer: u64,
    pub(super) slow: u64,
    pub(super) busy: u64,
    pub(super) nonsense: u64,
    pub(super) disk_refuses: u64,
    pub(super) disk_lies: u64,
    pub(super) disk_slow: u64,
    pub(super) death: u64,
}

/// What happened, for the assertion that enough did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) leases: u64,
    pub(super) refused: u64,
    pub(super) questions: u64,
    pub(super) refreshes: u64,
    pub(super) lost_answers: u64,
    pub(super) deaths: u64,
    pub(super) disk_faults: u64,
    pub(super) unsaved_use: u64,
    pub(super) second_processes: u64,
    pub(super) losses: u64,
    pub(super) regrants: u64,
    pub(super) jumps: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.leases += more.leases;
        self.refused += more.refused;
        self.questions += more.questions;
        self.refreshes += more.refreshes;
        self.lost_answers += more.lost_answers;
        self.deaths += more.deaths;
        self.disk_faults += more.disk_faults;
        self.unsaved_use += more.unsaved_use;
        self.second_processes += more.second_processes;
        self.losses += more.losses;
        self.regrants += more.regrants;
        self.jumps += more.jumps;
    }
}

/// Everything outside the processes.
pub(super) struct Shared {
    pub(super) dice: Dice,
    pub(super) server: Server,
    pub(super) mode: Mode,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) began: Instant,
    pub(super) trace: Vec<String>,
    pub(super) violations: Vec<String>,
    /// The machine's wall clock, against the time that passed.
    pub(super) wall_offset_ms: i64,
    /// Which start of the machine this is.
    pub(super) boot: u64,
    pub(super) booted: Instant,
    /// A second process has run on the store: what only one process promises is not asked for.
    pub(super) two_processes: bool,
}

impl Shared {
    pub(super) fn note(&mut self, what: String) {
        self.trace
            .push(format!("{:>9} ms {what}", self.began.elapsed().as_millis()));
    }

    pub(super) fn violated(&mut self, what: String) {
        self.note(format!("VIOLATED: {what}"));
        self.violations.push(what);
    }
}

pub(super) type World = Arc<Mutex<Shared>>;

pub(super) fn lock(world: &World) -> MutexGuard<'_, Shared> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A process.
pub(super) struct Process {
    pub(super) number: usize,
    world: World,
    dead: Arc<AtomicBool>,
}

impl Process {
    pub(super) fn new(number: usize, world: &World) -> Self {
        Self {
            number,
            world: Arc::clone(world),
            dead: Arc::default(),
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(super) fn die(&self, at: &str) {
        if !self.dead.swap(true, Ordering::SeqCst) {
            let mut shared = lock(&self.world);
            shared.counts.deaths += 1;
            shared.note(format!("process {} dies {at}", self.number));
        }
    }

    fn reach(&self) -> Step {
        Step {
            number: self.number,
            world: Arc::clone(&self.world),
            dead: Arc::clone(&self.dead),
        }
    }
}

/// A process as its waits see it.
struct Step {
    number: usize,
    world: World,
    dead: Arc<AtomicBool>,
}

impl Step {
    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Lets the process die here, perhaps; the dead wait forever.
    async fn live_on(&self, at: &str) {
        let dies = {
            let mut shared = lock(&self.world);
            let per_mille = shared.faults.death;
            !self.is_dead() && shared.dice.chance(per_mille)
        };
        if dies {
            self.dead.store(true, Ordering::SeqCst);
            let mut shared = lock(&self.world);
            shared.counts.deaths += 1;
            shared.note(format!("process {} dies {at}", self.number));
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    async fn disk(&self, at: &str, fault: impl Fn(&Faults) -> u64) -> bool {
        self.live_on(at).await;
        let (fails, wait) = {
            let mut shared = lock(&self.world);
            let per_mille = fault(&shared.faults);
            let fails = shared.dice.chance(per_mille);
            shared.counts.disk_faults += u64::from(fails);
            if fails {
                shared.note(format!("process {}: the disk fails {at}", self.number));
            }
            let slow = shared.faults.disk_slow;
            let most = if shared.dice.chance(slow) { 900 } else { 4 };
            (fails, shared.dice.below(most))
        };
        sleep(Duration::from_millis(wait)).await;
        self.live_on(at).await;
        !fails
    }
}

/// What becomes of one question.
struct Plan {
    before: Duration,
    after: Duration,
    arrives: bool,
    said: Said,
}

enum Said {
    /// HubSpot answers as it should.
    Answer,
    NotSent,
    NoAnswer,
    Busy,
    Nonsense,
}

fn plan(shared: &mut Shared, longest: Duration) -> Plan {
    let faults = shared.faults;
    let dice = &mut shared.dice;
    let slow = if dice.chance(faults.slow) { 40 } else { 1 };
    let mut millis = |most: u64| Duration::from_millis(dice.below(most) * slow);
    let (before, after) = (millis(60), millis(60));
    let dice = &mut shared.dice;
    let (arrives, said) = match () {
        () if dice.chance(faults.not_sent) => (false, Said::NotSent),
        () if dice.chance(faults.lost_question) => (false, Said::NoAnswer),
        () if dice.chance(faults.lost_answer) => (true, Said::NoAnswer),
        () if dice.chance(faults.busy) => (false, Said::Busy),
        () if dice.chance(faults.nonsense) => (false, Said::Nonsense),
        () => (true, Said::Answer),
    };
    assert!(before + after < longest, "the client would have given up");
    Plan {
        before,
        after,
        arrives,
        said,
    }
}

impl Outside for Process {
    fn ask(
        &self,
        path: String,
        form: Bytes,
        longest: Duration,
    ) -> BoxFuture<'static, Result<ControlAnswer, ControlError>> {
        let step = self.reach();
        Box::pin(async move {
            let form: std::collections::BTreeMap<String, String> =
                form_urlencoded::parse(&form).into_owned().collect();
            if path.ends_with("/introspect") {
                return introspect(&step, &form);
            }
            step.live_on("before it asks").await;
            let token = form.get("refresh_token").cloned().unwrap_or_default();
            let grant = read_refresh_token(&token).map(|(grant, _)| grant);
            let plan = begin(&step, grant, &token, longest);
            sleep(plan.before).await;
            // The question is on its way, whatever became of who asked.
            let answer = act(&step, &plan, &token);
            sleep(plan.after).await;
            end(&step, grant);
            step.live_on("before it has the answer").await;
            deliver(&step, plan, grant, answer)
        })
    }

    fn disk_begins(&self) -> BoxFuture<'static, bool> {
        let step = self.reach();
        Box::pin(async move { step.disk("before a commit", |faults| faults.disk_refuses).await })
    }

    fn disk_ends(&self) -> BoxFuture<'static, bool> {
        let step = self.reach();
        Box::pin(async move { step.disk("after a commit", |faults| faults.disk_lies).await })
    }
}

fn begin(step: &Step, grant: Option<usize>, token: &str, longest: Duration) -> Plan {
    let mut shared = lock(&step.world);
    shared.counts.questions += 1;
    shared.note(format!("process {} asks with {token}", step.number));
    if let Some(grant) = grant {
        let asking = &mut shared.server.grants[grant].asking;
        let again = asking.contains(&step.number);
        asking.push(step.number);
        if again {
            shared.violated(format!("two refreshes of grant {grant} at one time"));
        }
    }
    plan(&mut shared, longest)
}

fn act(step: &Step, plan: &Plan, token: &str) -> Option<Answer> {
    if !plan.arrives {
        return None;
    }
    let mut shared = lock(&step.world);
    let asker = match shared.two_processes {
        _ if step.is_dead() => Asker::Dead,
        true => Asker::OneOfTwo,
        false => Asker::Alone,
    };
    let mode = shared.mode;
    let life = Duration::from_secs(30 + shared.dice.below(600));
    match shared.server.refresh(token, mode, life, asker) {
        Ok(answer) => {
            if let Answer::Tokens { refresh, .. } = &answer {
                shared.counts.refreshes += 1;
                shared.note(format!("HubSpot gives out {refresh} for {life:?}"));
            }
            Some(answer)
        }
        Err(wrong) => {
            shared.violated(wrong);
            Some(Answer::InvalidGrant)
        }
    }
}

fn end(step: &Step, grant: Option<usize>) {
    let mut shared = lock(&step.world);
    let number = step.number;
    if let Some(grant) = grant {
        let asking = &mut shared.server.grants[grant].asking;
        if let Some(at) = asking.iter().position(|asker| *asker == number) {
            asking.swap_remove(at);
        }
    }
}

fn deliver(
    step: &Step,
    plan: Plan,
    grant: Option<usize>,
    answer: Option<Answer>,
) -> Result<ControlAnswer, ControlError> {
    let mut shared = lock(&step.world);
    let nothing = || ControlError::NoAnswer(Unanswered::Slow);
    match (plan.said, answer) {
        (Said::NotSent, _) => Err(ControlError::NotSent(Unsent::Slow)),
        (Said::NoAnswer, answer) => {
            let rotated = matches!(answer, Some(Answer::Tokens { .. })) && shared.mode != Mode::Stable;
            if let (true, Some(grant)) = (rotated, grant) {
                shared.server.grants[grant].lost = Some(Loss::Answer);
                shared.counts.lost_answers += 1;
            }
            shared.note(format!("process {} gets no answer", step.number));
            Err(nothing())
        }
        (Said::Busy, _) => Ok(said(503, Some(2), "")),
        (Said::Nonsense, _) => Ok(said(200, None, r#"{"access_token": 7"#)),
        (Said::Answer, Some(answer)) => Ok(written(answer)),
        (Said::Answer, None) => Err(nothing()),
    }
}

fn written(answer: Answer) -> ControlAnswer {
    match answer {
        Answer::InvalidGrant => said(
            400,
            None,
            r#"{"error":"invalid_grant","status":"BAD_REFRESH_TOKEN"}"#,
        ),
        Answer::Tokens {
            access,
            refresh,
            portal,
            life,
        } => {
            let body = serde_json::json!({
                "access_token": access, "refresh_token": refresh, "expires_in": life.as_secs(),
                "hub_id": portal, "user_id": 77, "scopes": ["oauth", "crm.objects.contacts.read"],
            });
            said(200, None, &body.to_string())
        }
    }
}

fn introspect(
    step: &Step,
    form: &std::collections::BTreeMap<String, String>,
) -> Result<ControlAnswer, ControlError> {
    let shared = lock(&step.world);
    let token = form.get("token").map_or("", String::as_str);
    let known = read_refresh_token(token).and_then(|(grant, _)| shared.server.grants.get(grant));
    let body = match known {
        Some(grant) => {
            serde_json::json!({ "active": true, "hub_id": grant.portal, "user_id": 77, "scopes": ["oauth"] })
        }
        None => serde_json::json!({ "active": false }),
    };
    Ok(said(200, None, &body.to_string()))
}

fn said(status: u16, retry_after: Option<u64>, body: &str) -> ControlAnswer {
    ControlAnswer {
        status: http::StatusCode::from_u16(status).unwrap(),
        retry_after: retry_after.map(Duration::from_secs),
        body: Bytes::copy_from_slice(body.as_bytes()),
        received: Instant::now(),
    }
}
