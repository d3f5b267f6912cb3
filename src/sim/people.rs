//! Owners and users: the same people seen from the CRM and from the account's settings.

use http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::clock::iso;
use super::portal::{User, UserState};
use super::problem::{Handled, Problem};
use super::scopes::Need;

const OWNERS: Need = &[&["crm.objects.owners.read"], &["automation"]];
const USERS_READ: Need = &[&["settings.users.read"], &["crm.objects.users.read"]];
const TEAMS_READ: Need = &[&["settings.users.teams.read"], &["crm.objects.users.read"]];
/// Default and largest page of owners.
const OWNERS_PAGE: u64 = 100;
const OWNERS_MOST: u64 = 500;
const USERS_PAGE: u64 = 100;

/// Teams every portal has.
const TEAMS: &[(u64, &str)] = &[(7001, "Sales"), (7002, "Service")];
/// Permission sets every portal has.
const ROLES: &[(u64, &str)] = &[(8001, "Sales rep"), (8002, "Service agent"), (8003, "Marketing")];

/// Everything under `/crm/…/owners`.
pub(super) fn owners(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    if cx.call.method != Method::GET {
        return Err(Problem::method_not_allowed());
    }
    cx.who.scopes().require(OWNERS)?;
    match words {
        [] => list_owners(cx),
        [id] => one_owner(cx, id),
        _ => Err(Problem::not_found()),
    }
}

fn list_owners(cx: Cx<'_>) -> Handled<Answer> {
    let query = &cx.call.query;
    let limit = query.limit(OWNERS_PAGE, OWNERS_MOST)?;
    let after = query.number("after")?.unwrap_or(0);
    let wanted = if query.flag("archived") {
        UserState::Deactivated
    } else {
        UserState::Active
    };
    let email = query.first("email").filter(|email| !email.is_empty());
    let data = cx.who.portal.read();
    let mut found = data
        .users
        .iter()
        .filter(|user| user.state == wanted && user.owner_id > after)
        .filter(|user| email.is_none_or(|email| user.email.eq_ignore_ascii_case(email)));
    let page: Vec<&User> = found.by_ref().take(limit).collect();
    let results: Vec<Value> = page.iter().map(|user| owner(user)).collect();
    let more = found.next().is_some();
    let next = page.last().filter(|_| more).map(|user| user.owner_id);
    let path = format!("/crm/owners/{}", cx.call.version);
    Ok(Answer::ok(&page_of(cx, results, next, &path)))
}

fn one_owner(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    let query = &cx.call.query;
    let by_user = query
        .first("idProperty")
        .is_some_and(|name| name.eq_ignore_ascii_case("userId"));
    let wanted = if query.flag("archived") {
        UserState::Deactivated
    } else {
        UserState::Active
    };
    let data = cx.who.portal.read();
    let found = data.users.iter().find(|user| {
        let own = if by_user { user.id } else { user.owner_id };
        user.state == wanted && own.to_string() == id
    });
    found
        .map(|user| Answer::ok(&owner(user)))
        .ok_or_else(Problem::not_found)
}

/// A deactivated person's user id moves and the names go.
fn owner(user: &User) -> Value {
    let active = user.state == UserState::Active;
    let team = TEAMS.iter().find(|(id, _)| Some(*id) == user.team_id);
    json!({
        "id": user.owner_id.to_string(),
        "email": user.email,
        "type": "PERSON",
        "firstName": if active { user.first_name.as_str() } else { "" },
        "lastName": if active { user.last_name.as_str() } else { "" },
        "userId": active.then_some(user.id),
        "userIdIncludingInactive": user.id,
        "createdAt": iso(user.created_ms),
        "updatedAt": iso(user.created_ms),
        "archived": !active,
        "teams": team.map(|(id, name)| json!({ "id": id.to_string(), "name": name, "primary": true }))
            .into_iter().collect::<Vec<_>>(),
    })
}

/// `results` and, when there is more, `paging.next`.
pub(super) fn page_of(cx: Cx<'_>, results: Vec<Value>, next: Option<u64>, path: &str) -> Value {
    match next {
        None => json!({ "results": results }),
        Some(after) => {
            let link = format!("{}{path}?after={after}", cx.call.origin);
            json!({ "results": results, "paging": { "next": { "after": after.to_string(), "link": link } } })
        }
    }
}

/// Everything under `/settings/…/users`.
pub(super) fn users(cx: Cx<'_>, words: &[&str]) -> Handled<Answer> {
    if cx.call.method != Method::GET {
        return Err(Problem::method_not_allowed());
    }
    match words {
        ["teams"] => teams(cx),
        ["roles"] => {
            cx.who.scopes().require(USERS_READ)?;
            let role = |(id, name): &(u64, &str)| json!({ "id": id.to_string(), "name": name, "requiresBillingWrite": false });
            Ok(Answer::ok(
                &json!({ "results": ROLES.iter().map(role).collect::<Vec<_>>() }),
            ))
        }
        [] => list_users(cx),
        [id] => one_user(cx, id),
        _ => Err(Problem::not_found()),
    }
}

fn teams(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(TEAMS_READ)?;
    let data = cx.who.portal.read();
    let results: Vec<Value> = TEAMS
        .iter()
        .map(|(id, name)| {
            let members = data.users.iter().filter(|user| user.team_id == Some(*id));
            let ids: Vec<String> = members.map(|user| user.id.to_string()).collect();
            json!({ "id": id.to_string(), "name": name, "userIds": ids, "secondaryUserIds": [] })
        })
        .collect();
    Ok(Answer::ok(&json!({ "results": results })))
}

fn list_users(cx: Cx<'_>) -> Handled<Answer> {
    cx.who.scopes().require(USERS_READ)?;
    let limit = cx.call.query.limit(USERS_PAGE, USERS_PAGE)?;
    let after = cx.call.query.number("after")?.unwrap_or(0);
    let data = cx.who.portal.read();
    // Deactivated people are still listed: nothing here says who is active.
    let mut found = data
        .users
        .iter()
        .filter(|user| user.state != UserState::Removed && user.id > after);
    let page: Vec<&User> = found.by_ref().take(limit).collect();
    let more = found.next().is_some();
    let next = page.last().filter(|_| more).map(|user| user.id);
    let results = page.iter().map(|user| provisioned(user)).collect();
    let path = format!("/settings/users/{}", cx.call.version);
    Ok(Answer::ok(&page_of(cx, results, next, &path)))
}

fn one_user(cx: Cx<'_>, id: &str) -> Handled<Answer> {
    cx.who.scopes().require(USERS_READ)?;
    let by_email = cx
        .call
        .query
        .first("idProperty")
        .is_some_and(|name| name.eq_ignore_ascii_case("EMAIL"));
    let data = cx.who.portal.read();
    let found = data
        .users
        .iter()
        .filter(|user| user.state != UserState::Removed)
        .find(|user| {
            if by_email {
                user.email.eq_ignore_ascii_case(id)
            } else {
                user.id.to_string() == id
            }
        });
    found
        .map(|user| Answer::ok(&provisioned(user)))
        .ok_or_else(Problem::not_found)
}

fn provisioned(user: &User) -> Value {
    let roles: Vec<String> = user.role_id.iter().map(u64::to_string).collect();
    json!({
        "id": user.id.to_string(),
        "email": user.email,
        "firstName": user.first_name,
        "lastName": user.last_name,
        "roleId": user.role_id.map(|id| id.to_string()),
        "roleIds": roles,
        "primaryTeamId": user.team_id.map(|id| id.to_string()),
        "secondaryTeamIds": [],
        "superAdmin": user.super_admin,
    })
}
