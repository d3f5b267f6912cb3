//! What the workers count for each request: each by [parts](Part) of its own, which are brought together at a scrape.
//! Nothing is buffered: a scrape reads what was counted before it began.
//!
//! Invariant: only the worker that a part was made for adds to it. [`super::Worker`] is not `Sync`, and hands none out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::part::{Part, sum};

/// A part, and how much of it its counter knows.
struct Told {
    part: Arc<Part>,
    told: u64,
    counter: IntCounter,
}

/// The parts of counters.
#[derive(Default)]
pub(super) struct Counters(Mutex<Vec<Told>>);

impl Counters {
    /// A new part of `counter`.
    pub(super) fn part_of(&self, counter: IntCounter) -> Arc<Part> {
        let part = Arc::new(Part::default());
        lock(&self.0).push(Told {
            part: Arc::clone(&part),
            told: 0,
            counter,
        });
        part
    }

    /// Tells the counters what was counted since the last time.
    pub(super) fn tell(&self) {
        for Told { part, told, counter } in lock(&self.0).iter_mut() {
            let now = part.get();
            counter.inc_by(now.wrapping_sub(*told));
            *told = now;
        }
    }
}

/// One thread's requests: how many began, and how many are over.
#[derive(Debug, Default)]
pub(super) struct Flight {
    pub(super) begun: Part,
    pub(super) over: Part,
}

/// All threads' requests.
#[derive(Default)]
pub(super) struct Flights(Mutex<Vec<Arc<Flight>>>);

impl Flights {
    /// One more thread's.
    pub(super) fn join(&self) -> Arc<Flight> {
        let flight = Arc::new(Flight::default());
        lock(&self.0).push(Arc::clone(&flight));
        flight
    }

    /// How many are not over.
    pub(super) fn under_way(&self) -> i64 {
        let flights = lock(&self.0);
        // Ends first: one that ends in between counts as under way, never as less than nothing.
        let under_way = |flight: &Arc<Flight>| {
            let over = flight.over.get();
            flight.begun.get().wrapping_sub(over)
        };
        i64::try_from(sum(flights.iter().map(under_way))).unwrap_or(i64::MAX)
    }
}

/// One thread's durations, by buckets.
#[derive(Debug)]
pub(super) struct Spread {
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond the last.
    counts: Box<[Part]>,
    nanoseconds: Part,
}

impl Spread {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| Part::default()).collect(),
            nanoseconds: Part::default(),
        }
    }

    /// Counts one. By its own thread alone.
    pub(super) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound);
        if let Some(count) = self.counts.get(bucket.unwrap_or(self.bounds.len())) {
            count.add(1);
        }
        self.nanoseconds
            .add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// A histogram of durations, with a label or without, of which each thread has parts.
#[derive(Clone)]
pub(super) struct Durations {
    desc: Desc,
    label: Option<&'static str>,
    bounds: &'static [f64],
    parts: Arc<Mutex<Series>>,
}

/// Threads' parts, by what the label says.
type Series = BTreeMap<Box<str>, Vec<Arc<Spread>>>;

impl Durations {
    /// One that nobody has a part of.
    pub(super) fn new(
        name: &str,
        help: &str,
        bounds: &'static [f64],
        label: Option<&'static str>,
    ) -> prometheus::Result<Self> {
        let labels = label.map(str::to_owned).into_iter().collect();
        Ok(Self {
            desc: Desc::new(name.to_owned(), help.to_owned(), labels, HashMap::new())?,
            label,
            bounds,
            parts: Arc::default(),
        })
    }

    /// A new part of the series whose label says this.
    pub(super) fn part_of(&self, label: &str) -> Arc<Spread> {
        let part = Arc::new(Spread::new(self.bounds));
        lock(&self.parts)
            .entry(label.into())
            .or_default()
            .push(Arc::clone(&part));
        part
    }

    fn metric(&self, label: &str, parts: &[Arc<Spread>]) -> Metric {
        let count = |index: usize| {
            let of = |spread: &Arc<Spread>| spread.counts.get(index).map_or(0, Part::get);
            sum(parts.iter().map(of))
        };
        let mut histogram = Histogram::default();
        let mut so_far = 0_u64;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (index, bound) in self.bounds.iter().enumerate() {
            so_far = so_far.wrapping_add(count(index));
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(so_far);
            buckets.push(bucket);
        }
        histogram.set_bucket(buckets);
        histogram.set_sample_count(so_far.wrapping_add(count(self.bounds.len())));
        let nanoseconds = sum(parts.iter().map(|spread| spread.nanoseconds.get()));
        histogram.set_sample_sum(Duration::from_nanos(nanoseconds).as_secs_f64());
        let pair = |name: &'static str| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(label.to_owned());
            pair
        };
        let mut metric = Metric::from_label(self.label.map(pair).into_iter().collect());
        metric.set_histogram(histogram);
        metric
    }
}

impl Collector for Durations {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let parts = lock(&self.parts);
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(
            parts
                .iter()
                .map(|(label, parts)| self.metric(label, parts))
                .collect(),
        );
        vec![family]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, Registry, TextEncoder};

    use super::*;

    const BOUNDS: [f64; 3] = [0.001, 0.5, 1.0];

    fn text(collector: impl Collector + 'static) -> String {
        let registry = Registry::new();
        registry.register(Box::new(collector)).unwrap();
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn the_parts_of_a_histogram_are_together_what_the_librarys_own_is() {
        let durations = Durations::new("d", "Help.", &BOUNDS, Some("integration")).unwrap();
        let opts = HistogramOpts::new("d", "Help.").buckets(BOUNDS.to_vec());
        let library = HistogramVec::new(opts, &["integration"]).unwrap();
        for (label, millis) in [
            ("b", vec![0, 1, 2, 499, 500]),
            ("b", vec![501, 1_000, 1_001, 90_000]),
            ("a\"\\\n", vec![1]),
            ("c", Vec::new()),
        ] {
            let (part, own) = (durations.part_of(label), library.with_label_values(&[label]));
            for millis in millis {
                let duration = Duration::from_millis(millis);
                part.observe(duration);
                own.observe(duration.as_secs_f64());
            }
        }
        let (ours, librarys) = (text(durations), text(library));
        // Sums of whole nanoseconds, and of floats one after the other.
        let without_sums = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with("d_sum"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(without_sums(&ours), without_sums(&librarys));
        assert!(ours.contains("d_sum{integration=\"b\"} 93.504\n"), "{ours}");
    }

    #[test]
    fn a_counter_knows_of_all_its_parts_once() {
        let counter = IntCounter::new("c", "Help.").unwrap();
        let counters = Counters::default();
        let (one, two) = (
            counters.part_of(counter.clone()),
            counters.part_of(counter.clone()),
        );
        counters.tell();
        assert_eq!(counter.get(), 0);
        one.add(3);
        two.add(4);
        for _ in 0..2 {
            counters.tell();
            assert_eq!(counter.get(), 7);
        }
        two.add(1);
        counters.tell();
        assert_eq!(counter.get(), 8);
    }

    #[test]
    fn what_is_under_way_is_what_began_and_is_not_over_on_all_threads() {
        let flights = Flights::default();
        assert_eq!(flights.under_way(), 0);
        let (one, two) = (flights.join(), flights.join());
        one.begun.add(5);
        two.begun.add(2);
        one.over.add(3);
        assert_eq!(flights.under_way(), 4);
    }
}
