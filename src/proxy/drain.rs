//! Tells the client connections of one worker that it is going down.
//!
//! Connections look at each poll, several times a request: here that is a flag of their own thread. The
//! token that ends all workers takes a lock for it, which they would share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

/// Whether a worker is going down, and who is to be woken when it does.
#[derive(Clone, Default)]
pub struct Drain(Rc<Shared>);

#[derive(Default)]
struct Shared {
    told: Cell<bool>,
    listeners: RefCell<Listeners>,
}

#[derive(Default)]
struct Listeners {
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Drain {
    /// Says so, and wakes each listener.
    pub fn tell(&self) {
        self.0.told.set(true);
        let listening = std::mem::take(&mut self.0.listeners.borrow_mut().places);
        for waker in listening.into_iter().flatten() {
            waker.wake();
        }
    }

    /// A place among those who are woken, given back when dropped.
    pub fn listen(&self) -> Listener {
        let mut listeners = self.0.listeners.borrow_mut();
        let place = listeners.free.pop().unwrap_or_else(|| {
            listeners.places.push(None);
            listeners.places.len() - 1
        });
        Listener {
            drain: self.clone(),
            place,
        }
    }
}

/// One who is to be woken.
pub struct Listener {
    drain: Drain,
    place: usize,
}

impl Listener {
    /// Whether the worker goes down.
    pub fn is_told_already(&self) -> bool {
        self.drain.0.told.get()
    }

    /// Whether the worker goes down; if not, whoever asks is woken when it does.
    pub fn is_told(&self, cx: &Context<'_>) -> bool {
        let shared = &self.drain.0;
        if shared.told.get() {
            return true;
        }
        if let Some(kept) = shared.listeners.borrow_mut().places.get_mut(self.place) {
            match kept {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => *kept = Some(cx.waker().clone()),
            }
        }
        false
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self.drain.0.listeners.borrow_mut();
        if let Some(place) = listeners.places.get_mut(self.place) {
            *place = None;
            listeners.free.push(self.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_listener_is_woken_once_and_who_comes_later_is_told_at_once() {
        let drain = Drain::default();
        let listeners: Vec<Listener> = (0..5).map(|_| drain.listen()).collect();
        let counts: Vec<Arc<Counted>> = listeners.iter().map(|_| Arc::default()).collect();
        for (listener, count) in listeners.iter().zip(&counts) {
            let waker = Waker::from(Arc::clone(count));
            for _ in 0..3 {
                assert!(!listener.is_told(&Context::from_waker(&waker)));
            }
        }
        // One that moved to another task is woken there.
        let moved: Arc<Counted> = Arc::default();
        assert!(!listeners[4].is_told(&Context::from_waker(&Waker::from(Arc::clone(&moved)))));
        drain.tell();
        drain.tell();
        let woken = |count: &Arc<Counted>| count.0.load(Ordering::Relaxed);
        assert_eq!(counts.iter().map(woken).collect::<Vec<_>>(), [1, 1, 1, 1, 0]);
        assert_eq!(woken(&moved), 1);
        assert!(listeners[0].is_told(&Context::from_waker(Waker::noop())));
        assert!(drain.listen().is_told(&Context::from_waker(Waker::noop())));
    }

    #[test]
    fn places_are_given_back() {
        let drain = Drain::default();
        let held = drain.listen();
        for _ in 0..100 {
            let listener = drain.listen();
            assert!(!listener.is_told(&Context::from_waker(Waker::noop())));
        }
        assert_eq!(drain.0.listeners.borrow().places.len(), 2);
        drop(held);
        drain.tell();
    }
}
