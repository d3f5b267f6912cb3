//! Which operations a scope's name speaks of, where a request names no object type.
//!
//! HubSpot lets the contact scopes announce calls and read meeting recaps of any record. A
//! reviewer who reads `crm.objects.contacts.read` has not read that, so no scope opens such a row
//! here: a rule names the operation. `crm.objects.marketing_events.write` on marketing events is
//! what its name says.

use crate::access::catalogue::{Catalogue, Takes};
use crate::access::facts::{OperationIndex, Requirement};

/// Operations without an object type whose scopes are all named after types they do not mention, and
/// those whose body may name several types at once.
pub fn beside_their_scopes(catalogue: &Catalogue) -> Vec<OperationIndex> {
    catalogue
        .operations()
        .filter(|(_, operation)| operation.takes == Takes::Nothing || operation.by_name_alone)
        .map(|(index, _)| index)
        .filter(|index| is_beside_its_scopes(catalogue, *index))
        .collect()
}

/// Whether no scope of the operation speaks of it.
pub fn is_beside_its_scopes(catalogue: &Catalogue, index: OperationIndex) -> bool {
    let Some(operation) = catalogue.operation(index) else {
        return false;
    };
    if operation.by_name_alone {
        return true;
    }
    let mut touches = catalogue.touches(index, None).into_iter();
    touches
        .any(|touch| !touch.requirement.is_empty() && !mentions(catalogue, &operation.id, &touch.requirement))
}

fn mentions(catalogue: &Catalogue, id: &str, requirement: &Requirement) -> bool {
    requirement.iter().flatten().any(|scope| {
        let named_after = catalogue.scope(*scope).and_then(|s| s.named_after.as_ref());
        match named_after {
            None => true,
            Some(object) => id.contains(&catalogue.object_name(object).replace('_', "-")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_their_scopes_do_not_speak_of_are_left_to_be_named() {
        let catalogue = Catalogue::embedded().unwrap();
        let ids: Vec<&str> = beside_their_scopes(&catalogue)
            .into_iter()
            .filter_map(|index| catalogue.operation(index))
            .filter(|operation| !operation.by_name_alone)
            .map(|operation| &*operation.id)
            .collect();
        assert_eq!(
            ids,
            [
                "crm.extensions.calling.inbound-call",
                "crm.extensions.calling.recordings.ready",
                "notetaker.conversation.recap.get"
            ]
        );
    }

    #[test]
    fn what_answers_for_several_types_at_once_is_left_to_be_named() {
        let catalogue = Catalogue::embedded().unwrap();
        let ids: Vec<&str> = beside_their_scopes(&catalogue)
            .into_iter()
            .filter_map(|index| catalogue.operation(index))
            .filter(|operation| operation.by_name_alone)
            .map(|operation| &*operation.id)
            .collect();
        assert_eq!(
            ids,
            [
                "collector.graphql.query",
                "crm.exports.export.async",
                "crm.imports.create",
                "engagements.archive",
                "engagements.associated.list",
                "engagements.create",
                "engagements.get",
                "engagements.list",
                "engagements.recent.modified",
                "engagements.update",
                "integrations.timeline.event.batch.create",
                "integrations.timeline.event.create",
                "integrations.timeline.event.get",
                "integrators.timeline.events.batch.create",
                "integrators.timeline.events.create",
                "integrators.timeline.events.detail",
                "integrators.timeline.events.get",
                "integrators.timeline.events.render",
                "media-bridge.schemas.associations.create",
                "scheduler.meetings.calendar",
                "scheduler.meetings.meeting-links.book",
            ]
        );
    }
}
