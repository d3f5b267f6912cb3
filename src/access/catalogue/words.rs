//! Words that are looked up for every request: most of recognition is that.
//!
//! A small open hash table over a word's length, its first eight bytes and its last: that is all there is
//! of a word of at most sixteen, and longer ones are compared whole. Only the catalogue's own words are in
//! it: what a client sends is looked up, and can't make it slower.

/// Words, and a number for each.
#[derive(Debug)]
pub(super) struct Words {
    /// A power of two, at least twice as many as there are words: the rest is free.
    places: Box<[Place]>,
    /// What brings a hash down to a place: 64 - log2 of the places.
    shift: u32,
    /// The words, whole, in the order given.
    whole: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    ends: Ends,
    value: u32,
    /// 1 + position of the word; 0 = free.
    word: u32,
}

/// What a word is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    first: u64,
    /// Of more than eight bytes; 0 for shorter words.
    last: u64,
    length: usize,
}

/// A word of at most this many bytes is its [`Ends`].
const TOLD_BY_ENDS: usize = 16;

impl Default for Words {
    fn default() -> Self {
        Self::new([])
    }
}

impl Words {
    /// A table of words, each once.
    pub(super) fn new(words: impl IntoIterator<Item = (Box<str>, u32)>) -> Self {
        let (whole, values): (Vec<Box<str>>, Vec<u32>) = words.into_iter().unzip();
        let size = (2 * whole.len()).next_power_of_two().max(2);
        let mut table = Self {
            places: vec![Place::default(); size].into(),
            shift: 64 - size.trailing_zeros(),
            whole: whole.into(),
        };
        for ((word, value), number) in table.whole.iter().zip(values).zip(1u32..) {
            let ends = Ends::of(word.as_bytes());
            let mut place = ends.place(table.shift);
            while table.places.get(place).is_some_and(|taken| taken.word != 0) {
                place = (place + 1) & (size - 1);
            }
            if let Some(free) = table.places.get_mut(place) {
                *free = Place {
                    ends,
                    value,
                    word: number,
                };
            }
        }
        table
    }

    /// The number of a word.
    pub(super) fn find(&self, word: &str) -> Option<u32> {
        let ends = Ends::of(word.as_bytes());
        let mut at = ends.place(self.shift);
        // Half of the places are free, so this ends.
        loop {
            let place = self.places.get(at)?;
            if place.ends == ends && place.word != 0 && self.is_whole(place, word) {
                return Some(place.value);
            }
            if place.word == 0 {
                return None;
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    fn is_whole(&self, place: &Place, word: &str) -> bool {
        word.len() <= TOLD_BY_ENDS
            || self
                .whole
                .get(place.word as usize - 1)
                .is_some_and(|known| **known == *word)
    }

    /// Whether `word`, white space around it aside, is one of them in other letters.
    pub(super) fn has_nearly(&self, word: &str) -> bool {
        let word = word.trim();
        word.bytes().any(|b| b.is_ascii_alphabetic())
            && self.whole.iter().any(|known| known.eq_ignore_ascii_case(word))
    }
}

impl Ends {
    fn of(word: &[u8]) -> Self {
        let last = match word.last_chunk() {
            Some(last) if word.len() > 8 => u64::from_le_bytes(*last),
            _ => 0,
        };
        Self {
            first: beginning(word),
            last,
            length: word.len(),
        }
    }

    fn place(&self, shift: u32) -> usize {
        let mixed = self.first ^ self.last.rotate_left(29);
        (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift) as usize
    }
}

/// The first eight bytes as a number, zeros behind a shorter word.
fn beginning(word: &[u8]) -> u64 {
    let four = |chunk: &[u8; 4]| u64::from(u32::from_le_bytes(*chunk));
    if let Some(first) = word.first_chunk() {
        return u64::from_le_bytes(*first);
    }
    if let (Some(first), Some(last)) = (word.first_chunk(), word.last_chunk()) {
        // The two overlap, and say the same where they do.
        return four(first) | four(last) << (8 * (word.len() - 4));
    }
    word.iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Words {
        Words::new(list.iter().map(|word| (*word).into()).zip(0..))
    }

    #[test]
    fn a_word_is_found_among_words_that_begin_alike_and_others_are_not() {
        let list = [
            "a",
            "associations",
            "associationsx",
            "associat",
            "b",
            "batch",
            "",
            "bat",
            "associations-of-objects",
            "associations-to-objects",
            "seventeen-letters",
        ];
        let table = words(&list);
        for (position, word) in (0..).zip(list) {
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
            "associations-in-objects",
            "seventeen letters",
        ] {
            assert_eq!(table.find(word), None, "{word}");
        }
    }

    #[test]
    fn a_table_of_none_or_of_many_ends_every_search() {
        assert_eq!(words(&[]).find(""), None);
        let many: Vec<String> = (0..3_000).map(|n| format!("associations{n:04}")).collect();
        let table = Words::new(many.iter().map(|word| word.as_str().into()).zip(0..));
        assert_eq!(table.find("associations2999"), Some(2_999));
        assert_eq!(table.find("associations3000"), None);
    }
}
