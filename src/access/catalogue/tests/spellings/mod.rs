//! The claim: however a request is written, it gets the one decision of its operation, or a refusal, and
//! never a milder one.
//!
//! For each row of each operation that stands at two or more URLs: every spelling of its object types, both
//! layouts of the version, a trailing slash, other letters, percent-encoding, and what two parsers might read
//! differently. Compared are the facts (operation, types, effects, risks, scopes) and the decisions under the
//! example policies, a rule for the operation and a rule for each of its scopes.

mod rules;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use self::rules::{Rules, now};
use self::ways::Path;
use super::*;
use crate::access::decide::{Question, decide};
use crate::access::decision::Decision;
use crate::access::facts::Facts;
use crate::access::fields::Request;
use crate::access::gather::gather;
use crate::access::json::JudgedBody;
use crate::access::policy::Policy;
use crate::access::policy::tables::ConnectionRef;
use crate::access::refusal::Reason;

/// What the gate made of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    Denied(&'static str),
    /// By which rule, with which effect.
    Allowed(String, &'static str),
}

/// A request that was understood.
struct Understood {
    target: Target,
    recognised: Recognised,
    body: Option<JudgedBody>,
    facts: Facts,
}

/// Bodies tried in turn for rows whose body decides; the first that is understood stays.
const BODIES: [&str; 12] = [
    "{}",
    r#"{"inputs":[{"id":"1","properties":{"hs_object_id":"1"}}]}"#,
    r#"{"properties":{"x":"1"}}"#,
    r#"{"inputs":[{"from":{"id":"1"},"to":{"id":"2"},"type":"x"}]}"#,
    r#"{"recordIdsToAdd":["1"]}"#,
    r#"{"name":"x","objectTypeId":"0-1","processingType":"MANUAL"}"#,
    r#"{"exportType":"VIEW","objectType":"CONTACT","objectProperties":["email"],"format":"CSV","exportName":"x","language":"EN"}"#,
    r#"{"engagement":{"type":"NOTE"},"associations":{"contactIds":[1]},"metadata":{"body":"x"}}"#,
    r#"{"fromObjectId":1,"toObjectId":2,"category":"HUBSPOT_DEFINED","definitionId":279}"#,
    r#"{"inputs":["p_car"]}"#,
    r#"{"query":"{CRM{contact_collection{items{email}}}}"}"#,
    r#"{"eventTemplateId":"1","email":"a@example.com"}"#,
];

fn understand(method: &str, target: &str, body: Option<&str>) -> Result<Understood, Reason> {
    let catalogue = shipped();
    let target = Target::parse(method, target).map_err(|refusal| refusal.reason)?;
    let recognised = catalogue.recognise(&target).map_err(|refusal| refusal.reason)?;
    let body = match (recognised.body_need(), body) {
        (BodyNeed::None, _) | (_, None) => None,
        (_, Some(text)) => Some(JudgedBody::parse(text.as_bytes()).map_err(|refusal| refusal.reason)?),
    };
    let facts = gather(catalogue, &recognised, &target, body.as_ref()).map_err(|refusal| refusal.reason)?;
    Ok(Understood {
        target,
        recognised,
        body,
        facts,
    })
}

/// The plain spelling with the first body it is understood with.
fn understand_plain(method: &str, target: &str) -> Option<(Understood, Option<&'static str>)> {
    std::iter::once(None)
        .chain(BODIES.into_iter().map(Some))
        .find_map(|body| Some((understand(method, target, body).ok()?, body)))
}

fn judge(policy: &Policy, request: &Understood) -> Outcome {
    let decision = decide(&Question {
        policy,
        ceiling: None,
        catalogue: shipped(),
        facts: &request.facts,
        request: Some(Request {
            recognised: &request.recognised,
            target: &request.target,
            body: request.body.as_ref().map(JudgedBody::value),
        }),
        connection: ConnectionRef {
            name: "acme",
            app: None,
        },
        now: now(),
    });
    match decision {
        Decision::Refuse(_) => Outcome::Refused,
        Decision::Deny(denial) => Outcome::Denied(denial.reason.as_str()),
        Decision::Allow(permit) => Outcome::Allowed(permit.rule().to_string(), permit.effect().as_str()),
    }
}

/// How much was tried; a generator that runs dry must not look like success.
#[derive(Debug, Default)]
struct Tally {
    operations: usize,
    rows: usize,
    spellings: usize,
    understood: usize,
    refused: usize,
    decisions: usize,
    allowed: usize,
    mistakes: Vec<String>,
}

impl Tally {
    fn mistake(&mut self, what: String) {
        if self.mistakes.len() < 20 {
            self.mistakes.push(what);
        }
    }
}

/// Types for the parameters of a row: every row with contacts and another one, all types in turn.
fn types_for(row: usize) -> Vec<[ObjectType; 2]> {
    let catalogue = shipped();
    let all: Vec<ObjectType> = catalogue.object_types().map(|(object, _)| object).collect();
    let of = |n: usize| all[n % all.len()].clone();
    let custom = |name| catalogue.object_type(name).unwrap();
    let turn = match row % 3 {
        0 => [custom("p_car"), of(row)],
        1 => [custom("2-7"), of(row)],
        _ => [of(row), custom("p456_car")],
    };
    vec![
        [custom("contacts"), custom("companies")],
        [of(row), of(row / 3 + 1)],
        turn,
    ]
}

#[test]
fn every_spelling_of_a_request_gets_its_one_decision_or_a_refusal() {
    let catalogue = shipped();
    let mut rules = Rules::new(catalogue);
    let mut tally = Tally::default();
    for (_, operation) in catalogue
        .operations()
        .filter(|(_, operation)| operation.rows.len() > 1)
    {
        tally.operations += 1;
        for index in &operation.rows {
            let row = catalogue.row(*index).unwrap();
            tally.rows += 1;
            let typed = row
                .sources()
                .iter()
                .any(|source| matches!(source, rows::TypeSource::Parameter(_)));
            let choices = types_for(index.0 as usize);
            for choice in choices.iter().take(if typed { 3 } else { 1 }) {
                let first = row.sources().iter().find_map(|source| match source {
                    rows::TypeSource::Parameter(ordinal) => Some(*ordinal),
                    rows::TypeSource::Literal(_) => None,
                });
                let path = Path::of(catalogue, row, |ordinal| {
                    choice[usize::from(Some(ordinal) != first)].clone()
                });
                compare(&path, (index.0 as usize, row), &mut rules, &mut tally);
            }
        }
    }
    println!(
        "{} operations at two or more URLs, {} rows: {} spellings tried ({} understood, {} refused), {} decisions \
         compared ({} allowed)",
        tally.operations,
        tally.rows,
        tally.spellings,
        tally.understood,
        tally.refused,
        tally.decisions,
        tally.allowed
    );
    assert!(tally.mistakes.is_empty(), "{:#?}", tally.mistakes);
    assert!(tally.operations >= 700 && tally.rows >= 3_700, "{tally:?}");
    assert!(tally.spellings > 250_000 && tally.refused > 150_000, "{tally:?}");
    assert!(tally.decisions > 200_000 && tally.allowed > 50_000, "{tally:?}");
}

/// Holds every way of writing one path to the plain one.
fn compare(path: &Path, (turn, row): (usize, &Row), rules: &mut Rules<'_>, tally: &mut Tally) {
    let method = row.method.as_str();
    let plain = path.plain();
    let Some((known, body)) = understand_plain(method, &plain) else {
        // What is refused when it is written plainly is refused in every other way.
        for way in path.ways(shipped(), turn) {
            tally.spellings += 1;
            match understand(&way.method, &way.target, None) {
                Err(_) => tally.refused += 1,
                Ok(_) => tally.mistake(format!(
                    "{} {}: understood, {plain} is not",
                    way.method, way.target
                )),
            }
        }
        return;
    };
    let policies = rules.for_facts([&known.facts]);
    let expected: Vec<Outcome> = policies.iter().map(|policy| judge(policy, &known)).collect();
    for (number, way) in path.ways(shipped(), turn).into_iter().enumerate() {
        tally.spellings += 1;
        let found = match understand(&way.method, &way.target, body) {
            Ok(found) => found,
            Err(_) => {
                tally.refused += 1;
                continue;
            }
        };
        tally.understood += 1;
        if way.must_be_refused {
            tally.mistake(format!("{} {}: understood", way.method, way.target));
        }
        if found.facts != known.facts && !same_but_requirement(&found.facts, &known.facts) {
            tally.mistake(format!("{} {}: other facts than {plain}", way.method, way.target));
        }
        // One example and one rule of the request's own, in turn.
        let examples = rules.examples().len();
        let own = policies.len() - examples;
        let chosen = [(turn + number) % examples, examples + number % own];
        for at in chosen {
            tally.decisions += 1;
            let outcome = judge(&policies[at], &found);
            tally.allowed += usize::from(matches!(outcome, Outcome::Allowed(..)));
            let same = outcome == expected[at] || outcome == Outcome::Refused;
            // A twin layout may lead to another version's row, whose scopes are HubSpot's own; it is compared
            // with that row's plain spelling in its turn.
            if !same && found.facts == known.facts {
                tally.mistake(format!(
                    "{} {}: {outcome:?}, {plain}: {:?}, under {}",
                    way.method, way.target, expected[at], policies[at].integration
                ));
            }
        }
    }
}

/// Whether two requests ask for the same, scopes aside: HubSpot's versions differ in those.
fn same_but_requirement(one: &Facts, other: &Facts) -> bool {
    let bare = |facts: &Facts| {
        let needs: Vec<_> = facts
            .needs
            .iter()
            .map(|need| {
                let touches: Vec<_> = need
                    .touches
                    .iter()
                    .map(|touch| (touch.object.clone(), touch.surface))
                    .collect();
                (need.operation, need.effect, need.risks, touches)
            })
            .collect();
        (needs, facts.concerns.clone(), facts.batch)
    };
    bare(one) == bare(other)
}

#[test]
fn all_urls_of_an_operation_get_one_decision_for_a_type_or_a_refusal() {
    let catalogue = shipped();
    let mut rules = Rules::new(catalogue);
    let all: Vec<ObjectType> = catalogue.object_types().map(|(object, _)| object).collect();
    let (mut compared, mut differ_in_scopes) = (0usize, BTreeSet::new());
    for (_, operation) in catalogue
        .operations()
        .filter(|(_, operation)| operation.rows.len() > 1)
    {
        // Every URL by the types it asks for.
        let mut urls: BTreeMap<Vec<String>, Vec<(String, Understood)>> = BTreeMap::new();
        for index in &operation.rows {
            let row = catalogue.row(*index).unwrap();
            for object in types_of(row, &all) {
                let path = Path::of(catalogue, row, |_| object.clone());
                if let Some((request, _)) = understand_plain(row.method.as_str(), &path.plain()) {
                    let key = request.facts.main().touches.iter();
                    let key = key.map(|touch| format!("{:?} {:?}", touch.object, touch.surface));
                    urls.entry(key.collect())
                        .or_default()
                        .push((path.plain(), request));
                }
            }
        }
        for (types, urls) in &urls {
            for policy in rules.for_facts(urls.iter().map(|(_, request)| &request.facts)) {
                // By the scopes that HubSpot's version asks for: every outcome, with a URL that got it.
                let mut outcomes: BTreeMap<String, BTreeMap<Outcome, &str>> = BTreeMap::new();
                for (url, request) in urls {
                    compared += 1;
                    let outcome = judge(&policy, request);
                    // A URL that looks up by a property is held to that property, besides.
                    if !matches!(outcome, Outcome::Refused | Outcome::Denied("property" | "value")) {
                        let scopes = request
                            .facts
                            .main()
                            .touches
                            .iter()
                            .map(|touch| &touch.requirement);
                        let scopes = format!("{:?}", scopes.collect::<Vec<_>>());
                        outcomes.entry(scopes).or_default().entry(outcome).or_insert(url);
                    }
                }
                let one = outcomes.values().all(|seen| seen.len() == 1);
                assert!(
                    one,
                    "{} {types:?} under\n{}\n{outcomes:#?}",
                    operation.id, policy.text
                );
                let decided: BTreeSet<&Outcome> = outcomes.values().flat_map(|seen| seen.keys()).collect();
                if decided.len() > 1 {
                    // A rule that names the operation knows no versions; only one by scope does.
                    assert!(
                        !policy.text.contains("- operation:"),
                        "{} {outcomes:#?}",
                        operation.id
                    );
                    differ_in_scopes.insert(operation.id.to_string());
                }
            }
        }
    }
    println!(
        "{compared} decisions compared over all URLs of an operation; {} operations follow HubSpot's versions, which \
         ask for different scopes",
        differ_in_scopes.len()
    );
    assert!(compared > 60_000, "{compared}");
}

/// The types a row is tried with: all, if a parameter names one.
fn types_of(row: &Row, all: &[ObjectType]) -> Vec<ObjectType> {
    let typed = row
        .sources()
        .iter()
        .any(|source| matches!(source, rows::TypeSource::Parameter(_)));
    all.iter()
        .take(if typed { all.len() } else { 1 })
        .cloned()
        .collect()
}

#[test]
fn what_a_query_raises_is_raised_in_every_spelling_of_the_query() {
    let cases: [(&str, &str, &str, &[&str]); 3] = [
        (
            "GET",
            "/crm/v3/objects/contacts?",
            "associations=companies",
            &[
                "associations=company",
                "associations=0-2",
                "associations=COMPANIES",
                "associations=compan%69es",
                "%61ssociations=companies",
                "associations=companies,company",
                "associations=companies&associations=0-2",
                "associations=%20companies",
                "associations=companies&x=1",
                "&&associations=companies&",
                "Associations=companies",
                "ASSOCIATIONS=companies",
                "associations%5B%5D=companies",
                "associations=%63%6fmpanies",
            ],
        ),
        (
            "DELETE",
            "/crm-object-schemas/v3/schemas/p_car?",
            "archived=true",
            &[
                "archived=TRUE",
                "archived=True",
                "archived=1",
                "archived=%74rue",
                "archive%64=true",
                "archived",
                "archived=",
                "Archived=true",
                "archived=true&archived=false",
                "archived=false&archived=true",
                "archived[]=true",
            ],
        ),
        (
            "GET",
            "/deals/v1/deal/paged?",
            "includeAssociations=true",
            &[
                "includeAssociations=TRUE",
                "includeAssociations=1",
                "includeAssociations=%74rue",
                "include%41ssociations=true",
                "includeassociations=true",
            ],
        ),
    ];
    for (method, path, plain, spellings) in cases {
        let known = understand(method, &format!("{path}{plain}"), None).unwrap();
        let bare = understand(method, path, None).unwrap();
        assert_ne!(known.facts, bare.facts, "{path}{plain} raises nothing");
        for spelling in spellings {
            match understand(method, &format!("{path}{spelling}"), None) {
                Err(_) => {}
                Ok(found) => assert_eq!(found.facts, known.facts, "{path}{spelling}"),
            }
        }
    }
}
