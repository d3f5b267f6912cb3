//! Everything that must not connect an account: each gets a page that says what to do, and stores nothing.

use std::time::Duration;

use scopegate::sim::{Action, Canned, Fault, Matching, PortalOptions};

use crate::browser::Browser;
use crate::world::{Installs, PUBLIC};

/// A state or a ticket that nobody gave out.
const MADE_UP: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn at_consent(installs: &Installs, name: &str) -> (Browser, String, crate::browser::Seen) {
    let (link, _) = installs.link(&[name, "--portal", "2002"]);
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    (browser, link, consent)
}

async fn world() -> Installs {
    let installs = Installs::new().await;
    installs.world.sim.add_portal(PortalOptions::new(2002));
    installs.world.sim.add_portal(PortalOptions::new(3003));
    installs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_forged_replayed_or_anothers_opens_nothing() {
    let installs = world().await;
    let (mut browser, link, consent) = at_consent(&installs, "acme-eu").await;
    let back = browser.decide(&consent, 2002, "allow").await;
    let callback = back.location().unwrap().to_owned();
    let code = callback.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let state = callback.split("state=").nth(1).unwrap();

    for (target, status, title) in [
        (
            format!("{PUBLIC}/callback?code={code}&state={MADE_UP}"),
            403,
            "Nothing was connected",
        ),
        (
            format!("{PUBLIC}/callback?code={code}&state=short"),
            403,
            "Nothing was connected",
        ),
        (
            format!("{PUBLIC}/callback?code={code}&state={state}&state={state}"),
            400,
            "Nothing was connected",
        ),
        // The way back of another app.
        (
            format!("{PUBLIC}/other?code={code}&state={state}"),
            403,
            "Nothing was connected",
        ),
        (
            format!("{PUBLIC}/callback?code={code}"),
            403,
            "This app is installed by a personal link",
        ),
        (format!("{PUBLIC}/callback"), 400, "Nothing was connected"),
        (
            format!("{PUBLIC}/callback?state={state}"),
            400,
            "Nothing was connected",
        ),
    ] {
        let seen = browser.get(&target).await;
        assert_eq!(
            (seen.status.as_u16(), seen.title()),
            (status, title),
            "{target}: {}",
            seen.body
        );
        assert!(
            !seen.says(code) && !seen.says(state),
            "a page repeats the request"
        );
    }
    // The very same URL in another browser, and in one whose cookie is made up.
    let mut stranger = browser.another();
    assert_eq!(stranger.get(&callback).await.status, 403);
    stranger.cookies.insert(
        (PUBLIC.to_owned(), "__Host-scopegate-install".to_owned()),
        MADE_UP.to_owned(),
    );
    assert_eq!(stranger.get(&callback).await.status, 403);
    assert!(installs.row("acme-eu").is_none());

    // None of it used anything up.
    let done = browser.get(&callback).await;
    assert_eq!(done.title(), "The account is connected", "{}", done.body);
    let replayed = browser.get(&callback).await;
    assert_eq!(
        (replayed.status.as_u16(), replayed.title()),
        (409, "This answer of HubSpot was used before")
    );
    let again = browser.get(&link).await;
    assert_eq!(
        (again.status.as_u16(), again.title()),
        (410, "This link has been used")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_works_in_one_browser_once_in_time_and_as_it_was_given() {
    let installs = world().await;
    let (link, _) = installs.link(&["acme-eu"]);
    let first_link = link.clone();
    let (mut one, mut two) = (installs.browser(), installs.browser());
    // Looking binds nothing: a mail scanner looks, too.
    assert_eq!(one.get(&link).await.status, 200);
    let page = two.get(&link).await;
    assert_eq!(page.status, 200);
    let without_cookie = one.another().get(&format!("{link}&continue=1")).await;
    assert_eq!(
        without_cookie.title(),
        "Your browser keeps no cookie for this site"
    );
    let consent = two.press(&page).await;
    let late = one.get(&link).await;
    assert_eq!(
        (late.status.as_u16(), late.title()),
        (403, "This link is in use in another browser")
    );
    let late = one.get(&format!("{link}&continue=1")).await;
    assert_eq!(late.status, 403);
    // The browser it is bound to may begin again, and then the first consent is void.
    let restarted = installs.consent(&mut two, &link).await;
    let void = two.agree(&consent, 2002).await;
    assert_eq!(void.status, 403, "{}", void.body);
    assert!(installs.row("acme-eu").is_none());
    assert_eq!(
        two.agree(&restarted, 2002).await.title(),
        "The account is connected"
    );

    let (link, _) = installs.link(&["acme-us"]);
    let mut altered = link.clone();
    let last = altered.pop().unwrap();
    altered.push(if last == 'A' { 'B' } else { 'A' });
    for (link, status, title) in [
        (altered, 404, "This link is not known here"),
        (
            format!("{PUBLIC}/start?ticket={MADE_UP}"),
            400,
            "This link is not complete",
        ),
        (format!("{PUBLIC}/start"), 400, "This link is not complete"),
        (format!("{PUBLIC}/"), 404, "There is nothing here"),
        (format!("{PUBLIC}/callback/"), 404, "There is nothing here"),
        (format!("{PUBLIC}//callback?code=x"), 404, "There is nothing here"),
        (
            format!("{PUBLIC}/%63allback?code=x"),
            404,
            "There is nothing here",
        ),
        (format!("{PUBLIC}/CALLBACK?code=x"), 404, "There is nothing here"),
        (
            format!("{PUBLIC}/callback;a?code=x"),
            404,
            "There is nothing here",
        ),
        (
            format!("{PUBLIC}/other/../callback?code=x"),
            404,
            "There is nothing here",
        ),
        (
            format!("{PUBLIC}/callback?code=x&error=access_denied"),
            400,
            "Nothing was connected",
        ),
    ] {
        let seen = installs.browser().get(&link).await;
        assert_eq!((seen.status.as_u16(), seen.title()), (status, title), "{link}");
    }
    for method in ["HEAD", "POST", "PUT", "OPTIONS"] {
        let seen = installs
            .browser()
            .request(method.parse().unwrap(), &link, &[])
            .await;
        assert_eq!(seen.status, 404, "{method}");
    }
    installs.edit("UPDATE installs SET expires_at = expires_at - 900000 WHERE name = 'acme-us'");
    installs.edit("UPDATE installs SET expires_at = expires_at - 900000 WHERE name = 'acme-eu'");
    let used = two.get(&first_link).await;
    assert_eq!(
        used.title(),
        "This link has been used",
        "not that nothing came of it"
    );
    let expired = installs.browser().get(&link).await;
    assert_eq!(
        (expired.status.as_u16(), expired.title()),
        (410, "This link has expired")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_was_altered_in_the_store_opens_nothing() {
    let installs = world().await;
    let (link, _) = installs.link(&["acme-eu", "--portal", "2002"]);
    installs.edit("UPDATE installs SET portal = 3003 WHERE name = 'acme-eu'");
    let seen = installs.browser().get(&link).await;
    assert_eq!(seen.title(), "This link is not known here");
    let (mut browser, _, consent) = at_consent(&installs, "acme-us").await;
    installs.edit("UPDATE installs SET portal = 3003 WHERE name = 'acme-us'");
    let seen = browser.agree(&consent, 3003).await;
    assert_eq!(seen.status, 403, "{}", seen.body);
    let (mut browser, _, consent) = at_consent(&installs, "acme-de").await;
    installs.edit("UPDATE installs SET verifier = x'0102' WHERE name = 'acme-de'");
    let seen = browser.agree(&consent, 2002).await;
    assert_eq!(seen.title(), "Something is wrong here");
    installs.edit("UPDATE installs SET phase = 'nonsense' WHERE name = 'acme-de'");
    let seen = browser.agree(&consent, 2002).await;
    assert_eq!(
        (seen.status.as_u16(), seen.title()),
        (503, "Something is wrong here")
    );
    assert!(
        installs
            .store()
            .connections()
            .unwrap()
            .iter()
            .all(|row| row.name.as_str() == "acme")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_ticket_is_not_used_again_by_who_can_write_the_store() {
    let installs = world().await;
    let (link, _) = installs.link(&["acme-eu"]);
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    assert_eq!(
        browser.agree(&consent, 2002).await.title(),
        "The account is connected"
    );
    // A state, a browser and a consent of the thief's own, without a verifier.
    let (mut thief, _, consent) = at_consent_of(&installs, "thief", 3003).await;
    let asked = form_urlencoded::parse(consent.url.split('?').nth(1).unwrap().as_bytes());
    let kept = asked.filter(|(name, _)| !name.starts_with("code_challenge"));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .finish();
    let consent = thief
        .get(&format!("{}?{query}", consent.url.split('?').next().unwrap()))
        .await;
    let back = thief.decide(&consent, 3003, "allow").await;
    for edit in [
        "UPDATE installs SET verifier = state, state = NULL WHERE name = 'thief'",
        "UPDATE installs SET phase = 'begun', back_until = 4102444800000, data_key = NULL, verifier = NULL,
             browser = (SELECT browser FROM installs WHERE name = 'thief'),
             state = (SELECT verifier FROM installs WHERE name = 'thief') WHERE name = 'acme-eu'",
        "DELETE FROM connections WHERE name = 'acme-eu'",
    ] {
        installs.edit(edit);
    }
    let seen = thief.get(back.location().unwrap()).await;
    assert_eq!(
        (seen.status.as_u16(), seen.title()),
        (403, "Nothing was connected"),
        "{}",
        seen.body
    );
    assert!(installs.row("acme-eu").is_none());
    // Nor is the link opened by whoever kept it.
    installs.edit("UPDATE installs SET phase = 'open', browser = NULL, state = NULL WHERE name = 'acme-eu'");
    let seen = installs.browser().get(&link).await;
    assert_eq!(seen.title(), "This link is not known here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_account_is_not_connected_and_the_right_one_may_still_be_chosen() {
    let installs = world().await;
    let (mut browser, link, consent) = at_consent(&installs, "acme-eu").await;
    let wrong = browser.agree(&consent, 3003).await;
    assert_eq!(
        (wrong.status.as_u16(), wrong.title()),
        (409, "This is another account")
    );
    assert!(
        wrong.says("account 3003") && wrong.says("account 2002") && wrong.says("uninstall"),
        "{}",
        wrong.body
    );
    assert!(installs.row("acme-eu").is_none());
    let consent = installs.consent(&mut browser, &link).await;
    assert_eq!(
        browser.agree(&consent, 2002).await.title(),
        "The account is connected"
    );
    // The account is taken now, under whatever name.
    let (link, _) = installs.link(&["acme-two"]);
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    let taken = browser.agree(&consent, 2002).await;
    assert_eq!(taken.title(), "This account is connected already");
    assert!(taken.says("acme-eu"));
    let refused = installs.world.command(&[
        "connection",
        "install",
        "acme-three",
        "--app",
        "agency",
        "--portal",
        "2002",
    ]);
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_agree_connects_nothing_and_may_think_again() {
    let installs = world().await;
    let (mut browser, link, consent) = at_consent(&installs, "acme-eu").await;
    let back = browser.decide(&consent, 2002, "cancel").await;
    assert!(back.location().unwrap().contains("error=access_denied"));
    let callback = back.location().unwrap().to_owned();
    let no = browser.get(&callback).await;
    assert_eq!(no.title(), "You did not agree, so nothing was connected");
    assert_eq!(browser.get(&callback).await.status, 409, "the answer is used up");
    let other = callback.replace("access_denied", "%3Cscript%3Ealert(1)%3C/script%3E");
    let consent = installs.consent(&mut browser, &link).await;
    let state = consent
        .url
        .split("state=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let old = other.split("state=").nth(1).unwrap();
    let strange = browser.get(&other.replace(old, state)).await;
    assert_eq!(strange.title(), "HubSpot did not let you connect the account");
    assert!(!strange.says("alert"), "{}", strange.body);
    let consent = installs.consent(&mut browser, &link).await;
    assert_eq!(
        browser.agree(&consent, 2002).await.title(),
        "The account is connected"
    );
}

/// One answer of the token endpoint, as HubSpot words it.
fn refuse_once(installs: &Installs, status: u16, word: &str) {
    let error = match word {
        "SOMETHING_NEW" => "invalid_request",
        _ => "invalid_grant",
    };
    let body = serde_json::json!({ "status": word, "error": error, "message": "canary-words" });
    let answer = Action::Answer(Canned::new(status, body.to_string()));
    let exchange = Matching::path("/oauth/2026-03/token").method("POST");
    installs.world.sim.fault(Fault::once(exchange, answer));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_in_which_hubspot_refuses_a_code_is_explained() {
    let installs = world().await;
    for (status, word, says) in [
        (400, "EXPIRED_AUTH_CODE", "took too long to come back"),
        (400, "BAD_AUTH_CODE", "used before"),
        (
            400,
            "MISMATCH_REDIRECT_URI_AUTH_CODE",
            "has to be registered with the app",
        ),
        (400, "BAD_CODE_VERIFIER", "belongs to another visit"),
        (
            400,
            "BAD_CLIENT_SECRET",
            "does not know the app by the client secret",
        ),
        (400, "BAD_SCOPES", "configured for the scopes"),
        (400, "BAD_HUB", "does not know the account any more"),
        (400, "SOMETHING_NEW", "exchange_refused"),
        (429, "", "Wait a minute"),
        (503, "", "Wait a minute"),
    ] {
        let (mut browser, link, consent) = at_consent(&installs, "acme-eu").await;
        refuse_once(&installs, status, word);
        let seen = browser.agree(&consent, 2002).await;
        assert!(seen.says(says), "{word}: {}", seen.body);
        assert!(!seen.says("canary") && seen.status.as_u16() >= 400, "{word}");
        assert!(installs.row("acme-eu").is_none(), "{word}");
        installs.world.sim.clear_faults();
        let again = browser.get(&link).await;
        assert_eq!(
            again.title(),
            "Connect a HubSpot account",
            "{word}: the link can be opened again"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_once_and_for_five_minutes() {
    let installs = world().await;
    let (mut browser, _, consent) = at_consent(&installs, "acme-eu").await;
    let back = browser.decide(&consent, 2002, "allow").await;
    installs.world.sim.advance(Duration::from_secs(301));
    let callback = back.location().unwrap().to_owned();
    let late = browser.get(&callback).await;
    assert_eq!(
        (late.status.as_u16(), late.title()),
        (410, "Nothing was connected"),
        "{}",
        late.body
    );
    // A consent that took longer than a quarter of an hour is not even tried.
    let (mut browser, _, consent) = at_consent(&installs, "acme-us").await;
    let back = browser.decide(&consent, 2002, "allow").await;
    installs.edit("UPDATE installs SET back_until = back_until - 900001 WHERE name = 'acme-us'");
    let late = browser.get(back.location().unwrap()).await;
    assert_eq!(late.title(), "This took too long");
    // Nor is one whose link ended that long ago, whatever else the row says.
    let (mut browser, _, consent) = at_consent(&installs, "acme-de").await;
    let back = browser.decide(&consent, 2002, "allow").await;
    installs.edit("UPDATE installs SET expires_at = expires_at - 1800001 WHERE name = 'acme-de'");
    let late = browser.get(back.location().unwrap()).await;
    assert_eq!(late.title(), "This took too long");
    // Somebody else's code under one's own state.
    let (mut one, _, first) = at_consent(&installs, "one").await;
    let (mut two, _, second) = at_consent(&installs, "two").await;
    let of_one = one
        .decide(&first, 2002, "allow")
        .await
        .location()
        .unwrap()
        .to_owned();
    let of_two = two
        .decide(&second, 2002, "allow")
        .await
        .location()
        .unwrap()
        .to_owned();
    let code = |callback: &str| {
        callback
            .split("code=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap()
            .to_owned()
    };
    let injected = of_two.replace(&code(&of_two), &code(&of_one));
    let seen = two.get(&injected).await;
    assert!(
        seen.says("belongs to another visit"),
        "PKCE ties a code to its browser: {}",
        seen.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_is_needed_and_missing_stores_nothing_and_a_nice_one_is_told() {
    let installs = world().await;
    installs.world.sim.withhold_scopes(2002, &["crm.lists.read"]);
    let done = installs.install(&["acme-eu", "--portal", "2002"], 2002).await;
    assert_eq!(done.title(), "The account is connected");
    assert!(
        done.says("Asked for, and not granted by this account"),
        "{}",
        done.body
    );
    let row = installs.row("acme-eu").unwrap();
    assert_eq!(row.scopes, ["crm.objects.contacts.read", "oauth"]);
    assert!(row.requested_scopes.contains(&"crm.lists.read".to_owned()));
    // HubSpot shows its own page when a required one is missing; should it not, nothing is stored.
    let (mut browser, _, consent) = at_consent_of(&installs, "acme-us", 3003).await;
    let narrowed = crate::browser::Seen {
        body: consent.body.replace("oauth crm.objects.contacts.read", "oauth"),
        ..consent
    };
    let seen = browser.agree(&narrowed, 3003).await;
    assert_eq!(seen.title(), "Something needed was not granted", "{}", seen.body);
    assert!(seen.says("crm.objects.contacts.read"));
    assert!(installs.row("acme-us").is_none());
    installs
        .world
        .sim
        .withhold_scopes(3003, &["crm.objects.contacts.read"]);
    let (mut browser, _, consent) = at_consent_of(&installs, "acme-de", 3003).await;
    let shown = browser.agree(&consent, 3003).await;
    assert!(shown.says("MISSING_SCOPE_GROUP"), "{}", shown.body);
}

async fn at_consent_of(
    installs: &Installs,
    name: &str,
    portal: u64,
) -> (Browser, String, crate::browser::Seen) {
    let (link, _) = installs.link(&[name, "--portal", &portal.to_string()]);
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    (browser, link, consent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_of_two_client_secrets_exchanges_a_code() {
    let installs = world().await;
    let sim = &installs.world.sim;
    // The second is known to HubSpot, the gate's first is not any more.
    let newer = sim.rotate_client_secret(&installs.app.client_id).unwrap();
    sim.retire_client_secrets(&installs.app.client_id);
    let (mut browser, _, consent) = at_consent(&installs, "acme-eu").await;
    let seen = browser.agree(&consent, 2002).await;
    assert!(
        seen.says("does not know the app by the client secret"),
        "{}",
        seen.body
    );
    let (first, second) = (
        installs.world.dir.path().join("secret"),
        installs.world.dir.path().join("newer"),
    );
    crate::support::write_secret(&second, newer.expose());
    let path = crate::support::path;
    installs.edit("DELETE FROM installs");
    installs.edit("DELETE FROM apps");
    let output = installs.world.command(&[
        "app",
        "add",
        "agency",
        "--client-id",
        &installs.app.client_id,
        "--secret-file",
        path(&first),
        "--other-secret-file",
        path(&second),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let done = installs.install(&["acme-eu", "--portal", "2002"], 2002).await;
    assert_eq!(done.title(), "The account is connected", "{}", done.body);
}
