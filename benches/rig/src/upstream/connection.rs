//! One connection: heads are read by httparse, bodies are read and dropped, answers are written whole.
//!
//! Requests come from a proxy under test, on loopback; whatever is malformed ends the connection.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Shared;
use super::answers::Question;
use crate::target::chunks_end;

/// Longest head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Fields of a head; gates send about ten.
const FIELDS_MAX: usize = 64;
/// What is read at once.
const READ_BYTES: usize = 16 * 1024;
/// How every key of a gate begins. None may arrive here.
const KEY: &[u8] = b"sg_l_";

/// What follows a head.
enum Body {
    Length(usize),
    Chunked,
}

/// Serves a connection until it ends.
///
/// # Errors
/// What ended it.
pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> io::Result<()> {
    let mut read = Vec::with_capacity(READ_BYTES);
    loop {
        let head_end = loop {
            if let Some(at) = memmem::find(&read, b"\r\n\r\n") {
                break at + 4;
            }
            if read.len() > HEAD_BYTES_MAX {
                return Err(malformed());
            }
            if more(&mut stream, &mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = read.get(..head_end).ok_or_else(malformed)?;
        shared.kept.head(head);
        let (answer, body) = answer(head, shared)?;
        let end = match body {
            Body::Length(length) => head_end + length,
            Body::Chunked => loop {
                if let Some(end) = chunks_end(&read, head_end)? {
                    break end;
                }
                if more(&mut stream, &mut read).await? == 0 {
                    return Err(malformed());
                }
            },
        };
        while read.len() < end {
            if more(&mut stream, &mut read).await? == 0 {
                return Err(malformed());
            }
        }
        read.drain(..end);
        stream.write_all(answer).await?;
        stream.flush().await?;
    }
}

async fn more(stream: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> io::Result<usize> {
    read.reserve(READ_BYTES);
    stream.read_buf(read).await
}

fn answer<'a>(head: &[u8], shared: &'a Shared) -> io::Result<(&'a [u8], Body)> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).map_err(io::Error::other)?;
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(malformed());
    };
    let mut question = Question {
        method,
        target,
        authorization: None,
    };
    let mut body = Body::Length(0);
    let mut authorizations = 0;
    for field in request.headers.iter() {
        if field.name.eq_ignore_ascii_case("authorization") {
            authorizations += 1;
            question.authorization = Some(field.value).filter(|_| authorizations == 1);
        } else if field.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(field.value)
                .ok()
                .and_then(|text| text.parse().ok());
            body = Body::Length(length.ok_or_else(malformed)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        }
    }
    let (taken, found) = shared.answers.to(&question);
    shared.counts.requested(taken, memmem::find(head, KEY).is_some());
    let answer = found.unwrap_or_else(|| {
        shared.counts.unknown();
        shared.answers.unknown()
    });
    Ok((answer, body))
}

fn malformed() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}
