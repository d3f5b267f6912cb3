//! A stretch of network between gate and upstream that a test can cut.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Carries bytes both ways until it is cut.
pub struct Relay {
    pub address: SocketAddr,
    opened: Arc<AtomicUsize>,
    carrying: Arc<AtomicUsize>,
    cut: Mutex<CancellationToken>,
    next_cut: Arc<Mutex<CancellationToken>>,
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
        tokio::spawn(async move {
            while let Ok((mut down, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let cut = current.lock().unwrap().clone();
                open.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                tokio::spawn(async move {
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

    /// Closes every connection there is, as a server does with those that idle.
    pub fn cut(&self) {
        let next = CancellationToken::new();
        *self.next_cut.lock().unwrap() = next.clone();
        std::mem::replace(&mut *self.cut.lock().unwrap(), next).cancel();
    }
}
