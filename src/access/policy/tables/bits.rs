//! Sets of rules, 64 to a word.

use smallvec::SmallVec;

/// One bit a rule; words beyond the end are empty.
pub(super) type Bits = SmallVec<[u64; 1]>;

/// Puts a rule in.
pub(super) fn set(bits: &mut Bits, bit: usize) {
    let word = bit / 64;
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    if let Some(word) = bits.get_mut(word) {
        *word |= 1 << (bit % 64);
    }
}

/// A word of the set.
pub(super) fn word_at(bits: &Bits, at: usize) -> u64 {
    bits.get(at).copied().unwrap_or(0)
}
