//! An answer before and on its way to the socket.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use tokio::time::Sleep;

/// HubSpot's content type, byte for byte: one client compares the string.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");

/// Bytes of a generated download that are written at once.
const GENERATED_CHUNK_BYTES: usize = 64 * 1024;

/// A status, headers and a body.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: AnswerBody,
}

impl Answer {
    /// A JSON document.
    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Self {
        // Serialising our own types cannot fail: no map with odd keys, no foreign `Serialize`.
        let body = serde_json::to_vec(value).unwrap_or_default();
        let mut answer = Self::bytes(status, Bytes::from(body));
        answer.set("content-type", JSON);
        answer
    }

    /// 200 with a JSON document.
    pub(super) fn ok(value: &impl Serialize) -> Self {
        Self::json(StatusCode::OK, value)
    }

    /// 204.
    pub(super) fn no_content() -> Self {
        Self::bytes(StatusCode::NO_CONTENT, Bytes::new())
    }

    /// Bytes without a content type.
    pub(super) fn bytes(status: StatusCode, body: Bytes) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: AnswerBody::whole(body),
        }
    }

    /// Sets a header, replacing one of that name.
    pub(super) fn set(&mut self, name: &'static str, value: HeaderValue) {
        self.headers.insert(HeaderName::from_static(name), value);
    }

    /// The body if it is held in memory, else nothing.
    pub(super) fn whole_body(&self) -> Bytes {
        match &self.body {
            AnswerBody::Whole(body) => body.clone().unwrap_or_default(),
            _ => Bytes::new(),
        }
    }

    /// As hyper writes it.
    pub(super) fn into_response(self) -> Response<AnswerBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Where the body's bytes come from.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// All of them are here.
    Whole(Option<Bytes>),
    /// So many bytes of a repeating pattern, made while writing.
    Generated { left: u64, chunk: Bytes },
    /// Some bytes of a promised length, then whatever `end` says.
    Cut {
        promised: u64,
        first: Option<Bytes>,
        end: CutEnd,
    },
    /// Piece by piece with a pause before each.
    Trickle {
        rest: Bytes,
        piece: usize,
        pause: Duration,
        timer: Option<Pin<Box<Sleep>>>,
    },
}

/// How a body that was cut goes on.
#[derive(Debug)]
pub(super) enum CutEnd {
    /// The connection closes, once what was written has left.
    Close { flushed: bool },
    /// Nothing more comes until the wait is over, then the connection closes.
    Hang(Pin<Box<Sleep>>),
}

impl AnswerBody {
    /// A body held in memory.
    pub(super) fn whole(body: Bytes) -> Self {
        Self::Whole(Some(body).filter(|body| !body.is_empty()))
    }

    /// `total` bytes of a readable pattern.
    pub(super) fn generated(total: u64) -> Self {
        let pattern: Vec<u8> = b"scopegate simulator file content \n"
            .iter()
            .copied()
            .cycle()
            .take(GENERATED_CHUNK_BYTES)
            .collect();
        Self::Generated {
            left: total,
            chunk: Bytes::from(pattern),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Whole(body) => Poll::Ready(body.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Generated { left, chunk } => {
                if *left == 0 {
                    return Poll::Ready(None);
                }
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
                *left -= take as u64;
                Poll::Ready(Some(Ok(Frame::data(chunk.slice(..take)))))
            }
            Self::Cut { first, end, .. } => match first.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => poll_cut(end, context),
            },
            Self::Trickle {
                rest,
                piece,
                pause,
                timer,
            } => poll_trickle(rest, *piece, *pause, timer, context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_none(),
            Self::Generated { left, .. } => *left == 0,
            Self::Cut { .. } => false,
            Self::Trickle { rest, .. } => rest.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(body) => body.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Generated { left, .. } => *left,
            Self::Cut { promised, .. } => *promised,
            Self::Trickle { rest, .. } => rest.len() as u64,
        })
    }
}

fn poll_cut(end: &mut CutEnd, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
    match end {
        CutEnd::Close { flushed: true } => Poll::Ready(Some(Err(io::Error::other("cut by a fault")))),
        CutEnd::Close { flushed } => {
            // One round of the connection's loop lets the first half reach the socket.
            *flushed = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
        CutEnd::Hang(timer) => {
            std::task::ready!(timer.as_mut().poll(context));
            Poll::Ready(Some(Err(io::Error::other("cut by a fault"))))
        }
    }
}

fn poll_trickle(
    rest: &mut Bytes,
    piece: usize,
    pause: Duration,
    timer: &mut Option<Pin<Box<Sleep>>>,
    context: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
    if rest.is_empty() {
        return Poll::Ready(None);
    }
    let sleep = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(pause)));
    std::task::ready!(sleep.as_mut().poll(context));
    *timer = None;
    let take = piece.clamp(1, rest.len());
    Poll::Ready(Some(Ok(Frame::data(rest.split_to(take)))))
}

/// A service that always answers.
pub(super) type Answered = Result<Response<AnswerBody>, Infallible>;
