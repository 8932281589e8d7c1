//! Whether the kernel has a socket for each of our ports: `/proc/net/udp` and `tcp` (proc(5)).

use netboot::doctor::checks::Door;

use crate::app::App;
use crate::config::Dhcp;

pub(super) fn look(app: &App) -> Vec<Door> {
    let config = &app.config;
    let udp = std::fs::read_to_string("/proc/net/udp").ok();
    let tcp = std::fs::read_to_string("/proc/net/tcp").ok();
    let door = |kind: &str, port: u16, what: &str| {
        let (table, state) = match kind {
            "UDP" => (&udp, "07"),
            _ => (&tcp, "0A"),
        };
        let open = table.as_deref().map(|table| has_socket(table, port, state));
        Door {
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
    let mut ports: Vec<_> = app
        .segments
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

/// Lines as `  0: 00000000:0043 00000000:0000 07 …`: number, local address, remote address, state.
fn has_socket(table: &str, port: u16, state: &str) -> bool {
    table.lines().skip(1).any(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = words.next().and_then(|local| local.rsplit_once(':'));
        let here = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        here == Some(port) && words.nth(1) == Some(state)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_port_and_state() {
        const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 10247 1 0000000000000000 100 0 0 10 0
   1: 0100007F:20FB 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 10248 1 0000000000000000 100 0 0 10 0
garbage
";
        for (name, port, state, want) in [
            ("it listens", 8080, "0A", true),
            ("a connection is no listener", 8443, "0A", false),
            ("nothing there", 67, "0A", false),
        ] {
            assert_eq!(has_socket(TCP, port, state), want, "{name}");
        }
    }

    #[test]
    fn the_kernels_own_table_has_our_socket() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("binds");
        let port = socket.local_addr().expect("an address").port();
        let table = std::fs::read_to_string("/proc/net/udp").expect("reads");
        assert!(has_socket(&table, port, "07"));
        drop(socket);
        let table = std::fs::read_to_string("/proc/net/udp").expect("reads");
        assert!(!has_socket(&table, port, "07"));
    }
}
