//! The form of a value in the index: a version, a checksum, the payload. The engine's own checks panic or find nothing,
//! so each value carries a checksum that also covers its key.

const VERSION: u8 = 1;
const HEAD: usize = 5;

/// Why a value is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordDamage {
    #[error("is too short for a record")]
    Short,
    #[error("has version {0}, which this program does not know")]
    Version(u8),
    #[error("does not match its checksum")]
    Checksum,
}

/// The value to store under `key`.
pub(super) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD + payload.len());
    value.push(VERSION);
    value.extend_from_slice(&checksum(key, payload).to_le_bytes());
    value.extend_from_slice(payload);
    value
}

/// The payload of a value found under `key`.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], RecordDamage> {
    let (head, payload) = value.split_at_checked(HEAD).ok_or(RecordDamage::Short)?;
    if head[0] != VERSION {
        return Err(RecordDamage::Version(head[0]));
    }
    if head[1..] != checksum(key, payload).to_le_bytes() {
        return Err(RecordDamage::Checksum);
    }
    Ok(payload)
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An index of an older version is opened by a newer one.
    #[test]
    fn a_value_is_stored_as_it_always_was() {
        let stored = b"\x01\x97Y\x11\x18payload";
        assert_eq!(seal(b"key", b"payload"), stored);
        assert_eq!(open(b"key", stored), Ok(&b"payload"[..]));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_noticed(key: [u8; 8], payload: Vec<u8>, at: prop::sample::Index) {
            let good = seal(&key, &payload);
            prop_assert_eq!(open(&key, &good), Ok(&payload[..]));
            let bit = at.index(good.len() * 8);
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(&key, &bad).is_err());
        }

        #[test]
        fn a_value_under_another_key_is_noticed(key: [u8; 8], other: [u8; 8], payload: Vec<u8>) {
            prop_assume!(key != other);
            let value = seal(&key, &payload);
            prop_assert_eq!(open(&other, &value), Err(RecordDamage::Checksum));
        }

        #[test]
        fn any_bytes_are_read_or_refused(key: [u8; 8], value: Vec<u8>) {
            let _ = open(&key, &value);
        }
    }
}
