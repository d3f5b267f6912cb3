//! A chunked body, followed from chunk to chunk: sizes are looked at digit by digit, a chunk's bytes are
//! only counted.
//!
//! Extensions of chunks are refused: nobody sends them, and parsers disagree about them. Trailers are
//! taken out: nobody may read a field that comes after what was judged.

use super::Violation;
use crate::heads::is_token;

/// Most digits of a size: as many as a length may have.
const DIGITS: u8 = 15;

/// Most bytes of all trailers together.
const TRAILER_BYTES: u16 = 8 * 1024;

/// What a trailer counts beside its bytes, so that their number is bounded too: to 124.
const TRAILER_OVERHEAD: u16 = 64;

/// Where in a chunked body one is.
#[derive(Debug)]
pub(super) enum Chunks {
    Size {
        digits: u8,
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the beginning of a line after the last chunk.
    Line {
        dropped: u16,
    },
    /// In a trailer's name.
    Name {
        dropped: u16,
    },
    /// In its value.
    Trailer {
        dropped: u16,
    },
    TrailerLf {
        dropped: u16,
    },
    /// The empty line's LF is due.
    End,
}

impl Default for Chunks {
    fn default() -> Self {
        Self::Size { digits: 0, size: 0 }
    }
}

/// Some bytes of one kind.
pub(super) struct Run {
    pub(super) taken: usize,
    /// Whether they are the body's own.
    pub(super) is_data: bool,
    /// Whether the body ends with them.
    pub(super) ended: bool,
}

impl Chunks {
    /// The first bytes of `bytes` that are of one kind. `bytes` must not be empty.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Result<Run, Violation> {
        if let Self::Data { left } = self {
            let taken = (bytes.len() as u64).min(*left);
            *left -= taken;
            if *left == 0 {
                *self = Self::DataCr;
            }
            return Ok(Run {
                // No more than there are, which is a `usize`.
                taken: usize::try_from(taken).unwrap_or(usize::MAX),
                is_data: true,
                ended: false,
            });
        }
        let byte = *bytes.first().ok_or(Violation::Chunk)?;
        let ended = matches!(self, Self::End);
        *self = self.after(byte)?;
        Ok(Run {
            taken: 1,
            is_data: false,
            ended,
        })
    }

    /// Where one is after a byte that is none of a chunk's own.
    fn after(&self, byte: u8) -> Result<Self, Violation> {
        Ok(match (self, byte) {
            (Self::Size { digits, size }, _) if byte.is_ascii_hexdigit() && *digits < DIGITS => Self::Size {
                digits: digits + 1,
                size: size << 4 | hex(byte),
            },
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeEnd { size: *size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Line { dropped: 0 },
            (Self::SizeEnd { size }, b'\n') => Self::Data { left: *size },
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::default(),
            (Self::Line { .. }, b'\r') => Self::End,
            (Self::Trailer { dropped }, b'\r') => Self::TrailerLf { dropped: *dropped },
            (Self::Line { dropped } | Self::Name { dropped } | Self::Trailer { dropped }, _)
                if *dropped >= TRAILER_BYTES =>
            {
                return Err(Violation::Chunk);
            }
            (Self::Line { dropped }, _) if is_token(byte) => Self::Name {
                dropped: dropped + 1 + TRAILER_OVERHEAD,
            },
            (Self::Name { dropped }, _) if is_token(byte) => Self::Name { dropped: dropped + 1 },
            (Self::Name { dropped }, b':') | (Self::Trailer { dropped }, b'\t' | b' '..=b'~' | 0x80..) => {
                Self::Trailer { dropped: dropped + 1 }
            }
            (Self::TrailerLf { dropped }, b'\n') => Self::Line { dropped: *dropped },
            (Self::End, b'\n') => Self::End,
            _ => return Err(Violation::Chunk),
        })
    }
}

fn hex(digit: u8) -> u64 {
    u64::from(match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.to_ascii_uppercase().wrapping_sub(b'A') + 10,
    })
}
