//! Many alike become one line: callers without a valid key always, denials of one integration
//! beyond fifty in a second. A flood fills counters, never the disk.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use smallvec::SmallVec;

use super::network::Network;
use super::record::{AggregateRecord, Record};
use crate::access::refusal::Reason;

/// Most pairs of reason and network told apart in one period; the rest share a line without
/// network. Bounds memory, and the disk to as many lines in ten seconds.
const STRANGERS_APART: usize = 1024;

/// Denials of one integration that get a line of their own in one second.
const DENIALS_SINGLY_PER_SECOND: u32 = 50;

/// Seconds that are counted apart: queues that wait for a disk hold several.
const SECONDS_APART: usize = 4;

/// Calls without a valid key, by reason and network.
#[derive(Default)]
pub(super) struct Strangers(HashMap<(Reason, Option<Network>), u64>);

impl Strangers {
    pub(super) fn add(&mut self, reason: Reason, network: Network) {
        self.add_many((reason, Some(network)), 1);
    }

    pub(super) fn merge(&mut self, other: Strangers) {
        for (key, count) in other.0 {
            self.add_many(key, count);
        }
    }

    fn add_many(&mut self, key: (Reason, Option<Network>), count: u64) {
        let key = if self.0.len() < STRANGERS_APART || self.0.contains_key(&key) {
            key
        } else {
            (key.0, None)
        };
        let sum = self.0.entry(key).or_default();
        *sum = sum.saturating_add(count);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One record each, in a stable order, leaving none.
    pub(super) fn records(&mut self, time: Timestamp) -> Vec<Record> {
        let mut counts: Vec<_> = self.0.drain().collect();
        counts.sort_unstable_by_key(|((reason, network), _)| (reason.as_str(), *network));
        counts
            .into_iter()
            .map(|((reason, network), count)| {
                Record::Aggregate(Box::new(AggregateRecord {
                    time,
                    integration: None,
                    reason,
                    network,
                    count,
                }))
            })
            .collect()
    }
}

/// Denials of valid keys, by integration.
#[derive(Default)]
pub(super) struct Denials {
    /// How many each second of the wall clock had, of the last few: workers' queues come one after another, and each
    /// begins with its oldest.
    singly: HashMap<Arc<str>, SmallVec<[(i64, u32); SECONDS_APART]>>,
    folded: HashMap<(Arc<str>, Reason), u64>,
}

impl Denials {
    /// Whether this denial gets a line of its own; if not, it is counted here.
    pub(super) fn takes_a_line(&mut self, integration: &Arc<str>, reason: Reason, time: Timestamp) -> bool {
        let second = time.as_second();
        let seconds = self.singly.entry(Arc::clone(integration)).or_default();
        if !seconds.iter().any(|(counted, _)| *counted == second) {
            if seconds.len() == SECONDS_APART {
                let oldest = seconds
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, (counted, _))| *counted);
                oldest.map(|(at, _)| at).map(|at| seconds.swap_remove(at));
            }
            seconds.push((second, 0));
        }
        let count = seconds.iter_mut().find(|(counted, _)| *counted == second);
        if let Some((_, count)) = count.filter(|(_, count)| *count < DENIALS_SINGLY_PER_SECOND) {
            *count += 1;
            return true;
        }
        let folded = self.folded.entry((Arc::clone(integration), reason)).or_default();
        *folded = folded.saturating_add(1);
        false
    }

    pub(super) fn is_empty(&self) -> bool {
        self.folded.is_empty()
    }

    /// One record each, in a stable order, leaving none; forgets integrations that have gone
    /// quiet.
    pub(super) fn records(&mut self, time: Timestamp) -> Vec<Record> {
        self.singly.retain(|_, seconds| {
            seconds
                .iter()
                .any(|(second, _)| time.as_second().saturating_sub(*second) < 10)
        });
        let mut counts: Vec<_> = self.folded.drain().collect();
        counts.sort_unstable_by(|((a, x), _), ((b, y), _)| (a, x.as_str()).cmp(&(b, y.as_str())));
        counts
            .into_iter()
            .map(|((integration, reason), count)| {
                Record::Aggregate(Box::new(AggregateRecord {
                    time,
                    integration: Some(integration),
                    reason,
                    network: None,
                    count,
                }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(n: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(n << 8).into())
    }

    fn counts(records: &[Record]) -> Vec<(Option<Network>, u64)> {
        records
            .iter()
            .map(|record| match record {
                Record::Aggregate(aggregate) => (aggregate.network, aggregate.count),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn callers_from_too_many_networks_share_a_line_and_none_is_lost() {
        let mut strangers = Strangers::default();
        for n in 0..10_000 {
            strangers.add(Reason::KeyUnknown, network(n));
        }
        let records = strangers.records(Timestamp::UNIX_EPOCH);
        let counts = counts(&records);
        assert!(counts.len() <= STRANGERS_APART + 1, "{}", counts.len());
        assert_eq!(counts.iter().map(|(_, n)| n).sum::<u64>(), 10_000);
        assert!(strangers.is_empty());
    }

    #[test]
    fn one_reason_and_network_is_one_line_whatever_the_number_of_calls_and_workers() {
        let (mut a, mut b) = (Strangers::default(), Strangers::default());
        for _ in 0..500 {
            a.add(Reason::KeyMissing, network(1));
            b.add(Reason::KeyMissing, network(1));
        }
        a.merge(b);
        assert_eq!(
            counts(&a.records(Timestamp::UNIX_EPOCH)),
            [(Some(network(1)), 1000)]
        );
    }

    #[test]
    fn an_integration_that_floods_denials_gets_fifty_lines_a_second_and_a_sum() {
        let mut denials = Denials::default();
        let loud: Arc<str> = "loud".into();
        let quiet: Arc<str> = "quiet".into();
        let time = Timestamp::UNIX_EPOCH;
        let lines = (0..1000)
            .filter(|_| denials.takes_a_line(&loud, Reason::NoRule, time))
            .count();
        assert_eq!(lines, 50);
        assert!(denials.takes_a_line(&quiet, Reason::NoRule, time));
        let next = Timestamp::from_second(1).unwrap();
        assert!(denials.takes_a_line(&loud, Reason::NoRule, next));
        assert_eq!(counts(&denials.records(next)), [(None, 950)]);
        assert!(denials.is_empty());
    }

    #[test]
    fn a_second_that_comes_again_from_another_queue_has_no_fifty_more() {
        let mut denials = Denials::default();
        let loud: Arc<str> = "loud".into();
        let mut lines = 0;
        for _worker in 0..8 {
            for second in 0..3 {
                let time = Timestamp::from_second(second).unwrap();
                let takes = |_: &i32| denials.takes_a_line(&loud, Reason::NoRule, time);
                lines += (0..40).filter(takes).count();
            }
        }
        assert_eq!(lines, 3 * 50);
        // More seconds than are counted apart: the latest are.
        for second in 3..100 {
            let time = Timestamp::from_second(second).unwrap();
            assert!(denials.takes_a_line(&loud, Reason::NoRule, time));
        }
        let last = Timestamp::from_second(99).unwrap();
        let takes = |_: &i32| denials.takes_a_line(&loud, Reason::NoRule, last);
        assert_eq!((0..100).filter(takes).count(), 49);
        assert_eq!(counts(&denials.records(last)), [(None, 8 * 3 * 40 - 3 * 50 + 51)]);
    }
}
