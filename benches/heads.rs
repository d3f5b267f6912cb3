//! What every call pays for its borders: the guards over a request's and an answer's head, and the two
//! lines it leaves in the audit log.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderName;
use jiff::Timestamp;
use scopegate::access::connection::ConnectionName;
use scopegate::access::effect::Effect;
use scopegate::access::key::KeyId;
use scopegate::access::refusal::Reason;
use scopegate::access::verdict::{Source, Verdict};
use scopegate::answer_fields::Name;
use scopegate::audit::{DecisionRecord, Network, OutcomeRecord};
use scopegate::hubspot::answers;
use scopegate::proxy::guard;
use uuid::Uuid;

/// As HubSpot's own client for Node.js sends it.
const REQUEST: &[u8] = b"GET /crm/v3/objects/contacts/12345?properties=email,firstname HTTP/1.1\r\n\
    Host: gate.example.internal:8080\r\n\
    Authorization: Bearer sgk_live_0123456789ab_0123456789012345678901234567890123456789012_012345\r\n\
    User-Agent: hubspot-api-client-nodejs; 13.0.0\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Connection: keep-alive\r\n\r\n";

/// As HubSpot's edge answers, less the longest fields.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Thu, 26 Nov 2026 16:00:00 GMT\r\n\
    Content-Type: application/json;charset=utf-8\r\n\
    Content-Length: 2\r\n\
    CF-Ray: 8f0a1b2c3d4e5f60-FRA\r\n\
    CF-Cache-Status: DYNAMIC\r\n\
    Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n\
    Vary: origin, Accept-Encoding\r\n\
    access-control-allow-credentials: false\r\n\
    X-Content-Type-Options: nosniff\r\n\
    x-hubspot-correlation-id: 01234567-89ab-cdef-0123-456789abcdef\r\n\
    X-HubSpot-RateLimit-Daily: 1000000\r\n\
    X-HubSpot-RateLimit-Max: 190\r\n\
    Server: cloudflare\r\n\r\n{}";

fn guards(criterion: &mut Criterion) {
    let mut requests = guard::Guard::new(64 * 1024, 100);
    criterion.bench_function("guard: a request's head", |b| {
        b.iter(|| {
            requests.buffer().extend_from_slice(black_box(REQUEST));
            let fed = requests.feed();
            requests.take(usize::MAX, |bytes| assert_eq!(bytes.len(), REQUEST.len()));
            fed
        });
    });
    let mut answers = answers::Reader::new(|name| HeaderName::from_bytes(name).ok().map(Name::Other));
    criterion.bench_function("answers: a head and a short body", |b| {
        b.iter(|| {
            answers.expect(false);
            answers.room().extend_from_slice(black_box(ANSWER));
            let read = (answers.head(), answers.piece());
            assert!(matches!(read, (Ok(Some(_)), Ok(Some(_)))) && answers.may_serve_again());
            read
        });
    });
}

fn audit_lines(criterion: &mut Criterion) {
    let (Some(key), Some(connection)) = (KeyId::parse("abcdefghijkl"), ConnectionName::parse("acme")) else {
        return;
    };
    let (time, id) = (Timestamp::UNIX_EPOCH, Uuid::from_u128(7));
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let (integration, object_types): (Arc<str>, [Arc<str>; 1]) =
        ("contact-report".into(), ["contacts".into()]);
    let decision = DecisionRecord {
        time,
        id,
        integration: &integration,
        key,
        connection: Some(&connection),
        portal: Some(4711),
        operation: Some("crm.objects.get"),
        template: Some("/crm/v3/objects/{objectType}/{objectId}"),
        effect: Some(Effect::Read),
        object_types: &object_types,
        verdict: Verdict::Allow,
        rule: Some("contact-report#allow[0]"),
        reason: Reason::None,
        lacks: &[],
        limit: None,
        policy: &digest,
        catalogue: &digest,
        snapshot: 7,
        network: Network::of(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    let outcome = OutcomeRecord {
        time,
        id,
        integration: &integration,
        status: 200,
        source: Source::Upstream,
        reason: Reason::None,
        sent_upstream: true,
        cut_short: false,
        replayed: false,
        after_kill: false,
        stripped: 0,
        refused: None,
        request_bytes: 0,
        response_bytes: 1_024,
        duration: Duration::from_micros(80_123),
        upstream: Duration::from_micros(79_123),
    };
    let mut lines = Vec::new();
    criterion.bench_function("audit: both lines of a call", |b| {
        b.iter(|| {
            lines.clear();
            black_box(&decision).write_line(&mut lines);
            black_box(&outcome).write_line(&mut lines);
        });
    });
}

criterion_group!(benches, guards, audit_lines);
criterion_main!(benches);
