//! Sorted words, found by the number that their first eight bytes are: a look-up compares numbers, and
//! one word. Most of recognition is looking up words.

/// The first eight bytes of a word, zeros behind a shorter one, as a number that sorts as words do.
pub(super) fn of(word: &str) -> u64 {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(word.bytes()) {
        *to = from;
    }
    u64::from_be_bytes(first)
}

/// The position of `word` among sorted words whose numbers are `prefixes`.
pub(super) fn find<'w>(prefixes: &[u64], word: &str, at: impl Fn(usize) -> Option<&'w str>) -> Option<usize> {
    let prefix = of(word);
    let mut position = prefixes.partition_point(|known| *known < prefix);
    while prefixes.get(position) == Some(&prefix) {
        if at(position) == Some(word) {
            return Some(position);
        }
        position += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_among_words_that_begin_alike_and_others_are_not() {
        let mut words = [
            "a",
            "associations",
            "associationsx",
            "associat",
            "b",
            "batch",
            "",
            "bat",
        ];
        words.sort_unstable();
        let prefixes: Vec<u64> = words.iter().map(|word| of(word)).collect();
        assert!(prefixes.is_sorted());
        let find = |word| find(&prefixes, word, |position| words.get(position).copied());
        for (position, word) in words.iter().enumerate() {
            assert_eq!(find(word), Some(position), "{word}");
        }
        for word in ["associa", "association", "associationsxy", "c", "batc", "ba"] {
            assert_eq!(find(word), None, "{word}");
        }
    }
}
