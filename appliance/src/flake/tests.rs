//! What can be said of a flake without a Nix; with one, `admin/publish/tests.rs` builds.

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

#[tokio::test]
async fn a_nix_that_is_not_there_is_told_of() {
    let failed = nix("nix-that-is-not-there", ["x"], &mut |_, _| {}).await;
    let refusal = failed.err().expect("fails").refusal("it cannot be");
    assert_eq!(refusal.message, "`nix-that-is-not-there` is not in PATH");
    assert!(!refusal.tips.is_empty());
}

#[tokio::test]
async fn what_a_program_says_is_its_last_word() {
    let script = "echo odd >&2; printf '@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"error: \\\\u001b[1mno\\\\u001b[0m\\\\n  more\"}\\n' >&2; exit 7";
    let failed = nix("sh", ["-c", script, "sh"], &mut |_, _| {}).await;
    let refusal = failed.err().expect("fails").refusal("it cannot be");
    assert_eq!(refusal.message, "it cannot be");
    assert_eq!(
        refusal.facts,
        ["odd", "error: no", "  more", "nothing was changed"]
    );

    let told = nix(
        "sh",
        ["-c", "echo answer; echo word >&2", "sh"],
        &mut |_, _| {},
    )
    .await;
    let told = told.unwrap_or_else(|_| panic!("it went well"));
    assert_eq!(
        (told.stdout, told.words),
        (b"answer\n".to_vec(), vec!["word".to_owned()])
    );
}
