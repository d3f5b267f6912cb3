//! Why HubSpot answered 403: a closed set of causes, because its texts mislead.
//!
//! "permission", "portal" and "scope" stand in the texts of several causes, and a text can name a
//! scope that would not help. So the answer's category and structured context count first, then
//! what the connection was granted against what the catalogue says the call needs, and words last.
//! A wrong cause is worse than `unknown`: what contradicts itself is unknown.
//!
//! Deliberately absent: anything of HubSpot's text. Of scopes only those the catalogue knows are
//! named, so that nothing anybody wrote gets from a body into a header or a record.

mod body;
mod cause;
mod scopes;
mod words;

#[cfg(test)]
mod labelled;
#[cfg(test)]
mod tests;

use self::body::{Body, Read};

pub use self::cause::{ForbiddenCause, ForbiddenDetail};
pub use self::scopes::Lacks;

/// A 403 of HubSpot's, and what is known about the call it answers.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// As its header says.
    pub content_type: Option<&'a str>,
    /// Whole: a part of it is no JSON, and unknown.
    pub body: &'a [u8],
    /// The scopes of the credential; `None`: HubSpot never told.
    pub granted: Option<&'a [String]>,
    /// What the catalogue says the call needs: each of these.
    pub needs: &'a [Need<'a>],
    /// Whether the catalogue knows a scope of this name.
    pub is_scope: &'a dyn Fn(&str) -> bool,
    /// Whether the credential has no more rights than a person: a private app's token, a service
    /// key. HubSpot describes OAuth grants as acting for the account.
    pub follows_person: bool,
}

/// One thing a call needs: any of these lists of scopes, all of a list. Empty = nobody knows.
pub type Need<'a> = Vec<Vec<&'a str>>;

/// What a 403 means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// Why.
    pub cause: ForbiddenCause,
    /// Scopes that are missing; never one that is granted. Empty unless the cause is
    /// `missing_scope`, and then, too, when nobody can name them.
    pub lacks: Lacks,
    /// What else is known.
    pub detail: Option<ForbiddenDetail>,
}

impl Forbidden {
    fn new(cause: ForbiddenCause) -> Self {
        Self {
            cause,
            lacks: Lacks::default(),
            detail: None,
        }
    }

    fn unknown(detail: ForbiddenDetail) -> Self {
        Self {
            detail: Some(detail),
            ..Self::new(ForbiddenCause::Unknown)
        }
    }

    /// Of a body that was too long to be read.
    pub fn too_long() -> Self {
        Self::unknown(ForbiddenDetail::TooLong)
    }

    /// Reads a 403. Pure; a body over 256 KiB is not looked at.
    pub fn decode(question: &Question<'_>) -> Self {
        match body::read(question.body) {
            Read::TooLong => Self::too_long(),
            Read::NotJson if words::is_edge_page(question.content_type, question.body) => {
                Self::new(ForbiddenCause::EdgeBlock)
            }
            Read::NotJson => Self::unknown(ForbiddenDetail::NotJson),
            Read::Json(body) => by_structure(question, &body)
                .or_else(|| by_words(question, &body))
                .unwrap_or_else(|| Self::new(ForbiddenCause::Unknown)),
        }
    }

    /// The value of `x-scopegate-cause`: `CAUSE[; lacks="SCOPES"]`, ASCII, at most 600 bytes.
    pub fn header(&self) -> String {
        let cause = self.cause.as_str();
        match self.lacks.is_empty() {
            true => cause.to_owned(),
            false => format!("{cause}; lacks=\"{}\"", self.lacks),
        }
    }
}

/// By category, codes and context: what HubSpot says in a form meant for programs.
fn by_structure(question: &Question<'_>, body: &Body) -> Option<Forbidden> {
    let missing_scopes = body.has_code("MISSING_SCOPES");
    if missing_scopes && body.says("available for public use") {
        // No scope helps: the endpoint is not public, or not for this subscription.
        return Some(Forbidden::new(ForbiddenCause::Tier));
    }
    if body.has_code("GATED") {
        return Some(Forbidden::new(ForbiddenCause::Tier));
    }
    let named = body.scopes();
    if missing_scopes && !named.is_empty() {
        return Some(scopes::missing(question, &named));
    }
    if body.mentions("USER_DOES_NOT_HAVE_PERMISSIONS") {
        return Some(Forbidden::new(ForbiddenCause::UserPermission));
    }
    if missing_scopes {
        return Some(scopes::missing(question, &named));
    }
    let of_portal = || words::is_about_portal(body) && !words::is_about_client(body);
    if body.mentions("HIGH_RISK_PORTAL") || (body.has_code("BANNED") && of_portal()) {
        return Some(Forbidden::new(ForbiddenCause::PortalPaused));
    }
    // A list without its category: believed unless all of it is granted.
    let found = (!named.is_empty()).then(|| scopes::missing(question, &named))?;
    match found.detail {
        Some(ForbiddenDetail::Granted) => Some(Forbidden::unknown(ForbiddenDetail::Granted)),
        _ => Some(found),
    }
}

/// By what the texts say, held against what was granted.
fn by_words(question: &Question<'_>, body: &Body) -> Option<Forbidden> {
    let named = body.scopes_in_text();
    let of = |cause| Some(Forbidden::new(cause));
    if body.says("does not have proper permissions") && !named.is_empty() {
        // The token's check on older endpoints; its names are HubSpot's own, which nobody can grant.
        return Some(scopes::missing(question, &named));
    }
    if words::is_about_type(body) {
        if scopes::is_lacking(question) {
            return Some(scopes::missing(question, &named));
        }
        if body.says("product library") {
            return of(ForbiddenCause::Tier);
        }
        if question.granted.is_none() && !question.follows_person {
            return Some(Forbidden::unknown(ForbiddenDetail::GrantedUnknown));
        }
        return of(ForbiddenCause::UserPermission);
    }
    if body.says("gated for this portal") {
        return of(ForbiddenCause::Tier);
    }
    if words::says_portal_paused(body) {
        return of(ForbiddenCause::PortalPaused);
    }
    if words::says_record_archived(body) {
        return of(ForbiddenCause::Archived);
    }
    if body.says("sensitive") && (body.says("scope") || body.says("permission")) {
        return Some(scopes::sensitive(question, &named));
    }
    if (body.says("permission") || body.says("scope")) && scopes::is_lacking(question) {
        return Some(scopes::missing(question, &named));
    }
    let of_user = body.has_code("MISSING_PERMISSIONS") && words::is_about_user(body);
    of_user.then(|| Forbidden::new(ForbiddenCause::UserPermission))
}
