//! What a stop does at HubSpot: nothing unless asked; then uninstall before revoke, and never to a grant
//! that somebody else lives on.

use std::time::Duration;

use scopegate::sim::{Action, Canned, Fault, Matching};

use crate::place::{Place, READ};
use crate::wire::{Wire, get};

fn received(place: &Place) -> Vec<String> {
    let received = place.world.sim.received();
    received
        .iter()
        .map(|received| {
            format!(
                "{} {} {}",
                received.method,
                received.target,
                received.status.unwrap_or(0)
            )
        })
        .collect()
}

const UNINSTALLED: &str = "DELETE /appinstalls/2026-03/external-install 204";
const REVOKED: &str = "POST /oauth/2026-03/token/revoke 200";

async fn state(place: &Place) -> String {
    let show = place.ok(&["connection", "show", "one", "--json"]).await;
    let row: serde_json::Value = serde_json::from_str(show.lines().next().unwrap()).unwrap();
    row["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_happens_at_hubspot_unless_asked_and_then_uninstall_comes_before_revoke() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    place.world.sim.forget_received();
    assert_eq!(place.kill_one(&[]).await.0, Some(0));
    assert!(received(&place).is_empty());
    let (code, said) = place.kill_one(&["--revoke", "--uninstall"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is stopped already"), "{said}");
    assert!(
        said.contains("connection `one`: the app is uninstalled from portal 2001"),
        "{said}"
    );
    assert!(
        said.contains("connection `one`: its refresh token is revoked"),
        "{said}"
    );
    assert_eq!(received(&place), [UNINSTALLED, REVOKED]);
    assert_eq!(state(&place).await, "killed");
    let said = place
        .ok(&["revive", "--connection", "one", "--reason", "over"])
        .await;
    assert!(
        said.contains("warning: connection `one` is `dead` beneath: no call passes"),
        "{said}"
    );
    assert_eq!(state(&place).await, "dead", "a revival does not pretend");
    for flag in ["--revoke", "--uninstall"] {
        let output = place.command(&["kill", "--all", "--reason", "x", flag]).await;
        assert_eq!(output.status.code(), Some(2), "{flag} of everything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_at_hand_one_is_refreshed_saved_and_used_to_uninstall() {
    let place = Place::new().await;
    let (code, said) = place.kill_one(&["--uninstall"]).await;
    assert_eq!(code, Some(0), "{said}");
    let calls = received(&place);
    assert_eq!(calls, ["POST /oauth/2026-03/token 200", UNINSTALLED]);
    // A stored token that HubSpot no longer takes is replaced once.
    let place = Place::new().await;
    place.passes(&place.key).await;
    place.world.sim.expire_access_tokens();
    place.world.sim.forget_received();
    let (code, said) = place.kill_one(&["--uninstall"]).await;
    assert_eq!(code, Some(0), "{said}");
    let calls = received(&place);
    let refused = UNINSTALLED.replace("204", "401");
    assert_eq!(calls, [&*refused, "POST /oauth/2026-03/token 200", UNINSTALLED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_undoes_nothing_and_the_next_is_still_done() {
    let place = Place::new().await;
    place.passes(&place.key).await;
    let broken = Action::Answer(Canned::new(500, "{}"));
    place
        .world
        .sim
        .fault(Fault::once(Matching::path("/appinstalls/"), broken));
    place.world.sim.forget_received();
    let (code, said) = place.kill_one(&["--uninstall", "--revoke"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("NOT UNINSTALLED: HubSpot answered 500"), "{said}");
    assert!(said.contains("its refresh token is revoked"), "{said}");
    assert_eq!(received(&place), [&*UNINSTALLED.replace("204", "500"), REVOKED]);
    assert_eq!(state(&place).await, "killed");
    let said = place
        .command(&["kill", "--connection", "acme", "--revoke", "--reason", "x"])
        .await;
    assert_eq!(said.status.code(), Some(1));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("only HubSpot's settings can end"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_for_a_refresh_under_way_and_ends_what_that_brought() {
    let place = Place::rotating().await;
    // HubSpot has put another refresh token in the place of the first, and takes its time to say so.
    let slowly = Action::Trickle {
        piece_bytes: 4096,
        pause: Duration::from_secs(2),
    };
    let token = Matching::path("/oauth/2026-03/token");
    place.world.sim.fault(Fault::once(token, slowly));
    let mut wire = Wire::open(place.world.gate).await;
    wire.write(get(READ, &place.key)).await;
    place.until_received("/oauth/2026-03/token").await;
    let (code, said) = place.kill_one(&["--revoke"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("its refresh token is revoked"), "{said}");
    assert_eq!(received(&place), ["POST /oauth/2026-03/token 200", REVOKED]);
    assert!(!place.lives(), "the one that took its place is good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_another_connection_lives_on_is_left_alone_until_that_is_stopped_too() {
    let place = Place::new().await;
    place.share_grant("two");
    place.passes(&place.key).await;
    place.world.sim.forget_received();
    let (code, said) = place.kill_one(&["--revoke", "--uninstall"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("NOT UNINSTALLED: connection `two` lives on the same install"),
        "{said}"
    );
    assert!(
        said.contains("NOT REVOKED: connection `two` lives on the same grant"),
        "{said}"
    );
    assert!(received(&place).is_empty(), "{:?}", received(&place));
    place.kill(&["--connection", "two"]).await;
    let (code, said) = place.kill_one(&["--revoke", "--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(r#""done":true"#), "{said}");
    assert_eq!(received(&place), [REVOKED]);
}
