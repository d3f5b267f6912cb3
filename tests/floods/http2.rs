//! Floods over HTTP/2, each by the name it is known by.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use scopegate::sim::{Action, Fault, Matching};
use tokio::task::JoinSet;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Heard, PING, PRIORITY, RST_STREAM, Raw, SETTINGS,
    WINDOW_UPDATE, field, frame, head, remembered, setting,
};
use crate::ground::{Cost, Ground, READ, times};
use crate::support::{Setup, World};
use crate::wire;

/// How long the gate may take nothing, or keep an abuser's connection.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most pieces of a flood.
const PIECES: u64 = 400;

const FLOW_CONTROL_ERROR: u32 = 3;
const ENHANCE_YOUR_CALM: u32 = 11;
const INITIAL_WINDOW: u16 = 4;

/// Clients that flood at once, and how often each comes back when it was thrown out.
const ABUSERS: usize = 20;
const RETURNS: usize = 5;

/// What a flood sends next: how many of what it is counted in, and the bytes.
type Pieces = Box<dyn FnMut(u64) -> (u64, Vec<u8>) + Send>;

/// How a storm goes about it.
#[derive(Clone, Copy)]
struct Pace {
    returns: usize,
    /// Between two pieces.
    pause: Duration,
}

const AT_ONCE: Pace = Pace {
    returns: RETURNS,
    pause: Duration::ZERO,
};

/// Sends `opening` and then what `pieces` makes, until the gate closes the connection.
async fn flood(raw: &mut Raw, opening: &[u8], mut pieces: Pieces, pause: Duration) -> u64 {
    let mut sent = 0;
    if !raw.send(opening, PATIENCE).await {
        return sent;
    }
    // What is on its way when the gate closes was sent, not taken.
    for round in 0..PIECES * times() {
        let (count, bytes) = pieces(round);
        if !raw.send(&bytes, PATIENCE).await {
            break;
        }
        sent += count;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    sent
}

/// What became of a storm.
struct Stormed {
    sent: u64,
    heard: Vec<Heard>,
}

/// The same flood over many connections, each closed by the gate; what they were told.
async fn storm(
    ground: &Ground,
    name: &str,
    unit: &'static str,
    opening: &[u8],
    pieces: impl Fn() -> Pieces + Clone + Send + 'static,
) -> Vec<Heard> {
    storm_at(ground, name, unit, opening, AT_ONCE, pieces).await.heard
}

async fn storm_at(
    ground: &Ground,
    name: &str,
    unit: &'static str,
    opening: &[u8],
    pace: Pace,
    pieces: impl Fn() -> Pieces + Clone + Send + 'static,
) -> Stormed {
    let (gate, mut all, mut sent) = (ground.gate, Vec::new(), 0);
    let flooding = async {
        let begun = Instant::now();
        let mut abusers = JoinSet::new();
        for _ in 0..ABUSERS {
            let (opening, pieces) = (opening.to_vec(), pieces.clone());
            abusers.spawn(async move {
                let (mut sent, mut heard) = (0, Vec::new());
                for _ in 0..pace.returns {
                    let mut raw = Raw::open(gate, &[], true).await;
                    sent += flood(&mut raw, &opening, pieces(), pace.pause).await;
                    heard.push(
                        raw.ended(PATIENCE)
                            .await
                            .expect("the abuser's connection is closed"),
                    );
                }
                (sent, heard)
            });
        }
        for (more, heard) in abusers.join_all().await {
            sent += more;
            all.extend(heard);
        }
        let codes: BTreeSet<u32> = all.iter().filter_map(|heard| heard.goaway).collect();
        let count = all.len();
        Cost {
            sent,
            unit,
            ended: format!(
                "{count} closed in {} ms, GOAWAY {codes:?}",
                begun.elapsed().as_millis()
            ),
        }
    };
    ground.under(name, flooding).await;
    assert_eq!(all.len(), ABUSERS * pace.returns);
    Stormed { sent, heard: all }
}

/// The same frame again and again, 500 in a piece.
fn again(bytes: &[u8]) -> impl Fn() -> Pieces + Clone + Send + 'static {
    let piece = bytes.repeat(500);
    move || {
        let piece = piece.clone();
        Box::new(move |_| (500, piece.clone()))
    }
}

/// These frames for each of so many new streams in a piece.
fn streams(
    each: u32,
    of: impl Fn(u32) -> Vec<u8> + Clone + Send + 'static,
) -> impl Fn() -> Pieces + Clone + Send + 'static {
    move || {
        let of = of.clone();
        Box::new(move |round| (u64::from(each), ids(each, round).flat_map(&of).collect()))
    }
}

/// The same, and each of these streams is reset by the next piece: the gate has begun with it meanwhile.
fn reset_later(
    each: u32,
    of: impl Fn(u32) -> Vec<u8> + Clone + Send + 'static,
) -> impl Fn() -> Pieces + Clone + Send + 'static {
    move || {
        let of = of.clone();
        Box::new(move |round| {
            let before = round.checked_sub(1).into_iter();
            let resets = before.flat_map(|before| ids(each, before).flat_map(reset));
            let bytes = resets.chain(ids(each, round).flat_map(&of)).collect();
            (u64::from(each), bytes)
        })
    }
}

/// The streams of a round.
fn ids(each: u32, round: u64) -> impl Iterator<Item = u32> {
    let first = 2 * each * u32::try_from(round).unwrap() + 1;
    (0..each).map(move |index| first + 2 * index)
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])
}

/// The flood is over; the gate has closed the connection, or does so now.
async fn closed(raw: Raw, mut cost: Cost) -> (Cost, Heard) {
    let begun = Instant::now();
    let heard = raw
        .ended(PATIENCE)
        .await
        .expect("the abuser's connection is closed");
    cost.ended = format!("closed after {} ms", begun.elapsed().as_millis());
    if let Some(code) = heard.goaway {
        cost.ended.push_str(&format!(", GOAWAY {code}"));
    }
    (cost, heard)
}

fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", READ))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_ask_for_nothing_end_the_connection_and_cost_no_memory() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    let floods: [(&str, Vec<u8>); 6] = [
        (
            "SETTINGS flood",
            frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW, 65_535)),
        ),
        ("PING flood", frame(PING, 0, 0, b"12345678")),
        ("PRIORITY flood", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 7])),
        ("unknown frames", frame(0x77, 0, 0, b"whatever")),
        (
            "WINDOW_UPDATE by one",
            frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()),
        ),
        (
            "SETTINGS of many values",
            frame(SETTINGS, 0, 0, &setting(3, 100).repeat(100)),
        ),
    ];
    for (name, bytes) in &floods {
        storm(&ground, name, "frames", &[], again(bytes)).await;
    }
    let each = floods.len() * ABUSERS * RETURNS;
    assert_eq!(ground.given_up("flood").await, each as f64, "each is counted");

    // The same by a client that never reads what it is answered.
    let unread = async {
        let mut raw = Raw::open(gate, &[], false).await;
        let begun = Instant::now();
        let ping = frame(PING, 0, 0, b"12345678");
        let mut sent = flood(&mut raw, &[], again(&ping)(), Duration::ZERO).await;
        while raw.send(&ping, PATIENCE).await {
            assert!(
                begun.elapsed() < PATIENCE * 2,
                "a client that reads nothing is borne"
            );
            sent += 1;
        }
        Cost {
            sent,
            unit: "frames",
            ended: format!("closed after {} ms", begun.elapsed().as_millis()),
        }
    };
    ground.under("PING flood, unread", unread).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_thrown_away_end_the_connection() {
    let ground = Ground::new().await;
    type Of = fn(u32) -> Vec<u8>;
    let floods: [(&str, Of, bool); 5] = [
        ("rapid reset", |id| [get(id), reset(id)].concat(), true),
        (
            "made you reset: overflow",
            |id| [get(id), frame(WINDOW_UPDATE, 0, id, &[0x7f, 255, 255, 255])].concat(),
            true,
        ),
        (
            "made you reset: window 0",
            |id| [get(id), frame(WINDOW_UPDATE, 0, id, &[0; 4])].concat(),
            false,
        ),
        (
            "made you reset: data",
            |id| [get(id), frame(DATA, 0, id, b"behind the end")].concat(),
            false,
        ),
        (
            "streams beyond the bound",
            |id| frame(HEADERS, END_HEADERS, id, &head("POST", "/files/v3/files")),
            true,
        ),
    ];
    for (name, of, calm) in floods {
        let heard = storm(&ground, name, "streams", &[], streams(100, of)).await;
        if calm {
            // A GOAWAY may be lost with the connection when the client goes on sending.
            let told = heard.iter().any(|heard| heard.goaway == Some(ENHANCE_YOUR_CALM));
            assert!(told, "{name}: {heard:?}");
        }
    }
}

/// What the keyed floods read, and where they write.
const FLOODED: &str = "/crm/v3/objects/contacts/1002";
const CREATE: &str = "/crm/v3/objects/contacts";

/// Calls that the flooding integration may have under way on a worker, and the workers.
const LANE: usize = 8;
const WORKERS: usize = 2;
/// How long a call keeps its place at least: what HubSpot takes at its quickest, given up sooner or not.
const LEAST_STAY: Duration = Duration::from_millis(50);

/// The bound on frames without an answer, as the gate counts what it ended.
const FLOOD: &str = "{why=\"flood\"}";

fn is_flooding(head: &[u8]) -> bool {
    let targets = [format!("GET {FLOODED} "), format!("POST {CREATE} ")];
    targets.iter().any(|target| head.starts_with(target.as_bytes()))
}

/// Reads, then writes, that the upstream has received of the keyed floods.
fn received(ground: &Ground) -> (usize, usize) {
    let all = ground.sim().received();
    let of = |method: &str, target: &str| {
        let is_one =
            |request: &&scopegate::sim::Received| request.method == method && request.target == target;
        all.iter().filter(is_one).count()
    };
    (of("GET", FLOODED), of("POST", CREATE))
}

/// Looks again and again, as long as it is not dropped, whether every write that the upstream has received is in the
/// audit log on the disk by then; says how many writes the last look saw.
async fn watch_records(ground: &Ground, looked_at: &mut usize) {
    loop {
        let (_, writes) = received(ground);
        let text = ground.audit_text();
        let recorded = text
            .lines()
            .filter(|line| {
                line.contains("\"kind\":\"decision\"")
                    && line.contains("\"operation\":\"crm.objects.create\"")
                    && line.contains("\"decision\":\"allow\"")
            })
            .count();
        assert!(
            recorded >= writes,
            "{writes} writes have arrived, {recorded} are recorded"
        );
        *looked_at = writes;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// After a flood: whoever flooded and whoever did not are served, and nothing is under way any more.
async fn all_is_well(ground: &Ground) {
    let begun = Instant::now();
    for key in [&ground.key, &ground.flooding] {
        let reply = ground.other().await.ask(wire::get(READ, key)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    while ground.under_way().await > 0.0 {
        assert!(begun.elapsed() < PATIENCE, "calls of a flood stay under way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keyed_calls_that_are_reset_stay_within_their_lane_and_every_write_of_them_is_recorded() {
    let lane = format!("in_flight_per_integration: {LANE}, waiting_per_integration: 64");
    let (mut ground, way) = Ground::watched(&lane, is_flooding).await;
    // No answer sooner than the gate takes for the quickest: a place is used once in that time.
    let slow = Action::Delay(LEAST_STAY);
    let fault = Fault::always(Matching::path(FLOODED), slow.clone());
    ground.sim().fault(fault);
    let fault = Fault::always(Matching::path(CREATE).method("POST"), slow);
    ground.sim().fault(fault);
    let key = field("authorization", &format!("Bearer {}", ground.flooding));
    let (json, credential) = (field("content-type", "application/json"), key.clone());
    let read = move |id: u32| {
        let fields = [head("GET", FLOODED), credential.clone()].concat();
        frame(HEADERS, END_STREAM | END_HEADERS, id, &fields)
    };
    let write = move |id: u32| {
        let fields = [head("POST", CREATE), key.clone(), json.clone()].concat();
        let body = format!(r#"{{"properties":{{"firstname":"flood {id}"}}}}"#);
        [
            frame(HEADERS, END_HEADERS, id, &fields),
            frame(DATA, END_STREAM, id, body.as_bytes()),
        ]
        .concat()
    };
    let (read_off, write_off) = (read.clone(), write.clone());
    let read_off = move |id: u32| [read_off(id), reset(id)].concat();
    let write_off = move |id: u32| [write_off(id), reset(id)].concat();
    let slowly = Pace {
        returns: 1,
        pause: Duration::from_millis(20),
    };

    let begun = Instant::now();
    // As fast as they can be sent: few of them are begun before the connection is ended.
    let pieces = streams(100, read_off.clone());
    let mut reads = keyed(&ground, "rapid reset, keyed reads", AT_ONCE, pieces).await;
    let pieces = streams(100, write_off);
    let mut writes = keyed(&ground, "rapid reset, keyed writes", AT_ONCE, pieces).await;
    // Few at a time, so that each is begun: it is reset before anybody waits for anything, or on its way up.
    let pieces = streams(5, read_off);
    reads += keyed(&ground, "reset at once: keyed reads", slowly, pieces).await;
    let pieces = reset_later(5, read);
    reads += keyed(&ground, "reset on its way: reads", slowly, pieces).await;
    let mut looked_at = 0;
    let pieces = reset_later(5, write);
    tokio::select! {
        sent = keyed(&ground, "reset on its way: writes", slowly, pieces) => writes += sent,
        () = watch_records(&ground, &mut looked_at) => unreachable!("it watches without end"),
    }
    let took = begun.elapsed();

    let (reads_up, writes_up) = received(&ground);
    println!(
        "of {reads} reads and {writes} writes, {reads_up} and {writes_up} went up in {took:?}, at most {} at once; \
         {looked_at} writes were looked for while it went on",
        way.most()
    );
    assert!(
        reads_up > 0 && writes_up > 0 && looked_at > 0,
        "the flood never went up"
    );
    assert!(
        reads_up as u64 <= reads && writes_up as u64 <= writes,
        "more went up than came"
    );
    assert!(
        (2..=LANE * WORKERS).contains(&way.most()),
        "{} calls were under way at once",
        way.most()
    );
    let turns = took.as_millis() / LEAST_STAY.as_millis() + 1;
    assert!(
        (reads_up + writes_up) as u128 <= (LANE * WORKERS) as u128 * turns,
        "{reads_up} and {writes_up} went up in {took:?}"
    );

    let audit = ground.end();
    assert!(
        audit.iter().all(|line| line["kind"] != "gap"),
        "records are missing"
    );
    let mut outcomes: HashMap<&str, Vec<&serde_json::Value>> = HashMap::new();
    for line in audit.iter().filter(|line| line["kind"] == "outcome") {
        outcomes
            .entry(line["id"].as_str().unwrap())
            .or_default()
            .push(line);
    }
    for (operation, sent, up) in [
        ("crm.objects.get", reads, reads_up),
        ("crm.objects.create", writes, writes_up),
    ] {
        let decided: Vec<_> = audit
            .iter()
            .filter(|line| line["kind"] == "decision" && line["decision"] == "allow")
            .filter(|line| line["integration"] == "writer" && line["operation"] == operation)
            .collect();
        let mut went_up = 0;
        for line in &decided {
            let outcomes = outcomes
                .get(line["id"].as_str().unwrap())
                .map_or(&[][..], Vec::as_slice);
            assert_eq!(outcomes.len(), 1, "an allowed call has one outcome: {line}");
            went_up += usize::from(outcomes[0]["sent_upstream"] == true);
            // A read whose connection the upstream closed meanwhile goes up a second time, and says so.
            went_up += usize::from(outcomes[0]["replayed"] == true);
        }
        assert!(went_up >= up, "{operation}: {up} went up, {went_up} say so");
        // After each of the five floods, one read was asked for that was not reset.
        assert!(
            decided.len() as u64 <= sent + 5,
            "{operation}: more was decided than asked"
        );
    }
}

/// One flood of calls that come with a key: how many streams it had.
async fn keyed(
    ground: &Ground,
    name: &str,
    pace: Pace,
    pieces: impl Fn() -> Pieces + Clone + Send + 'static,
) -> u64 {
    let before = ground.endings().await;
    let stormed = storm_at(ground, name, "streams", &[], pace, pieces).await;
    // What ended each connection is what HTTP/2 may take of resets, or how many frames may come without an answer,
    // and none of the gate's other bounds. A GOAWAY may be lost with the connection, so not each was told.
    let mut after = ground.endings().await;
    let cut_off = after.insert(FLOOD.to_owned(), before[FLOOD]).unwrap() - before[FLOOD];
    let calm = |heard: &&Heard| heard.goaway == Some(ENHANCE_YOUR_CALM);
    let told = stormed.heard.iter().filter(calm).count();
    assert!(told as f64 + cut_off > 0.0, "{name}: {:?}", stormed.heard);
    assert_eq!(after, before, "{name}: what else ended connections");
    all_is_well(ground).await;
    stormed.sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_keeps_its_place_as_long_as_an_answer_takes() {
    const ROUNDS: u32 = 20;
    let world = World::with(Setup {
        config: "limits: { in_flight_per_integration: 1, in_flight_wait: 30s }\n".to_owned(),
        ..Setup::default()
    })
    .await;
    let key = world.key("reader");
    let slow = Action::Delay(PATIENCE);
    world.sim.fault(Fault::always(Matching::path(READ), slow));
    world.sim.forget_received();
    let mut raw = Raw::open(world.gate, &[], true).await;
    let begun = Instant::now();
    for round in 0..ROUNDS {
        let stream = 2 * round + 1;
        let fields = [
            head("GET", READ),
            field("authorization", &format!("Bearer {key}")),
        ]
        .concat();
        let request = frame(HEADERS, END_STREAM | END_HEADERS, stream, &fields);
        assert!(raw.send(&request, PATIENCE).await);
        let went_up = || {
            world
                .sim
                .received()
                .iter()
                .filter(|request| request.target == READ)
                .count()
        };
        while went_up() <= round as usize {
            assert!(begun.elapsed() < 3 * PATIENCE, "call {round} never went up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(raw.send(&reset(stream), PATIENCE).await);
    }
    let least = (ROUNDS - 1) * Duration::from_millis(50);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_without_end_and_bombs_of_fields_are_bounded() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    let opening = frame(HEADERS, 0, 1, &head("GET", READ));
    let junk = frame(CONTINUATION, 0, 1, &field("x", &"y".repeat(100)));
    storm(&ground, "CONTINUATION flood", "frames", &opening, again(&junk)).await;
    storm(
        &ground,
        "empty CONTINUATION flood",
        "frames",
        &opening,
        again(&frame(CONTINUATION, 0, 1, &[])),
    )
    .await;

    // A field of 4,000 bytes is remembered, then named again by one byte each time.
    let first = [head("GET", READ), remembered("x", &"y".repeat(4_000))].concat();
    let opening = frame(HEADERS, END_STREAM | END_HEADERS, 1, &first);
    let heard = storm(&ground, "HPACK bomb", "x 60 MB", &opening, || {
        let bomb = [head("GET", READ), vec![0x80 | 62; 15_000]].concat();
        Box::new(move |round| {
            let id = 3 + 2 * u32::try_from(round).unwrap();
            (1, frame(HEADERS, END_STREAM | END_HEADERS, id, &bomb))
        })
    })
    .await;
    let answers: usize = heard.iter().map(|heard| heard.answers).sum();
    assert!(answers <= ABUSERS * RETURNS * 10, "bombs are served: {answers}");
    ground
        .under("a head that never ends", async {
            let mut raw = Raw::open(gate, &[], true).await;
            raw.send(&frame(HEADERS, 0, 1, &head("GET", READ)), PATIENCE)
                .await;
            let cost = Cost {
                sent: 1,
                unit: "frames",
                ended: String::new(),
            };
            closed(raw, cost).await.0
        })
        .await;
    assert_eq!(ground.given_up("head_wait").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_nothing_end_the_connection() {
    let ground = Ground::new().await;
    let key = field("authorization", &format!("Bearer {}", ground.flooding));
    let json = field("content-type", "application/json");
    let fields = [head("POST", "/crm/v3/objects/contacts/search"), key, json].concat();
    let opening = frame(HEADERS, END_HEADERS, 1, &fields);
    for (name, data) in [("empty DATA flood", &b""[..]), ("DATA of one byte", b"x")] {
        storm(&ground, name, "frames", &opening, again(&frame(DATA, 0, 1, data))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn games_with_windows_end() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    let asking = |id: u32| {
        let key = field("authorization", &format!("Bearer {}", ground.flooding));
        let target = "/crm/v3/objects/contacts?limit=100";
        frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            id,
            &[head("GET", target), key].concat(),
        )
    };
    let all: Vec<u8> = (0..100).flat_map(|index| asking(1 + 2 * index)).collect();
    for (name, window, gift) in [
        ("windows of nothing", 0, 0u32),
        ("windows of one byte", 1, 0),
        ("windows that open by one", 0, 1),
    ] {
        ground
            .under(name, async {
                let mut raw = Raw::open(gate, &setting(INITIAL_WINDOW, window), true).await;
                raw.send(&all, PATIENCE).await;
                let begun = Instant::now();
                let mut sent = 100;
                while gift > 0 && begun.elapsed() < PATIENCE {
                    // Every stream a byte, ten times a second: slower than anybody may read.
                    let gifts = (0..100)
                        .flat_map(|index| frame(WINDOW_UPDATE, 0, 1 + 2 * index, &gift.to_be_bytes()));
                    if !raw.send(&gifts.collect::<Vec<u8>>(), PATIENCE).await {
                        break;
                    }
                    sent += 100;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                let cost = Cost {
                    sent,
                    unit: "frames",
                    ended: String::new(),
                };
                let (mut cost, heard) = closed(raw, cost).await;
                cost.ended = format!("{}, {} reset", cost.ended, heard.resets);
                cost
            })
            .await;
    }
    let most = frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes());
    let heard = storm(&ground, "windows that overflow", "frames", &[], again(&most)).await;
    let told = heard.iter().any(|heard| heard.goaway == Some(FLOW_CONTROL_ERROR));
    assert!(told, "{heard:?}");
}

#[test]
fn the_http2_library_is_one_that_bounds_small_frames() {
    let lock = include_str!("../../Cargo.lock");
    let version = lock.split("name = \"h2\"\nversion = \"").nth(1).unwrap();
    let version: Vec<u32> = version
        .split('"')
        .next()
        .unwrap()
        .split('.')
        .map(|part| part.parse().unwrap())
        .collect();
    assert!(version >= vec![0, 4, 18], "{version:?}");
}
