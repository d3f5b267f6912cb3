//! Errors in HubSpot's envelope, member by member in the order public dumps show.

use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::answer::{Answer, JSON};
use super::clock::iso;

/// What a handler returns. The error is boxed: it is large and rare.
pub(super) type Handled<T> = Result<T, Box<Problem>>;

/// A refusal of the simulated HubSpot.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) message: String,
    pub(super) category: Option<&'static str>,
    /// Public 401 dumps name the category before the context, all others last.
    category_first: bool,
    sub_category: Option<&'static str>,
    pub(super) context: Option<Context>,
    pub(super) errors: Vec<Detail>,
    links: Option<Links>,
    /// Members of a 429.
    limit: Option<LimitFacts>,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, HeaderValue)>,
}

/// Names to lists of strings.
#[derive(Clone, Debug, Default)]
pub(super) struct Context(pub(super) Vec<(String, Vec<String>)>);

impl Serialize for Context {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, values)| (name, values)))
    }
}

/// One entry of `errors`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Detail {
    pub(super) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'static str>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<Context>,
}

#[derive(Clone, Debug, Serialize)]
struct Links {
    scopes: &'static str,
}

/// The members that only a 429 has.
#[derive(Clone, Debug)]
pub(super) struct LimitFacts {
    /// `policyName`.
    pub(super) policy: &'static str,
    /// `groupName`.
    pub(super) group: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'static str>,
    correlation_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<&'a str>,
    #[serde(rename = "category", skip_serializing_if = "Option::is_none")]
    early_category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a Context>,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    errors: &'a [Detail],
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<&'a Links>,
    #[serde(rename = "category", skip_serializing_if = "Option::is_none")]
    late_category: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_category: Option<&'static str>,
}

impl Problem {
    /// An error with a message and, perhaps, a category.
    pub(super) fn new(
        status: StatusCode,
        category: Option<&'static str>,
        message: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self {
            status,
            message: message.into(),
            category,
            category_first: false,
            sub_category: None,
            context: None,
            errors: Vec::new(),
            links: None,
            limit: None,
            headers: Vec::new(),
        })
    }

    /// Adds a context entry.
    pub(super) fn context(mut self: Box<Self>, name: &str, values: Vec<String>) -> Box<Self> {
        self.context
            .get_or_insert_default()
            .0
            .push((name.to_owned(), values));
        self
    }

    /// Adds an entry of `errors`.
    pub(super) fn detail(mut self: Box<Self>, detail: Detail) -> Box<Self> {
        self.errors.push(detail);
        self
    }

    /// No credential, or an unknown one.
    pub(super) fn invalid_authentication() -> Box<Self> {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            Some("INVALID_AUTHENTICATION"),
            "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more \
             details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        );
        problem.category_first = true;
        problem.headers.push((
            "x-hubspot-auth-failure",
            HeaderValue::from_static("401 Unauthorized"),
        ));
        problem
    }

    /// A token whose time has passed.
    pub(super) fn expired_authentication(expired_ms: i64, now_ms: i64) -> Box<Self> {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            Some("EXPIRED_AUTHENTICATION"),
            format!(
                "The OAuth token used to make this call expired {} ago.",
                age(now_ms - expired_ms)
            ),
        )
        .context("expire time", vec![iso(expired_ms)]);
        problem.category_first = true;
        problem.headers.push((
            "x-hubspot-auth-failure",
            HeaderValue::from_static("401 Unauthorized"),
        ));
        problem
    }

    /// The credential lacks scopes.
    pub(super) fn missing_scopes(scopes: Vec<String>, all_needed: bool) -> Box<Self> {
        let message = if all_needed {
            "All of the following scopes are required."
        } else {
            "One or more of the following scopes are required."
        };
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            Some("MISSING_SCOPES"),
            "This app hasn't been granted all required scopes to make this call. Read more about required scopes \
             here: https://developers.hubspot.com/scopes.",
        )
        .detail(Detail {
            message: message.to_owned(),
            code: None,
            place: None,
            context: Some(Context(vec![("requiredGranularScopes".to_owned(), scopes)])),
        });
        problem.links = Some(Links {
            scopes: "https://developers.hubspot.com/scopes",
        });
        problem
    }

    /// The person behind the credential may not do this.
    pub(super) fn user_permission() -> Box<Self> {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            Some("MISSING_PERMISSIONS"),
            "The user doesn't have the permissions to make this call.",
        );
        problem.sub_category = Some("USER_DOES_NOT_HAVE_PERMISSIONS");
        problem
    }

    /// No record of that id. The double space is HubSpot's.
    pub(super) fn object_not_found(id: &str) -> Box<Self> {
        Self::new(
            StatusCode::NOT_FOUND,
            Some("OBJECT_NOT_FOUND"),
            "Object not found.  objectId are usually numeric.",
        )
        .context("id", vec![id.to_owned()])
    }

    /// No such path, or something else that does not exist.
    pub(super) fn not_found() -> Box<Self> {
        Self::new(StatusCode::NOT_FOUND, None, "resource not found")
    }

    /// The path exists for other methods.
    pub(super) fn method_not_allowed() -> Box<Self> {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            None,
            "HTTP 405 Method Not Allowed",
        )
    }

    /// The request makes no sense.
    pub(super) fn validation(message: impl Into<String>) -> Box<Self> {
        Self::new(StatusCode::BAD_REQUEST, Some("VALIDATION_ERROR"), message)
    }

    /// The body is not the JSON this call takes.
    pub(super) fn invalid_json(error: &serde_json::Error) -> Box<Self> {
        Self::validation(format!(
            "Invalid input JSON on line {}, column {}: {}",
            error.line(),
            error.column(),
            describe(error)
        ))
    }

    /// A word that names no object type of this portal.
    pub(super) fn unknown_type(word: &str) -> Box<Self> {
        Self::validation(format!("Unable to infer object type from: {word}"))
    }

    /// A body larger than the simulator takes.
    pub(super) fn too_large() -> Box<Self> {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            Some("VALIDATION_ERROR"),
            "Request entity too large",
        )
    }

    /// A limit was reached.
    pub(super) fn rate_limit(message: &str, limit: LimitFacts) -> Box<Self> {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, None, message);
        problem.limit = Some(limit);
        problem
    }

    /// The answer, with the correlation id in body and header alike.
    pub(super) fn answer(&self, correlation_id: &str) -> Answer {
        let envelope = Envelope {
            status: "error",
            message: &self.message,
            error_type: self.limit.as_ref().map(|_| "RATE_LIMIT"),
            correlation_id,
            policy_name: self.limit.as_ref().map(|limit| limit.policy),
            group_name: self.limit.as_ref().map(|limit| limit.group.as_str()),
            early_category: self.category.filter(|_| self.category_first),
            context: self.context.as_ref(),
            errors: &self.errors,
            links: self.links.as_ref(),
            late_category: self.category.filter(|_| !self.category_first),
            sub_category: self.sub_category,
        };
        let mut answer = Answer::json(self.status, &envelope);
        answer.set("content-type", JSON);
        for (name, value) in &self.headers {
            answer.set(name, value.clone());
        }
        answer
    }
}

/// serde's own words without its position, which HubSpot puts first.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

/// `5 second(s)`, `92 minute(s)` below two hours, `5 hour(s)`, `19884 day(s)`.
fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} second(s)"),
        120..7200 => format!("{} minute(s)", seconds / 60),
        7200..172_800 => format!("{} hour(s)", seconds / 3600),
        _ => format!("{} day(s)", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(problem: &Problem) -> String {
        let answer = problem.answer("019cd9fe-d093-7d4f-99bc-45975fdcf7c6");
        String::from_utf8(answer.whole_body().to_vec()).unwrap()
    }

    #[test]
    fn error_bodies_are_the_published_ones_byte_for_byte() {
        assert_eq!(
            body(&Problem::invalid_authentication()),
            "{\"status\":\"error\",\"message\":\"Authentication credentials not found. This API supports OAuth 2.0 \
             authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview\
             \",\"correlationId\":\"019cd9fe-d093-7d4f-99bc-45975fdcf7c6\",\"category\":\"INVALID_AUTHENTICATION\"}"
        );
        assert_eq!(
            body(&Problem::expired_authentication(
                1_773_183_881_164,
                1_773_183_881_900
            )),
            "{\"status\":\"error\",\"message\":\"The OAuth token used to make this call expired 0 second(s) ago.\",\
             \"correlationId\":\"019cd9fe-d093-7d4f-99bc-45975fdcf7c6\",\"category\":\"EXPIRED_AUTHENTICATION\",\
             \"context\":{\"expire time\":[\"2026-03-10T23:04:41.164Z\"]}}"
        );
        assert_eq!(
            body(&Problem::missing_scopes(
                vec!["crm.objects.owners.read".into()],
                false
            )),
            "{\"status\":\"error\",\"message\":\"This app hasn't been granted all required scopes to make this call. \
             Read more about required scopes here: https://developers.hubspot.com/scopes.\",\
             \"correlationId\":\"019cd9fe-d093-7d4f-99bc-45975fdcf7c6\",\"errors\":[{\"message\":\"One or more of the \
             following scopes are required.\",\"context\":{\"requiredGranularScopes\":[\"crm.objects.owners.read\"]}}],\
             \"links\":{\"scopes\":\"https://developers.hubspot.com/scopes\"},\"category\":\"MISSING_SCOPES\"}"
        );
        assert_eq!(
            body(&Problem::object_not_found("77")),
            "{\"status\":\"error\",\"message\":\"Object not found.  objectId are usually numeric.\",\
             \"correlationId\":\"019cd9fe-d093-7d4f-99bc-45975fdcf7c6\",\"context\":{\"id\":[\"77\"]},\
             \"category\":\"OBJECT_NOT_FOUND\"}"
        );
    }

    #[test]
    fn the_age_of_a_token_is_told_in_the_unit_that_fits() {
        for (seconds, text) in [(0, "0 second(s)"), (5520, "92 minute(s)"), (18_000, "5 hour(s)")] {
            assert_eq!(age(seconds * 1000), text);
        }
        assert_eq!(age(19_884 * 86_400_000), "19884 day(s)");
    }
}
