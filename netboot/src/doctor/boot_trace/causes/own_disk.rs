//! Why an installed machine does not come up from its disk, or not by way of the network.

use super::{Cause, Evidence, cause};
use crate::base::arch::Arch;
use crate::loader::uefi::boot_order::{self, BootEntry};

/// The boot order is not the one that the install left.
pub(in crate::doctor::boot_trace) fn reordered(order: &[BootEntry]) -> Vec<Cause> {
    let mut back = cause(
        "the firmware put the order back; it will not be installed again from afar like this",
    )
    .tip("in its setup, put the network before the disk");
    if let Some(command) = boot_order::fix_command(order) {
        back = back.tip(format!("or on the machine: {command}"));
    }
    vec![
        back,
        cause("somebody changed it in the setup, or with another system"),
    ]
}

pub(super) fn disk_silent(case: &Evidence<'_>) -> Vec<Cause> {
    let (ip, port) = (case.setting.address, case.setting.node_port);
    let title = case.title();
    let mut causes = vec![
        cause("the firmware does not find its disk: the disk is missing in its boot order")
            .tip("in the firmware setup, put the disk (\"Linux Boot Manager\", \"NixOS\") behind network boot"),
        cause("it was installed under UEFI and boots in BIOS mode, or the other way round")
            .tip("in the firmware setup, choose one mode (\"CSM\" off), then install it again")
            .tip(format!("pxe-admin reimage {title}")),
        cause("the system stops on its way up").tip("look at its console"),
        cause(format!("it runs, and cannot reach the appliance on TCP {port}"))
            .tip("on the node: journalctl -b | grep netboot")
            .tip(format!("on the node: curl -vk https://{ip}:{port}/")),
    ];
    if let Some(way) = case.way {
        let stops = format!("it stops on the way that its loader was sent: {way}");
        let next = "switch it off and on; where that ends the same within 15 minutes, it is sent the next way";
        causes.insert(0, cause(stops).tip(next));
    }
    causes
}

pub(super) fn no_way_to_disk(case: &Evidence<'_>) -> Vec<Cause> {
    let title = case.title();
    let mut causes = vec![
        cause("its firmware asks the network again, whatever its loader does")
            .tip("in the firmware setup, put the disk (\"Installed by netboot\", \"NixOS\") directly behind network boot")
            .tip("or put it first, and press F12 at power-on when it is to be installed again"),
        cause("there is nothing on its disk that starts: the disk is another one, or it was installed for BIOS and boots as UEFI, or the other way round")
            .tip(format!("pxe-admin reimage {title}")),
    ];
    if case.arch != Some(Arch::Bios) {
        causes.push(
            cause("its iPXE is older than March 2024, and cannot start the disk's own loader on UEFI")
                .tip("put a newer one where it gets iPXE from: the card's ROM, the router, or `boot.ipxe-dir`"),
        );
    }
    causes.push(
        cause("something other than this appliance makes it netboot each time")
            .tip("take the boot options (66 and 67, `dhcp-boot`) out of the router's DHCP settings; this appliance leaves an installed machine alone"),
    );
    causes
}

pub(super) fn old_system() -> Vec<Cause> {
    vec![
        cause("its disk comes before network boot in its boot order").tip(
            "in the firmware setup, put network boot first; often F12 at power-on asks for it once",
        ),
    ]
}

pub(super) fn not_joined(case: &Evidence<'_>) -> Vec<Cause> {
    let title = case.title();
    vec![
        cause("k3s is still coming up, or cannot reach its server or pull its images")
            .tip("on the node: journalctl -u k3s -n 50"),
        cause("the appliance cannot ask the cluster").tip("pxe-admin doctor"),
        cause(format!(
            "the cluster knows `{title}` and refuses it, or calls it not Ready"
        ))
        .tip(format!("kubectl describe node {title}")),
    ]
}
