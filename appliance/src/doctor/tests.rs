//! A whole appliance on loopback is looked at, as it is and after something was broken.

use netboot::doctor::checks::CheckResult;

use super::*;
use crate::testing::{MAC, TestConfig, boot, enroll, mac};

#[track_caller]
fn verdict(checkup: &DoctorReport, name: &str, verdict: CheckResult, said: &str) {
    let check = checkup.checks.iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("{name} was not looked at"));
    let text = check.what.join("\n");
    assert_eq!(check.verdict, verdict, "{name}: {text}");
    assert!(text.contains(said), "{name}: {text}");
}

#[tokio::test]
async fn what_is_in_order_and_what_is_broken_is_told_apart() {
    let house = TestConfig::new(&boot(""));
    let bound = house.bind().await;
    let components = bound.components().clone();
    enroll(&components, mac(MAC)).await;

    let found = components.doctor.checkup().await;
    verdict(&found, "lan", CheckResult::Ok, "`lo` has 127.0.0.1/8");
    verdict(&found, "ports", CheckResult::Ok, "(HTTP)");
    verdict(
        &found,
        "loaders",
        CheckResult::Warning,
        "`ipxe.efi` is missing",
    );
    verdict(
        &found,
        "installer",
        CheckResult::Ok,
        "installer for x86_64: 16 MiB",
    );
    verdict(&found, "profiles", CheckResult::Ok, "1 profile");
    verdict(
        &found,
        "cache",
        CheckResult::Problem,
        "`worker` has no release",
    );
    verdict(&found, "store", CheckResult::Ok, "on record");
    verdict(&found, "k3s", CheckResult::Ok, "join no cluster");

    std::fs::remove_file(house.path().join("initrd")).expect("removes");
    std::fs::write(house.path().join("profiles/more.toml"), "dsik = 1").expect("writes");
    let found = components.doctor.checkup().await;
    verdict(
        &found,
        "installer",
        CheckResult::Problem,
        "initrd` cannot be read",
    );
    verdict(
        &found,
        "profiles",
        CheckResult::Problem,
        "unknown field `dsik`",
    );

    // The listeners end with it, and a check finds that.
    drop(bound);
    let found = components.doctor.checkup().await;
    verdict(
        &found,
        "ports",
        CheckResult::Problem,
        "nothing listens on TCP",
    );
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named_with_its_cause() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let more = format!("{}[k3s]\nserver = \"https://127.0.0.1:{port}\"\n", boot(""));
    let house = TestConfig::new(&more);
    let components = house.bind().await.components().clone();
    let found = components.doctor.checkup().await;
    verdict(&found, "k3s", CheckResult::Warning, "Connection refused");
}
