//! Which file a client of TFTP gets, and what is recorded of its transfer: the service's side of `netboot_tftp`.

use std::net::SocketAddrV4;
use std::sync::Arc;

use netboot::doctor::boot_trace::{self, BootEvent, Delivery, TransferProtocol};
use netboot::tftp::path::{self, Owner, RequestedFile};
use netboot::tftp::sender::TransferEnd;
use netboot_tftp::{FileProvider, OpenFile, TransferStats};
use tokio::runtime::Handle;

use super::files::{self, TftpRequestContext};
use super::service::BootFiles;
use crate::boot::requester::Requester;
use crate::net::Segment;

/// The files of the machines that are to boot them, on one LAN.
pub(super) struct TftpFiles {
    boot: Arc<BootFiles>,
    segment: Arc<Segment>,
    runtime: Handle,
}

impl TftpFiles {
    /// Within the runtime that the store is asked in.
    pub(super) fn of(boot: Arc<BootFiles>, segment: Arc<Segment>) -> Self {
        Self {
            boot,
            segment,
            runtime: Handle::current(),
        }
    }
}

impl FileProvider for TftpFiles {
    type Context = TftpRequestContext;

    fn open(
        &self,
        client: SocketAddrV4,
        name: &[u8],
    ) -> Result<OpenFile<TftpRequestContext>, String> {
        // The thread of a transfer waits here for the store: a ticket must be durable before a script with it goes out. It is
        // not a task of the runtime, because opening a file on a disk that does not answer would block a worker for as long.
        let found = files::open(&self.boot, &self.segment.address, *client.ip(), name);
        self.runtime.block_on(found)
    }

    fn refused(&self, client: SocketAddrV4, name: &[u8], reason: &str) {
        self.boot.counters.tftp_refused.add(1);
        // The name is a stranger's: quoted, so that it cannot write log lines of its own.
        let file = String::from_utf8_lossy(name);
        match path::read(name) {
            Err(path::UnknownFile::Probe) => {
                tracing::debug!(%client, ?file, reason, "TFTP request refused");
                return;
            }
            Ok(RequestedFile::OfMachine {
                owner: Owner::Card(mac),
                ..
            }) => {
                let (file, reason) = (shown(&file), reason.to_owned());
                let requester = self.boot.identification.identify(mac, *client.ip());
                self.boot
                    .log
                    .mark_of(&requester, BootEvent::NoFile { file, reason });
            }
            _ => {}
        }
        tracing::info!(%client, ?file, reason, "TFTP request refused");
    }

    fn started(&self, file: &OpenFile<TftpRequestContext>) {
        if let Some((requester, delivery)) = delivery(file) {
            self.boot.log.mark_of(&requester, delivery.begun());
        }
    }

    fn packet(
        &self,
        file: &OpenFile<TftpRequestContext>,
        from: SocketAddrV4,
        to: SocketAddrV4,
        packet: &[u8],
    ) {
        if let Some(Requester { mac, .. }) = file.context.requester {
            self.boot.log.keep_packet(mac, from, to, packet);
        }
    }

    fn ended(
        &self,
        client: SocketAddrV4,
        file: &OpenFile<TftpRequestContext>,
        stats: &TransferStats,
    ) {
        if matches!(
            stats.end,
            Ok(TransferEnd::Complete | TransferEnd::Unconfirmed)
        ) && let Some(requester) = file
            .context
            .requester
            .filter(|requester| requester.verified)
            && self.boot.loaders.get(&file.name).is_some()
        {
            self.boot
                .loaders
                .attempts(|attempts| attempts.loaded(requester.mac));
        }
        self.count(stats);
        log(client, file, stats);
        if !matches!(stats.end, Ok(TransferEnd::Probed))
            && let Some((requester, delivery)) = delivery(file)
        {
            self.boot
                .log
                .mark_of(&requester, delivery.ended(transfer(stats)));
        }
    }
}

impl TftpFiles {
    /// For the metrics.
    fn count(&self, stats: &TransferStats) {
        let counters = &self.boot.counters;
        counters.tftp_bytes.add(stats.bytes);
        match stats.end {
            Ok(TransferEnd::Complete | TransferEnd::Unconfirmed) => counters.tftp_sent.add(1),
            Ok(TransferEnd::Probed) => {}
            Ok(TransferEnd::BrokenOff(_) | TransferEnd::Silent | TransferEnd::Anew) | Err(_) => {
                counters.tftp_broken_off.add(1);
            }
        }
    }
}

/// One line for each transfer.
fn log(client: SocketAddrV4, file: &OpenFile<TftpRequestContext>, stats: &TransferStats) {
    let mac = file
        .context
        .requester
        .map(|requester| tracing::field::display(requester.mac));
    let TransferStats {
        end,
        bytes,
        took,
        resent,
    } = stats;
    let file = &file.name;
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match end {
        Ok(end @ (TransferEnd::Complete | TransferEnd::Unconfirmed)) => {
            tracing::info!(mac, %client, file, bytes, ms, resent, ?end, "file sent");
        }
        Ok(TransferEnd::Probed) => {
            tracing::debug!(mac, %client, file, ms, "told the size of a file");
        }
        Ok(end @ (TransferEnd::BrokenOff(_) | TransferEnd::Silent | TransferEnd::Anew)) => {
            tracing::info!(mac, %client, file, bytes, ms, resent, ?end, "transfer broken off");
        }
        Err(error) => {
            tracing::warn!(mac, %client, file, bytes, ms, resent, %error, "cannot read a file");
        }
    }
}

/// The last part of a name that a machine asked for, fit for a line.
fn shown(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let printable = |c: &char| ('!'..='~').contains(c);
    name.chars().filter(printable).take(64).collect()
}

/// Who gets a file and as what, if it is a part of somebody's boot.
fn delivery(file: &OpenFile<TftpRequestContext>) -> Option<(Requester, Delivery)> {
    let TftpRequestContext { requester, part } = file.context;
    let delivery = Delivery {
        part: part?,
        file: file.name.clone(),
        via: TransferProtocol::Tftp,
    };
    Some((requester?, delivery))
}

/// How a transfer went, in the words of a timeline.
fn transfer(stats: &TransferStats) -> boot_trace::Transfer {
    let broken = match &stats.end {
        Ok(TransferEnd::Complete | TransferEnd::Probed | TransferEnd::Unconfirmed) => None,
        Ok(TransferEnd::BrokenOff(code)) => Some(format!("TFTP error {code} of the machine")),
        Ok(TransferEnd::Silent) => Some("the machine went silent".to_owned()),
        Ok(TransferEnd::Anew) => Some("the machine asks anew".to_owned()),
        Err(_) => Some("it cannot be read any more".to_owned()),
    };
    boot_trace::Transfer {
        bytes: stats.bytes,
        took: stats.took,
        resent: stats.resent,
        broken,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use netboot::doctor::boot_trace::FileRole;

    use super::*;

    #[test]
    fn how_a_transfer_went_is_one_mark() {
        for (end, resent, want) in [
            (Ok(TransferEnd::Complete), 0, ""),
            (Ok(TransferEnd::Unconfirmed), 9, ""),
            (
                Ok(TransferEnd::BrokenOff(3)),
                0,
                "TFTP error 3 of the machine",
            ),
            (Ok(TransferEnd::Silent), 8, "the machine went silent"),
            (Ok(TransferEnd::Anew), 0, "the machine asks anew"),
            (
                Err(io::Error::other("EIO")),
                0,
                "it cannot be read any more",
            ),
        ] {
            let stats = TransferStats {
                end,
                bytes: 12_345,
                took: Duration::from_millis(300),
                resent,
            };
            let delivery = Delivery {
                part: FileRole::Loader,
                file: "x".to_owned(),
                via: TransferProtocol::Tftp,
            };
            let mark = delivery.ended(transfer(&stats));
            let mark = serde_json::to_value(mark).expect("writes");
            let name = if want.is_empty() { "sent" } else { "broken" };
            assert_eq!(mark["mark"], name);
            assert_eq!(mark["why"].as_str().unwrap_or_default(), want);
            assert_eq!(
                (&mark["bytes"], &mark["millis"], &mark["resent"]),
                (&12_345.into(), &300.into(), &resent.into())
            );
        }
    }
}
