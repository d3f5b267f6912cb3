//! Files that were uploaded: their facts, their content, a signed URL.

use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Answer, AnswerBody};
use super::call::Cx;
use super::clock::iso;
use super::problem::{Handled, Problem};
use super::scopes::Need;

const READ: Need = &[&["files"], &["files.read"], &["files.ui_hidden.read"]];
const DELETE: Need = &[&["files"], &["files.delete"], &["files.write"]];

/// A file. Of a large one only length and hash are kept; its content is made up again when downloaded.
#[derive(Clone, Debug)]
pub(super) struct StoredFile {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) folder: String,
    pub(super) access: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// All of a small file.
    pub(super) content: Option<Bytes>,
    pub(super) created_ms: i64,
}

/// Everything under `/files/…/files`, besides the upload itself.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    match (&cx.call.method, words) {
        (&Method::GET, ["search"]) => search(cx),
        (&Method::GET, [id]) => one(cx, id, |cx, file| Ok(Answer::ok(&described(cx, file)))),
        (&Method::GET, [id, "signed-url"]) => one(cx, id, signed_url),
        (&Method::GET, [id, "download"]) => one(cx, id, download),
        (&Method::DELETE, [id]) => delete(cx, id),
        (_, [] | [_] | [_, "signed-url" | "download"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn search(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let limit = cx.call.query.limit(10, 100)?;
    let data = cx.who.portal.read();
    let results: Vec<Value> = data
        .files
        .values()
        .take(limit)
        .map(|file| described(cx, file))
        .collect();
    Ok(Answer::ok(&json!({ "results": results })))
}

fn one(cx: Cx<'_>, id: &str, then: fn(Cx<'_>, &StoredFile) -> Handled<Answer>) -> Handled<Answer> {
    cx.who.scopes().require(READ)?;
    let data = cx.who.portal.read();
    let file = id
        .parse()
        .ok()
        .and_then(|id: u64| data.files.get(&id))
        .ok_or_else(Problem::not_found)?;
    then(cx, file)
}

fn delete(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(DELETE)?;
    let removed = id
        .parse()
        .ok()
        .and_then(|id: u64| cx.who.portal.write().files.remove(&id));
    removed
        .map(|_| Answer::no_content())
        .ok_or_else(Problem::not_found)
}

/// A file as HubSpot describes it; `sha256` is the simulator's own, for tests.
pub(super) fn described(cx: Cx<'_>, file: &StoredFile) -> Value {
    let extension = file.name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let path = format!("{}/{}", file.folder.trim_end_matches('/'), file.name);
    json!({
        "id": file.id.to_string(),
        "name": file.name.strip_suffix(&format!(".{extension}")).unwrap_or(&file.name),
        "path": path,
        "size": file.bytes,
        "type": kind(extension),
        "extension": extension,
        "defaultHostingUrl": format!("https://{}.fs1.hubspotusercontent-na1.net/hubfs/{}{path}", cx.who.portal.hub_id(), cx.who.portal.hub_id()),
        "url": format!("https://{}.fs1.hubspotusercontent-na1.net/hubfs/{}{path}", cx.who.portal.hub_id(), cx.who.portal.hub_id()),
        "isUsableInContent": true,
        "access": file.access,
        "fileMd5": "",
        "sha256": file.sha256,
        "createdAt": iso(file.created_ms),
        "updatedAt": iso(file.created_ms),
        "archived": false,
    })
}

fn kind(extension: &str) -> &'static str {
    match extension.to_ascii_lowercase().as_str() {
        "png" | "jpg" | "jpeg" | "gif" | "svg" | "webp" => "IMG",
        "mp4" | "mov" => "MOVIE",
        "mp3" | "wav" => "AUDIO",
        "pdf" | "doc" | "docx" | "txt" | "csv" => "DOCUMENT",
        _ => "OTHER",
    }
}

/// A URL that anybody may use for a while.
fn signed_url(cx: Cx<'_>, file: &StoredFile) -> Handled<Answer> {
    let url = format!(
        "{}/files/v3/files/{}/download?signature={}",
        cx.call.origin,
        file.id,
        super::random::uuid()
    );
    Ok(Answer::ok(&json!({
        "expiresAt": iso(cx.call.now_ms + 300_000),
        "name": file.name,
        "extension": file.name.rsplit_once('.').map_or("", |(_, extension)| extension),
        "type": "OTHER",
        "size": file.bytes,
        "url": url,
    })))
}

fn download(_cx: Cx<'_>, file: &StoredFile) -> Handled<Answer> {
    let mut answer = Answer::bytes(StatusCode::OK, Bytes::new());
    answer.body = match &file.content {
        Some(content) => AnswerBody::whole(content.clone()),
        None => AnswerBody::generated(file.bytes),
    };
    answer.set(
        "content-type",
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"file-{}\"", file.id)) {
        answer.set("content-disposition", value);
    }
    Ok(answer)
}
