//! A test that cannot run here says so in one way; shared by the tests inside the crate and those beside it.

/// Says why a test cannot run here. Where all that it takes was set up (`NETBOOT_MUST_NOT_SKIP`), that is a failure: the
/// harness knows no test that is skipped while it runs, and would count it as passed.
#[track_caller]
pub(crate) fn skipped(why: &str) {
    let must_not = std::env::var_os("NETBOOT_MUST_NOT_SKIP").is_some();
    assert!(
        !must_not,
        "NETBOOT_MUST_NOT_SKIP is set, and {why}\n  tip: integration/setup\n  \
         tip: what only root may do is left out with: NETBOOT_WITHOUT=root integration/test"
    );
    eprintln!("skipped: {why}");
}
