//! One acceptor for all workers: it owns the listening socket and the caps, and hands each socket
//! to the worker that has the fewest.
//!
//! Not `SO_REUSEPORT`: hash spreading leaves few long-lived clients unbalanced and splits the caps.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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

/// Most open connections, in total and from one address.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// In total.
    pub total: usize,
    /// From one address.
    pub per_address: usize,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place under the caps.
pub struct Slot {
    open: Arc<Mutex<Open>>,
    address: IpAddr,
    load: Option<Arc<AtomicUsize>>,
}

impl Slot {
    fn take(open: &Arc<Mutex<Open>>, address: IpAddr, caps: Caps) -> Option<Self> {
        let mut held = open.lock().unwrap_or_else(PoisonError::into_inner);
        if held.total >= caps.total {
            return None;
        }
        let from_here = held.by_address.entry(address).or_insert(0);
        if *from_here >= caps.per_address {
            return None;
        }
        *from_here += 1;
        held.total += 1;
        Some(Self {
            open: Arc::clone(open),
            address,
            load: None,
        })
    }

    fn count_for(&mut self, worker: &WorkerHandle) {
        worker.load.fetch_add(1, Ordering::Relaxed);
        self.load = Some(Arc::clone(&worker.load));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(load) = &self.load {
            load.fetch_sub(1, Ordering::Relaxed);
        }
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        held.total = held.total.saturating_sub(1);
        if let Some(count) = held.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

/// Accepts until `stop`. A socket over a cap is closed at once.
pub async fn accept(listener: TcpListener, workers: Vec<WorkerHandle>, caps: Caps, stop: CancellationToken) {
    let open: Arc<Mutex<Open>> = Arc::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(mut slot) = Slot::take(&open, peer.ip().to_canonical(), caps) else {
                    tracing::debug!(
                        event = "connection.refused",
                        "a connection over the caps was closed"
                    );
                    continue;
                };
                let Some(worker) = workers
                    .iter()
                    .min_by_key(|worker| worker.load.load(Ordering::Relaxed))
                else {
                    return;
                };
                slot.count_for(worker);
                // A socket that can't be moved is closed; its client tries again.
                if let Ok(stream) = stream.into_std() {
                    let _ = worker.sockets.send(Accepted { stream, peer, slot });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold_in_total_and_per_address_and_are_given_back() {
        let open = Arc::default();
        let caps = Caps {
            total: 3,
            per_address: 2,
        };
        let (here, there): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let first = Slot::take(&open, here, caps).unwrap();
        let second = Slot::take(&open, here, caps).unwrap();
        assert!(Slot::take(&open, here, caps).is_none());
        let third = Slot::take(&open, there, caps).unwrap();
        assert!(Slot::take(&open, there, caps).is_none());
        drop((first, second));
        assert!(Slot::take(&open, here, caps).is_some());
        drop(third);
        assert!(open.lock().unwrap().by_address.is_empty());
    }
}
