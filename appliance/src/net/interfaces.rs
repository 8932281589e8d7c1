//! Picks the network interface that is the LAN, and says why; or lists what there is and what to write.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use netboot::base::mac::Mac;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use super::route;

/// What is known of one network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub up: bool,
    pub loopback: bool,
    /// Not an Ethernet at all: tunnels, PPP, WireGuard.
    pub ethernet: bool,
    pub wireless: bool,
    /// Whether the default route goes over it.
    pub default_route: bool,
    /// The bridge or bond that it is a part of.
    pub part_of: Option<String>,
    pub mac: Option<Mac>,
    /// IPv4 addresses and their netmasks, in the kernel's order.
    pub addresses: Vec<(Ipv4Addr, Ipv4Addr)>,
}

/// The interface that machines boot from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lan {
    pub interface: String,
    pub address: Ipv4Addr,
    pub netmask: Ipv4Addr,
    /// Its own card: packets from it are the appliance's own.
    pub mac: Option<Mac>,
    pub wireless: bool,
    pub default_route: bool,
    /// For the log line at start.
    pub why: String,
}

impl Lan {
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = self.netmask.to_bits();
        address.to_bits() & mask == self.address.to_bits() & mask
    }
}

/// `10.77.0.1/24`
impl fmt::Display for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.address,
            self.netmask.to_bits().count_ones()
        )
    }
}

/// Why there is no LAN to serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLan {
    #[error("there is no network interface `{wanted}` on this machine")]
    Absent { wanted: String, known: Vec<String> },
    #[error("`{0}` has no IPv4 address")]
    NoAddress(String),
    #[error("`{interface}` does not have the address `{address}`; it has {has}")]
    OtherAddress {
        interface: String,
        address: Ipv4Addr,
        has: String,
    },
    #[error("no interface has the address `{0}`")]
    NobodyHas(Ipv4Addr),
    #[error("no network interface can be the LAN")]
    None { passed_over: Vec<String> },
    #[error("{} network interfaces could be the LAN", candidates.len())]
    Several { candidates: Vec<(String, Ipv4Addr)> },
}

impl NoLan {
    /// What was seen, one line each.
    pub fn facts(&self) -> Vec<String> {
        match self {
            Self::Absent { known, .. } => vec![format!("there are: {}", known.join(", "))],
            Self::None { passed_over } => passed_over.clone(),
            Self::Several { candidates } => candidates
                .iter()
                .map(|(name, address)| format!("{name} has {address}"))
                .collect(),
            Self::NoAddress(_) | Self::OtherAddress { .. } | Self::NobodyHas(_) => Vec::new(),
        }
    }

    /// What to write or run.
    pub fn tip(&self) -> String {
        match self {
            Self::Several { candidates } => format!(
                "write into appliance.toml: [lan] interface = \"{}\"",
                candidates.first().map_or("…", |(name, _)| name)
            ),
            Self::NoAddress(name) => {
                format!("give it one, such as `ip address add 10.77.0.1/24 dev {name}`")
            }
            Self::None { .. } => {
                "give an Ethernet interface an address, or write [lan] interface = \"…\"".to_owned()
            }
            Self::Absent { .. } | Self::OtherAddress { .. } | Self::NobodyHas(_) => {
                "see `ip -brief address`".to_owned()
            }
        }
    }
}

/// Chooses the LAN: the configured interface as it is, otherwise the one candidate, which must be the only one.
pub fn choose(
    interfaces: &[Interface],
    wanted: Option<&str>,
    address: Option<Ipv4Addr>,
) -> Result<Lan, NoLan> {
    match (wanted, address) {
        (Some(name), address) => {
            let interface = interfaces.iter().find(|i| i.name == name);
            let interface = interface.ok_or_else(|| NoLan::Absent {
                wanted: name.to_owned(),
                known: interfaces.iter().map(|i| i.name.clone()).collect(),
            })?;
            take(interface, address, "configured")
        }
        (None, Some(address)) => {
            let owner = |i: &&Interface| i.addresses.iter().any(|(a, _)| *a == address);
            let interface = interfaces.iter().find(owner);
            let interface = interface.ok_or(NoLan::NobodyHas(address))?;
            take(interface, Some(address), "it has the configured address")
        }
        (None, None) => obvious(interfaces),
    }
}

fn obvious(interfaces: &[Interface]) -> Result<Lan, NoLan> {
    let mut candidates = Vec::new();
    let mut passed_over = Vec::new();
    for interface in interfaces {
        match unfit(interface) {
            None => candidates.push(interface),
            Some(why) => passed_over.push(format!("{}: {why}", interface.name)),
        }
    }
    match candidates.as_slice() {
        [only] => take(
            only,
            None,
            "the only Ethernet interface that is up and has an IPv4 address",
        ),
        [] => Err(NoLan::None { passed_over }),
        several => Err(NoLan::Several {
            candidates: several
                .iter()
                .map(|i| (i.name.clone(), i.addresses[0].0))
                .collect(),
        }),
    }
}

/// Why an interface is the LAN only if the configuration names it.
fn unfit(interface: &Interface) -> Option<String> {
    if interface.loopback {
        Some("loopback".to_owned())
    } else if !interface.up {
        Some("is down".to_owned())
    } else if interface.wireless {
        Some("Wi-Fi; firmware does not boot over it".to_owned())
    } else if !interface.ethernet {
        Some("is not an Ethernet".to_owned())
    } else if let Some(whole) = &interface.part_of {
        Some(format!("is a part of `{whole}`"))
    } else if is_of_containers(&interface.name) {
        Some("belongs to containers or virtual machines".to_owned())
    } else if interface.addresses.is_empty() {
        Some("has no IPv4 address".to_owned())
    } else {
        None
    }
}

/// Bridges that container engines and libvirt make and number themselves.
fn is_of_containers(name: &str) -> bool {
    const MADE_BY_ENGINES: [&str; 9] = [
        "docker", "podman", "virbr", "cni", "flannel", "lxcbr", "lxdbr", "incusbr", "vnet",
    ];
    // Docker names the bridge of a network `br-` and twelve hexadecimal digits.
    let docker_network = name
        .strip_prefix("br-")
        .is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    docker_network || MADE_BY_ENGINES.iter().any(|p| name.starts_with(p))
}

fn take(interface: &Interface, address: Option<Ipv4Addr>, why: &str) -> Result<Lan, NoLan> {
    let found = match address {
        None => interface.addresses.first(),
        Some(wanted) => interface.addresses.iter().find(|(a, _)| *a == wanted),
    };
    match (found, address, interface.addresses.as_slice()) {
        (Some((address, netmask)), _, _) => Ok(Lan {
            interface: interface.name.clone(),
            address: *address,
            netmask: *netmask,
            mac: interface.mac,
            wireless: interface.wireless,
            default_route: interface.default_route,
            why: why.to_owned(),
        }),
        (None, Some(address), has @ [_, ..]) => Err(NoLan::OtherAddress {
            interface: interface.name.clone(),
            address,
            has: has
                .iter()
                .map(|(a, _)| format!("`{a}`"))
                .collect::<Vec<_>>()
                .join(", "),
        }),
        (None, _, _) => Err(NoLan::NoAddress(interface.name.clone())),
    }
}

/// The interfaces of this machine. Flags and addresses come from the kernel; what sysfs does not show
/// (it may belong to another network namespace) counts as wired and on its own.
pub fn interfaces() -> std::io::Result<Vec<Interface>> {
    const ETHERNET: u16 = 1; // ARPHRD_ETHER, linux/if_arp.h

    let mut found: Vec<Interface> = Vec::new();
    let routed = route::default_interfaces();
    for entry in getifaddrs()? {
        let name = entry.interface_name;
        let at = match found.iter().position(|i| i.name == name) {
            Some(at) => at,
            None => {
                found.push(Interface {
                    default_route: routed.contains(&name),
                    ..seen(&name, entry.flags)
                });
                found.len() - 1
            }
        };
        let Some(address) = entry.address else {
            continue;
        };
        let interface = &mut found[at];
        if let Some(link) = address.as_link_addr() {
            interface.ethernet = link.hatype() == ETHERNET;
            interface.mac = link.addr().and_then(|octets| Mac::new(octets).ok());
        }
        if let (Some(address), Some(netmask)) = (
            address.as_sockaddr_in(),
            entry.netmask.as_ref().and_then(|n| n.as_sockaddr_in()),
        ) {
            interface.addresses.push((address.ip(), netmask.ip()));
        }
    }
    Ok(found)
}

fn seen(name: &str, flags: InterfaceFlags) -> Interface {
    let sys = Path::new("/sys/class/net").join(name);
    let part_of = std::fs::read_link(sys.join("master")).ok();
    Interface {
        name: name.to_owned(),
        up: flags.contains(InterfaceFlags::IFF_UP),
        loopback: flags.contains(InterfaceFlags::IFF_LOOPBACK),
        ethernet: false,
        wireless: sys.join("wireless").exists() || sys.join("phy80211").exists(),
        default_route: false,
        part_of: part_of.and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned())),
        mac: None,
        addresses: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
