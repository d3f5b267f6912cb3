//! Operations whose body says what they carry.

use smallvec::SmallVec;

use super::super::body::{each, members, object, text};
use super::super::definitions;
use super::super::legacy::pair;
use super::super::names::must_read;
use super::super::query::must_take;
use super::super::words::{self, UNKNOWN_MEMBER, Way, refused};
use super::super::write;
use super::super::{Case, ShapeOf, Stopped, answer, imports, lists, whose::Whose};
use super::set_up;
use crate::access::catalogue::UNKNOWN_OBJECT;
use crate::access::effect::Effect;
use crate::access::fields::plan::AnswerRule;
use crate::access::fields::shape::Views;
use crate::access::fields::shapes::GRAPHQL;
use crate::access::graphql;
use crate::access::json::Json;
use crate::access::object_type::ObjectType;
use crate::access::pointer::At;
use crate::access::refusal::Place;

/// Which body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// A list is made.
    ListCreate,
    /// A list's filters are replaced.
    ListFilters,
    /// Files become records.
    Import,
    /// Records become files.
    Export,
    /// Engagements v1: one activity, or pages of them.
    Engagement,
    /// An event on a record's timeline.
    Timeline,
    /// A GraphQL query.
    Graphql,
    /// A meeting is put into a calendar.
    Calendar,
    /// A meeting is booked by a visitor.
    Book,
    /// A custom object's schema is made.
    SchemaCreate,
    /// Schemas are read.
    Schemas,
    /// One e-mail is sent, with properties of its recipient.
    SingleSend,
    /// A custom event of somebody.
    EventSend,
    /// Events of records that a property looks up.
    EventsByProperty,
}

/// What engagements v1 are records of.
const ACTIVITIES: [&str; 7] = [
    "calls",
    "communications",
    "emails",
    "meetings",
    "notes",
    "postal_mail",
    "tasks",
];

const EXPORTED: &str = "hands out a file of records, which no rule filters";
const ACTIVITY: &str = "carries whole activities";
const COPIED: &str = "writes properties of the recipient into an e-mail that others get a copy of";
const STAMPED: &str = "may set properties of its record that only the event's template names";

impl Kind {
    /// Whether the body must be read.
    pub(in super::super) fn reads_body(self) -> bool {
        matches!(
            self,
            Kind::ListCreate
                | Kind::ListFilters
                | Kind::Import
                | Kind::Graphql
                | Kind::Calendar
                | Kind::Book
                | Kind::SchemaCreate
                | Kind::SingleSend
                | Kind::EventSend
        )
    }

    /// The one type whose properties the body may name.
    pub(in super::super) fn only_of(self) -> Option<&'static str> {
        match self {
            Kind::Book | Kind::SingleSend | Kind::EventSend => Some("contacts"),
            Kind::Calendar => Some("meetings"),
            _ => None,
        }
    }
}

pub(super) fn judge(case: &mut Case<'_>, kind: Kind, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    let named = |name: &str| Whose::named(case.catalogue, case.bounds, name);
    match kind {
        Kind::ListCreate => lists::create(case)?,
        Kind::ListFilters => lists::update(case)?,
        Kind::Import => imports::judge(case)?,
        Kind::SingleSend => return single_send(case, &named("contacts")).map(|()| AnswerRule::Pass),
        Kind::EventSend => return event_send(case, &named("contacts")).map(|()| AnswerRule::Pass),
        Kind::EventsByProperty => return events_by_property(case).map(|()| AnswerRule::Pass),
        Kind::Export => return export(case),
        Kind::Engagement => return engagement(case, shape_of),
        Kind::Timeline => return timeline(case, shape_of),
        Kind::Graphql => return graphql(case),
        Kind::Calendar => {
            let meetings = named("meetings");
            calendar(case, &meetings)?;
            return of_types(case, [meetings], shape_of);
        }
        Kind::Book => {
            let contacts = named("contacts");
            book(case, &contacts)?;
            return of_types(case, [contacts], shape_of);
        }
        Kind::SchemaCreate => {
            let any = Whose::any(case.bounds);
            if !(any.view.reads_all() && any.view.writes_all()) {
                definitions::schema(case, &any, case.body()?, &At::BODY)?;
            }
            return answer::of_any_type(case, shape_of);
        }
        Kind::Schemas => return answer::of_any_type(case, shape_of),
    }
    set_up(case, shape_of)
}

/// The types a body was found to touch, each once.
fn touched(case: &Case<'_>) -> SmallVec<[ObjectType; 4]> {
    let touches = case.facts.needs.iter().flat_map(|need| &need.touches);
    let mut types: SmallVec<[ObjectType; 4]> = SmallVec::new();
    for object in touches
        .filter_map(|touch| touch.object.as_ref())
        .chain(&case.facts.concerns)
    {
        if !types.contains(object) {
            types.push(object.clone());
        }
    }
    types
}

/// Everything that is touched, or whatever type if nobody knows what is.
fn all_touched(case: &Case<'_>) -> Vec<Whose> {
    let types = touched(case);
    match types.is_empty() {
        true => vec![Whose::any(case.bounds)],
        false => types
            .iter()
            .map(|object| Whose::of(case.catalogue, case.bounds, object))
            .collect(),
    }
}

fn of_types<const N: usize>(
    case: &Case<'_>,
    types: [Whose; N],
    shape_of: ShapeOf<'_>,
) -> Result<AnswerRule, Stopped> {
    answer::rule(
        case,
        types.iter().filter_map(|whose| whose.object.as_ref()),
        shape_of,
    )
}

fn export(case: &Case<'_>) -> Result<AnswerRule, Stopped> {
    match all_touched(case).iter().find(|whose| !whose.view.reads_all()) {
        None => Ok(AnswerRule::Pass),
        Some(whose) => Err(words::everything(whose, Way::Read, EXPORTED, Place::BODY)),
    }
}

/// Members of `engagement` and `metadata` are properties of the activity by other names.
fn engagement(case: &Case<'_>, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    let known = ACTIVITIES.map(|name| Whose::named(case.catalogue, case.bounds, name));
    let types = touched(case);
    let is_touched = |whose: &&Whose| whose.object.as_ref().is_some_and(|object| types.contains(object));
    let mut activities: Vec<&Whose> = known.iter().filter(is_touched).collect();
    if activities.is_empty() {
        activities = known.iter().collect();
    }
    if case.row.effect == Effect::Delete {
        return Ok(AnswerRule::Pass);
    }
    for whose in &activities {
        if case.writes() && !whose.view.writes_all() {
            return Err(words::everything(whose, Way::Write, ACTIVITY, Place::PATH));
        }
    }
    let objects = activities.iter().filter_map(|whose| whose.object.as_ref());
    let hidden = activities.iter().find(|whose| !whose.view.reads_all());
    match (answer::rule(case, objects, shape_of), hidden) {
        (Err(Stopped::Refused(refusal)), Some(whose)) if refusal == words::UNKNOWN_ANSWER => {
            Err(words::everything(whose, Way::Read, ACTIVITY, Place::PATH))
        }
        (rule, _) => rule,
    }
}

/// A template may stamp properties that the request does not show.
fn timeline(case: &Case<'_>, shape_of: ShapeOf<'_>) -> Result<AnswerRule, Stopped> {
    let types = all_touched(case);
    if case.writes()
        && let Some(whose) = types.iter().find(|whose| !whose.view.writes_all())
    {
        return Err(words::everything(whose, Way::Write, STAMPED, Place::PATH));
    }
    match types.iter().all(|whose| whose.view.reads_all()) {
        true => Ok(AnswerRule::Pass),
        false => answer::rule(
            case,
            types.iter().filter_map(|whose| whose.object.as_ref()),
            shape_of,
        ),
    }
}

/// Every field that is shown, filtered or sorted by was resolved to a property, through aliases and
/// fragments: each must be readable. There is nothing to strip: a document is forwarded as it came.
fn graphql(case: &Case<'_>) -> Result<AnswerRule, Stopped> {
    let resolved = graphql::resolve(case.catalogue, case.body()?).map_err(Stopped::Refused)?;
    let mut bounded = false;
    for asked in &resolved.types {
        let whose = Whose::of(case.catalogue, case.bounds, &asked.object);
        bounded |= !whose.view.reads_all();
        let names = asked.filtered.iter().chain(&asked.selected);
        let hidden: Vec<&str> = names
            .map(String::as_str)
            .filter(|name| !whose.reads(name))
            .collect();
        if !hidden.is_empty() {
            let place = At::BODY.key("query").place();
            return Err(words::hidden(case.bounds, &whose, Way::Read, &hidden, place));
        }
    }
    let views = Views {
        bounds: case.bounds.clone(),
        ..Views::default()
    };
    Ok(match bounded {
        true => AnswerRule::Filter(Box::new((&GRAPHQL, views))),
        false => AnswerRule::Pass,
    })
}

fn calendar(case: &Case<'_>, meetings: &Whose) -> Result<(), Stopped> {
    if !case.bounds_it(meetings) {
        return Ok(());
    }
    let body = case.body()?;
    members(
        body,
        &At::BODY,
        &["associations", "emailReminderSchedule", "properties", "timezone"],
    )?;
    match body.get("properties") {
        None | Some(Json::Null) => Ok(()),
        Some(properties) => write::map(case, meetings, properties, &At::BODY.key("properties")),
    }
}

/// A booking makes a contact, or changes the one that has the address.
fn book(case: &Case<'_>, contacts: &Whose) -> Result<(), Stopped> {
    const KNOWN: [&str; 13] = [
        "duration",
        "email",
        "firstName",
        "formFields",
        "guestEmails",
        "lastName",
        "legalConsentResponses",
        "likelyAvailableUserIds",
        "locale",
        "slug",
        "startTime",
        "timezone",
        "recaptchaToken",
    ];
    if !case.writes() || !case.bounds_it(contacts) {
        return Ok(());
    }
    let body = case.body()?;
    members(body, &At::BODY, &KNOWN)?;
    for (member, property) in [
        ("email", "email"),
        ("firstName", "firstname"),
        ("lastName", "lastname"),
    ] {
        if let Some(value) = body.get(member).filter(|value| !value.is_empty()) {
            write::set(case, contacts, property, value, &At::BODY.key(member))?;
        }
    }
    each(body, "formFields", &At::BODY, |field, at| {
        pair(case, contacts, field, at)
    })
}

/// `contactProperties` are set on the recipient: a map, or a list of names and values. A copy shows
/// somebody else what the e-mail says of its recipient.
fn single_send(case: &Case<'_>, contacts: &Whose) -> Result<(), Stopped> {
    const MEMBER: &str = "contactProperties";
    if contacts.view.reads_all() && contacts.view.writes_all() {
        return Ok(());
    }
    let body = case.body()?;
    for (member, value) in body
        .get("message")
        .map_or(Ok(&[][..]), |message| object(message, &At::BODY.key("message")))?
    {
        let copies = ["cc", "bcc"].iter().any(|name| member.eq_ignore_ascii_case(name));
        if copies && !value.is_empty() && !contacts.view.reads_all() {
            let message = At::BODY.key("message");
            return Err(words::everything(
                contacts,
                Way::Read,
                COPIED,
                message.key(member).place(),
            ));
        }
    }
    for (member, value) in object(body, &At::BODY)? {
        if !member.eq_ignore_ascii_case(MEMBER) {
            continue;
        }
        let at = At::BODY.key(member);
        match value {
            _ if member != MEMBER => return Err(refused(UNKNOWN_MEMBER, at.place())),
            Json::Null => {}
            Json::Object(_) => write::map(case, contacts, value, &at)?,
            _ => each(body, MEMBER, &At::BODY, |item, at| pair(case, contacts, item, at))?,
        }
    }
    Ok(())
}

/// Whoever has the address or cookie, or a new contact with it.
fn event_send(case: &Case<'_>, contacts: &Whose) -> Result<(), Stopped> {
    if contacts.view.reads_all() && contacts.view.writes_all() {
        return Ok(());
    }
    let of_somebody = |event: &Json, at: &At<'_>| -> Result<(), Stopped> {
        object(event, at)?;
        if let Some(email) = text(event, "email", at)? {
            let place = || at.key("email").place();
            must_read(case, contacts, "email", place())?;
            must_take(case, contacts, "email", email, place())?;
        }
        match text(event, "utk", at)? {
            Some(_) => must_read(case, contacts, "hubspotutk", at.key("utk").place()),
            None => Ok(()),
        }
    };
    let body = case.body()?;
    of_somebody(body, &At::BODY)?;
    each(body, "inputs", &At::BODY, of_somebody)
}

/// What events of a contact tell of it: what was visited from where, and to which address something went.
const IN_EVENTS: [&str; 4] = ["email", "ip_city", "ip_country", "ip_state"];

/// `objectProperty.NAME=value` finds the record whose events are asked for.
fn events_by_property(case: &Case<'_>) -> Result<(), Stopped> {
    const PREFIX: &str = "objectproperty";
    let query = case.request.target.query();
    let contacts = Whose::named(case.catalogue, case.bounds, "contacts");
    let asked = query
        .get("objectType")
        .and_then(|spelling| case.catalogue.object_type(spelling));
    if asked.is_none() || asked == contacts.object {
        let hidden: Vec<&str> = IN_EVENTS
            .into_iter()
            .filter(|name| !contacts.reads(name))
            .collect();
        if !hidden.is_empty() {
            return Err(words::hidden(
                case.bounds,
                &contacts,
                Way::Read,
                &hidden,
                Place::PATH,
            ));
        }
    }
    for (parameter, _) in query.iter() {
        let lower = parameter.to_lowercase();
        if !lower.starts_with(PREFIX) {
            continue;
        }
        let place = || Place::parameter("objectProperty");
        let Some(name) = parameter.strip_prefix("objectProperty.") else {
            return Err(refused(words::UNKNOWN_PARAMETER, place()));
        };
        let whose = match query.get("objectType") {
            None => Whose::any(case.bounds),
            Some(spelling) => {
                let object = case
                    .catalogue
                    .object_type(spelling)
                    .ok_or_else(|| refused(UNKNOWN_OBJECT, Place::parameter("objectType")))?;
                Whose::of(case.catalogue, case.bounds, &object)
            }
        };
        must_read(case, &whose, name, place())?;
    }
    Ok(())
}
