//! A server made of async-tftp alone, to measure ours beside: `async-tftp-peer ADDRESS FOLDER [MILLISECONDS]`.
//!
//! Block and window are limited as ours are. MILLISECONDS is after how long it sends again; 3000 by default, as the crate has it.

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use async_tftp::server::TftpServerBuilder;

fn main() -> anyhow::Result<()> {
    let mut words = env::args().skip(1);
    let mut word = || {
        words
            .next()
            .context("async-tftp-peer ADDRESS FOLDER [MILLISECONDS]")
    };
    let (at, folder): (SocketAddr, _) = (word()?.parse().context("no address")?, word()?);
    let mut builder = TftpServerBuilder::with_dir_ro(folder)?
        .bind(at)
        .block_size_limit(1468)
        .window_size_limit(16);
    if let Some(wait) = words.next() {
        builder = builder.timeout(Duration::from_millis(wait.parse().context("no number")?));
    }
    async_io::block_on(async { builder.build().await?.serve().await })?;
    Ok(())
}
