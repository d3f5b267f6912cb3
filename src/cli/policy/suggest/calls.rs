//! Lists of calls in three forms: a line each, `.http` files, HAR 1.2.
//!
//! Of a call only what decides is kept: method, target, body, content type. Headers are never looked
//! at beside that one: they hold tokens.

use serde_json::Value;

/// Most calls of one list.
pub const CALLS_MAX: usize = 20_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where it stands: `3` for line or entry 3.
    pub at: usize,
    /// As on the request line.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Its body, if it has one.
    pub body: Option<Vec<u8>>,
    /// Its `Content-Type`, if it says one.
    pub content_type: Option<String>,
    /// Whether the integration works without it.
    pub optional: bool,
}

/// Reads a list in whatever form it is.
///
/// # Errors
/// What is wrong with the list as a whole, in words.
pub fn parse(name: &str, text: &str) -> Result<Vec<Call>, String> {
    let is_har = name.ends_with(".har") || text.trim_start().starts_with('{');
    let is_http = name.ends_with(".http") || name.ends_with(".rest");
    let calls = if is_har {
        har(text)?
    } else if is_http || text.lines().any(|line| line.starts_with("###")) {
        http(text)
    } else {
        lines(text)
    };
    match calls.len() {
        0 => Err("it holds no calls".to_owned()),
        1..=CALLS_MAX => Ok(calls),
        _ => Err(format!("it holds more than {CALLS_MAX} calls")),
    }
}

/// `METHOD TARGET [JSON]`, a line each.
fn lines(text: &str) -> Vec<Call> {
    let mut optional = false;
    let mut calls = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            optional = marks_optional(comment).unwrap_or(optional);
            continue;
        }
        let mut words = line.splitn(3, char::is_whitespace);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            continue;
        };
        let body = words.next().map(str::trim).filter(|body| !body.is_empty());
        calls.push(Call {
            at: index + 1,
            method: method.to_owned(),
            target: path_and_query(target),
            body: body.map(|body| body.as_bytes().to_vec()),
            content_type: None,
            optional,
        });
    }
    calls
}

/// `# optional` and `# required` hold for the calls that follow.
fn marks_optional(comment: &str) -> Option<bool> {
    match comment.trim().trim_start_matches('@') {
        "optional" => Some(true),
        "required" => Some(false),
        _ => None,
    }
}

/// Requests parted by `###`: a request line, headers, an empty line, a body.
fn http(text: &str) -> Vec<Call> {
    let mut optional = false;
    let mut calls = Vec::new();
    let mut block: Vec<(usize, &str)> = Vec::new();
    for (index, line) in text.lines().enumerate().chain([(usize::MAX, "###")]) {
        if line.starts_with("###") {
            calls.extend(request(&block, &mut optional));
            block.clear();
        } else {
            block.push((index, line));
        }
    }
    calls
}

fn request(block: &[(usize, &str)], optional: &mut bool) -> Option<Call> {
    let mut lines = block.iter().peekable();
    let first = loop {
        let (at, line) = lines.next()?;
        let line = line.trim();
        match line.strip_prefix('#').or(line.strip_prefix("//")) {
            Some(comment) => *optional = marks_optional(comment).unwrap_or(*optional),
            // A variable of the editor: `@host = …`.
            None if line.starts_with('@') || line.is_empty() => {}
            None => break (*at, line),
        }
    };
    let (at, line) = first;
    let mut words = line.split_whitespace();
    let (method, mut target) = match (words.next()?, words.next()) {
        // A line with a URL alone is a GET.
        (url, None) => ("GET", url.to_owned()),
        (method, Some(url)) => (method, url.to_owned()),
    };
    // A long query may go on in lines of its own.
    while let Some((_, more)) = lines.next_if(|(_, line)| line.trim_start().starts_with(['?', '&'])) {
        target.push_str(more.trim());
    }
    let mut content_type = None;
    for (_, header) in lines.by_ref().take_while(|(_, line)| !line.trim().is_empty()) {
        if let Some((name, value)) = header.split_once(':')
            && name.trim().eq_ignore_ascii_case("content-type")
        {
            content_type = Some(value.trim().to_owned());
        }
    }
    let body: Vec<&str> = lines.map(|(_, line)| *line).collect();
    let body = body.join("\n");
    Some(Call {
        at: at + 1,
        method: method.to_owned(),
        target: path_and_query(&target),
        body: Some(body.trim().as_bytes().to_vec()).filter(|body| !body.is_empty()),
        content_type,
        optional: *optional,
    })
}

/// `log.entries[].request` (HTTP Archive 1.2); an entry whose `comment` says `optional` is.
fn har(text: &str) -> Result<Vec<Call>, String> {
    let archive: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let entries = archive
        .pointer("/log/entries")
        .and_then(Value::as_array)
        .ok_or("it is no HTTP archive: there is no `log.entries`")?;
    let calls = entries.iter().enumerate().filter_map(|(index, entry)| {
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str);
        let comment = text("/comment").or(text("/request/comment"));
        Some(Call {
            at: index + 1,
            method: text("/request/method")?.to_owned(),
            target: path_and_query(text("/request/url")?),
            body: text("/request/postData/text")
                .filter(|body| !body.is_empty())
                .map(|body| body.as_bytes().to_vec()),
            content_type: text("/request/postData/mimeType")
                .filter(|kind| !kind.is_empty())
                .map(str::to_owned),
            optional: comment.and_then(marks_optional).unwrap_or(false),
        })
    });
    Ok(calls.collect())
}

/// Without scheme, host and fragment; `{{host}}/path` is a variable and a path.
fn path_and_query(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = match rest.find('/') {
        Some(at) => rest.get(at..).unwrap_or_default(),
        None => "/",
    };
    rest.split('#').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, text: &str) -> Vec<String> {
        parse(name, text)
            .unwrap()
            .into_iter()
            .map(|call| {
                let body = call.body.map(|body| String::from_utf8(body).unwrap());
                let optional = if call.optional { " optional" } else { "" };
                format!(
                    "{} {} {} {}{optional}",
                    call.at,
                    call.method,
                    call.target,
                    body.unwrap_or_default()
                )
            })
            .collect()
    }

    #[test]
    fn calls_are_read_in_each_form_and_headers_are_left() {
        let lines = "# what it does\nGET /crm/v3/objects/contacts?limit=1\n\nPOST https://api.hubapi.com/crm/v3/objects/contacts/search {\"a\": 1}\n# optional\nGET /crm/v3/owners\n# required\nGET /x\n";
        assert_eq!(
            shown("calls.txt", lines),
            [
                "2 GET /crm/v3/objects/contacts?limit=1 ",
                "4 POST /crm/v3/objects/contacts/search {\"a\": 1}",
                "6 GET /crm/v3/owners  optional",
                "8 GET /x ",
            ]
        );
        let http = "@host = x\n### list\nGET {{host}}/crm/v3/objects/contacts\n  ?limit=1\n  &after=2 \nAuthorization: Bearer secret\n\n###\n# @optional\nPATCH https://h/crm/v3/objects/deals/1 HTTP/1.1\nContent-Type: application/json\n\n{\n\"a\": 1}\n\n###\nhttps://h/crm/v3/owners\n";
        assert_eq!(
            shown("calls.http", http),
            [
                "3 GET /crm/v3/objects/contacts?limit=1&after=2 ",
                "10 PATCH /crm/v3/objects/deals/1 {\n\"a\": 1} optional",
                "17 GET /crm/v3/owners  optional",
            ]
        );
        let har = r#"{"log": {"entries": [
            {"request": {"method": "GET", "url": "https://api.hubapi.com/crm/v3/owners?limit=1#x", "headers": [{"name": "Authorization", "value": "Bearer secret"}]}},
            {"comment": "optional", "request": {"method": "POST", "url": "http://127.0.0.1:1/a", "postData": {"mimeType": "application/json", "text": "{}"}}}
        ]}}"#;
        assert_eq!(
            shown("calls", har),
            ["1 GET /crm/v3/owners?limit=1 ", "2 POST /a {} optional"]
        );
        for (name, text) in [("a.har", "{}"), ("a.har", "{"), ("a.txt", "# nothing\n")] {
            assert!(parse(name, text).is_err(), "{text}");
        }
    }
}
