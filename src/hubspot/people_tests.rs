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
    let named = r#"{"id":7,"superAdmin":false,"roleId":9,"roleIds":["sales-9"]}"#;
    let seen = read_user(&answer(200, named), 7).unwrap().unwrap();
    assert_eq!(seen.roles, ["9", "sales-9"]);
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
