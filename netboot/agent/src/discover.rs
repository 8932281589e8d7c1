//! Tells the appliance what is in a machine that nobody enrolled. Has no way to write to a disk: see [`ReadAccess`].

use std::time::Duration;

use anyhow::Context as _;
use netboot::api::types::DiscoveredRequest;

use crate::access::{NodeCall, ReadAccess, Roots};
use crate::at_rest::at_rest;
use crate::cmdline::DiscoveryOrder;
use crate::inventory::inventory;
use crate::steps::settle;
use crate::talk::{self, PATIENCE};

/// How long the agent tries to reach the appliance. The machine belongs to somebody, and has its own disk to boot.
const LIMIT: Duration = Duration::from_secs(300);

/// Makes the inventory, and tells it to the appliance.
///
/// # Errors
/// The appliance refused it, or did not answer in time. The machine is as it was.
pub(crate) fn discover(
    access: &mut dyn ReadAccess,
    roots: &Roots,
    discovery: &DiscoveryOrder,
) -> anyhow::Result<()> {
    access.say("looking at this machine; nothing is written to its disks");
    settle(access);
    at_rest(access, roots);
    let hardware = inventory(access, roots);
    for disk in &hardware.disks {
        access.say(&format!("  disk {}", disk.description()));
    }
    let mac = discovery.mac;
    let body = serde_json::to_string(&DiscoveredRequest { mac, hardware })
        .context("cannot write the inventory")?;
    let call = NodeCall {
        path: "/node/v1/discovered",
        bearer: None,
        body,
        patience: PATIENCE,
    };
    talk::tell_within(access, &call, LIMIT).context("the appliance could not be told")?;
    access.say(&format!(
        "told the appliance; to install this machine: pxe-admin plan {mac}, then pxe-admin enroll {mac}"
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use netboot::base::refusal::{Refusal, RefusalCode};
    use netboot::disk::hardware::Firmware;

    use super::*;
    use crate::fake::{FakeAnswer, FakeMachine};
    use netboot_pin::Pin;

    fn run(fake: &mut FakeMachine) -> anyhow::Result<()> {
        let roots = fake.roots();
        let discovery = DiscoveryOrder {
            url: "https://10.77.0.1:8443".to_owned(),
            pin: Pin::of(b"the appliance"),
            mac: "52:54:00:12:34:56".parse().expect("a MAC"),
        };
        discover(fake, &roots, &discovery)
    }

    #[test]
    fn it_tells_the_hardware_and_runs_nothing_but_what_looks() {
        let mut fake = FakeMachine::machine(Firmware::Uefi);
        fake.away("/node/v1/discovered", 3);
        run(&mut fake).expect("tells");
        let bodies = fake.bodies("/node/v1/discovered");
        assert_eq!(bodies.len(), 4);
        let told: DiscoveredRequest = serde_json::from_str(bodies[3]).expect("one");
        assert_eq!(told.mac.to_string(), "52:54:00:12:34:56");
        assert_eq!(told.hardware.disks.len(), 2);
        let looks = |line: &&String| {
            ["wipefs --json ", "udevadm settle ", "zpool version"]
                .iter()
                .any(|look| line.starts_with(look))
        };
        let others: Vec<_> = fake.log.iter().filter(|l| !looks(l)).collect();
        assert_eq!(others, [""; 0]);
        assert_eq!(fake.bearers("/node/v1/discovered"), [""; 0]);
    }

    #[test]
    fn it_does_not_ask_for_ever() {
        let mut fake = FakeMachine::machine(Firmware::Bios);
        fake.away("/node/v1/discovered", 1000);
        let error = run(&mut fake).expect_err("gives up");
        assert!(format!("{error:#}").contains("no answer"), "{error:#}");
        assert!(fake.elapsed() < LIMIT + Duration::from_secs(30));

        let mut fake = FakeMachine::machine(Firmware::Bios);
        let known = Refusal::new(RefusalCode::WrongState, "its hardware is known already");
        fake.answer("/node/v1/discovered", FakeAnswer::Refusal(409, known));
        run(&mut fake).expect_err("is not wanted");
        assert_eq!(fake.calls("/node/v1/discovered"), 1);
    }
}
