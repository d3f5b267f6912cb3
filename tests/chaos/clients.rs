//! 500 programs that keep their connections open and ask again and again, whatever happens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::support::canaries::heard::Overheard;

/// Answers by connection and status.
pub type Served = BTreeMap<(&'static str, u16), u64>;

pub struct Crowd(JoinSet<Served>);

impl Crowd {
    pub fn send(count: usize, gate: SocketAddr, key: &str, names: &[&'static str]) -> Self {
        let mut tasks = JoinSet::new();
        for index in 0..count {
            let name = names[index % names.len()];
            let key = format!("{key}~{name}");
            tasks.spawn(client(gate, key, name, index as u64));
        }
        Self(tasks)
    }

    /// Waits for all of them: they end when the gate does.
    pub async fn disperse(mut self) -> Served {
        let mut all = Served::new();
        while let Some(served) = self.0.join_next().await {
            for (what, count) in served.unwrap() {
                *all.entry(what).or_default() += count;
            }
        }
        all
    }
}

/// Asks until the connection breaks.
async fn client(gate: SocketAddr, key: String, name: &'static str, index: u64) -> Served {
    let mut served = Served::new();
    let Some(mut sender) = connect(gate).await else {
        return served;
    };
    while let Some(status) = ask(&mut sender, gate, &key).await {
        *served.entry((name, status)).or_default() += 1;
        // Programs think between requests, each at its own pace.
        tokio::time::sleep(Duration::from_millis(400 + 3 * (index % 200))).await;
    }
    served
}

pub type Sender = http1::SendRequest<Empty<Bytes>>;

/// A keep-alive connection; `None` if nobody listens any more.
pub async fn connect(gate: SocketAddr) -> Option<Sender> {
    let stream = Overheard::connect(gate).await.ok()?;
    // Where nobody listens any more, a socket can end up connected to itself.
    if stream.stream.local_addr().ok()? == stream.stream.peer_addr().ok()? {
        return None;
    }
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    // Ends with the socket.
    tokio::spawn(connection);
    Some(sender)
}

/// A gate that is there answers within this.
const PATIENCE: Duration = Duration::from_secs(20);

/// The status of one read; `None` if the gate went away instead of answering.
pub async fn ask(sender: &mut Sender, gate: SocketAddr, key: &str) -> Option<u16> {
    tokio::time::timeout(PATIENCE, exchange(sender, gate, key))
        .await
        .ok()?
}

async fn exchange(sender: &mut Sender, gate: SocketAddr, key: &str) -> Option<u16> {
    let request = Request::get("/crm/v3/objects/contacts?limit=1")
        .header("host", gate.to_string())
        .header("authorization", format!("Bearer {key}"))
        .body(Empty::new())
        .unwrap();
    sender.ready().await.ok()?;
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await.ok()?;
    Some(status)
}
