//! A SHA-256 as Nix writes it.

use std::fmt;
use std::str::FromStr;

/// A SHA-256, written as Nix writes it: 52 letters of its base 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NixHash(pub [u8; 32]);

/// A text that is no such hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not `sha256:` and 52 letters of base 32")]
pub struct NixHashError;

/// The letters of Nix's base 32: no e, o, u, t.
const LETTERS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Letters of 256 bits, five a letter.
const LENGTH: usize = 52;

impl NixHash {
    /// Without `sha256:`. The last bits come first (`src/libutil/hash.cc`).
    pub(super) fn letters(self) -> String {
        let letter = |n: usize| {
            let (octet, bit) = (n * 5 / 8, n * 5 % 8);
            let next = self.0.get(octet + 1).copied().unwrap_or(0);
            let both = u16::from(self.0[octet]) | u16::from(next) << 8;
            char::from(LETTERS[usize::from(both >> bit & 31)])
        };
        (0..LENGTH).rev().map(letter).collect()
    }
}

pub(super) fn base32(text: &str) -> Option<NixHash> {
    if text.len() != LENGTH {
        return None;
    }
    let mut octets = [0_u8; 32];
    for (n, letter) in text.bytes().rev().enumerate() {
        let digit = LETTERS.iter().position(|known| *known == letter)?;
        let (octet, bit) = (n * 5 / 8, n * 5 % 8);
        let [low, high] = (u16::try_from(digit).ok()? << bit).to_le_bytes();
        octets[octet] |= low;
        match octets.get_mut(octet + 1) {
            Some(next) => *next |= high,
            // 260 bits are written for 256: the rest is zero.
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(NixHash(octets))
}

impl FromStr for NixHash {
    type Err = NixHashError;

    fn from_str(text: &str) -> Result<Self, NixHashError> {
        let letters = text.strip_prefix("sha256:");
        letters.and_then(base32).ok_or(NixHashError)
    }
}

impl fmt::Display for NixHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.letters())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The SHA-256 of nothing, as `nix-hash --type sha256 --base32 --flat /dev/null` says it.
    const NOTHING: &str = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    #[test]
    fn a_hash_is_written_as_nix_writes_it() {
        let octets = [
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
            0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b,
            0x78, 0x52, 0xb8, 0x55,
        ];
        assert_eq!(NixHash(octets).to_string(), format!("sha256:{NOTHING}"));
        // 260 bits are written; the four above the hash must be zero.
        assert_eq!(base32(&format!("z{}", &NOTHING[1..])), None);
    }

    proptest! {
        #[test]
        fn any_hash_is_read_as_it_is_printed(octets in proptest::array::uniform32(any::<u8>())) {
            let hash = NixHash(octets);
            prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        }
    }
}
