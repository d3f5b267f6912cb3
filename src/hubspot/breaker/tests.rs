//! When the breaker opens, whom it lets through, and how it closes.

use std::sync::{Arc, Mutex};

use super::*;

const SETTINGS: BreakerSettings = BreakerSettings {
    failures: 10,
    percent: 50,
    window: Duration::from_secs(10),
    pause: Duration::from_secs(2),
    probe: Duration::from_secs(10),
};

const SECOND: Duration = Duration::from_secs(1);
const ONE: u64 = 1001;
const OTHER: u64 = 2002;

struct Watched {
    breaker: Breaker,
    turns: Arc<Mutex<Vec<Turn>>>,
    start: Instant,
}

impl Watched {
    fn new(settings: BreakerSettings) -> Self {
        let turns = Arc::<Mutex<Vec<Turn>>>::default();
        let heard = Arc::clone(&turns);
        let breaker = Breaker::new(settings, move |turn| heard.lock().unwrap().push(turn));
        let start = breaker.epoch;
        Self {
            breaker,
            turns,
            start,
        }
    }

    fn report(&self, fate: Fate, portal: u64, at: Instant, times: u32) {
        for _ in 0..times {
            if let Ok(passage) = self.breaker.enter(at) {
                passage.report(fate, AccountBit::of(portal), at);
            }
        }
    }

    /// Open since `at`.
    fn opened(at: Duration) -> (Self, Instant) {
        let watched = Self::new(SETTINGS);
        let now = watched.start + at;
        watched.report(Fate::Unreachable, ONE, now, 10);
        assert_eq!(watched.breaker.state(), State::Open);
        (watched, now)
    }

    fn turns(&self) -> usize {
        self.turns.lock().unwrap().len()
    }
}

#[test]
fn it_opens_when_enough_failed_and_they_are_a_large_share() {
    #[rustfmt::skip]
    let cases: [(&str, u32, u32, State); 5] = [
        ("too few",                       9, 0, State::Closed),
        ("enough, and all",              10, 0, State::Open),
        ("enough, and half",             10, 10, State::Open),
        ("enough, and less than half",   10, 11, State::Closed),
        ("many, in a busy gate",        400, 401, State::Closed),
    ];
    for (label, failed, answered, state) in cases {
        let watched = Watched::new(SETTINGS);
        let now = watched.start + SECOND;
        watched.report(Fate::Answered, ONE, now, answered);
        watched.report(Fate::Unanswered, ONE, now, failed);
        assert_eq!(watched.breaker.state(), state, "{label}");
        assert_eq!(watched.turns(), usize::from(state == State::Open), "{label}");
    }
}

#[test]
fn failures_older_than_the_window_are_forgotten() {
    let watched = Watched::new(SETTINGS);
    watched.report(Fate::Unreachable, ONE, watched.start + SECOND, 9);
    watched.report(Fate::Unreachable, ONE, watched.start + 12 * SECOND, 9);
    assert_eq!(watched.breaker.state(), State::Closed);
    watched.report(Fate::Unreachable, ONE, watched.start + 13 * SECOND, 1);
    assert_eq!(watched.breaker.state(), State::Open);
}

#[test]
fn the_trouble_of_one_account_never_stops_another_that_works() {
    let watched = Watched::new(SETTINGS);
    watched.report(Fate::Answered, OTHER, watched.start, 1);
    for second in 1..60 {
        let now = watched.start + second * SECOND;
        watched.report(Fate::Unanswered, ONE, now, 100);
        watched.report(Fate::Answered, OTHER, now, 1);
    }
    assert_eq!(watched.breaker.state(), State::Closed);
    let now = watched.start + 60 * SECOND;
    watched.report(Fate::Unanswered, OTHER, now, 1);
    assert_eq!(
        watched.breaker.state(),
        State::Open,
        "now nobody is without failures"
    );
}

#[test]
fn one_that_is_switched_off_never_opens() {
    let watched = Watched::new(BreakerSettings {
        failures: 0,
        ..SETTINGS
    });
    watched.report(Fate::Unreachable, ONE, watched.start, 1_000);
    assert_eq!(watched.breaker.state(), State::Closed);
}

#[test]
fn while_it_is_open_everybody_is_told_when_to_come_again_and_not_all_the_same() {
    let (watched, now) = Watched::opened(SECOND);
    let told: Vec<Duration> = (0..200)
        .map(|_| watched.breaker.enter(now).err().unwrap().retry_after)
        .collect();
    let (least, most) = (told.iter().min().unwrap(), told.iter().max().unwrap());
    assert!(*least >= SECOND && *most <= 5 * SECOND, "{least:?} {most:?}");
    assert!(*most - *least > SECOND, "{least:?} {most:?}");
}

#[test]
fn one_probe_at_a_time_is_let_through_and_an_answer_closes_it() {
    let (watched, now) = Watched::opened(SECOND);
    let later = now + 2 * SECOND;
    let probe = watched.breaker.enter(later).ok().unwrap();
    assert!(probe.is_probe());
    assert_eq!(watched.breaker.state(), State::HalfOpen);
    assert!((0..100).all(|_| watched.breaker.enter(later).is_err()));
    probe.report(Fate::Answered, AccountBit::of(ONE), later);
    assert_eq!(watched.breaker.state(), State::Closed);
    let turns = watched.turns.lock().unwrap().clone();
    assert!(
        matches!(turns[..], [Turn::Opened { failures: 10, attempts: 10, .. }, Turn::Closed { after }] if after == 2 * SECOND),
        "{turns:?}"
    );
    drop(turns);
    watched.report(Fate::Unreachable, ONE, later, 9);
    assert_eq!(watched.breaker.state(), State::Closed, "the past is forgotten");
}

#[test]
fn a_probe_that_outlives_its_call_is_out_until_there_is_news_of_it() {
    let (watched, now) = Watched::opened(SECOND);
    let later = now + 2 * SECOND;
    let hand_over = || watched.breaker.enter(later).ok().unwrap().hand_over();
    let attempt = hand_over();
    assert_eq!(watched.breaker.state(), State::HalfOpen);
    assert!(watched.breaker.enter(later).is_err());
    watched.breaker.no_news(attempt);
    assert_eq!(watched.breaker.state(), State::Open);
    let attempt = hand_over();
    watched
        .breaker
        .report(attempt, Fate::Unreachable, AccountBit::of(ONE), later);
    assert!(watched.breaker.enter(later + SECOND).is_err(), "it failed");
    let probe = watched.breaker.enter(later + 5 * SECOND).ok().unwrap();
    let _ = probe.hand_over();
    probe.take_back();
    drop(probe);
    assert!(
        watched.breaker.enter(later + 5 * SECOND).is_ok(),
        "it is the call's again"
    );
}

#[test]
fn probes_that_fail_come_ever_more_rarely_up_to_half_a_minute() {
    let (watched, mut now) = Watched::opened(SECOND);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let failed_at = now;
        let probe = loop {
            match watched.breaker.enter(now) {
                Ok(probe) => break probe,
                Err(_) => now += Duration::from_millis(100),
            }
        };
        pauses.push(now - failed_at);
        probe.report(Fate::Unreachable, AccountBit::of(ONE), now);
        assert_eq!(watched.breaker.state(), State::Open);
    }
    for (index, pause) in pauses.iter().enumerate() {
        let whole = (2 * SECOND * 2u32.pow(index as u32)).min(Duration::from_secs(30));
        let about = whole.mul_f64(0.74)..=whole + Duration::from_millis(200);
        assert!(about.contains(pause), "{index}: {pause:?} of {whole:?}");
    }
    assert_eq!(watched.turns(), 1, "said once");
}

#[test]
fn a_probe_whose_caller_goes_away_or_that_hangs_blocks_nobody() {
    let (watched, now) = Watched::opened(SECOND);
    let later = now + 2 * SECOND;
    drop(watched.breaker.enter(later).ok().unwrap());
    assert_eq!(watched.breaker.state(), State::Open);
    let hanging = watched.breaker.enter(later).ok().unwrap();
    assert!(watched.breaker.enter(later + 9 * SECOND).is_err());
    let next = watched.breaker.enter(later + 10 * SECOND).ok().unwrap();
    next.report(Fate::Answered, AccountBit::of(ONE), later + 10 * SECOND);
    assert_eq!(watched.breaker.state(), State::Closed);
    hanging.report(Fate::Unanswered, AccountBit::of(ONE), later + 11 * SECOND);
    assert_eq!(watched.breaker.state(), State::Closed, "old news");
}

#[test]
fn a_probe_that_took_too_long_speaks_for_itself_alone() {
    let account = AccountBit::of(ONE);
    let second_of =
        |watched: &Watched, now: Instant| watched.breaker.enter(now + 10 * SECOND).ok().unwrap().hand_over();
    for (what, news) in [
        ("none", None),
        ("no connection", Some(Fate::Unreachable)),
        ("no answer", Some(Fate::Unanswered)),
    ] {
        let (watched, now) = Watched::opened(SECOND);
        let now = now + 2 * SECOND;
        let late = watched.breaker.enter(now).ok().unwrap();
        let second = second_of(&watched, now);
        let later = now + 11 * SECOND;
        match news {
            Some(fate) => late.report(fate, account, later),
            None => drop(late),
        }
        assert_eq!(
            watched.breaker.state(),
            State::HalfOpen,
            "{what}: the second is out"
        );
        assert!(watched.breaker.enter(later).is_err(), "{what}: and no third");
        watched.breaker.report(second, Fate::Unreachable, account, later);
        assert_eq!(watched.breaker.state(), State::Open, "{what}");
        assert!(
            watched.breaker.enter(later + 4 * SECOND).is_ok(),
            "{what}: one probe failed, not two"
        );
    }
    let (watched, now) = Watched::opened(SECOND);
    let now = now + 2 * SECOND;
    let late = watched.breaker.enter(now).ok().unwrap();
    let second = second_of(&watched, now);
    late.report(Fate::Answered, account, now + 11 * SECOND);
    assert_eq!(watched.breaker.state(), State::Closed, "an answer is an answer");
    watched
        .breaker
        .report(second, Fate::Unreachable, account, now + 12 * SECOND);
    assert_eq!(watched.breaker.state(), State::Closed);
}

#[test]
fn what_was_under_way_when_it_opened_neither_closes_it_nor_counts_after_it() {
    let watched = Watched::new(SETTINGS);
    let now = watched.start + SECOND;
    let early: Vec<_> = (0..30)
        .map(|_| watched.breaker.enter(now).ok().unwrap())
        .collect();
    watched.report(Fate::Unreachable, ONE, now, 10);
    for (index, passage) in early.into_iter().enumerate() {
        let fate = if index % 2 == 0 {
            Fate::Answered
        } else {
            Fate::Unanswered
        };
        passage.report(fate, AccountBit::of(ONE), now);
    }
    assert_eq!(watched.breaker.state(), State::Open);
    assert_eq!(watched.turns(), 1);
}

#[test]
fn workers_count_together_and_exactly_one_of_them_opens_it() {
    let watched = Watched::new(BreakerSettings {
        failures: 1_000,
        ..SETTINGS
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| watched.report(Fate::Unreachable, ONE, watched.start + SECOND, 300));
        }
    });
    assert_eq!(watched.breaker.state(), State::Open);
    assert_eq!(watched.turns(), 1);
}
