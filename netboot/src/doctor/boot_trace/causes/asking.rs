//! Why a machine is not heard of, not answered, or does not take what it is offered.

use super::{Cause, Evidence, another_server, cause};
use crate::dhcp::request::BootClient;
use crate::doctor::boot_trace::NoAnswerReason;

pub(super) fn unseen(case: &Evidence<'_>) -> Vec<Cause> {
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

pub(super) fn unanswered(why: NoAnswerReason, reason: &str, case: &Evidence<'_>) -> Vec<Cause> {
    let (title, mac) = (case.title(), case.setting.mac);
    vec![match why {
        NoAnswerReason::Stranger => cause("nobody enrolled it; strangers get silence")
            .tip(format!("pxe-admin enroll {mac} --profile NAME")),
        NoAnswerReason::Expired => cause("the order to install it is not in force any more")
            .tip(format!("pxe-admin reimage {title}")),
        NoAnswerReason::AttemptsUsed => {
            cause("its install attempts are used up; `show` says what went wrong")
                .tip(format!("pxe-admin show {title}"))
                .tip(format!("pxe-admin reimage {title}"))
        }
        NoAnswerReason::NoLoader => cause(format!("the appliance has no loader for it: {reason}"))
            .tip("pxe-admin doctor")
            .tip("put the loader into `boot.ipxe-dir` and restart the appliance"),
        NoAnswerReason::Disk => {
            cause("it is to boot its own disk").tip(format!("pxe-admin reimage {title}"))
        }
        NoAnswerReason::Trouble | NoAnswerReason::Unknown => {
            cause(format!("the appliance could not: {reason}"))
                .tip("pxe-admin doctor")
                .tip("journalctl -u pxe-appliance -n 50")
        }
    }]
}

pub(super) fn offer_ignored(case: &Evidence<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if case.setting.proxy && !case.took_address {
        causes.push(
            cause("no DHCP server gave it an address: in proxy mode the router's DHCP server must")
                .tip("switch the router's DHCP on, or set `[dhcp] mode = \"server\"`"),
        );
    }
    causes.push(another_server());
    match case.client {
        Some(BootClient::Pxe) if case.is_uefi_pxe() => {
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
        Some(BootClient::Http) => causes.push(
            cause("its HTTP boot takes only https, or wants a certificate").tip(
                "in the firmware setup, allow plain HTTP for HTTP boot, or choose the PXE entry",
            ),
        ),
        Some(BootClient::RaspberryPi) => causes.push(
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

pub(super) fn file_not_fetched(case: &Evidence<'_>) -> Vec<Cause> {
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

pub(super) fn no_file(file: &str, case: &Evidence<'_>) -> Vec<Cause> {
    vec![
        cause("another DHCP server sends it here with a boot file of its own (options 66 and 67)")
            .tip("take the boot options out of the router's DHCP settings"),
        cause(format!(
            "`{}` is not a file that this appliance gives to this machine",
            file.escape_debug()
        ))
        .tip("pxe-admin doctor")
        .tip(case.packets()),
    ]
}
