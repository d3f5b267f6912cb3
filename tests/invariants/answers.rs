//! What of the upstream's answer a client may see: never the injected token, never more than the
//! bound, never a shortened answer that looks whole.

use scopegate::sim::{Action, Canned, EchoPlace, Fault, KnownFault, Matching};

use crate::support::{Setup, World, samples};
use crate::wire::{Reply, Wire, get};

const GOOD: &str = "/crm/v3/objects/contacts/1001";

/// The answer to a good request on a connection of its own, under these faults.
async fn under(world: &World, key: &str, actions: Vec<Action>) -> Option<Reply> {
    for action in actions {
        world.sim.fault(Fault::once(Matching::any(), action));
    }
    let mut wire = Wire::open(world.gate).await;
    wire.write(get(GOOD, key)).await;
    wire.reply().await
}

fn raw(text: String) -> Vec<Action> {
    vec![Action::Raw(text.into())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_upstream_repeats_never_reaches_the_client() {
    let world = World::plain().await;
    let key = world.key("reader");
    let token = world.upstream_token.clone();
    let json = "Content-Type: application/json\r\n";
    let echo = |place| Action::EchoAuthorization(place);
    let in_pieces = |piece_bytes| Action::Trickle {
        piece_bytes,
        pause: std::time::Duration::ZERO,
    };
    let chunks: String = format!("{{\"x\":\"{token}\"}}")
        .chars()
        .map(|c| format!("1\r\n{c}\r\n"))
        .collect();
    let deep = format!("{}{token}", "x".repeat(70_000));
    let table: Vec<Vec<Action>> = vec![
        vec![echo(EchoPlace::Header("x-hubspot-ratelimit-echo".into()))],
        vec![echo(EchoPlace::Header("x-hubspot-correlation-id".into()))],
        vec![echo(EchoPlace::Header("set-cookie".into()))],
        vec![echo(EchoPlace::Header("content-disposition".into()))],
        vec![echo(EchoPlace::Body)],
        vec![echo(EchoPlace::Body), in_pieces(1)],
        vec![echo(EchoPlace::Body), in_pieces(7)],
        vec![echo(EchoPlace::Body), Action::ForceGzip],
        vec![echo(EchoPlace::Body), Action::ForceGzip, in_pieces(3)],
        raw(format!(
            "HTTP/1.1 200 {token}\r\n{json}Content-Length: 2\r\n\r\n{{}}"
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\n{json}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\n{json}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nX-Echo: {token}\r\n\r\n"
        )),
        raw(format!("HTTP/1.1 200 OK\r\n{json}\r\n{token}")),
        raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{token}",
            token.len()
        )),
        raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\r\n{deep}",
            deep.len()
        )),
        raw(format!(
            "HTTP/1.1 500 X\r\n{json}Content-Length: {}\r\n\r\n{token}",
            token.len()
        )),
        raw(format!(
            "HTTP/1.1 403 X\r\n{json}Content-Length: {}\r\n\r\n{token}",
            token.len()
        )),
        raw(format!(
            "HTTP/1.1 302 X\r\nLocation: /?{token}\r\nContent-Length: 0\r\n\r\n"
        )),
        raw(format!(
            "HTTP/1.1 100 X\r\nX-Echo: {token}\r\n\r\nHTTP/1.1 200 OK\r\n{json}Content-Length: 2\r\n\r\n{{}}"
        )),
        vec![Action::Known(KnownFault::MissingScopeText)],
    ];
    for actions in table {
        let what = format!("{actions:?}");
        let Some(reply) = under(&world, &key, actions).await else {
            continue;
        };
        let seen = format!("{}{}", reply.head, reply.text());
        assert!(!seen.contains(&token), "{what}");
        assert!(
            !seen.contains(&token[..token.len() - 1]),
            "all but a byte of it, under {what}"
        );
        assert!(!seen.contains("Bearer pat"), "{what}");
    }
    let struck = world.sim.received().len();
    assert_eq!(struck, 20, "every case was really asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_a_coding_nobody_asked_for_is_undone_within_bounds_or_refused() {
    let setup = Setup {
        config: "limits: { body_size: 1MiB }\n".into(),
        ..Setup::default()
    };
    let world = World::with(setup).await;
    let key = world.key("reader");
    let plain = under(&world, &key, vec![]).await.unwrap();
    let unpacked = under(&world, &key, vec![Action::ForceGzip]).await.unwrap();
    assert!(
        unpacked.whole && unpacked.header("content-encoding").is_none(),
        "{unpacked:?}"
    );
    assert_eq!(unpacked.json(), plain.json());
    for coding in [
        "br",
        "deflate",
        "zstd",
        "compress",
        "x-gzip",
        "gzip, gzip",
        "gzip, br",
        "chunked",
        "",
    ] {
        let canned = Canned::new(200, "{}").header("content-encoding", coding);
        let reply = under(&world, &key, vec![Action::Answer(canned)]).await.unwrap();
        assert_eq!(
            (reply.status, reply.sub_category().as_str()),
            (502, "scopegate.upstream"),
            "{coding:?}"
        );
    }
    let twice = Canned::new(200, "{}")
        .header("content-encoding", "gzip")
        .header("content-encoding", "identity");
    assert_eq!(
        under(&world, &key, vec![Action::Answer(twice)])
            .await
            .unwrap()
            .status,
        502
    );
    let garbage = under(&world, &key, vec![Action::BadGzip]).await.unwrap();
    assert!(!garbage.whole || garbage.status == 502);
    let bomb = Action::GzipBomb {
        decoded_bytes: 256 << 20,
    };
    // If its first bytes come with the head, nothing of it passes.
    let bomb = under(&world, &key, vec![bomb]).await.unwrap();
    let is_withheld = bomb.status == 502 && bomb.sub_category() == "scopegate.upstream";
    assert!(is_withheld || !bomb.whole, "a bomb ended like a whole answer");
    assert!(bomb.body.len() <= 6 << 20, "{} bytes passed", bomb.body.len());
    assert_eq!(under(&world, &key, vec![]).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_or_is_badly_framed_never_looks_whole() {
    // So many in a row would have the upstream left alone.
    let world = World::with(Setup {
        config: "limits: { breaker_failures: 0 }\n".into(),
        ..Setup::default()
    })
    .await;
    let key = world.key("reader");
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let table = [
        vec![Action::HalfBody],
        raw(format!("{head}Content-Length: 100\r\n\r\n{{}}")),
        raw(format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n")),
        raw(format!(
            "{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"
        )),
        raw(format!(
            "{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{}}"
        )),
        raw(format!(
            "{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"
        )),
        raw(format!("{head}Content-Length: -1\r\n\r\n{{}}")),
        raw("HTTP/1.1 abc OK\r\n\r\n".into()),
        raw("\u{0}\u{1}\u{2}".into()),
        raw(format!("{head}X: {}\r\n\r\n", "x".repeat(600_000))),
        raw(String::new()),
        vec![Action::CloseBeforeHead],
        vec![Action::LoseAnswer],
    ];
    for actions in table {
        let what = format!("{actions:.200?}");
        // An end without a head says as much as one in the middle.
        let Some(reply) = under(&world, &key, actions).await else {
            continue;
        };
        let gate_says = reply.status == 502 && reply.sub_category() == "scopegate.upstream" && reply.whole;
        assert!(gate_says || !reply.whole, "{what:.300}: {reply:?}");
    }
    let errors = samples(&world.metrics().await, "scopegate_upstream_errors_total");
    assert!(errors.values().sum::<f64>() >= 8.0, "{errors:?}");
    assert_eq!(under(&world, &key, vec![]).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_answers_in_one_never_reach_the_next_client() {
    let world = World::plain().await;
    let key = world.key("reader");
    let one = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let poison = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n\"poison\"";
    for _ in 0..5 {
        let reply = under(&world, &key, raw(format!("{one}{poison}"))).await.unwrap();
        assert_eq!(reply.text(), "{}");
        for _ in 0..3 {
            let next = under(&world, &key, vec![]).await.unwrap();
            assert!(next.status == 200 && !next.text().contains("poison"), "{next:?}");
        }
    }
}
