//! TFTP as a server that only sends: what a client asks for, on which terms, and which block goes out when.
//!
//! | module | turns | into |
//! |---|---|---|
//! | [`source_filter`] | a source address | whether it may be answered |
//! | [`packet`] | a packet's bytes | what it says; and answers into bytes |
//! | [`options`] | the options that were asked for | those that hold (RFC 2347, 2348, 2349, 7440) |
//! | [`rtt`] | round trips | how long to wait for an acknowledgement (RFC 1123 §4.2.3.2) |
//! | [`sender`] | acknowledgements and time | blocks to send, or the end |

pub mod options;
pub mod packet;
pub mod path;
pub mod rtt;
pub mod sender;
pub mod source_filter;
