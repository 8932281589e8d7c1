//! Asks a LAN for other DHCP and PXE servers, through a raw socket: UDP port 68 belongs to the host's own DHCP
//! client, which must not notice.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use netboot::base::mac::Mac;
use netboot::dhcp::ethernet::{self, Datagram};
use netboot::dhcp::other_servers::{ObservedOffer, OtherServer, ProbeAs, discover, gather, read};
use tokio::time::Instant;

use super::{LanScan, OtherServers};
use crate::base::clock;
use crate::net::{CaptureFilter, Lan, PacketSocket};

/// The ports of DHCP clients and servers (RFC 2131 §4.1).
const CLIENT: u16 = 68;
const SERVER: u16 = 67;

/// The timeout of a scan. dnsmasq, which is in most home routers, pings an address for 3 s before it offers it.
const ANSWERS: Duration = Duration::from_secs(4);

/// When the question is sent again: one packet may be lost.
const AGAIN: Duration = Duration::from_millis(1500);

/// Asks one LAN. `own` are the addresses of the appliance itself.
pub async fn ask(lan: &Lan, own: &[Ipv4Addr]) -> OtherServers {
    let servers = match lan.mac {
        Some(mac) => question(lan, mac, own).await.map_err(|error| why(&error)),
        None => Err("the interface has no Ethernet card".to_owned()),
    };
    OtherServers {
        interface: lan.interface.clone(),
        at: clock::now(),
        servers,
    }
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "raw sockets need root or the capability CAP_NET_RAW".to_owned()
        }
        _ => error.to_string(),
    }
}

async fn question(lan: &Lan, mac: Mac, own: &[Ipv4Addr]) -> io::Result<Vec<OtherServer>> {
    let socket = PacketSocket::open(&lan.interface, CaptureFilter::Udp(CLIENT))?;
    let questions = ProbeAs::ALL.map(|probe_as| (u32::from_be_bytes(clock::random()), probe_as));
    let xids = questions.map(|(xid, _)| xid);
    let ask_all = async || {
        for (xid, probe_as) in questions {
            let question = Datagram {
                from_card: mac.octets(),
                to_card: ethernet::EVERYBODY,
                from: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT),
                to: SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER),
                payload: &discover(mac, xid, probe_as),
            };
            if let Some(frame) = question.frame() {
                socket.send(&frame).await?;
            }
        }
        io::Result::Ok(())
    };

    let begun = Instant::now();
    let mut again = Some(begun + AGAIN);
    let mut offers = Vec::new();
    ask_all().await?;
    loop {
        let until = again.unwrap_or(begun + ANSWERS);
        match tokio::time::timeout_at(until, receive(&socket, mac, &xids)).await {
            Ok(offer) => offers.extend(offer?),
            Err(_) if again.take().is_some() => ask_all().await?,
            Err(_) => return Ok(gather(offers, own)),
        }
    }
}

/// The next packet to port 68, if it is an answer to us.
async fn receive(
    socket: &PacketSocket,
    mac: Mac,
    xids: &[u32],
) -> io::Result<Option<ObservedOffer>> {
    let mut buffer = [0; 2048];
    let length = socket.receive(&mut buffer).await?;
    let datagram = buffer.get(..length).and_then(Datagram::read);
    Ok(datagram.and_then(|d| read(d.payload, *d.from.ip(), mac, xids)))
}

/// Why server mode does not begin: another DHCP server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondServer {
    pub interface: String,
    pub other_servers: Vec<OtherServer>,
}

/// In the form of every error: the fact, what belongs to it, what to do.
impl std::fmt::Display for SecondServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "another DHCP server answers on `{}`", self.interface)?;
        for other_server in &self.other_servers {
            writeln!(f, "  {other_server}")?;
        }
        writeln!(
            f,
            "  two servers would give the same address to two machines; nothing was started"
        )?;
        writeln!(
            f,
            "\n  tip: to leave the addresses to it: [dhcp] mode = \"proxy\""
        )?;
        write!(
            f,
            "  tip: to run both, with ranges apart: [dhcp] allow-second-server = true"
        )
    }
}

impl std::error::Error for SecondServer {}

/// Asks all LANs before server mode begins. A LAN that cannot be asked is taken on trust, and the watch says so.
///
/// # Errors
/// Another server hands out addresses on one of them.
pub async fn alone(lans: &[Lan], scan: &LanScan) -> Result<(), SecondServer> {
    let own: Vec<Ipv4Addr> = lans.iter().map(|lan| lan.address).collect();
    let asked = lans.iter().map(|lan| ask(lan, &own));
    for found in futures_util::future::join_all(asked).await {
        let other_servers = found.servers.iter().flatten().filter(|r| r.dhcp);
        let other_servers: Vec<OtherServer> = other_servers.cloned().collect();
        if !other_servers.is_empty() {
            let interface = found.interface;
            return Err(SecondServer {
                interface,
                other_servers,
            });
        }
        scan.keep_other_servers(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::net;

    #[test]
    fn a_second_server_is_named_with_both_ways_out() {
        let other_server = |last: u8, boot_file: Option<&str>| OtherServer {
            server: Ipv4Addr::new(10, 77, 0, last),
            dhcp: true,
            pxe: boot_file.is_some(),
            boot_file: boot_file.map(str::to_owned),
        };
        let second = SecondServer {
            interface: "enp1s0".to_owned(),
            other_servers: vec![other_server(254, None), other_server(2, Some("pxelinux.0"))],
        };
        expect![[r#"
            error: another DHCP server answers on `enp1s0`
              10.77.0.254 (addresses)
              10.77.0.2 (addresses; boots pxelinux.0)
              two servers would give the same address to two machines; nothing was started

              tip: to leave the addresses to it: [dhcp] mode = "proxy"
              tip: to run both, with ranges apart: [dhcp] allow-second-server = true
        "#]]
        .assert_eq(&format!("error: {second}\n"));
    }

    #[test]
    fn whoever_may_not_look_is_told_what_is_missing() {
        let denied = io::Error::from_raw_os_error(nix::libc::EPERM);
        assert_eq!(
            why(&denied),
            "raw sockets need root or the capability CAP_NET_RAW"
        );
        let down = io::Error::from_raw_os_error(nix::libc::ENETDOWN);
        assert_eq!(why(&down), "Network is down (os error 100)");
    }

    #[tokio::test]
    async fn an_interface_without_a_card_cannot_be_looked_at() {
        let interfaces = net::interfaces().expect("lists interfaces");
        let lo = net::choose(&interfaces, Some("lo"), None).expect("a loopback");
        let looked = ask(&lo, &[]).await;
        let why = "the interface has no Ethernet card".to_owned();
        assert_eq!(looked.servers, Err(why));
    }
}
