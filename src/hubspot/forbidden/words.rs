//! What the texts of a 403 say, read narrowly: a word counts by what it is said of. "Suspended" is of
//! a portal or of a workflow, "archived" of a record or of a property.

use super::body::Body;

/// How much of a page is looked at.
const PAGE_BYTES: usize = 16 * 1024;

/// What an edge's page says when it blocks somebody.
const BLOCKS: &[&str] = &[
    "banned your",
    "has banned",
    "you have been blocked",
    "attention required",
    "access denied",
    "used cloudflare to restrict access",
    "error 1006",
    "error 1009",
    "error 1010",
    "error 1012",
    "error 1015",
    "error 1020",
    "just a moment",
    "cf-challenge",
    "challenge-platform",
    "checking your browser",
    "enable javascript and cookies to continue",
];

/// What may stand between a noun and what is said of it.
const FILLERS: &[&str] = &[
    "is",
    "was",
    "are",
    "were",
    "has",
    "have",
    "been",
    "being",
    "be",
    "currently",
    "temporarily",
    "already",
    "now",
    "id",
];

const PORTALS: &[&str] = &["portal", "portals", "hub", "hubs", "hubid", "portalid"];

/// Accounts are of many kinds: these words before it leave HubSpot's own.
const WHOSE_ACCOUNT: &[&str] = &["hubspot", "your", "this", "the", "an", "customer"];

const RECORDS: &[&str] = &[
    "object",
    "objects",
    "record",
    "records",
    "contact",
    "contacts",
    "company",
    "companies",
    "deal",
    "deals",
    "ticket",
    "tickets",
    "engagement",
    "engagements",
];

/// Whether a body that is no JSON is the page of an edge that blocks an address or wants a challenge
/// solved. Any other page is unknown: proxies in between have pages, too.
pub(super) fn is_edge_page(content_type: Option<&str>, body: &[u8]) -> bool {
    let page = body.get(..PAGE_BYTES).unwrap_or(body);
    let page = String::from_utf8_lossy(page).to_lowercase();
    let page = page.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if let Some(rest) = page.strip_prefix("error code: 1") {
        // Cloudflare's short form for programs.
        return rest.bytes().take(3).filter(u8::is_ascii_digit).count() == 3;
    }
    let is_html = page.starts_with("<!doctype html")
        || page.starts_with("<html")
        || (page.starts_with('<') && content_type.is_some_and(|text| text.contains("text/html")));
    is_html && BLOCKS.iter().any(|words| page.contains(words))
}

/// "You do not have permissions to … object type … in portal N".
pub(super) fn is_about_type(body: &Body) -> bool {
    body.texts().any(|text| {
        let denies = [
            "do not have permission",
            "don't have permission",
            "does not have permission",
        ];
        denies.iter().any(|words| text.contains(words))
            && (text.contains("object type") || text.contains("in portal"))
    })
}

/// Whether a text speaks of the person behind the credential.
pub(super) fn is_about_user(body: &Body) -> bool {
    body.texts()
        .any(|text| text.contains("permission") && words(text).any(|word| word == "user"))
}

/// Whether a text speaks of a client that is not on a list, which HubSpot calls banned, too.
pub(super) fn is_about_client(body: &Body) -> bool {
    let lists = ["allow-list", "allowlist", "allow list", "whitelist"];
    lists.iter().any(|list| body.says(list))
        || body.texts().any(|text| words(text).any(|word| word == "client"))
}

/// Whether a text speaks of the portal at all.
pub(super) fn is_about_portal(body: &Body) -> bool {
    body.texts()
        .flat_map(clauses)
        .any(|words| (0..words.len()).any(|at| is_portal(&words, at)))
}

/// "This portal has been suspended", "account 12 is paused", "a suspended portal".
pub(super) fn says_portal_paused(body: &Body) -> bool {
    body.texts()
        .any(|text| is_said_of(text, &["suspended", "paused"], is_portal))
}

/// "The object has been archived", "deleted contacts". Not where permissions are the matter: what may
/// not be seen may be archived as well.
pub(super) fn says_record_archived(body: &Body) -> bool {
    let is_about_rights = body.says("permission") || body.says("scope");
    !is_about_rights
        && body
            .texts()
            .any(|text| is_said_of(text, &["archived", "deleted"], is_record))
}

type IsNoun = fn(&[&str], usize) -> bool;

fn is_portal(words: &[&str], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|at| words.get(at));
    match words.get(at) {
        Some(&("account" | "accounts")) => before.is_none_or(|word| WHOSE_ACCOUNT.contains(word)),
        Some(word) => PORTALS.contains(word),
        None => false,
    }
}

fn is_record(words: &[&str], at: usize) -> bool {
    words.get(at).is_some_and(|word| RECORDS.contains(word))
}

/// Whether one of `said` stands right before such a noun, or after one with nothing in between but
/// fillers and numbers, in one clause.
fn is_said_of(text: &str, said: &[&str], is_noun: IsNoun) -> bool {
    let is_filler = |word: &str| FILLERS.contains(&word) || word.bytes().all(|byte| byte.is_ascii_digit());
    clauses(text).any(|words| {
        let mut places = words.iter().enumerate().filter(|(_, word)| said.contains(word));
        places.any(|(at, _)| {
            let (before, after) = words.split_at(at);
            let subject = before.iter().rposition(|word| !is_filler(word));
            // Alone behind it: in "a suspended account" nothing else says whose.
            let object = after.get(1..2).unwrap_or_default();
            subject.is_some_and(|place| is_noun(before, place)) || is_noun(object, 0)
        })
    })
}

/// The words of each clause.
fn clauses(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.split(['.', ',', ';', ':', '!', '?', '(', ')'])
        .map(|clause| words(clause).collect())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}
