//! The way from the gate to the upstream, watched: how many calls are under way on it at once.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct WayUp {
    /// What the gate takes for the upstream's.
    pub origin: String,
    calls: Arc<Mutex<Calls>>,
}

#[derive(Default)]
struct Calls {
    /// Each by the number of its connection, whose end at the gate is here to be asked whether it is open.
    under_way: Vec<(usize, OwnedFd)>,
    most: usize,
}

impl Calls {
    /// Of those that are under way, the gate has given up the ones whose connections it has closed: it does so
    /// before it begins another in their place, but whoever carries their bytes may not have come to it yet.
    fn begin(&mut self, number: usize, gate: OwnedFd) {
        self.under_way.push((number, gate));
        self.under_way.retain(|(_, gate)| is_open(gate));
        self.most = self.most.max(self.under_way.len());
    }

    fn end(&mut self, number: usize) {
        self.under_way.retain(|(other, _)| *other != number);
    }
}

/// Whether the other side has not closed it.
fn is_open(socket: &OwnedFd) -> bool {
    let looked = recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(looked, Ok((_, 1..)) | Err(Errno::AGAIN | Errno::INTR))
}

impl WayUp {
    /// Counts the calls that `is_of` tells by the beginnings of their heads.
    pub async fn to(origin: &str, is_of: fn(&[u8]) -> bool) -> Self {
        let upstream: SocketAddr = origin.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            calls: Arc::default(),
        };
        let calls = Arc::clone(&way.calls);
        tokio::spawn(async move {
            for number in 0.. {
                let (gate, _) = listener.accept().await.unwrap();
                let calls = Arc::clone(&calls);
                tokio::spawn(async move {
                    // Either side may close it at any time.
                    let _ = carry(number, gate, upstream, is_of, &calls).await;
                    calls.lock().unwrap().end(number);
                });
            }
        });
        way
    }

    /// Most calls that were under way at once.
    pub fn most(&self) -> usize {
        self.calls.lock().unwrap().most
    }
}

/// Carries bytes both ways. A call is under way from its first byte up to the first byte of its answer.
async fn carry(
    number: usize,
    mut gate: TcpStream,
    upstream: SocketAddr,
    is_of: fn(&[u8]) -> bool,
    calls: &Mutex<Calls>,
) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(upstream).await?;
    gate.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut is_asking = false;
    loop {
        tokio::select! {
            read = gate.read(&mut up) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                if !is_asking && is_of(&up[..count]) {
                    calls.lock().unwrap().begin(number, gate.as_fd().try_clone_to_owned()?);
                }
                is_asking = true;
                upstream.write_all(&up[..count]).await?;
            }
            read = upstream.read(&mut down) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                if std::mem::take(&mut is_asking) {
                    calls.lock().unwrap().end(number);
                }
                gate.write_all(&down[..count]).await?;
            }
        }
    }
}
