//! HubSpot's side, as fast as it can be made: one thread a core, each with a runtime and a listener of its own
//! on the same port, and answers that were rendered before the first request.
//!
//! Every request must carry the token, or is answered 401 and counted. It is no simulator: it stores nothing, and
//! gives every record the same body.

mod answers;
mod certificate;
mod connection;
mod control;
mod counts;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use answers::Answers;
use counts::{Counts, Kept};

/// Connections that wait to be accepted: all that a load opens at once.
const BACKLOG: u32 = 4_096;

/// Arguments of `rig upstream`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where its authority's certificate is written, as `ca.pem`.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A file with the token that every request must carry.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Threads; 0: one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// Arguments of `rig certificate`.
#[derive(Debug, clap::Args)]
pub struct CertificateArgs {
    /// Where they are written.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

/// A certificate of nobody's, for `localhost`.
///
/// # Errors
/// A file it can't write.
pub fn write_certificate(args: &CertificateArgs) -> io::Result<()> {
    certificate::write(&args.dir)
}

/// What all connections of a thread share.
pub(crate) struct Shared {
    answers: Arc<Answers>,
    counts: Arc<Counts>,
    kept: Arc<Kept>,
}

/// Serves until it is killed. The first line of stdout says where.
///
/// # Errors
/// A file or a port it can't have.
pub fn run(args: &Args) -> io::Result<()> {
    let token = std::fs::read_to_string(&args.token_file)?;
    let tls = certificate::generate(&args.dir)?;
    let kept = Arc::new(Kept::default());
    let (secure, clear) = (free_port()?, free_port()?);
    let origin = format!("https://localhost:{secure}");
    let answers = Arc::new(Answers::render(token.trim(), &origin));
    let threads = match args.threads {
        0 => std::thread::available_parallelism()?.get(),
        some => some,
    };
    let mut counts = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..threads {
        let shared = Arc::new(Shared {
            answers: Arc::clone(&answers),
            counts: Arc::default(),
            kept: Arc::clone(&kept),
        });
        counts.push(Arc::clone(&shared.counts));
        let acceptor = TlsAcceptor::from(Arc::clone(&tls));
        let (listening, has_opened) = std::sync::mpsc::channel();
        workers.push(std::thread::spawn(move || {
            serve(secure, clear, acceptor, shared, &listening)
        }));
        has_opened.recv().map_err(io::Error::other)?;
    }
    let control = control::start(counts, kept)?;
    let mut out = io::stdout();
    writeln!(
        out,
        "ready upstream={origin} clear=http://127.0.0.1:{clear} control=http://{control}"
    )?;
    out.flush()?;
    for worker in workers {
        worker
            .join()
            .map_err(|_| io::Error::other("a thread of the upstream panicked"))??;
    }
    Ok(())
}

/// A port that nobody has, for several listeners to share.
fn free_port() -> io::Result<u16> {
    let probe = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(probe.local_addr()?.port())
}

/// One thread: a runtime of its own, a listener of its own on each port.
fn serve(
    secure: u16,
    clear: u16,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    listening: &std::sync::mpsc::Sender<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let (secure, clear) = (listen(secure)?, listen(clear)?);
        let _ = listening.send(());
        tokio::select! {
            ended = accept_tls(&secure, acceptor, &shared) => ended,
            ended = accept_clear(&clear, &shared) => ended,
        }
    })
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

async fn accept_tls(listener: &TcpListener, acceptor: TlsAcceptor, shared: &Arc<Shared>) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(shared));
        tokio::task::spawn_local(async move {
            // What ends a connection is the peer's business: what it did not get, the driver misses.
            if let Ok(stream) = acceptor.accept(socket).await {
                let is_resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
                shared.counts.connected(is_resumed);
                let _ = connection::serve(stream, &shared).await;
            }
        });
    }
}

async fn accept_clear(listener: &TcpListener, shared: &Arc<Shared>) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let shared = Arc::clone(shared);
        tokio::task::spawn_local(async move {
            shared.counts.connected(false);
            let _ = connection::serve(socket, &shared).await;
        });
    }
}
