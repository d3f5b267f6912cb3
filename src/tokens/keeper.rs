//! What is done about tokens while nobody asks: renewing those in use ahead of their end, finding out
//! what a predecessor left open, saving what is owed, verifying what is unverified.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::access::connection::{CredentialKind, Standing};
use crate::tokens::connection::ConnectionState;
use crate::tokens::engine::{Engine, Need, Start};
use crate::tokens::expiry::Phase;
use crate::tokens::lease::Trouble;
use crate::tokens::live::Live;

/// How often everything is looked at: 10,000 connections cost about a millisecond.
const EVERY: Duration = Duration::from_secs(1);

/// How often those are tried again in between that found as many refreshes under way as there may be: looked
/// at once a second, those few places were 16 refreshes a second, and 10,000 accounts in use need 55.
const AGAIN_EVERY: Duration = Duration::from_millis(100);

/// Looks after all connections until `stop`.
pub(super) async fn run(live: Live, stop: CancellationToken) {
    let mut waiting: Vec<Arc<ConnectionState>> = Vec::new();
    let mut next = Instant::now() + EVERY;
    loop {
        let pause = match waiting.is_empty() {
            true => next,
            false => next.min(Instant::now() + AGAIN_EVERY),
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(pause) => {}
        }
        let now = Instant::now();
        if now < next {
            waiting.retain(|connection| must_wait(&live, connection, now));
            continue;
        }
        next = now + EVERY;
        let store = Arc::clone(&live.engine().parts.store);
        // Nobody waits for it, and it may take as long as the disk does.
        drop(tokio::task::spawn_blocking(move || store.checkpoint()));
        waiting = live.all();
        waiting.retain(|connection| {
            if let Some(rejected) = connection.rejection_to_note() {
                note(&live, connection, rejected);
            }
            must_wait(&live, connection, now)
        });
        waiting.shrink_to_fit();
    }
}

/// Starts what a connection needs. True when it found no place among the refreshes under way; whether it
/// otherwise flies, has to wait or is done already, the next look will tell.
fn must_wait(live: &Live, connection: &Arc<ConnectionState>, now: Instant) -> bool {
    let Some(need) = need_of(connection, now) else {
        return false;
    };
    let start = Engine::start(live.engine(), connection, need);
    need == Need::Ahead && matches!(start, Start::Later(Trouble::Slow, Duration::ZERO))
}

/// Lets `connection list` show that HubSpot refuses a token. Best effort: the alert has been given.
fn note(live: &Live, connection: &ConnectionState, rejected: bool) {
    let (engine, id) = (Arc::clone(live.engine()), connection.id());
    let health = rejected.then_some(Trouble::Rejected.as_str());
    live.engine().tasks.spawn_on(
        async move {
            let noted = engine.on_disk(move |store| store.note_health(&id, health)).await;
            if let Err(error) = noted {
                tracing::debug!(error = %error, "rejection not noted");
            }
        },
        &live.engine().parts.runtime,
    );
}

/// What a connection needs though nobody asked. An idle one needs nothing: its token lapses.
pub(super) fn need_of(connection: &Arc<ConnectionState>, now: Instant) -> Option<Need> {
    if !connection.is_durable() {
        return Some(Need::Repair);
    }
    if connection.is_damaged() {
        return None;
    }
    let standing = connection.standing();
    if standing.refusal().is_some() {
        return None;
    }
    let grant = connection.kind() == CredentialKind::OAuth;
    match connection.current(now) {
        _ if grant && connection.is_uncertain() => Some(Need::Repair),
        _ if !grant => (standing == Standing::Unverified).then_some(Need::Repair),
        Some((_, Phase::Ageing)) if connection.was_used() => Some(Need::Ahead),
        None if standing == Standing::Unverified => Some(Need::Now),
        _ => None,
    }
}
