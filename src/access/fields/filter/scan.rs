//! Finds the next byte of a string that is not plain text, 64 bytes at a time.

/// Bytes looked at in one step.
const BLOCK: usize = u64::BITS as usize;

/// Where quotes, backslashes and control characters stand in the block looked at last.
///
/// Invariant: it is used with one slice of bytes only, so a block it knows stays as it was.
#[derive(Clone, Copy)]
pub struct Specials {
    /// Which block: its first byte's position divided by [`BLOCK`].
    block: usize,
    /// The lowest bit is the block's first byte.
    mask: u64,
}

impl Specials {
    /// Nothing was looked at yet.
    pub fn new() -> Self {
        Self {
            block: usize::MAX,
            mask: 0,
        }
    }

    /// The first quote, backslash or control character at or after `at`; the end if there is none.
    #[inline]
    pub fn next(&mut self, bytes: &[u8], mut at: usize) -> usize {
        loop {
            let block = at / BLOCK;
            if block != self.block {
                self.block = block;
                self.mask = load(bytes, block);
            }
            let ahead = self.mask >> (at % BLOCK);
            if ahead != 0 {
                return at + ahead.trailing_zeros() as usize;
            }
            at = (block + 1) * BLOCK;
            if at >= bytes.len() {
                return bytes.len();
            }
        }
    }
}

#[inline(never)]
fn load(bytes: &[u8], block: usize) -> u64 {
    let rest = bytes.get(block * BLOCK..).unwrap_or_default();
    match rest.first_chunk::<BLOCK>() {
        Some(whole) => mask(whole),
        None => {
            let mut padded = [b' '; BLOCK];
            padded.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            mask(&padded)
        }
    }
}

/// One bit a byte: whether it is a quote, a backslash or a control character. Written so that the
/// compiler makes vector comparisons of it; a multiplication gathers the bits of eight bytes.
#[inline]
fn mask(block: &[u8; BLOCK]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut hits = [0u8; BLOCK];
    for (hit, byte) in hits.iter_mut().zip(block) {
        *hit = u8::from((*byte == b'"') | (*byte == b'\\') | (*byte < b' '));
    }
    let (eights, _) = hits.as_chunks::<8>();
    let gathered = eights.iter().enumerate().map(|(position, eight)| {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56;
        bits << (8 * position)
    });
    gathered.fold(0, |mask, bits| mask | bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_text_is_found_wherever_it_stands() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for length in [1, 63, 64, 65, 127, 128, 200] {
                for place in 0..length {
                    let mut bytes = vec![b'x'; length];
                    bytes[place] = special;
                    for from in 0..=place {
                        assert_eq!(Specials::new().next(&bytes, from), place);
                    }
                    assert_eq!(Specials::new().next(&bytes, place + 1), length);
                }
            }
        }
        let mut specials = Specials::new();
        for plain in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
            assert_eq!(Specials::new().next(&[plain; 70], 0), 70, "{plain}");
        }
        assert_eq!(specials.next(b"", 0), 0);
    }
}
