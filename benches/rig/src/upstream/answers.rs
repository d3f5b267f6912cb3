//! Every answer, head and body in one piece, rendered at the start. Heads have the fields that HubSpot's have.
//!
//! `paging.next.link` leads to the upstream's own origin, as HubSpot's does, so that a gate that turns links back has
//! one to find.

use super::counts::Taken;

/// Records in the short list and in the long one; a record has about 2 KB.
const FEW: usize = 10;
const MANY: usize = 100;
/// Length of the file.
const FILE_BYTES: usize = 200 * 1024;
/// The account the token is of.
const PORTAL: u64 = 123_456;

/// The upstream's answers.
pub struct Answers {
    bearer: Vec<u8>,
    contact: Vec<u8>,
    created: Vec<u8>,
    few: Vec<u8>,
    many: Vec<u8>,
    found: Vec<u8>,
    file: Vec<u8>,
    gone: Vec<u8>,
    account: Vec<u8>,
    refused: Vec<u8>,
    unknown: Vec<u8>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// As sent.
    pub method: &'a str,
    /// Path and query, as sent.
    pub target: &'a str,
    /// The one `Authorization` field, if it stands there exactly once.
    pub authorization: Option<&'a [u8]>,
}

impl Answers {
    /// Renders all of them. `origin`: where the upstream is, as its links say.
    pub fn render(token: &str, origin: &str) -> Self {
        let json =
            |status: &str, body: &str| render(status, "application/json;charset=utf-8", body.as_bytes());
        let contact = record(1001, 20);
        Self {
            bearer: format!("Bearer {token}").into_bytes(),
            contact: json("200 OK", &contact),
            created: json("201 Created", &contact),
            few: json("200 OK", &list(FEW, origin)),
            many: json("200 OK", &list(MANY, origin)),
            found: json("200 OK", &format!("{{\"total\":1,\"results\":[{contact}]}}")),
            file: file(),
            gone: format!("HTTP/1.1 204 No Content\r\n{}\r\n", fields()).into_bytes(),
            account: json(
                "200 OK",
                &format!("{{\"portalId\":{PORTAL},\"accountType\":\"STANDARD\",\"timeZone\":\"UTC\"}}"),
            ),
            refused: json("401 Unauthorized", &problem("INVALID_AUTHENTICATION")),
            unknown: json("404 Not Found", &problem("OBJECT_NOT_FOUND")),
        }
    }

    /// The bytes to send, and how the request was taken; `None` in place of bytes that are known: 404.
    pub fn to(&self, question: &Question<'_>) -> (Taken, Option<&[u8]>) {
        if question.authorization != Some(&self.bearer) {
            return (Taken::Refused, Some(&self.refused));
        }
        let (path, query) = question.target.split_once('?').unwrap_or((question.target, ""));
        (Taken::Good, self.found(question.method, path, query))
    }

    /// What a request for something unknown gets.
    pub fn unknown(&self) -> &[u8] {
        &self.unknown
    }

    fn found(&self, method: &str, path: &str, query: &str) -> Option<&[u8]> {
        if let Some(rest) = path.strip_prefix("/crm/v3/objects/") {
            let mut words = rest.split('/').skip(1);
            return match (method, words.next(), words.next()) {
                ("GET", None, None) if query.split('&').any(|pair| pair == "limit=100") => Some(&self.many),
                ("GET", None, None) => Some(&self.few),
                ("POST", None, None) => Some(&self.created),
                ("POST", Some("search"), None) => Some(&self.found),
                ("GET" | "PATCH", Some(_), None) => Some(&self.contact),
                ("DELETE", Some(_), None) => Some(&self.gone),
                _ => None,
            };
        }
        let is_file = path.starts_with("/files/v3/files/") && path.ends_with("/download");
        match method {
            "GET" if is_file => Some(&self.file),
            "GET" if path.starts_with("/account-info/") => Some(&self.account),
            _ => None,
        }
    }
}

/// The fields of every answer of HubSpot's, but for type and length.
fn fields() -> String {
    "Date: Thu, 26 Nov 2026 12:00:00 GMT\r\n\
     Vary: origin, Accept-Encoding\r\n\
     Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n\
     X-HubSpot-Correlation-Id: 6f1e1a52-3c0c-4a4b-9d0e-0d3b5a1c7e42\r\n\
     X-HubSpot-RateLimit-Interval-Milliseconds: 10000\r\n\
     X-HubSpot-RateLimit-Max: 190\r\n\
     X-HubSpot-RateLimit-Remaining: 189\r\n"
        .to_owned()
}

fn render(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{}\r\n",
        body.len(),
        fields()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A contact with as many properties of 37 bytes each, besides those that every contact has.
fn record(id: usize, properties: usize) -> String {
    let more: String = (0..properties)
        .map(|number| format!(",\"survey_answer_{number:03}\":\"no_answer_given\""))
        .collect();
    format!(
        "{{\"id\":\"{id}\",\"properties\":{{\"createdate\":\"2025-03-01T09:14:27.431Z\",\
         \"email\":\"contact-{id:05}@example.com\",\"firstname\":\"Ada\",\"lastname\":\"Lovelace\",\
         \"hs_object_id\":\"{id}\",\"lastmodifieddate\":\"2026-11-02T17:03:58.002Z\"{more}}},\
         \"createdAt\":\"2025-03-01T09:14:27.431Z\",\"updatedAt\":\"2026-11-02T17:03:58.002Z\",\"archived\":false}}"
    )
}

fn list(count: usize, origin: &str) -> String {
    let records: Vec<_> = (0..count).map(|number| record(1001 + number, 45)).collect();
    format!(
        "{{\"results\":[{}],\"paging\":{{\"next\":{{\"after\":\"{after}\",\
         \"link\":\"{origin}/crm/v3/objects/contacts?limit={count}&after={after}\"}}}}}}",
        records.join(","),
        after = 1001 + count,
    )
}

/// Bytes of every value, the same at every start.
fn file() -> Vec<u8> {
    let body: Vec<u8> = (0..FILE_BYTES)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {FILE_BYTES}\r\n\
         Content-Disposition: attachment; filename=\"report.bin\"\r\n{}\r\n",
        fields()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

fn problem(category: &str) -> String {
    format!(
        "{{\"status\":\"error\",\"message\":\"{category}\",\
         \"correlationId\":\"6f1e1a52-3c0c-4a4b-9d0e-0d3b5a1c7e42\",\"category\":\"{category}\"}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://localhost:1";

    fn ask(answers: &Answers, method: &str, target: &str, authorization: Option<&[u8]>) -> (Taken, String) {
        let question = Question {
            method,
            target,
            authorization,
        };
        let (taken, found) = answers.to(&question);
        let text = String::from_utf8_lossy(found.unwrap_or(answers.unknown())).into_owned();
        (taken, text)
    }

    #[test]
    fn nothing_is_answered_without_the_token() {
        let answers = Answers::render("pat-1", ORIGIN);
        for wrong in [
            None,
            Some(&b"Bearer pat-2"[..]),
            Some(b"bearer pat-1"),
            Some(b"Bearer pat-1 "),
            Some(b""),
        ] {
            let (taken, text) = ask(&answers, "GET", "/crm/v3/objects/contacts/1", wrong);
            assert_eq!(taken, Taken::Refused);
            assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
        }
    }

    #[test]
    fn each_kind_of_request_has_its_status_and_a_body_of_about_its_size() {
        let answers = Answers::render("pat-1", ORIGIN);
        for (method, target, status, kilobytes) in [
            ("GET", "/crm/v3/objects/contacts/1001", 200, 1),
            ("GET", "/crm/v3/objects/contacts?limit=10", 200, 20),
            ("GET", "/crm/v3/objects/contacts?after=1&limit=100", 200, 201),
            ("GET", "/files/v3/files/1/download", 200, 204),
            ("POST", "/crm/v3/objects/contacts/search", 200, 1),
            ("POST", "/crm/v3/objects/contacts", 201, 1),
            ("PATCH", "/crm/v3/objects/contacts/1", 200, 1),
            ("DELETE", "/crm/v3/objects/contacts/1", 204, 0),
            ("GET", "/account-info/2026-03/details", 200, 0),
            ("GET", "/crm/v3/objects/contacts/1/associations/deals", 404, 0),
        ] {
            let question = Question {
                method,
                target,
                authorization: Some(b"Bearer pat-1"),
            };
            let (taken, found) = answers.to(&question);
            let answer = found.unwrap_or(answers.unknown());
            assert_eq!(taken, Taken::Good);
            let end = crate::target::answer_end(answer, status).unwrap();
            assert_eq!(
                end,
                Some(answer.len()),
                "{method} {target}: its length is what it says"
            );
            let head = memchr::memmem::find(answer, b"\r\n\r\n").unwrap() + 4;
            assert_eq!((answer.len() - head) / 1_000, kilobytes, "{method} {target}");
        }
    }

    #[test]
    fn a_list_leads_on_at_the_upstreams_own_origin() {
        let answers = Answers::render("pat-1", ORIGIN);
        let (_, text) = ask(
            &answers,
            "GET",
            "/crm/v3/objects/contacts?limit=10",
            Some(b"Bearer pat-1"),
        );
        assert!(
            text.contains("\"link\":\"https://localhost:1/crm/v3/objects/contacts?limit=10&after=1011\"")
        );
    }
}
