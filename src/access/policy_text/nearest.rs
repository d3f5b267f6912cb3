//! The valid name nearest to one that is not.

/// The candidate a person most likely meant, or none if nothing is near.
///
/// Near is: at most a third of the letters differ, or one name is the other with something added
/// in front or behind (`contacts.read` for `crm.objects.contacts.read`).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = distance(&word, candidate);
        let bound = (word.chars().count().max(candidate.chars().count()) / 3).max(1);
        if distance <= bound && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn distance(word: &str, candidate: &str) -> usize {
    let tail = |long: &str, short: &str| {
        short.len() >= 4 && (long.ends_with(&format!(".{short}")) || long.starts_with(&format!("{short}.")))
    };
    if tail(candidate, word) || tail(word, candidate) {
        return 1;
    }
    strsim::damerau_levenshtein(word, candidate)
}

/// ``did you mean `x`?``, or the fallback.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match nearest(word, candidates) {
        Some(name) => format!("did you mean `{name}`?"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_a_person_meant() {
        let names = [
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.objects.contracts.read",
            "tickets",
        ];
        for (word, expected) in [
            ("crm.objects.contact.read", Some("crm.objects.contacts.read")),
            ("crm.objects.contacts.wrte", Some("crm.objects.contacts.write")),
            ("CRM.Objects.Contacts.Read", Some("crm.objects.contacts.read")),
            ("contacts.write", Some("crm.objects.contacts.write")),
            ("ticket", Some("tickets")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }
}
