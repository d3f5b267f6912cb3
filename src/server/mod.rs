//! The composition root: builds the parts, passes them down, and takes them apart in order.

mod listen;
mod prepare;
mod way;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::audit::Auditor;
use crate::cli::CommandError;
use crate::config::Config;
use crate::monitor::Readiness;
use crate::proxy::worker::Ending;
use crate::publisher::Message;
use crate::quota::Quotas;
use crate::store::GateLock;
use crate::tokens::Live;

pub use prepare::{Prepared, StartOptions};

/// An install whose consent was given has its code exchanged and its grant looked at: as long as two
/// questions to HubSpot may take.
const INSTALL_END: Duration = Duration::from_secs(60);

/// A running gate.
pub struct Server {
    /// Where integrations connect.
    pub gate: SocketAddr,
    /// The admin listener.
    pub admin: SocketAddr,
    /// The monitor listener, if it is one of its own.
    pub monitor: Option<SocketAddr>,
    /// The install listener, if it is on.
    pub install: Option<SocketAddr>,
    secure: bool,
    admin_secure: bool,
    config: Config,
    readiness: Arc<Readiness>,
    messages: mpsc::Sender<Message>,
    publisher: JoinHandle<()>,
    kills: (mpsc::Sender<()>, JoinHandle<()>),
    workers: Vec<JoinHandle<()>>,
    ending: Ending,
    stop_accepting: CancellationToken,
    stop_monitor: CancellationToken,
    administration: tokio::task::JoinHandle<std::io::Result<()>>,
    stop_install: CancellationToken,
    installs: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    stop_tokens: CancellationToken,
    health: tokio::task::JoinHandle<()>,
    people: tokio::task::JoinHandle<()>,
    live: Live,
    counting: (Arc<Quotas>, JoinHandle<()>),
    auditor: Auditor,
    _lock: GateLock,
}

impl Server {
    /// The contract's `ready` line, without its end.
    pub fn ready_line(&self) -> String {
        let scheme = |secure| if secure { "https" } else { "http" };
        let (gate, admin) = (scheme(self.secure), scheme(self.admin_secure));
        let mut line = format!("ready gate={gate}://{} admin={admin}://{}", self.gate, self.admin);
        if let Some(monitor) = self.monitor {
            line.push_str(&format!(" monitor=http://{monitor}"));
        }
        if let Some(install) = self.install {
            line.push_str(&format!(" install=http://{install}"));
        }
        line
    }

    /// Reads everything anew, as on SIGHUP.
    pub fn reload(&self) {
        let _ = self.messages.send(Message::Reload);
    }

    /// Waits until a part without which it should not go on has ended in a defect.
    pub async fn failed(&self) {
        self.ending.gone.cancelled().await;
    }

    /// Goes down in order: unready at once, still accepting for `shutdown.delay`, then what is in
    /// flight has `shutdown.grace`. `hurry` ends the delay, the grace and the wait for installs; not that for
    /// refreshes, which is as long as one question to HubSpot may take.
    pub async fn shutdown(self, hurry: CancellationToken) {
        self.readiness.drain();
        wait(self.config.shutdown.delay, &hurry).await;
        self.stop_accepting.cancel();
        self.stop_install.cancel();
        self.ending.drain.cancel();
        let workers = self.workers;
        let mut finished = tokio::task::spawn_blocking(move || {
            for worker in workers {
                // A worker that panicked has already said so.
                let _ = worker.join();
            }
        });
        let grace = wait(self.config.shutdown.grace, &hurry);
        tokio::select! {
            _ = &mut finished => {}
            () = grace => {
                tracing::warn!(event = "shutdown.aborted", "requests in flight were ended");
                self.ending.abort.cancel();
                let _ = finished.await;
            }
        }
        // What a person has granted by now is stored before the store is let go.
        if let Some(installs) = self.installs {
            tokio::select! {
                _ = installs => {}
                () = wait(INSTALL_END, &hurry) => {
                    tracing::warn!(event = "shutdown.install_left", "an install that was not finished has to be begun anew");
                }
            }
        }
        self.stop_tokens.cancel();
        // Stopped in the middle of a question; a round that is being written down is finished.
        let _ = self.people.await;
        // Not ended by `hurry`: a rotated grant whose answer nobody waits for is lost.
        self.live.finish().await;
        // The last health is written down; what does not get there is a few seconds of it.
        let _ = tokio::time::timeout(self.config.limits.store_max_staleness, self.health).await;
        let _ = self.messages.send(Message::Stop);
        let (publisher, auditor, (kills_go_on, kills)) = (self.publisher, self.auditor, self.kills);
        let (quotas, counting) = self.counting;
        let closed = tokio::task::spawn_blocking(move || {
            drop(kills_go_on);
            let _ = kills.join();
            let _ = publisher.join();
            quotas.ledger().stop();
            let _ = counting.join();
            auditor.stop()
        })
        .await;
        if !closed.unwrap_or(false) {
            tracing::error!(
                event = "audit.incomplete",
                "not all audit records reached the disk"
            );
        }
        self.stop_monitor.cancel();
        // It ends its open requests within a bound of its own; until then the store is in use.
        let _ = self.administration.await;
    }
}

async fn wait(limit: Duration, hurry: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(limit) => {}
        () = hurry.cancelled() => {}
    }
}

fn usage(error: impl std::fmt::Display) -> CommandError {
    CommandError::usage(error.to_string())
}

fn internal(error: impl std::fmt::Display) -> CommandError {
    CommandError::internal(error.to_string())
}
