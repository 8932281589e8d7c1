//! Errors of a listening socket that pass by themselves.

use std::io;

use nix::errno::Errno;

/// Whether to accept or to receive may work again later: a peer left, the cable is out, a firewall refused, or
/// descriptors or memory ran out. accept(2) hands on what happened to the connection ("Error handling"), and a UDP
/// socket what ICMP said of a packet that it sent (udp(7)).
pub fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(
            Errno::ECONNABORTED
                | Errno::ECONNREFUSED
                | Errno::ECONNRESET
                | Errno::EHOSTUNREACH
                | Errno::EINTR
                | Errno::EMFILE
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::ENFILE
                | Errno::ENOBUFS
                | Errno::ENOMEM
                | Errno::EPERM
                | Errno::EPROTO
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_a_peer_or_a_cable_passes_and_a_broken_socket_does_not() {
        for (errno, passes) in [
            (Errno::ECONNABORTED, true),
            (Errno::ECONNREFUSED, true),
            (Errno::EMFILE, true),
            (Errno::ENETDOWN, true),
            (Errno::EBADF, false),
            (Errno::EINVAL, false),
            (Errno::ENOTSOCK, false),
        ] {
            let error = io::Error::from(errno);
            assert_eq!(is_transient(&error), passes, "{errno}");
        }
        assert!(!is_transient(&io::Error::other("no error of the system")));
    }
}
