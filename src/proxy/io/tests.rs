//! A client's stream under TLS, whose layer may hold what the socket does not take.

use std::future::poll_fn;
use std::sync::Arc;

use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::hubspot::connect::{Upstream, UpstreamStream, client_tls};

const PATIENCE: Duration = Duration::from_secs(10);

/// A connection of which the gate has these first bytes, and its client.
async fn connected(first: &[u8]) -> (Io, UpstreamStream) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let private = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], private.into())
        .unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // A client that does not read is felt soon.
    socket.set_send_buffer_size(4 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let trust = client_tls(Some(own.cert.pem().as_bytes())).unwrap();
    let client = Upstream::new(&url, trust, true).unwrap();
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(server)).accept(stream).await.unwrap()
    };
    let (stream, client) = tokio::join!(accepting, client.connect());
    let deadlines = Deadlines {
        first_byte: Instant::now() + PATIENCE,
        idle: PATIENCE,
        head: PATIENCE,
        write: PATIENCE,
        rate: Rate {
            bytes_per_second: 1,
            over: PATIENCE,
        },
    };
    let guard = Front::Guard(Guard::new(8 * 1024, 100));
    let io = Io::new(
        Socket::Tls(Box::new(stream)),
        first,
        guard,
        Activity::default(),
        deadlines,
    );
    (io, client.unwrap())
}

#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told_though_the_socket_was_full_at_that_moment() {
    let head = b"POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let (mut io, mut client) = connected(head).await;
    assert!(poll_fn(|cx| io.poll_head(cx)).await.unwrap().is_some());
    // Of answers before it, more than the client has read.
    let mut before = 0;
    poll_fn(|cx| {
        while Pin::new(&mut io).poll_flush(cx).is_ready() {
            match Pin::new(&mut io).poll_write(cx, &[b'x'; 16 * 1024]) {
                Poll::Ready(count) => before += count.unwrap(),
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
    io.expect_body();
    assert!(poll_fn(|cx| Poll::Ready(io.poll_body(cx).is_pending())).await);
    let going_on = async {
        let mut read = vec![0; before + CONTINUE.len()];
        client.read_exact(&mut read).await.unwrap();
        assert!(read.ends_with(CONTINUE));
        client.write_all(b"ok").await.unwrap();
        client.flush().await.unwrap();
    };
    let both = async { tokio::join!(poll_fn(|cx| io.poll_body(cx)), going_on) };
    let (body, ()) = tokio::time::timeout(PATIENCE / 2, both)
        .await
        .expect("it is told");
    assert_eq!(body.unwrap().unwrap(), b"ok"[..]);
}
