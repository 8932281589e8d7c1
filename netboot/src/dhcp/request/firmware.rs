//! The firmware that asks: its architecture, and the kind of answer that it understands.

use crate::base::arch::Arch;

use serde::{Deserialize, Serialize};

use super::options::{DhcpOptions, code};
use crate::base::mac::Mac;

/// The program that talks; the kind of answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootClient {
    /// A PXE ROM, or UEFI's PXE: it wants a loader over TFTP.
    Pxe,
    /// UEFI HTTP boot: it wants a loader's URL, and its class echoed.
    Http,
    /// iPXE, whichever way it came to run: it wants the script.
    Ipxe,
    /// The boot ROM of a Raspberry Pi: it wants its firmware over TFTP, by serial number.
    RaspberryPi,
    /// U-Boot: it wants `pxelinux.cfg` over TFTP from the server that gave it its address.
    UBoot,
    /// U-Boot that asks once more, as UEFI: it wants a loader over TFTP, from that server too.
    UBootUefi,
}

impl BootClient {
    /// Whether it asks the server that leased its address for its files, and takes an offer without an address for a
    /// lease. Beside the network's own DHCP server such a client cannot be helped.
    pub fn follows_its_lease(self) -> bool {
        matches!(self, Self::UBoot | Self::UBootUefi)
    }
}

/// The netboot part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetbootRequest {
    pub arch: Arch,
    pub client: BootClient,
}

/// The address blocks that Raspberry Pi boards have (IEEE registry).
const RASPBERRY_PI: [[u8; 3]; 6] = [
    [0xb8, 0x27, 0xeb],
    [0xdc, 0xa6, 0x32],
    [0xe4, 0x5f, 0x01],
    [0x28, 0xcd, 0xc1],
    [0xd8, 0x3a, 0xdd],
    [0x2c, 0xcf, 0x67],
];

/// Whether a card is one that Raspberry Pi boards have.
pub fn is_raspberry_pi_card(mac: Mac) -> bool {
    let octets = mac.octets();
    RASPBERRY_PI.iter().any(|block| octets.starts_with(block))
}

impl NetbootRequest {
    /// `None` for a client that does not want to netboot.
    pub(super) fn read(options: &DhcpOptions, mac: Mac) -> Option<Self> {
        let class = options.bytes(code::VENDOR_CLASS).unwrap_or_default();
        // The option is a list (RFC 4578 §2.1); the first is the one that runs. Without it, the class says it
        // in decimal; without both, the machine is of the time when there was only BIOS.
        let listed = options
            .bytes(code::ARCH)
            .and_then(|value| value.first_chunk::<2>());
        let number = listed
            .map(|pair| u16::from_be_bytes(*pair))
            .or_else(|| arch_of_class(class));
        let client = if options.bytes(code::USER_CLASS).is_some_and(is_ipxe) {
            BootClient::Ipxe
        } else if is_u_boot(class) {
            BootClient::UBoot
        } else if is_raspberry_pi(options, mac, number) {
            BootClient::RaspberryPi
        } else if class.starts_with(b"HTTPClient") {
            BootClient::Http
        } else if class.starts_with(b"PXEClient") {
            if is_u_boot_as_uefi(options) {
                BootClient::UBootUefi
            } else {
                BootClient::Pxe
            }
        } else {
            return None;
        };
        let arch = match client {
            BootClient::RaspberryPi => Arch::Arm64,
            _ => Arch::from_registry(number.unwrap_or(0)),
        };
        Some(Self { arch, client })
    }
}

/// `U-Boot.armv8`; releases of 2014 to 2016 wrote `U-boot.armv8`.
fn is_u_boot(class: &[u8]) -> bool {
    class
        .get(..6)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"U-Boot"))
}

/// U-Boot takes over the class of UEFI's PXE, and goes on to say in option 94 that its network interface is of version
/// 0.0 (u-boot net/bootp.c, dhcp_extended). No other firmware does: UEFI has 3, BIOS ROMs have 2.
fn is_u_boot_as_uefi(options: &DhcpOptions) -> bool {
    options.bytes(code::INTERFACE) == Some(&[1, 0, 0])
}

/// The ROM says architecture 0 like a BIOS (a Pi 5 in its first releases, too), or 41; its REQUEST has no class at
/// all, so the board is known by its address or by the form of its GUID. UEFI on a Pi says 11 and is ordinary; Linux
/// on it sends neither architecture nor GUID.
fn is_raspberry_pi(options: &DhcpOptions, mac: Mac, number: Option<u16>) -> bool {
    let guid = options.bytes(code::GUID);
    let board = is_raspberry_pi_card(mac);
    match number {
        Some(41) => true,
        None | Some(0) => {
            guid.is_some_and(|guid| raspberry_pi_serial(guid).is_some())
                || board && (guid.is_some() || number.is_some())
        }
        Some(_) => false,
    }
}

/// Option 97 of a Pi 4 and later: the letters `RPi` and the model, the board's revision, four octets of its MAC, and its
/// serial number, little-endian. The result is the folder that the ROM asks TFTP for.
pub(super) fn raspberry_pi_serial(guid: &[u8]) -> Option<String> {
    let [
        0,
        b'R',
        b'P',
        b'i',
        b'4'..=b'9',
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        a,
        b,
        c,
        d,
    ] = guid
    else {
        return None;
    };
    Some(format!("{d:02x}{c:02x}{b:02x}{a:02x}"))
}

/// iPXE sends its user class bare, not as RFC 3004 wants it; other builds follow the RFC. Both count.
fn is_ipxe(user_class: &[u8]) -> bool {
    let mut rest = user_class;
    if rest.starts_with(b"iPXE") {
        return true;
    }
    while let [length, after @ ..] = rest {
        let Some((class, after)) = after.split_at_checked(usize::from(*length)) else {
            return false;
        };
        if class == b"iPXE" {
            return true;
        }
        rest = after;
    }
    false
}

/// `PXEClient:Arch:00007:UNDI:003016` → 7; the same with `HTTPClient`.
fn arch_of_class(class: &[u8]) -> Option<u16> {
    let digits = class
        .strip_prefix(b"PXEClient:Arch:")
        .or_else(|| class.strip_prefix(b"HTTPClient:Arch:"))?
        .get(..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The uuid as SMBIOS tools print it: the first three fields are little-endian (RFC 4578 §2.3, SMBIOS §7.2.1). `None` for
/// another length, for one octet repeated, or for a Raspberry Pi's own form.
pub(super) fn smbios_uuid(option: &[u8]) -> Option<String> {
    if raspberry_pi_serial(option).is_some() {
        return None;
    }
    let [0, uuid @ ..] = option else { return None };
    let [a, b, c, d, e, f, g, h, rest @ ..] = <[u8; 16]>::try_from(uuid).ok()?;
    let mut all = [a, b, c, d, e, f, g, h].into_iter().chain(rest);
    // A Pi 3 says 0x44 sixteen times, other boards 0 or 0xff: all the same octet names no machine.
    if all.all(|octet| octet == a) {
        return None;
    }
    let [i, j, k, l, m, n, o, p] = rest;
    Some(format!(
        "{d:02x}{c:02x}{b:02x}{a:02x}-{f:02x}{e:02x}-{h:02x}{g:02x}-{i:02x}{j:02x}-{k:02x}{l:02x}{m:02x}{n:02x}{o:02x}{p:02x}"
    ))
}
