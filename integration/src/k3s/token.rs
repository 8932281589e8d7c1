//! The text of a join token → who it speaks for and which cluster it belongs to.

use sha2::{Digest as _, Sha256};

/// A join token: `K10<sha256 of the cluster's CA>::<user>:<password>`, or the password alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The hash that `/cacerts` must have; `None` for the short form, which does not check it.
    pub ca_hash: Option<String>,
    /// `server` or `node`, where the token says it.
    pub user: Option<String>,
    pub password: String,
}

/// A text that has the prefix of the long form, but not its shape. Never holds the token.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the token {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Token {
    pub fn read(text: &str) -> Result<Self, Malformed> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Malformed("is empty"));
        }
        let Some(long) = text.strip_prefix("K10") else {
            return Ok(Self {
                ca_hash: None,
                user: None,
                password: text.to_owned(),
            });
        };
        let (hash, credentials) = long
            .split_once("::")
            .ok_or(Malformed("begins with K10 but has no `::`"))?;
        if hash.len() != 64 || !hash.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(Malformed("has no SHA-256 between K10 and `::`"));
        }
        let (user, password) = credentials
            .split_once(':')
            .ok_or(Malformed("has no `user:password` after `::`"))?;
        if password.is_empty() {
            return Err(Malformed("has no password"));
        }
        Ok(Self {
            ca_hash: Some(hash.to_ascii_lowercase()),
            user: Some(user.to_owned()),
            password: password.to_owned(),
        })
    }

    /// Whether `cacerts` (the body of `GET /cacerts`) is of the cluster that the token was made for.
    pub fn belongs_to(&self, cacerts: &[u8]) -> bool {
        self.ca_hash
            .as_ref()
            .is_none_or(|hash| *hash == ca_hash(cacerts))
    }
}

/// The SHA-256 of the CA bundle, as the long form carries it.
pub fn ca_hash(cacerts: &[u8]) -> String {
    hex(&Sha256::digest(cacerts))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let long = format!("K10{}::node:secret:with:colons\n", "ab".repeat(32));
        let cases = [
            ("the short form", "secret", None, "secret"),
            ("the long form", &long, Some("node"), "secret:with:colons"),
        ];
        for (name, text, user, password) in cases {
            let token = Token::read(text).unwrap();
            let got = (token.user.as_deref(), token.password.as_str());
            assert_eq!(got, (user, password), "{name}");
        }
    }

    #[test]
    fn what_is_neither_form_is_refused() {
        let hash = "ab".repeat(32);
        let cases = [
            (" \n".to_owned(), "is empty"),
            ("K10abcdef".to_owned(), "begins with K10 but has no `::`"),
            (
                "K10abc::node:x".to_owned(),
                "has no SHA-256 between K10 and `::`",
            ),
            (
                format!("K10{hash}::secret"),
                "has no `user:password` after `::`",
            ),
            (format!("K10{hash}::node:"), "has no password"),
        ];
        for (text, want) in cases {
            let got = Token::read(&text).err();
            assert_eq!(got, Some(Malformed(want)), "{text}");
        }
    }

    #[test]
    fn the_long_form_belongs_to_one_ca_and_the_short_form_to_any() {
        let of = |ca: &[u8]| Token::read(&format!("K10{}::node:x", ca_hash(ca))).unwrap();
        assert!(of(b"this CA").belongs_to(b"this CA"));
        assert!(!of(b"this CA").belongs_to(b"another CA"));
        assert!(Token::read("x").unwrap().belongs_to(b"another CA"));
    }
}
