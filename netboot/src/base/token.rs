//! Opaque strings that grant something: the ticket in a boot script, and hashes of what is held secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The public id of one install attempt: 128 bits from the OS, 32 hexadecimal digits.
///
/// It travels in the clear, so it is good for one claim only: the first binds it to a session.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ticket(String);

/// A SHA-256, 64 hexadecimal digits. It stands for a secret (a session or a node key is stored by its hash only), or
/// says what a file must be when it has arrived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// The id of one upload batch: everything that one publication sends carries it. 128 random bits, 32 hexadecimal
/// digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadBatchId(String);

/// A text that is not the expected number of lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not {0} hexadecimal digits")]
pub struct HexError(usize);

macro_rules! hex {
    ($type:ident, $octets:literal) => {
        impl $type {
            pub fn new(octets: [u8; $octets]) -> Self {
                Self(octets.iter().map(|o| format!("{o:02x}")).collect())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, HexError> {
                let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
                if text.len() == 2 * $octets && text.chars().all(digit) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(HexError(2 * $octets))
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = HexError;

            fn try_from(text: String) -> Result<Self, HexError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(hex: $type) -> Self {
                hex.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

hex!(Ticket, 16);
hex!(Digest, 32);
hex!(UploadBatchId, 16);
