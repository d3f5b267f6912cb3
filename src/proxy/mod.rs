//! Carries one call through: the only place that orders the steps.
//!
//! Each step turns one value into the next; nothing travels in request extensions. What the gate
//! does not understand stops where it is noticed; what is allowed is recorded before it is forwarded.

pub mod accept;
pub mod account;
pub mod activity;
pub mod answer;
pub mod ask;
pub mod case;
pub mod client_body;
pub mod connection;
pub mod download;
mod downward;
mod drain;
pub mod echo;
mod echo_forms;
mod error_answer;
mod exchange;
mod face;
pub mod fields;
pub mod filtered;
mod forbidden;
pub mod forward;
pub mod frames;
pub mod gate;
pub mod guard;
pub mod gunzip;
pub mod headers;
mod http1;
mod http2;
mod ids;
pub mod introspect;
pub mod io;
pub mod judged;
pub mod kills;
pub mod lanes;
pub mod limited;
pub mod links;
pub mod multipart;
pub mod outcome;
pub mod pace;
mod presence;
mod rest;
pub mod rights;
mod socket;
pub mod steps;
pub mod stop;
pub mod stream;
pub mod tls;
pub mod upload;
mod waits;
pub mod worker;

use std::rc::Rc;

use self::answer::{Answer, Reply};
use self::ask::Request;
use self::case::Case;
use self::connection::Peer;
use self::stop::Stop;
use self::worker::Worker;

/// One request, from its head to its answer.
pub async fn call(worker: Rc<Worker>, peer: Rc<Peer>, request: Request) -> Reply {
    let mut case = Case::open(&worker, &peer);
    let carried = carry(&mut case, request).await;
    match carried {
        Ok(answer) => case.deliver(answer),
        Err(stop) => case.stopped(stop),
    }
}

async fn carry(case: &mut Case, request: Request) -> Result<Answer, Stop> {
    let mut ask = case.read(request)?;
    if let Some((question, key)) = ask.question() {
        return case.introspect(question, key, ask).await;
    }
    let credential = ask.take_credential()?;
    let caller = case.identify(credential, ask.take_selector()).await?;
    case.admit(&caller, ask.line.version).await?;
    let mut at = case.locate(&caller, &ask)?;
    let body = case.judge_body(&caller, &mut ask, &mut at).await?;
    let facts = case.gather(&ask, &at.recognised, body.judged())?;
    let mut permit = case.decide(&at, &facts, &ask, body.judged())?;
    let rights = Rc::new(caller.rights(&at, facts.effect()));
    case.check_installer(&rights)?;
    case.charge(&at, &permit)?;
    let (call, answer_rule) = case.compose(ask, body, permit.take_plan())?;
    case.record(&permit).await?;
    let lease = case.lease(&rights, &permit).await?;
    let answered = case.forward(call, lease, &rights).await?;
    case.read_answer(answered, rights, answer_rule, &facts).await
}
