//! Charging and settling, in memory and in the store.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::store::{LimitChange, Store};

const INTEGRATION: &str = "desk";

struct Place {
    _dir: tempfile::TempDir,
    store: Arc<Store>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("scopegate.db")).unwrap());
        Self { _dir: dir, store }
    }

    fn quotas(&self) -> Quotas {
        let before = self.store.limit_uses(&machine_time()).unwrap();
        let (ledger, _) = Ledger::start(Arc::clone(&self.store), Duration::from_secs(30), |_| {}).unwrap();
        Quotas::resume(&before, ledger)
    }
}

fn limits(caps: &[(Counted, &str)]) -> Limits {
    Limits::new(
        None,
        caps.iter()
            .map(|(counted, cap)| (*counted, Cap::parse(cap).unwrap())),
    )
}

fn records(counted: Counted, records: u32, is_page: bool) -> Option<Charge> {
    Some(Charge {
        counted,
        records,
        is_page,
    })
}

fn connection(n: u8) -> ConnectionId {
    ConnectionId::generate([n; 12])
}

fn charge(quotas: &Quotas, limits: &Limits, wanted: Option<Charge>) -> Result<Charged, Exceeded> {
    quotas.charge(&INTEGRATION.into(), connection(1), limits, wanted)
}

fn used(quotas: &Quotas, counted: Counted) -> f64 {
    let all = quotas.fullness();
    let found = all.iter().find(|fullness| fullness.counted == counted);
    found.map_or(0.0, |fullness| fullness.ratio)
}

#[tokio::test]
async fn a_call_is_charged_as_a_whole_or_not_at_all() {
    let quotas = Place::new().quotas();
    let limits = limits(&[(Counted::Requests, "3/1h"), (Counted::RecordsWritten, "10/1h")]);
    let write = |n| records(Counted::RecordsWritten, n, false);
    charge(&quotas, &limits, write(6)).unwrap();
    let exceeded = charge(&quotas, &limits, write(5)).unwrap_err();
    assert_eq!(
        (exceeded.counted, exceeded.used, exceeded.asked),
        (Counted::RecordsWritten, 6, 5)
    );
    assert!(
        exceeded
            .fits_in
            .is_some_and(|wait| wait > Duration::from_secs(3_500))
    );
    charge(&quotas, &limits, write(4)).unwrap();
    charge(&quotas, &limits, None).unwrap();
    assert_eq!(
        charge(&quotas, &limits, None).unwrap_err().counted,
        Counted::Requests
    );
    let never = charge(&quotas, &limits, write(11)).unwrap_err();
    assert_eq!(
        (never.counted, never.fits_in),
        (Counted::RecordsWritten, None),
        "the worst is told"
    );
}

#[tokio::test]
async fn each_connection_and_each_integration_counts_by_itself() {
    let quotas = Place::new().quotas();
    let limits = limits(&[(Counted::Requests, "1/1h")]);
    for integration in ["a", "b"] {
        for n in [1, 2] {
            let ask = || quotas.charge(&integration.into(), connection(n), &limits, None);
            assert!(ask().is_ok() && ask().is_err(), "{integration} {n}");
        }
    }
}

#[tokio::test]
async fn a_page_costs_what_it_may_be_until_it_has_come_and_then_what_it_was() {
    let quotas = Place::new().quotas();
    let limits = limits(&[(Counted::RecordsRead, "100/1h")]);
    let page = |n| records(Counted::RecordsRead, n, true);
    let mut first = charge(&quotas, &limits, page(100)).unwrap();
    assert!(first.counts_answer() && charge(&quotas, &limits, page(1)).is_err());
    quotas.answered(&mut first, true, true);
    quotas.read_so_far(&mut first, &limits, 7).unwrap();
    quotas.settle(first, true);
    assert_eq!(used(&quotas, Counted::RecordsRead), 0.07);
    // An answer that is longer than what was asked for is charged as it comes, as far as there is room.
    let mut longer = charge(&quotas, &limits, page(10)).unwrap();
    quotas.read_so_far(&mut longer, &limits, 93).unwrap();
    let exceeded = quotas.read_so_far(&mut longer, &limits, 94).unwrap_err();
    assert_eq!((exceeded.used, exceeded.asked), (100, 1));
    quotas.settle(longer, true);
    assert_eq!(used(&quotas, Counted::RecordsRead), 1.0);
}

#[tokio::test]
async fn what_did_not_go_up_is_given_back_and_of_reads_what_did_not_come() {
    let quotas = Place::new().quotas();
    let limits = limits(&[
        (Counted::Requests, "10/1h"),
        (Counted::RecordsRead, "10/1h"),
        (Counted::RecordsWritten, "10/1h"),
    ]);
    for (wanted, went_up, success, left) in [
        (records(Counted::RecordsRead, 4, false), false, None, 0.0),
        (records(Counted::RecordsRead, 4, false), true, None, 0.0),
        (records(Counted::RecordsRead, 4, false), true, Some(false), 0.0),
        (records(Counted::RecordsRead, 4, false), true, Some(true), 0.4),
        (records(Counted::RecordsWritten, 5, false), false, None, 0.0),
        (records(Counted::RecordsWritten, 5, false), true, Some(false), 0.5),
    ] {
        let counted = wanted.unwrap().counted;
        let mut charged = charge(&quotas, &limits, wanted).unwrap();
        if let Some(success) = success {
            quotas.answered(&mut charged, success, true);
        }
        quotas.settle(charged, went_up);
        assert_eq!(used(&quotas, counted), left, "{wanted:?} {went_up} {success:?}");
    }
}

#[tokio::test]
async fn what_was_deleted_counts_in_the_next_life_of_the_gate_and_what_was_not_does_not() {
    let place = Place::new();
    let limits = limits(&[
        (Counted::RecordsDeleted, "5/1h"),
        (Counted::RecordsWritten, "5/1h"),
    ]);
    let delete = |n| records(Counted::RecordsDeleted, n, false);
    {
        let quotas = place.quotas();
        let gone = charge(&quotas, &limits, delete(3)).unwrap();
        quotas.store(&gone).unwrap().wait().await.unwrap();
        // The gate dies here: it is not settled, and counts.
        let mut unsent = charge(&quotas, &limits, delete(2)).unwrap();
        quotas.store(&unsent).unwrap().wait().await.unwrap();
        unsent.noted();
        quotas.settle(unsent, false);
        let write = charge(&quotas, &limits, records(Counted::RecordsWritten, 5, false)).unwrap();
        assert!(quotas.store(&write).is_none(), "of writes nothing is stored");
        // A later change is noted after an earlier one.
        let last = charge(&quotas, &limits, delete(1)).unwrap();
        quotas.store(&last).unwrap().wait().await.unwrap();
    }
    let quotas = place.quotas();
    let exceeded = charge(&quotas, &limits, delete(2)).unwrap_err();
    assert_eq!((exceeded.used, exceeded.asked), (4, 2));
    assert!(charge(&quotas, &limits, delete(1)).is_ok());
    assert!(charge(&quotas, &limits, records(Counted::RecordsWritten, 5, false)).is_ok());
}

#[tokio::test]
async fn what_the_store_is_not_known_to_have_is_not_taken_out_of_it() {
    let place = Place::new();
    let limits = limits(&[(Counted::RecordsDeleted, "9/1h")]);
    let delete = |n| records(Counted::RecordsDeleted, n, false);
    {
        let quotas = place.quotas();
        let gone = charge(&quotas, &limits, delete(3)).unwrap();
        quotas.store(&gone).unwrap().wait().await.unwrap();
        // It ended before the store was asked.
        let unasked = charge(&quotas, &limits, delete(2)).unwrap();
        quotas.settle(unasked, false);
        // The ledger refused it: nobody takes it to the store.
        let (ledger, thread) =
            Ledger::start(Arc::clone(&place.store), Duration::from_secs(30), |_| {}).unwrap();
        ledger.stop();
        thread.join().unwrap();
        let refused = charge(&quotas, &limits, delete(2)).unwrap();
        let change = LimitChange::Use((**refused.durable.as_ref().unwrap()).clone());
        assert!(ledger.note(change).wait().await.is_err());
        quotas.settle(refused, false);
        // Who waited has gone; the store has it all the same, and it stays.
        let left = charge(&quotas, &limits, delete(2)).unwrap();
        drop(quotas.store(&left));
        quotas.settle(left, false);
        // A later change is noted after an earlier one.
        let last = charge(&quotas, &limits, delete(1)).unwrap();
        quotas.store(&last).unwrap().wait().await.unwrap();
    }
    let exceeded = charge(&place.quotas(), &limits, delete(4)).unwrap_err();
    assert_eq!((exceeded.used, exceeded.asked), (6, 4));
}

#[tokio::test]
async fn another_cap_in_a_policy_forgets_nothing() {
    let quotas = Place::new().quotas();
    charge(&quotas, &limits(&[(Counted::Requests, "5/1h")]), None).unwrap();
    let exceeded = charge(&quotas, &limits(&[(Counted::Requests, "1/1d")]), None).unwrap_err();
    assert_eq!(exceeded.used, 1);
}

#[tokio::test]
async fn a_limit_over_a_shorter_time_for_a_while_gives_nothing_of_the_longer_one_back() {
    let mut quotas = Place::new().quotas();
    let cap = |cap| limits(&[(Counted::RecordsDeleted, cap)]);
    let delete = |n| records(Counted::RecordsDeleted, n, false);
    charge(&quotas, &cap("20/1d"), delete(20)).unwrap();
    let taken_back = charge(&quotas, &cap("50/1h"), delete(4)).unwrap();
    charge(&quotas, &cap("50/1h"), delete(1)).unwrap();
    quotas.settle(taken_back, false);
    quotas.epoch -= Duration::from_secs(61 * 60 + 30);
    let exceeded = charge(&quotas, &cap("20/1d"), delete(1)).unwrap_err();
    assert_eq!(exceeded.used, 21, "it is the same day");
    charge(&quotas, &cap("50/1h"), delete(29)).unwrap();
    // What nobody asks for and still counts is not swept away.
    *quotas.swept.lock().unwrap() -= 2 * SWEEP;
    charge(&quotas, &cap("9/1m"), None).unwrap();
    assert_eq!(charge(&quotas, &cap("20/1d"), delete(1)).unwrap_err().used, 50);
    quotas.epoch -= Duration::from_secs(25 * 3_600);
    charge(&quotas, &cap("20/1d"), delete(20)).unwrap();
}

#[tokio::test]
async fn after_a_restart_each_length_that_was_charged_under_remembers_what_it_reaches() {
    let place = Place::new();
    let (ledger, _) = Ledger::start(Arc::clone(&place.store), Duration::from_secs(30), |_| {}).unwrap();
    let row = |window_ms, records, minutes: u64| UsedLimit {
        integration: INTEGRATION.to_owned(),
        connection: connection(1),
        counted: Counted::RecordsDeleted,
        window_ms,
        records,
        age: Duration::from_secs(60 * minutes),
    };
    let before = [row(86_400_000, 20, 120), row(3_600_000, 3, 10)];
    let quotas = Quotas::resume(&before, ledger);
    for (cap, used) in [("20/1d", 23), ("3/1h", 3), ("20/1d", 23)] {
        let limits = limits(&[(Counted::RecordsDeleted, cap)]);
        let exceeded = charge(&quotas, &limits, records(Counted::RecordsDeleted, 1, false)).unwrap_err();
        assert_eq!(exceeded.used, used, "{cap}");
    }
}

#[tokio::test]
async fn many_threads_at_once_get_no_more_than_the_cap() {
    let quotas = Arc::new(Place::new().quotas());
    let limits = limits(&[(Counted::Requests, "1000/1h")]);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let quotas = Arc::clone(&quotas);
            std::thread::spawn(move || {
                (0..500)
                    .filter(|_| charge(&quotas, &limits, None).is_ok())
                    .count()
            })
        })
        .collect();
    let passed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(passed, 1_000);
}

#[test]
fn a_stopped_ledger_refuses_and_does_not_wait() {
    let place = Place::new();
    let (ledger, thread) = Ledger::start(Arc::clone(&place.store), Duration::from_secs(30), |_| {}).unwrap();
    ledger.stop();
    thread.join().unwrap();
    let quotas = Quotas::resume(&[], ledger);
    let limits = limits(&[(Counted::RecordsDeleted, "5/1h")]);
    let charged = charge(&quotas, &limits, records(Counted::RecordsDeleted, 1, false)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    assert!(runtime.block_on(quotas.store(&charged).unwrap().wait()).is_err());
}
