//! `POST /collector/graphql`: a small GraphQL over the CRM's records, with the words HubSpot uses.
//!
//! Its parser is its own, so that the gate's reading of a query meets a second opinion. Not here: other
//! roots than `CRM`, mutations (HubSpot has none), directives, introspection.

mod parse;
mod run;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::Cx;
use super::problem::{Handled, Problem};
use super::scopes::Need;

const QUERY: Need = &[&["collector.graphql_query.execute"]];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
}

/// Everything under `/collector/graphql`.
pub(super) fn route(cx: Cx<'_>) -> Handled<Answer> {
    if cx.call.method != Method::POST {
        return Err(Problem::method_not_allowed());
    }
    cx.who.scopes().require(QUERY)?;
    let asked: Asked = cx.call.json()?;
    let variables = asked.variables.unwrap_or_default();
    let document = match parse::document(&asked.query, asked.operation_name.as_deref(), &variables) {
        Ok(document) => document,
        Err(message) => return Ok(mistake(&message)),
    };
    match run::run(cx, &document)? {
        Ok(data) => Ok(Answer::ok(&json!({
            "data": data,
            "extensions": { "query_complexity": { "max_points_per_request": 30_000 } },
        }))),
        Err(message) => Ok(mistake(&message)),
    }
}

/// GraphQL's errors come with status 200.
fn mistake(message: &str) -> Answer {
    Answer::ok(&json!({ "errors": [{ "message": message, "locations": [] }] }))
}
