//! Readers: how the object types of a row are found that stand in its body, not in its path.

use super::operation::Takes;
use crate::access::facts::Surface;

/// What finds the object types of a request (column `resolve`, `body:` and the reader's word).
///
/// Rows that say `body` alone have none: each of their requests is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// The `importRequest` of an import: types by operation and by column.
    Import,
    /// An export: its type, and the types associated with it.
    Export,
    /// Definitions of the types in `inputs`.
    Schemas,
    /// An association between two types, one of which the path names.
    SchemaAssociation,
    /// The same in the media bridge, which only its name opens.
    MediaAssociation,
    /// Timeline events: the type by how the record is addressed, else any.
    Timeline,
    /// One timeline event: its template decides, so any type.
    TimelineTemplate,
    /// A new engagement: the type it says, and links to the records it names.
    Engagement,
    /// A change of an engagement, of whichever type it is.
    EngagementUpdate,
    /// Engagements of whichever type.
    AnyEngagement,
    /// Links of `crm-associations/v1`, by the definition's id.
    Association,
    /// The same with the definition in the path.
    AssociationDefinition,
    /// A GraphQL document.
    Graphql,
    /// A meeting on a calendar, and links to the records it names.
    Meeting,
    /// A booking: a contact, a meeting and the link between them.
    Booking,
}

/// Types that an engagement of version 1 may be.
pub(crate) const ENGAGEMENTS: [&str; 5] = ["calls", "emails", "meetings", "notes", "tasks"];

impl Reader {
    const WORDS: [(&'static str, Reader); 15] = [
        ("import", Reader::Import),
        ("export", Reader::Export),
        ("schemas", Reader::Schemas),
        ("schema-association", Reader::SchemaAssociation),
        ("media-association", Reader::MediaAssociation),
        ("timeline", Reader::Timeline),
        ("timeline-template", Reader::TimelineTemplate),
        ("engagement", Reader::Engagement),
        ("engagement-update", Reader::EngagementUpdate),
        ("any-engagement", Reader::AnyEngagement),
        ("association", Reader::Association),
        ("association-definition", Reader::AssociationDefinition),
        ("graphql", Reader::Graphql),
        ("meeting", Reader::Meeting),
        ("booking", Reader::Booking),
    ];

    /// The reader of a table's word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, reader)| *reader)
    }

    /// How many object types a rule that names the operation must list.
    pub(super) fn takes(self) -> Takes {
        match self {
            Reader::EngagementUpdate | Reader::AnyEngagement => Takes::Nothing,
            Reader::SchemaAssociation
            | Reader::MediaAssociation
            | Reader::Association
            | Reader::AssociationDefinition => Takes::Pair,
            _ => Takes::One,
        }
    }

    /// Records, definitions, or no type.
    pub(super) fn surface(self) -> Surface {
        match self {
            Reader::EngagementUpdate | Reader::AnyEngagement => Surface::Fixed,
            Reader::Schemas | Reader::SchemaAssociation | Reader::MediaAssociation => Surface::Definitions,
            _ => Surface::Records,
        }
    }

    /// The only types it finds, by name; none: any.
    pub(super) fn only(self) -> &'static [&'static str] {
        match self {
            Reader::Engagement => &ENGAGEMENTS,
            Reader::Meeting => &["meetings"],
            Reader::Booking => &["contacts", "meetings"],
            _ => &[],
        }
    }

    /// Whether the scopes of the types open it. All others answer for several types at once, or
    /// carry out of HubSpot what no rule sees: a rule must name the operation.
    pub(super) fn opens_by_scope(self) -> bool {
        matches!(
            self,
            Reader::Schemas | Reader::SchemaAssociation | Reader::Association | Reader::AssociationDefinition
        )
    }

    /// Whether the types stand in the body; otherwise method and path say all there is.
    pub(crate) fn reads_body(self) -> bool {
        !matches!(
            self,
            Reader::TimelineTemplate
                | Reader::AnyEngagement
                | Reader::AssociationDefinition
                | Reader::Booking
        )
    }
}
