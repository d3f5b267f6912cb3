//! The process: starting, refusing to start, going down in order.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use scopegate::sim::{Action, Fault, Matching};

use crate::child::Gate;
use crate::support::{World, path, scopegate};
use crate::wire::{Reply, Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

async fn ready(gate: &Gate) -> Option<Reply> {
    let stream = tokio::net::TcpStream::connect(gate.admin).await.ok()?;
    let mut wire = Wire::over(stream);
    wire.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    wire.reply().await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_readiness_goes_first_what_is_in_flight_finishes_and_the_exit_is_clean() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config.replace("delay: 0s", "delay: 1s")).unwrap();
    let mut gate = Gate::start(&world.config());
    assert_eq!(ready(&gate).await.unwrap().status, 200);
    world.sim.fault(Fault::once(
        Matching::path(GOOD),
        Action::Delay(Duration::from_millis(2500)),
    ));
    let mut in_flight = Wire::open(gate.gate).await;
    in_flight.write(get(GOOD, &key)).await;
    let mut idle = Wire::open(gate.gate).await;
    assert_eq!(
        idle.ask(get("/crm/v3/objects/contacts?limit=1", &key))
            .await
            .status,
        200
    );
    world
        .until("the slow call has gone up", async |world| {
            world.sim.received().len() == 2
        })
        .await;

    gate.signal(Signal::TERM);
    let told = Instant::now();
    world
        .until("it says that it is going down", async |_| {
            ready(&gate).await.is_some_and(|reply| reply.status == 503)
        })
        .await;
    assert!(
        told.elapsed() < Duration::from_millis(900),
        "readiness follows the signal at once"
    );
    // New connections are still taken for `shutdown.delay`: whoever balances load has not noticed yet.
    let mut late = Wire::open(gate.gate).await;
    assert_eq!(
        late.ask(get("/crm/v3/objects/contacts?limit=1", &key))
            .await
            .status,
        200
    );
    let reply = in_flight.reply().await.expect("what was in flight is answered");
    assert!(
        reply.status == 200 && reply.whole && reply.json()["id"] == "1001",
        "{reply:?}"
    );
    assert!(idle.has_ended().await && late.has_ended().await);
    assert_eq!(gate.wait().code(), Some(0), "{}", gate.log());
    assert!(tokio::net::TcpStream::connect(gate.gate).await.is_err());
    let audit = world.audit();
    let last = audit.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["event"]),
        (&"gate".into(), &"stop".into()),
        "the log was closed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_gate_on_the_same_store_exits_2_and_names_the_first() {
    let mut world = World::plain().await;
    let key = world.key("reader");
    world.stop().await;
    let mut gate = Gate::start(&world.config());
    let output = world.command(&["run"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(output.stdout.is_empty());
    assert!(
        said.contains(&gate.pid().to_string()),
        "it names who holds the store: {said}"
    );
    assert_eq!(
        Wire::open(gate.gate).await.ask(get(GOOD, &key)).await.status,
        200,
        "the first serves on"
    );
    gate.signal(Signal::KILL);
    gate.wait();
    let mut next = Gate::start(&world.config());
    assert_eq!(
        Wire::open(next.gate).await.ask(get(GOOD, &key)).await.status,
        200,
        "a killed gate leaves no lock"
    );
    next.signal(Signal::INT);
    assert_eq!(next.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_opens_no_port_and_strictness_is_asked_for() {
    let mut world = World::plain().await;
    let (key, other) = (world.key("reader"), world.key("writer"));
    world.stop().await;
    let run = |args: &[&str]| {
        let output = world.command(args);
        (
            output.status.code(),
            output.stdout,
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    // With the port of the configuration taken, a check that listened would fail.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = std::fs::read_to_string(world.config()).unwrap();
    let occupied = config.replacen(
        "listen: 127.0.0.1:0",
        &format!("listen: {}", taken.local_addr().unwrap()),
        1,
    );
    std::fs::write(world.config(), occupied).unwrap();
    assert_eq!(run(&["run", "--check"]).0, Some(0));
    let (code, said, why) = run(&["run"]);
    assert!(
        code == Some(2) && said.is_empty() && why.contains("listen"),
        "{why}"
    );
    std::fs::write(world.config(), &config).unwrap();

    std::fs::write(
        world.home().join("policies/reader.yaml"),
        "integration: reader\nallow: [",
    )
    .unwrap();
    for args in [&["run", "--strict"][..], &["run", "--strict", "--check"]] {
        let (code, said, why) = run(args);
        assert!(
            code == Some(2) && said.is_empty() && why.contains("policy"),
            "{code:?} {why}"
        );
    }
    assert_eq!(
        run(&["run", "--check"]).0,
        Some(0),
        "one broken policy is no reason not to start"
    );
    let gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    let disabled = wire.ask(get(GOOD, &key)).await;
    assert_eq!(
        (disabled.status, disabled.sub_category().as_str()),
        (401, "scopegate.policy"),
        "{disabled:?}"
    );
    assert_eq!(wire.ask(get(GOOD, &other)).await.status, 200, "nobody else's");
    drop(gate);

    std::fs::write(world.home().join("policies/_ceiling.yaml"), "deny: [").unwrap();
    assert_eq!(
        run(&["run", "--check"]).0,
        Some(2),
        "a ceiling that does not load is a reason"
    );
    std::fs::write(world.config(), config + "no_such_setting: 1\n").unwrap();
    let (code, _, why) = run(&["run", "--check"]);
    assert!(code == Some(2) && why.contains("no_such_setting"), "{why}");
    let nowhere = scopegate(&[
        "--config",
        path(&world.dir.path().join("nowhere.yaml")),
        "run",
        "--check",
    ]);
    assert_eq!(nowhere.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gate_leaves_no_core_file() {
    let mut world = World::plain().await;
    world.stop().await;
    let gate = Gate::start(&world.config());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gate.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
}
