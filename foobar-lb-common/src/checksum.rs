//! The Internet checksum: from scratch (RFC 1071) and incrementally (RFC 1624).
//!
//! Nothing here swaps bytes. The one's complement sum does not depend on byte order (RFC 1071,
//! section 2 (B)): as long as every 16-bit word is read in the same way, the sum comes out in that
//! same way. So words are read as they lie in memory, and the result is stored as it is. Swapping
//! "to be safe" would be wrong on exactly half of the paths.
#![forbid(unsafe_code)]

/// A checksum field as it lies in memory.
pub type Wire = u16;

/// The change that a rewrite makes to a checksum: the sum of `~old + new` over all changed
/// 16-bit words, folded only when it is applied.
///
/// One `Difference` serves the IPv4 header's checksum and the transport's, since both cover the
/// addresses.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Difference(u32);

impl Difference {
    /// No change.
    pub const NONE: Self = Self(0);

    /// Adds the change of one 16-bit word, as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + (!old as u32) + new as u32)
    }

    /// Adds the change of a 32-bit value at an even offset, as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn double_word(self, old: u32, new: u32) -> Self {
        self.word(old as u16, new as u16).word((old >> 16) as u16, (new >> 16) as u16)
    }

    /// The checksum after the change: RFC 1624, equation 3, `HC' = ~(~HC + ~m + m')`.
    #[inline(always)]
    pub const fn apply(self, checksum: Wire) -> Wire {
        !fold(self.0 + (!checksum as u32))
    }

    /// As [`Difference::apply`], for UDP over IPv4 (RFC 768): zero means "no checksum" and stays
    /// zero; a computed zero is sent as all ones.
    #[inline(always)]
    pub const fn apply_udp(self, checksum: Wire) -> Wire {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            other => other,
        }
    }
}

/// Adds the carries back in until 16 bits remain. Two rounds are enough for any `u32`.
#[inline(always)]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// The unfolded sum of `N` 16-bit words, as they lie in memory. `N` may not exceed 65,536.
#[inline(always)]
pub fn sum<const N: usize>(words: &[u16; N]) -> u32 {
    let mut total = 0;
    let mut i = 0;
    while i < N {
        total += words[i] as u32;
        i += 1;
    }
    total
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The plain definition, on big-endian words as the RFC writes them.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    fn wire(bytes: [u8; 2]) -> u16 {
        u16::from_ne_bytes(bytes)
    }

    #[test]
    fn rfc_1624_section_4_example() {
        // HC = 0xdd2f, m = 0x5555, m' = 0x3285: equation 3 gives 0x0000, where equation 2 of
        // RFC 1141 gave 0xffff.
        let difference = Difference::NONE.word(wire([0x55, 0x55]), wire([0x32, 0x85]));
        assert_eq!(difference.apply(wire([0xdd, 0x2f])), 0);
        assert_eq!(difference.apply_udp(wire([0xdd, 0x2f])), 0xffff);
    }

    #[test]
    fn udp_without_checksum_stays_without() {
        assert_eq!(Difference::NONE.double_word(1, 2).apply_udp(0), 0);
    }

    proptest! {
        #[test]
        fn incremental_equals_from_scratch(
            mut bytes in proptest::collection::vec(any::<u8>(), 20..60),
            new in any::<[u8; 4]>(),
            at in 0usize..4,
        ) {
            // A field of four bytes at an even offset, the checksum in the last two bytes.
            if bytes.len() % 2 == 1 { bytes.pop(); }
            let end = bytes.len() - 2;
            bytes[end] = 0;
            bytes[end + 1] = 0;
            bytes[0] |= 1; // never all zero, as no packet is
            let before = naive(&bytes);
            let at = at * 2 + 2;
            let old: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
            bytes[at..at + 4].copy_from_slice(&new);
            let after = naive(&bytes);
            let difference =
                Difference::NONE.double_word(u32::from_ne_bytes(old), u32::from_ne_bytes(new));
            prop_assert_eq!(difference.apply(wire(before.to_be_bytes())), wire(after.to_be_bytes()));
        }

        #[test]
        fn from_scratch(words in any::<[u16; 20]>()) {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
            prop_assert_eq!(!fold(sum(&words)), wire(naive(&bytes).to_be_bytes()));
        }

        #[test]
        fn fold_is_sum_modulo_ffff(sum in any::<u32>()) {
            prop_assert_eq!(u32::from(fold(sum)) % 0xffff, sum % 0xffff);
        }
    }
}
