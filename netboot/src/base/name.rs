//! The names people give: hosts, profiles and systems. Checked once, at the door.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("is empty")]
    Empty,
    #[error("has {0} characters, at most 63 are allowed")]
    Long(usize),
    #[error("has the character {0:?}; allowed are {1}")]
    Character(char, &'static str),
    #[error("begins or ends with `{0}`")]
    Edge(char),
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $extra:literal, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $extra, $allowed)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A machine's name: a DNS label in lower case (RFC 1123 §2.1), because Kubernetes takes no other.
    HostName,
    "-",
    "a-z, 0-9 and -"
);
name!(
    /// The name of `hosts/profiles/<name>.toml`.
    ProfileName,
    "-_.",
    "a-z, 0-9, -, _ and ."
);
name!(
    /// The name of one `nixosConfigurations.<name>` of the flake.
    SystemName,
    "-_.",
    "a-z, 0-9, -, _ and ."
);

fn check(text: &str, extra: &str, allowed: &'static str) -> Result<(), NameError> {
    let odd = |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(*c));
    if let Some(odd) = text.chars().find(odd) {
        return Err(NameError::Character(odd, allowed));
    }
    if text.len() > 63 {
        return Err(NameError::Long(text.len()));
    }
    let (Some(first), Some(last)) = (text.chars().next(), text.chars().last()) else {
        return Err(NameError::Empty);
    };
    match [first, last].into_iter().find(|c| extra.contains(*c)) {
        Some(edge) => Err(NameError::Edge(edge)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_at_the_door() {
        for (text, want) in [
            ("node1", "ok"),
            ("a", "ok"),
            ("k3s-agent-01", "ok"),
            ("", "is empty"),
            ("Node1", "has the character 'N'; allowed are a-z, 0-9 and -"),
            ("$(id)", "has the character '$'; allowed are a-z, 0-9 and -"),
            (
                "a\n#!ipxe",
                "has the character '\\n'; allowed are a-z, 0-9 and -",
            ),
            (
                "../etc",
                "has the character '.'; allowed are a-z, 0-9 and -",
            ),
            ("-a", "begins or ends with `-`"),
            ("a-", "begins or ends with `-`"),
        ] {
            let got = text
                .parse::<HostName>()
                .map_or_else(|e| e.to_string(), |_| "ok".to_owned());
            assert_eq!(got, want, "{text}");
        }
        assert_eq!("x".repeat(64).parse::<HostName>(), Err(NameError::Long(64)));
        assert!("web_01.x".parse::<ProfileName>().is_ok());
        assert!("..".parse::<ProfileName>().is_err());
    }
}
