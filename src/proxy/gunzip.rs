//! gzip undone on the way down, within a bound: only where the gate must read an answer that came
//! compressed.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// Input is inflated in steps of this size, so that one step yields about 4 MiB at the most
/// (deflate's ratio is bounded by 1032).
pub const STEP_BYTES: usize = 4 * 1024;

/// An answer whose coding is broken or which unpacks to more than the bound.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the answer's gzip coding is broken, or unpacks to more than the bound")]
pub struct GunzipError;

/// Unpacks a body that passes chunk by chunk.
pub struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    left: u64,
    fed: bool,
}

impl Gunzip {
    /// At most `most` bytes will come out.
    pub fn new(most: u64) -> Self {
        Self {
            decoder: MultiGzDecoder::new(Vec::new()),
            left: most,
            fed: false,
        }
    }

    /// The plain bytes of `chunk`.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Bytes, GunzipError> {
        let mut out = Vec::new();
        for step in chunk.chunks(STEP_BYTES) {
            self.fed = true;
            self.decoder.write_all(step).map_err(|_| GunzipError)?;
            self.drain(&mut out)?;
        }
        Ok(out.into())
    }

    /// The last bytes; an answer cut short is an error.
    pub fn finish(&mut self) -> Result<Bytes, GunzipError> {
        let mut out = Vec::new();
        if self.fed {
            self.decoder.try_finish().map_err(|_| GunzipError)?;
            self.drain(&mut out)?;
        }
        Ok(out.into())
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> Result<(), GunzipError> {
        let plain = self.decoder.get_mut();
        self.left = self.left.checked_sub(plain.len() as u64).ok_or(GunzipError)?;
        out.append(plain);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(packed: &[u8], cut: usize, most: u64) -> Result<Vec<u8>, GunzipError> {
        let mut gunzip = Gunzip::new(most);
        let mut out = Vec::new();
        for chunk in packed.chunks(cut) {
            out.extend_from_slice(&gunzip.push(chunk)?);
        }
        out.extend_from_slice(&gunzip.finish()?);
        Ok(out)
    }

    #[test]
    fn a_body_is_unpacked_wherever_it_is_cut() {
        let plain = "results ".repeat(5000).into_bytes();
        for cut in [1, 7, 100_000] {
            assert_eq!(unpack(&gzip(&plain), cut, 1 << 20).unwrap(), plain);
        }
    }

    #[test]
    fn a_bomb_a_cut_and_garbage_are_errors() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert_eq!(unpack(&bomb, 4096, 1000), Err(GunzipError));
        let whole = gzip(b"{\"results\":[]}");
        assert_eq!(unpack(&whole[..whole.len() - 9], 4096, 1000), Err(GunzipError));
        assert_eq!(unpack(b"{\"results\":[]}", 4096, 1000), Err(GunzipError));
    }
}
