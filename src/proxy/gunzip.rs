//! gzip undone on the way down, within a bound: only where the gate must read an answer that came
//! compressed.

use std::io::Write;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;

/// Input is inflated in steps of this size, so that one step yields about 2 MiB at the most
/// (deflate's ratio is bounded by 1032). What a step yields stands in memory several times for a moment.
pub const STEP_BYTES: usize = 2 * 1024;

/// What may come out of a body whatever its ratio: small answers of blanks are no bombs.
const FREE_BYTES: u64 = 4 * 1024 * 1024;

/// Beyond that, the most bytes that one byte may become. Pages of records pack to a tenth or a thirtieth,
/// lists of the same value over and over to a hundredth; a bomb's bytes become a thousand each.
const RATIO: u64 = 250;

/// A packed body is hardly longer than what it unpacks to. One that is twice as long and this is members of
/// nothing, each of which costs a new decoder.
const SPENT_BYTES: u64 = 256 * 1024;

/// An answer whose coding is broken or which unpacks to more than the bound.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the answer's gzip coding is broken, or it unpacks to more than the bound or to too much for its length"
)]
pub struct GunzipError;

/// Unpacks a body that passes chunk by chunk.
pub struct Gunzip {
    decoder: MultiGzDecoder<Vec<u8>>,
    left: u64,
    fed_bytes: u64,
    made_bytes: u64,
}

impl Gunzip {
    /// At most `most` bytes will come out.
    pub fn new(most: u64) -> Self {
        Self {
            decoder: MultiGzDecoder::new(Vec::new()),
            left: most,
            fed_bytes: 0,
            made_bytes: 0,
        }
    }

    /// The plain bytes of `chunk`.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Bytes, GunzipError> {
        let mut out = Vec::new();
        for step in chunk.chunks(STEP_BYTES) {
            self.fed_bytes += step.len() as u64;
            self.decoder.write_all(step).map_err(|_| GunzipError)?;
            self.drain(&mut out)?;
        }
        Ok(out.into())
    }

    /// The last bytes; an answer cut short is an error.
    pub fn finish(&mut self) -> Result<Bytes, GunzipError> {
        let mut out = Vec::new();
        if self.fed_bytes > 0 {
            self.decoder.try_finish().map_err(|_| GunzipError)?;
            self.drain(&mut out)?;
        }
        Ok(out.into())
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> Result<(), GunzipError> {
        let plain = self.decoder.get_mut();
        self.left = self.left.checked_sub(plain.len() as u64).ok_or(GunzipError)?;
        self.made_bytes += plain.len() as u64;
        let is_bomb = self.made_bytes > FREE_BYTES && self.made_bytes / RATIO > self.fed_bytes;
        if is_bomb || self.fed_bytes > 2 * self.made_bytes + SPENT_BYTES {
            return Err(GunzipError);
        }
        match out.is_empty() {
            true => *out = std::mem::take(plain),
            false => out.append(plain),
        }
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
    fn members_one_after_another_are_one_body() {
        let two = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        for cut in [1, 7, 100_000] {
            assert_eq!(unpack(&two, cut, 1000).unwrap(), b"{\"a\":1}");
        }
    }

    #[test]
    fn what_becomes_a_thousand_times_its_length_is_stopped_long_before_the_bound() {
        let bomb = gzip(&vec![0; 16 << 20]);
        let mut gunzip = Gunzip::new(u64::MAX);
        let made: usize = bomb
            .chunks(512)
            .map_while(|chunk| gunzip.push(chunk).ok())
            .map(|out| out.len())
            .sum();
        assert!(made <= 5 << 20, "{made}");
        let mixed: String = (0..200_000)
            .map(|n| format!(r#"{{"id":"{n}","properties":{{"email":null,"firstname":null}}}},"#))
            .collect();
        assert_eq!(
            unpack(&gzip(mixed.as_bytes()), 4096, u64::MAX).unwrap().len(),
            mixed.len()
        );
    }

    #[test]
    fn members_of_nothing_are_stopped_and_what_does_not_pack_is_not() {
        let nothing = gzip(b"").repeat(20_000);
        let mut gunzip = Gunzip::new(u64::MAX);
        let fed = nothing
            .chunks(STEP_BYTES)
            .take_while(|step| gunzip.push(step).is_ok());
        let fed = fed.count() * STEP_BYTES;
        assert!((200_000..300_000).contains(&fed), "{fed}");

        let mut byte = 1_u8;
        let mut noise = std::iter::repeat_with(|| {
            byte = byte.wrapping_mul(141).wrapping_add(byte >> 3).wrapping_add(7);
            byte
        });
        let noise: Vec<u8> = noise.by_ref().take(1 << 20).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        encoder.write_all(&noise).unwrap();
        assert_eq!(
            unpack(&encoder.finish().unwrap(), 5_000, u64::MAX).unwrap(),
            noise
        );
    }

    #[test]
    fn a_bomb_a_cut_and_garbage_are_errors() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert_eq!(unpack(&bomb, 4096, 1000), Err(GunzipError));
        let whole = gzip(b"{\"results\":[]}");
        assert_eq!(unpack(&whole[..whole.len() - 9], 4096, 1000), Err(GunzipError));
        assert_eq!(unpack(b"{\"results\":[]}", 4096, 1000), Err(GunzipError));
        let trailed = [&whole[..], b"garbage"].concat();
        assert_eq!(unpack(&trailed, 4096, 1000), Err(GunzipError));
        let mut flipped = whole.clone();
        let last = flipped.len() - 5;
        flipped[last] ^= 1;
        assert_eq!(
            unpack(&flipped, 4096, 1000),
            Err(GunzipError),
            "its checksum is held against it"
        );
    }
}
