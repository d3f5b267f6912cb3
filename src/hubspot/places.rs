//! A bounded number of places on one worker, and a bounded queue for them, first come, first served.
//!
//! Everything here belongs to one thread: taking a free place is a comparison and an addition.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::oneshot;

/// The places of one kind.
pub struct Places {
    most: usize,
    waiting_most: usize,
    taken: Cell<usize>,
    queue: RefCell<VecDeque<oneshot::Sender<Place>>>,
}

/// A place, given back when dropped: to who waits longest, if anybody does.
pub struct Place(Rc<Places>);

/// So many wait already that nobody else may.
#[derive(Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Places {
    /// `most` places, and room for `waiting` who wait for one.
    pub fn new(most: usize, waiting: usize) -> Rc<Self> {
        Rc::new(Self {
            most,
            waiting_most: waiting,
            taken: Cell::new(0),
            queue: RefCell::default(),
        })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    /// A free place, if there is one.
    pub fn take_free(self: &Rc<Self>) -> Option<Place> {
        let taken = self.taken.get();
        (taken < self.most).then(|| {
            self.taken.set(taken + 1);
            Place(Rc::clone(self))
        })
    }

    /// A place; waits for one in a bounded queue. No deadline of its own.
    pub async fn take(self: &Rc<Self>) -> Result<Place, QueueFull> {
        if let Some(place) = self.take_free() {
            return Ok(place);
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut queue = self.queue.borrow_mut();
            if queue.len() >= self.waiting_most {
                // Those who gave up meanwhile hold no room.
                queue.retain(|waiting| !waiting.is_closed());
            }
            if queue.len() >= self.waiting_most {
                return Err(QueueFull);
            }
            queue.push_back(sender);
        }
        // The other end is dropped with the places alone.
        receiver.await.map_err(|_| QueueFull)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.0;
        places.taken.set(places.taken.get() - 1);
        loop {
            // Not held while sending: a place that finds nobody is dropped again.
            let Some(next) = places.queue.borrow_mut().pop_front() else {
                return;
            };
            if next.is_closed() {
                continue;
            }
            let Some(place) = places.take_free() else { return };
            match next.send(place) {
                Ok(()) => return,
                // Gone this very moment; its drop looks for the next.
                Err(place) => drop(place),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn places_are_bounded_and_go_to_who_waits_longest() {
        let places = Places::new(1, 2);
        let first = places.take().now_or_never().unwrap().unwrap();
        let mut second = pin!(places.take());
        let mut third = pin!(places.take());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(places.take().now_or_never().unwrap().err(), Some(QueueFull));
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "not its turn");
        let second = second.as_mut().now_or_never().unwrap().unwrap();
        assert!(places.take_free().is_none());
        drop(second);
        let third = third.as_mut().now_or_never().unwrap().unwrap();
        assert_eq!(places.taken(), 1);
        drop(third);
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn who_gives_up_waiting_takes_no_place_and_no_room() {
        let places = Places::new(1, 1);
        let held = places.take_free().unwrap();
        {
            let mut gone = pin!(places.take());
            assert!(gone.as_mut().now_or_never().is_none());
        }
        let mut next = pin!(places.take());
        assert!(next.as_mut().now_or_never().is_none(), "its room was free again");
        drop(held);
        let place = next.as_mut().now_or_never().unwrap().unwrap();
        drop(place);
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn a_place_that_was_handed_over_to_somebody_who_left_goes_on_to_the_next() {
        let places = Places::new(1, 4);
        let held = places.take_free().unwrap();
        let mut next = pin!(places.take());
        {
            let mut leaving = Box::pin(places.take());
            assert!(leaving.as_mut().now_or_never().is_none());
            assert!(next.as_mut().now_or_never().is_none());
            // It has the place now and never looks at it.
            drop(held);
        }
        assert!(next.as_mut().now_or_never().unwrap().is_ok());
    }
}
