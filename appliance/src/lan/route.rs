//! The interfaces that lead to the rest of the world.

use std::collections::BTreeSet;

/// Those with a default route, from what the kernel shows of its routing table. Where it shows nothing there
/// is none.
pub(super) fn default_interfaces() -> BTreeSet<String> {
    // Of this thread: another may be in another network namespace.
    read(&std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default())
}

/// The columns of `/proc/net/route` (proc(5)): interface, destination, gateway, flags, three counters, mask.
fn read(table: &str) -> BTreeSet<String> {
    const UP: u32 = 1; // RTF_UP, linux/route.h

    let rows = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [name, "00000000", _, flags, _, _, _, "00000000", ..] = columns.as_slice() else {
            return None;
        };
        let up = u32::from_str_radix(flags, 16).is_ok_and(|f| f & UP != 0);
        up.then(|| (*name).to_owned())
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_has_no_destination_and_no_mask() {
        let table = "\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
wlp1s0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
enp2s0\t00000000\t0101A8C0\t0002\t0\t0\t600\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
enp1s0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
odd line
";
        assert_eq!(read(table), BTreeSet::from(["wlp1s0".to_owned()]));
        assert_eq!(read(""), BTreeSet::new());
    }
}
