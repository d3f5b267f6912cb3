//! What a request costs under `limits`: how many records it names, or may be answered with.
//!
//! Exact where the request names its records. A page is known in size only when it has come: it costs
//! the largest it may be until then. What can't be counted at all is no charge but a denial
//! ([`Uncountable`]).

use super::catalogue::{Catalogue, Recognised, Row};
use super::effect::Effect;
use super::facts::{Facts, Surface};
use super::json::Json;
use super::limits::{Counted, Limits};
use super::query::Query;
use super::target::Target;

/// Records of a page whose size is neither asked for nor known: the largest page of most of HubSpot's
/// lists.
const PAGE: u32 = 100;

/// Pages that HubSpot makes of another size when nobody says, by operation; those of its older APIs are
/// of [`PAGE`] at most.
const PAGES: [(&str, u32); 3] = [
    ("crm.objects.list", 10),
    ("crm.objects.search", 10),
    ("crm.associations.list", 500),
];

/// Operations that are answered with a list although their ids say of one record.
const LISTS: [&str; 1] = ["marketing.campaigns.reports.contacts.get"];

/// Parameters and members that say how large a page shall be.
const SIZES: [&str; 2] = ["limit", "count"];

/// What one request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What its records count for.
    pub counted: Counted,
    /// How many records it names, or the most that it may be answered with.
    pub records: u32,
    /// Whether what it is answered with is counted, and is what it costs in the end.
    pub is_page: bool,
}

/// What the request costs besides being one; `None` = no records at all.
pub fn of(
    catalogue: &Catalogue,
    facts: &Facts,
    recognised: &Recognised,
    target: &Target,
    body: Option<&Json>,
) -> Option<Charge> {
    let effect = facts.effect();
    let counted = Counted::of_records(effect)?;
    let exactly = |records: u32| {
        Some(Charge {
            counted,
            records: records.max(1),
            is_page: false,
        })
    };
    if let Some(named) = facts.batch {
        return exactly(named);
    }
    if effect != Effect::Read {
        return exactly(1);
    }
    let row = catalogue.row(recognised.row)?;
    // Definitions are no records: what a portal's properties are called is no data of its customers.
    if facts
        .main()
        .touches
        .iter()
        .all(|touch| touch.surface == Surface::Definitions)
    {
        return None;
    }
    let verb = row.id.rsplit('.').next().unwrap_or_default();
    if verb == "get" && !LISTS.contains(&&*row.id) {
        return exactly(1);
    }
    // HubSpot alone knows which of the two counts.
    let records = size_in(target.query())
        .max(body.and_then(size_in_body))
        .unwrap_or_else(|| default_page(row));
    Some(Charge {
        counted,
        records,
        is_page: true,
    })
}

/// A call whose records nobody can count before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncountable(pub Counted);

/// Whether a cap holds for the request that can't be kept for it: an export, an import, a GraphQL
/// query, a list emptied, filtered anew or filled from another.
pub fn uncountable(catalogue: &Catalogue, facts: &Facts, limits: &Limits) -> Option<Uncountable> {
    let (counted, _) = limits.cap_on_records(facts.effect())?;
    let operation = catalogue.operation(facts.main().operation)?;
    let refilters = || {
        let mut rows = operation.rows.iter().filter_map(|row| catalogue.row(*row));
        facts.effect() == Effect::Delete && rows.any(Row::is_delete_if_refiltering)
    };
    (operation.in_bulk || refilters()).then_some(Uncountable(counted))
}

/// The largest of the sizes a query asks for; one that is no number is none.
fn size_in(query: &Query) -> Option<u32> {
    let sizes = SIZES.iter().flat_map(|name| query.all(name));
    sizes
        .filter_map(|text| text.parse().ok())
        .filter(|size| *size > 0)
        .max()
}

fn size_in_body(body: &Json) -> Option<u32> {
    let sizes = SIZES.iter().filter_map(|name| match body.get(name)? {
        Json::Number(text) => text.parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    });
    sizes.filter(|size| *size > 0).max()
}

fn default_page(row: &Row) -> u32 {
    let known = PAGES
        .iter()
        .find(|(id, _)| *id == &*row.id && row.template.starts_with("/crm/"));
    known.map_or(PAGE, |(_, size)| *size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::gather::gather;
    use crate::access::json::JudgedBody;
    use crate::access::limits::Cap;

    fn ask(catalogue: &Catalogue, request: &str, body: Option<&str>) -> (Facts, Option<Charge>) {
        let (method, target) = request.split_once(' ').unwrap();
        let target = Target::parse(method, target).unwrap();
        let recognised = catalogue.recognise(&target).unwrap();
        let body = body.map(|text| JudgedBody::parse(text.as_bytes()).unwrap());
        let facts = gather(catalogue, &recognised, &target, body.as_ref()).unwrap();
        let charge = of(
            catalogue,
            &facts,
            &recognised,
            &target,
            body.as_ref().map(JudgedBody::value),
        );
        (facts, charge)
    }

    #[test]
    fn a_request_costs_the_records_it_names_or_the_page_it_may_be_answered_with() {
        use Counted::{RecordsDeleted, RecordsIrreversible, RecordsRead, RecordsWritten};
        let catalogue = Catalogue::embedded().unwrap();
        for (request, body, counted, records, is_page) in [
            ("GET /crm/v3/objects/contacts/1", None, RecordsRead, 1, false),
            ("GET /crm/v3/objects/contacts", None, RecordsRead, 10, true),
            (
                "GET /crm/v3/objects/contacts?limit=100",
                None,
                RecordsRead,
                100,
                true,
            ),
            (
                "GET /crm/v3/objects/contacts?limit=0",
                None,
                RecordsRead,
                10,
                true,
            ),
            (
                "GET /crm/v3/objects/contacts?limit=x&limit=7",
                None,
                RecordsRead,
                7,
                true,
            ),
            (
                "POST /crm/v3/objects/contacts/search",
                Some("{\"limit\":200}"),
                RecordsRead,
                200,
                true,
            ),
            (
                "POST /crm/v3/objects/contacts/search",
                Some("{\"limit\":\"150\"}"),
                RecordsRead,
                150,
                true,
            ),
            (
                "POST /crm/v3/objects/contacts/search",
                Some("{}"),
                RecordsRead,
                10,
                true,
            ),
            ("GET /crm/v3/owners", None, RecordsRead, 100, true),
            (
                "GET /marketing/v3/campaigns/1/reports/contacts/influencedContacts",
                None,
                RecordsRead,
                100,
                true,
            ),
            (
                "GET /crm/v4/objects/contacts/1/associations/companies",
                None,
                RecordsRead,
                500,
                true,
            ),
            (
                "GET /contacts/v1/contact/vids/batch?vid=1&vid=2&vid=3",
                None,
                RecordsRead,
                3,
                false,
            ),
            (
                "POST /crm/v3/objects/contacts/batch/read",
                Some("{\"inputs\":[{\"id\":\"1\"},{\"id\":\"2\"}]}"),
                RecordsRead,
                2,
                false,
            ),
            (
                "POST /crm/v3/objects/contacts",
                Some("{\"properties\":{}}"),
                RecordsWritten,
                1,
                false,
            ),
            (
                "POST /crm/v3/objects/contacts/batch/update",
                Some("{\"inputs\":[{\"id\":\"1\"},{\"id\":\"2\"},{\"id\":\"3\"}]}"),
                RecordsWritten,
                3,
                false,
            ),
            (
                "DELETE /crm/v3/objects/contacts/1",
                None,
                RecordsDeleted,
                1,
                false,
            ),
            (
                "POST /crm/v3/objects/contacts/batch/archive",
                Some("{\"inputs\":[{\"id\":\"1\"},{\"id\":\"2\"}]}"),
                RecordsDeleted,
                2,
                false,
            ),
            (
                "POST /crm/v3/objects/contacts/merge",
                Some("{\"primaryObjectId\":\"1\",\"objectIdToMerge\":\"2\"}"),
                RecordsIrreversible,
                1,
                false,
            ),
            // No record, but a definition's removal takes its values along.
            (
                "DELETE /crm/v3/properties/contacts/email",
                None,
                RecordsDeleted,
                1,
                false,
            ),
            (
                "DELETE /deals/v1/deal/1/associations/CONTACT?id=1&id=2&id=3",
                None,
                RecordsDeleted,
                3,
                false,
            ),
            (
                "PUT /deals/v1/deal/1/associations/CONTACT?id=1&id=2",
                None,
                RecordsWritten,
                2,
                false,
            ),
            (
                "POST /marketing/v3/marketing-events/1/attendance/register/email-create",
                Some(r#"{"inputs":[{"email":"a@b"},{"email":"c@d"}]}"#),
                RecordsWritten,
                2,
                false,
            ),
            (
                "POST /blogs/v3/topics/group-topics",
                Some(r#"{"topicIds":[1,2,3],"groupedTopicName":"x"}"#),
                RecordsIrreversible,
                3,
                false,
            ),
            // Which of two sizes counts, HubSpot alone knows.
            (
                "POST /crm/v3/objects/contacts/search?limit=1",
                Some(r#"{"limit":200}"#),
                RecordsRead,
                200,
                true,
            ),
        ] {
            let charge = ask(&catalogue, request, body).1;
            let wanted = Charge {
                counted,
                records,
                is_page,
            };
            assert_eq!(charge, Some(wanted), "{request}");
        }
    }

    #[test]
    fn definitions_are_no_records() {
        let catalogue = Catalogue::embedded().unwrap();
        for request in ["GET /crm/v3/properties/contacts", "GET /crm/v3/pipelines/deals"] {
            assert_eq!(ask(&catalogue, request, None).1, None, "{request}");
        }
    }

    #[test]
    fn the_pages_that_are_known_are_of_operations_there_are() {
        let catalogue = Catalogue::embedded().unwrap();
        for id in PAGES.iter().map(|(id, _)| id).chain(&LISTS) {
            assert!(catalogue.operation_by_id(id).is_some(), "{id}");
        }
    }

    #[test]
    fn what_moves_records_in_bulk_can_not_be_counted_under_a_cap_on_them() {
        let catalogue = Catalogue::embedded().unwrap();
        let cap = Cap::parse("5/1h").unwrap();
        let export = "{\"objectType\":\"contacts\",\"exportType\":\"VIEW\",\"exportName\":\"x\",\"format\":\"CSV\",\"language\":\"EN\",\"objectProperties\":[\"email\"]}";
        let query = "{\"query\":\"{ CRM { contact_collection { items { email } } } }\"}";
        for (request, body) in [
            ("POST /crm/v3/exports/export/async", export),
            ("POST /collector/graphql", query),
        ] {
            let (facts, _) = ask(&catalogue, request, Some(body));
            let only = |counted| Limits::new(None, [(counted, cap)]);
            assert_eq!(
                uncountable(&catalogue, &facts, &only(Counted::RecordsRead)),
                Some(Uncountable(Counted::RecordsRead)),
                "{request}"
            );
            assert_eq!(
                uncountable(&catalogue, &facts, &only(Counted::RecordsWritten)),
                None
            );
            assert_eq!(uncountable(&catalogue, &facts, &only(Counted::Requests)), None);
        }
        let filters = r#"{"filterBranch":{"filterBranchType":"OR","filterBranches":[]}}"#;
        for (request, body, counted) in [
            (
                "DELETE /crm/v3/lists/5/memberships",
                None,
                Counted::RecordsDeleted,
            ),
            (
                "PUT /crm/v3/lists/5/memberships/add-from/6",
                None,
                Counted::RecordsWritten,
            ),
            // Filters that nobody meets empty a list.
            (
                "PUT /crm/v3/lists/5/update-list-filters",
                Some(filters),
                Counted::RecordsDeleted,
            ),
            (
                "POST /contacts/v1/lists/5",
                Some(r#"{"filters":[[]]}"#),
                Counted::RecordsDeleted,
            ),
        ] {
            let (facts, _) = ask(&catalogue, request, body);
            let under = |counted| uncountable(&catalogue, &facts, &Limits::new(None, [(counted, cap)]));
            assert_eq!(under(counted), Some(Uncountable(counted)), "{request}");
            assert_eq!(under(Counted::RecordsRead), None, "{request}");
        }
        let rename = Some(r#"{"name":"New"}"#);
        let (facts, _) = ask(&catalogue, "POST /contacts/v1/lists/5", rename);
        let limits = Limits::new(
            None,
            [(Counted::RecordsWritten, cap), (Counted::RecordsDeleted, cap)],
        );
        assert_eq!(
            uncountable(&catalogue, &facts, &limits),
            None,
            "a new name is one write"
        );
        let (facts, _) = ask(&catalogue, "GET /crm/v3/objects/contacts", None);
        let limits = Limits::new(None, [(Counted::RecordsRead, cap)]);
        assert_eq!(uncountable(&catalogue, &facts, &limits), None);
    }
}
