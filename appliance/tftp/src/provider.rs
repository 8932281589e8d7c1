//! The `FileProvider`: what the engine asks of it, and what the engine tells it.

use std::io;
use std::net::SocketAddrV4;
use std::time::Duration;

use netboot::tftp::sender::TransferEnd;

use crate::content::FileContent;

/// Decides which file a client gets, and is told what became of each request.
///
/// Transfers run in threads of their own, so any of these may be called from several threads at once, and may block the one that
/// it is called from.
pub trait FileProvider: Send + Sync + 'static {
    /// What the provider remembers of a file while it is sent.
    type Context: Send;

    /// Opens the file of this name for this client. `name` is as the client wrote it, in whatever encoding. The file is not
    /// read here: the transfer reads it block by block.
    ///
    /// # Errors
    /// The reason why there is no such file, for [`Self::refused`]. The client learns only that it was not found.
    fn open(&self, client: SocketAddrV4, name: &[u8]) -> Result<OpenFile<Self::Context>, String>;

    /// A request was refused. `name` is empty where the packet could not be read.
    fn refused(&self, client: SocketAddrV4, name: &[u8], reason: &str);

    /// The first block goes out. It does not for a client that asks only for the size.
    fn started(&self, _file: &OpenFile<Self::Context>) {}

    /// A packet of the transfer that carries no data was received or sent: for a record of what was on the wire.
    fn packet(
        &self,
        _file: &OpenFile<Self::Context>,
        _from: SocketAddrV4,
        _to: SocketAddrV4,
        _packet: &[u8],
    ) {
    }

    /// A transfer ended. This is called once for each file that [`Self::open`] gave and that a transfer came of, unless the
    /// server stopped before its end.
    fn ended(&self, client: SocketAddrV4, file: &OpenFile<Self::Context>, stats: &TransferStats);
}

/// A file for one transfer.
#[derive(Debug, Clone)]
pub struct OpenFile<C> {
    /// For the log.
    pub name: String,
    pub content: FileContent,
    pub context: C,
}

/// How a transfer went.
#[derive(Debug)]
pub struct TransferStats {
    /// An error is one of the disk that the file was read from.
    pub end: io::Result<TransferEnd>,
    /// Bytes that the client acknowledged.
    pub bytes: u64,
    pub took: Duration,
    /// Packets that went out more than once.
    pub resent: u64,
}
