//! One acceptor for all workers: it owns the listening socket and the caps, and hands each socket
//! to the worker that has the fewest.
//!
//! The last tenth of all places is kept for addresses that hold few: neither one client nor a hundred
//! hoarders take them all. An IPv6 address counts as its /64, which one machine has to itself.
//!
//! Not `SO_REUSEPORT`: hash spreading leaves few long-lived clients unbalanced and splits the caps.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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

/// Most open connections, in total and from one address.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// In total.
    pub total: usize,
    /// From one address.
    pub per_address: usize,
}

impl Caps {
    /// Places that only an address with few connections may take.
    fn kept(self) -> usize {
        self.total / 10
    }
}

/// An address that holds fewer may take one of the kept places.
const FEW: usize = 8;

/// What counts as one address.
fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
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
    fn take(open: &Arc<Mutex<Open>>, address: IpAddr, caps: Caps) -> Result<Self, ClientEnd> {
        let address = owner(address);
        let mut held = open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = held.by_address.get(&address).copied().unwrap_or(0);
        if from_here >= caps.per_address {
            return Err(ClientEnd::ConnectionsPerAddress);
        }
        let left = caps.total.saturating_sub(held.total);
        if left == 0 || (left <= caps.kept() && from_here >= FEW) {
            return Err(ClientEnd::Connections);
        }
        held.by_address.insert(address, from_here + 1);
        held.total += 1;
        Ok(Self {
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
pub async fn accept(
    listener: TcpListener,
    workers: Vec<WorkerHandle>,
    caps: Caps,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let open: Arc<Mutex<Open>> = Arc::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let mut slot = match Slot::take(&open, peer.ip(), caps) {
                    Ok(slot) => slot,
                    Err(why) => {
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

    fn all(open: &Arc<Mutex<Open>>, address: IpAddr, caps: Caps) -> (Vec<Slot>, ClientEnd) {
        let mut slots = Vec::new();
        loop {
            match Slot::take(open, address, caps) {
                Ok(slot) => slots.push(slot),
                Err(why) => return (slots, why),
            }
        }
    }

    #[test]
    fn caps_hold_in_total_and_per_address_and_are_given_back() {
        let open = Arc::default();
        let caps = Caps {
            total: 3,
            per_address: 2,
        };
        let (here, there): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let (first, why) = all(&open, here, caps);
        assert_eq!((first.len(), why), (2, ClientEnd::ConnectionsPerAddress));
        let (second, why) = all(&open, there, caps);
        assert_eq!((second.len(), why), (1, ClientEnd::Connections));
        drop(first);
        assert!(Slot::take(&open, here, caps).is_ok());
        drop(second);
        assert!(open.lock().unwrap().by_address.is_empty());
        assert_eq!(open.lock().unwrap().total, 0);
    }

    #[test]
    fn the_last_places_are_for_addresses_that_hold_few() {
        let open = Arc::default();
        let caps = Caps {
            total: 200,
            per_address: 1000,
        };
        let (hoarder, other): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let (hoarded, why) = all(&open, hoarder, caps);
        assert_eq!((hoarded.len(), why), (180, ClientEnd::Connections));
        let (few, _) = all(&open, other, caps);
        assert_eq!(few.len(), FEW, "and nobody takes all that is kept");
        assert!(Slot::take(&open, [10, 0, 0, 3].into(), caps).is_ok());
    }

    #[test]
    fn one_machine_is_one_address() {
        let open = Arc::default();
        let caps = Caps {
            total: 100,
            per_address: 1,
        };
        let take = |text: &str| Slot::take(&open, text.parse().unwrap(), caps);
        let held = [take("2001:db8::1").unwrap(), take("10.0.0.1").unwrap()];
        assert!(take("2001:db8::ffff:2").is_err(), "the same /64");
        assert!(take("::ffff:10.0.0.1").is_err(), "the same address, mapped");
        assert!(take("2001:db8:0:1::1").is_ok());
        drop(held);
    }
}
