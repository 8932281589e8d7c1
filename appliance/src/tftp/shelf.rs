//! What a client asks for → the file it gets, or why there is none; and what is told of it afterwards.

use std::io;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use netboot::doctor::boot_trace::{self, Delivery, Mark, Part, Via};
use netboot::tftp::path::{self, Asked, Whose};
use netboot::tftp::sender::End;
use tokio::runtime::Handle;

use super::content::Content;
use super::files;
use crate::app::App;
use crate::caller::Caller;
use crate::lan::Segment;

/// Where the files come from.
pub(super) trait Shelf: Send + Sync + 'static {
    /// `name` is as the client wrote it. May open files, but reads none of them whole.
    ///
    /// # Errors
    /// The reason for the log. The client learns only that there is no such file.
    fn open(&self, client: SocketAddrV4, name: &[u8]) -> Result<Loan, String>;

    /// A request came to nothing.
    fn refused(&self, client: SocketAddrV4, name: &[u8], reason: &str);

    /// The first block goes out. Of a client that asks for the size only, none does.
    fn begun(&self, _loan: &Loan) {}

    /// A packet went by that carries no data: for who asks what was on the wire.
    fn passed(&self, _loan: &Loan, _from: SocketAddrV4, _to: SocketAddrV4, _packet: &[u8]) {}

    /// A transfer ended. Called once for each loan.
    fn ended(&self, client: SocketAddrV4, loan: &Loan, course: &Course);
}

/// A file for one transfer.
#[derive(Debug, Clone)]
pub(super) struct Loan {
    /// In whose name it is asked for; nothing for a file that is the same for all machines.
    pub(super) caller: Option<Caller>,
    pub(super) name: String,
    /// What it is in a boot; nothing for a script, which is a step of its own.
    pub(super) part: Option<Part>,
    pub(super) content: Content,
}

/// How a transfer went.
#[derive(Debug)]
pub(super) struct Course {
    /// An error: of the disk it was read from.
    pub(super) end: io::Result<End>,
    /// Bytes that the client acknowledged.
    pub(super) bytes: u64,
    pub(super) took: Duration,
    /// Packets that went out more than once.
    pub(super) resent: u64,
}

/// The files of machines that are to boot them.
pub(super) struct Files {
    app: Arc<App>,
    segment: Arc<Segment>,
    runtime: Handle,
}

impl Files {
    /// Within the runtime that the store is asked in.
    pub(super) fn of(app: Arc<App>, segment: Arc<Segment>) -> Self {
        Self {
            app,
            segment,
            runtime: Handle::current(),
        }
    }
}

impl Shelf for Files {
    fn open(&self, client: SocketAddrV4, name: &[u8]) -> Result<Loan, String> {
        // A transfer has a thread of its own, and a script must be durable before it goes out.
        let found = files::open(&self.app, &self.segment.address, *client.ip(), name);
        self.runtime.block_on(found)
    }

    fn refused(&self, client: SocketAddrV4, name: &[u8], reason: &str) {
        self.app.counters.tftp_refused.add(1);
        // The name is a stranger's: quoted, so that it cannot write log lines of its own.
        let file = String::from_utf8_lossy(name);
        match path::read(name) {
            Err(path::Unknown::Probe) => {
                tracing::debug!(%client, ?file, reason, "TFTP request refused");
                return;
            }
            Ok(Asked::Own {
                of: Whose::Card(mac),
                ..
            }) => {
                let (file, reason) = (shown(&file), reason.to_owned());
                let caller = self.app.caller(mac, *client.ip());
                self.app.mark_of(&caller, Mark::NoFile { file, reason });
            }
            _ => {}
        }
        tracing::info!(%client, ?file, reason, "TFTP request refused");
    }

    fn begun(&self, loan: &Loan) {
        if let Some((caller, delivery)) = loan.delivery() {
            self.app.mark_of(&caller, delivery.begun());
        }
    }

    fn passed(&self, loan: &Loan, from: SocketAddrV4, to: SocketAddrV4, packet: &[u8]) {
        if let Some(Caller { mac, .. }) = loan.caller {
            self.app.keep_packet(mac, from, to, packet);
        }
    }

    fn ended(&self, client: SocketAddrV4, loan: &Loan, course: &Course) {
        let Loan { caller, name, .. } = loan;
        let mac = caller
            .as_ref()
            .map(|caller| tracing::field::display(caller.mac));
        let Course {
            end,
            bytes,
            took,
            resent,
        } = course;
        let counters = &self.app.counters;
        counters.tftp_bytes.add(*bytes);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match end {
            Ok(end @ (End::Complete | End::Unconfirmed)) => {
                counters.tftp_sent.add(1);
                if let Some(caller) = caller.filter(|caller| caller.is_proven)
                    && self.app.loaders.get(name).is_some()
                {
                    self.app.trials(|trials| trials.loaded(caller.mac));
                }
                tracing::info!(mac, %client, file = name, bytes, ms, resent, ?end, "file sent");
            }
            Ok(End::Probed) => {
                tracing::debug!(mac, %client, file = name, ms, "told the size of a file");
                return;
            }
            Ok(end @ (End::BrokenOff(_) | End::Silent | End::Anew)) => {
                counters.tftp_broken_off.add(1);
                tracing::info!(mac, %client, file = name, bytes, ms, resent, ?end, "transfer broken off");
            }
            Err(error) => {
                counters.tftp_broken_off.add(1);
                tracing::warn!(mac, %client, file = name, bytes, ms, resent, %error, "cannot read a file");
            }
        }
        if let Some((caller, delivery)) = loan.delivery() {
            self.app.mark_of(&caller, delivery.ended(told(course)));
        }
    }
}

/// The last part of a name that a machine asked for, fit for a line.
fn shown(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let printable = |c: &char| ('!'..='~').contains(c);
    name.chars().filter(printable).take(64).collect()
}

impl Loan {
    /// Who gets it and as what, if it is a part of somebody's boot.
    fn delivery(&self) -> Option<(Caller, Delivery)> {
        let delivery = Delivery {
            part: self.part?,
            file: self.name.clone(),
            via: Via::Tftp,
        };
        Some((self.caller?, delivery))
    }
}

/// How it went, in the words of a timeline.
fn told(course: &Course) -> boot_trace::Course {
    let broken = match &course.end {
        Ok(End::Complete | End::Probed | End::Unconfirmed) => None,
        Ok(End::BrokenOff(code)) => Some(format!("TFTP error {code} of the machine")),
        Ok(End::Silent) => Some("the machine went silent".to_owned()),
        Ok(End::Anew) => Some("the machine asks anew".to_owned()),
        Err(_) => Some("it cannot be read any more".to_owned()),
    };
    boot_trace::Course {
        bytes: course.bytes,
        took: course.took,
        resent: course.resent,
        broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_transfer_went_is_one_mark() {
        for (end, resent, want) in [
            (Ok(End::Complete), 0, ""),
            (Ok(End::Unconfirmed), 9, ""),
            (Ok(End::BrokenOff(3)), 0, "TFTP error 3 of the machine"),
            (Ok(End::Silent), 8, "the machine went silent"),
            (Ok(End::Anew), 0, "the machine asks anew"),
            (
                Err(io::Error::other("EIO")),
                0,
                "it cannot be read any more",
            ),
        ] {
            let course = Course {
                end,
                bytes: 12_345,
                took: Duration::from_millis(300),
                resent,
            };
            let delivery = Delivery {
                part: Part::Loader,
                file: "x".to_owned(),
                via: Via::Tftp,
            };
            let mark = delivery.ended(told(&course));
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
