//! Enums of names that others may add to: a known name has a variant, and any other is kept as it was read.

/// Defines an enum with a variant for each known name, and `Other` for all the rest. It is stored as the name alone, so
/// that what is read is written again byte for byte.
macro_rules! open_enum {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $( $(#[$note:meta])* $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $( $(#[$note])* $variant, )+
            /// A name that is not known here. Made by `from`, which never puts a known one into it.
            Other(String),
        }

        impl $name {
            /// The name, as it is stored.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $text, )+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                match name {
                    $( $text => Self::$variant, )+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::from(name.as_str())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        #[cfg(test)]
        impl $name {
            /// Every name that has a variant.
            pub(crate) const KNOWN: &'static [&'static str] = &[$($text),+];
        }
    };
}

pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::base::arch::CpuArch;
    use crate::disk::hardware::{DiskBus, SignatureKind};

    /// Reads the name as JSON and by `from`, and writes it again.
    fn comes_back<T>(name: &str)
    where
        T: Serialize + DeserializeOwned + PartialEq + fmt::Debug + fmt::Display,
        T: for<'a> From<&'a str>,
    {
        let json = serde_json::to_string(name).expect("is text");
        let read: T = serde_json::from_str(&json).expect("any name is read");
        assert_eq!(serde_json::to_string(&read).expect("is text"), json);
        assert_eq!((read.to_string().as_str(), &read), (name, &T::from(name)));
    }

    fn all_come_back(name: &str) {
        comes_back::<SignatureKind>(name);
        comes_back::<DiskBus>(name);
        comes_back::<CpuArch>(name);
    }

    proptest! {
        #[test]
        fn any_name_that_is_read_is_written_again(name in any::<String>()) {
            all_come_back(&name);
        }
    }

    #[test]
    fn every_known_name_is_read_as_its_variant_and_written_again() {
        for name in [SignatureKind::KNOWN, DiskBus::KNOWN, CpuArch::KNOWN].concat() {
            all_come_back(name);
        }
        let is_other =
            |kind: &&&str| matches!(SignatureKind::from(**kind), SignatureKind::Other(_));
        assert_eq!(SignatureKind::KNOWN.iter().find(is_other), None);
    }
}
