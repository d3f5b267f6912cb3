//! Bytes as digits and letters: keys and ids survive any shell, URL and double click.

/// `0-9A-Za-z`, in value order.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The last `N` base62 digits of the big-endian number `bytes`, padded with zeros.
///
/// 43 digits hold 32 bytes, 6 hold 4; with fewer digits than bytes need the number is reduced
/// modulo `62^N`.
pub fn encode<const N: usize, const B: usize>(bytes: &[u8; B]) -> [u8; N] {
    let mut number = zeroize::Zeroizing::new(*bytes);
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u16;
        for byte in number.iter_mut() {
            let value = (remainder << 8) | u16::from(*byte);
            // Invariant: remainder < 62, so the quotient fits a byte.
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = ALPHABET.get(usize::from(remainder)).copied().unwrap_or(b'0');
    }
    digits
}

/// The last six base62 digits of a 32-bit number: what [`encode`] makes of its bytes, in a fifth of the
/// time. A checksum is no secret, and it is made for every request.
pub fn encode_u32(mut number: u32) -> [u8; 6] {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((number % 62) as usize).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

/// Whether every byte is a base62 digit.
pub fn is_base62(text: &[u8]) -> bool {
    // Every byte, whatever the ones before: many at a time that way, which a loop that stops early is not.
    text.iter()
        .fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

/// `text` as exactly `N` base62 digits.
pub fn exactly<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    <[u8; N]>::try_from(text).ok().filter(|digits| is_base62(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_the_number_in_base_62() {
        assert_eq!(&encode::<3, 1>(&[61]), b"00z");
        assert_eq!(&encode::<3, 1>(&[62]), b"010");
        assert_eq!(&encode::<6, 4>(&[0xff; 4]), b"4gfFC3");
        for number in [0, 1, 61, 62, 0x0102_0304, u32::MAX] {
            assert_eq!(encode_u32(number), encode(&number.to_be_bytes()));
        }
    }

    #[test]
    fn forty_three_digits_hold_thirty_two_bytes_without_loss() {
        let mut largest_minus_one = [0xff; 32];
        largest_minus_one[31] = 0xfe;
        assert_ne!(
            encode::<43, 32>(&[0xff; 32]),
            encode::<43, 32>(&largest_minus_one)
        );
        // 62^43 > 2^256: the top digit of the largest number is below the last letter.
        assert!(encode::<43, 32>(&[0xff; 32])[0] < b'z');
    }

    #[test]
    fn only_digits_and_letters_of_the_exact_length_are_read() {
        assert!(exactly::<3>(b"a0Z").is_some());
        assert!(exactly::<3>(b"a0").is_none());
        assert!(exactly::<3>(b"a-Z").is_none());
        assert!(exactly::<3>("äZ".as_bytes()).is_none());
    }
}
