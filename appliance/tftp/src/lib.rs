//! A TFTP server that only sends files, and only over IPv4: the engine, without any machine or boot loader in it.
//!
//! The rules of the protocol are `netboot::tftp`, pure and tested there; here are the sockets, the clock and the threads. Which
//! file a client gets is the decision of a [`FileProvider`], which is also told how each transfer ended.
//!
//! | module | does |
//! |---|---|
//! | [`server`] | receives requests on one socket, and refuses those that no transfer can come of |
//! | [`clients`] | limits how many transfers are under way, and recognizes a request that comes again |
//! | [`provider`], [`content`] | which file it is, and its bytes |
//! | [`transfer`], [`window`] | sends one file from a socket of its own |

mod clients;
mod content;
mod provider;
mod server;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transfer;
mod window;

pub use content::FileContent;
pub use provider::{FileProvider, OpenFile, TransferStats};
pub use server::TftpServer;
