//! Files: uploads of any size up to the bound, downloads that are made while they are written.

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::world::World;
use scopegate::sim::{Scopes, SimOptions};

fn multipart(parts: &[(&str, &str)], file: &str) -> String {
    let mut body = String::new();
    for (name, value) in parts {
        body.push_str(&format!(
            "--XX\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    body.push_str(&format!(
        "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\ncontent-type: text/plain\r\n\r\n{file}\r\n--XX--\r\n"
    ));
    body
}

const GOOD: &[(&str, &str)] = &[("folderPath", "/docs"), ("options", r#"{"access":"PRIVATE"}"#)];

async fn upload(world: &World, token: &str, body: String) -> crate::world::Answer {
    let request = Request::post("/files/v3/files")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(Full::from(body))
        .unwrap();
    world.request(request).await.unwrap()
}

#[tokio::test]
async fn an_uploaded_file_can_be_described_and_downloaded_again() {
    let world = World::plain().await;
    let made = upload(&world, &world.token, multipart(GOOD, "hello")).await;
    assert_eq!((made.status, made.json()["size"].as_u64()), (201, Some(5)));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        world.get(&format!("/files/v3/files/{id}")).await.json()["path"],
        "/docs/a.txt"
    );
    assert_eq!(
        world
            .get(&format!("/files/2026-03/files/{id}/download"))
            .await
            .text(),
        "hello"
    );
    assert_eq!(
        world
            .call("DELETE", &format!("/files/v3/files/{id}"))
            .await
            .status,
        204
    );
    assert_eq!(world.get(&format!("/files/v3/files/{id}")).await.status, 404);
}

#[tokio::test]
async fn a_bad_upload_is_refused_and_stores_nothing() {
    let world = World::plain().await;
    let reader = world.token(Scopes::new(["files.read"]));
    assert_eq!(upload(&world, &reader, multipart(GOOD, "x")).await.status, 403);
    assert_eq!(upload(&world, "unknown", multipart(GOOD, "x")).await.status, 401);
    assert_eq!(
        upload(&world, &world.token, multipart(&[("folderPath", "/")], "x"))
            .await
            .status,
        400
    );
    assert_eq!(
        upload(&world, &world.token, "--XX\r\nbroken".to_owned())
            .await
            .status,
        400
    );
    assert_eq!(
        world
            .send("POST", "/files/v3/files", serde_json::json!({}))
            .await
            .status,
        415
    );
    let files = world.get("/files/v3/files/search").await.json();
    assert_eq!(
        files["results"].as_array().unwrap().len(),
        1,
        "the fixture file alone"
    );
}

#[tokio::test]
async fn a_hundred_megabytes_go_up_in_pieces_and_are_hashed_whole() {
    let world = World::plain().await;
    let chunk = Bytes::from(vec![7u8; 1024 * 1024]);
    let whole = multipart(GOOD, "@");
    let (head, tail) = whole.split_once('@').unwrap();
    let pieces = std::iter::once(Bytes::from(head.to_owned()))
        .chain(std::iter::repeat_n(chunk, 100))
        .chain(std::iter::once(Bytes::from(tail.to_owned())));
    let frames = pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(piece)));
    let request = Request::post("/files/v3/files")
        .header("host", "sim")
        .header("authorization", format!("Bearer {}", world.token))
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(StreamBody::new(stream::iter(frames.collect::<Vec<_>>())))
        .unwrap();
    let stream = TcpStream::connect(world.running.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 201);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let made: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(made["size"].as_u64(), Some(100 * 1024 * 1024));
    let received = world.sim.received().pop().unwrap();
    assert!(received.complete && received.body_bytes > 100 * 1024 * 1024);
    assert!(received.body.len() <= 16 * 1024);
}

#[tokio::test]
async fn an_upload_beyond_the_bound_is_refused() {
    let world = World::with(SimOptions {
        upload_limit_bytes: 10_000,
        ..SimOptions::default()
    })
    .await;
    let answer = upload(&world, &world.token, multipart(GOOD, &"x".repeat(20_000))).await;
    assert!(matches!(answer.status, 400 | 413), "{}", answer.status);
}

#[tokio::test]
async fn a_large_download_is_made_while_it_is_written() {
    let world = World::with(SimOptions {
        big_file_bytes: 30_000_001,
        ..SimOptions::default()
    })
    .await;
    let answer = world.get("/files/v3/files/1/download").await;
    assert_eq!((answer.status, answer.body.len()), (200, 30_000_001));
    assert_eq!(answer.header("content-length"), "30000001");
}

#[tokio::test]
async fn bodies_of_other_calls_are_bounded() {
    let world = World::with(SimOptions {
        body_limit_bytes: 1_000,
        ..SimOptions::default()
    })
    .await;
    let body = "x".repeat(2_000);
    assert_eq!(
        world
            .raw_body("POST", "/crm/v3/objects/contacts", &body)
            .await
            .status,
        413
    );
}
