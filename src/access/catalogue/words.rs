//! Words that are looked up for every request: most of recognition is that.
//!
//! A small open hash table over the number that a word's first eight bytes are. Only the catalogue's own
//! words are in it: what a client sends is looked up, and can't make it slower.

/// Sorted words and the place of each.
#[derive(Debug, Default)]
pub(super) struct Words {
    sorted: Box<[(u64, Box<str>)]>,
    /// 1 + position in `sorted`; 0 = free. A power of two, at least twice as many as there are words.
    places: Box<[u16]>,
    /// What brings a hash down to a place: 64 - log2 of the places.
    shift: u32,
}

impl Words {
    /// A table of words, at most 16,384 of them, each once.
    pub(super) fn new(sorted: impl IntoIterator<Item = Box<str>>) -> Self {
        let sorted: Box<[_]> = sorted.into_iter().map(|word| (beginning(&word), word)).collect();
        let size = (2 * sorted.len()).next_power_of_two().max(2);
        let shift = 64 - size.trailing_zeros();
        let mut places = vec![0; size];
        for ((begins, _), number) in sorted.iter().zip(1u16..) {
            let mut place = place_of(*begins, shift);
            while places.get(place).is_some_and(|taken| *taken != 0) {
                place = (place + 1) & (size - 1);
            }
            if let Some(free) = places.get_mut(place) {
                *free = number;
            }
        }
        Self {
            sorted,
            places: places.into(),
            shift,
        }
    }

    /// The position of a word among the sorted ones.
    pub(super) fn find(&self, word: &str) -> Option<usize> {
        let begins = beginning(word);
        let mut place = place_of(begins, self.shift);
        // Half of the places are free, so this ends.
        loop {
            let position = usize::from(*self.places.get(place)?).checked_sub(1)?;
            let (known, whole) = self.sorted.get(position)?;
            // Eight bytes and the length are all there is of a short word.
            let same = whole.len() == word.len() && (word.len() <= 8 || **whole == *word);
            if *known == begins && same {
                return Some(position);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
    }
}

fn place_of(begins: u64, shift: u32) -> usize {
    (begins.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
}

/// The first eight bytes of a word as a number, zeros behind a shorter one.
pub(super) fn beginning(word: &str) -> u64 {
    if let Some(first) = word.as_bytes().first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let shorter = word.bytes().fold(0, |number, byte| number << 8 | u64::from(byte));
    // Invariant: fewer than eight bytes. An empty word is 0, which no shift by 64 would say.
    if word.is_empty() {
        0
    } else {
        shorter << (64 - 8 * word.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Words {
        Words::new(list.iter().map(|word| (*word).into()))
    }

    #[test]
    fn a_word_is_found_among_words_that_begin_alike_and_others_are_not() {
        let mut list = [
            "a",
            "associations",
            "associationsx",
            "associat",
            "b",
            "batch",
            "",
            "bat",
        ];
        list.sort_unstable();
        let table = words(&list);
        for (position, word) in list.iter().enumerate() {
            assert_eq!(table.find(word), Some(position), "{word}");
        }
        for word in [
            "associa",
            "association",
            "associationsxy",
            "c",
            "batc",
            "ba",
            "a\0",
        ] {
            assert_eq!(table.find(word), None, "{word}");
        }
    }

    #[test]
    fn a_table_of_none_or_of_many_ends_every_search() {
        assert_eq!(words(&[]).find(""), None);
        let many: Vec<String> = (0..3_000).map(|n| format!("associations{n:04}")).collect();
        let table = Words::new(many.iter().map(|word| word.as_str().into()));
        assert_eq!(table.find("associations2999"), Some(2_999));
        assert_eq!(table.find("associations3000"), None);
    }
}
