//! The network interfaces of this host, the LANs that are served on them, and raw sockets.

mod interfaces;
mod packet_socket;
mod route;
mod segment;

pub use interfaces::{Interface, Lan, NoLan, choose, interfaces};
pub(crate) use packet_socket::{CaptureFilter, PacketSocket};
pub use segment::Segment;
