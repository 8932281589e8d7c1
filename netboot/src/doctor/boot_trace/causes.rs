//! Where a boot is stuck, and in which firmware → what it usually is, and what to try. The usual ones first.
//!
//! The words are for somebody who stands beside the machine at night: what is wrong, then what to do, and a command
//! where there is one.

use super::Why;
use super::diagnosis::{Case, Cause, Point};
use crate::base::arch::Arch;
use crate::dhcp::request::Client;
use crate::install::report::Step;
use crate::loader::uefi::boot_order::{self, Entry};

/// The table.
pub(super) fn causes(point: &Point, case: &Case<'_>) -> Vec<Cause> {
    match point {
        Point::Unseen => unseen(case),
        Point::Unanswered(why, reason) => unanswered(*why, reason, case),
        Point::OfferIgnored => offer_ignored(case),
        Point::FileNotFetched => file_not_fetched(case),
        Point::NoFile(file, _) => no_file(file, case),
        Point::LoaderBroken => loader_broken(case),
        Point::LoaderSilent => loader_silent(case),
        Point::ScriptNotFetched => script_not_fetched(case),
        Point::KernelNotFetched | Point::InitrdNotFetched => image_not_fetched(case),
        Point::ImageBroken => image_broken(),
        Point::NoClaim => no_claim(case),
        Point::Waits => waits(case),
        Point::Step(step) => step_hangs(*step, case),
        Point::Failed(_, said) => failed(said, case),
        Point::GivenUp(said) => given_up(said, case),
        Point::NotRebooted | Point::DiskSilent => disk_silent(case),
        Point::NoWayToDisk(_) => no_way_to_disk(case),
        Point::OldSystem => old_system(),
        Point::NotJoined => not_joined(case),
    }
}

/// The boot order is not the one that the install left.
pub(super) fn reordered(order: &[Entry]) -> Vec<Cause> {
    let mut back = cause(
        "the firmware put the order back; it will not be installed again from afar like this",
    )
    .tip("in its setup, put the network before the disk");
    if let Some(command) = boot_order::mending(order) {
        back = back.tip(format!("or on the machine: {command}"));
    }
    vec![
        back,
        cause("somebody changed it in the setup, or with another system"),
    ]
}

fn waits(case: &Case<'_>) -> Vec<Cause> {
    let title = case.title();
    vec![
        cause("its profile says `wipe = \"ask\"`, it enrolled itself, or the disk is not the one it was installed on before; the machine waits, on or off")
            .tip(format!("see what would be gone: pxe-admin plan {title}"))
            .tip(format!("to have it wiped: pxe-admin confirm {title}"))
            .tip(format!("to leave it as it is: pxe-admin forget {title}")),
    ]
}

fn cause(what: impl Into<String>) -> Cause {
    Cause {
        what: what.into(),
        tips: Vec::new(),
    }
}

impl Cause {
    fn tip(mut self, tip: impl Into<String>) -> Self {
        self.tips.push(tip.into());
        self
    }
}

impl Case<'_> {
    fn title(&self) -> &str {
        &self.setting.title
    }

    fn is_uefi_pxe(&self) -> bool {
        self.client == Some(Client::Pxe) && self.arch != Some(Arch::Bios)
    }

    fn packets(&self) -> String {
        let title = self.title();
        format!("pxe-admin events --pcap {title} {title}.pcap && tcpdump -nvr {title}.pcap")
    }
}

fn another_server() -> Cause {
    cause("another PXE or DHCP server on the LAN answers it first").tip("pxe-admin doctor")
}

fn unseen(case: &Case<'_>) -> Vec<Cause> {
    vec![
        cause("it was not switched on since, or booted its disk: network boot is off, or behind the disk in its boot order")
            .tip("in the firmware setup, switch on network boot (\"PXE\", \"Network Stack\", \"UEFI Network\") and put it first; often F12 at power-on asks for it once"),
        cause("the cable is in another card than the one that boots, or in none").tip(format!(
            "compare the MAC on the firmware's screen with {}; `pxe-admin machines` lists what else asked",
            case.setting.mac
        )),
        cause("its switch port is in another VLAN than the appliance, or spanning tree holds the port for the first 30 s")
            .tip("make the port an edge port (\"PortFast\") in the appliance's VLAN"),
        cause("the host's firewall drops UDP 67 before the appliance sees it").tip("pxe-admin doctor"),
        cause("its firmware boots over Ethernet only, and it is on Wi-Fi or a USB adapter that it has no driver for"),
    ]
}

fn unanswered(why: Why, reason: &str, case: &Case<'_>) -> Vec<Cause> {
    let (title, mac) = (case.title(), case.setting.mac);
    vec![match why {
        Why::Stranger => cause("nobody enrolled it; strangers get silence")
            .tip(format!("pxe-admin enroll {mac} --profile NAME")),
        Why::Expired => cause("the order to install it is not in force any more")
            .tip(format!("pxe-admin reimage {title}")),
        Why::AttemptsUsed => cause("its install attempts are used up; `show` says what went wrong")
            .tip(format!("pxe-admin show {title}"))
            .tip(format!("pxe-admin reimage {title}")),
        Why::NoLoader => cause(format!("the appliance has no loader for it: {reason}"))
            .tip("pxe-admin doctor")
            .tip("put the loader into `boot.ipxe-dir` and restart the appliance"),
        Why::Disk => cause("it is to boot its own disk").tip(format!("pxe-admin reimage {title}")),
        Why::Trouble | Why::Unknown => cause(format!("the appliance could not: {reason}"))
            .tip("pxe-admin doctor")
            .tip("journalctl -u pxe-appliance -n 50"),
    }]
}

fn offer_ignored(case: &Case<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if case.setting.proxy && !case.took_address {
        causes.push(
            cause("nothing gave it an address: in proxy mode the router's DHCP server must")
                .tip("switch the router's DHCP on, or set `[dhcp] mode = \"server\"`"),
        );
    }
    causes.push(another_server());
    match case.client {
        Some(Client::Pxe) if case.is_uefi_pxe() => {
            if case.setting.proxy {
                causes.push(
                    cause("its question on port 4011 does not arrive: the host's firewall has UDP 4011 closed")
                        .tip("pxe-admin doctor")
                        .tip("on NixOS: networking.firewall.allowedUDPPorts = [ 67 69 4011 ];"),
                );
            }
            causes.push(
                cause("its firmware drops this form of the offer, as UEFI of 2014 to 2017 and some HP and Intel ROMs do")
                    .tip("leave it on, or switch it on again: each second time that it asks, it is answered in the next form")
                    .tip("update the firmware, or choose its HTTP boot entry instead of PXE"),
            );
        }
        Some(Client::Http) => causes.push(
            cause("its HTTP boot takes only https, or wants a certificate").tip(
                "in the firmware setup, allow plain HTTP for HTTP boot, or choose the PXE entry",
            ),
        ),
        Some(Client::RaspberryPi) => causes.push(
            cause("its boot ROM is too old for this form of answer, or waits for another server's")
                .tip("start it once from an SD card and run `sudo rpi-eeprom-update -a`"),
        ),
        _ => causes.push(
            cause("its ROM drops this form of the offer, or takes address and boot file from one server only")
                .tip("leave it on, or switch it on again: each second time that it asks, it is answered in the next form")
                .tip(
                "update the card's ROM, or have one server do both: `[dhcp] mode = \"server\"`",
            ),
        ),
    }
    causes.push(
        cause("the answers do not arrive: the switch filters DHCP answers (\"DHCP snooping\")")
            .tip("make the appliance's switch port a trusted one")
            .tip(case.packets()),
    );
    causes
}

fn file_not_fetched(case: &Case<'_>) -> Vec<Cause> {
    let ip = case.setting.address;
    vec![
        cause("TFTP does not come through: UDP 69 is closed in the host's firewall")
            .tip("pxe-admin doctor")
            .tip(format!(
                "from another computer: curl -v tftp://{ip}/{}/snponly.efi -o /dev/null",
                case.setting.mac.dashed()
            )),
        cause("it took the answer of another PXE server on 4011").tip("pxe-admin doctor"),
    ]
}

fn no_file(file: &str, case: &Case<'_>) -> Vec<Cause> {
    vec![
        cause("another DHCP server sends it here with a boot file of its own (options 66 and 67)")
            .tip("take the boot options out of the router's DHCP settings"),
        cause(format!(
            "`{}` is no file that this appliance gives to this machine",
            file.escape_debug()
        ))
        .tip("pxe-admin doctor")
        .tip(case.packets()),
    ]
}

fn loader_broken(case: &Case<'_>) -> Vec<Cause> {
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

fn loader_silent(case: &Case<'_>) -> Vec<Cause> {
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

fn script_not_fetched(case: &Case<'_>) -> Vec<Cause> {
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

fn image_not_fetched(case: &Case<'_>) -> Vec<Cause> {
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

fn image_broken() -> Vec<Cause> {
    vec![
        cause("iPXE ran out of memory in the middle of the initrd; it says \"Out of memory\" or \"No space\"")
            .tip("the installer needs 1.5 GiB of RAM"),
        cause("the line broke: a cable, or a port at 10 Mbit/s or half duplex").tip("ip -s link"),
        cause("the appliance was restarted, or the machine switched off, in the middle")
            .tip("switch the machine off and on"),
    ]
}

fn no_claim(case: &Case<'_>) -> Vec<Cause> {
    let (ip, port) = (case.setting.address, case.setting.node_port);
    vec![
        cause("the kernel stops: too little RAM (less than 1.5 GiB), or a kernel and an initrd of two builds")
            .tip("look at the screen")
            .tip("pxe-admin doctor"),
        cause("nothing is to be seen because the console is another")
            .tip("in `[images.installer]`, set cmdline = \"console=ttyS0 console=tty0\""),
        cause("the installer has no driver for the network card, or brings up another card than the one with the cable")
            .tip("pull all cables but one; on the console: ip -brief address"),
        cause(format!("TLS does not come through: TCP {port} is closed in the host's firewall"))
            .tip("pxe-admin doctor")
            .tip(format!("from another computer: curl -vk https://{ip}:{port}/")),
        cause("nothing gives the installer an address").tip("pxe-admin doctor"),
    ]
}

fn step_hangs(step: Step, case: &Case<'_>) -> Vec<Cause> {
    let mut causes = vec![cause("it was switched off, or lost its network").tip(
        "look at its console; switched off and on, it tries again as long as attempts are left",
    )];
    if step == Step::Copy {
        causes.insert(
            0,
            cause("the copy is slow: a port at 100 Mbit/s or less takes minutes for each gigabyte")
                .tip(format!("pxe-admin watch {}", case.title())),
        );
    }
    if matches!(
        step,
        Step::Partition | Step::Format | Step::TearDown | Step::Mount
    ) {
        causes.push(cause("its disk does not answer").tip("on its console: dmesg | tail"));
    }
    causes
}

fn failed(said: &[String], case: &Case<'_>) -> Vec<Cause> {
    vec![
        cause(said.join(": "))
            .tip("mend it, then switch the machine off and on for another attempt")
            .tip(format!("pxe-admin show {}", case.title())),
    ]
}

fn given_up(said: &[String], case: &Case<'_>) -> Vec<Cause> {
    let what = match said {
        [] => "no attempt left evidence that it ended well".to_owned(),
        said => said.join(": "),
    };
    let title = case.title();
    vec![
        cause(what)
            .tip(format!("pxe-admin show {title}"))
            .tip(format!("mend the cause, then: pxe-admin reimage {title}")),
    ]
}

fn disk_silent(case: &Case<'_>) -> Vec<Cause> {
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

fn no_way_to_disk(case: &Case<'_>) -> Vec<Cause> {
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

fn old_system() -> Vec<Cause> {
    vec![
        cause("its disk comes before network boot in its boot order").tip(
            "in the firmware setup, put network boot first; often F12 at power-on asks for it once",
        ),
    ]
}

fn not_joined(case: &Case<'_>) -> Vec<Cause> {
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
