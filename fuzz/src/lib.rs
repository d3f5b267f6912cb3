//! What the targets share: the gate's pure core and its head guard, taken as source, its catalogue, read once, and a
//! second reading of GraphQL documents to hold the first one to.

#[path = "../../src/access/mod.rs"]
pub mod access;
#[path = "../../src/answer_fields.rs"]
pub mod answer_fields;
#[path = "../../src/hubspot/answers/mod.rs"]
pub mod answers;
pub mod asked;
#[path = "../../src/proxy/echo_forms.rs"]
pub mod echo_forms;
#[path = "../../src/hubspot/error_body.rs"]
pub mod error_body;
#[path = "../../src/hubspot/forbidden/mod.rs"]
pub mod forbidden;
#[path = "../../src/proxy/guard/mod.rs"]
pub mod guard;
#[path = "../../src/heads.rs"]
pub mod heads;
#[path = "../../src/secret.rs"]
pub mod secret;

use std::sync::OnceLock;

use access::catalogue::{BodyNeed, Catalogue, Recognised};
use access::facts::Facts;
use access::gather::gather;
use access::json::JudgedBody;
use access::target::Target;

/// The shipped catalogue.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| Catalogue::embedded().expect("the embedded tables are sound"))
}

/// A method and a target, from a first line `METHOD TARGET`.
pub fn request_line(text: &str) -> Option<(&str, &str)> {
    text.split_once(' ')
}

/// Facts of a request, and what holds for all of them.
pub fn facts(target: &Target, recognised: &Recognised, body: Option<&JudgedBody>) -> Option<Facts> {
    let row = catalogue().row(recognised.row).expect("a row of this catalogue");
    let facts = gather(catalogue(), recognised, target, body).ok()?;
    assert!(!facts.needs.is_empty(), "a request that asks for nothing");
    assert!(facts.effect() >= row.effect, "a request milder than its row");
    let touches = facts.needs.iter().all(|need| !need.touches.is_empty());
    assert!(touches, "a need that touches nothing");
    Some(facts)
}

/// Every row with a path for it: of contacts, to companies.
pub fn rows() -> &'static [(Target, Recognised)] {
    static ROWS: OnceLock<Vec<(Target, Recognised)>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut rows = Vec::new();
        for (_, operation) in catalogue().operations() {
            for row in operation.rows.iter().filter_map(|index| catalogue().row(*index)) {
                let segments = row.template.split('/').map(|segment| match segment {
                    "{objectType}" | "{fromObjectType}" => "contacts",
                    "{toObjectType}" => "companies",
                    segment if segment.starts_with('{') => "p_car",
                    literal => literal,
                });
                let path = segments.collect::<Vec<_>>().join("/");
                let target = Target::parse(row.method.as_str(), &path).ok();
                let found = target.and_then(|target| Some((catalogue().recognise(&target).ok()?, target)));
                rows.extend(found.map(|(found, target)| (target, found)));
            }
        }
        assert!(rows.len() > 3000, "rows of the catalogue");
        rows
    })
}

/// Every row whose body decides, with a path for it.
pub fn judged_rows() -> &'static [&'static (Target, Recognised)] {
    static ROWS: OnceLock<Vec<&(Target, Recognised)>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let judged = rows()
            .iter()
            .filter(|(_, found)| found.body_need() != BodyNeed::None);
        let judged: Vec<_> = judged.collect();
        assert!(judged.len() > 100, "rows whose body decides");
        judged
    })
}
