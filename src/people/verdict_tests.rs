use std::time::Duration;

use super::*;

const APART: Duration = Duration::from_secs(150);

fn minute(number: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + number * 300).unwrap()
}

fn rights(super_admin: bool, roles: &[&str]) -> Rights {
    Rights {
        super_admin,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

/// A poll in short: user, active owner, archived owner, log.
fn poll(user: &str, active: &str, archived: &str, log: &str) -> Sighting {
    let no = |what: &str| format!("{what}: the watcher may not ask this (403)");
    let flag = |word: &str, what| match word {
        "yes" => Told::Known(true),
        "no" => Told::Known(false),
        _ => Told::Unknown(no(what)),
    };
    Sighting {
        user: match user {
            "yes" => Told::Known(Some(rights(false, &["1"]))),
            "no" => Told::Known(None),
            _ => Told::Unknown(no("users")),
        },
        active_owner: flag(active, "owners"),
        archived_owner: flag(archived, "owners"),
        log: match log {
            "removed" => logged(Some(Presence::Removed)),
            "deactivated" => logged(Some(Presence::Deactivated)),
            "back" => logged(Some(Presence::Here)),
            "none" => logged(None),
            _ => Told::Unknown(no("security activity")),
        },
    }
}

fn logged(presence: Option<Presence>) -> Told<Logged> {
    Told::Known(Logged {
        presence,
        rights_taken: false,
    })
}

/// What is settled after each poll, five minutes apart: `here`, `deactivated`, `removed`, with `?`
/// while it is unknown.
fn told(polls: &[(&str, &str, &str, &str)]) -> Vec<String> {
    let mut held = Held::default();
    (0..)
        .zip(polls)
        .map(|(number, (user, active, archived, log))| {
            held.take(&poll(user, active, archived, log), minute(number), APART);
            let doubt = if held.unknown.is_some() { "?" } else { "" };
            format!("{}{doubt}", held.presence.as_str())
        })
        .collect()
}

const FINE: (&str, &str, &str, &str) = ("yes", "yes", "no", "none");
const GONE: (&str, &str, &str, &str) = ("no", "no", "no", "none");
const OFF: (&str, &str, &str, &str) = ("yes", "no", "yes", "none");
const REFUSED: (&str, &str, &str, &str) = ("?", "?", "?", "?");

#[test]
fn a_change_takes_two_sources_or_one_that_says_it_twice() {
    for (polls, expected) in [
        (vec![FINE, FINE], vec!["here", "here"]),
        // One source, twice.
        (vec![FINE, GONE, GONE], vec!["here", "here", "removed"]),
        (vec![FINE, OFF, OFF], vec!["here", "here", "deactivated"]),
        // Two sources, at once.
        (vec![("no", "no", "yes", "none")], vec!["removed"]),
        (vec![("no", "no", "no", "removed")], vec!["removed"]),
        (vec![("yes", "no", "yes", "deactivated")], vec!["deactivated"]),
        // One says it, then another.
        (vec![OFF, GONE], vec!["here", "removed"]),
        // It takes it back in between.
        (
            vec![GONE, FINE, GONE, GONE],
            vec!["here", "here", "here", "removed"],
        ),
        // Never an owner: the list of users and the log.
        (
            vec![("yes", "no", "no", "deactivated"); 2],
            vec!["here", "deactivated"],
        ),
        (vec![("yes", "no", "no", "none"); 2], vec!["here", "here"]),
        // Deactivated first, removed later.
        (
            vec![OFF, OFF, ("no", "no", "no", "removed")],
            vec!["here", "deactivated", "removed"],
        ),
    ] {
        assert_eq!(told(&polls), expected, "{polls:?}");
    }
}

#[test]
fn coming_back_takes_as_much() {
    let back = ("yes", "yes", "no", "back");
    for (last, expected) in [
        (vec![FINE], vec!["deactivated"]),
        (vec![FINE, FINE], vec!["deactivated", "here"]),
        (vec![back], vec!["here"]),
        (vec![REFUSED, REFUSED], vec!["deactivated?", "deactivated?"]),
    ] {
        let polls = [vec![OFF, OFF], last].concat();
        assert_eq!(told(&polls)[2..], expected, "{polls:?}");
    }
    // Listed again and an owner again: two sources against a removal.
    assert_eq!(told(&[GONE, GONE, FINE]), ["here", "removed", "here"]);
}

#[test]
fn a_log_that_forgets_a_deactivation_brings_nobody_back() {
    // Never an owner: only the log told, and it is read a month back.
    let off = ("yes", "no", "no", "deactivated");
    let forgotten = ("yes", "no", "no", "none");
    assert_eq!(
        told(&[off, off, forgotten, forgotten]),
        ["here", "deactivated", "deactivated?", "deactivated?"]
    );
    assert_eq!(
        told(&[off, off, ("yes", "no", "no", "back")]),
        ["here", "deactivated", "here"]
    );
}

#[test]
fn what_nobody_can_tell_is_unknown_and_changes_nothing() {
    for (polls, expected) in [
        (vec![FINE, REFUSED, REFUSED], vec!["here", "here?", "here?"]),
        // Only half of it could be asked.
        (vec![("yes", "?", "?", "none")], vec!["here?"]),
        (vec![("?", "no", "no", "none")], vec!["here?"]),
        (vec![("?", "yes", "no", "none")], vec!["here"]),
        // The log's scope is refused although granted: the others are enough.
        (vec![("yes", "yes", "no", "?")], vec!["here"]),
        // Evidence is evidence, whatever else could not be asked.
        (vec![("no", "?", "?", "?"); 2], vec!["here", "removed"]),
        (vec![("?", "?", "yes", "?"); 2], vec!["here", "deactivated"]),
        (vec![("?", "?", "?", "removed"); 2], vec!["here", "removed"]),
        // A refusal in between takes nothing back.
        (vec![GONE, REFUSED, GONE], vec!["here", "here?", "removed"]),
        // A path that is 404 for everybody: an active owner speaks against it.
        (
            vec![("no", "yes", "no", "none"); 3],
            vec!["here?", "here?", "here?"],
        ),
        (
            vec![("yes", "yes", "yes", "none"); 3],
            vec!["here?", "here?", "here?"],
        ),
    ] {
        assert_eq!(told(&polls), expected, "{polls:?}");
    }
}

#[test]
fn twice_means_a_poll_apart_and_never_backwards() {
    let mut held = Held::default();
    let gone = poll("no", "no", "no", "none");
    held.take(&gone, minute(1), APART);
    for early in [minute(1), minute(0), minute(1) + APART - Duration::from_secs(1)] {
        held.take(&gone, early, APART);
        assert_eq!(held.presence, Presence::Here);
    }
    held.take(&gone, minute(1) + APART, APART);
    assert_eq!(held.presence, Presence::Removed);
    assert_eq!(held.presence_since, Some(minute(1) + APART));
}

#[test]
fn a_clock_that_was_years_ahead_keeps_nobody_here_until_then() {
    let mut held = Held::default();
    let gone = poll("no", "no", "no", "none");
    held.take(&gone, minute(1_000_000), APART);
    held.take(&gone, minute(1), APART);
    assert_eq!(held.presence, Presence::Here);
    held.take(&gone, minute(2), APART);
    assert_eq!(held.presence, Presence::Removed);
    let mut held = Held::default();
    held.take(&Sighting::unknown("a"), minute(1_000_000), APART);
    held.take(&Sighting::unknown("a"), minute(1), APART);
    assert_eq!(held.unknown.unwrap().since, minute(1));
}

#[test]
fn how_long_it_is_unknown_is_counted_from_the_first_time() {
    let mut held = Held::default();
    held.take(&Sighting::unknown("a"), minute(1), APART);
    held.take(&Sighting::unknown("b"), minute(9), APART);
    let unknown = held.unknown.clone().unwrap();
    assert_eq!((unknown.since, &*unknown.why), (minute(1), "b"));
    held.take(&poll("yes", "yes", "no", "none"), minute(10), APART);
    assert_eq!((held.unknown, held.seen), (None, Some(minute(10))));
}

/// Whether rights are lost after each poll.
fn lost(polls: &[(Rights, bool)]) -> Vec<bool> {
    let mut held = Held::default();
    (0..)
        .zip(polls)
        .map(|(number, (rights, taken))| {
            let mut sighting = poll("yes", "yes", "no", "none");
            sighting.user = Told::Known(Some(rights.clone()));
            sighting.log = Told::Known(Logged {
                presence: None,
                rights_taken: *taken,
            });
            held.take(&sighting, minute(number), APART);
            held.lost_rights_since.is_some()
        })
        .collect()
}

#[test]
fn rights_are_compared_with_those_of_the_first_sight() {
    let admin = || (rights(true, &[]), false);
    let user = |roles: &[&str]| (rights(false, roles), false);
    for (polls, expected) in [
        (vec![admin(), user(&[]), user(&[])], vec![false, false, true]),
        // The log agrees.
        (vec![admin(), (rights(false, &[]), true)], vec![false, true]),
        // It is about an admin's rights: a permission set that is missing is one source's word.
        (
            vec![(rights(false, &["1"]), true), (rights(false, &["2"]), true)],
            vec![false, false],
        ),
        // An old entry of the log is about nothing that is lost.
        (vec![(rights(true, &[]), true), admin()], vec![false, false]),
        (
            vec![user(&["1"]), user(&["1", "2"]), user(&["1"])],
            vec![false, false, false],
        ),
        (
            vec![user(&["1"]), user(&["2"]), user(&["2"])],
            vec![false, false, true],
        ),
        (vec![user(&["1"]), admin(), admin()], vec![false, false, false]),
        // Given back, twice.
        (
            vec![admin(), user(&[]), user(&[]), admin(), admin()],
            vec![false, false, true, true, false],
        ),
    ] {
        assert_eq!(lost(&polls), expected, "{polls:?}");
    }
}

#[test]
fn losing_more_is_a_loss_of_its_own_date() {
    let mut held = Held::default();
    let mut at = 0;
    let mut see = |held: &mut Held, roles: &[&str]| {
        let mut sighting = poll("yes", "yes", "no", "none");
        sighting.user = Told::Known(Some(rights(false, roles)));
        held.take(&sighting, minute(at), APART);
        at += 1;
        held.lost_rights_since
    };
    assert_eq!(see(&mut held, &["1", "2"]), None);
    see(&mut held, &["1"]);
    let first = see(&mut held, &["1"]).unwrap();
    assert_eq!(see(&mut held, &["1"]), Some(first));
    see(&mut held, &[]);
    assert!(see(&mut held, &[]).unwrap() > first);
}

#[test]
fn what_is_held_survives_the_store() {
    let mut held = Held::default();
    held.take(&poll("no", "no", "no", "none"), minute(1), APART);
    let text = serde_json::to_string(&held).unwrap();
    let mut read: Held = serde_json::from_str(&text).unwrap();
    assert_eq!(read, held);
    read.take(&poll("no", "no", "no", "none"), minute(2), APART);
    assert_eq!(read.presence, Presence::Removed);
}
