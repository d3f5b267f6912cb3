//! The valid name nearest to one that is not.

/// The candidate a person most likely meant, or none if nothing is near.
///
/// Near is: at most a third of the letters differ, or one name is the other with something added
/// in front or behind (`contacts.read` for `crm.objects.contacts.read`).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let letters = Letters::of(&word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let candidates_letters = Letters::of(candidate);
        let bound = (letters.count.max(candidates_letters.count) / 3).max(1);
        // Only what is nearer than the best so far is of use.
        let bound = best.map_or(bound, |(distance, _)| bound.min(distance.saturating_sub(1)));
        let distance = match is_tail(&word, candidate) {
            true => 1,
            // There are more than a thousand names: nearly all are told apart without comparing them.
            false if letters.least_distance(&candidates_letters) > bound => continue,
            false => strsim::damerau_levenshtein(&word, candidate),
        };
        if distance <= bound {
            best = Some((distance, candidate));
        }
        if distance == 0 {
            break;
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn is_tail(word: &str, candidate: &str) -> bool {
    let tail = |long: &str, short: &str| {
        let (behind, before) = (long.strip_suffix(short), long.strip_prefix(short));
        short.len() >= 4
            && (behind.is_some_and(|rest| rest.ends_with('.'))
                || before.is_some_and(|rest| rest.starts_with('.')))
    };
    tail(candidate, word) || tail(word, candidate)
}

/// How many letters a word has, and of which kinds.
struct Letters {
    count: usize,
    of_kind: [usize; 32],
}

impl Letters {
    fn of(word: &str) -> Self {
        let mut letters = Self {
            count: 0,
            of_kind: [0; 32],
        };
        for letter in word.chars() {
            letters.count += 1;
            if let Some(kind) = letters.of_kind.get_mut(letter as usize % 32) {
                *kind += 1;
            }
        }
        letters
    }

    /// No fewer letters than these must be added, taken away or changed: swapping two changes no count.
    fn least_distance(&self, other: &Self) -> usize {
        let kinds = self.of_kind.iter().zip(&other.of_kind);
        let surplus: usize = kinds.map(|(own, other)| own.saturating_sub(*other)).sum();
        let shared = self.count - surplus;
        surplus.max(other.count - shared)
    }
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

    /// Without a shortcut.
    fn slowly<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
        let word = word.to_ascii_lowercase();
        let mut best: Option<(usize, &str)> = None;
        for candidate in candidates {
            let distance = match is_tail(&word, candidate) {
                true => 1,
                false => strsim::damerau_levenshtein(&word, candidate),
            };
            let bound = (word.chars().count().max(candidate.chars().count()) / 3).max(1);
            if distance <= bound && best.is_none_or(|(d, _)| distance < d) {
                best = Some((distance, candidate));
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    #[test]
    fn what_is_told_apart_without_comparing_is_never_the_nearest() {
        let catalogue = crate::access::catalogue::Catalogue::embedded().unwrap();
        let ids: Vec<&str> = catalogue
            .operations()
            .map(|(_, operation)| &*operation.id)
            .collect();
        let (mut found, mut asked) = (0, 0);
        for (index, id) in ids.iter().enumerate().step_by(60) {
            let (front, back) = id.split_at(id.len() / 2);
            for word in [
                (*id).to_owned(),
                format!("{back}{front}"),
                front.to_owned(),
                format!("x{}", id.replace('e', "")),
                format!("{front}\u{df}\u{2028}{back}").to_uppercase(),
                id.chars().rev().collect(),
                format!("{}{id}", ids.get(index + 1).unwrap_or(&"")),
            ] {
                asked += 1;
                let nearest = nearest(&word, ids.iter().copied());
                assert_eq!(nearest, slowly(&word, &ids), "{word}");
                found += usize::from(nearest.is_some());
            }
        }
        assert!(found > 40 && found < asked, "{found} of {asked}");
    }

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
