//! Packets that get lost: at random, as many of a thousand as wanted, in this namespace.

use std::process::Command;

use super::command::run;

/// From now on this many UDP packets of 1000 are lost where they come in, in each direction of a talk on
/// loopback. 0: none.
///
/// A rule of nftables does it, because not every kernel has netem. On loopback it would see what the sender
/// gave to the kernel at once as one packet, which no card puts on a wire: so that is cut first.
pub fn lose(of_1000: u32) -> anyhow::Result<()> {
    run(Command::new("ip").args(["link", "set", "lo", "gso_max_segs", "1"]))?;
    let mut rules = "add table inet loss; flush table inet loss; \
                     add chain inet loss input { type filter hook input priority 0; }"
        .to_owned();
    if of_1000 > 0 {
        rules += &format!(
            "; add rule inet loss input meta l4proto udp numgen random mod 1000 < {of_1000} drop"
        );
    }
    run(Command::new("nft").arg(rules))
}
