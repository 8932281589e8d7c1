//! Which certificates of a cluster are trusted: those that a token names, or those seen first.

use sha2::{Digest, Sha256};

/// The CA is not the one it should be. The API token is not sent to such a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TrustError {
    #[error(
        "the cluster's certificates have the hash {got}, the configured token expects {expected}: \
         is k3s.server another cluster?"
    )]
    Token { expected: String, got: String },
    #[error(
        "the cluster's certificates have changed from {pinned} to {got}: if the cluster was made anew, \
         restart pxe-appliance; a token of the form K10… would tell"
    )]
    Changed { pinned: String, got: String },
}

/// The hash in a token of the form `K10<sha256>::…`; `None` for a short token.
pub(super) fn ca_hash(token: &str) -> Option<&str> {
    let (hash, _) = token.strip_prefix("K10")?.split_once("::")?;
    (hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit())).then_some(hash)
}

/// What such a token says of the answer to `GET /cacerts`.
pub(super) fn hash(ca: &[u8]) -> String {
    hex::encode(Sha256::digest(ca))
}

/// Whether certificates with the hash `got` may be used.
pub(super) fn check(
    expected: Option<&str>,
    pinned: Option<&str>,
    got: &str,
) -> Result<(), TrustError> {
    match (expected, pinned) {
        (Some(expected), _) if !expected.eq_ignore_ascii_case(got) => Err(TrustError::Token {
            expected: expected.to_owned(),
            got: got.to_owned(),
        }),
        (None, Some(pinned)) if pinned != got => Err(TrustError::Changed {
            pinned: pinned.to_owned(),
            got: got.to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_hash_is_read_from_a_token() {
        let hash = "0123456789abcdef".repeat(4);
        for (name, token, want) in [
            (
                "a server token",
                format!("K10{hash}::server:pw"),
                Some(hash.as_str()),
            ),
            (
                "a bootstrap token",
                format!("K10{hash}::ab.cd"),
                Some(hash.as_str()),
            ),
            ("a short one", "0123456789abcdef".to_owned(), None),
            (
                "a hash too short",
                format!("K10{}::server:pw", &hash[1..]),
                None,
            ),
            (
                "not hexadecimal",
                format!("K10{}::x", hash.replace('a', "g")),
                None,
            ),
            ("one colon", format!("K10{hash}:server"), None),
        ] {
            assert_eq!(ca_hash(&token), want, "{name}");
        }
    }

    #[test]
    fn certificates_are_checked_against_the_token_then_against_the_first() {
        for (name, expected, pinned, ok) in [
            ("nothing known", None, None, true),
            ("as the token says", Some("aa"), None, true),
            ("in capitals", Some("AA"), None, true),
            ("against the token", Some("bb"), None, false),
            ("seen before", None, Some("aa"), true),
            ("changed", None, Some("bb"), false),
            (
                "changed to what the token says",
                Some("aa"),
                Some("bb"),
                true,
            ),
        ] {
            assert_eq!(check(expected, pinned, "aa").is_ok(), ok, "{name}");
        }
    }
}
