//! Failed attempts to get in, by address: a few are told so, more are told to wait.
//!
//! A guess at 256 random bits never comes true; what is limited is the noise, and the time that looking
//! costs. A credential that works is let in from an address that is told to wait, too: whoever shares it,
//! behind a proxy or on this machine, can't lock an operator out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures an address may have in one [`WINDOW`].
pub(super) const MOST: u32 = 20;
/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; beyond it, the one whose failures are oldest is forgotten.
const ADDRESSES: usize = 4_096;

/// Failures of each address. IPv6 addresses count by their network (/64): one holder has all of it.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Failed>>);

#[derive(Clone, Copy)]
struct Failed {
    since: Instant,
    count: u32,
}

impl Failures {
    /// Notes a failure; `Some`: there were too many, and how many seconds are left to wait.
    pub fn note(&self, address: IpAddr, now: Instant) -> Option<u64> {
        let network = network_of(address);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(&network) && all.len() >= ADDRESSES {
            make_room(&mut all, now);
        }
        let failed = all.entry(network).or_insert(Failed { since: now, count: 0 });
        if now.saturating_duration_since(failed.since) >= WINDOW {
            *failed = Failed { since: now, count: 0 };
        }
        failed.count = failed.count.saturating_add(1);
        let left = WINDOW.saturating_sub(now.saturating_duration_since(failed.since));
        (failed.count > MOST).then(|| left.as_secs().max(1))
    }
}

fn make_room(all: &mut HashMap<IpAddr, Failed>, now: Instant) {
    all.retain(|_, failed| now.saturating_duration_since(failed.since) < WINDOW);
    if all.len() >= ADDRESSES {
        let oldest = all
            .iter()
            .min_by_key(|(_, failed)| failed.since)
            .map(|(one, _)| *one);
        if let Some(oldest) = oldest {
            all.remove(&oldest);
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_failures_are_told_and_more_wait_until_the_window_is_over() {
        let (failures, start) = (Failures::default(), Instant::now());
        let one = IpAddr::from([192, 0, 2, 1]);
        for n in 0..MOST {
            assert_eq!(failures.note(one, start), None, "{n}");
        }
        assert_eq!(failures.note(one, start), Some(60));
        assert_eq!(failures.note(one, start + Duration::from_secs(59)), Some(1));
        assert_eq!(failures.note(IpAddr::from([192, 0, 2, 2]), start), None);
        assert_eq!(failures.note(one, start + WINDOW), None);
    }

    #[test]
    fn an_ipv6_network_is_one_holder_and_a_mapped_address_is_its_ipv4_one() {
        let (failures, start) = (Failures::default(), Instant::now());
        for n in 0..MOST {
            let address = format!("2001:db8::{n:x}").parse().unwrap();
            assert_eq!(failures.note(address, start), None);
        }
        assert!(failures.note("2001:db8::ffff".parse().unwrap(), start).is_some());
        assert!(failures.note("2001:db8:0:1::1".parse().unwrap(), start).is_none());
        for _ in 0..MOST {
            failures.note("::ffff:192.0.2.1".parse().unwrap(), start);
        }
        assert!(failures.note(IpAddr::from([192, 0, 2, 1]), start).is_some());
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let (failures, start) = (Failures::default(), Instant::now());
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 500 {
            failures.note(address(n), start + Duration::from_micros(n.into()));
        }
        let known = failures.0.lock().unwrap();
        assert_eq!(known.len(), ADDRESSES);
        assert!(!known.contains_key(&address(0)));
        assert!(known.contains_key(&address(u32::try_from(ADDRESSES).unwrap() + 499)));
    }
}
