//! The door of the boot script and the node's report, and what the two together teach.

use std::net::Ipv4Addr;

use netboot::api::agent;
use netboot::loader::local_boot::{Departure, LocalBootHistory};
use netboot::loader::script::BootTarget;

use super::*;
use crate::testing::bench::{Agent, Bench, MAC, TOPLEVEL, node_boots};
use crate::testing::{at_home, mac};

const UEFI: BootLoader = BootLoader::IpxeUefi;

/// An installed machine, and the key of its node.
async fn installed() -> (Bench, String) {
    let bench = Bench::new();
    bench.release("worker", TOPLEVEL).await;
    bench.enroll(MAC, "worker", "node1").await;
    let ticket = bench.boots(MAC).await;
    let key = Agent::claims(&bench, &ticket).await.installs().await;
    (bench, key)
}

async fn asks(bench: &Bench) -> LocalBootMethod {
    let caller = bench
        .components
        .boot
        .identification
        .identify(mac(MAC), Ipv4Addr::LOCALHOST);
    let entry = bench
        .components
        .boot
        .scripts
        .entry(&caller, Some(UEFI))
        .await;
    match entry.expect("an answer") {
        BootTarget::Disk { way, .. } => way,
        other => panic!("it is to boot its disk: {other:?}"),
    }
}

fn known(bench: &Bench) -> Option<LocalBootHistory> {
    let state = bench.components.store.state();
    state.by_mac(mac(MAC)).and_then(|m| m.local_boot.clone())
}

#[tokio::test]
async fn the_way_that_the_node_came_up_by_is_kept() {
    let (bench, key) = installed().await;
    at_home(&bench.components, mac(MAC));
    let way = asks(&bench).await;
    assert_eq!(way, LocalBootMethod::NextEntry);
    assert_eq!(known(&bench), None, "nothing followed yet");
    let (status, answer) = node_boots(&bench, &key, "node1").await;
    assert_eq!(status, 200, "{answer}");
    let left = Departure { loader: UEFI, way };
    assert_eq!(known(&bench), Some(LocalBootHistory::worked(left)));
}

#[tokio::test]
async fn a_way_that_led_back_is_not_handed_out_again() {
    let (bench, _) = installed().await;
    let (id, left) = (
        mac(MAC),
        Departure {
            loader: UEFI,
            way: LocalBootMethod::NextEntry,
        },
    );
    let learn = move |state: &ApplianceState, _| agent::came_back(state, id, left);
    bench.components.store.decide(learn).await.expect("learns");
    at_home(&bench.components, mac(MAC));
    assert_eq!(asks(&bench).await, LocalBootMethod::EspLoader);
}

/// Anybody can ask in a machine's name, so nothing may be learnt from an unverified requester.
#[tokio::test]
async fn nothing_is_learnt_from_who_is_not_known_to_be_the_machine() {
    let (bench, key) = installed().await;
    assert_eq!(asks(&bench).await, LocalBootMethod::NextEntry);
    let (status, answer) = node_boots(&bench, &key, "node1").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(known(&bench), None);
}
