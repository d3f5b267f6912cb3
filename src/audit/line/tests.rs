use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::access::connection::ConnectionName;
use crate::access::effect::Effect;
use crate::access::key::KeyId;
use crate::access::refusal::Reason;
use crate::access::verdict::{Source, Verdict};

/// Texts with everything that JSON escapes, and with what it does not.
fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        Just(String::new()),
        "[a-z.#/{}\\[\\]]{0,40}",
        "[\"\\\\\u{0}-\u{1f}\u{7f}a-cé\u{2028}\u{10ffff}]{0,40}",
        any::<String>(),
    ]
    .prop_map(Arc::from)
}

fn texts() -> impl Strategy<Value = Vec<Arc<str>>> {
    prop::collection::vec(text(), 0..4)
}

/// Any nanosecond that there is, and those around the borders.
fn time() -> impl Strategy<Value = Timestamp> {
    let (least, most) = (Timestamp::MIN.as_nanosecond(), Timestamp::MAX.as_nanosecond());
    prop_oneof![
        (least..=most),
        (0..4_000_000_000_000_000_000i128),
        (-2_000i128..2_000),
        select(vec![
            least,
            most,
            951_782_399_999_999_999,
            951_868_800_000_000_000,
            -62_167_219_200_000_000_000,
            -62_167_219_200_000_000_001
        ]),
    ]
    .prop_map(|nanosecond| Timestamp::from_nanosecond(nanosecond).unwrap())
}

fn network() -> impl Strategy<Value = Network> {
    any::<IpAddr>().prop_map(Network::of)
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        any::<Duration>(),
        (0..10_000_000u64).prop_map(Duration::from_nanos)
    ]
}

fn limit() -> impl Strategy<Value = LimitRecord> {
    (
        select(vec!["records_read", "\"odd\n"]),
        any::<(u32, u32, u64, u32)>(),
    )
        .prop_map(|(name, (most, window_seconds, used, asked))| LimitRecord {
            name,
            most,
            window_seconds,
            used,
            asked,
        })
}

/// All that a decision names, to be borrowed from.
#[derive(Debug)]
struct Decision {
    integration: Arc<str>,
    connection: Option<ConnectionName>,
    object_types: Vec<Arc<str>>,
    lacks: Vec<Box<str>>,
    limit: Option<LimitRecord>,
    texts: [Arc<str>; 2],
    optional: [Option<Arc<str>>; 3],
    plain: DecisionRecord<'static>,
}

impl Decision {
    fn record(&self) -> DecisionRecord<'_> {
        let [policy, catalogue] = &self.texts;
        let [operation, template, rule] = self.optional.each_ref().map(Option::as_deref);
        DecisionRecord {
            integration: &self.integration,
            connection: self.connection.as_ref(),
            operation,
            template,
            object_types: &self.object_types,
            rule,
            lacks: &self.lacks,
            limit: self.limit.as_ref(),
            policy,
            catalogue,
            ..self.plain
        }
    }
}

/// One that names nothing.
fn nameless() -> DecisionRecord<'static> {
    static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
    DecisionRecord {
        time: Timestamp::UNIX_EPOCH,
        id: Uuid::nil(),
        integration: &NOBODY,
        key: KeyId::parse("abcdefghijkl").unwrap(),
        connection: None,
        portal: None,
        operation: None,
        template: None,
        effect: None,
        object_types: &[],
        verdict: Verdict::Allow,
        rule: None,
        reason: Reason::None,
        lacks: &[],
        limit: None,
        policy: "",
        catalogue: "",
        snapshot: 0,
        network: Network::of(IpAddr::from([0; 4])),
    }
}

prop_compose! {
    fn decisions()(
        time in time(),
        id in any::<u128>(),
        [integration, policy, catalogue] in [text(), text(), text()],
        key in "[0-9A-Za-z]{12}",
        connection in option::of("[a-z][a-z0-9-]{0,63}"),
        numbers in (option::of(any::<u64>()), any::<u64>()),
        [operation, template, rule] in [option::of(text()), option::of(text()), option::of(text())],
        effect in option::of(select(Effect::ALL.to_vec())),
        object_types in texts(),
        verdict in select(Verdict::ALL.to_vec()),
        reason in select(Reason::ALL.to_vec()),
        lacks in texts(),
        limit in option::of(limit()),
        network in network(),
    ) -> Decision {
        Decision {
            integration,
            connection: connection.map(|name| ConnectionName::parse(&name).unwrap()),
            object_types,
            lacks: lacks.iter().map(|lack| Box::from(&**lack)).collect(),
            limit,
            texts: [policy, catalogue],
            optional: [operation, template, rule],
            plain: DecisionRecord {
                time,
                id: Uuid::from_u128(id),
                key: KeyId::parse(&key).unwrap(),
                portal: numbers.0,
                effect,
                verdict,
                reason,
                snapshot: numbers.1,
                network,
                ..nameless()
            },
        }
    }
}

/// What a 403 names, to be borrowed from.
#[derive(Debug)]
struct Refusal {
    cause: &'static str,
    lacks: Vec<String>,
    lacks_any: bool,
    detail: Option<&'static str>,
    connection: Arc<str>,
    operation: Option<Arc<str>>,
}

impl Refusal {
    fn record(&self) -> RefusedRecord<'_> {
        RefusedRecord {
            cause: self.cause,
            lacks: &self.lacks,
            lacks_any: self.lacks_any,
            detail: self.detail,
            connection: &self.connection,
            operation: self.operation.as_deref(),
        }
    }
}

prop_compose! {
    fn refusals()(
        cause in select(vec!["missing_scope", "od\"d"]),
        lacks in texts(),
        lacks_any in any::<bool>(),
        detail in option::of(select(vec!["user_level", "o\\dd"])),
        connection in text(),
        operation in option::of(text()),
    ) -> Refusal {
        Refusal {
            cause,
            lacks: lacks.iter().map(|lack| String::from(&**lack)).collect(),
            lacks_any,
            detail,
            connection,
            operation,
        }
    }
}

prop_compose! {
    fn outcomes()(
        time in time(),
        id in any::<u128>(),
        integration in text(),
        status in any::<u16>(),
        source in select(vec![Source::Gate, Source::Upstream]),
        reason in select(Reason::ALL.to_vec()),
        [sent_upstream, cut_short, replayed, after_kill] in any::<[bool; 4]>(),
        stripped in prop_oneof![Just(0), any::<u64>()],
        refused in option::of(refusals()),
        [request_bytes, response_bytes] in any::<[u64; 2]>(),
        [duration, upstream] in [duration(), duration()],
    ) -> (Arc<str>, Option<Refusal>, OutcomeRecord<'static>) {
        let plain = OutcomeRecord {
            time,
            id: Uuid::from_u128(id),
            integration: "",
            status,
            source,
            reason,
            sent_upstream,
            cut_short,
            replayed,
            after_kill,
            stripped,
            refused: None,
            request_bytes,
            response_bytes,
            duration,
            upstream,
        };
        (integration, refused, plain)
    }
}

/// The line as it is written, and as the derives have it.
fn both<R: Serialize>(record: &R, write: impl FnOnce(&R, &mut Vec<u8>)) -> (String, String) {
    let (mut line, mut as_derived) = (b"before\n".to_vec(), b"before\n".to_vec());
    write(record, &mut line);
    derived(record, &mut as_derived).unwrap();
    (
        String::from_utf8(line).unwrap(),
        String::from_utf8(as_derived).unwrap(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_decisions_line_is_byte_for_byte_what_its_types_say(said in decisions()) {
        let (line, derived) = both(&said.record(), DecisionRecord::write_line);
        prop_assert_eq!(line, derived);
    }

    #[test]
    fn an_outcomes_line_is_byte_for_byte_what_its_types_say((integration, refused, plain) in outcomes()) {
        let record = OutcomeRecord {
            integration: &integration,
            refused: refused.as_ref().map(Refusal::record),
            ..plain
        };
        let (line, derived) = both(&record, OutcomeRecord::write_line);
        prop_assert_eq!(line, derived);
    }

    #[test]
    fn a_line_begins_with_its_number_and_is_an_object_with_it(seq in any::<u64>()) {
        let mut line = Vec::new();
        number(seq, &mut line);
        nameless().write_line(&mut line);
        prop_assert_eq!(line.last(), Some(&b'\n'));
        let object: serde_json::Value = serde_json::from_slice(&line).unwrap();
        prop_assert_eq!(object["seq"].as_u64(), Some(seq));
        prop_assert_eq!(&object["kind"], "decision");
    }
}

#[test]
fn no_word_of_ours_has_anything_to_escape() {
    let words = Reason::ALL.iter().map(|reason| reason.as_str());
    let words = words.chain(Verdict::ALL.iter().map(|verdict| verdict.as_str()));
    let words = words.chain(Effect::ALL.iter().map(|effect| effect.as_str()));
    let words = words.chain([Source::Gate, Source::Upstream].map(Source::as_str));
    for word in words {
        assert!(!has_escapes(word), "{word}");
    }
}

#[test]
fn what_json_escapes_is_seen_wherever_it_stands() {
    for character in (0..0x100u32).filter_map(char::from_u32) {
        for length in 0..20 {
            for at in 0..=length {
                for around in ["a", "\u{7f}", "\u{ff}", "!", "#", "[", "]", " "] {
                    let text = [
                        &around.repeat(at),
                        &*String::from(character),
                        &around.repeat(length - at),
                    ];
                    let text = text.concat();
                    let escapes = serde_json::to_string(&text).unwrap().len() > text.len() + 2;
                    assert_eq!(has_escapes(&text), escapes, "{text:?}");
                }
            }
        }
    }
}
