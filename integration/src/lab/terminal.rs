//! Somebody at a machine's serial console who types.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, bail};

pub struct Terminal(UnixStream);

impl Terminal {
    /// Sits down at the console whose `socket` QEMU made.
    pub fn open(socket: &Path) -> anyhow::Result<Self> {
        let folder = socket.parent().context("a socket without a folder")?;
        let name = socket.file_name().context("a socket without a name")?;
        // By a short way, because the path of a socket may have 107 characters and a clone may lie deep.
        let folder = File::open(folder)?;
        let way = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
        let stream = UnixStream::connect(way.join(name))
            .with_context(|| format!("cannot type at `{}`", socket.display()))?;
        stream.set_nonblocking(true)?;
        Ok(Self(stream))
    }

    /// Types a few words.
    pub fn write(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.0.write_all(text.as_bytes())?)
    }

    /// Takes what the machine printed, which is in its log too: while nobody does, QEMU holds the machine still.
    pub fn look(&mut self) -> anyhow::Result<()> {
        let mut screen = [0; 4096];
        loop {
            match self.0.read(&mut screen) {
                Ok(0) => bail!("the console is closed"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
