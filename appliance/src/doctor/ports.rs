//! Whether the kernel has a socket for each of our ports, from `/proc/net/udp` and `tcp` (proc(5)).

use std::collections::BTreeSet;

use netboot::doctor::checks::ServicePort;
use procfs::net::{TcpNetEntry, TcpState, UdpNetEntry, UdpState};

use crate::config::Dhcp;
use crate::config::settings::Settings;

pub(super) fn look(settings: &Settings) -> Vec<ServicePort> {
    let config = settings.config();
    let udp = procfs::net::udp().ok().map(|sockets| bound(&sockets));
    let tcp = procfs::net::tcp().ok().map(|sockets| listening(&sockets));
    let door = |kind: &str, port: u16, what: &str| {
        let ports = match kind {
            "UDP" => &udp,
            _ => &tcp,
        };
        let open = ports.as_ref().map(|ports| ports.contains(&port));
        ServicePort {
            port: format!("{kind} {port}"),
            what: what.to_owned(),
            // 0 is for the kernel to choose.
            open: open.filter(|_| port != 0),
        }
    };
    let mut doors = Vec::new();
    if !matches!(config.dhcp, Dhcp::Off) {
        doors.push(door("UDP", config.ports.dhcp, "DHCP"));
        doors.push(door("UDP", config.ports.binl, "PXE boot server"));
    }
    doors.push(door("UDP", config.ports.tftp, "TFTP"));
    // All LANs have the same ports, unless the kernel chose them.
    let mut ports: Vec<_> = settings
        .segments()
        .iter()
        .map(|s| (s.address.http_port, s.address.node_port))
        .collect();
    ports.dedup();
    for (http, node) in ports {
        doors.push(door("TCP", http, "HTTP"));
        doors.push(door("TCP", node, "TLS, for agents and nodes"));
    }
    doors
}

/// Ports of UDP sockets that are bound and not connected: the kernel calls that state CLOSE.
fn bound(sockets: &[UdpNetEntry]) -> BTreeSet<u16> {
    let bound = sockets.iter().filter(|s| s.state == UdpState::Close);
    bound.map(|socket| socket.local_address.port()).collect()
}

fn listening(sockets: &[TcpNetEntry]) -> BTreeSet<u16> {
    let listening = sockets.iter().filter(|s| s.state == TcpState::Listen);
    listening
        .map(|socket| socket.local_address.port())
        .collect()
}

#[cfg(test)]
mod tests {
    use procfs::FromReadSI;
    use procfs::net::TcpNetEntries;

    use super::*;

    #[test]
    fn a_socket_is_found_by_port_and_state() {
        const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 10247 1 0000000000000000 100 0 0 10 0
   1: 0100007F:20FB 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 10248 1 0000000000000000 100 0 0 10 0
";
        let read = |table: &str| {
            let table = TcpNetEntries::from_read(table.as_bytes(), procfs::current_system_info());
            table.map(|table| listening(&table.0))
        };
        let ports = read(TCP).expect("is such a table");
        for (name, port, want) in [
            ("it listens", 8080, true),
            ("a connection is no listener", 8443, false),
            ("nothing there", 67, false),
        ] {
            assert_eq!(ports.contains(&port), want, "{name}");
        }
        let odd = read(&format!("{TCP}garbage\n"));
        assert!(
            odd.is_err(),
            "what is not such a table says nothing of a port"
        );
    }

    #[test]
    fn the_kernels_own_table_has_our_socket() {
        let ports = || bound(&procfs::net::udp().expect("reads"));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let port = socket.local_addr().expect("an address").port();
        assert!(ports().contains(&port));
        drop(socket);
        assert!(!ports().contains(&port));
    }
}
