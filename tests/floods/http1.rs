//! Floods over HTTP/1.1.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::ground::{Cost, Ground, READ, times};
use crate::support::canaries::heard::Overheard;
use crate::wire::{Wire, get};

/// How long the gate may keep an abuser's connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until the gate closes; how much came.
async fn until_closed(stream: &mut Overheard) -> usize {
    let mut came = 0;
    let mut chunk = [0; 16 * 1024];
    loop {
        match tokio::time::timeout(PATIENCE, stream.read(&mut chunk)).await {
            Err(_) => panic!("the abuser's connection stays open"),
            Ok(Ok(count)) if count > 0 => came += count,
            Ok(_) => return came,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_bombs_of_fields_end_their_connections() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    ground
        .under("slow heads", async {
            let mut slow = JoinSet::new();
            for _ in 0..150 {
                slow.spawn(async move {
                    let stream = Overheard::connect(gate).await.unwrap();
                    let (mut read, mut write) = stream.into_split();
                    write
                        .write_all(b"GET / HTTP/1.1\r\nHost: gate\r\nX: ")
                        .await
                        .unwrap();
                    let begun = Instant::now();
                    let mut byte = [0; 1];
                    // One byte, four times a second, until the gate has had enough.
                    while begun.elapsed() < PATIENCE {
                        let _ = write.write_all(b"y").await;
                        let read = tokio::time::timeout(Duration::from_millis(250), read.read(&mut byte));
                        if read.await.is_ok() {
                            return begun.elapsed();
                        }
                    }
                    panic!("a slow head is borne for {PATIENCE:?}");
                });
            }
            let longest = slow.join_all().await.into_iter().max().unwrap();
            Cost {
                sent: 150,
                unit: "connections",
                ended: format!("closed after {} ms at most", longest.as_millis()),
            }
        })
        .await;
    assert_eq!(ground.given_up("head_wait").await, 150.0, "each is counted");
    let many = format!("GET / HTTP/1.1\r\nHost: gate\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let long = format!("GET / HTTP/1.1\r\nHost: gate\r\nX: {}", "y".repeat(1 << 20));
    for (name, bomb) in [("many fields", many), ("one long field", long)] {
        ground
            .under(name, async {
                let count = 200 * times();
                for _ in 0..count {
                    let mut wire = Wire::open(gate).await;
                    wire.write(&bomb).await;
                    let reply = wire.reply().await.expect("an answer");
                    assert_eq!(
                        (reply.status, reply.sub_category().as_str()),
                        (400, "scopegate.refused")
                    );
                    assert!(wire.has_ended().await);
                }
                Cost {
                    sent: count,
                    unit: "heads",
                    ended: "400, closed".into(),
                }
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_one_another_are_taken_one_by_one() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    let piece = get(READ, "not a key").repeat(200);
    ground
        .under("pipelining, read", async {
            let stream = Overheard::connect(gate).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let count = 10 * times();
            let bytes = piece.clone();
            let writing = tokio::spawn(async move {
                for _ in 0..count {
                    write.write_all(bytes.as_bytes()).await.unwrap();
                }
                write
            });
            let (mut answered, mut text) = (0, Vec::new());
            while answered < count * 200 {
                let read = tokio::time::timeout(PATIENCE, read.read_buf(&mut text));
                assert!(
                    read.await.expect("it goes on").unwrap() > 0,
                    "closed after {answered}"
                );
                let mark = b"HTTP/1.1 401";
                answered += memchr::memmem::find_iter(&text, mark).count() as u64;
                let last = memchr::memmem::rfind(&text, mark).map_or(0, |at| at + 1);
                text.drain(..last);
            }
            drop(writing.await.unwrap());
            Cost {
                sent: count * 200,
                unit: "requests",
                ended: "all answered".into(),
            }
        })
        .await;
    ground
        .under("pipelining, unread", async {
            let mut stream = Overheard::connect(gate).await.unwrap();
            let begun = Instant::now();
            let mut sent = 0;
            // The gate stops reading when its answers are not taken, and then closes.
            while stream.write_all(piece.as_bytes()).await.is_ok() {
                sent += 200;
                assert!(
                    begun.elapsed() < PATIENCE * 2,
                    "{sent} requests of a client that reads nothing"
                );
            }
            Cost {
                sent,
                unit: "requests",
                ended: format!("closed after {} ms", begun.elapsed().as_millis()),
            }
        })
        .await;
    assert!(ground.given_up("answer_wait").await >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_capped_and_silent_ones_end() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    ground
        .under("connections", async {
            let mut open = Vec::new();
            for _ in 0..1000 {
                open.push(Overheard::connect(gate).await.unwrap());
            }
            let begun = Instant::now();
            let mut said = 0;
            for stream in &mut open {
                said += until_closed(stream).await;
            }
            assert_eq!(said, 0, "who never asked gets no answer");
            Cost {
                sent: 1000,
                unit: "connections",
                ended: format!("all closed after {} ms", begun.elapsed().as_millis()),
            }
        })
        .await;
    let refused = ground.given_up("connections_per_address").await;
    let silent = ground.given_up("first_byte_wait").await;
    assert!(
        refused > 0.0 && silent >= 200.0,
        "{refused} refused, {silent} silent"
    );
    assert_eq!(refused + silent, 1000.0, "each is counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_tiny_chunks_is_bounded() {
    let ground = Ground::new().await;
    let gate = ground.gate;
    ground
        .under("chunks of one byte", async {
            let mut stream = Overheard::connect(gate).await.unwrap();
            let head = format!(
                "POST /crm/v3/objects/contacts/search HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                ground.flooding
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let piece = b"1\r\n \r\n".repeat(10_000);
            let begun = Instant::now();
            let mut sent = 0;
            while stream.write_all(&piece).await.is_ok() {
                sent += 10_000;
                assert!(begun.elapsed() < PATIENCE * 2, "{sent} chunks and no end");
            }
            Cost {
                sent,
                unit: "chunks",
                ended: format!("closed after {} ms", begun.elapsed().as_millis()),
            }
        })
        .await;
}
