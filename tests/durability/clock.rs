//! The wall clock, set by hours and by years while the gate runs.

use rustix::process::Signal;

use crate::oauth;
use crate::place::{Faults, PATIENCE, metric, read, start, until};
use crate::row;

const HOUR: i64 = 3_600;

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_jumps_brings_nothing_back_to_life_and_costs_no_token() {
    let mut place = oauth::Place::new().await;
    // The policy of `reader` ends in a year by the calendar; a key of it ends in a day.
    let policies = place.world.home().join("policies");
    let year = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 365);
    let day = year.strftime("%Y-%m-%d").to_string();
    let text = std::fs::read_to_string(policies.join("narrow.yaml")).unwrap();
    std::fs::write(policies.join("narrow.yaml"), format!("{text}expires: {day}\n")).unwrap();
    let key = |integration: &str, more: &[&str]| {
        let mut args = vec!["key", "create", "--integration", integration];
        args.extend(more);
        oauth::ok(&place.world, &args)
    };
    let brief = key("reader", &["--connection", "acme", "--expires", "1d"]);
    let dated = key("narrow", &["--connection", "acme"]);
    let (oauth_key, static_key) = (place.key.clone(), place.other.clone());
    place.world.stop().await;

    let faults = Faults::at(place.world.dir.path());
    let mut gate = start(&place.world.config(), &faults);
    let statuses = async |gate: &crate::child::Gate| {
        let mut all = Vec::new();
        for key in [&oauth_key, &static_key, &brief, &dated] {
            all.push(read(gate, key).await.status);
        }
        all
    };
    assert_eq!(statuses(&gate).await, [200, 200, 200, 200]);
    let asked = |place: &oauth::Place| {
        let received = place.world.sim.received();
        received
            .iter()
            .filter(|received| received.target.starts_with("/oauth/"))
            .count()
    };
    let refreshes = asked(&place);

    let year_zero = -jiff::Timestamp::now().as_second();
    let steps: [(&str, i64, [u16; 4], &str); 6] = [
        ("3 h forward", 3 * HOUR, [200, 200, 200, 200], "forward"),
        ("back again", 0, [200, 200, 200, 200], "back"),
        ("3 h back", -3 * HOUR, [200, 200, 200, 200], "back"),
        (
            "10 years forward",
            10 * 365 * 24 * HOUR,
            [200, 200, 401, 401],
            "forward",
        ),
        ("back again", 0, [200, 200, 401, 401], "back"),
        ("back to 1970", year_zero, [200, 200, 401, 401], "back"),
    ];
    let mut jumps = [0.0, 0.0];
    for (step, seconds, expected, direction) in steps {
        faults.set(&[&format!("wall-clock=return({seconds})")]).await;
        jumps[usize::from(direction == "back")] += 1.0;
        until(&format!("{step} is noticed"), async || {
            let labels = format!("{{direction=\"{direction}\"}}");
            metric(&gate, "scopegate_clock_jumps_total", &labels).await
                == jumps[usize::from(direction == "back")]
        })
        .await;
        assert_eq!(statuses(&gate).await, expected, "{step}");
        let stop = place
            .command(&["kill", "--integration", "reader", "--reason", "test"])
            .await;
        assert!(
            stop.status.success(),
            "a stop is in force whatever the clock says"
        );
        assert_eq!(read(&gate, &static_key).await.status, 401, "{step}");
        place
            .command(&["revive", "--integration", "reader", "--reason", "test"])
            .await;
        until("it passes again", async || {
            read(&gate, &static_key).await.status == 200
        })
        .await;
    }
    assert_eq!(asked(&place), refreshes, "no token was thought to be expired");
    assert!(gate.log().contains("clock.jumped"), "{}", gate.log());
    let recorded = || {
        let lines = place.world.audit();
        lines.iter().filter(|line| line["event"] == "clock").count()
    };
    until("every jump is recorded", async || recorded() == 6).await;

    // The next start believes the clock it finds, and the token's age by the machine's own clock.
    gate.signal(Signal::KILL);
    gate.wait();
    faults.set_before_start(&[]);
    let gate = start(&place.world.config(), &faults);
    assert_eq!(statuses(&gate).await, [200, 200, 200, 200]);
    assert_eq!(asked(&place), refreshes, "{PATIENCE:?}");
    row(
        "the wall clock is set forward",
        "keys and policies expire by it; tokens, limits and waits do not notice; `clock.jumped`, \
         `scopegate_clock_jumps_total{direction=\"forward\"}`",
        "set it right and start the gate anew if the time was wrong",
    );
    row(
        "the wall clock is set back, to 1970 if need be",
        "what had expired stays expired, everything goes on ageing; `direction=\"back\"`",
        "by itself",
    );
}
