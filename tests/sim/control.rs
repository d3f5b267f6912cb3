//! The control path: what tests do in process, over HTTP.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::world::{Answer, HUB, World};

async fn control(world: &World, secret: &str, method: &str, path: &str, body: Value) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(format!("/_sim/{path}"))
        .header("x-sim-control", secret)
        .body(Full::from(body.to_string()))
        .unwrap();
    world.request(request).await.unwrap()
}

#[tokio::test]
async fn control_needs_the_secret_of_this_start() {
    let world = World::plain().await;
    for secret in ["", "guess", world.token.as_str()] {
        assert_eq!(
            control(&world, secret, "GET", "requests", json!({})).await.status,
            403
        );
    }
    let secret = world.sim.control_secret().expose();
    assert_eq!(
        control(&world, secret, "GET", "requests", json!({})).await.status,
        200
    );
    assert_eq!(world.sim.received_count(), 0, "control requests are not recorded");
}

#[tokio::test]
async fn a_whole_test_can_be_run_from_another_process() {
    let world = World::plain().await;
    let secret = world.sim.control_secret().expose();
    let post = async |path: &str, body: Value| {
        let answer = control(&world, secret, "POST", path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    post("portals", json!({"hub_id": 77})).await;
    let token = post("private-apps", json!({"hub_id": 77, "scopes": ["tickets"]})).await["token"].clone();
    let token = token.as_str().unwrap();
    assert_eq!(
        world
            .as_token("GET", "/crm/v3/objects/tickets", token, "")
            .await
            .status,
        200
    );
    let app = post("apps", json!({"name": "other"})).await;
    let install = json!({"client_id": app["client_id"], "hub_id": HUB, "scopes": ["oauth"]});
    assert!(
        post("installs", install).await["refresh_token"]
            .as_str()
            .unwrap()
            .starts_with("na1-")
    );
    let fleet = json!({"client_id": app["client_id"], "first": 9_000, "count": 3, "scopes": ["oauth"]});
    let fleet = post("fleets", fleet).await["installs"].clone();
    let hubs: Vec<_> = (0..3).map(|n| fleet[n]["hub_id"].as_u64()).collect();
    assert_eq!(hubs, [Some(9_000), Some(9_001), Some(9_002)]);
    assert!(fleet[2]["refresh_token"].as_str().unwrap().starts_with("na1-"));
    let secret_of = json!({"client_id": app["client_id"]});
    let another = post("client-secrets", secret_of).await["client_secret"].clone();
    assert_ne!(another, app["client_secret"]);
    let retire = json!({"client_id": app["client_id"], "retire": true});
    assert_eq!(post("client-secrets", retire).await, json!({}));
    let fault = json!({"when": {"target_prefix": "/crm"}, "times": 1, "action": {"known": "locked"}});
    let id = post("faults", fault).await["id"].clone();
    assert_eq!(
        world
            .as_token("GET", "/crm/v3/objects/tickets", token, "")
            .await
            .status,
        423
    );
    let struck = control(&world, secret, "GET", &format!("faults/{id}"), json!({}))
        .await
        .json();
    assert_eq!(struck["struck"], 1);
    post("portal-states", json!({"hub_id": 77, "state": "paused"})).await;
    assert_eq!(
        world
            .as_token("GET", "/crm/v3/objects/tickets", token, "")
            .await
            .status,
        403
    );
    let seen = control(&world, secret, "GET", "requests", json!({})).await.json();
    assert_eq!(
        (seen["count"].clone(), seen["requests"][1]["status"].clone()),
        (json!(3), json!(423))
    );
    post(
        "users",
        json!({"hub_id": 77, "user_id": 9003, "state": "deactivated"}),
    )
    .await;
    let rights = json!({"super_admin": true});
    post("users", json!({"hub_id": 77, "user_id": 9004, "rights": rights})).await;
    let again = json!({"client_id": app["client_id"], "hub_id": HUB, "user_id": 9002});
    post("reauthorisations", again).await;
    let stranger = json!({"hub_id": 77, "user_id": 1, "state": "active"});
    assert_eq!(
        control(&world, secret, "POST", "users", stranger).await.status,
        404
    );
    post("advance", json!({"seconds": 60})).await;
    post("expire", json!({})).await;
    let bad = control(&world, secret, "POST", "faults", json!({"action": "explode"})).await;
    assert_eq!(bad.status, 400);
    assert_eq!(
        control(&world, secret, "POST", "nothing", json!({})).await.status,
        404
    );
}
