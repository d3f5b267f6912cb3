//! What the shipped tables promise, and how targets are recognised.

mod additions;
mod recognition;
mod requirements;
mod spellings;
mod tables;

use super::*;
use crate::access::target::Target;

pub(in crate::access::catalogue) fn shipped() -> &'static Catalogue {
    static CATALOGUE: std::sync::LazyLock<Catalogue> =
        std::sync::LazyLock::new(|| Catalogue::embedded().unwrap());
    &CATALOGUE
}

/// `operation type,type` or the reason of the refusal.
fn look(catalogue: &Catalogue, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let target = match Target::parse(method, target) {
        Ok(target) => target,
        Err(refusal) => return refusal.reason.as_str().to_owned(),
    };
    match catalogue.recognise(&target) {
        Ok(recognised) => {
            let types: Vec<&str> = recognised
                .types
                .iter()
                .map(|t| catalogue.object_name(t))
                .collect();
            let operation = catalogue.operation(recognised.operation).unwrap();
            format!("{} {}", operation.id, types.join(","))
                .trim_end()
                .to_owned()
        }
        Err(refusal) => refusal.reason.as_str().to_owned(),
    }
}

fn check(cases: &[(&str, &str)]) {
    for (request, expected) in cases {
        assert_eq!(look(shipped(), request), *expected, "{request}");
    }
}
