//! A machine that asks the network at every boot, and is sent to its disk by its loader.

use netboot::api::agent;
use netboot::base::arch::Arch;
use netboot::dhcp::request::Client;
use netboot::doctor::boot_trace::{Mark, Script};
use netboot::loader::local_boot::{Left, Loader, Way};
use netboot::machine::state::World;

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
        Mark::Discover {
            client: Client::Ipxe,
            arch: Arch::X64,
        },
    );
    for way in [Way::NextEntry, Way::EspLoader, Way::Done] {
        let left = Left {
            loader: Loader::IpxeUefi,
            way,
        };
        let given = Script::Disk {
            reason: "running; boots its own disk".to_owned(),
            way: Some(way),
        };
        components.boot.log.mark(mac, Mark::Script { given });
        let learn = move |world: &World, _| agent::came_back(world, mac, left);
        components.store.decide(learn).await.expect("learns");
        session.meanwhile(&format!("it came back after {way}"));
    }
    session.run("show node1").await;

    let left = Left {
        loader: Loader::IpxeUefi,
        way: Way::NextEntry,
    };
    let learn = move |world: &World, _| agent::left_to_disk(world, mac, left);
    components.store.decide(learn).await.expect("learns");
    session.meanwhile("its firmware was set right, and it came up");
    session.run("events node1 --after 15").await;
    session.run("show node1").await;
    session.check("leaving");
}
