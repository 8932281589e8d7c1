//! Why a loader, a script, a kernel or an initrd does not come, or does nothing once it came.

use super::{Cause, Evidence, another_server, cause};
use crate::base::arch::Arch;

pub(super) fn loader_broken(case: &Evidence<'_>) -> Vec<Cause> {
    vec![
        cause("a firewall lets port 69 in but not the transfer, which has a port of its own each time")
            .tip("pxe-admin doctor")
            .tip("on NixOS: networking.firewall.allowedUDPPortRanges = [ { from = 32768; to = 60999; } ];"),
        cause("packets get lost: a cable, a port at half duplex, a VLAN or tunnel that takes less than 1500 octets")
            .tip("ip -s link")
            .tip(case.packets()),
        cause("it was switched off, or its firmware gave up and went on to the next entry of its boot order"),
    ]
}

pub(super) fn loader_silent(case: &Evidence<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if case.has_grub && case.setting.proxy {
        // GRUB 2.06 looks for its files at the next server of the packet that gave it its address.
        let ip = case.setting.address;
        causes.push(
            cause("GRUB asks the router for its files, because the address came from there")
                .tip(format!(
                    "have the router name {ip} as the next server (dnsmasq, OpenWrt: dhcp-boot=,,{ip})"
                ))
                .tip("or set `[dhcp] mode = \"server\"`, and switch the router's DHCP off"),
        );
        return causes;
    }
    if case.arch != Some(Arch::Bios) {
        causes.push(
            cause(
                "Secure Boot refused the loader, which is not signed; the screen says \"Access Denied\" or \"Security Violation\" for a moment",
            )
            .tip("switch Secure Boot off in the firmware setup, or put a signed shim and GRUB into `boot.grub-dir`"),
        );
    }
    causes.push(match case.arch {
        Some(Arch::Bios) => cause(
            "the card's ROM has a broken network driver, and undionly.kpxe relies on it",
        )
        .tip("in `boot.ipxe-dir`, put ipxe.pxe in place of undionly.kpxe, then systemctl restart pxe-appliance"),
        _ => cause(
            "the loader hangs on this card: some Intel I219-V, Realtek and Broadcom cards do, with one of its builds",
        )
        .tip("switch the machine off and on: each time it comes back like this, it is sent the next loader that there is"),
    });
    causes.push(
        cause("the loader restarts the link, and spanning tree holds the switch port longer than it waits")
            .tip("make the port an edge port (\"PortFast\")"),
    );
    causes.push(
        cause("the loader is for another architecture, or the file is damaged; the firmware went on to its next entry")
            .tip("pxe-admin doctor"),
    );
    causes
}

pub(super) fn script_not_fetched(case: &Evidence<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if case.setting.proxy && !case.took_address {
        causes.push(
            cause("iPXE got no address: in proxy mode the router's DHCP server must give one")
                .tip("switch the router's DHCP on, or set `[dhcp] mode = \"server\"`"),
        );
    }
    let (ip, port) = (case.setting.address, case.setting.http_port);
    causes.push(
        cause(format!(
            "HTTP does not come through: TCP {port} is closed in the host's firewall"
        ))
        .tip("pxe-admin doctor")
        .tip(format!(
            "from another computer: curl -sS http://{ip}:{port}/healthz"
        )),
    );
    causes.push(another_server());
    causes.push(
        cause("iPXE opened another of its cards, which has no cable")
            .tip("pull all cables but one"),
    );
    causes
}

pub(super) fn image_not_fetched(case: &Evidence<'_>) -> Vec<Cause> {
    let mut causes = vec![
        cause("kernel or initrd cannot be read on the appliance").tip("pxe-admin doctor"),
        cause("iPXE has too little memory for them; it says \"Out of memory\" or \"No space\"")
            .tip("the installer needs 1.5 GiB of RAM"),
    ];
    if case.arch != Some(Arch::Bios) {
        causes.push(
            cause(
                "Secure Boot is on, and the kernel is not signed by a key that this machine knows",
            )
            .tip("switch Secure Boot off in the firmware setup"),
        );
    }
    causes
}

pub(super) fn image_broken() -> Vec<Cause> {
    vec![
        cause("iPXE ran out of memory in the middle of the initrd; it says \"Out of memory\" or \"No space\"")
            .tip("the installer needs 1.5 GiB of RAM"),
        cause("the line broke: a cable, or a port at 10 Mbit/s or half duplex").tip("ip -s link"),
        cause("the appliance was restarted, or the machine switched off, in the middle")
            .tip("switch the machine off and on"),
    ]
}
