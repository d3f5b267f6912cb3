//! The way of what was deleted into the store, before the call goes up.
//!
//! One thread commits what waits, all of it at once: a commit's sync is shared by whoever came while the
//! last one ran. The caller waits for it beside the audit record's own sync, not after it: they are two
//! files, and a call that deletes waits for the slower of the two.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::store::{LimitChange, Store, StoreError};

/// Changes that may wait: deletions under way at one time are far fewer.
const QUEUE: usize = 4_096;

/// Most changes of one commit.
const TOGETHER: usize = 512;

/// How long the thread waits for something to do before it looks whether anybody is left.
const LOOK: Duration = Duration::from_secs(1);

struct Line {
    change: LimitChange,
    told: Option<oneshot::Sender<()>>,
}

/// The queue's room is taken when it is made: by the boxed line it is 100 KB, by the line itself half a
/// megabyte of a gate that deletes nothing.
enum Post {
    Line(Box<Line>),
    Stop,
}

/// A way to the thread that notes what was used.
#[derive(Clone, Debug)]
pub struct Ledger {
    lines: SyncSender<Post>,
    wait: Duration,
}

/// Why what was used is not in the store: the call must not go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was used of a limit could not be stored in time")]
pub struct NotStored;

/// A change on its way to the disk.
pub struct Stored {
    told: Option<oneshot::Receiver<()>>,
    wait: Duration,
}

impl Ledger {
    /// Starts the thread. `wait` is how long a call may wait for the disk; `failed` is told of each commit
    /// that fails.
    pub fn start(
        store: Arc<Store>,
        wait: Duration,
        failed: impl Fn(&StoreError) + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (lines, inbox) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("limits".to_owned())
            .spawn(move || run(&store, &inbox, &failed))?;
        Ok((Self { lines, wait }, thread))
    }

    /// Begins to note a change.
    pub fn note(&self, change: LimitChange) -> Stored {
        let (tell, told) = oneshot::channel();
        let line = Line {
            change,
            told: Some(tell),
        };
        let sent = self.lines.try_send(Post::Line(Box::new(line))).is_ok();
        Stored {
            told: sent.then_some(told),
            wait: self.wait,
        }
    }

    /// Notes that something was not used after all. What finds no room stays used.
    pub fn give_back(&self, change: LimitChange) {
        let line = Line { change, told: None };
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Post::Line(Box::new(line))) {
            tracing::warn!(
                event = "limit.not_given_back",
                "what was not deleted stays counted"
            );
        }
    }

    /// Lets the thread end once it has noted what waits.
    pub fn stop(&self) {
        let _ = self.lines.send(Post::Stop);
    }
}

impl Stored {
    /// Waits until it is on the disk. To be awaited where tokio's timer runs.
    pub async fn wait(self) -> Result<(), NotStored> {
        let told = self.told.ok_or(NotStored)?;
        match tokio::time::timeout(self.wait, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotStored),
        }
    }
}

fn run(store: &Store, inbox: &Receiver<Post>, failed: &dyn Fn(&StoreError)) {
    let mut going_on = true;
    while going_on {
        let first = match inbox.recv_timeout(LOOK) {
            Ok(Post::Line(line)) => *line,
            Err(RecvTimeoutError::Timeout) => continue,
            Ok(Post::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut lines = vec![first];
        while lines.len() < TOGETHER {
            match inbox.try_recv() {
                Ok(Post::Line(line)) => lines.push(*line),
                Ok(Post::Stop) => {
                    going_on = false;
                    break;
                }
                Err(_) => break,
            }
        }
        commit(store, lines, failed);
    }
}

fn commit(store: &Store, lines: Vec<Line>, failed: &dyn Fn(&StoreError)) {
    let (changes, told): (Vec<LimitChange>, Vec<_>) =
        lines.into_iter().map(|line| (line.change, line.told)).unzip();
    match store.change_limit_uses(&changes) {
        Ok(()) => {
            for tell in told.into_iter().flatten() {
                // Who no longer waits lets it stay counted.
                let _ = tell.send(());
            }
        }
        // Dropped, whoever waits is refused.
        Err(error) => failed(&error),
    }
}
