//! The install pages stand on the internet: who is slow keeps no place for long, and a crowd costs little.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::process::Outside;
use crate::process::child::Gate;
use crate::support::{monitor, within};
use crate::world::{Installs, PUBLIC};

/// From accept to the end of a head, and between two requests of one connection: the listener's own bound, which no
/// setting changes.
const HEAD: Duration = Duration::from_secs(15);

/// Connections that the listener has open from one address. Others have places of their own.
const PLACES: usize = 512;

/// Most memory that one place may cost, in KiB: a head of 16 KiB where it is judged and where it is read, buffers that
/// have grown to twice what is in them, and the task. A debug build was seen to take 36.
const PLACE_KIB: u64 = 96;

/// What two busy cores may add to any answer.
const ALLOWANCE: Duration = Duration::from_secs(3);

const GOOD: &str = "GET /nowhere HTTP/1.1\r\nHost: connect.example.com\r\n\r\n";
const HALF: &str = "GET /install HTTP/1.1\r\nHost: connect.example.com\r\nCookie: ";

/// Sends this, and then a byte four times a second if it `trickles`: what comes back, and after how long the gate has
/// had enough.
async fn slow(address: SocketAddr, sent: &str, trickles: bool) -> (String, Duration) {
    let begun = Instant::now();
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    write.write_all(sent.as_bytes()).await.unwrap();
    let (mut came, mut chunk) = (Vec::new(), [0; 4096]);
    while begun.elapsed() < HEAD * 2 {
        match tokio::time::timeout(Duration::from_millis(250), read.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(count)) => came.extend_from_slice(&chunk[..count]),
            // A gate that has closed is a finding of the next read.
            Err(_) if trickles => drop(write.write_all(b"x").await),
            Err(_) => {}
        }
    }
    (String::from_utf8(came).unwrap(), begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_get_to_the_end_of_a_request_is_given_up_in_time() {
    let installs = Installs::new().await;
    let address = installs.world.server().install.unwrap();
    let next = format!("{GOOD}{HALF}");
    // What is sent, whether it trickles, how many answers come, and after how long the gate closes.
    let clients = [
        ("nothing", "", false, 0, HEAD),
        ("half a head", HALF, false, 0, HEAD),
        ("a head byte by byte", HALF, true, 0, HEAD),
        ("nothing behind a request", GOOD, false, 1, HEAD),
        ("half a head behind a request", &next, false, 1, HEAD),
        ("a head byte by byte behind a request", &next, true, 1, HEAD),
        // No page reads a body, so that none is waited for.
        (
            "a length and no body",
            "GET /install HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
            false,
            1,
            Duration::ZERO,
        ),
        (
            "a body byte by byte",
            "POST /install HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
            true,
            1,
            Duration::ZERO,
        ),
        (
            "a body that waits to be asked for",
            "POST /install HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            false,
            1,
            Duration::ZERO,
        ),
        (
            "chunks that never come",
            "POST /install HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            1,
            Duration::ZERO,
        ),
    ];
    let seen = clients.map(|(_, sent, trickles, ..)| slow(address, sent, trickles));
    for ((what, _, _, answers, least), (came, took)) in clients.iter().zip(join_all(seen).await) {
        assert_eq!(came.matches("HTTP/1.1 ").count(), *answers, "{what}: {came}");
        let is_answer = came.starts_with("HTTP/1.1 404 ") || came.starts_with("HTTP/1.1 400 ");
        assert_eq!(is_answer, *answers > 0, "{what}: {came}");
        assert!(
            (*least..*least + ALLOWANCE).contains(&took),
            "{what}: closed after {took:?}, not after {least:?} and at most {ALLOWANCE:?} more"
        );
    }
}

/// From 127.0.0.2, with a page and nothing else on the connection: the answer, and after how long.
async fn other(address: SocketAddr, request: &str) -> (String, Duration) {
    let begun = Instant::now();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut came = String::new();
    stream.read_to_string(&mut came).await.unwrap();
    (came, begun.elapsed())
}

/// Asks for a page, sends most of a head behind it, and stays for as long as it may.
async fn stay(address: SocketAddr, served: Arc<AtomicUsize>, turned_away: Arc<AtomicUsize>) {
    let sent = format!("{GOOD}{HALF}{}", "x".repeat(16_000));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut chunk = [0; 4096];
    // A gate that has no place closes.
    if stream.write_all(sent.as_bytes()).await.is_err()
        || !stream.read(&mut chunk).await.is_ok_and(|count| count > 0)
    {
        turned_away.fetch_add(1, Ordering::Relaxed);
        return;
    }
    served.fetch_add(1, Ordering::Relaxed);
    while stream.read(&mut chunk).await.is_ok_and(|count| count > 0) {}
}

/// How many of so many have been served, once each was or was turned away.
async fn settled(crowd: usize, served: &AtomicUsize, turned_away: &AtomicUsize) -> usize {
    let begun = Instant::now();
    loop {
        let now = served.load(Ordering::Relaxed);
        if now + turned_away.load(Ordering::Relaxed) == crowd {
            return now;
        }
        assert!(begun.elapsed() < HEAD, "still more: {now}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_from_one_address_has_so_many_places_and_others_get_theirs() {
    const CROWD: usize = PLACES + 44;
    let outside = Outside::new().await;
    let mut gate = Gate::start(&outside.config());
    let address = gate.install.unwrap();
    let link = outside.link();
    let target = link.strip_prefix(PUBLIC).unwrap();
    let page = format!("GET {target} HTTP/1.1\r\nHost: connect.example.com\r\nConnection: close\r\n\r\n");
    let (first, took) = within(other(address, &page)).await;
    assert!(first.starts_with("HTTP/1.1 200 ") && took < ALLOWANCE, "{first}");
    let before = gate.peak_kib();

    let (served, turned_away) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mut crowd = JoinSet::new();
    for _ in 0..CROWD {
        crowd.spawn(stay(address, Arc::clone(&served), Arc::clone(&turned_away)));
    }
    let count = settled(CROWD, &served, &turned_away).await;
    assert_eq!(count, PLACES, "of {CROWD}");

    // It is the pages' own crowd: calls and operators notice nothing.
    let call = "GET /crm/v3/objects/contacts/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let (refused, took) = within(other(gate.gate, call)).await;
    assert!(
        refused.starts_with("HTTP/1.1 401 ") && took < ALLOWANCE,
        "{took:?}: {refused}"
    );
    assert_eq!(within(monitor(gate.admin, "/readyz")).await.trim(), "ready");

    let (came, took) = within(other(address, &page)).await;
    assert!(came.starts_with("HTTP/1.1 200 "), "{came}");
    assert!(took < ALLOWANCE, "{took:?}");
    let grown = gate.peak_kib() - before;
    assert!(
        grown < PLACES as u64 * PLACE_KIB,
        "{CROWD} connections took {grown} KiB"
    );
    let log = gate.log();
    assert!(!log.contains("panic.id"), "{log}");
    // 44 were turned away, and the log is not their victim.
    assert_eq!(log.matches("listener.full").count(), 1, "{log}");
    assert!(
        log.contains(r#""connections":0,"connections_per_address":1,"#),
        "the first at once: {log}"
    );
    // And of the others when there is an end of it.
    gate.signal(Signal::TERM);
    tokio::task::block_in_place(|| gate.wait());
    let log = gate.log();
    assert_eq!(log.matches("listener.full").count(), 2, "{log}");
    assert!(
        log.contains(r#""connections":0,"connections_per_address":43,"#),
        "{log}"
    );
}
