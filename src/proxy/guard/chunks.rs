//! Where a chunked body ends: RFC 9112 §7.1 without what nobody needs and attacks are made of.
//!
//! A size is 1 to 15 hexadecimal digits, so that no reader overflows on it; lines end in CR LF and in
//! nothing else. Extensions and trailer fields are refused: no client of HubSpot's API sends any, nothing
//! of them would be judged or forwarded, and readers differ on how they end. The bytes themselves are not
//! looked at and pass as they came; whoever reads the body walks through them again.

use super::violation::Violation;

/// Most digits of a size: below 2^60.
const MOST_SIZE_DIGITS: u8 = 15;

/// What the next byte must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Size { digits: u8, value: u64 },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    EndCr,
    EndLf,
    Nothing,
}

/// The reader of one chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    next: Next,
}

impl Default for Chunks {
    /// Before the first chunk.
    fn default() -> Self {
        Self {
            next: Next::Size { digits: 0, value: 0 },
        }
    }
}

impl Chunks {
    /// Whether the body has ended.
    pub fn has_ended(&self) -> bool {
        self.next == Next::Nothing
    }

    /// Reads on; how many of `bytes` belong to the body. All of them, until the body ends.
    pub fn read(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Next::Data { left } = self.next {
                let here = (bytes.len() - at) as u64;
                if here < left {
                    self.next = Next::Data { left: left - here };
                    return Ok(bytes.len());
                }
                at += usize::try_from(left).map_err(|_| Violation::Chunk)?;
                self.next = Next::DataCr;
                continue;
            }
            if self.has_ended() {
                break;
            }
            self.next = self.step(*byte)?;
            at += 1;
        }
        Ok(at)
    }

    /// The first of `bytes` that are of one kind: how many, and whether they are the body's own.
    pub fn walk(&mut self, bytes: &[u8]) -> Result<(usize, bool), Violation> {
        let first = *bytes.first().ok_or(Violation::Chunk)?;
        let Next::Data { left } = self.next else {
            self.next = self.step(first)?;
            return Ok((1, false));
        };
        let taken = (bytes.len() as u64).min(left);
        self.next = match left - taken {
            0 => Next::DataCr,
            left => Next::Data { left },
        };
        // No more than there are, which is a `usize`.
        Ok((usize::try_from(taken).unwrap_or(usize::MAX), true))
    }

    /// One byte of framing.
    fn step(&self, byte: u8) -> Result<Next, Violation> {
        match (self.next, byte) {
            (Next::Size { digits, value }, b'\r') if digits > 0 => Ok(Next::SizeLf { value }),
            (Next::Size { digits, value }, _) if digits < MOST_SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16).ok_or(Violation::Chunk)?;
                Ok(Next::Size {
                    digits: digits + 1,
                    value: value * 16 + u64::from(digit),
                })
            }
            (Next::SizeLf { value: 0 }, b'\n') => Ok(Next::EndCr),
            (Next::SizeLf { value }, b'\n') => Ok(Next::Data { left: value }),
            (Next::DataCr, b'\r') => Ok(Next::DataLf),
            (Next::DataLf, b'\n') => Ok(Next::Size { digits: 0, value: 0 }),
            (Next::EndCr, b'\r') => Ok(Next::EndLf),
            (Next::EndLf, b'\n') => Ok(Next::Nothing),
            _ => Err(Violation::Chunk),
        }
    }
}
