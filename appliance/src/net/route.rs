//! The interfaces that lead to the rest of the world.

use std::collections::BTreeSet;

use procfs::FromRead;
use procfs::net::RouteEntries;

/// The interfaces with a default route, from the kernel's routing table; empty where the kernel does not show it.
pub(super) fn default_interfaces() -> BTreeSet<String> {
    // The table of this thread: another thread may be in another network namespace.
    let table = RouteEntries::from_file("/proc/thread-self/net/route");
    table.map_or_else(
        |error| {
            tracing::warn!(%error, "which interface has the default route cannot be read");
            BTreeSet::new()
        },
        |table| with_default_route(&table),
    )
}

fn with_default_route(table: &RouteEntries) -> BTreeSet<String> {
    const UP: u16 = 1; // RTF_UP, linux/route.h

    let default = table.0.iter().filter(|route| {
        route.destination.is_unspecified() && route.mask.is_unspecified() && route.flags & UP != 0
    });
    default.map(|route| route.iface.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str) -> BTreeSet<String> {
        let table = RouteEntries::from_read(table.as_bytes());
        with_default_route(&table.expect("is such a table"))
    }

    #[test]
    fn a_default_route_has_no_destination_and_no_mask() {
        let table = "\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
wlp1s0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
enp2s0\t00000000\t0101A8C0\t0002\t0\t0\t600\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
enp1s0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";
        assert_eq!(read(table), BTreeSet::from(["wlp1s0".to_owned()]));
        assert_eq!(read(""), BTreeSet::new());
    }

    #[test]
    fn the_kernels_own_table_is_read() {
        let table = RouteEntries::from_file("/proc/thread-self/net/route").expect("reads");
        let text = std::fs::read_to_string("/proc/thread-self/net/route").expect("reads");
        assert_eq!(table.0.len(), text.lines().skip(1).count());
    }
}
