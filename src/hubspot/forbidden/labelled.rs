//! Bodies of 403s with the cause a person would name, one group a row of HubSpot's known refusals, and
//! what the snippet that people copy (`scope`, then `portal`, then `permission`) makes of them. The
//! README shows this table.

use super::tests::Asked;

pub(super) struct Labelled {
    /// The row of the list of refusals.
    pub row: &'static str,
    /// What is the matter, for the table.
    pub what: &'static str,
    pub asked: Asked,
    pub body: &'static str,
    /// `CAUSE[; lacks="…"]`, as in the header.
    pub ours: &'static str,
}

const CONTACTS: Asked = Asked {
    granted: Some(&["oauth", "crm.objects.contacts.read"]),
    needs: &[&[&["crm.objects.contacts.read"]]],
    follows_person: false,
    html: false,
};

const fn granted(granted: &'static [&'static str], asked: Asked) -> Asked {
    Asked {
        granted: Some(granted),
        ..asked
    }
}

const fn needing(needs: &'static [&'static [&'static [&'static str]]]) -> Asked {
    Asked { needs, ..CONTACTS }
}

const DEAL_WRITE: Asked = needing(&[&[&["crm.objects.deals.write"]]]);
const OWNERS: Asked = needing(&[&[&["crm.objects.owners.read"]]]);
const TICKETS: Asked = needing(&[&[&["tickets"]]]);
const PRODUCTS: Asked = needing(&[&[&["crm.objects.products.read"], &["e-commerce"]]]);
const PAIR: Asked = needing(&[
    &[&["crm.objects.contacts.write"]],
    &[&["crm.objects.companies.write"]],
]);
const PRIVATE: Asked = Asked {
    follows_person: true,
    ..CONTACTS
};
const UNTOLD: Asked = Asked {
    granted: None,
    ..CONTACTS
};
const PAGE: Asked = Asked {
    html: true,
    ..CONTACTS
};

macro_rules! labelled {
    ($($row:literal $what:literal $asked:expr, $body:literal => $ours:literal;)+) => {
        &[$(Labelled { row: $row, what: $what, asked: $asked, body: $body, ours: $ours },)+]
    };
}

pub(super) const LABELLED: &[Labelled] = labelled! {
    "1" "the edge has banned an address" PAGE,
        r#"<!DOCTYPE html><html><head><title>Access denied | api.hubapi.com used Cloudflare to restrict access</title></head><body><h1>Error 1006</h1>The owner of this website (api.hubapi.com) has banned your IP address.</body></html>"#
        => "edge_block";
    "1" "the edge wants a challenge solved" PAGE,
        r#"<html lang="en-US"><head><title>Just a moment...</title></head><body>Enable JavaScript and cookies to continue<script src="/cdn-cgi/challenge-platform/x"></script></body></html>"#
        => "edge_block";
    "1" "the edge, for programs" CONTACTS, "error code: 1020" => "edge_block";
    "1" "the edge, with a word of permissions" PAGE,
        "<html><body>Attention Required! | Cloudflare. You do not have permission to access this portal.</body></html>"
        => "edge_block";
    "1" "some other proxy's page" PAGE,
        "<html><body><h1>Forbidden</h1>Your company's policy does not permit this site.</body></html>" => "unknown";
    "2" "the endpoint is not public" CONTACTS,
        r#"{"status":"error","message":"The scope needed for this API call isn't available for public use.","category":"MISSING_SCOPES"}"#
        => "tier";
    "2" "the same, typographic apostrophe, with a list" granted(&["oauth"], CONTACTS),
        r#"{"category":"MISSING_SCOPES","message":"This API isn’t available for public use.","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.schemas.custom.write"]}}]}"#
        => "tier";
    "3" "a scope is missing, new context" granted(&["oauth"], CONTACTS),
        r#"{"status":"error","message":"This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.","correlationId":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.contacts.read"]}}],"links":{"scopes":"https://developers.hubspot.com/scopes"},"category":"MISSING_SCOPES"}"#
        => "missing_scope; lacks=\"crm.objects.contacts.read\"";
    "3" "a scope is missing, older context" DEAL_WRITE,
        r#"{"category":"MISSING_SCOPES","message":"This app hasn't been granted all required scopes.","errors":[{"message":"All of the following scopes are required.","context":{"requiredScopes":["crm.objects.deals.write"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.deals.write\"";
    "3" "any of many: the one that opens no more" PRODUCTS,
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["e-commerce","crm.objects.products.read"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.products.read\"";
    "3" "all of a pair, one is granted" granted(&["crm.objects.products.read"], PRODUCTS),
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"All of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.products.read","e-commerce"]}}]}"#
        => "missing_scope; lacks=\"e-commerce\"";
    "3" "both ends of an association" PAIR,
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.companies.write"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.contacts.write crm.objects.companies.write\"";
    "3" "the wrong scope is named: owners asks for contacts" OWNERS,
        r#"{"category":"MISSING_SCOPES","message":"This app hasn't been granted all required scopes to make this call.","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredScopes":["crm.objects.contacts.read"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.owners.read\"";
    "3" "the wrong scope is named, by HubSpot's own name" OWNERS,
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredScopes":["contacts"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.owners.read\"";
    "3" "all that is named is granted" CONTACTS,
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.contacts.read"]}}]}"#
        => "missing_scope";
    "3" "the category alone" DEAL_WRITE, r#"{"category":"MISSING_SCOPES","message":"Forbidden"}"#
        => "missing_scope; lacks=\"crm.objects.deals.write\"";
    "3" "nobody knows what was granted" UNTOLD,
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.contacts.read","crm.objects.contacts.highly_sensitive.read.v2"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.contacts.read\"";
    "3" "a portal and a permission in the text" DEAL_WRITE,
        r#"{"category":"MISSING_SCOPES","message":"The app in portal 7 does not have permission.","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.deals.write"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.deals.write\"";
    "3" "a list without a category" granted(&["oauth"], CONTACTS),
        r#"{"message":"Forbidden","errors":[{"message":"One or more of","context":{"requiredScopes":["crm.objects.contacts.read"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.contacts.read\"";
    "3" "a list without a category, all of it granted" CONTACTS,
        r#"{"message":"Forbidden","errors":[{"message":"One or more of","context":{"requiredScopes":["crm.objects.contacts.read"]}}]}"#
        => "unknown";
    "4" "older endpoints: names nobody can grant" granted(&["oauth"], CONTACTS),
        r#"{"status":"error","message":"This oauth-token (CJ…) does not have proper permissions! (requires any of [contacts-access])","correlationId":"x"}"#
        => "missing_scope; lacks=\"crm.objects.contacts.read\"";
    "4" "older endpoints: all of" DEAL_WRITE,
        r#"{"message":"This access_token does not have proper permissions! (requires all of [deals-write, crm.objects.deals.write])"}"#
        => "missing_scope; lacks=\"crm.objects.deals.write\"";
    "5" "the person may not, as code" PRIVATE,
        r#"{"status":"error","message":"The user doesn't have the permissions to make this call.","category":"MISSING_PERMISSIONS","subCategory":"USER_DOES_NOT_HAVE_PERMISSIONS"}"#
        => "user_permission";
    "5" "the person may not, in `errors`, with words of scopes" CONTACTS,
        r#"{"message":"The scopes of this portal are in order.","category":"MISSING_PERMISSIONS","errors":[{"message":"x","code":"USER_DOES_NOT_HAVE_PERMISSIONS"}]}"#
        => "user_permission";
    "5" "the person may not, and scopes are listed" granted(&["oauth"], CONTACTS),
        r#"{"category":"MISSING_PERMISSIONS","message":"x","errors":[{"code":"USER_DOES_NOT_HAVE_PERMISSIONS","context":{"requiredScopes":["contacts-write"]}}]}"#
        => "user_permission";
    "5" "the person may not, in the message" CONTACTS,
        r#"{"message":"USER_DOES_NOT_HAVE_PERMISSIONS: associations","category":"FORBIDDEN"}"# => "user_permission";
    "6" "object type and portal are named, the scope is granted" granted(&["tickets"], TICKETS),
        r#"{"status":"error","message":"You do not have permissions to view objects of object type 0-5 in portal 62515 (requires one of [tickets-read, tickets-access])"}"#
        => "user_permission";
    "6" "the same text, and the scope is not granted" TICKETS,
        r#"{"status":"error","message":"You do not have permissions to view objects of object type 0-5 in portal 62515 (requires one of [tickets-read, tickets-access])"}"#
        => "missing_scope; lacks=\"tickets\"";
    "6" "the product library" granted(&["crm.objects.products.read"], PRODUCTS),
        r#"{"message":"You do not have permissions to view object type PRODUCT in portal 1 (requires one of [product library])"}"#
        => "tier";
    "6" "an OAuth grant whose scopes nobody knows" UNTOLD,
        r#"{"message":"You do not have permissions to edit object type CONTACT in portal 1 (requires one of [contacts-write])"}"#
        => "unknown";
    "7" "gated, by category" CONTACTS, r#"{"category":"GATED","message":"The feature is gated for this portal."}"#
        => "tier";
    "7" "gated, by text" CONTACTS,
        r#"{"category":"MISSING_PERMISSIONS","message":"This feature is gated for this portal"}"# => "tier";
    "8" "the portal is suspended" CONTACTS,
        r#"{"category":"BANNED","message":"HIGH_RISK_PORTAL: this portal has been suspended."}"# => "portal_paused";
    "8" "the portal is suspended, as code" CONTACTS, r#"{"message":"Forbidden","errors":[{"code":"HIGH_RISK_PORTAL"}]}"#
        => "portal_paused";
    "8" "the account is paused, with words of scopes" CONTACTS,
        r#"{"message":"Your HubSpot account 62515 is temporarily paused; scopes do not matter."}"# => "portal_paused";
    "8" "not the portal: a client is not on a list" CONTACTS,
        r#"{"category":"BANNED","message":"Client is not allow-listed"}"# => "unknown";
    "8" "not the portal: a client, in a portal" CONTACTS,
        r#"{"category":"BANNED","message":"The client is not allow-listed for this portal"}"# => "unknown";
    "8" "not the portal: a workflow is paused" CONTACTS,
        r#"{"message":"Enrolment refused: the workflow is paused in portal 62515"}"# => "unknown";
    "8" "not the portal: a person's account is suspended" CONTACTS,
        r#"{"message":"The user account has been suspended"}"# => "unknown";
    "9" "the record is archived" CONTACTS,
        r#"{"message":"The object has been archived and can't be changed."}"# => "archived";
    "9" "the record is deleted, in a portal" CONTACTS,
        r#"{"message":"Cannot update deleted contact in portal 62515"}"# => "archived";
    "9" "not the record: an archived property" CONTACTS, r#"{"message":"The property has been archived"}"# => "unknown";
    "10" "a protected property" CONTACTS,
        r#"{"category":"MISSING_SCOPES","message":"x","errors":[{"message":"One or more of the following scopes are required.","context":{"requiredGranularScopes":["crm.objects.contacts.sensitive.read.v2","crm.objects.contacts.sensitive.read"]}}]}"#
        => "missing_scope; lacks=\"crm.objects.contacts.sensitive.read.v2|crm.objects.contacts.sensitive.read\"";
    "10" "a protected property, in words" CONTACTS,
        r#"{"message":"Reading sensitive data properties requires a sensitive data scope"}"# => "missing_scope";
    "11" "nothing to go by" CONTACTS, r#"{"message":"There was a problem with the request"}"# => "unknown";
    "11" "nothing to go by, although a scope is missing" DEAL_WRITE,
        r#"{"status":"error","message":"There was a problem with the request.","correlationId":"x"}"# => "unknown";
    "11" "a permission, and a scope is missing" DEAL_WRITE,
        r#"{"status":"error","message":"You don't have permission to do this."}"#
        => "missing_scope; lacks=\"crm.objects.deals.write\"";
    "11" "a permission, and nothing is missing" CONTACTS,
        r#"{"status":"error","message":"You don't have permission to do this."}"# => "unknown";
    "11" "the developer key's own refusal" CONTACTS,
        r#"{"category":"INVALID_AUTHENTICATION","message":"This hapikey can't be used for this portal"}"# => "unknown";
};
