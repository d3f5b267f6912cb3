//! Uploading a file: multipart, read as it comes, of any size up to the bound.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, StatusCode};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;

use super::answer::Answer;
use super::authenticate::authenticate;
use super::call::{Call, Cx, Who};
use super::files::{StoredFile, described};
use super::problem::{Handled, Problem};
use super::rate_limit;
use super::recorder::{BodyRecord, hex};
use super::scopes::Need;
use super::simulator::Sim;

const WRITE: Need = &[&["files"], &["files.write"], &["files.ui_hidden.write"]];
/// Content that is kept for a later download.
const KEPT_BYTES: usize = 256 * 1024;
/// Text fields beside the file.
const FIELD_BYTES: usize = 64 * 1024;
/// Parts of one upload.
const PARTS: usize = 20;
/// Files of one portal.
const FILES: usize = 10_000;

/// Whether a call is an upload.
pub(super) fn takes(call: &Call) -> bool {
    let modern = call.version == "v3" || call.is_dated();
    call.method == Method::POST && modern && call.words.iter().map(String::as_str).eq(["files", "files"])
}

/// What the parts said.
#[derive(Default)]
struct Parts {
    file: Option<FilePart>,
    file_name: Option<String>,
    folder: Option<String>,
    options: Option<String>,
}

struct FilePart {
    name: String,
    bytes: u64,
    sha256: String,
    content: Option<Bytes>,
}

/// Reads the upload and answers 201. A refusal is given after the body was read, so that clients hear it.
pub(super) async fn handle(sim: &Sim, call: &Call, body: Incoming, sequence: u64) -> Handled<Answer> {
    let who = admit(sim, call);
    let record = Arc::new(Mutex::new(Some(sim.recorder.body())));
    let (parts, complete) = match boundary(call) {
        Some(boundary) if who.is_ok() => (read_parts(sim, body, boundary, &record).await, true),
        _ => drain(sim, body, &record).await,
    };
    if let Some(record) = record.lock().unwrap_or_else(PoisonError::into_inner).take() {
        sim.recorder
            .body_read(sequence, record, complete && parts.is_ok());
    }
    let who = who?;
    store(Cx { sim, call, who: &who }, parts?)
}

/// Authentication, limits and scope, before a byte of the body is looked at.
fn admit(sim: &Sim, call: &Call) -> Handled<Who> {
    let who = authenticate(sim, call)?;
    rate_limit::count(sim, call, &who)?;
    if who.read_only {
        return Err(Problem::user_permission());
    }
    who.scopes().require(WRITE)?;
    Ok(who)
}

fn boundary(call: &Call) -> Option<String> {
    let content_type = call.headers.get("content-type")?.to_str().ok()?;
    multer::parse_boundary(content_type).ok()
}

type SharedRecord = Arc<Mutex<Option<BodyRecord>>>;

fn push(record: &SharedRecord, chunk: &[u8]) -> u64 {
    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
    record.as_mut().map_or(0, |record| {
        record.push(chunk);
        record.bytes()
    })
}

/// Reads a body nobody wants, within the bound.
async fn drain(sim: &Sim, body: Incoming, record: &SharedRecord) -> (Handled<Parts>, bool) {
    let mut stream = BodyDataStream::new(body);
    while let Some(Ok(chunk)) = stream.next().await {
        if push(record, &chunk) > sim.options.upload_limit_bytes {
            return (Err(Problem::too_large()), false);
        }
    }
    let wrong = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        None,
        "Unsupported Media Type: multipart/form-data is required",
    );
    (Err(wrong), true)
}

async fn read_parts(sim: &Sim, body: Incoming, boundary: String, record: &SharedRecord) -> Handled<Parts> {
    let limit = sim.options.upload_limit_bytes;
    let shared = Arc::clone(record);
    let stream = BodyDataStream::new(body).map(move |chunk| {
        let chunk = chunk.map_err(std::io::Error::other)?;
        if push(&shared, &chunk) > limit {
            return Err(std::io::Error::other("too large"));
        }
        Ok(chunk)
    });
    let mut multipart = multer::Multipart::new(stream, boundary);
    let mut parts = Parts::default();
    let broken = |error: multer::Error| Problem::validation(format!("The multipart body is broken: {error}"));
    for _ in 0..PARTS {
        let Some(mut field) = multipart.next_field().await.map_err(broken)? else {
            return Ok(parts);
        };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            parts.file = Some(read_file(&mut field).await.map_err(broken)?);
            continue;
        }
        let mut text = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(broken)? {
            if text.len() + chunk.len() > FIELD_BYTES {
                return Err(Problem::too_large());
            }
            text.extend_from_slice(&chunk);
        }
        let text = Some(String::from_utf8_lossy(&text).into_owned());
        match name.as_str() {
            "fileName" => parts.file_name = text,
            "folderPath" => parts.folder = text,
            "folderId" => parts.folder = parts.folder.or(text),
            "options" => parts.options = text,
            _ => {}
        }
    }
    Err(Problem::validation(format!("at most {PARTS} parts")))
}

async fn read_file(field: &mut multer::Field<'_>) -> Result<FilePart, multer::Error> {
    let name = field.file_name().unwrap_or("upload").to_owned();
    let (mut bytes, mut hash) = (0u64, digest::Context::new(&digest::SHA256));
    let mut content = Some(Vec::new());
    while let Some(chunk) = field.chunk().await? {
        bytes += chunk.len() as u64;
        hash.update(&chunk);
        match &mut content {
            Some(kept) if kept.len() + chunk.len() <= KEPT_BYTES => kept.extend_from_slice(&chunk),
            _ => content = None,
        }
    }
    Ok(FilePart {
        name,
        bytes,
        sha256: hex(hash.finish().as_ref()),
        content: content.map(Bytes::from),
    })
}

fn store(cx: Cx<'_>, parts: Parts) -> Handled<Answer> {
    let file = parts
        .file
        .ok_or_else(|| Problem::validation("A file is required."))?;
    let options: serde_json::Value = parts
        .options
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| Problem::validation("options is required and must be JSON with access."))?;
    let access = options
        .get("access")
        .and_then(|access| access.as_str())
        .unwrap_or("PRIVATE")
        .to_owned();
    let folder = parts
        .folder
        .ok_or_else(|| Problem::validation("Either folderId or folderPath is required."))?;
    let mut data = cx.who.portal.write();
    if data.files.len() >= FILES {
        return Err(Problem::validation(
            "The portal has as many files as the simulator holds.",
        ));
    }
    let id = data.files.last_key_value().map_or(1, |(id, _)| id + 1);
    let stored = StoredFile {
        id,
        name: parts
            .file_name
            .filter(|name| !name.is_empty())
            .unwrap_or(file.name),
        folder,
        access,
        bytes: file.bytes,
        sha256: file.sha256,
        content: file.content,
        created_ms: cx.call.now_ms,
    };
    let answer = Answer::json(StatusCode::CREATED, &described(cx, &stored));
    data.files.insert(id, stored);
    Ok(answer)
}
