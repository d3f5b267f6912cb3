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

impl PeopleQuestion {
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
pub fn wants_rest(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() || status.as_u16() == 477
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
        .filter_map(|role| number(Some(role)))
        .map(|role| role.to_string())
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

fn text(value: Option<&Value>) -> Option<String> {
    value?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, body: &str) -> ControlAnswer {
        ControlAnswer {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
            received: tokio::time::Instant::now(),
        }
    }

    #[test]
    fn a_user_is_there_gone_or_unknown_and_never_guessed() {
        let user = r#"{"id":"7","email":"a@x.y","superAdmin":true,"roleId":null,"roleIds":["9"]}"#;
        let seen = read_user(&answer(200, user), 7).unwrap().unwrap();
        assert!(seen.super_admin && seen.roles == ["9"]);
        let gone = r#"{"status":"error","message":"User not found"}"#;
        assert_eq!(read_user(&answer(404, gone), 7), Ok(None));
        for (status, body) in [
            (404, "<html>no such page</html>"),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"id":"8","superAdmin":false}"#),
            (200, r#"{"id":"7"}"#),
            (401, gone),
            (403, gone),
            (500, gone),
            (302, ""),
        ] {
            assert!(read_user(&answer(status, body), 7).is_err(), "{status} {body}");
        }
    }

    #[test]
    fn archived_owners_are_told_from_a_list_of_active_ones() {
        let row = r#"{"results":[{"userId":null,"userIdIncludingInactive":7,"email":"a@x.y","archived":true}],
            "paging":{"next":{"after":"12"}}}"#;
        let page = read_archived(&answer(200, row)).unwrap();
        assert_eq!(page.rows[0].user_id, Some(7));
        assert_eq!(
            PeopleQuestion::ArchivedOwners(page.next).path(),
            "/crm/owners/2026-03?limit=100&archived=true&after=12"
        );
        let active = r#"{"results":[{"userId":7,"userIdIncludingInactive":7,"archived":false}]}"#;
        assert!(read_archived(&answer(200, active)).is_err());
        for odd in [
            r#"{"results":[],"paging":{"next":{"after":"a b"}}}"#,
            r#"{"results":7}"#,
        ] {
            assert!(read_archived(&answer(200, odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn an_owner_counts_only_if_it_is_the_one_asked_for() {
        assert_eq!(
            read_owner(&answer(200, r#"{"userId":7,"archived":false}"#), 7),
            Ok(true)
        );
        assert_eq!(read_owner(&answer(404, "{}"), 7), Ok(false));
        for odd in [
            r#"{"userId":8,"archived":false}"#,
            r#"{"userId":7,"archived":true}"#,
            "{}",
        ] {
            assert!(read_owner(&answer(200, odd), 7).is_err(), "{odd}");
        }
    }

    #[test]
    fn the_security_log_is_about_whom_it_names_not_about_who_did_it() {
        let log = r#"{"results":[
            {"type":"REMOVE_USER","userId":1,"objectId":"7","createdAt":"2026-11-22T10:00:00Z"},
            {"type":"DEACTIVATE_USER","userId":8,"createdAt":"2026-11-22T10:00:00.123Z"},
            {"type":"PRIVATE_APP_ACCESS_TOKEN_VIEW","userId":9,"createdAt":"2026-11-22T10:00:00Z"},
            {"type":"REMOVE_ADMIN_USER","userId":1,"objectId":"not a number","createdAt":"2026-11-22T10:00:00Z"}]}"#;
        let rows = read_activity(&answer(200, log)).unwrap().rows;
        let found: Vec<_> = rows.iter().map(|row| (row.user_id, row.what)).collect();
        assert_eq!(found, [(7, Happened::Removed)]);
    }

    #[test]
    fn only_fixed_paths_are_asked() {
        let after = || Some(Cursor("a&limit=1/../".to_owned()));
        for (question, path) in [
            (
                PeopleQuestion::User(7),
                "/settings/users/2026-03/7?idProperty=USER_ID",
            ),
            (
                PeopleQuestion::Users(after()),
                "/settings/users/2026-03?limit=100&after=a%26limit%3D1%2F..%2F",
            ),
            (
                PeopleQuestion::Owner(7),
                "/crm/owners/2026-03/7?idProperty=userId&archived=false",
            ),
            (
                PeopleQuestion::SecurityActivity {
                    since_ms: 5,
                    after: None,
                },
                "/account-info/2026-03/activity/security?limit=100&fromTimestamp=5",
            ),
        ] {
            assert_eq!(question.path(), path);
        }
    }
}
