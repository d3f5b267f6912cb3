//! One acceptor for all workers: it owns the listening socket and the caps, and hands each socket
//! to the worker that has the fewest.
//!
//! Not `SO_REUSEPORT`: hash spreading leaves few long-lived clients unbalanced and splits the caps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::caps::{Caps, Open, Over, Seat};
use crate::metrics::{ClientEnd, Metrics};

/// A socket on its way to a worker.
pub struct Accepted {
    /// The socket, free of any runtime.
    pub stream: std::net::TcpStream,
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// Its place under the caps, given back when dropped.
    pub slot: Slot,
}

/// How the acceptor reaches a worker.
#[derive(Clone)]
pub struct WorkerHandle {
    sockets: mpsc::UnboundedSender<Accepted>,
    load: Arc<AtomicUsize>,
}

impl WorkerHandle {
    /// A handle, and the receiving end for the worker. The queue needs no bound of its own: what
    /// is in it counts under the caps.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Accepted>) {
        let (sockets, receiver) = mpsc::unbounded_channel();
        (
            Self {
                sockets,
                load: Arc::default(),
            },
            receiver,
        )
    }
}

/// A connection's place under the caps and in a worker's load, given back when dropped.
pub struct Slot {
    _seat: Seat,
    load: Option<Arc<AtomicUsize>>,
}

impl Slot {
    fn count_for(&mut self, worker: &WorkerHandle) {
        self.leave();
        worker.load.fetch_add(1, Ordering::Relaxed);
        self.load = Some(Arc::clone(&worker.load));
    }

    fn leave(&mut self) {
        if let Some(load) = self.load.take() {
            load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Accepts until `stop`. A socket over a cap is closed at once.
pub async fn accept(
    listener: TcpListener,
    mut workers: Vec<WorkerHandle>,
    caps: Caps,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let open: Arc<Open> = Arc::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let seat = match Seat::take(&open, peer.ip(), caps) {
                    Ok(seat) => seat,
                    Err(over) => {
                        let why = match over {
                            Over::Total => ClientEnd::Connections,
                            Over::Address => ClientEnd::ConnectionsPerAddress,
                        };
                        metrics.client_ended(why);
                        let why = why.as_str();
                        tracing::debug!(
                            event = "connection.refused",
                            why,
                            "a connection over the caps was closed"
                        );
                        continue;
                    }
                };
                // A socket that can't be moved is closed; its client tries again.
                if let Ok(stream) = stream.into_std() {
                    let slot = Slot {
                        _seat: seat,
                        load: None,
                    };
                    hand(&mut workers, Accepted { stream, peer, slot });
                }
            }
            Err(error) => {
                // Out of descriptors, or the client went away: neither is a reason to stop.
                tracing::warn!(event = "accept.failed", error = %error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// To the worker that has the fewest. One that is gone gets no more: it would always have the fewest.
fn hand(workers: &mut Vec<WorkerHandle>, mut accepted: Accepted) {
    while let Some((index, worker)) = workers
        .iter()
        .enumerate()
        .min_by_key(|(_, worker)| worker.load.load(Ordering::Relaxed))
    {
        accepted.slot.count_for(worker);
        match worker.sockets.send(accepted) {
            Ok(()) => return,
            Err(mpsc::error::SendError(back)) => accepted = back,
        }
        workers.remove(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::Caps;

    #[test]
    fn a_worker_that_is_gone_gets_no_connection_and_the_others_get_all() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let caps = Caps {
            total: 10,
            per_address: 10,
        };
        let open = Arc::default();
        let accepted = || Accepted {
            stream: std::net::TcpStream::connect(address).unwrap(),
            peer: address,
            slot: Slot {
                _seat: Seat::take(&open, address.ip(), caps).unwrap(),
                load: None,
            },
        };
        let ((gone, ended), (lives, mut queue)) = (WorkerHandle::new(), WorkerHandle::new());
        drop(ended);
        let mut workers = vec![gone, lives.clone()];
        for _ in 0..3 {
            hand(&mut workers, accepted());
        }
        assert_eq!((workers.len(), lives.load.load(Ordering::Relaxed)), (1, 3));
        let held: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
        assert_eq!(held.len(), 3);
        drop((held, queue));
        assert_eq!(lives.load.load(Ordering::Relaxed), 0);
        hand(&mut workers, accepted());
        assert!(workers.is_empty(), "nobody is left");
    }
}
