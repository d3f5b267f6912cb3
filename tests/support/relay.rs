//! A stretch of network between gate and upstream that a test can cut.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Carries bytes both ways until it is cut.
pub struct Relay {
    pub address: SocketAddr,
    opened: Arc<AtomicUsize>,
    carrying: Arc<AtomicUsize>,
    cut: Mutex<CancellationToken>,
    next_cut: Arc<Mutex<CancellationToken>>,
    held: watch::Sender<bool>,
}

impl Relay {
    pub async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cut = CancellationToken::new();
        let (opened, next_cut) = (Arc::<AtomicUsize>::default(), Arc::new(Mutex::new(cut.clone())));
        let (count, current) = (Arc::clone(&opened), Arc::clone(&next_cut));
        let carrying = Arc::<AtomicUsize>::default();
        let open = Arc::clone(&carrying);
        let (held, holding) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut down, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let cut = current.lock().unwrap().clone();
                open.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                let mut holding = holding.clone();
                tokio::spawn(async move {
                    let _ = holding.wait_for(|held| !held).await;
                    let mut up = TcpStream::connect(upstream).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut down, &mut up) => {}
                        () = cut.cancelled() => {}
                    }
                    drop((down, up));
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            opened,
            carrying,
            cut: Mutex::new(cut),
            next_cut,
            held,
        }
    }

    /// Connections so far.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Connections that are open.
    pub fn carrying(&self) -> usize {
        self.carrying.load(Ordering::SeqCst)
    }

    /// From now on new connections carry nothing, until they are let go.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Closes every connection there is, as a server does with those that idle.
    pub fn cut(&self) {
        let next = CancellationToken::new();
        *self.next_cut.lock().unwrap() = next.clone();
        std::mem::replace(&mut *self.cut.lock().unwrap(), next).cancel();
    }
}
