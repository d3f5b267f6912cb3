//! An upstream that says exactly what a test wants it to say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What is said to one request.
pub struct Script {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many of them go out at a time; none: all.
    pub piece: Option<usize>,
    /// Whether the connection ends behind them.
    pub closes: bool,
}

impl Script {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            piece: None,
            closes: false,
        }
    }

    pub fn in_pieces_of(mut self, bytes: usize) -> Self {
        self.piece = Some(bytes);
        self
    }

    pub fn closing(mut self) -> Self {
        self.closes = true;
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    /// By which connection.
    pub connection: usize,
    /// What for.
    pub target: String,
}

type Writer = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

#[derive(Default)]
struct State {
    scripts: VecDeque<Script>,
    asked: Vec<Asked>,
    left: Vec<usize>,
    writers: Vec<Writer>,
}

/// The upstream, as long as it lives.
#[derive(Clone)]
pub struct Upstream {
    pub origin: String,
    state: Arc<Mutex<State>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        upstream
    }

    /// What is said to the next request of an integration's.
    pub fn say(&self, script: Script) {
        self.state.lock().unwrap().scripts.push_back(script);
    }

    /// The requests of integrations so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The connections that the gate has ended.
    pub fn left(&self) -> Vec<usize> {
        self.state.lock().unwrap().left.clone()
    }

    /// Writes on a connection out of turn; returns when the system has taken the bytes.
    pub async fn blurt(&self, connection: usize, bytes: &[u8]) {
        let writer = Arc::clone(&self.state.lock().unwrap().writers[connection]);
        let _ = writer.lock().await.write_all(bytes).await;
    }

    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let (mut reader, writer) = stream.into_split();
        let writer = Arc::new(tokio::sync::Mutex::new(writer));
        let connection = {
            let mut state = self.state.lock().unwrap();
            state.writers.push(Arc::clone(&writer));
            state.writers.len() - 1
        };
        let mut buffer = Vec::new();
        while let Some(target) = read_request(&mut reader, &mut buffer).await {
            let script = self.script_for(connection, target);
            let mut writer = writer.lock().await;
            for piece in script.bytes.chunks(script.piece.unwrap_or(usize::MAX)) {
                if writer.write_all(piece).await.is_err() {
                    return;
                }
                if script.piece.is_some() {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            }
            if script.closes {
                let _ = writer.shutdown().await;
                return;
            }
        }
        self.state.lock().unwrap().left.push(connection);
    }

    fn script_for(&self, connection: usize, target: String) -> Script {
        if !target.starts_with("/crm/") {
            // The gate's own questions: whose the token is, nobody can tell here.
            return Script::new("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
        let id = target.rsplit('/').next().unwrap_or_default().to_owned();
        let mut state = self.state.lock().unwrap();
        state.asked.push(Asked { connection, target });
        state.scripts.pop_front().unwrap_or_else(|| {
            let body = format!(r#"{{"id":"{id}"}}"#);
            let length = body.len();
            Script::new(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
        })
    }
}

/// Reads a request with its body; the target, or nothing when the connection ends.
async fn read_request(reader: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end + 4]).into_owned();
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap());
            while buffer.len() < end + 4 + length {
                if reader.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            buffer.drain(..end + 4 + length);
            return head.split(' ').nth(1).map(str::to_owned);
        }
        if reader.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
