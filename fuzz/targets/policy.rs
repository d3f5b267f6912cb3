//! Any text as a policy or a ceiling: it loads as the same one every time, or has the same mistakes, each at a place in
//! the text. A policy that loads decides alike when it is loaded again, and with a comment behind it; it lets nothing
//! pass that no rule of it opens as written, and that a rule of it denies. A ceiling opens nothing.
#![no_main]

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::catalogue::Opening;
use scopegate_fuzz::access::decide::{Closed, Question, Ruled, ruled};
use scopegate_fuzz::access::facts::{Facts, Need, Touch};
use scopegate_fuzz::access::object_type::ObjectType;
use scopegate_fuzz::access::policy::Policy;
use scopegate_fuzz::access::policy::ceiling::Ceiling;
use scopegate_fuzz::access::policy::rule::{AllowRule, Opens};
use scopegate_fuzz::access::policy::tables::ConnectionRef;
use scopegate_fuzz::access::policy_text::mistake::{Mistake, Span};
use scopegate_fuzz::catalogue;
use smallvec::smallvec;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

const CONNECTIONS: [ConnectionRef<'_>; 3] = [
    ConnectionRef {
        name: "acme",
        app: None,
    },
    ConnectionRef {
        name: "other",
        app: Some("crm"),
    },
    ConnectionRef { name: "x", app: None },
];

/// Every operation, each with a few types, one of them custom; both ends of a pair are of one type.
fn requests() -> &'static [Facts] {
    static REQUESTS: OnceLock<Vec<Facts>> = OnceLock::new();
    REQUESTS.get_or_init(|| {
        let car = ObjectType::Custom("p_car".into());
        let named = ["contacts", "companies", "tickets", "deals"].map(|name| catalogue().object_type(name));
        let is_asked = |opening: &Opening| match &opening.touch.object {
            None => true,
            Some(object) => *object == car || named.contains(&Some(object.clone())),
        };
        let request = |opening: Opening| Facts {
            needs: smallvec![Need {
                operation: opening.operation,
                effect: opening.effect,
                risks: opening.risks,
                touches: smallvec![opening.touch],
            }],
            concerns: smallvec![],
            batch: None,
        };
        let openings = catalogue().openings(&car).filter(is_asked);
        let requests: Vec<Facts> = openings.map(request).collect();
        assert!(requests.len() > 1000, "requests of the catalogue");
        requests
    })
}

type Answer<'p> = Result<Ruled<'p>, Closed>;

/// What a policy says to every request, on every connection.
fn answers<'p>(policy: &'p Policy, ceiling: Option<&'p Ceiling>) -> Vec<Answer<'p>> {
    let mut answers = Vec::with_capacity(requests().len() * CONNECTIONS.len());
    for connection in CONNECTIONS {
        let asked = requests().iter().map(|facts| {
            ruled(&Question {
                policy,
                ceiling,
                catalogue: catalogue(),
                facts,
                request: None,
                connection,
                now: NOW,
            })
        });
        answers.extend(asked);
    }
    answers
}

/// Whether a rule opens a touch by a scope it names, whatever else that takes.
fn opens_by_scope(rule: &AllowRule, need: &Need, touch: &Touch) -> bool {
    let Opens::Scopes { grants, risks } = &rule.opens else {
        return false;
    };
    need.risks.minus(*risks).is_empty()
        && grants.iter().any(|grant| {
            let is_required = touch
                .requirement
                .iter()
                .flatten()
                .any(|scope| *scope == grant.scope);
            is_required
                && grant.effects.contains(need.effect)
                && grant.objects.contains(touch.object.as_ref())
        })
}

/// Whether a rule names the operation and everything it asks for.
fn opens_by_name(rule: &AllowRule, need: &Need) -> bool {
    let Opens::Operations {
        grants,
        objects,
        risks,
    } = &rule.opens
    else {
        return false;
    };
    let opens = grants
        .iter()
        .any(|grant| grant.operation == need.operation && grant.effects.contains(need.effect));
    let mut touched = need.touches.iter().map(|touch| touch.object.as_ref());
    opens
        && risks.is_none_or(|risks| need.risks.minus(risks).is_empty())
        && touched.all(|object| object.is_none() || objects.contains(object))
}

/// The answers against the rules as written, one by one.
fn check_answers(policy: &Policy, answers: &[Answer<'_>]) {
    let asked = CONNECTIONS
        .iter()
        .flat_map(|connection| requests().iter().map(move |facts| (connection, facts.main())));
    for ((connection, need), answer) in asked.zip(answers) {
        let holds = |selectors: &Option<Vec<_>>| connection.is_selected_by_any(selectors.as_deref());
        let caught = policy
            .deny
            .iter()
            .position(|rule| holds(&rule.connections) && rule.catches(need));
        match answer {
            Ok(ruled) => {
                assert!(caught.is_none(), "{need:?} passes, and rule {caught:?} denies it");
                let rules = || policy.allow.iter().filter(|rule| holds(&rule.connections));
                let by_scopes = |touch: &Touch| rules().any(|rule| opens_by_scope(rule, need, touch));
                assert!(
                    ruled.observed
                        || rules().any(|rule| opens_by_name(rule, need))
                        || need.touches.iter().all(by_scopes),
                    "{need:?} passes, and no rule opens it"
                );
            }
            Err(Closed::DenyRule(index)) => {
                // A custom object that no rule names is denied with those that one names.
                assert!(caught.is_none_or(|caught| usize::from(*index) <= caught));
            }
            Err(Closed::Expired) => {}
            Err(other) => assert!(caught.is_none(), "{other:?} instead of rule {caught:?}"),
        }
    }
}

/// Each place is in the text, lines counted as YAML does, and can be shown.
fn check_places(text: &str, mistakes: &[Mistake]) {
    let text_lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<&str> = text_lines.split('\n').collect();
    for (at, mistake) in mistakes.iter().enumerate() {
        let Span { line, column, bytes } = &mistake.span;
        assert!(
            text.get(bytes.clone()).is_some(),
            "{mistake:?} is not in the text"
        );
        let line = lines.get(*line as usize - 1);
        let line = line.unwrap_or_else(|| panic!("{mistake:?} is below the text"));
        let columns = line.chars().count() + 1;
        assert!(*column as usize <= columns, "{mistake:?} is beside the text");
        // Showing takes longer than reading.
        if at < 20 {
            assert!(!mistake.render(text, false).is_empty() && !mistake.one_line().contains('\n'));
        }
    }
}

/// A comment on a line of its own changes nothing. In a text that ends within a line, the end of that line may belong
/// to a block of text.
fn with_comment(text: &str) -> Option<Arc<str>> {
    match text.ends_with('\n') {
        true => Some(format!("{text}# end\n").into()),
        false => (!text.contains(['|', '>'])).then(|| format!("{text}\n# end\n").into()),
    }
}

fn check_policy(file: &Arc<str>, text: &Arc<str>) {
    let load = |text: &Arc<str>| Policy::load(file, "t", text, catalogue(), NOW);
    match (load(text), load(text)) {
        (Ok((policy, warnings)), Ok((again, warnings_again))) => {
            assert!(warnings.iter().all(|warning| !warning.is_error()));
            assert_eq!(warnings, warnings_again);
            check_places(text, &warnings);
            let of = |policy: &Policy| {
                let rules = format!("{:?} {:?} {:?}", policy.allow, policy.deny, policy.observe);
                (
                    rules,
                    policy.review_by,
                    policy.description.clone(),
                    policy.owner.clone(),
                )
            };
            assert_eq!(of(&policy), of(&again));
            let commented = with_comment(text).map(|text| load(&text).expect("a comment is no mistake").0);
            let mut others = vec![again];
            others.extend(commented);
            let answers = answers(&policy, None);
            check_answers(&policy, &answers);
            for other in &others {
                assert!(answers == self::answers(other, None), "one text, two policies");
                assert_eq!(policy.connections, other.connections);
                assert_eq!(policy.properties, other.properties);
                assert_eq!((policy.limits, policy.installer), (other.limits, other.installer));
                assert_eq!(policy.expires_at(), other.expires_at());
            }
        }
        (Err(mistakes), Err(again)) => {
            assert!(
                mistakes.iter().any(|mistake| mistake.is_error()),
                "it failed without a mistake"
            );
            assert_eq!(mistakes, again);
            check_places(text, &mistakes);
        }
        _ => panic!("one text, two readings"),
    }
}

/// A policy that opens something of every kind, for the ceiling to hold to less.
fn open() -> &'static Policy {
    static OPEN: OnceLock<Policy> = OnceLock::new();
    OPEN.get_or_init(|| {
        let text = "integration: t\nowner: o@example.com\nconnections: \"*\"\nallow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write, tickets, crm.objects.custom.read]\n    effects: [read, write, delete, irreversible]\n    objects: [contacts, tickets, custom]\n    risks: [bulk-export, sends-message]\n";
        let file = Arc::from("open.yaml");
        match Policy::load(&file, "t", &Arc::from(text), catalogue(), NOW) {
            Ok((policy, _)) => policy,
            Err(mistakes) => panic!("{mistakes:?}"),
        }
    })
}

fn check_ceiling(file: &Arc<str>, text: &Arc<str>) {
    let load = || Ceiling::load(file, text, catalogue());
    match (load(), load()) {
        (Ok((ceiling, warnings)), Ok((again, warnings_again))) => {
            assert_eq!(warnings, warnings_again);
            check_places(text, &warnings);
            let under = answers(open(), Some(&ceiling));
            assert!(under == answers(open(), Some(&again)), "one text, two ceilings");
            for (under, alone) in under.iter().zip(answers(open(), None)) {
                assert!(
                    *under == alone || *under == Err(Closed::Ceiling),
                    "the ceiling opens: {under:?}"
                );
            }
        }
        (Err(mistakes), Err(again)) => {
            assert!(mistakes.iter().any(|mistake| mistake.is_error()));
            assert_eq!(mistakes, again);
            check_places(text, &mistakes);
        }
        _ => panic!("one text, two readings"),
    }
}

fuzz_target!(|text: &str| {
    let (file, text) = (Arc::from("t.yaml"), Arc::from(text));
    check_policy(&file, &text);
    check_ceiling(&file, &text);
});
