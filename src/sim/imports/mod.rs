//! Imports: rows of CSV files that become records. The work is done at once, so an import is `DONE` as soon
//! as it was made; HubSpot's answers do not tell the difference.

mod csv;
mod request;

use futures_util::FutureExt;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use self::request::{Column, ImportRequest};
use super::access::{self, Access};
use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::object_types::ObjectKind;
use super::objects::{create_plain, update_plain};
use super::problem::{Handled, Problem};
use super::scopes::Need;

const IMPORT: Need = &[&["crm.import"]];
/// Parts of one body.
const PARTS: usize = 20;
/// Imports of one portal that are remembered.
const IMPORTS: usize = 1_000;
/// Rows of one file.
const ROWS: usize = 10_000;

/// An import that was done.
#[derive(Clone, Debug)]
pub(super) struct Import {
    id: u64,
    name: String,
    /// As it was asked for; answers repeat it.
    request: Value,
    kinds: Vec<ObjectKind>,
    rows: usize,
    created: usize,
    updated: usize,
    errors: Vec<RowError>,
    at_ms: i64,
    cancelled: bool,
}

/// A row that was not taken.
#[derive(Clone, Debug)]
struct RowError {
    line: usize,
    row: Vec<String>,
    kind: ObjectKind,
    error: String,
    message: String,
}

/// Everything under `/crm/…/imports`.
pub(super) fn route(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    cx.who.scopes().require(IMPORT)?;
    match (&cx.call.method, words) {
        (&Method::GET, []) => {
            let data = cx.who.portal.read();
            let results: Vec<Value> = data.imports.iter().map(described).collect();
            Ok(Answer::ok(&json!({ "results": results })))
        }
        (&Method::POST, []) => create(cx),
        (&Method::GET, [id]) => Ok(Answer::ok(&described(find(&cx.who.portal.read().imports, id)?))),
        (&Method::GET, [id, "errors"]) => {
            let data = cx.who.portal.read();
            let import = find(&data.imports, id)?;
            let results: Vec<Value> = (1u64..)
                .zip(&import.errors)
                .map(|(n, error)| described_error(import, n, error))
                .collect();
            Ok(Answer::ok(&json!({ "results": results })))
        }
        (&Method::POST, [id, "cancel"]) => {
            let mut data = cx.who.portal.write();
            let import = data
                .imports
                .iter_mut()
                .find(|import| import.id.to_string() == *id);
            import.ok_or_else(Problem::not_found)?.cancelled = true;
            let now = iso(cx.call.now_ms);
            Ok(Answer::ok(
                &json!({ "status": "COMPLETE", "startedAt": now, "completedAt": now }),
            ))
        }
        (_, [] | [_] | [_, "errors" | "cancel"]) => Err(Problem::method_not_allowed()),
        _ => Err(Problem::not_found()),
    }
}

fn find<'a>(imports: &'a [Import], id: &str) -> Handled<&'a Import> {
    let found = imports.iter().find(|import| import.id.to_string() == id);
    found.ok_or_else(Problem::not_found)
}

fn described(import: &Import) -> Value {
    let kinds: Vec<String> = import.kinds.iter().map(|kind| kind.type_id()).collect();
    json!({
        "id": import.id.to_string(),
        "state": if import.cancelled { "CANCELED" } else { "DONE" },
        "createdAt": iso(import.at_ms),
        "updatedAt": iso(import.at_ms),
        "importName": import.name,
        "importRequestJson": import.request,
        "mappedObjectTypeIds": kinds,
        "optOutImport": false,
        "metadata": {
            "counters": {
                "TOTAL_ROWS": import.rows,
                "CREATED_OBJECTS": import.created,
                "UPDATED_OBJECTS": import.updated,
                "ERRORS": import.errors.len(),
            },
            "objectLists": [],
            "fileIds": [],
        },
    })
}

/// HubSpot quotes the row: names and values that were sent.
fn described_error(import: &Import, n: u64, error: &RowError) -> Value {
    json!({
        "id": (import.id * 1_000 + n).to_string(),
        "createdAt": import.at_ms,
        "errorType": error.error,
        "objectType": error.kind.title(),
        "objectTypeId": error.kind.type_id(),
        "errorMessage": error.message,
        "invalidValue": error.row.join(","),
        "sourceData": {
            "fileId": import.id,
            "lineNumber": error.line,
            "rowData": error.row,
            "containsEncryptedProperties": false,
        },
    })
}

struct Parts {
    request: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
}

/// The parts of the body, which is wholly in memory: nothing here ever waits.
fn parts(cx: Cx<'_>) -> Handled<Parts> {
    let content_type = cx
        .call
        .headers
        .get("content-type")
        .and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
    let Some(boundary) = boundary else {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            None,
            "Unsupported Media Type: multipart/form-data is required",
        ));
    };
    let body = cx.call.body.clone();
    let stream = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
    let read = read_parts(multer::Multipart::new(stream, boundary)).now_or_never();
    read.ok_or_else(|| Problem::validation("The multipart body is broken."))?
}

async fn read_parts(mut multipart: multer::Multipart<'_>) -> Handled<Parts> {
    let broken = |error: multer::Error| Problem::validation(format!("The multipart body is broken: {error}"));
    let (mut request, mut files) = (None, Vec::new());
    for _ in 0..PARTS {
        let Some(field) = multipart.next_field().await.map_err(broken)? else {
            let request = request.ok_or_else(|| Problem::validation("importRequest is required."))?;
            return Ok(Parts { request, files });
        };
        let (name, file) = (
            field.name().unwrap_or_default().to_owned(),
            field.file_name().map(str::to_owned),
        );
        let bytes = field.bytes().await.map_err(broken)?.to_vec();
        match name.as_str() {
            "importRequest" => request = Some(bytes),
            "files" => files.push((file.unwrap_or_default(), bytes)),
            _ => {}
        }
    }
    Err(Problem::validation(format!("at most {PARTS} parts")))
}

fn create(cx: Cx<'_>) -> Handled<Answer> {
    let parts = parts(cx)?;
    let raw: Value = serde_json::from_slice(&parts.request).map_err(|error| Problem::invalid_json(&error))?;
    let asked: ImportRequest =
        serde_json::from_slice(&parts.request).map_err(|error| Problem::invalid_json(&error))?;
    let mut import = Import {
        id: 0,
        name: asked.name.clone(),
        request: raw,
        kinds: Vec::new(),
        rows: 0,
        created: 0,
        updated: 0,
        errors: Vec::new(),
        at_ms: cx.call.now_ms,
        cancelled: false,
    };
    // Every type is opened before the first row is looked at.
    for column in asked
        .files
        .iter()
        .flat_map(|file| &file.file_import_page.column_mappings)
    {
        let kind = access::open(cx, column.object_type(), Access::Write)?;
        if !import.kinds.contains(&kind) {
            import.kinds.push(kind);
        }
    }
    for file in &asked.files {
        let Some((_, bytes)) = parts.files.iter().find(|(name, _)| *name == file.file_name) else {
            return Err(Problem::validation(format!(
                "No file named {} was sent.",
                file.file_name
            )));
        };
        let page = &file.file_import_page;
        let rows = csv::rows(&String::from_utf8_lossy(bytes));
        if rows.len() > ROWS {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                None,
                "The file has too many rows.",
            ));
        }
        let first = usize::from(page.has_header);
        for (line, row) in (1usize..).zip(rows).skip(first) {
            import.rows += 1;
            take_row(cx, &asked, &page.column_mappings, (line, row), &mut import);
        }
    }
    let mut data = cx.who.portal.write();
    if data.imports.len() >= IMPORTS {
        return Err(Problem::validation(
            "The portal has as many imports as it can have.",
        ));
    }
    import.id = 600 + data.imports.len() as u64;
    let answer = Answer::ok(&described(&import));
    data.imports.push(import);
    Ok(answer)
}

/// One row: a record of each type its columns are mapped to.
fn take_row(
    cx: Cx<'_>,
    asked: &ImportRequest,
    columns: &[Column],
    (line, row): (usize, Vec<String>),
    import: &mut Import,
) {
    for kind in import.kinds.clone() {
        let mut properties = std::collections::BTreeMap::new();
        let mut key: Option<(String, String)> = None;
        for (column, cell) in columns.iter().zip(&row) {
            let own = access::kind(cx, column.object_type()).is_ok_and(|other| other == kind);
            let Some(name) = column.property_name.as_ref().filter(|_| own) else {
                continue;
            };
            if column.is_key() {
                key = Some((name.clone(), cell.clone()));
            }
            properties.insert(name.clone(), Value::String(cell.clone()));
        }
        let done = match (asked.operation(kind), key) {
            ("CREATE", _) | (_, None) => create_plain(cx, kind, properties).map(|_| false),
            ("UPDATE", Some((name, id))) => {
                drop(properties.remove("hs_object_id"));
                update_plain(cx, kind, &id, Some(&name), properties).map(|_| true)
            }
            (_, Some((name, id))) => match update_plain(cx, kind, &id, Some(&name), properties.clone()) {
                Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                    create_plain(cx, kind, properties).map(|_| false)
                }
                other => other.map(|_| true),
            },
        };
        match done {
            Ok(true) => import.updated += 1,
            Ok(false) => import.created += 1,
            Err(problem) => import.errors.push(RowError {
                line,
                row: row.clone(),
                kind,
                error: problem.category.unwrap_or("UNKNOWN_ERROR").to_owned(),
                message: problem.message.clone(),
            }),
        }
    }
}
