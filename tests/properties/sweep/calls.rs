//! Every call the simulator serves, in the broadest form a client could send it: rows of the catalogue
//! with their parameters filled in, tried against a simulator of their own.

use std::collections::{BTreeMap, BTreeSet};

use scopegate::access::catalogue::{Catalogue, Row};
use scopegate::access::effect::Effect;
use serde_json::{Value, json};

use super::scan::Scan;
use crate::support::{PORTAL, World};
use crate::wire::{Reply, Wire, request};

/// Types whose records are asked for, by a spelling of theirs, and a property that integrations see.
const TYPES: [(&str, &str); 9] = [
    ("contacts", "firstname"),
    ("0-1", "firstname"),
    ("companies", "name"),
    ("deals", "dealname"),
    ("tickets", "subject"),
    ("line_items", "name"),
    ("meetings", "hs_meeting_title"),
    ("notes", "hs_note_body"),
    ("CUSTOM", "model"),
];

/// Calls whose answers hold hidden values that are kept of a row and type.
const MOST: usize = 2;

/// A call; `@first`, `@second` and `@gone` in target and body stand for ids of records, `@new` for a word
/// that was not used yet.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub kind: &'static str,
    pub method: String,
    pub target: String,
    pub content_type: &'static str,
    pub body: String,
}

/// What a simulator without a gate answered to a call.
pub struct Unfiltered {
    pub call: Call,
    pub status: u16,
    /// Hidden values in the answer.
    pub planted: usize,
}

/// Ids of the records of a world.
pub struct Ids {
    of: BTreeMap<String, Vec<u64>>,
    custom: String,
    used: u64,
    /// What was made beforehand, by the word that stands for it.
    made: Vec<(&'static str, String)>,
}

impl Ids {
    pub async fn of(world: &World) -> Self {
        let mut of: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for planted in world.sim.planted(PORTAL) {
            let ids = of.entry(planted.object_type).or_default();
            if ids.last() != Some(&planted.record) {
                ids.push(planted.record);
            }
        }
        let custom = of.keys().find(|name| name.starts_with("2-")).unwrap().clone();
        let made = made(world).await;
        Self {
            of,
            custom,
            used: 0,
            made,
        }
    }

    fn name(&self, kind: &'static str) -> &str {
        match kind {
            "0-1" => "contacts",
            "0-2" => "companies",
            "CUSTOM" => &self.custom,
            name => name,
        }
    }

    /// A request for a call, with records of its type.
    pub fn bytes(&mut self, call: &Call, key: &str) -> String {
        self.used += 1;
        let name = self.name(call.kind).to_owned();
        let is_final =
            call.method == "DELETE" || call.body.contains("@gone") || call.target.contains("@gone");
        let ids = self.of.get_mut(&name).unwrap();
        let gone = match is_final && ids.len() > 4 {
            true => ids.pop().unwrap(),
            false => ids[ids.len() - 1],
        };
        let (first, second) = (ids[0], ids[1]);
        let company = self.of["companies"][0];
        let filled = |text: &str| {
            let made = self
                .made
                .iter()
                .fold(text.to_owned(), |text, (word, id)| text.replace(word, id));
            made.replace("\"#first\"", &first.to_string())
                .replace("\"#second\"", &second.to_string())
                .replace("\"#company\"", &company.to_string())
                .replace("\"#gone\"", &gone.to_string())
                .replace("@first", &first.to_string())
                .replace("@second", &second.to_string())
                .replace("@gone", &gone.to_string())
                .replace("@company", &company.to_string())
                .replace("@new", &format!("word{}", self.used))
                .replace("CUSTOM", &self.custom)
        };
        let lines = [format!("Content-Type: {}", call.content_type)];
        let lines: &[&str] = match call.body.is_empty() {
            true => &[],
            false => &[&lines[0]],
        };
        request(
            &call.method,
            &filled(&call.target),
            key,
            lines,
            &filled(&call.body),
        )
    }
}

/// A list, an import and an event, made in the simulator itself.
async fn made(world: &World) -> Vec<(&'static str, String)> {
    let mut wire = None;
    let mut make = async |method: &str, target: &str, content_type: &str, body: &str| {
        let line = format!("Content-Type: {content_type}");
        let bytes = request(method, target, &world.upstream_token, &[&line], body);
        let reply = ask(world, &mut wire, &bytes).await;
        assert!((200..300).contains(&reply.status), "{target}: {reply:?}");
        reply.json()
    };
    let json = "application/json";
    let list = json!({"name": "made", "objectTypeId": "0-1", "processingType": "MANUAL"}).to_string();
    let list = make("POST", "/crm/v3/lists", json, &list).await;
    let branch = json!({"filterBranchType": "OR", "filterBranches": [], "filters": []});
    let dynamic =
        json!({"name": "moving", "objectTypeId": "0-1", "processingType": "DYNAMIC", "filterBranch": branch});
    let dynamic = make("POST", "/crm/v3/lists", json, &dynamic.to_string()).await;
    let note = json!({"engagement": {"type": "NOTE", "timestamp": 1}, "metadata": {"body": "n"}});
    let note = make("POST", "/engagements/v1/engagements", json, &note.to_string()).await;
    let import = make(
        "POST",
        "/crm/v3/imports",
        "multipart/form-data; boundary=B",
        &import(),
    )
    .await;
    let event = json!({"eventTemplateId": "7", "id": "made", "objectId": "1001", "tokens": {}}).to_string();
    make("POST", "/integrators/timeline/v3/events", json, &event).await;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    vec![
        ("@dynamic", text(&dynamic["list"]["listId"])),
        ("@engagement", text(&note["engagement"]["id"])),
        ("@list", text(&list["list"]["listId"])),
        ("@import", text(&import["id"])),
        ("@event", "made".to_owned()),
    ]
}

/// Everything that can be asked of every property of a type.
fn names(visible: &str) -> Vec<&str> {
    let mut names = vec![
        "ssn",
        "salary",
        "date_of_birth",
        "iban",
        "religion",
        "hs_content_membership_email",
        "medical_notes",
        "passport_number",
        "credit_rating",
        "bank_account_iban",
        "internal_margin",
        "discount_approval_note",
        "internal_escalation_note",
        "hs_cost_of_goods_sold",
        "internal_remark",
        "hs_internal_meeting_notes",
        "purchase_price",
        "email",
    ];
    names.push(visible);
    names
}

fn queries(visible: &str) -> Vec<String> {
    let all = names(visible);
    let repeated = |name: &str| all.iter().map(|one| format!("&{name}={one}")).collect::<String>();
    vec![
        String::new(),
        format!(
            "?limit=50&properties={0}&propertiesWithHistory={0}&associations=contacts,companies,deals",
            all.join(",")
        ),
        format!(
            "?limit=50&count=50{}{}{}&propertyMode=value_and_history&showListMemberships=true",
            repeated("property"),
            repeated("properties"),
            repeated("propertiesWithHistory")
        ),
        "?includeProperties=true&includeFilters=true&includePropertyVersions=true&limit=100".to_owned(),
        format!("?q=a&property={}&count=50", all.join("&property=")),
        "?dataSensitivity=sensitive&archived=false".to_owned(),
        format!("?vid=@first&vid=@second&id=@first{}", repeated("property")),
    ]
}

fn bodies(visible: &str) -> Vec<Value> {
    let all = names(visible);
    let one = json!({ visible: "@new", "email": "@new@example.com" });
    let plain = json!({ visible: "@new" });
    let listed = json!([{"property": visible, "value": "@new"}]);
    let named = json!([{"name": visible, "value": "@new"}]);
    let specification = json!([{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]);
    let pair = json!({"from": {"id": "@first"}, "to": {"id": "@company"}});
    let filters = |name: &str| json!([{"filters": [{"propertyName": name, "operator": "HAS_PROPERTY"}]}]);
    let branch = json!({"filterBranchType": "OR", "filterBranches": [{"filterBranchType": "AND", "filterBranches": [],
        "filters": [{"filterType": "PROPERTY", "property": "email", "operation":
            {"operationType": "ALL_PROPERTY", "operator": "IS_KNOWN"}}]}], "filters": []});
    let graphql = |fields: &str| json!({"query": format!("{{CRM{{contact_collection(limit: 20){{items{{{fields} hs_object_id associations{{company_collection__primary{{items{{name}}}}}}}}}}}}}}")});
    let definition = json!({"name": "@new", "label": "@new", "displayName": "@new", "type": "string", "fieldType": "text", "groupName": "contactinformation"});
    vec![
        json!({}),
        json!([]),
        json!({"limit": 100, "properties": all}),
        json!({"limit": 100, "properties": all, "filterGroups": filters("email"), "sorts": ["createdate"]}),
        json!({"limit": 100, "properties": all, "filterGroups": filters("ssn")}),
        json!({"limit": 100, "properties": all, "query": "a"}),
        json!({"properties": all, "propertiesWithHistory": all, "inputs": [{"id": "@first"}, {"id": "@second"}]}),
        json!({"properties": all, "propertiesWithHistory": all, "inputs": [{"id": "@first"}, {"id": "99999999"}]}),
        json!({"properties": all, "propertiesWithHistory": all, "ids": ["@first", "@second"]}),
        json!({"ids": ["@first", "@second"]}),
        json!({"inputs": [{"id": "@first"}, {"id": "99999999"}]}),
        json!({"inputs": [{"id": "@gone"}]}),
        json!({"properties": one}),
        json!({"properties": plain}),
        json!({"properties": plain, "associations": [{"to": {"id": "@company"}, "types": specification}]}),
        json!({"properties": listed}),
        json!({"properties": named}),
        json!([{"objectId": "@first", "properties": named}]),
        json!(named),
        json!([named]),
        json!({"inputs": [{"properties": one}]}),
        json!({"inputs": [{"properties": plain}]}),
        json!({"inputs": [{"id": "@first", "properties": plain}, {"id": "99999999", "properties": plain}]}),
        json!({"inputs": [{"idProperty": "email", "id": "@new@example.com", "properties": plain}]}),
        json!({"primaryObjectId": "@first", "objectIdToMerge": "@gone"}),
        json!({"vidToMerge": "@gone"}),
        json!({"objectId": "@gone"}),
        json!(["@gone"]),
        json!(["@first", "@second"]),
        json!({"ids": ["@gone"]}),
        json!({"ids": ["#first", "#second"]}),
        json!(["#gone"]),
        json!({"vidToMerge": "#gone"}),
        json!([{"objectId": "#first", "properties": named}]),
        specification.clone(),
        json!({"inputs": [pair]}),
        json!({"inputs": [{"from": {"id": "@first"}, "to": {"id": "@company"}, "types": specification}]}),
        json!({"inputs": [{"from": {"id": "@first"}, "to": {"id": "@company"}, "type": "contact_to_company"}]}),
        json!({"inputs": [{"from": {"id": "@first"}, "to": [{"id": "@company"}]}]}),
        json!({"fromObjectId": "#first", "toObjectId": "#company", "category": "HUBSPOT_DEFINED", "definitionId": 1}),
        json!([{"fromObjectId": "#first", "toObjectId": "#company", "category": "HUBSPOT_DEFINED", "definitionId": 1}]),
        json!({"limit": 10, "requestOptions": {"properties": all}, "offset": {"isPrimary": true, "companyId": 0}}),
        definition.clone(),
        json!({"inputs": [definition]}),
        json!({"archived": false, "inputs": [{"name": "ssn"}, {"name": "email"}, {"name": "nothing"}]}),
        json!({"name": "@new", "objectTypeId": "0-1", "processingType": "MANUAL"}),
        json!({"name": "@new", "objectTypeId": "0-1", "processingType": "DYNAMIC", "filterBranch": branch}),
        json!({"filterBranch": branch}),
        json!({"inputs": [{"objectTypeId": "0-1", "recordId": "@first"}]}),
        json!({"recordIdsToAdd": ["@first"], "recordIdsToRemove": []}),
        json!({"query": "", "listIds": [], "additionalProperties": ["hs_list_reference_count"]}),
        graphql(&names(visible).get(..8).unwrap().join(" ")),
        graphql("email"),
        json!({"inputs": ["CUSTOM", "0-1"]}),
        json!({"engagement": {"type": "NOTE", "timestamp": 1}, "associations": {"contactIds": ["#first"]}, "metadata": {"body": "@new"}}),
        json!({"engagement": {"type": "MEETING", "timestamp": 1}, "associations": {"contactIds": [1001]}, "metadata": {"body": "@new", "title": "t", "startTime": 1, "endTime": 2}}),
        json!({"metadata": {"body": "@new"}}),
        json!({"eventTemplateId": "7", "eventTypeId": 7, "id": "@new", "objectId": "@first", "email": "@new@example.com", "tokens": {"a": "b"}}),
        json!({"inputs": [{"eventTemplateId": "7", "objectId": "@first", "tokens": {}}]}),
        json!({"eventWrappers": [{"eventTypeId": 7, "id": "@new", "objectId": "@first"}]}),
        json!({"exportType": "VIEW", "exportName": "@new", "format": "CSV", "language": "EN", "objectType": "CONTACT", "objectProperties": all, "associatedObjectType": "COMPANY"}),
        json!({"exportType": "VIEW", "exportName": "@new", "format": "CSV", "language": "EN", "objectType": "CONTACT", "objectProperties": ["email"]}),
        json!({"label": "@new", "name": "@new"}),
    ]
}

fn import() -> String {
    let mapping = |name: &str| json!({"columnObjectTypeId": "0-1", "columnName": name, "propertyName": name});
    let request = json!({
        "name": "n", "importOperations": {"0-1": "UPSERT"}, "dateFormat": "DAY_MONTH_YEAR",
        "files": [{"fileName": "a.csv", "fileFormat": "CSV", "fileImportPage": {"hasHeader": true,
            "columnMappings": [mapping("email"), mapping("firstname")]}}],
    });
    format!(
        "--B\r\nContent-Disposition: form-data; name=\"importRequest\"\r\n\r\n{request}\r\n--B\r\n\
         Content-Disposition: form-data; name=\"files\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\n\
         email,firstname\r\n@new@example.com,A\r\nno-address,B\r\n--B--\r\n"
    )
}

/// The template with its parameters filled in, for a type.
fn filled(row: &Row, kind: &str) -> String {
    let mut out = String::new();
    let mut types = [kind, "companies"].into_iter();
    let mut ids = 0;
    for segment in row.template.split('/').skip(1) {
        out.push('/');
        let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            out.push_str(segment);
            continue;
        };
        let is_type = name.to_ascii_lowercase().contains("objecttype");
        out.push_str(match name {
            _ if is_type => types.next().unwrap_or("companies"),
            "propertyName" => "ssn",
            "groupName" => "contactinformation",
            "email" => "@new@example.com",
            "listId" if row.id.ends_with("update-list-filters") => "@dynamic",
            "listId" => "@list",
            "importId" => "@import",
            "eventId" => "@event",
            "eventTemplateId" | "eventTypeId" => "7",
            "definitionId" => "1",
            "engagementId" if row.method.as_str() == "DELETE" => "@gone",
            "engagementId" => "@engagement",
            "appId" => "@first",
            "name" => "@new",
            "stageId" => "appointmentscheduled",
            "pipelineId" => "default",
            _ => {
                ids += 1;
                match (row.method.as_str(), ids) {
                    ("DELETE", 1) => "@gone",
                    (_, 1) => "@first",
                    _ => "@company",
                }
            }
        });
    }
    out
}

/// The type that a template names in words, if it does.
fn named(template: &str, kind: &'static str) -> &'static str {
    let words: Vec<&str> = template.split('/').collect();
    let said = TYPES.iter().find(|(name, _)| words.contains(name));
    match said {
        Some((name, _)) => name,
        None if words.contains(&"deal") => "deals",
        None => kind,
    }
}

/// Calls of one row for one type.
fn of_row(row: &Row, (kind, visible): (&'static str, &'static str)) -> Vec<Call> {
    let kind = named(&row.template, kind);
    let visible = TYPES
        .iter()
        .find(|(name, _)| *name == kind)
        .map_or(visible, |(_, visible)| visible);
    let target = filled(row, kind);
    let call = |target: String, content_type, body: String| Call {
        operation: row.id.to_string(),
        kind,
        method: row.method.as_str().to_owned(),
        target,
        content_type,
        body,
    };
    let plain = |target: String| call(target, "application/json", String::new());
    let mut targets = vec![target.clone()];
    if target.contains("/ssn") {
        targets.push(target.replace("/ssn", "/email"));
    }
    match row.method.as_str() {
        "GET" => {
            let with = |target: &String| {
                queries(visible)
                    .into_iter()
                    .map(move |query| format!("{target}{query}"))
                    .collect::<Vec<_>>()
            };
            targets.iter().flat_map(with).map(plain).collect()
        }
        "DELETE" => targets.into_iter().map(plain).collect(),
        _ if row.id.as_ref() == "crm.imports.create" => {
            vec![call(target, "multipart/form-data; boundary=B", import())]
        }
        _ => {
            let json = |target: &String| {
                let removes = row.effect >= Effect::Delete;
                let calls = bodies(visible)
                    .into_iter()
                    .map(|body| body.to_string())
                    .filter(|body| removes || !body.contains("gone"));
                calls
                    .map(|body| call(target.clone(), "application/json", body.to_string()))
                    .collect::<Vec<_>>()
            };
            targets.iter().flat_map(json).collect()
        }
    }
}

async fn ask(world: &World, wire: &mut Option<Wire>, bytes: &str) -> Reply {
    let address = world.sim_origin.rsplit('/').next().unwrap().parse().unwrap();
    if let Some(open) = wire
        && open.write(bytes).await
        && let Some(reply) = open.reply().await
    {
        return reply;
    }
    let mut open = Wire::open(address).await;
    let reply = open.ask(bytes).await;
    *wire = Some(open);
    reply
}

/// The calls that the simulator serves: all that succeed, and of those that fail one of each status.
pub async fn served(world: &World) -> Vec<Unfiltered> {
    let catalogue = Catalogue::embedded().unwrap();
    let scan = Scan::of(world, |_| true);
    let mut ids = Ids::of(world).await;
    let mut wire = None;
    let mut all = Vec::new();
    let mut rows: Vec<&Row> = catalogue
        .operations()
        .flat_map(|(_, operation)| operation.rows.iter().filter_map(|index| catalogue.row(*index)))
        .collect();
    // What removes records comes last.
    rows.sort_by_key(|row| (row.effect, row.template.clone(), row.method.as_str()));
    // Which forms of an operation are worth trying, by its id and area: those that ever did something.
    let mut forms: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    for row in rows {
        let outside = ["/oauth", "/appinstalls", "/files"];
        if outside.iter().any(|begin| row.template.starts_with(begin)) {
            continue;
        }
        let area = row.template.split('/').nth(1).unwrap_or_default().to_owned();
        let form = (row.id.to_string(), area);
        let names_type = row.template.to_ascii_lowercase().contains("objecttype");
        let types = if names_type { &TYPES[..] } else { &TYPES[..1] };
        for one in types {
            let mut statuses: BTreeMap<(u16, bool), usize> = BTreeMap::new();
            let known = forms.get(&form).cloned();
            let mut useful = BTreeSet::new();
            for (at, call) in of_row(row, *one).into_iter().enumerate() {
                if known.as_ref().is_some_and(|known| !known.contains(&at)) {
                    continue;
                }
                let bytes = ids.bytes(&call, &world.upstream_token);
                let reply = ask(world, &mut wire, &bytes).await;
                let planted = scan.found(&reply.body).len();
                let times = statuses.entry((reply.status, planted > 0)).or_default();
                *times += 1;
                let success = (200..300).contains(&reply.status);
                let most = match (success, planted) {
                    (true, 1..) => MOST,
                    _ => usize::from(!matches!(reply.status, 404 | 405)),
                };
                if *times <= most {
                    useful.insert(at);
                    all.push(Unfiltered {
                        call,
                        status: reply.status,
                        planted,
                    });
                }
            }
            let is_served = statuses.keys().any(|(status, _)| !matches!(status, 404 | 405));
            if known.is_none() && is_served {
                forms.insert(form.clone(), useful);
            }
            if !is_served {
                break;
            }
        }
    }
    all
}
