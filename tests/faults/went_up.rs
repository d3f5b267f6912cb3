//! What never went up is not said to have, and all that did is looked for in what comes down.

use crate::certificates::Certificates;
use crate::place::{Credential, Got, Place, RECORD, SHORT, WRITE};
use crate::script::{ACCESS, Act, Door, Tls, json};
use crate::support::canaries::given_in;
use crate::table::line_of;
use crate::wire::{Wire, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_client_leaves_before_there_is_a_connection_did_not_go_up_and_is_counted() {
    let authorities = Certificates::new();
    let config = SHORT.replace("connect_wait: 1s", "connect_wait: 30s");
    let mut place = Place::with(&config, Credential::Static, Some(&authorities.ca_pem)).await;
    place.upstream.tls(Tls::On(authorities.good.clone()));
    place.recovers().await;
    // A handshake that nobody answers.
    place.upstream.door(Door::Mute).await;
    place.upstream.forget();
    let mut wire = Wire::open(place.gate.gate).await;
    wire.write(post(WRITE, &place.key, RECORD)).await;
    place
        .until("it waits for a connection", async |place| {
            place.upstream.connections() > 0
        })
        .await;
    drop(wire);
    place
        .until("it is counted", async |place| {
            place.errors("abandoned").await == 1.0
        })
        .await;
    assert!(
        place.gate.log().contains(&line_of("abandoned")),
        "{}",
        place.gate.log()
    );
    place
        .until("its outcome is written", async |place| {
            let lines = place.audit();
            let of = lines
                .iter()
                .filter(|line| line["kind"] == "outcome" && line["status"] == 0);
            let sent: Vec<_> = of.map(|line| line["sent_upstream"].clone()).collect();
            assert!(sent.iter().all(|sent| sent == false), "{lines:?}");
            sent.len() == 1
        })
        .await;
    place.upstream.door(Door::Open).await;
    place.recovers().await;
    let written = place.write().await;
    let Got::Whole(reply) = &written else {
        panic!("{written:?}");
    };
    assert_eq!(reply.status, 200, "{reply:?}");
    place
        .until("its outcome says that it went up", async |place| {
            let lines = place.audit();
            let outcome = lines
                .iter()
                .find(|line| line["kind"] == "outcome" && line["id"] == reply.id().as_str());
            outcome.is_some_and(|outcome| outcome["sent_upstream"] == true)
        })
        .await;
}

/// The second token of the grant.
const NEXT: &str = "scripted-next-3d9e1c7a5b";

/// The token in base64, as a header that errors may repeat would have it.
fn in_base64(token: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(format!("Bearer {token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_token_of_a_call_that_was_replayed_comes_down() {
    let found = [
        (
            "the first one in a body",
            json(
                "200 OK",
                "",
                &format!(r#"{{"id":"1001","properties":{{"email":"{ACCESS}"}}}}"#),
            ),
        ),
        (
            "the first one in a field",
            json("200 OK", &format!("X-Echo: {ACCESS}\r\n"), crate::script::RECORD),
        ),
        (
            "the first one in an error, encoded",
            json(
                "400 Bad Request",
                "",
                &format!(r#"{{"status":"error","message":"{}"}}"#, in_base64(ACCESS)),
            ),
        ),
        (
            "the second one in a body",
            json(
                "200 OK",
                "",
                &format!(r#"{{"id":"1001","properties":{{"email":"{NEXT}"}}}}"#),
            ),
        ),
    ];
    let unauthorised = json(
        "401 Unauthorized",
        "",
        r#"{"status":"error","category":"EXPIRED_AUTHENTICATION"}"#,
    );
    let next = format!(
        r#"{{"access_token":"{NEXT}","refresh_token":"{}","expires_in":1800}}"#,
        crate::script::REFRESH
    );
    for (what, answer) in found {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::with(SHORT, Credential::Grant, None).await;
        given_in(&dir.path().join("next"), NEXT);
        place.recovers().await;
        place.upstream.act_on(ACCESS, Act::Answer(unauthorised.clone()));
        place
            .upstream
            .token(Act::Answer(json("200 OK", "", &next)), "1800");
        place.upstream.act(Act::Answer(answer));
        place.upstream.forget();
        let got = place.read().await;
        assert_eq!(place.upstream.count("GET"), 2, "{what}: it was replayed");
        let Got::Whole(reply) = &got else {
            panic!("{what}: {got:?}");
        };
        assert_eq!(reply.status, 502, "{what}: {reply:?}");
        assert_eq!(place.errors("token_echo").await, 1.0, "{what}");
        place.upstream.act(Act::Good);
        assert_eq!(place.read().await.word(), "200", "{what}");
    }
}
