//! Bodies that decide are read whole before anything is decided: within a bound each, a bound for
//! all together, and a deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body::Body;

use super::client_body::ClientBody;
use super::multipart::Import;
use super::pace::{Pace, Rate};
use super::stop::Stop;
use crate::access::json::JudgedBody;
use crate::access::refusal::{Reason, Refusal};

/// Bytes of judged bodies, or of held answers, in memory, all workers together.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    total: usize,
}

impl Budget {
    /// At most `total` bytes.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            total,
        })
    }

    /// Takes so many bytes; whether there was room for them.
    fn take(&self, bytes: usize) -> bool {
        self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.total
    }
}

/// A part of the budget, given back when dropped.
pub struct Share {
    budget: Arc<Budget>,
    /// What of the budget its integration may hold, once that is known.
    own: Option<Arc<Budget>>,
    bytes: usize,
}

impl Share {
    /// An empty share of `budget`.
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            own: None,
            bytes: 0,
        }
    }

    /// From now on it counts for its integration's part of the budget, too. To be said before it grows.
    pub fn within(&mut self, own: Arc<Budget>) {
        self.own = Some(own);
    }

    /// Takes so many bytes more; an error when there is no room for them.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Stop> {
        self.bytes += bytes;
        let fits = self.budget.take(bytes);
        // Both are taken, whatever the first says: both are given back.
        match self.own.as_ref().is_none_or(|own| own.take(bytes)) && fits {
            true => Ok(()),
            false => Err(Stop::Overloaded),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        for budget in std::iter::once(&self.budget).chain(&self.own) {
            budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// The refusal of a body over a bound.
pub const TOO_LARGE: Refusal = Refusal::new(
    Reason::TooLarge,
    "the request body is over the bound",
    "send it in smaller batches",
);

/// Bounds of reading one body.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Most bytes.
    pub bytes: usize,
    /// Longest wait for more of it.
    pub idle: Duration,
    /// Longest time for all of it: what is decided on the body must not wait for a trickle.
    pub total: Duration,
    /// What must come of it while it is waited for.
    pub rate: Rate,
}

/// What of a request's body was read before the decision.
pub enum ReadBody {
    /// Nothing: it decides nothing, or there is none.
    Nothing,
    /// All of it.
    Judged(JudgedBody),
    /// Its `importRequest`.
    Import(Box<Import>),
}

impl ReadBody {
    /// What decides.
    pub fn judged(&self) -> Option<&JudgedBody> {
        match self {
            ReadBody::Nothing => None,
            ReadBody::Judged(body) => Some(body),
            ReadBody::Import(import) => Some(&import.request),
        }
    }
}

/// Reads `body` whole.
pub async fn read(body: ClientBody, share: &mut Share, bounds: Bounds) -> Result<Bytes, Stop> {
    tokio::time::timeout(bounds.total, read_all(body, share, bounds))
        .await
        .unwrap_or(Err(Stop::Body))
}

async fn read_all(body: ClientBody, share: &mut Share, bounds: Bounds) -> Result<Bytes, Stop> {
    let announced = body.size_hint().lower();
    if announced > bounds.bytes as u64 {
        return Err(Stop::Refused(TOO_LARGE));
    }
    let mut reader = Reader::new(body, bounds);
    let mut whole = BytesMut::new();
    while let Some(data) = reader.next().await? {
        if whole.len() + data.len() > bounds.bytes {
            return Err(Stop::Refused(TOO_LARGE));
        }
        share.grow(data.len())?;
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// A body that is read piece by piece, within the longest wait for more of it.
pub struct Reader {
    /// The rest of it.
    pub body: ClientBody,
    idle: Duration,
    pace: Pace,
}

impl Reader {
    /// Reads `body`.
    pub fn new(body: ClientBody, bounds: Bounds) -> Self {
        Self {
            body,
            idle: bounds.idle,
            pace: Pace::new(bounds.rate),
        }
    }

    /// The next bytes; `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Stop> {
        loop {
            self.pace.waits(Instant::now()).map_err(|_| Stop::Body)?;
            let next = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let frame = match tokio::time::timeout(self.idle, next).await {
                Err(_) | Ok(Some(Err(_))) => return Err(Stop::Body),
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
            };
            // Trailers are dropped: nothing of them is judged.
            if let Ok(data) = frame.into_data() {
                self.pace.moved(data.len(), Instant::now);
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_shared_and_given_back() {
        let budget = Budget::new(10);
        let mut first = Share::of(&budget);
        let mut second = Share::of(&budget);
        assert!(first.grow(6).is_ok());
        assert_eq!(second.grow(6), Err(Stop::Overloaded));
        drop(first);
        drop(second);
        assert!(Share::of(&budget).grow(10).is_ok());
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_integration_holds_no_more_than_its_part_of_the_budget() {
        let (budget, own) = (Budget::new(10), Budget::new(6));
        let share = || {
            let mut share = Share::of(&budget);
            share.within(Arc::clone(&own));
            share
        };
        let (mut first, mut second) = (share(), share());
        assert!(first.grow(4).is_ok());
        assert_eq!(second.grow(4), Err(Stop::Overloaded));
        drop(second);
        assert!(Share::of(&budget).grow(6).is_ok(), "the rest is there for others");
        drop(first);
        assert_eq!(
            (
                budget.used.load(Ordering::Relaxed),
                own.used.load(Ordering::Relaxed)
            ),
            (0, 0)
        );
    }
}
