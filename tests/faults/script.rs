//! An upstream that does on each connection exactly what a test says, and counts what reaches it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// What it does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Answers it, and closes the connection: the gate keeps none from one fault to the next.
    Good,
    /// Answers it, and keeps the connection.
    Keep,
    /// This answer, which says that the connection is closed after it.
    Answer(Vec<u8>),
    /// These bytes, and the connection stays open.
    Bytes(Vec<u8>),
    /// These bytes, and the connection is closed in order.
    Close(Vec<u8>),
    /// These bytes, and the connection is reset.
    Reset(Vec<u8>),
    /// These bytes, then silence.
    Hang(Vec<u8>),
    /// A head, then one byte of the body every so often.
    Trickle(Duration),
    /// The first request of a connection is answered; the second is read, and the connection closed.
    CloseWhenReused,
    /// Answered before the body was read, which is never read.
    Early(Vec<u8>),
    /// The first request of a connection is answered with bytes behind the answer.
    Surplus,
}

/// What it does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    /// Accepts, and never reads or writes a byte.
    Mute,
    /// Accepts, and is silent until the script changes; then as if it were open.
    Late,
    /// Nobody listens.
    Shut,
    /// Listens, accepts nobody, and its queue is full.
    Full,
}

/// How it speaks.
#[derive(Clone)]
pub enum Tls {
    Off,
    On(Arc<rustls::ServerConfig>),
    /// Says something in clear text to whoever comes, and closes.
    Nonsense,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// Which connection it came by.
    pub connection: usize,
}

#[derive(Default)]
struct Book {
    seen: Vec<Seen>,
    connections: usize,
    /// Connections of now, and the most there were at once.
    open: usize,
    most_open: usize,
    /// Every byte that came by a connection.
    bytes: Vec<u8>,
}

struct State {
    act: Act,
    /// For the token endpoint, if other than for the rest.
    token: Act,
    /// For calls with this token alone.
    of_token: Option<(String, Act)>,
    /// What `Good` of the token endpoint says of a token's life, as JSON.
    life: String,
    tls: Tls,
}

/// The upstream.
pub struct Scripted {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    book: Arc<Mutex<Book>>,
    door: watch::Sender<Door>,
    /// Changed whenever the script is: what hangs ends.
    turn: watch::Sender<u64>,
    standing: watch::Receiver<Door>,
    /// A connection to a full door that did not come about.
    hung: Arc<Mutex<bool>>,
}

pub fn json(status: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json;charset=utf-8\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn html(status: &str) -> Vec<u8> {
    let body = "<html><title>Bad gateway</title></html>";
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A record as HubSpot would answer it.
pub const RECORD: &str = r#"{"id":"1001","properties":{"email":"a@example.com"},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","archived":false}"#;

impl Scripted {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            act: Act::Good,
            token: Act::Good,
            of_token: None,
            life: "1800".to_owned(),
            tls: Tls::Off,
        }));
        let book = Arc::<Mutex<Book>>::default();
        let (door, wanted) = watch::channel(Door::Open);
        let (stands, standing) = watch::channel(Door::Open);
        let (turn, turns) = watch::channel(0);
        let hung = Arc::<Mutex<bool>>::default();
        let keeper = Keeper {
            address,
            state: Arc::clone(&state),
            book: Arc::clone(&book),
            turns,
            hung: Arc::clone(&hung),
        };
        tokio::spawn(keeper.keep(listener, wanted, stands));
        Self {
            address,
            state,
            book,
            door,
            turn,
            standing,
            hung,
        }
    }

    pub fn act(&self, act: Act) {
        self.state.lock().unwrap().act = act;
        self.turn.send_modify(|turn| *turn += 1);
    }

    /// What it does with the calls that carry this token, whatever it does with others.
    pub fn act_on(&self, token: &str, act: Act) {
        self.state.lock().unwrap().of_token = Some((token.to_owned(), act));
    }

    pub fn token(&self, act: Act, life: &str) {
        {
            let mut state = self.state.lock().unwrap();
            state.token = act;
            state.life = life.to_owned();
        }
        self.turn.send_modify(|turn| *turn += 1);
    }

    pub fn tls(&self, tls: Tls) {
        self.state.lock().unwrap().tls = tls;
    }

    /// Whether a connection to a full door was seen to hang.
    pub fn hung(&self) -> bool {
        *self.hung.lock().unwrap()
    }

    /// Puts the door so, and waits until it is.
    pub async fn door(&mut self, door: Door) {
        self.door.send_replace(door);
        self.turn.send_modify(|turn| *turn += 1);
        let stands = self.standing.wait_for(|stands| *stands == door);
        tokio::time::timeout(Duration::from_secs(30), stands)
            .await
            .expect("the door moves in time")
            .unwrap();
    }

    pub fn forget(&self) {
        let mut book = self.book.lock().unwrap();
        book.seen.clear();
        book.bytes.clear();
        book.connections = 0;
        book.most_open = book.open;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.book.lock().unwrap().seen.clone()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.book.lock().unwrap().bytes.clone()
    }

    pub fn connections(&self) -> usize {
        self.book.lock().unwrap().connections
    }

    /// Most connections there were at once.
    pub fn most_open(&self) -> usize {
        self.book.lock().unwrap().most_open
    }

    /// How often a request of this method to the API itself arrived.
    pub fn count(&self, method: &str) -> usize {
        let is_api = |seen: &&Seen| seen.method == method && !seen.target.starts_with("/oauth/");
        self.book.lock().unwrap().seen.iter().filter(is_api).count()
    }

    /// How often a token was asked for.
    pub fn token_count(&self) -> usize {
        let is_token = |seen: &&Seen| seen.target.starts_with("/oauth/");
        self.book.lock().unwrap().seen.iter().filter(is_token).count()
    }
}

struct Keeper {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    book: Arc<Mutex<Book>>,
    turns: watch::Receiver<u64>,
    hung: Arc<Mutex<bool>>,
}

impl Keeper {
    async fn keep(
        self,
        listener: TcpListener,
        mut wanted: watch::Receiver<Door>,
        stands: watch::Sender<Door>,
    ) {
        let mut listener = Some(listener);
        let mut fillers = Vec::new();
        let mut number = 0;
        loop {
            let door = *wanted.borrow_and_update();
            match door {
                Door::Open | Door::Mute | Door::Late => {
                    if !fillers.is_empty() {
                        fillers.clear();
                        listener = None;
                    }
                    if listener.is_none() {
                        listener = Some(self.bind(1024).await);
                    }
                }
                Door::Shut => listener = None,
                Door::Full => {
                    drop(listener.take());
                    let full = self.bind(1).await;
                    fillers = self.fill().await;
                    listener = Some(full);
                }
            }
            stands.send_replace(door);
            loop {
                let accepting = async {
                    match (&listener, door) {
                        (Some(listener), Door::Open | Door::Mute | Door::Late) => {
                            listener.accept().await.unwrap().0
                        }
                        _ => std::future::pending().await,
                    }
                };
                let stream = tokio::select! {
                    changed = wanted.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    stream = accepting => stream,
                };
                number += 1;
                self.book.lock().unwrap().connections += 1;
                self.serve(stream, number, door);
            }
        }
    }

    /// The port was its own a moment ago; whoever has it now gives it back soon.
    async fn bind(&self, backlog: u32) -> TcpListener {
        for _ in 0..300 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            if socket.bind(self.address).is_ok()
                && let Ok(listener) = socket.listen(backlog)
            {
                return listener;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the port is not to be had again");
    }

    /// Connections until one does not come about any more.
    async fn fill(&self) -> Vec<TcpStream> {
        let mut fillers = Vec::new();
        for _ in 0..64 {
            let connecting = TcpStream::connect(self.address);
            match tokio::time::timeout(Duration::from_millis(1_500), connecting).await {
                Ok(Ok(stream)) => fillers.push(stream),
                _ => {
                    *self.hung.lock().unwrap() = true;
                    break;
                }
            }
        }
        fillers
    }

    fn serve(&self, stream: TcpStream, number: usize, door: Door) {
        let (state, book, mut turns) = (
            Arc::clone(&self.state),
            Arc::clone(&self.book),
            self.turns.clone(),
        );
        turns.mark_unchanged();
        let opened = Opened::count(&book);
        tokio::spawn(async move {
            let _opened = opened;
            let mut stream = stream;
            if door == Door::Mute {
                if matches!(state.lock().unwrap().tls, Tls::Off) {
                    let _ = turns.changed().await;
                } else {
                    // Of a handshake all is read, and nothing said, until the other side has had enough.
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
                return;
            }
            if door == Door::Late {
                let _ = turns.changed().await;
            }
            let _ = stream.set_nodelay(true);
            let tls = state.lock().unwrap().tls.clone();
            let talk = Talk {
                state,
                book,
                turns,
                number,
            };
            match tls {
                Tls::Off => talk.run(Wired::Plain(stream)).await,
                Tls::Nonsense => {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                    let _ = stream.shutdown().await;
                    // Until the other side has read it and gone: a close with bytes unread would be a reset.
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                }
                Tls::On(tls) => {
                    // A client that does not like the certificate goes away.
                    if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                        talk.run(Wired::Tls(Box::new(stream))).await;
                    }
                }
            }
        });
    }
}

/// One connection that is open, counted.
struct Opened(Arc<Mutex<Book>>);

impl Opened {
    fn count(book: &Arc<Mutex<Book>>) -> Self {
        let mut counts = book.lock().unwrap();
        counts.open += 1;
        counts.most_open = counts.most_open.max(counts.open);
        drop(counts);
        Self(Arc::clone(book))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.lock().unwrap().open -= 1;
    }
}

enum Wired {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
}

impl Wired {
    fn io(&mut self) -> &mut dyn Io {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &mut **stream,
        }
    }

    /// Ends the connection with a reset, not in order.
    fn reset(self) {
        let stream = match &self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        stream.set_zero_linger().unwrap();
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

struct Talk {
    state: Arc<Mutex<State>>,
    book: Arc<Mutex<Book>>,
    turns: watch::Receiver<u64>,
    number: usize,
}

impl Talk {
    async fn run(mut self, mut wired: Wired) {
        let mut buffer = Vec::new();
        let mut served = 0;
        while let Some((head, length)) = self.head(&mut wired, &mut buffer).await {
            let (act, life) = {
                let state = self.state.lock().unwrap();
                let of_token = state.of_token.as_ref().filter(|(token, _)| head.contains(token));
                let act = match (of_token, head.contains(" /oauth/")) {
                    (Some((_, act)), _) => act.clone(),
                    (None, true) => state.token.clone(),
                    (None, false) => state.act.clone(),
                };
                (act, state.life.clone())
            };
            if !matches!(act, Act::Early(_)) && !self.body(&mut wired, &mut buffer, length).await {
                return;
            }
            served += 1;
            let good = match head.contains(" /oauth/") {
                true => json("200 OK", "", &tokens(&life)),
                false => json("200 OK", "", RECORD),
            };
            match act {
                Act::CloseWhenReused if served > 1 => return,
                Act::Good => return self.last(&mut wired, &good).await,
                Act::Answer(bytes) => return self.last(&mut wired, &bytes).await,
                Act::Keep | Act::CloseWhenReused => self.write(&mut wired, &good).await,
                Act::Surplus if served == 1 => {
                    let planted = json("200 OK", "", r#"{"id":"planted"}"#);
                    self.write(&mut wired, &[good, planted].concat()).await;
                }
                Act::Surplus => self.write(&mut wired, &good).await,
                Act::Bytes(bytes) => self.write(&mut wired, &bytes).await,
                Act::Close(bytes) => {
                    self.write(&mut wired, &bytes).await;
                    let _ = wired.io().shutdown().await;
                    return;
                }
                Act::Reset(bytes) => {
                    self.write(&mut wired, &bytes).await;
                    wired.reset();
                    return;
                }
                Act::Hang(bytes) => {
                    self.write(&mut wired, &bytes).await;
                    let _ = self.turns.changed().await;
                    return;
                }
                Act::Early(bytes) => {
                    self.write(&mut wired, &bytes).await;
                    // Whatever still comes is read by nobody, until the other side goes or the script does.
                    let _ = self.turns.changed().await;
                    return;
                }
                Act::Trickle(pause) => {
                    let whole = json("200 OK", "", RECORD);
                    let head = whole.len() - RECORD.len();
                    self.write(&mut wired, &whole[..head]).await;
                    for byte in &whole[head..] {
                        if wired.io().write_all(&[*byte]).await.is_err() {
                            return;
                        }
                        let _ = wired.io().flush().await;
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        }
    }

    /// The next head, and how long its body is.
    async fn head(&mut self, wired: &mut Wired, buffer: &mut Vec<u8>) -> Option<(String, usize)> {
        let end = loop {
            if let Some(at) = memchr::memmem::find(buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more(wired, buffer).await?;
        };
        let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
        let mut words = head.split(' ');
        self.book.lock().unwrap().seen.push(Seen {
            method: words.next().unwrap().to_owned(),
            target: words.next().unwrap().to_owned(),
            connection: self.number,
        });
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        Some((head, length.unwrap_or(0)))
    }

    async fn body(&mut self, wired: &mut Wired, buffer: &mut Vec<u8>, length: usize) -> bool {
        while buffer.len() < length {
            if self.more(wired, buffer).await.is_none() {
                return false;
            }
        }
        buffer.drain(..length);
        true
    }

    async fn more(&mut self, wired: &mut Wired, buffer: &mut Vec<u8>) -> Option<()> {
        let mut piece = vec![0; 16 * 1024];
        let count = wired
            .io()
            .read(&mut piece)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        self.book.lock().unwrap().bytes.extend_from_slice(&piece[..count]);
        buffer.extend_from_slice(&piece[..count]);
        Some(())
    }

    /// An answer that says that it is the connection's last, and the connection's end.
    async fn last(&self, wired: &mut Wired, answer: &[u8]) {
        let end = memchr::memmem::find(answer, b"\r\n").unwrap();
        let (status, rest) = answer.split_at(end);
        self.write(wired, &[status, b"\r\nConnection: close", rest].concat())
            .await;
        let _ = wired.io().shutdown().await;
    }

    async fn write(&self, wired: &mut Wired, bytes: &[u8]) {
        // A gate that has gone away is a finding of the client's side.
        let _ = wired.io().write_all(bytes).await;
        let _ = wired.io().flush().await;
    }
}

/// What the scripted token endpoint gives out.
pub const ACCESS: &str = "canary-access-0123456789";
pub const REFRESH: &str = "canary-refresh-0123456789";

fn tokens(life: &str) -> String {
    format!(
        r#"{{"access_token":"{ACCESS}","refresh_token":"{REFRESH}","expires_in":{life},"hub_id":{},"user_id":1,"token_type":"bearer"}}"#,
        crate::support::PORTAL
    )
}

/// `size` zero bytes, packed.
pub fn packed_zeros(size: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..size >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}
