//! What each operation without a type in its path carries; the longest entry that fits counts.
//!
//! Reviewed against HubSpot's public OpenAPI files and documentation, state of 2026-11-22. Content of
//! the website, files, settings and the like hold no record. What renders, computes or forwards
//! properties later on (workflows, scores, webhooks, cards) is judged where it is written.

use super::Carries::{self, Body, Nothing, Programs, Reads, Records, RecordsOf, SetUp, Sets, Values};
use super::Kind;

/// Addresses stand in these answers, or look somebody up.
const ADDRESS: Carries = Reads("contacts", &["email"]);
const OPENED: Carries = Reads("contacts", &["email", "ip_city", "ip_country", "ip_state"]);
const ADDRESSED: Carries = Sets("contacts", &["email", "firstname", "lastname"]);

const JOURNAL: Carries = Values("hands out changes of any property");
const TO_A_URL: Carries = Programs("has HubSpot send values of properties to an address of its own");
const FLOW: Carries = Programs("can copy any property to another, or send it somewhere");
const CODE: Carries = Programs("runs as code of the website, which can show any property");
const SCORE: Carries = Programs("computes a score from any property");
const TALK: Carries = RecordsOf("contacts", "hands out who said what, with names and addresses");
const EVENT: Carries = RecordsOf("marketing_events", "carries whole marketing events");
const PEOPLE: Carries = RecordsOf("contacts", "carries names, addresses and properties of contacts");
const FILE: Carries = Values("hands out files of records, which no rule filters");
const SPLIT: Carries = RecordsOf("deals", "carries shares and amounts of deals");
const CALL: Carries = RecordsOf("calls", "carries what was said in a call");
const TEMPLATE: Carries = Programs("says which properties an event sets on its record");
const MEDIA: Carries = Values("carries types and properties of an app's own, which no rule names");

const TABLE: [(&str, Carries); 142] = [
    ("account-info", Nothing),
    ("analytics", Nothing),
    ("app-webhooks", TO_A_URL),
    ("appinstalls", Nothing),
    ("automation.action-types", Nothing),
    ("automation.actions", TO_A_URL),
    ("automation.actions.callbacks", Nothing),
    ("automation.email-templates", Nothing),
    ("automation.flows", FLOW),
    ("automation.flows.batch.read", Nothing),
    ("automation.sequences", Nothing),
    ("automation.sequences.enrollments", ADDRESS),
    ("automation.workflow-id-mappings", Nothing),
    ("automation.workflows", FLOW),
    ("automation.workflows.enrol", ADDRESS),
    ("automation.workflows.unenrol", ADDRESS),
    ("blogs", Nothing),
    ("broadcast", Nothing),
    ("business-units", Nothing),
    ("calling.dispositions", Nothing),
    ("cms", Nothing),
    ("cms.source-code", CODE),
    ("collector.graphql.query", Body(Kind::Graphql)),
    ("comments", Nothing),
    (
        "commerce.contracts",
        RecordsOf("contracts", "carries whole contracts"),
    ),
    ("commerce.payment-accounts", Nothing),
    ("commerce.payment-links", Nothing),
    ("commerce.price-books", Nothing),
    ("communication-preferences", ADDRESS),
    ("communication-preferences.definitions", Nothing),
    ("content", Nothing),
    ("conversations", TALK),
    ("conversations.channel-accounts", Nothing),
    ("conversations.channels", Nothing),
    ("conversations.custom-channels", Nothing),
    ("conversations.custom-channels.messages", TALK),
    ("conversations.inboxes", Nothing),
    ("conversations.threads", Nothing),
    ("conversations.threads.get", Nothing),
    ("conversations.threads.messages", TALK),
    ("crm-associations", Nothing),
    ("crm.associations", Nothing),
    ("crm.exports.export", FILE),
    ("crm.exports.export.async", Body(Kind::Export)),
    ("crm.exports.export.async.tasks", FILE),
    ("crm.extensions.calling", Nothing),
    (
        "crm.extensions.calling.inbound-call",
        RecordsOf("contacts", "finds out who has a telephone number"),
    ),
    ("crm.extensions.calling.recordings", CALL),
    ("crm.extensions.calling.transcripts", CALL),
    ("crm.extensions.cards-dev", TO_A_URL),
    ("crm.extensions.videoconferencing", Nothing),
    ("crm.imports.cancel", Nothing),
    ("crm.imports.create", Body(Kind::Import)),
    (
        "crm.imports.errors",
        Records("quotes lines of files and values of records"),
    ),
    ("crm.imports.get", SetUp),
    ("crm.imports.list", SetUp),
    ("crm.limits", Nothing),
    ("crm.lists", Nothing),
    ("crm.lists.all", SetUp),
    ("crm.lists.create", Body(Kind::ListCreate)),
    ("crm.lists.get", SetUp),
    ("crm.lists.get-by-name", SetUp),
    ("crm.lists.list", SetUp),
    ("crm.lists.search", SetUp),
    ("crm.lists.update-list-filters", Body(Kind::ListFilters)),
    ("crm.lists.update-list-name", SetUp),
    ("crm.object-library", Nothing),
    (
        "crm.object-tags",
        Programs("marks records by rules on any property"),
    ),
    ("crm.owners", Nothing),
    ("crm.pipelines-rules", Nothing),
    ("crm.schemas.associations.create", Nothing),
    ("crm.schemas.batch.read", Body(Kind::Schemas)),
    ("crm.schemas.create", Body(Kind::SchemaCreate)),
    ("crm.schemas.list", Body(Kind::Schemas)),
    ("crm.task-series", RecordsOf("tasks", "carries whole tasks")),
    ("data-studio", Values("moves whole tables of data")),
    ("deal-splits", SPLIT),
    ("email.campaigns", Nothing),
    ("email.events", OPENED),
    ("email.single-email", Body(Kind::SingleSend)),
    ("email.smtpapi", Nothing),
    ("email.subscriptions", ADDRESS),
    ("email.subscriptions.list", Nothing),
    ("engagements", Body(Kind::Engagement)),
    ("events", Nothing),
    ("events.custom.send", Body(Kind::EventSend)),
    ("events.event-occurrences.list", Body(Kind::EventsByProperty)),
    ("events.list", Body(Kind::EventsByProperty)),
    ("events.send", Body(Kind::EventSend)),
    (
        "extensions.ecomm",
        Values("carries records of a shop by mappings of its own"),
    ),
    ("feature-flags", Nothing),
    ("filemanager", Nothing),
    ("files", Nothing),
    ("forecast-settings", Nothing),
    ("forecast-submissions", SPLIT),
    (
        "form-integrations",
        Values("hands out what people wrote into forms"),
    ),
    ("forms", Nothing),
    ("hubdb", Nothing),
    ("integrations.limit", Nothing),
    ("integrations.me", Nothing),
    ("integrations.timeline.event", Body(Kind::Timeline)),
    ("integrations.timeline.event-types", TEMPLATE),
    ("integrators.timeline.event-templates", TEMPLATE),
    ("integrators.timeline.events", Body(Kind::Timeline)),
    ("integrators.timeline.types", Nothing),
    ("keywords", Nothing),
    ("marketing", Nothing),
    (
        "marketing.campaigns.reports.revenue",
        RecordsOf("deals", "adds up amounts of deals"),
    ),
    ("marketing.email-campaigns.single-send", Body(Kind::SingleSend)),
    ("marketing.email.single-send", Body(Kind::SingleSend)),
    ("marketing.lead-scoring", SCORE),
    (
        "marketing.lead-scoring.score-values",
        Values("hands out scores of records"),
    ),
    ("marketing.marketing-events", EVENT),
    ("marketing.marketing-events.associations", Nothing),
    ("marketing.marketing-events.attendance", PEOPLE),
    ("marketing.marketing-events.events.email-upsert", PEOPLE),
    ("marketing.marketing-events.events.upsert", PEOPLE),
    ("marketing.marketing-events.participations", PEOPLE),
    ("marketing.marketing-events.settings", Nothing),
    ("marketing.transactional.single-email", Body(Kind::SingleSend)),
    ("marketing-emails", Nothing),
    ("media-bridge", MEDIA),
    ("media-bridge.events", Nothing),
    (
        "media-bridge.schemas",
        Records("carries definitions of an app's own properties"),
    ),
    ("media-bridge.schemas.associations.create", Nothing),
    ("meta", Nothing),
    ("notetaker", Values("hands out what was said in conversations")),
    ("oauth", Nothing),
    ("owners", Nothing),
    (
        "payments-subscriptions",
        RecordsOf("subscriptions", "changes subscriptions"),
    ),
    ("reports.events", Nothing),
    ("scheduler.meetings", Nothing),
    ("scheduler.meetings.calendar", Body(Kind::Calendar)),
    ("scheduler.meetings.meeting-links.book", Body(Kind::Book)),
    ("scheduler.meetings.meeting-links.book.availability-page", Nothing),
    ("scheduler.meetings.meeting-links.book.get", Nothing),
    ("settings", Nothing),
    ("tax-rates", Nothing),
    ("url-mappings", Nothing),
    ("visitor-identification", ADDRESSED),
    ("webhooks", TO_A_URL),
    ("webhooks-journal", JOURNAL),
];

/// What an operation carries; `None` if nobody has reviewed it.
pub(super) fn of(id: &str) -> Option<Carries> {
    let fits = |entry: &str| {
        id.strip_prefix(entry)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    TABLE
        .iter()
        .filter(|(entry, _)| fits(entry))
        .max_by_key(|(entry, _)| entry.len())
        .map(|(_, carries)| *carries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::catalogue::{Catalogue, Takes};

    #[test]
    fn every_operation_without_a_type_is_listed_and_every_entry_is_of_use() {
        let catalogue = Catalogue::embedded().unwrap();
        let names_no_type = |operation: &crate::access::catalogue::Operation| {
            let mut rows = operation.rows.iter().filter_map(|index| catalogue.row(*index));
            operation.takes == Takes::Nothing || rows.any(|row| row.reader().is_some() || row.is_unjudged())
        };
        let without: Vec<&str> = catalogue
            .operations()
            .filter(|(_, operation)| names_no_type(operation))
            .map(|(_, operation)| &*operation.id)
            .collect();
        let missing: Vec<_> = without.iter().filter(|id| of(id).is_none()).collect();
        assert!(missing.is_empty(), "{missing:#?}");
        for (at, (entry, _)) in TABLE.iter().enumerate() {
            let fits = |id: &&&str| {
                id.strip_prefix(entry)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            assert!(without.iter().any(|id| fits(&id)), "{entry} is of no use");
            let twice = TABLE.iter().skip(at + 1).any(|(other, _)| other == entry);
            assert!(!twice, "{entry} stands twice");
        }
    }

    #[test]
    fn types_in_the_list_are_types_of_the_catalogue() {
        let catalogue = Catalogue::embedded().unwrap();
        for (entry, carries) in TABLE {
            if let Reads(object, _) | Sets(object, _) | RecordsOf(object, _) = carries {
                let known = catalogue.object_type(object).unwrap();
                assert_eq!(catalogue.object_name(&known), object, "{entry}");
            }
        }
    }

    #[test]
    fn the_longest_entry_counts() {
        for (id, expected) in [
            ("crm.exports.export.async", Body(Kind::Export)),
            ("crm.exports.export.async.tasks.status", FILE),
            ("crm.lists.memberships.list", Nothing),
            ("events.send.batch", Body(Kind::EventSend)),
            ("webhooks-journal.journal.latest", JOURNAL),
        ] {
            assert_eq!(of(id), Some(expected), "{id}");
        }
        for id in ["crm.objects.list", "crm.listsome.get", "filesystem.get", ""] {
            assert_eq!(of(id), None, "{id}");
        }
    }
}
