//! What can be said of a flake without a Nix; with one, `appliance/src/cli_sessions/publish.rs` builds.

use super::*;

#[test]
fn a_string_of_nix_is_what_it_was() {
    for (text, want) in [
        ("worker", r#""worker""#),
        ("git+file:///a b", r#""git+file:///a b""#),
        (r#"a"b\c"#, r#""a\"b\\c""#),
        ("${x}", r#""\${x}""#),
    ] {
        assert_eq!(quoted(text), want);
    }
}

#[tokio::test]
async fn what_names_no_flake_is_refused_before_nix_is_asked() {
    for reference in ["", ".#worker", "--impure"] {
        let refusal = Flake::open(reference).await.expect_err(reference);
        assert!(
            refusal.message.ends_with("does not name a flake"),
            "{refusal}"
        );
    }
}
