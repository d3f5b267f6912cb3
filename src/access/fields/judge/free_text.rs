//! Free text (`query`, contacts v1 `q`): HubSpot looks for it in properties the request does not
//! name, so a hidden one among them could be guessed letter by letter.

use super::whose::Whose;
use super::words::{self, Way};
use super::{Case, Stopped, known};
use crate::access::refusal::Place;

pub(super) fn judge(case: &Case<'_>, whose: &Whose, text: &str, place: Place) -> Result<(), Stopped> {
    if whose.view.reads_all() || text.trim().is_empty() {
        return Ok(());
    }
    let Some(searched) = known::searchable(&whose.name) else {
        return Err(words::everything(whose, Way::Read, WHY, place));
    };
    let hidden: Vec<&str> = searched.filter(|name| !whose.reads(name)).collect();
    match hidden.is_empty() {
        true => Ok(()),
        false => Err(words::hidden(case.bounds, whose, Way::Read, &hidden, place)),
    }
}

const WHY: &str = "searches free text, and nobody says which properties of the type HubSpot looks at";
