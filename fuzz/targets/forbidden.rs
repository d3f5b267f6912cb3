//! 403s of HubSpot's: any body is decoded, into a short header that never names a scope that is granted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::catalogue;
use scopegate_fuzz::forbidden::{Forbidden, ForbiddenCause, Need, Question};

const SCOPES: [&str; 4] = [
    "crm.objects.contacts.read",
    "crm.objects.owners.read",
    "e-commerce",
    "tickets",
];

/// The scopes whose bits are set.
fn some(bits: u8) -> Vec<&'static str> {
    let scopes = SCOPES.into_iter().enumerate();
    let set = scopes.filter(|(bit, _)| bits >> bit & 1 == 1);
    set.map(|(_, scope)| scope).collect()
}

fuzz_target!(|bytes: &[u8]| {
    let [bits, flags, body @ ..] = bytes else {
        return;
    };
    let granted: Vec<String> = some(*bits).into_iter().map(str::to_owned).collect();
    let needs: Vec<Need<'_>> = vec![some(bits >> 4).into_iter().map(|scope| vec![scope]).collect()];
    let found = Forbidden::decode(&Question {
        content_type: (flags & 1 == 1).then_some("text/html"),
        body,
        granted: (flags & 2 == 2).then_some(&granted),
        needs: &needs,
        is_scope: &|name| catalogue().scope_by_name(name).is_some(),
        follows_person: flags & 4 == 4,
    });
    let header = found.header();
    assert!(header.len() <= 600 && header.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    assert!(found.lacks.is_empty() || found.cause == ForbiddenCause::MissingScope);
    if flags & 2 == 2 {
        let named = found.lacks.scopes().iter().find(|scope| granted.contains(scope));
        assert!(named.is_none(), "a granted scope is named as missing");
    }
});
