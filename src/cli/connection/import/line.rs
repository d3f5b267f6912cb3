//! One line of a file of refresh tokens, and what can be wrong with it. No message repeats a value: any
//! of them may be a token in the wrong place.

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::access::connection::{ConnectionName, PortalId};
use crate::access::label::{Label, Labels};
use crate::cli::CommandError;
use crate::secret::Secret;
use crate::tokens::Wished;
use crate::vault::CredentialDigest;

/// Longest line: a token of 8 KiB, sixteen labels, and room.
const LINE_MAX: usize = 16 * 1024;

/// Most lines: more accounts than any app of an agency has; a longer file is likely another one.
const LINES_MAX: usize = 10_000;

/// Longest refresh token. HubSpot's have 40 characters, and it says to allow 512.
const TOKEN_MAX: usize = 8 * 1024;

/// A line with its number, from 1.
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) wished: Result<Wished, Mistake>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Whose line it is, as far as that can be read.
    pub(super) portal: Option<u64>,
    pub(super) what: String,
}

impl Mistake {
    fn new(what: impl Into<String>) -> Self {
        Self {
            portal: None,
            what: what.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    portal: u64,
    refresh_token: String,
    name: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Reads every line that is not empty, before anything is done about one: an account, a name or a grant
/// that stands twice is a mistake in the second place.
pub(super) fn read_lines(
    source: &mut dyn BufRead,
    app: &str,
    labels: &Labels,
) -> Result<Vec<Line>, CommandError> {
    let unreadable = |error| CommandError::usage(format!("can't read the lines: {error}"));
    let (mut lines, mut seen) = (Vec::new(), Seen::default());
    let mut number = 0;
    loop {
        number += 1;
        // Made anew for each line and wiped after it; as long as a line may be, so that it never moves.
        let mut buffer = Zeroizing::new(Vec::with_capacity(LINE_MAX + 1));
        let read = std::io::Read::take(&mut *source, LINE_MAX as u64 + 1)
            .read_until(b'\n', &mut buffer)
            .map_err(unreadable)?;
        if read == 0 {
            return Ok(lines);
        }
        let wished = if read > LINE_MAX && buffer.last() != Some(&b'\n') {
            source.skip_until(b'\n').map_err(unreadable)?;
            Err(Mistake::new(format!("a line has at most {LINE_MAX} bytes")))
        } else if buffer.trim_ascii().is_empty() {
            continue;
        } else {
            wish(buffer.trim_ascii(), app, labels).and_then(|wished| seen.first(number, wished))
        };
        if lines.len() == LINES_MAX {
            return Err(CommandError::usage(format!(
                "more than {LINES_MAX} lines: nothing was stored; split the file"
            )));
        }
        lines.push(Line { number, wished });
    }
}

fn wish(line: &[u8], app: &str, labels: &Labels) -> Result<Wished, Mistake> {
    // An array of the right values would be read as well, and nobody meant that.
    if !line.starts_with(b"{") {
        return Err(Mistake::new("it is not one JSON object, from column 1 on"));
    }
    let written: Written = serde_json::from_slice(line).map_err(|error| Mistake::new(said(&error)))?;
    let token = Secret::new(written.refresh_token);
    let portal = PortalId::new(written.portal)
        .ok_or_else(|| Mistake::new("`portal` is the account's id: a number from 1 on"))?;
    let mistake = |what: String| Mistake {
        portal: Some(portal.get()),
        what,
    };
    let fits = |text: &str| {
        (1..=TOKEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !fits(token.expose()) {
        return Err(mistake(
            "`refresh_token` is not one: empty, too long, or with blanks in it".to_owned(),
        ));
    }
    let name = match written.name.as_deref().map(ConnectionName::parse) {
        Some(None) => {
            return Err(mistake(
                "`name` has 1 to 64 characters of `a-z`, `0-9` and `-`, and is not digits alone".to_owned(),
            ));
        }
        Some(name) => name,
        None => None,
    };
    let default_name = ConnectionName::parse(&format!("{app}-{portal}"));
    let default_name = match (default_name, &name) {
        (Some(default_name), _) => default_name,
        (None, Some(name)) => name.clone(),
        (None, None) => {
            return Err(mistake(
                "the app's name is too long to name a connection after: say `name`".to_owned(),
            ));
        }
    };
    let own = written.labels.iter().map(|(key, value)| Label::new(key, value));
    let labels = own
        .collect::<Result<Vec<_>, _>>()
        .and_then(Labels::new)
        .and_then(|own| labels.with(&own))
        .map_err(|error| mistake(format!("`labels`: {error}")))?;
    Ok(Wished {
        name,
        default_name,
        portal,
        app: app.to_owned(),
        refresh_token: token,
        labels,
    })
}

/// What the parser says, without what it found: that may be a token.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let quoted = |begin: &str| {
        let name = text.strip_prefix(begin)?.split('`').next()?;
        let plain =
            (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        plain.then(|| name.to_owned())
    };
    let members = "a line has `portal`, `refresh_token`, and perhaps `name` and `labels`";
    if let Some(name) = quoted("missing field `") {
        return format!("`{name}` is missing: {members}");
    }
    if let Some(name) = quoted("duplicate field `") {
        return format!("`{name}` stands twice");
    }
    if let Some(name) = text.strip_prefix("unknown field `") {
        // Not repeated: after a forgotten quotation mark a token may stand in it.
        let name = name.split('`').next().unwrap_or_default();
        let known = ["portal", "refresh_token", "name", "labels"]
            .into_iter()
            .find(|known| strsim::levenshtein(known, name) <= 2);
        let meant = known.map_or_else(String::new, |known| format!(", perhaps meant as `{known}`"));
        return format!(
            "a member is not known, at column {}{meant}: {members}",
            error.column()
        );
    }
    if error.is_data() {
        return format!(
            "a value is of the wrong kind, at column {}: `portal` is a number, `labels` an object of texts, the others are \
             texts",
            error.column()
        );
    }
    format!("it is not one JSON object, from column {} on", error.column())
}

/// Where what must stand once stood first.
#[derive(Default)]
struct Seen {
    portals: BTreeMap<u64, usize>,
    names: BTreeMap<ConnectionName, usize>,
    tokens: BTreeMap<[u8; 32], usize>,
}

impl Seen {
    fn first(&mut self, number: usize, wished: Wished) -> Result<Wished, Mistake> {
        let portal = wished.portal.get();
        let mistake = |what: String| Mistake {
            portal: Some(portal),
            what,
        };
        let name = wished.name.as_ref().unwrap_or(&wished.default_name).clone();
        if let Some(line) = self.portals.get(&portal) {
            return Err(mistake(format!("this portal stands in line {line} already")));
        }
        if let Some(line) = self.names.get(&name) {
            return Err(mistake(format!("this name stands in line {line} already")));
        }
        let digest = *CredentialDigest::of(&wished.refresh_token).as_stored();
        if let Some(line) = self.tokens.get(&digest) {
            return Err(mistake(format!(
                "this refresh token stands in line {line} already"
            )));
        }
        self.portals.insert(portal, number);
        self.names.insert(name, number);
        self.tokens.insert(digest, number);
        Ok(wished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Result<(String, u64, String), Mistake>> {
        let all = Labels::new(["tier=gold".parse().unwrap()]).unwrap();
        let lines = read_lines(&mut text.as_bytes(), "marketing", &all).unwrap();
        lines
            .into_iter()
            .map(|line| {
                line.wished.map(|wished| {
                    let name = wished.name.unwrap_or(wished.default_name);
                    (name.to_string(), wished.portal.get(), wished.labels.to_text())
                })
            })
            .collect()
    }

    fn mistake(line: &str) -> String {
        let mut lines = lines(line);
        assert_eq!(lines.len(), 1, "{line}");
        lines.remove(0).unwrap_err().what
    }

    #[test]
    fn names_and_labels_may_be_left_out() {
        let text = "{\"portal\": 12, \"refresh_token\": \"na1-a\"}\r\n\n  \
                    {\"name\":\"acme\",\"portal\":13,\"refresh_token\":\"b\",\"labels\":{\"tier\":\"A\",\"region\":\"eu\"}}";
        assert_eq!(
            lines(text),
            [
                Ok(("marketing-12".to_owned(), 12, "tier=gold".to_owned())),
                Ok(("acme".to_owned(), 13, "region=eu tier=A".to_owned())),
            ]
        );
    }

    #[test]
    fn a_mistake_says_what_and_never_repeats_a_value() {
        for (line, says) in [
            ("canary", "not one JSON object, from column 1"),
            (
                r#"{"portal":1,"refresh_token":"canary"} x"#,
                "not one JSON object",
            ),
            (r#"{"portal":1,"refresh_token":"canary"#, "not one JSON object"),
            (r#"[1,"canary"]"#, "not one JSON object, from column 1"),
            (
                r#"{"portal":"canary","refresh_token":"x"}"#,
                "wrong kind, at column 18",
            ),
            (r#"{"portal":-1,"refresh_token":"canary"}"#, "wrong kind"),
            (r#"{"portal":0,"refresh_token":"canary"}"#, "a number from 1 on"),
            (r#"{"portal":1}"#, "`refresh_token` is missing"),
            (r#"{"refresh_token":"canary"}"#, "`portal` is missing"),
            (
                r#"{"portal":1,"refresh_token":"canary","token":"x"}"#,
                "a member is not known, at column 44",
            ),
            (
                r#"{"portal":1,"refresh_token":"x","na1-canary":1}"#,
                "a member is not known, at column",
            ),
            (
                r#"{"portal":1,"portal":2,"refresh_token":"canary"}"#,
                "`portal` stands twice",
            ),
            (
                r#"{"portal":1,"refresh_token":"canary x"}"#,
                "`refresh_token` is not one",
            ),
            (r#"{"portal":1,"refresh_token":""}"#, "`refresh_token` is not one"),
            (
                r#"{"portal":1,"refresh_token":"canary","name":"Acme"}"#,
                "`name` has 1 to 64",
            ),
            (
                r#"{"portal":1,"refresh_token":"canary","labels":{"A":"b"}}"#,
                "`labels`: a label's key",
            ),
            (
                r#"{"portal":1,"refresh_token":"canary","labels":["a"]}"#,
                "wrong kind",
            ),
        ] {
            let what = mistake(line);
            assert!(what.contains(says), "{line}: {what}");
            assert!(!what.contains("canary"), "{what}");
        }
        let long = format!(r#"{{"portal":1,"refresh_token":"{}"}}"#, "x".repeat(LINE_MAX));
        let two = lines(&format!("{long}\n{}", r#"{"portal":2,"refresh_token":"a"}"#));
        assert!(two[0].as_ref().unwrap_err().what.contains("at most 16384 bytes"));
        assert!(two[1].is_ok());
    }

    #[test]
    fn what_stands_twice_is_a_mistake_in_the_second_place() {
        let text = r#"{"portal":1,"refresh_token":"a"}
{"portal":1,"refresh_token":"b"}
{"portal":2,"refresh_token":"c","name":"marketing-1"}
{"portal":3,"refresh_token":"a"}"#;
        let found: Vec<String> = lines(text)
            .into_iter()
            .map(|line| line.map_or_else(|mistake| mistake.what, |_| "fine".to_owned()))
            .collect();
        assert_eq!(
            found,
            [
                "fine",
                "this portal stands in line 1 already",
                "this name stands in line 1 already",
                "this refresh token stands in line 1 already",
            ]
        );
    }

    #[test]
    fn a_file_of_more_than_ten_thousand_lines_is_refused_whole() {
        let line = |portal: usize| format!("{{\"portal\":{portal},\"refresh_token\":\"t{portal}\"}}\n");
        let text: String = (1..=LINES_MAX).map(line).collect();
        assert_eq!(lines(&text).len(), LINES_MAX);
        let more = format!("{text}{}", line(LINES_MAX + 1));
        let refused = read_lines(&mut more.as_bytes(), "a", &Labels::default());
        assert!(refused.err().unwrap().message.contains("more than 10000 lines"));
    }

    #[test]
    fn a_token_that_slipped_into_a_members_name_is_not_repeated() {
        let says = mistake(r#"{"portal":1,"refresh_tokencanary":"","name":"acme"}"#);
        assert!(
            !says.contains("canary") && says.contains("at column 33"),
            "{says}"
        );
        let says = mistake(r#"{"portal":1,"refresh_tokn":"x"}"#);
        assert!(says.contains("perhaps meant as `refresh_token`"), "{says}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_wrong_with_a_line_no_message_repeats_its_token(
            at in 0_usize..90,
            with in "[\\x00-\\x7f]{0,3}",
            drop in 0_usize..4,
        ) {
            let good = r#"{"portal":1,"refresh_token":"canary","name":"acme","labels":{"canary":"canary"}}"#;
            let at = at.min(good.len());
            let end = (at + drop).min(good.len());
            let line = format!("{}{with}{}", &good[..at], &good[end..]);
            for line in read_lines(&mut line.as_bytes(), "a", &Labels::default()).unwrap() {
                if let Err(mistake) = line.wished {
                    proptest::prop_assert!(!mistake.what.contains("canary"), "{}", mistake.what);
                }
            }
        }
    }
}
