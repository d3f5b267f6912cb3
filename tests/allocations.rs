//! What a request without a body costs the allocator between its key and its decision: nothing.
//!
//! Reading the target is not part of it: that copies the request's own text, once. Nor does
//! the body of an answer, once its connection has a buffer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;

use allocation_counter::measure;
use http::HeaderName;
use jiff::Timestamp;
use scopegate::access::catalogue::Catalogue;
use scopegate::access::decide::{Question, body_need, decide};
use scopegate::access::fields::Request;
use scopegate::access::gather::gather;
use scopegate::access::integration::{Binding, KeyEntry, KeyIndex};
use scopegate::access::key::{Environment, IssuedKey, KeyRandomness, LastKey};
use scopegate::access::policy::Policy;
use scopegate::access::policy::ceiling::Ceiling;
use scopegate::access::policy::tables::ConnectionRef;
use scopegate::access::target::Target;
use scopegate::answer_fields::Name;
use scopegate::hubspot::answers::Reader;

const POLICY: &str = "integration: t
owner: o@example.com
connections: [acme]
allow:
  - scope: [crm.objects.contacts.read, crm.objects.contacts.write, crm.objects.companies.read]
  - scope: [crm.objects.companies.write, crm.objects.deals.read, crm.objects.owners.read]
  - scope: [crm.schemas.contacts.read, crm.lists.read]
  - operation: crm.objects.get
    objects: [2-7]
deny:
  - effects: [irreversible]
  - risks: [bulk-export]
";
const CEILING: &str = "deny:\n  - effects: [irreversible]\n";

/// What one gate has loaded, and a key to it.
struct Gate {
    catalogue: Catalogue,
    policy: Policy,
    ceiling: Ceiling,
    keys: KeyIndex,
    key: String,
}

impl Gate {
    fn new() -> Self {
        let catalogue = Catalogue::embedded().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let (file, text) = (Arc::from("t.yaml"), Arc::from(POLICY));
        let policy = Policy::load(&file, "t", &text, &catalogue, now).unwrap().0;
        let ceiling = Ceiling::load(&Arc::from("_ceiling.yaml"), &Arc::from(CEILING), &catalogue);
        let entries = (0u8..200).map(|n| {
            let random = KeyRandomness {
                id: [n; 12],
                secret: [n; 32].into(),
            };
            IssuedKey::generate(Environment::Live, &random)
        });
        let issued: Vec<IssuedKey> = entries.collect();
        let entry =
            |key: &IssuedKey| KeyEntry::new(key.id, key.hash, Arc::from("t"), Binding::Any, None, false);
        Self {
            keys: KeyIndex::build(issued.iter().map(entry)),
            key: issued[77].text.expose().to_owned(),
            ceiling: ceiling.unwrap().0,
            policy,
            catalogue,
        }
    }

    /// Allocations from the key's text to the permit; panics if there is none.
    fn allocations(&self, target: &Target) -> u64 {
        let now = Timestamp::UNIX_EPOCH;
        let mut last = LastKey::default();
        last.read(&self.key).unwrap();
        let measured = measure(|| {
            let presented = last.read(black_box(&self.key)).unwrap();
            let entry = self.keys.authenticate(presented, || now).unwrap();
            black_box(Arc::clone(entry));
            let recognised = self.catalogue.recognise(black_box(target)).unwrap();
            black_box(body_need(
                &self.catalogue,
                &recognised,
                &self.policy,
                Some(&self.ceiling),
            ));
            let facts = gather(&self.catalogue, &recognised, target, None).unwrap();
            let decision = decide(&Question {
                policy: &self.policy,
                ceiling: Some(&self.ceiling),
                catalogue: &self.catalogue,
                facts: &facts,
                request: Some(Request {
                    recognised: &recognised,
                    target,
                    body: None,
                }),
                connection: ConnectionRef {
                    name: "acme",
                    app: None,
                },
                now,
            });
            black_box(decision.permit().expect("the policy opens it"));
        });
        measured.count_total
    }
}

#[test]
fn key_recognition_and_decision_allocate_nothing_for_a_request_without_a_body() {
    let gate = Gate::new();
    for request in [
        "GET /crm/v3/objects/contacts?limit=100&properties=email,firstname&after=7",
        "GET /crm/objects/2026-03/0-1/12345",
        "GET /crm/v3/objects/COMPANY/1/",
        "PATCH /crm/v3/objects/contacts/a%40b.example?idProperty=email",
        "POST /crm/v3/objects/contacts/batch/read",
        "GET /contacts/v1/contact/vid/1/profile",
        "GET /crm/v4/objects/contacts/1/associations/companies",
        "PUT /crm/v4/objects/contacts/1/associations/default/companies/2",
        "GET /crm/v3/owners/",
        "GET /crm/v3/properties/contacts/email",
        "GET /crm/v3/lists/5/memberships",
    ] {
        let (method, target) = request.split_once(' ').unwrap();
        let target = Target::parse(method, target).unwrap();
        assert_eq!(gate.allocations(&target), 0, "{request}");
    }
}

#[test]
fn what_does_allocate_is_known_and_small() {
    let gate = Gate::new();
    for (request, most, why) in [
        (
            "GET /crm/v3/objects/2-7/1",
            4,
            "a custom object is known by its spelling alone, which is copied",
        ),
        (
            "GET /crm/v3/objects/contacts?associations=companies",
            2,
            "a second thing is needed",
        ),
    ] {
        let (method, target) = request.split_once(' ').unwrap();
        let target = Target::parse(method, target).unwrap();
        let allocations = gate.allocations(&target);
        assert!(
            (1..=most).contains(&allocations),
            "{request}: {allocations}; {why}"
        );
    }
}

#[test]
fn the_counter_counts() {
    let measured = measure(|| drop(black_box(vec![1u8; 32])));
    assert_eq!(measured.count_total, 1);
}

/// Reads what comes, and lets go of it.
fn read_body(reader: &mut Reader, bytes: &[u8]) -> usize {
    let mut read = 0;
    for piece in bytes.chunks(8 * 1024) {
        reader.room().extend_from_slice(piece);
        while let Some(piece) = reader.piece().unwrap() {
            read += piece.len();
        }
    }
    read
}

#[test]
fn the_body_of_an_answer_is_read_into_the_connections_own_buffer() {
    let body = "x".repeat(100_000);
    let counted = ("Content-Length: 100000", body.clone(), 1);
    let chunks = format!("{:x}\r\n{body}\r\n", body.len()).repeat(3);
    let chunked = (
        "Transfer-Encoding: chunked",
        format!("{chunks}0\r\nX-Late: 1\r\n\r\n"),
        3,
    );
    for (framing, bytes, times) in [counted, chunked] {
        let mut reader = Reader::new(|name| HeaderName::from_bytes(name).ok().map(Name::Other));
        let mut allocations = Vec::new();
        for _ in 0..3 {
            reader.expect(false);
            let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            reader.room().extend_from_slice(head.as_bytes());
            assert!(reader.head().unwrap().is_some());
            let measured = measure(|| {
                assert_eq!(
                    read_body(&mut reader, black_box(bytes.as_bytes())),
                    times * body.len()
                );
            });
            assert!(reader.may_serve_again(), "it was read to its end");
            allocations.push(measured.count_total);
        }
        // The first may make the buffer.
        assert!(
            allocations[0] <= 2 && allocations[1..] == [0, 0],
            "{framing}: {allocations:?}"
        );
    }
}
