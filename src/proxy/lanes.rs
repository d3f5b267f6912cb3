//! Fairness between integrations: how many calls each may have under way on a worker, how many may wait,
//! and how many connections one key may hold.
//!
//! A worker is one thread, and what is ready on it runs in turn: the work that one integration can have
//! ready there is what another's call may wait for. So each has a lane of so many calls; a call beyond
//! waits in the lane's own queue for a moment and is then refused. Waiting costs no work, and it is what
//! keeps a client that repeats at once from keeping the worker busy with refusals: however many
//! connections it has, each brings at most a few refusals a second.
//!
//! All of it is the worker's own and takes no lock, but for what bodies hold in memory: that is counted for
//! the whole gate, and looked up once a worker and integration. Nothing here outlives a call but empty lanes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::judged::Budget;
use super::stop::{Shed, Stop};
use crate::access::integration::KeyEntry;
use crate::access::json::JudgedBody;
use crate::config::Limits;

/// The least that HubSpot takes for an answer.
const LINGER: Duration = Duration::from_millis(50);

/// Steps by which waits differ, so that calls that were refused together do not come back together.
const SPREAD_STEPS: u32 = 8;

/// Bodies up to this are parsed where they are: a third of a millisecond, at most.
const PARSED_HERE_BYTES: usize = 64 * 1024;

/// The lanes of one worker.
pub struct Lanes {
    bounds: Bounds,
    /// Calls under way on this worker, of all integrations.
    all: Arc<Semaphore>,
    of: RefCell<HashMap<Arc<str>, Rc<Lane>, RandomState>>,
    turns: Cell<u32>,
    held_up: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Bounds {
    calls: usize,
    waiting: usize,
    wait: Duration,
    held_up: usize,
}

/// One integration's lane on one worker.
struct Lane {
    calls: Arc<Semaphore>,
    waiting: AtomicUsize,
    judged: Arc<Budget>,
    /// One large body is parsed at a time.
    parsing: Arc<Semaphore>,
}

/// A call's place in its lane, given back when dropped.
pub struct Place {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
    /// Waiting for it is no work that it was kept for.
    since: Instant,
    lane: Rc<Lane>,
}

impl Place {
    /// Room for the integration's bodies.
    pub fn judged(&self) -> &Arc<Budget> {
        &self.lane.judged
    }

    /// Parses a body. A large one apart from the worker, for which it would be milliseconds in which nobody
    /// else's call goes on; one of each integration at a time.
    pub async fn parse(&self, whole: Bytes) -> Result<JudgedBody, Stop> {
        if whole.len() <= PARSED_HERE_BYTES {
            return JudgedBody::parse(&whole).map_err(Stop::Refused);
        }
        let turn = Arc::clone(&self.lane.parsing).acquire_owned().await;
        let parsing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            JudgedBody::parse(&whole)
        });
        parsing.await.map_err(|_| Stop::Unready)?.map_err(Stop::Refused)
    }
}

/// Counts a call that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Lanes {
    /// No calls yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            bounds: Bounds {
                calls: limits.in_flight_per_integration,
                waiting: limits.waiting_per_integration,
                wait: limits.in_flight_wait,
                held_up: limits.in_flight,
            },
            all: Arc::new(Semaphore::new(limits.in_flight)),
            of: RefCell::default(),
            turns: Cell::new(0),
            held_up: AtomicUsize::new(0),
        }
    }

    /// A place for a call of this integration, at once or after a short wait.
    pub async fn enter(&self, integration: &Arc<str>, shares: &Shares) -> Result<Place, Stop> {
        let lane = self.lane(integration, shares);
        let until = || Instant::now() + self.wait();
        let own = match Arc::clone(&lane.calls).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.queue(&lane, until()).await?,
        };
        let all = match Arc::clone(&self.all).try_acquire_owned() {
            Ok(place) => place,
            // As many wait here as have a place of their own: no queue but that.
            Err(_) => timeout_at(until(), Arc::clone(&self.all).acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or(Stop::Overloaded)?,
        };
        Ok(Place {
            _own: own,
            _all: all,
            since: Instant::now(),
            lane,
        })
    }

    /// Keeps the place of a call that the gate answered by itself, or that its client gave up at once, for as
    /// long as HubSpot would have taken at its quickest. The answer is not held up. Without this a client that
    /// repeats what is denied, used up or given up would never fill its lane, and keep the worker busy all the
    /// same.
    pub fn linger(&self, place: Place) {
        let Place { _own: own, .. } = place;
        free_later(own);
    }

    /// The same for a call that its client gave up, if it did so sooner than HubSpot answers.
    pub fn give_up(&self, place: Place) {
        if place.since.elapsed() < LINGER {
            self.linger(place);
        }
    }

    /// A call that is refused before it could have a place takes its turn in the lane all the same, or a
    /// stopped integration's flood would be a faster one. `false`: it waited, and found none.
    pub async fn take_turn(&self, integration: &Arc<str>, shares: &Shares) -> bool {
        let lane = self.lane(integration, shares);
        let own = match Arc::clone(&lane.calls).try_acquire_owned() {
            Ok(own) => Ok(own),
            Err(_) => self.queue(&lane, Instant::now() + self.wait()).await,
        };
        own.map(free_later).is_ok()
    }

    /// Holds up a refusal that found no place to wait, if no more of them are held up than calls may be
    /// under way: who repeats at once does so no more often than those that wait.
    pub async fn hold_up(&self) {
        if self.held_up.load(Ordering::Relaxed) < self.bounds.held_up {
            self.held_up.fetch_add(1, Ordering::Relaxed);
            let _held_up = Waiting(&self.held_up);
            tokio::time::sleep(self.wait()).await;
        }
    }

    /// Waits in the lane's queue, first come, first served.
    async fn queue(&self, lane: &Lane, until: Instant) -> Result<OwnedSemaphorePermit, Stop> {
        if lane.waiting.fetch_add(1, Ordering::Relaxed) >= self.bounds.waiting {
            drop(Waiting(&lane.waiting));
            self.hold_up().await;
            return Err(Stop::Shed(Shed::Waiting));
        }
        let _waiting = Waiting(&lane.waiting);
        let place = timeout_at(until, Arc::clone(&lane.calls).acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or(Stop::Shed(Shed::InFlight))
    }

    fn lane(&self, integration: &Arc<str>, shares: &Shares) -> Rc<Lane> {
        if let Some(lane) = self.of.borrow().get(integration) {
            return Rc::clone(lane);
        }
        let lane = Rc::new(Lane {
            calls: Arc::new(Semaphore::new(self.bounds.calls)),
            waiting: AtomicUsize::new(0),
            judged: shares.of(integration),
            parsing: Arc::new(Semaphore::new(1)),
        });
        self.of
            .borrow_mut()
            .insert(Arc::clone(integration), Rc::clone(&lane));
        lane
    }

    /// Each time a little more, up to twice as long, and then from the beginning.
    fn wait(&self) -> Duration {
        let turn = self.turns.get().wrapping_add(1) % SPREAD_STEPS;
        self.turns.set(turn);
        self.bounds.wait + self.bounds.wait * turn / SPREAD_STEPS
    }
}

/// At a worker's end, when nothing runs any more, it is free at once.
fn free_later(own: OwnedSemaphorePermit) {
    if tokio::runtime::Handle::try_current().is_err() {
        return;
    }
    tokio::task::spawn_local(async move {
        tokio::time::sleep(LINGER).await;
        drop(own);
    });
}

/// What each integration's judged bodies hold in memory, all workers together.
#[derive(Debug)]
pub struct Shares {
    bytes: usize,
    of: Mutex<HashMap<Arc<str>, Arc<Budget>>>,
}

impl Shares {
    /// Each may hold as much as the setting says, and one body in any case.
    pub fn new(limits: &Limits) -> Self {
        Self {
            bytes: limits.judged_bytes_per_integration.max(limits.judged_body_bytes),
            of: Mutex::default(),
        }
    }

    fn of(&self, integration: &Arc<str>) -> Arc<Budget> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let share = of
            .entry(Arc::clone(integration))
            .or_insert_with(|| Budget::new(self.bytes));
        Arc::clone(share)
    }
}

/// A connection counts for the key that its calls come with, until it ends or another key comes.
pub struct Member {
    key: Arc<KeyEntry>,
}

impl Member {
    /// Counts the connection for `key`, unless that holds `most` of them.
    pub fn join(member: &RefCell<Option<Member>>, key: &Arc<KeyEntry>, most: usize) -> Result<(), Stop> {
        let mut member = member.borrow_mut();
        if member.as_ref().is_some_and(|member| member.key.id == key.id) {
            return Ok(());
        }
        *member = None;
        if key.connections.fetch_add(1, Ordering::Relaxed) >= most {
            key.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Stop::Shed(Shed::Connections));
        }
        *member = Some(Member { key: Arc::clone(key) });
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.key.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::integration::Binding;
    use crate::access::key::{Environment, IssuedKey, KeyRandomness};

    fn lanes(all: usize, calls: usize, waiting: usize) -> Lanes {
        Lanes::new(&Limits {
            in_flight: all,
            in_flight_per_integration: calls,
            waiting_per_integration: waiting,
            in_flight_wait: Duration::from_millis(250),
            ..Limits::default()
        })
    }

    fn stop(entered: Result<Place, Stop>) -> Option<Stop> {
        entered.err()
    }

    #[tokio::test]
    async fn a_full_lane_makes_its_own_calls_wait_and_nobody_elses() {
        let (lanes, shares) = (lanes(10, 2, 8), Shares::new(&Limits::default()));
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let first = lanes.enter(&a, &shares).await.unwrap();
        let second = lanes.enter(&a, &shares).await.unwrap();
        let begun = Instant::now();
        let entering = tokio::time::timeout(Duration::ZERO, lanes.enter(&b, &shares));
        let other = entering.await.expect("another's does not wait").unwrap();
        assert_eq!(
            stop(lanes.enter(&a, &shares).await),
            Some(Stop::Shed(Shed::InFlight))
        );
        assert!(begun.elapsed() >= Duration::from_millis(250));
        let waiting = lanes.enter(&a, &shares);
        let (entered, ()) = tokio::join!(waiting, async {
            drop(first);
        });
        assert!(entered.is_ok(), "a place that becomes free goes to who waits");
        drop((second, other, entered));
        let free = lanes.of.borrow().get(&a).unwrap().calls.available_permits();
        assert_eq!(free, 2);
    }

    #[tokio::test]
    async fn no_more_wait_than_may_and_who_gives_up_waits_no_longer() {
        let (lanes, shares) = (lanes(10, 1, 3), Shares::new(&Limits::default()));
        let a: Arc<str> = "a".into();
        let _held = lanes.enter(&a, &shares).await.unwrap();
        let all = futures_of(&lanes, &a, &shares, 5).await;
        let at_once = all
            .iter()
            .filter(|stop| **stop == Some(Stop::Shed(Shed::Waiting)))
            .count();
        let late = all
            .iter()
            .filter(|stop| **stop == Some(Stop::Shed(Shed::InFlight)))
            .count();
        assert_eq!((at_once, late), (2, 3));
        let waiting = lanes.of.borrow().get(&a).unwrap().waiting.load(Ordering::Relaxed);
        assert_eq!(waiting, 0);
        let given_up = tokio::time::timeout(Duration::from_millis(10), lanes.enter(&a, &shares)).await;
        assert!(given_up.is_err());
        assert_eq!(
            lanes.of.borrow().get(&a).unwrap().waiting.load(Ordering::Relaxed),
            0
        );
    }

    type Entering<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Place, Stop>> + 'a>>;

    async fn futures_of(
        lanes: &Lanes,
        integration: &Arc<str>,
        shares: &Shares,
        count: usize,
    ) -> Vec<Option<Stop>> {
        let mut all: Vec<Entering<'_>> = Vec::new();
        for _ in 0..count {
            all.push(Box::pin(lanes.enter(integration, shares)));
        }
        let mut ended = Vec::new();
        std::future::poll_fn(|cx| {
            all.retain_mut(|entering| match entering.as_mut().poll(cx) {
                std::task::Poll::Ready(entered) => {
                    ended.push(stop(entered));
                    false
                }
                std::task::Poll::Pending => true,
            });
            match all.is_empty() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
        ended
    }

    #[tokio::test]
    async fn a_call_that_the_gate_answers_by_itself_keeps_its_place_as_long_as_hubspot_takes() {
        let local = tokio::task::LocalSet::new();
        let (lanes, shares) = (lanes(10, 1, 3), Shares::new(&Limits::default()));
        let a: Arc<str> = "a".into();
        let passing = async {
            let begun = Instant::now();
            for _ in 0..3 {
                lanes.linger(lanes.enter(&a, &shares).await.unwrap());
            }
            assert!(
                begun.elapsed() >= 2 * LINGER,
                "the second and the third had to wait"
            );
        };
        local.run_until(passing).await;
        assert_eq!(
            lanes.all.available_permits(),
            10,
            "the worker's own room is free at once"
        );
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_at_once_keeps_its_place_and_one_that_had_its_time_does_not() {
        let local = tokio::task::LocalSet::new();
        let (lanes, shares) = (lanes(10, 1, 3), Shares::new(&Limits::default()));
        let a: Arc<str> = "a".into();
        let passing = async {
            let free = || lanes.of.borrow().get(&a).unwrap().calls.available_permits();
            let begun = Instant::now();
            for _ in 0..3 {
                lanes.give_up(lanes.enter(&a, &shares).await.unwrap());
            }
            assert!(begun.elapsed() >= 2 * LINGER);
            let place = lanes.enter(&a, &shares).await.unwrap();
            tokio::time::sleep(LINGER).await;
            lanes.give_up(place);
            assert_eq!(free(), 1, "it is free at once");
        };
        local.run_until(passing).await;
    }

    #[tokio::test]
    async fn a_call_that_is_refused_before_it_has_a_place_takes_its_turn_in_the_lane() {
        let local = tokio::task::LocalSet::new();
        let (lanes, shares) = (lanes(10, 1, 3), Shares::new(&Limits::default()));
        let a: Arc<str> = "a".into();
        let passing = async {
            let begun = Instant::now();
            for _ in 0..3 {
                assert!(lanes.take_turn(&a, &shares).await);
            }
            assert!(
                begun.elapsed() >= 2 * LINGER,
                "the second and the third had to wait"
            );
            let held = lanes.enter(&a, &shares).await.unwrap();
            let begun = Instant::now();
            assert!(!lanes.take_turn(&a, &shares).await, "there was none");
            assert!(begun.elapsed() >= Duration::from_millis(250), "it waited for one");
            drop(held);
        };
        local.run_until(passing).await;
    }

    #[tokio::test]
    async fn a_full_worker_is_overloaded_for_everybody() {
        let (lanes, shares) = (lanes(2, 2, 8), Shares::new(&Limits::default()));
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let held = (
            lanes.enter(&a, &shares).await.unwrap(),
            lanes.enter(&a, &shares).await.unwrap(),
        );
        assert_eq!(stop(lanes.enter(&b, &shares).await), Some(Stop::Overloaded));
        drop(held);
        assert!(lanes.enter(&b, &shares).await.is_ok());
    }

    #[test]
    fn a_connection_counts_for_the_key_it_is_used_with_last() {
        let key = |seed: u8| {
            let random = KeyRandomness {
                id: [seed; 12],
                secret: [seed; 32].into(),
            };
            let issued = IssuedKey::generate(Environment::Live, &random);
            Arc::new(KeyEntry::new(
                issued.id,
                issued.hash,
                "a".into(),
                Binding::Any,
                None,
                false,
            ))
        };
        let (key, other) = (key(1), key(2));
        let open = |key: &Arc<KeyEntry>| key.connections.load(Ordering::Relaxed);
        let connections: Vec<RefCell<Option<Member>>> = (0..3).map(|_| RefCell::default()).collect();
        assert_eq!(Member::join(&connections[0], &key, 2), Ok(()));
        assert_eq!(Member::join(&connections[0], &key, 2), Ok(()), "its next call");
        assert_eq!(Member::join(&connections[1], &key, 2), Ok(()));
        assert_eq!(
            Member::join(&connections[2], &key, 2),
            Err(Stop::Shed(Shed::Connections))
        );
        assert_eq!(open(&key), 2);
        assert_eq!(Member::join(&connections[1], &other, 2), Ok(()));
        assert_eq!((open(&key), open(&other)), (1, 1));
        assert_eq!(Member::join(&connections[2], &key, 2), Ok(()));
        drop(connections);
        assert_eq!((open(&key), open(&other)), (0, 0));
    }
}
