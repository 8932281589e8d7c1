//! A machine that asks the network at every boot, and is sent to its disk by its loader.

use netboot::api::agent;
use netboot::base::arch::Arch;
use netboot::dhcp::request::BootClient;
use netboot::doctor::boot_trace::{BootEvent, IpxeScript};
use netboot::loader::local_boot::{BootLoader, Departure, LocalBootMethod};
use netboot::machine::state::ApplianceState;

use super::golden::Session;
use crate::testing::bench::{Agent, MAC, TOPLEVEL, node_boots};

#[tokio::test]
async fn ways_to_the_disk() {
    let mut session = Session::new();
    let bench = &session.served.bench;
    bench.release("plain", TOPLEVEL).await;
    bench.enroll(MAC, "plain", "node1").await;
    let ticket = bench.boots(MAC).await;
    let key = Agent::claims(bench, &ticket).await.installs().await;
    node_boots(bench, &key, "node1").await;
    let components = bench.components.clone();
    let mac = MAC.parse().expect("a MAC");
    components.boot.log.mark(
        mac,
        BootEvent::Discover {
            client: BootClient::Ipxe,
            arch: Arch::X64,
        },
    );
    for way in [
        LocalBootMethod::NextEntry,
        LocalBootMethod::EspLoader,
        LocalBootMethod::Done,
    ] {
        let left = Departure {
            loader: BootLoader::IpxeUefi,
            way,
        };
        let given = IpxeScript::Disk {
            reason: "running; boots its own disk".to_owned(),
            way: Some(way),
        };
        components.boot.log.mark(mac, BootEvent::Script { given });
        let learn = move |state: &ApplianceState, _| agent::came_back(state, mac, left);
        components.store.decide(learn).await.expect("learns");
        session.meanwhile(&format!("it came back after {way}"));
    }
    session.run("show node1").await;

    let left = Departure {
        loader: BootLoader::IpxeUefi,
        way: LocalBootMethod::NextEntry,
    };
    let learn = move |state: &ApplianceState, _| agent::left_to_disk(state, mac, left);
    components.store.decide(learn).await.expect("learns");
    session.meanwhile("its firmware was set right, and it came up");
    session.run("events node1 --after 15").await;
    session.run("show node1").await;
    session.check("leaving");
}
