//! A MAC address, read in every spelling people paste and printed in one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address of one Ethernet card, always printed as `52:54:00:12:34:56`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac([u8; 6]);

/// Why a text is not the MAC of a network card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacError {
    #[error("has {0} octets, a MAC address has 6 (like 52:54:00:12:34:56)")]
    Octets(usize),
    #[error("`{0}` is not a hexadecimal digit (write it like 52:54:00:12:34:56)")]
    Digit(char),
    #[error("octet `{0}` is not two hexadecimal digits (write it like 52:54:00:12:34:56)")]
    Octet(String),
    #[error("is a group address; network cards do not have one")]
    Group,
    #[error("is all zeros; network cards do not have that address")]
    Zero,
}

impl Mac {
    /// The address in these octets, if a card can have it (RFC 7042 §2.1: group bit clear).
    pub fn new(octets: [u8; 6]) -> Result<Self, MacError> {
        if octets == [0; 6] {
            Err(MacError::Zero)
        } else if octets[0] & 1 == 1 {
            Err(MacError::Group)
        } else {
            Ok(Self(octets))
        }
    }

    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// `52-54-00-12-34-56`: the form for file names and pxelinux.
    pub fn dashed(self) -> String {
        self.to_string().replace(':', "-")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let text = text.trim();
        if let Some(odd) = text
            .chars()
            .find(|c| !c.is_ascii_hexdigit() && !":-. ".contains(*c))
        {
            return Err(MacError::Digit(odd));
        }
        let groups: Vec<&str> = text.split([':', '-', '.', ' ']).collect();
        let digits: String = match groups.as_slice() {
            [bare] => (*bare).to_owned(),
            // Cisco writes 5254.0012.3456.
            [a, b, c] if [a, b, c].iter().all(|g| g.len() == 4) => [*a, *b, *c].concat(),
            octets => {
                if let Some(odd) = octets.iter().find(|o| o.is_empty() || o.len() > 2) {
                    return Err(MacError::Octet((*odd).to_owned()));
                }
                // Solaris and some switches drop leading zeros.
                octets.iter().map(|o| format!("{o:0>2}")).collect()
            }
        };
        if digits.len() != 12 {
            return Err(MacError::Octets(digits.len() / 2));
        }
        let mut octets = [0; 6];
        for (octet, pair) in octets.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            *octet = u8::from_str_radix(pair, 16).map_err(|_| MacError::Octet(pair.to_owned()))?;
        }
        Self::new(octets)
    }
}

impl TryFrom<String> for Mac {
    type Error = MacError;

    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_common_spelling_reads_as_one_address() {
        for (name, text) in [
            ("colons", "52:54:00:ab:cd:ef"),
            ("upper case", "52:54:00:AB:CD:EF"),
            ("dashes, as Windows prints", "52-54-00-AB-CD-EF"),
            ("Cisco dots", "5254.00ab.cdef"),
            ("bare", "525400abcdef"),
            ("leading zeros dropped", "52:54:0:ab:cd:ef"),
            ("blanks around", " 52:54:00:ab:cd:ef\n"),
        ] {
            let mac: Mac = text.parse().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(mac.to_string(), "52:54:00:ab:cd:ef", "{name}");
        }
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, want) in [
            (
                "52:54:00:12:34",
                "has 5 octets, a MAC address has 6 (like 52:54:00:12:34:56)",
            ),
            (
                "",
                "has 0 octets, a MAC address has 6 (like 52:54:00:12:34:56)",
            ),
            (
                "52:54:00:12:34:5g",
                "`g` is not a hexadecimal digit (write it like 52:54:00:12:34:56)",
            ),
            (
                "52:54:00:12:345:6",
                "octet `345` is not two hexadecimal digits (write it like 52:54:00:12:34:56)",
            ),
            (
                "01:00:5e:00:00:01",
                "is a group address; network cards do not have one",
            ),
            (
                "ff:ff:ff:ff:ff:ff",
                "is a group address; network cards do not have one",
            ),
            (
                "00:00:00:00:00:00",
                "is all zeros; network cards do not have that address",
            ),
        ] {
            let error = text.parse::<Mac>().expect_err(text);
            assert_eq!(error.to_string(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn prints_what_it_reads(octets: [u8; 6]) {
            if let Ok(mac) = Mac::new(octets) {
                prop_assert_eq!(mac.to_string().parse::<Mac>(), Ok(mac));
                prop_assert_eq!(mac.dashed().parse::<Mac>(), Ok(mac));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<Mac>();
        }
    }
}
