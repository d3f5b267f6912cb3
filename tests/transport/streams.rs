//! Large bodies pass without being held: memory stays where it was, and whoever reads slowly is waited for.

use std::time::Duration;

use crate::child::Gate;
use crate::support::{Setup, World, policy, samples};
use crate::wire::{Wire, get, request};

const MIB: u64 = 1024 * 1024;

/// What the gate may grow by, whatever passes through it.
const GROWTH_KIB: u64 = 40 * 1024;

fn files() -> Vec<(&'static str, String)> {
    let rules =
        "allow:\n  - operation: files.create\n  - operation: files.get\n  - operation: files.download.get\n";
    vec![("files", policy("files", rules))]
}

/// The simulator's large file, and what is known of it.
const DOWNLOAD: &str = "/files/v3/files/1/download";
const FACTS: &str = "/files/v3/files/1";

#[tokio::test(flavor = "multi_thread")]
async fn a_100_mb_upload_and_a_200_mb_download_pass_in_constant_memory() {
    let mut world = World::with(Setup {
        policies: files(),
        ..Setup::default()
    })
    .await;
    let key = world.key("files");
    world.stop().await;
    let gate = Gate::start(&world.config());
    let mut wire = Wire::open(gate.gate).await;
    assert_eq!(wire.ask(get(FACTS, &key)).await.json()["size"], 200 * MIB);
    let before = gate.peak_kib();

    let part = |head: &str| format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n");
    let opening = part("name=\"folderPath\"")
        + "/a\r\n"
        + &part("name=\"options\"")
        + "{\"access\":\"PRIVATE\"}\r\n"
        + &part("name=\"file\"; filename=\"large.bin\"");
    let (closing, content) = ("\r\n--b--\r\n", vec![b'x'; MIB as usize]);
    let length = opening.len() as u64 + 100 * MIB + closing.len() as u64;
    for framing in [
        format!("Content-Length: {length}"),
        "Transfer-Encoding: chunked".to_owned(),
    ] {
        let chunked = framing.starts_with('T');
        let piece = |bytes: &[u8]| {
            if !chunked {
                return bytes.to_vec();
            }
            [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
        };
        let lines = ["Content-Type: multipart/form-data; boundary=b", &framing];
        let mut wire = Wire::open(gate.gate).await;
        assert!(
            wire.write(request("POST", "/files/v3/files", &key, &lines, ""))
                .await
        );
        assert!(wire.write(piece(opening.as_bytes())).await);
        let whole = piece(&content);
        for _ in 0..100 {
            assert!(wire.write(&whole).await, "the upload was broken off");
        }
        assert!(wire.write(piece(closing.as_bytes())).await);
        if chunked {
            wire.write("0\r\n\r\n").await;
        }
        let reply = wire.reply().await.unwrap();
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_eq!(reply.json()["size"], 100 * MIB);
        let received = world.sim.received().pop().unwrap();
        assert!(
            received.complete && received.body_bytes == length,
            "{}",
            received.body_bytes
        );
    }

    wire.write(get(DOWNLOAD, &key)).await;
    let head = wire.head().await.unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some(&*(200 * MIB).to_string())),
        "{head:?}"
    );
    assert_eq!(wire.skip(200 * MIB).await, 200 * MIB);
    assert_eq!(
        wire.ask(get(FACTS, &key)).await.status,
        200,
        "the connection serves on"
    );
    let growth = gate.peak_kib() - before;
    assert!(growth < GROWTH_KIB, "400 MB passed and {growth} KiB stayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_holds_up_the_upstream_not_memory_and_not_others() {
    let setup = Setup {
        policies: files(),
        config: "limits: { answer_wait: 2s }\n".into(),
        ..Setup::default()
    };
    let mut world = World::with(setup).await;
    let key = world.key("files");
    world.stop().await;
    let gate = Gate::start(&world.config());
    let mut other = Wire::open(gate.gate).await;
    assert_eq!(other.ask(get(FACTS, &key)).await.json()["size"], 200 * MIB);
    let before = gate.peak_kib();
    let mut stuck = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::open(gate.gate).await;
        wire.write(get(DOWNLOAD, &key)).await;
        assert_eq!(wire.head().await.unwrap().status, 200);
        stuck.push(wire);
    }
    for _ in 0..20 {
        assert_eq!(other.ask(get(FACTS, &key)).await.status, 200);
    }
    let inflight = async || {
        let metrics = Wire::open(gate.admin)
            .await
            .ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .await;
        samples(&metrics.text(), "scopegate_inflight_requests")[""]
    };
    assert_eq!(inflight().await, 8.0, "they wait for their readers");
    let growth = gate.peak_kib() - before;
    assert!(
        growth < GROWTH_KIB,
        "1.6 GB wait at the upstream and {growth} KiB here"
    );
    // Whoever reads on gets on.
    let mut reader = stuck.pop().unwrap();
    assert_eq!(reader.skip(200 * MIB).await, 200 * MIB);
    // The others are given up after `limits.answer_wait`, each with less than it was promised.
    let begun = std::time::Instant::now();
    while inflight().await > 0.0 {
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "clients that stopped reading are kept"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for mut wire in stuck {
        assert!(wire.skip(200 * MIB).await < 200 * MIB);
    }
}
