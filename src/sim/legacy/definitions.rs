//! Definitions in older shapes: properties v1 and v2, owners v2, pipelines v1.

use serde_json::{Value, json};

use crate::sim::access::{self, Access};
use crate::sim::answer::Answer;
use crate::sim::call::Cx;
use crate::sim::definitions::{group_names, in_use};
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::{PortalData, User, UserState};
use crate::sim::problem::{Handled, Problem};
use crate::sim::property::Property;
use crate::sim::scopes::Need;

const OWNERS: Need = &[&["crm.objects.owners.read"], &["automation"]];

/// `GET /properties/v1|v2/{type}/properties[/named/{name}]` and `…/groups`.
pub(super) fn properties(cx: Cx<'_>, word: &str, rest: &[&str]) -> Handled<Answer> {
    let kind = access::open(cx, word, Access::SchemaRead)?;
    let data = cx.who.portal.read();
    match rest {
        ["properties"] => Ok(Answer::ok(
            &in_use(&data, kind).map(described).collect::<Vec<_>>(),
        )),
        ["properties", "named", name] => data
            .property(kind, name)
            .map(|p| Answer::ok(&described(p)))
            .ok_or_else(Problem::not_found),
        ["groups"] => Ok(Answer::ok(
            &group_names(&data, kind)
                .iter()
                .map(|name| group(cx, &data, kind, name))
                .collect::<Vec<_>>(),
        )),
        ["groups", "named", name] => match group_names(&data, kind).iter().any(|known| known == name) {
            true => Ok(Answer::ok(&group(cx, &data, kind, name))),
            false => Err(Problem::not_found()),
        },
        _ => Err(Problem::not_found()),
    }
}

/// A group, with its properties if the query asks for them.
fn group(cx: Cx<'_>, data: &PortalData, kind: ObjectKind, name: &str) -> Value {
    let mut group = json!({ "name": name, "displayName": name, "displayOrder": -1, "hubspotDefined": true });
    if let (true, Some(members)) = (cx.call.query.flag("includeProperties"), group.as_object_mut()) {
        let own = in_use(data, kind).filter(|property| property.group == name);
        members.insert("properties".to_owned(), own.map(described).collect());
    }
    group
}

fn described(property: &Property) -> Value {
    let options: Vec<Value> = property
        .options
        .iter()
        .map(|(value, label)| json!({ "value": value, "label": label, "hidden": false }))
        .collect();
    json!({
        "name": property.name,
        "label": property.label,
        "description": property.description,
        "groupName": property.group,
        "type": property.value_type,
        "fieldType": property.field_type,
        "hubspotDefined": property.hubspot_defined,
        "readOnlyValue": property.read_only,
        "deleted": false,
        "hidden": false,
        "formField": !property.read_only,
        "options": options,
    })
}

/// `GET /owners/v2/owners[/{id}]`.
pub(super) fn owners(cx: Cx<'_>, rest: &[&str]) -> Handled<Answer> {
    cx.who.scopes().require(OWNERS)?;
    let inactive = cx.call.query.flag("includeInactive");
    let data = cx.who.portal.read();
    let listed = |user: &&User| match user.state {
        UserState::Active => true,
        UserState::Deactivated => inactive,
        UserState::Removed => false,
    };
    let owner = |user: &User| {
        json!({
            "portalId": cx.who.portal.hub_id(),
            "ownerId": user.owner_id,
            "type": "PERSON",
            "firstName": user.first_name,
            "lastName": user.last_name,
            "email": user.email,
            "createdAt": user.created_ms,
            "updatedAt": user.created_ms,
            "remoteList": [],
            "hasContactsAccess": true,
            "activeUserId": user.id,
            "isActive": user.state == UserState::Active,
        })
    };
    let mut users = data.users.iter().filter(listed);
    match rest {
        [] => Ok(Answer::ok(&users.map(owner).collect::<Vec<_>>())),
        [id] => {
            let found = users.find(|user| user.owner_id.to_string() == *id);
            found
                .map(|user| Answer::ok(&owner(user)))
                .ok_or_else(Problem::not_found)
        }
        _ => Err(Problem::not_found()),
    }
}

/// `GET /crm-pipelines/v1/pipelines/{type}` and `GET /deals/v1/pipelines`.
pub(super) fn pipelines(cx: Cx<'_>, word: &str) -> Handled<Answer> {
    let kind = access::open(cx, word, Access::SchemaRead)?;
    let data = cx.who.portal.read();
    let all: Vec<Value> = data
        .pipelines
        .get(&kind)
        .into_iter()
        .flatten()
        .map(|pipeline| {
            let stages: Vec<Value> = pipeline
                .stages
                .iter()
                .enumerate()
                .map(|(order, stage)| json!({ "stageId": stage.id, "label": stage.label, "displayOrder": order, "active": true }))
                .collect();
            json!({ "pipelineId": pipeline.id, "label": pipeline.label, "active": true, "displayOrder": 0, "stages": stages })
        })
        .collect();
    if cx.call.words.first().is_some_and(|word| word == "deals") {
        return Ok(Answer::ok(&all));
    }
    Ok(Answer::ok(&json!({ "results": all })))
}
