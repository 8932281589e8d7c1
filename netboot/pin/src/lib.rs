//! How agents and workstations know the appliance: the pin, which is the hash of its one public key, and the token file that
//! opens it to a workstation.

mod tls;
mod token_file;

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub use tls::{HandshakeRejection, client};
pub use token_file::{AdminUrl, TokenFile, refuse_others};

/// The SHA-256 of a DER SubjectPublicKeyInfo, written `sha256/<base64>` (as in RFC 7469 §2.4, without quotes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not `sha256/` and the base64 of 32 octets")]
pub struct PinError;

/// The server that answered does not have the pinned key. Asking again would not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("whoever answers is not the appliance: {what}")]
pub struct ForeignKey {
    pub what: String,
}

impl Pin {
    pub fn of(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let hash = text.strip_prefix("sha256/").ok_or(PinError)?;
        let octets = STANDARD.decode(hash).map_err(|_| PinError)?;
        octets.try_into().map(Self).map_err(|_| PinError)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_prints_as_it_is_read() {
        let pin = Pin::of(b"a key");
        assert_eq!(pin.to_string().parse(), Ok(pin));
        let text = pin.to_string();
        for (name, bad) in [
            ("no algorithm", text.replace("sha256/", "")),
            ("another algorithm", text.replace("sha256", "sha1")),
            ("cut short", text[..text.len() - 4].to_owned()),
            ("not base64", "sha256/----".to_owned()),
            ("empty", String::new()),
        ] {
            assert_eq!(bad.parse::<Pin>(), Err(PinError), "{name}");
        }
    }
}
