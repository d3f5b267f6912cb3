//! HubSpot's answers about the people of an account: which questions there are, and what an answer says.
//!
//! Each source has its blind spots: the list of users has no flag for deactivated ones, the archived
//! owners are those who were owners, the security log is a log. So an answer is never more than one
//! source's word, and what can't be read is said to be unknown, with the reason.

use http::StatusCode;
use serde_json::Value;

use crate::hubspot::control::ControlAnswer;
use crate::hubspot::oauth::address;

/// Rows of one page: HubSpot's own most for owners and users.
const PAGE: u64 = 100;

/// Longest cursor that is sent back.
const CURSOR_MAX: usize = 256;

/// A question about an account's people. All are `GET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeopleQuestion {
    /// One user, by number.
    User(u64),
    /// All users, a page at a time.
    Users(Option<Cursor>),
    /// The active owner that is this user.
    Owner(u64),
    /// Deactivated owners, a page at a time.
    ArchivedOwners(Option<Cursor>),
    /// What happened to users and their rights since a moment, a page at a time.
    SecurityActivity {
        /// Milliseconds since 1970.
        since_ms: i64,
        /// The page.
        after: Option<Cursor>,
    },
}

/// Where the next page begins, as HubSpot said; what is no plain text never becomes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

/// Which part of HubSpot answers a question: one may fail while the others answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeopleSource {
    /// The account's users.
    Users,
    /// The owners.
    Owners,
    /// The security log: it corroborates, nothing waits for it.
    SecurityLog,
}

impl PeopleQuestion {
    /// Who answers it.
    pub fn source(&self) -> PeopleSource {
        match self {
            Self::User(_) | Self::Users(_) => PeopleSource::Users,
            Self::Owner(_) | Self::ArchivedOwners(_) => PeopleSource::Owners,
            Self::SecurityActivity { .. } => PeopleSource::SecurityLog,
        }
    }

    /// Path and query.
    pub fn path(&self) -> String {
        let page = |path: &str, fixed: &str, after: &Option<Cursor>| {
            let mut path = format!("{path}?limit={PAGE}{fixed}");
            if let Some(Cursor(after)) = after {
                path.push_str("&after=");
                path.extend(form_urlencoded::byte_serialize(after.as_bytes()));
            }
            path
        };
        match self {
            Self::User(id) => format!("/settings/users/2026-03/{id}?idProperty=USER_ID"),
            Self::Users(after) => page("/settings/users/2026-03", "", after),
            Self::Owner(id) => format!("/crm/owners/2026-03/{id}?idProperty=userId&archived=false"),
            Self::ArchivedOwners(after) => page("/crm/owners/2026-03", "&archived=true", after),
            Self::SecurityActivity { since_ms, after } => page(
                "/account-info/2026-03/activity/security",
                &format!("&fromTimestamp={since_ms}"),
                after,
            ),
        }
    }
}

/// A user as the account's settings show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSeen {
    /// HubSpot's number.
    pub id: u64,
    /// The address.
    pub email: Option<String>,
    /// Whether a super admin.
    pub super_admin: bool,
    /// Permission sets, by id, in order.
    pub roles: Vec<String>,
}

/// A deactivated owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedOwner {
    /// Which user, if told.
    pub user_id: Option<u64>,
    /// The address, if told.
    pub email: Option<String>,
}

/// What the security log says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Removed from the account.
    Removed,
    /// Deactivated.
    Deactivated,
    /// Added or reactivated.
    CameBack,
    /// Rights of an admin were taken.
    AdminTaken,
    /// Rights of an admin were given.
    AdminGiven,
}

/// One entry of the security log that is about a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Whom it happened to.
    pub user_id: u64,
    /// What.
    pub what: Happened,
    /// When.
    pub at: jiff::Timestamp,
}

/// A page of rows, and where the next one begins.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows that could be read.
    pub rows: Vec<T>,
    /// `None`: this was the last.
    pub next: Option<Cursor>,
}

/// Why an answer says nothing, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// Whether HubSpot wants to be left alone for now: nothing more is asked in this round.
pub fn wants_rest(answer: &ControlAnswer) -> bool {
    let status = answer.status;
    status == StatusCode::TOO_MANY_REQUESTS
        || status.as_u16() == 477
        || (status.is_server_error() && answer.retry_after.is_some())
}

/// The user asked for; `None`: HubSpot says there is none.
///
/// # Errors
/// Anything but that user, or HubSpot's own 404.
pub fn read_user(answer: &ControlAnswer, id: u64) -> Result<Option<UserSeen>, Unreadable> {
    // A 404 that is not in HubSpot's form may be any proxy's.
    if answer.status == StatusCode::NOT_FOUND && object(answer).is_ok() {
        return Ok(None);
    }
    let user = user_of(&json(answer, "users")?).ok_or_else(|| odd("users"))?;
    if user.id == id {
        Ok(Some(user))
    } else {
        Err(odd("users"))
    }
}

/// A page of users.
///
/// # Errors
/// The page can't be read; a row that can't makes the page unreadable, since it may be the one looked
/// for.
pub fn read_users(answer: &ControlAnswer) -> Result<Page<UserSeen>, Unreadable> {
    page(answer, "users", user_of)
}

/// Whether the user is an active owner.
///
/// # Errors
/// Anything but that owner, or HubSpot's own 404.
pub fn read_owner(answer: &ControlAnswer, id: u64) -> Result<bool, Unreadable> {
    if answer.status == StatusCode::NOT_FOUND && object(answer).is_ok() {
        return Ok(false);
    }
    let value = json(answer, "owners")?;
    let same = number(value.get("userId")) == Some(id);
    let archived = value.get("archived").and_then(Value::as_bool);
    match (same, archived) {
        (true, Some(false) | None) => Ok(true),
        _ => Err(odd("owners")),
    }
}

/// A page of deactivated owners.
///
/// # Errors
/// The page can't be read.
pub fn read_archived(answer: &ControlAnswer) -> Result<Page<ArchivedOwner>, Unreadable> {
    page(answer, "owners", |row| {
        // A server that does not know `archived` lists the active ones.
        let archived = row.get("archived").and_then(Value::as_bool) == Some(true);
        archived.then(|| ArchivedOwner {
            user_id: number(row.get("userIdIncludingInactive")),
            email: text(row.get("email")).and_then(address),
        })
    })
}

/// A page of the security log: entries about users alone.
///
/// # Errors
/// The page can't be read.
pub fn read_activity(answer: &ControlAnswer) -> Result<Page<Activity>, Unreadable> {
    let page = page(answer, "security activity", |row| Some(activity_of(row)))?;
    Ok(Page {
        rows: page.rows.into_iter().flatten().collect(),
        next: page.next,
    })
}

fn activity_of(row: &Value) -> Option<Activity> {
    let what = match row.get("type")?.as_str()? {
        "REMOVE_USER" => Happened::Removed,
        "DEACTIVATE_USER" => Happened::Deactivated,
        "ADD_USER" | "REACTIVATE_USER" => Happened::CameBack,
        "REMOVE_ADMIN_USER" | "REMOVE_ADMIN_PERMISSIONS" => Happened::AdminTaken,
        "ADD_ADMIN_USER" | "ADD_ADMIN_PERMISSIONS" => Happened::AdminGiven,
        _ => return None,
    };
    // `userId` may be whoever did it; an entry that names no object is about nobody.
    let user_id = number(row.get("objectId"))?;
    let at = text(row.get("createdAt"))?.parse().ok()?;
    Some(Activity { user_id, what, at })
}

fn user_of(value: &Value) -> Option<UserSeen> {
    let mut roles: Vec<String> = value
        .get("roleIds")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .chain(value.get("roleId"))
        .filter_map(id)
        .collect();
    roles.sort_unstable();
    roles.dedup();
    Some(UserSeen {
        id: number(value.get("id"))?,
        email: text(value.get("email")).and_then(address),
        super_admin: value.get("superAdmin").and_then(Value::as_bool)?,
        roles,
    })
}

fn page<T>(
    answer: &ControlAnswer,
    source: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Page<T>, Unreadable> {
    let value = json(answer, source)?;
    let results = value
        .get("results")
        .and_then(Value::as_array)
        .ok_or_else(|| odd(source))?;
    let rows = results
        .iter()
        .map(read)
        .collect::<Option<Vec<T>>>()
        .ok_or_else(|| odd(source))?;
    let next = match value.pointer("/paging/next/after") {
        None | Some(Value::Null) => None,
        Some(after) => Some(cursor(after).ok_or_else(|| odd(source))?),
    };
    Ok(Page { rows, next })
}

fn cursor(value: &Value) -> Option<Cursor> {
    let text = text(Some(value)).or_else(|| number(Some(value)).map(|number| number.to_string()))?;
    let plain = (1..=CURSOR_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then_some(Cursor(text))
}

/// The answer's JSON, of a 200.
fn json(answer: &ControlAnswer, source: &str) -> Result<Value, Unreadable> {
    match answer.status {
        StatusCode::OK => object(answer).map_err(|()| odd(source)),
        StatusCode::UNAUTHORIZED => Err(Unreadable(format!(
            "{source}: HubSpot refuses the watcher's token (401)"
        ))),
        StatusCode::FORBIDDEN => Err(Unreadable(format!(
            "{source}: the watcher may not ask this (403)"
        ))),
        status => Err(Unreadable(format!(
            "{source}: HubSpot answered {}",
            status.as_u16()
        ))),
    }
}

fn object(answer: &ControlAnswer) -> Result<Value, ()> {
    let value: Value = serde_json::from_slice(&answer.body).map_err(|_| ())?;
    value.is_object().then_some(value).ok_or(())
}

fn odd(source: &str) -> Unreadable {
    Unreadable(format!("{source}: the answer can't be read"))
}

/// HubSpot writes ids as numbers and as text.
fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// An id that is only compared: were one of another kind passed over, it would look like one that is gone.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

#[cfg(test)]
#[path = "people_tests.rs"]
mod tests;
