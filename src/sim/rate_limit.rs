//! HubSpot's limits: a rolling ten seconds per app, a day per account, a second of searches per account.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use http::header::HeaderValue;

use super::call::{Call, Who};
use super::clock::millis;
use super::credentials::BearerKind;
use super::options::RateLimits;
use super::portal::Tier;
use super::problem::{Handled, LimitFacts, Problem};
use super::simulator::Sim;

const BURST_WINDOW_MS: i64 = 10_000;
const SEARCH_WINDOW_MS: i64 = 1_000;
const DAY_MS: i64 = 86_400_000;
/// Searches a second, per account.
const SEARCHES: usize = 5;
/// Bucket pairs kept.
const BUCKETS: usize = 100_000;

/// What was used of every limit.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By app and portal.
    bursts: HashMap<(u64, u64), VecDeque<i64>>,
    searches: HashMap<u64, VecDeque<i64>>,
    /// Day number and calls, by portal.
    days: HashMap<u64, (i64, u64)>,
}

/// Headers of an answer: name and value.
pub(super) type LimitHeaders = Vec<(&'static str, HeaderValue)>;

struct Caps {
    burst: usize,
    day: u64,
}

fn caps(tier: Tier, kind: BearerKind) -> Caps {
    let (burst, day) = match tier {
        Tier::Free | Tier::Starter => (100, 250_000),
        Tier::Professional => (190, 625_000),
        Tier::Enterprise => (190, 1_000_000),
    };
    // Apps from the marketplace have a burst of their own and no published day.
    Caps {
        burst: if kind == BearerKind::OAuth { 110 } else { burst },
        day,
    }
}

/// Counts a call; a 429 when a limit is enforced and used up. Searches carry no headers.
pub(super) fn count(sim: &Sim, call: &Call, who: &Who) -> Handled<LimitHeaders> {
    let (portal, kind) = (&who.portal, who.bearer.kind);
    let (app, hub, now) = (who.bearer.app_id, portal.hub_id(), call.now_ms);
    let enforced = sim.options.rate_limits == RateLimits::Enforced;
    let mut state = sim.buckets.0.lock().unwrap_or_else(PoisonError::into_inner);
    let caps = caps(portal.options.tier, kind);
    if call.words.last().is_some_and(|word| word == "search") {
        let used = roll(
            state.searches.entry(hub).or_default(),
            now,
            SEARCH_WINDOW_MS,
            SEARCHES,
        );
        if enforced && used > SEARCHES {
            let group = format!("publicapi:crm:search:oauth:{app}:{hub}");
            return Err(refusal(
                sim,
                "You have reached your secondly limit.",
                "SECONDLY",
                group,
            ));
        }
        return Ok(Vec::new());
    }
    if state.bursts.len() >= BUCKETS {
        state.bursts.clear();
    }
    let used = roll(
        state.bursts.entry((app, hub)).or_default(),
        now,
        BURST_WINDOW_MS,
        caps.burst,
    );
    if enforced && used > caps.burst {
        let group = format!("publicapi:private_app-api-calls-ten-secondly:{app}:{hub}");
        let message = "You have reached your ten_secondly_rolling limit.";
        return Err(refusal(sim, message, "TEN_SECONDLY_ROLLING", group));
    }
    let today = (now + i64::from(portal.options.utc_offset_minutes) * 60_000).div_euclid(DAY_MS);
    let day = state.days.entry(hub).or_insert((today, 0));
    if day.0 != today {
        *day = (today, 0);
    }
    if enforced && kind != BearerKind::OAuth && day.1 >= caps.day {
        let group = format!("publicapi:private_app-api-calls-daily:{app}:{hub}");
        return Err(refusal(sim, "You have reached your daily limit.", "DAILY", group));
    }
    day.1 += 1;
    Ok(headers(&caps, kind, used, day.1))
}

/// Drops what has left the window, adds this call, and says how many are in it. A refused call does not count.
fn roll(window: &mut VecDeque<i64>, now: i64, length_ms: i64, cap: usize) -> usize {
    while window.front().is_some_and(|at| *at <= now - length_ms) {
        window.pop_front();
    }
    if window.len() >= cap {
        return cap + 1;
    }
    window.push_back(now);
    window.len()
}

fn headers(caps: &Caps, kind: BearerKind, used: usize, today: u64) -> LimitHeaders {
    let number = |value: usize| HeaderValue::from(value as u64);
    let mut headers = vec![
        ("x-hubspot-ratelimit-max", number(caps.burst)),
        (
            "x-hubspot-ratelimit-remaining",
            number(caps.burst.saturating_sub(used)),
        ),
        (
            "x-hubspot-ratelimit-interval-milliseconds",
            HeaderValue::from_static("10000"),
        ),
        ("x-hubspot-ratelimit-secondly", number(caps.burst / 10)),
        (
            "x-hubspot-ratelimit-secondly-remaining",
            number((caps.burst / 10).saturating_sub(1)),
        ),
    ];
    if kind != BearerKind::OAuth {
        headers.push(("x-hubspot-ratelimit-daily", HeaderValue::from(caps.day)));
        headers.push((
            "x-hubspot-ratelimit-daily-remaining",
            HeaderValue::from(caps.day.saturating_sub(today)),
        ));
    }
    headers
}

fn refusal(sim: &Sim, message: &str, policy: &'static str, group: String) -> Box<Problem> {
    let mut problem = Problem::rate_limit(message, LimitFacts { policy, group });
    if let Some(wait) = sim.options.retry_after {
        problem.headers.push((
            "retry-after",
            HeaderValue::from(millis(wait).max(0).unsigned_abs().div_ceil(1000)),
        ));
    }
    problem
}

/// Calls of a portal today.
pub(super) fn used_today(sim: &Sim, hub_id: u64) -> u64 {
    let state = sim.buckets.0.lock().unwrap_or_else(PoisonError::into_inner);
    state.days.get(&hub_id).map_or(0, |day| day.1)
}

/// Calls a portal has a day.
pub(super) fn daily_cap(tier: Tier) -> u64 {
    caps(tier, BearerKind::PrivateApp).day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolling_window_forgets_what_is_older_than_it() {
        let mut window = VecDeque::new();
        assert_eq!(
            (0..3).map(|_| roll(&mut window, 0, 10, 2)).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        assert_eq!(roll(&mut window, 9, 10, 2), 3);
        assert_eq!(roll(&mut window, 10, 10, 2), 1);
    }
}
