//! The decision and the request → the bytes of a DHCP answer.

use std::net::Ipv4Addr;

use dhcproto::v4::{DhcpOption, UnknownOption};

use crate::base::address::ApplianceAddress;
use crate::base::arch::Arch;
use crate::base::mac::Mac;
use crate::dhcp::offer_fallback::OfferForm;
use crate::dhcp::request::{BootClient, NetbootRequest, Request};
use crate::loader::script;

mod builder;
mod fqdn;
mod proxy;
mod server;

pub use builder::AnswerError;
use builder::ReplyBuilder;
pub use proxy::{binl_ack, proxy_offer};
pub use server::server_answers;

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// 255.255.255.255 port 68, out of the interface the request came in on.
    Broadcast,
    /// The client's own address, port 68.
    Client(Ipv4Addr),
    /// The card of a client that has no address yet, with the address it is given, port 68: ARP would ask
    /// for an address that nobody has (RFC 2131 §4.1).
    Unconfigured { mac: Mac, address: Ipv4Addr },
    /// The relay that sent it, port 67.
    Relay(Ipv4Addr),
    /// The address and port that the packet came from (port 4011).
    Sender,
}

/// An answer ready to send.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpReply {
    pub bytes: Vec<u8>,
    pub to: ReplyTo,
    /// For the log: what was given, such as `offer: snponly.efi`.
    pub given: String,
}

/// What a machine is told to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootFile {
    /// A path on TFTP, such as `52-54-00-12-34-56/snponly.efi`: the machine's own folder tells TFTP who asks.
    Loader(String),
    /// The same for UEFI HTTP boot, as an absolute URL: firmware without DNS cannot use names.
    Url(String),
    /// The boot script's URL, for iPXE.
    Script(String),
    /// No file: the ROM knows the names of its files, and asks only for the server (Raspberry Pi, U-Boot).
    Server,
}

impl BootFile {
    fn as_str(&self) -> &str {
        match self {
            Self::Loader(text) | Self::Url(text) | Self::Script(text) => text,
            Self::Server => "",
        }
    }

    /// For a log line: the loader's name without its folder, or `boot script`.
    fn log_name(&self) -> &str {
        match self {
            Self::Loader(path) | Self::Url(path) => path.rsplit('/').next().unwrap_or(path),
            Self::Script(_) => "boot script",
            Self::Server => "the TFTP server",
        }
    }
}

/// The loaders for firmware that cannot read a script, best first; the next is tried when one did not get a machine
/// to its script.
///
/// `snponly.efi` before `ipxe.efi`, whose own drivers hang on some I219-V, Realtek and Broadcom cards (ipxe#541,
/// #973). The signed forms come last: a machine with Secure Boot refuses what stands before them and takes those. First
/// iPXE's own shim, which starts the `snponly.efi` or `ipxe.efi` of its name; then the shim of a distribution, whose
/// GRUB loads everything over TFTP. U-Boot's UEFI runs no shim, which asks it for a file system that it has not; it runs
/// GRUB by itself.
pub fn loaders(boot: NetbootRequest) -> &'static [&'static str] {
    match (boot.client, boot.arch) {
        (BootClient::Pxe, Arch::Bios) => &["undionly.kpxe"],
        (BootClient::Pxe, Arch::X64) => &[
            "snponly.efi",
            "ipxe.efi",
            "snponly-shimx64.efi",
            "ipxe-shimx64.efi",
            "shimx64.efi",
        ],
        (BootClient::Http, Arch::X64) => &["snponly.efi", "ipxe.efi"],
        (BootClient::Pxe, Arch::X86) => &["snponly-i386.efi", "ipxe-i386.efi", "shimia32.efi"],
        (BootClient::Http, Arch::X86) => &["snponly-i386.efi", "ipxe-i386.efi"],
        (BootClient::Pxe, Arch::Arm64) => &[
            "snponly-arm64.efi",
            "ipxe-arm64.efi",
            "shimaa64.efi",
            "grubaa64.efi",
        ],
        (BootClient::UBootUefi, Arch::Arm64) => {
            &["snponly-arm64.efi", "ipxe-arm64.efi", "grubaa64.efi"]
        }
        (BootClient::Http, Arch::Arm64) => &["snponly-arm64.efi", "ipxe-arm64.efi"],
        (BootClient::Pxe | BootClient::UBootUefi, Arch::Riscv64) => {
            &["snponly-riscv64.efi", "grubriscv64.efi"]
        }
        (BootClient::Http, Arch::Riscv64) => &["snponly-riscv64.efi"],
        _ => &[],
    }
}

/// What `boot` is told to load; `loader` is the one chosen from [`loaders`]. `None` if it needs a loader and there is none.
///
/// Once iPXE talks it gets the script and never the loader again, or it would load itself for ever.
pub fn boot_file(
    request: &Request,
    boot: NetbootRequest,
    loader: Option<&str>,
    address: &ApplianceAddress,
) -> Option<BootFile> {
    let (http, mac) = (address.http(), request.mac);
    match boot.client {
        BootClient::Ipxe => Some(BootFile::Script(script::ipxe::url(address, mac))),
        BootClient::Pxe | BootClient::UBootUefi => {
            Some(BootFile::Loader(format!("{}/{}", mac.dashed(), loader?)))
        }
        // The file's kind is known by the end of its name (EDK2 HttpBootDxe), so the machine is a folder here too.
        BootClient::Http => Some(BootFile::Url(format!(
            "{http}/loaders/{}/{}",
            mac.dashed(),
            loader?
        ))),
        BootClient::RaspberryPi | BootClient::UBoot => Some(BootFile::Server),
    }
}

fn relay_or(request: &Request, to: ReplyTo) -> ReplyTo {
    if request.giaddr.is_unspecified() {
        to
    } else {
        ReplyTo::Relay(request.giaddr)
    }
}

/// Puts the boot file into the header, where BIOS ROMs look, and into options 66 and 67, where it may be longer; into one
/// of the two only where the firmware is known to stumble over the other.
fn name_boot_file(
    reply: &mut ReplyBuilder<'_>,
    file: &BootFile,
    form: OfferForm,
    address: &ApplianceAddress,
) {
    reply.siaddr(address.ip);
    if form != OfferForm::InOptions {
        reply.file_in_header(file);
    }
    if form == OfferForm::InHeader {
        return;
    }
    let mut name = file.as_str().as_bytes().to_vec();
    match file {
        BootFile::Loader(_) => {
            // EDK2 writes a NUL behind option 67 if it finds none, into the option that follows.
            name.push(0);
            reply.require(tftp_server(address));
            reply.require(DhcpOption::BootfileName(name));
        }
        BootFile::Url(_) | BootFile::Script(_) => reply.require(DhcpOption::BootfileName(name)),
        BootFile::Server => reply.require(tftp_server(address)),
    }
}

fn tftp_server(address: &ApplianceAddress) -> DhcpOption {
    DhcpOption::TFTPServerName(address.ip.to_string().into_bytes())
}

/// The class (option 60), whose first nine or ten octets the firmware compares before it believes the rest: EDK2's PXE and
/// iPXE want `PXEClient`, EDK2's HTTP boot wants `HTTPClient` in OFFER and ACK.
fn class(boot: NetbootRequest) -> DhcpOption {
    let class: &[u8] = match boot.client {
        BootClient::Http => b"HTTPClient",
        BootClient::Pxe
        | BootClient::Ipxe
        | BootClient::RaspberryPi
        | BootClient::UBoot
        | BootClient::UBootUefi => b"PXEClient",
    };
    DhcpOption::ClassIdentifier(class.to_vec())
}

/// PXE 2.1 §2.2.3: sub-option 6 = 8 says "take the file from this offer, ask nobody else".
fn take_it_from_here() -> DhcpOption {
    DhcpOption::VendorExtensions(vec![6, 1, 8, 255])
}

/// The boot menu that the ROM of a Raspberry Pi looks for: it has one entry, of this very name.
fn raspberry_pi_menu() -> DhcpOption {
    let name = b"Raspberry Pi Boot";
    let mut menu = vec![6, 1, 3, 10, 4, 0, b'P', b'X', b'E'];
    menu.extend([9, 20, 0, 0, 17]);
    menu.extend_from_slice(name);
    menu.push(255);
    DhcpOption::VendorExtensions(menu)
}

/// Option 175.176, `no-pxedhcp`: without it iPXE waits for a proxy offer that never comes.
fn no_proxy() -> DhcpOption {
    DhcpOption::Unknown(UnknownOption::new(175.into(), vec![176, 1, 1]))
}

#[cfg(test)]
mod tests;
