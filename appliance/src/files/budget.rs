//! The disk budget: the free space below the state directory and the reservations of it. Every large write asks here
//! first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::base::token::UploadBatchId;
use netboot::publish::space_reservation::{
    self, InsufficientSpace, Item, Items, QUIET, RESERVE, UploadNumber,
};
use parking_lot::{Mutex, MutexGuard};

use crate::base::clock;
use crate::files::durable;

/// The free space of a filesystem; everything that writes much to it shares one budget.
#[derive(Debug, Clone, Default)]
pub struct DiskBudget(Arc<Mutex<space_reservation::SpaceReservations>>);

/// Why there is no space.
#[derive(Debug)]
pub(crate) enum NoSpace {
    Short(InsufficientSpace),
    /// The filesystem does not say how much is free.
    Unknown(io::Error),
}

impl DiskBudget {
    /// Reserves space in the filesystem of `dir` for a shipment, see [`space_reservation::SpaceReservations::promise`].
    pub(crate) fn promise(
        &self,
        dir: &Path,
        batch: Option<&UploadBatchId>,
        items: Items,
    ) -> Result<(), NoSpace> {
        let mut room = self.held();
        let free = durable::free_space(dir)?;
        Ok(room.promise(batch, items, free, clock::now())?)
    }

    /// Reserves `bytes` bytes for as long as the reservation is held.
    pub(crate) fn begin(
        &self,
        dir: &Path,
        of: Option<UploadBatchId>,
        bytes: u64,
    ) -> Result<Reservation, NoSpace> {
        let mut room = self.held();
        let free = durable::free_space(dir)?;
        Ok(Reservation {
            number: room.begin(of, bytes, free, clock::now())?,
            room: self.clone(),
            dir: dir.to_owned(),
            arrived: false,
        })
    }

    pub(crate) fn settled(&self, batch: Option<&UploadBatchId>, item: &Item, bytes: u64) {
        self.held().settled(batch, item, bytes);
    }

    pub(crate) fn heard(&self, batch: Option<&UploadBatchId>) {
        self.held().heard(batch, clock::now());
    }

    /// The reservations. They stay usable after a panic while they were held.
    fn held(&self) -> MutexGuard<'_, space_reservation::SpaceReservations> {
        self.0.lock()
    }
}

/// Space for something that is being received. If it is dropped before it [`arrived`](Self::arrived), the reception broke off.
#[derive(Debug)]
pub(crate) struct Reservation {
    room: DiskBudget,
    number: UploadNumber,
    dir: PathBuf,
    arrived: bool,
}

impl Reservation {
    /// The first `bytes` bytes are written.
    pub(crate) fn reached(&self, bytes: u64) {
        self.room.held().reached(self.number, bytes, clock::now());
    }

    /// There are further bytes to come.
    pub(crate) fn more(&self, bytes: u64) -> Result<(), NoSpace> {
        let mut room = self.room.held();
        let free = durable::free_space(&self.dir)?;
        Ok(room.more(self.number, bytes, free, clock::now())?)
    }

    /// The file is in its place, and stays.
    pub(crate) fn arrived(mut self) {
        self.arrived = true;
        self.room.held().arrived(self.number, clock::now());
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.arrived {
            self.room.held().broke_off(self.number);
        }
    }
}

impl NoSpace {
    /// `whose` filesystem it is (`the cache's`).
    pub(crate) fn refusal(&self, whose: &str) -> Refusal {
        let short = match self {
            Self::Short(short) => short,
            Self::Unknown(error) => {
                let message = format!("{whose} filesystem cannot be asked: {error}");
                return Refusal::new(RefusalCode::PublishFailed, message);
            }
        };
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let refusal = no_space(whose).fact(format!(
            "{} MiB are to be taken in and {} MiB stay free, so about {} MiB must be free; {} MiB are",
            mib(short.needed.saturating_sub(RESERVE)),
            mib(RESERVE),
            mib(short.needed),
            mib(short.free)
        ));
        if short.promised == 0 {
            return refusal;
        }
        let refusal = refusal.fact(format!(
            "{} MiB of these are promised to another publication that is under way",
            mib(short.promised)
        ));
        match short.for_others() {
            true => refusal.tip(format!(
                "publish again once the other one is over; one that was given up is forgotten after {} s",
                QUIET.as_secs()
            )),
            false => refusal,
        }
    }
}

pub(crate) fn no_space(whose: &str) -> Refusal {
    let message = format!("{whose} filesystem has too little space");
    Refusal::new(RefusalCode::PublishFailed, message)
        .tip("free some space in the appliance's `state-dir`, or move it to a larger disk")
}

impl From<InsufficientSpace> for NoSpace {
    fn from(short: InsufficientSpace) -> Self {
        Self::Short(short)
    }
}

impl From<io::Error> for NoSpace {
    fn from(error: io::Error) -> Self {
        Self::Unknown(error)
    }
}
