//! Whom an answer may go to.

use std::net::SocketAddrV4;

/// Whether one machine can be behind this source. An answer to a broadcast or multicast address, or to
/// port 0, would go to everybody or to nobody (RFC 1123 §4.2.3.5 for the request, CVE-2006-2017 for the
/// reply): such packets are forged.
pub fn may_be_answered(from: SocketAddrV4) -> bool {
    let ip = from.ip();
    let odd = ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0;
    !odd && from.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_one_machine_is_answered() {
        for (from, want) in [
            ("10.77.0.50:2070", true),
            ("127.0.0.1:1", true),
            ("10.77.0.50:0", false),
            ("0.0.0.0:2070", false),
            ("0.1.2.3:2070", false),
            ("224.0.0.1:2070", false),
            ("239.255.1.2:2070", false),
            ("255.255.255.255:2070", false),
        ] {
            let from = from.parse().unwrap_or_else(|_| panic!("{from}"));
            assert_eq!(may_be_answered(from), want, "{from}");
        }
    }
}
