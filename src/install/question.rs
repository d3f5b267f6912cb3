//! What a browser asks: a query and a cookie, read strictly. Nothing of it is ever shown or logged.

use http::HeaderMap;
use http::header::COOKIE;

use super::random::Random;
use super::ticket::Presented;
use crate::secret::Secret;

/// The cookie that says which browser it is. With its prefix a browser takes it from this host only,
/// for the whole of it, and over https (or from this machine).
pub(super) const COOKIE_NAME: &str = "__Host-scopegate-install";

/// Longest authorization code. HubSpot's are UUIDs with a prefix.
const CODE_MAX: usize = 512;

/// A question to the start.
pub(super) struct StartQuestion {
    pub(super) ticket: Option<Presented>,
    /// The button of the page was pressed.
    pub(super) goes_on: bool,
}

/// A question to the callback.
#[derive(Default)]
pub(super) struct CallbackQuestion {
    pub(super) code: Option<Secret>,
    /// There is a state; `Some(None)`: it can't be one of ours.
    pub(super) state: Option<Option<Random>>,
    pub(super) error: Option<Refusal>,
    pub(super) step: Option<Step>,
    pub(super) return_url: Option<String>,
}

/// Why HubSpot gave no code. Its words are not enumerated, so all but one are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `access_denied`: the person said no.
    Cancelled,
    /// Anything else.
    Other,
}

/// Which step of an install that HubSpot's marketplace began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Before the consent.
    Authorize,
    /// After it.
    Finalize,
}

impl StartQuestion {
    pub(super) fn read(query: Option<&str>) -> Self {
        let query = query.unwrap_or_default();
        Self {
            ticket: single(query, "ticket")
                .ok()
                .flatten()
                .and_then(|text| Presented::parse(&text)),
            goes_on: single(query, "continue").is_ok_and(|value| value.as_deref() == Some("1")),
        }
    }
}

impl CallbackQuestion {
    /// `None` when it can't be understood: a parameter stands twice, or can't be what it is called, or a
    /// code stands beside an error.
    pub(super) fn read(query: Option<&str>) -> Option<Self> {
        let query = query.unwrap_or_default();
        let is_code = |code: &String| {
            (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let code = match single(query, "code").ok()? {
            Some(code) if !is_code(&code) => return None,
            code => code.map(Secret::new),
        };
        let error = single(query, "error").ok()?.map(|word| match &*word {
            "access_denied" => Refusal::Cancelled,
            _ => Refusal::Other,
        });
        if code.is_some() && error.is_some() {
            return None;
        }
        let step = match single(query, "step").ok()?.as_deref() {
            None => None,
            Some("authorize") => Some(Step::Authorize),
            Some("finalize") => Some(Step::Finalize),
            Some(_) => return None,
        };
        Some(Self {
            code,
            state: single(query, "state").ok()?.map(|state| Random::parse(&state)),
            error,
            step,
            return_url: single(query, "returnUrl").ok()?,
        })
    }
}

/// Any query and any cookies, as a browser may bring them to both pages: whether each reading took something.
#[cfg(fuzzing)]
pub fn read_hostile(query: &str, cookies: &HeaderMap) -> (bool, bool, bool) {
    let start = StartQuestion::read(Some(query));
    let callback = CallbackQuestion::read(Some(query));
    if let Some(callback) = &callback {
        assert!(
            callback.code.is_none() || callback.error.is_none(),
            "a code beside an error"
        );
        let code = callback.code.as_ref().map_or("x", Secret::expose);
        assert!((1..=CODE_MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    (
        start.ticket.is_some(),
        callback.is_some(),
        cookie(cookies).is_some(),
    )
}

/// The value of a parameter; an error when it stands twice.
fn single(query: &str, name: &str) -> Result<Option<String>, ()> {
    let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = found.next().map(|(_, value)| value.into_owned());
    match found.next() {
        Some(_) => Err(()),
        None => Ok(value),
    }
}

/// The browser's cookie, if it sent exactly one of ours.
pub(super) fn cookie(headers: &HeaderMap) -> Option<Random> {
    let mut found = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE_NAME);
    let (_, value) = found.next()?;
    match found.next() {
        Some(_) => None,
        None => Random::parse(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    #[test]
    fn a_callback_is_read_strictly() {
        let read = |query: &str| CallbackQuestion::read(Some(query));
        let question = read(&format!("code=na1-1&state={STATE}&unknown=1")).unwrap();
        assert_eq!(question.code.unwrap().expose(), "na1-1");
        assert!(question.state.unwrap().is_some());
        assert!(read("code=a&state=short").unwrap().state.unwrap().is_none());
        assert_eq!(
            read("error=access_denied").unwrap().error,
            Some(Refusal::Cancelled)
        );
        assert_eq!(read("error=%3Cscript%3E").unwrap().error, Some(Refusal::Other));
        assert_eq!(read("step=finalize&code=a").unwrap().step, Some(Step::Finalize));
        for bad in [
            "code=a&code=b",
            "state=a&state=b",
            "code=",
            "code=a%20b",
            "code=a%0d%0ab",
            "step=other",
            "code=a&error=access_denied",
            "error=access_denied&error=access_denied",
            "code=a&c%6fde=b",
            &format!("code={}", "x".repeat(513)),
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
        assert!(CallbackQuestion::read(None).is_some());
    }

    #[test]
    fn a_cookie_counts_when_there_is_exactly_one() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, value.parse().unwrap());
            cookie(&headers).is_some()
        };
        assert!(read(&format!("a=b; {COOKIE_NAME}={STATE}; c=d")));
        assert!(!read(&format!("{COOKIE_NAME}={STATE}; {COOKIE_NAME}={STATE}")));
        assert!(!read(&format!("{COOKIE_NAME}=x")));
        assert!(!read(&format!("scopegate-install={STATE}")));
        assert!(!read(""));
    }
}
