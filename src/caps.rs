//! How many connections a listener holds, in total and from one address.
//!
//! The last tenth of all places is kept for addresses that hold few: neither one client nor a hundred
//! hoarders take them all. An IPv6 address counts as its /64, which one machine has to itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Which cap a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The one in total, or all but the kept places.
    Total,
    /// The one of its address.
    Address,
}

impl Over {
    /// The word logs and metrics have for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "connections",
            Self::Address => "connections_per_address",
        }
    }
}

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

/// The connections that are open, of one listener.
#[derive(Default)]
pub struct Open(Mutex<Held>);

#[derive(Default)]
struct Held {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place under the caps, given back when dropped.
pub struct Seat {
    open: Arc<Open>,
    address: IpAddr,
}

impl Seat {
    /// Takes one, if there is one for this address.
    ///
    /// # Errors
    /// Which cap it would be over.
    pub fn take(open: &Arc<Open>, address: IpAddr, caps: Caps) -> Result<Self, Over> {
        let address = owner(address);
        let mut held = open.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from_here = held.by_address.get(&address).copied().unwrap_or(0);
        if from_here >= caps.per_address {
            return Err(Over::Address);
        }
        let left = caps.total.saturating_sub(held.total);
        if left == 0 || (left <= caps.kept() && from_here >= FEW) {
            return Err(Over::Total);
        }
        held.by_address.insert(address, from_here + 1);
        held.total += 1;
        Ok(Self {
            open: Arc::clone(open),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut held = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.total = held.total.saturating_sub(1);
        if let Some(count) = held.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(open: &Arc<Open>, address: IpAddr, caps: Caps) -> (Vec<Seat>, Over) {
        let mut slots = Vec::new();
        loop {
            match Seat::take(open, address, caps) {
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
        assert_eq!((first.len(), why), (2, Over::Address));
        let (second, why) = all(&open, there, caps);
        assert_eq!((second.len(), why), (1, Over::Total));
        drop(first);
        assert!(Seat::take(&open, here, caps).is_ok());
        drop(second);
        assert!(open.0.lock().unwrap().by_address.is_empty());
        assert_eq!(open.0.lock().unwrap().total, 0);
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
        assert_eq!((hoarded.len(), why), (180, Over::Total));
        let (few, _) = all(&open, other, caps);
        assert_eq!(few.len(), FEW, "and nobody takes all that is kept");
        assert!(Seat::take(&open, [10, 0, 0, 3].into(), caps).is_ok());
    }

    #[test]
    fn one_machine_is_one_address() {
        let open = Arc::default();
        let caps = Caps {
            total: 100,
            per_address: 1,
        };
        let take = |text: &str| Seat::take(&open, text.parse().unwrap(), caps);
        let held = [take("2001:db8::1").unwrap(), take("10.0.0.1").unwrap()];
        assert!(take("2001:db8::ffff:2").is_err(), "the same /64");
        assert!(take("::ffff:10.0.0.1").is_err(), "the same address, mapped");
        assert!(take("2001:db8:0:1::1").is_ok());
        drop(held);
    }
}
