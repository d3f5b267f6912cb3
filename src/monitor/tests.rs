//! The monitor listener over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::metrics::{Metrics, MetricsBounds};

struct Gate {
    address: SocketAddr,
    state: State,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn gate() -> Gate {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bounds = MetricsBounds {
        series: 100,
        connections: 10,
    };
    let state = State {
        readiness: Arc::new(Readiness::default()),
        metrics: Metrics::new(bounds).unwrap(),
    };
    let shutdown = CancellationToken::new();
    Gate {
        address: listener.local_addr().unwrap(),
        served: tokio::spawn(serve(listener, state.clone(), shutdown.clone())),
        state,
        shutdown,
    }
}

impl Gate {
    /// Sends one request and reads to the end of the connection.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, target: &str) -> String {
        let request = format!("GET {target} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n");
        self.raw(&request).await
    }
}

#[tokio::test]
async fn the_routes_are_these_and_no_other_and_nothing_but_get() {
    let gate = gate().await;
    for (target, status) in [
        ("/livez", "200"),
        ("/readyz", "503"),
        ("/healthz", "503"),
        ("/metrics", "200"),
        ("/", "404"),
        ("/admin", "404"),
        ("/livez/x", "404"),
    ] {
        let answer = gate.get(target).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {answer}"
        );
    }
    let posted = gate
        .raw("POST /readyz HTTP/1.1\r\nHost: gate\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    for condition in Condition::ALL {
        gate.state.readiness.set(condition, true);
    }
    assert!(gate.get("/readyz").await.ends_with("\r\n\r\nready\n"));
    assert!(gate.get("/readyz?verbose").await.contains("[+] store readable\n"));
    gate.state.readiness.drain();
    assert!(gate.get("/healthz").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_scrape_is_prometheus_text() {
    let gate = gate().await;
    let answer = gate.get("/metrics").await;
    assert!(
        answer.contains("content-type: text/plain; version=0.0.4"),
        "{answer}"
    );
    assert!(answer.contains("cache-control: no-store"), "{answer}");
    assert!(answer.contains("# TYPE scopegate_build_info gauge"), "{answer}");
}

#[tokio::test]
async fn a_huge_head_is_turned_away() {
    let gate = gate().await;
    let request = format!(
        "GET /livez HTTP/1.1\r\nHost: gate\r\nX: {}\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    // The gate may close before all is written.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn a_shutdown_closes_idle_connections_at_once() {
    let gate = gate().await;
    let mut idle = TcpStream::connect(gate.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: gate\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    gate.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(4), gate.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
