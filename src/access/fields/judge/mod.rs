//! The request under property rules: every property it names, in whatever carrier, is judged; reads
//! are narrowed, oracles closed, writes and their values held to the lists.
//!
//! One file per carrier. What a request is, and so where it names properties, is decided in
//! `form` for operations on records and definitions of a type, and in `outside` for all others.
//! Deliberately absent: guesses. What is not listed there is refused under a rule.

mod answer;
mod body;
mod definitions;
mod form;
mod free_text;
mod imports;
pub mod known;
mod legacy;
mod lists;
mod names;
mod outside;
mod query;
mod read;
mod search;
mod whose;
mod words;
mod write;

#[cfg(test)]
mod tests;

use super::grant::Bounds;
use super::plan::{Plan, PropertyDenial};
use super::shapes::{self, AnswerShape};
use crate::access::catalogue::{BodyNeed, Catalogue, Recognised, Row};
use crate::access::effect::Effect;
use crate::access::facts::Facts;
use crate::access::json::Json;
use crate::access::query::Query;
use crate::access::refusal::{Place, Refusal};
use crate::access::target::{Method, Target};
use form::Form;
use whose::Whose;

/// A request as read: what [`judge`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its row and the types its path names.
    pub recognised: &'a Recognised,
    /// Method, path, query.
    pub target: &'a Target,
    /// Its body, if it was judged.
    pub body: Option<&'a Json>,
}

/// Why a request does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The rules deny it.
    Denied(PropertyDenial),
    /// It was not understood, under a rule.
    Refused(Refusal),
}

/// One request, and what it becomes.
struct Case<'a> {
    catalogue: &'a Catalogue,
    facts: &'a Facts,
    request: Request<'a>,
    row: &'a Row,
    bounds: &'a Bounds,
    /// The query in place of the client's.
    query: Option<Query>,
    /// The body in place of the client's.
    body: Option<Json>,
}

impl<'a> Case<'a> {
    /// The parsed body, which the form of the request needs.
    fn body(&self) -> Result<&'a Json, Stopped> {
        self.request
            .body
            .ok_or_else(|| words::refused(words::NO_BODY, Place::BODY))
    }

    /// The query as it goes up, to be changed.
    fn query_mut(&mut self) -> &mut Query {
        self.query
            .get_or_insert_with(|| self.request.target.query().clone())
    }

    /// The value of a parameter of the row's template, by its name with braces.
    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.row.segment_at(self.request.target, name)
    }

    fn writes(&self) -> bool {
        self.row.effect == Effect::Write
    }

    /// Whether the rules say anything about this operation on the properties of `whose`: answers
    /// echo what was written, so a write is a read, too.
    fn bounds_it(&self, whose: &Whose) -> bool {
        !whose.view.reads_all() || (form::changes_properties(self.row) && !whose.view.writes_all())
    }
}

/// Whether the rules must see the body of such a request.
pub fn body_need(catalogue: &Catalogue, recognised: &Recognised, bounds: &Bounds) -> BodyNeed {
    let Some(row) = catalogue.row(recognised.row) else {
        return BodyNeed::None;
    };
    if bounds.are_none() {
        return BodyNeed::None;
    }
    if matches!(row.method, Method::Get | Method::Delete) {
        return BodyNeed::None;
    }
    if recognised.types.is_empty() {
        return outside::body_need(catalogue, row, bounds);
    }
    let (form, main) = (form::of(row), form::main_type(row));
    let Some(object) = recognised.types.get(main) else {
        return BodyNeed::None;
    };
    let view = bounds.view(object);
    let free = view.reads_all() && (!form::changes_properties(row) || view.writes_all());
    match form.reads_body() && !free {
        true => BodyNeed::Judge,
        false => BodyNeed::None,
    }
}

/// Judges a request that the policy's rules opened.
pub fn judge(
    catalogue: &Catalogue,
    facts: &Facts,
    request: Request<'_>,
    bounds: &Bounds,
) -> Result<Plan, Stopped> {
    judge_with(catalogue, facts, request, bounds, &shapes::of)
}

/// What is known of the answers of a row.
type ShapeOf<'s> = &'s dyn Fn(&str, &Row) -> Option<AnswerShape>;

fn judge_with(
    catalogue: &Catalogue,
    facts: &Facts,
    request: Request<'_>,
    bounds: &Bounds,
    shape_of: ShapeOf<'_>,
) -> Result<Plan, Stopped> {
    if bounds.are_none() {
        return Ok(Plan::free());
    }
    let row = catalogue
        .row(request.recognised.row)
        .ok_or(Stopped::Refused(words::UNKNOWN_FORM))?;
    let mut case = Case {
        catalogue,
        facts,
        request,
        row,
        bounds,
        query: None,
        body: None,
    };
    let answer = match request.recognised.types.is_empty() {
        true => outside::judge(&mut case, shape_of)?,
        false => of_a_type(&mut case, shape_of)?,
    };
    Ok(Plan {
        query: case.query,
        body: case.body,
        answer,
    })
}

/// An operation on records or definitions of the types that its path names.
fn of_a_type(case: &mut Case<'_>, shape_of: ShapeOf<'_>) -> Result<super::plan::AnswerRule, Stopped> {
    let types = &case.request.recognised.types;
    let form = form::of(case.row);
    let main = types
        .get(form::main_type(case.row))
        .ok_or(Stopped::Refused(words::UNKNOWN_FORM))?;
    let whose = Whose::of(case.catalogue, case.bounds, main);
    if case.bounds_it(&whose) {
        apply(case, &whose, form)?;
    }
    answer::rule(case, types.iter(), shape_of)
}

fn apply(case: &mut Case<'_>, whose: &Whose, form: Form) -> Result<(), Stopped> {
    if form.is_of_records() {
        query::judge(case, whose, form)?;
    }
    match form {
        Form::NoProperties | Form::Query => Ok(()),
        Form::Search => search::judge(case, whose),
        Form::BatchRead => read::batch(case, whose),
        Form::Ids => read::ids(case, whose),
        Form::Write => write::one(case, whose),
        Form::WriteMany => write::many(case, whose),
        Form::Legacy(legacy) => legacy::judge(case, whose, legacy),
        Form::Definition(definition) => definitions::judge(case, whose, definition),
        Form::Closed(why) => match whose.view.reads_all() && whose.view.writes_all() {
            true => Ok(()),
            false => Err(words::everything(whose, words::Way::Read, why, Place::PATH)),
        },
        Form::Unknown => Err(Stopped::Refused(words::UNKNOWN_FORM)),
    }
}
