//! Clients that hold on to the gate without working: over clear text and TLS, HTTP/1.1 and HTTP/2, each is
//! let go in its time, and counted by why.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::support::canaries::heard::Overheard;
use crate::support::{Setup, World, policy, samples, within, write_secret};
use crate::tls::{Authority, client, connect};
use crate::wire::{Wire, post, request};

const LIMITS: &str = "limits: { first_byte_wait: 2s, head_wait: 2s, idle_wait: 60s, body_wait: 20s, body_rate: 1000, \
                      body_rate_over: 2s, judged_body_wait: 1m, answer_wait: 2s }\n";
const DOWNLOAD: &str = "/files/v3/files/1/download";
const SEARCH: &str = "/crm/v3/objects/contacts/search";

struct Place {
    world: World,
    authority: Option<Authority>,
    key: String,
    _files: tempfile::TempDir,
}

impl Place {
    async fn new(secure: bool) -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = secure.then(Authority::new);
        let mut config = LIMITS.to_owned();
        if let Some(authority) = &authority {
            let pair = authority.pair("gate.test");
            let (cert, key) = (files.path().join("gate.pem"), files.path().join("gate.key"));
            std::fs::write(&cert, &pair.certificate).unwrap();
            write_secret(&key, &pair.key);
            config += &format!("tls: {{ cert: {}, key: {} }}\n", cert.display(), key.display());
        }
        let rules = "allow:\n  - scope: crm.objects.contacts.read\n  - operation: [files.create, files.download.get]\n";
        let world = World::with(Setup {
            config,
            policies: vec![("files", policy("files", rules))],
            ..Setup::default()
        })
        .await;
        Self {
            key: world.key("files"),
            world,
            authority,
            _files: files,
        }
    }

    /// A connection by this protocol.
    async fn open(&self, protocol: &[u8]) -> Box<dyn Stream> {
        match &self.authority {
            None => Box::new(Overheard::connect(self.world.gate).await.unwrap()),
            Some(authority) => {
                let connector = client(authority, None, &[protocol]);
                Box::new(Overheard::over(connect(&self.world, &connector).await.unwrap()))
            }
        }
    }

    async fn given_up(&self, why: &str) -> f64 {
        let metrics = self.world.metrics().await;
        samples(&metrics, "scopegate_client_connections_ended_total")[&format!("{{why=\"{why}\"}}")]
    }

    /// Waits until so many were given up for this reason.
    async fn until_given_up(&self, why: &str, count: f64) {
        let what = format!("{count} given up by {why}");
        self.world
            .until(&what, async |_| self.given_up(why).await == count)
            .await;
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Not before its time, and not much later on a loaded machine.
fn in_time(begun: Instant, seconds: u64) {
    let took = begun.elapsed();
    let least = Duration::from_millis(seconds * 1000 - 200);
    assert!(took >= least, "let go after {took:?} already");
    assert!(
        took < Duration::from_secs(seconds + 12),
        "let go after {took:?} only"
    );
}

async fn until_closed(stream: &mut (impl AsyncRead + Unpin)) -> usize {
    let mut came = 0;
    let mut chunk = [0; 16 * 1024];
    loop {
        match within(stream.read(&mut chunk)).await {
            Ok(count) if count > 0 => came += count,
            _ => return came,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_and_does_not_ask_is_let_go_whatever_stage_it_reached() {
    for secure in [false, true] {
        let place = Place::new(secure).await;
        let gate = place.world.gate;
        let begun = Instant::now();
        let silent = async {
            let mut stream = Overheard::connect(gate).await.unwrap();
            assert_eq!(until_closed(&mut stream).await, 0);
            in_time(begun, 2);
        };
        let after_handshake = async {
            if secure {
                // The time of the handshake is part of the same wait.
                let mut stream = place.open(b"http/1.1").await;
                until_closed(&mut stream).await;
                in_time(begun, 2);
                assert!(begun.elapsed() < Duration::from_secs(14));
            }
        };
        let handshake_in_drops = async {
            let stream = Overheard::connect(gate).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            // The beginning of a ClientHello, or of a preface.
            let hello: &[u8] = if secure {
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
            } else {
                b"PRI * HTT"
            };
            for byte in hello {
                let _ = write.write_all(&[*byte]).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(until_closed(&mut read).await, 0);
            in_time(begun, 2);
        };
        tokio::join!(silent, after_handshake, handshake_in_drops);
        let expected = if secure { 3.0 } else { 2.0 };
        place.until_given_up("first_byte_wait", expected).await;
        if secure {
            let mut stream = Overheard::connect(gate).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n")
                .await
                .unwrap();
            until_closed(&mut stream).await;
            place.until_given_up("handshake", 1.0).await;
        }
    }
}

/// Writes a body in pieces of `bytes`, five a second, until an answer comes; its status and when it came.
async fn trickle(place: &Place, head: String, bytes: usize, most: usize) -> (u16, Duration) {
    let begun = Instant::now();
    let (read, mut write) = tokio::io::split(place.open(b"http/1.1").await);
    write.write_all(head.as_bytes()).await.unwrap();
    let mut reading = Wire::over(tokio::io::join(read, tokio::io::sink()));
    let mut reply = std::pin::pin!(reading.reply());
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    let mut left = most;
    loop {
        tokio::select! {
            reply = &mut reply => return (reply.expect("an answer").status, begun.elapsed()),
            _ = pace.tick() => if left > 0 {
                let piece = bytes.min(left);
                left -= piece;
                let _ = write.write_all(&b" ".repeat(piece)).await;
                let _ = write.flush().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_ended_and_a_slow_one_is_not() {
    for secure in [false, true] {
        let place = Place::new(secure).await;
        let key = &place.key;
        let judged = |length: usize| {
            post(SEARCH, key, &" ".repeat(length))
                .trim_end_matches(' ')
                .to_owned()
        };
        let streamed = |framing: &str| {
            let lines = ["Content-Type: multipart/form-data; boundary=b", framing];
            request("POST", "/files/v3/files", key, &lines, "")
        };
        let by_http2 = async {
            let stream = TokioIo::new(place.open(b"h2").await);
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
                    .await
                    .unwrap();
            let driver = tokio::spawn(connection);
            let drops = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Some((Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(b" "))), ()))
            });
            let request = Request::post(format!("http://gate.test{SEARCH}"))
                .header("authorization", format!("Bearer {key}"))
                .header("content-type", "application/json")
                .body(StreamBody::new(Box::pin(drops)))
                .unwrap();
            let begun = Instant::now();
            let answer = within(sender.send_request(request)).await.unwrap();
            driver.abort();
            (answer.status().as_u16(), begun.elapsed())
        };
        // `{"limit":1}` in 6,000 bytes: 1,500 a second are slow, and fast enough.
        let ended = tokio::join!(
            trickle(&place, judged(5000), 1, 5000),
            trickle(&place, streamed("Content-Length: 5000"), 1, 5000),
            trickle(&place, streamed("Content-Length: 5000"), 20, 5000),
            by_http2,
            trickle(&place, judged(6000), 300, 6000),
        );
        for (status, took) in [ended.0, ended.1, ended.2, ended.3] {
            assert_eq!(status, 400);
            assert!(
                took >= Duration::from_millis(1900),
                "ended after {took:?} already"
            );
            assert!(took < Duration::from_secs(15), "ended after {took:?} only");
        }
        let (status, took) = ended.4;
        assert_eq!(status, 400, "only blanks are no JSON: it was read to its end");
        assert!(
            took >= Duration::from_millis(3700),
            "a slow body is waited for: {took:?}"
        );
        // One byte each time costs the gate nothing upstream.
        let went_up = place
            .world
            .sim
            .received()
            .iter()
            .any(|received| received.status == Some(201));
        assert!(!went_up, "a part of a body was taken for the whole");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_its_answer_is_let_go() {
    for secure in [false, true] {
        let place = Place::new(secure).await;
        let asking = request("GET", DOWNLOAD, &place.key, &[], "");
        let begun = Instant::now();
        let mut unread = place.open(b"http/1.1").await;
        unread.write_all(asking.as_bytes()).await.unwrap();
        place.until_given_up("answer_wait", 1.0).await;
        in_time(begun, 2);
        let came = until_closed(&mut unread).await;
        assert!(came < 200 << 20, "it was not all held for it: {came}");

        // Over HTTP/2 the socket flows; the stream's window is shut. Only that stream ends.
        let stream = TokioIo::new(place.open(b"h2").await);
        let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(64 * 1024)
            .handshake(stream)
            .await
            .unwrap();
        let driver = tokio::spawn(connection);
        let get = |target: &str| {
            Request::get(format!("http://gate.test{target}"))
                .header("authorization", format!("Bearer {}", place.key))
                .body(Empty::<Bytes>::new())
                .unwrap()
        };
        let begun = Instant::now();
        let unread = within(sender.send_request(get(DOWNLOAD))).await.unwrap();
        place.until_given_up("answer_wait", 2.0).await;
        let other = within(sender.send_request(get("/crm/v3/objects/contacts/1001")))
            .await
            .unwrap();
        assert_eq!(other.status(), 200, "its neighbours go on");
        let broken = within(unread.into_body().collect()).await;
        in_time(begun, 2);
        assert!(broken.is_err(), "a part of an answer is no answer");
        driver.abort();
    }
}
