//! The free space of a disk, and what of it is promised to uploads under way → whether another one is let in.
//!
//! A publication says what it will send before it sends anything. The space is reserved for it until everything has
//! come, or until it has been quiet for [`QUIET`], so that two publications that fit one by one cannot fill the disk
//! together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::store_path::StorePath;
use crate::base::timestamp::Timestamp;
use crate::base::token::{Digest, UploadBatchId};

/// Bytes that stay free for the journal and the index, which share the filesystem.
pub const RESERVE: u64 = 64 << 20;

/// How long a reservation outlives the last sign of life of its upload: Nix packs a large path before it sends it.
pub const QUIET: Duration = Duration::from_secs(120);

/// The most reservations at once (a quota). For one more, the one that was quiet for longest is dropped.
const SHIPMENTS: usize = 64;

/// Something that space is reserved for, by its content: two uploads of the same content need the space once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A NAR with its narinfo.
    Path(StorePath),
    /// A file of an installer.
    Part(Digest),
}

/// What is to come, in bytes on the disk.
pub type Items = BTreeMap<Item, u64>;

/// Names one upload among those under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadNumber(u64);

/// Why an upload is not let in; all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InsufficientSpace {
    /// What must be free, [`RESERVE`] included.
    pub needed: u64,
    pub free: u64,
    /// The part of the free space that is reserved for others.
    pub promised: u64,
}

impl InsufficientSpace {
    /// It would fit if no other upload were under way.
    pub fn for_others(&self) -> bool {
        self.free >= self.needed
    }
}

/// All reservations of space on one disk.
#[derive(Debug, Default)]
pub struct SpaceReservations {
    shipments: BTreeMap<UploadBatchId, SpacePromise>,
    uploads: BTreeMap<UploadNumber, Upload>,
    last: u64,
}

#[derive(Debug)]
struct SpacePromise {
    items: Items,
    /// Bytes of finished uploads that are on the disk: the free space is smaller by them already.
    arrived: u64,
    heard: Timestamp,
}

#[derive(Debug)]
struct Upload {
    of: Option<UploadBatchId>,
    whole: u64,
    arrived: u64,
}

impl Upload {
    fn left(&self) -> u64 {
        self.whole.saturating_sub(self.arrived)
    }
}

impl SpaceReservations {
    /// Reserves space for these items besides what is reserved for `batch` already. With `batch` absent it only
    /// says whether they would fit.
    ///
    /// # Errors
    /// They do not fit; what was reserved before stays.
    pub fn promise(
        &mut self,
        batch: Option<&UploadBatchId>,
        items: Items,
        free: u64,
        now: Timestamp,
    ) -> Result<(), InsufficientSpace> {
        self.forget(now);
        if items.is_empty() {
            return Ok(());
        }
        let before = batch.and_then(|id| self.shipments.get(id));
        let (mut all, arrived) = before.map_or((Items::new(), 0), |p| (p.items.clone(), p.arrived));
        all.extend(items);
        let needed = self.open(batch, sum(all.values()), arrived);
        self.fits(batch, &all, needed, free)?;
        if let Some(id) = batch {
            let promise = SpacePromise {
                items: all,
                arrived,
                heard: now,
            };
            self.shipments.insert(id.clone(), promise);
            if self.shipments.len() > SHIPMENTS {
                let quiet = self.shipments.iter().min_by_key(|(_, p)| p.heard);
                if let Some(id) = quiet.map(|(id, _)| id.clone()) {
                    self.shipments.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// An upload of `bytes` bytes begins, as part of a shipment or by itself.
    ///
    /// # Errors
    /// It does not fit beside what is reserved for others.
    pub fn begin(
        &mut self,
        of: Option<UploadBatchId>,
        bytes: u64,
        free: u64,
        now: Timestamp,
    ) -> Result<UploadNumber, InsufficientSpace> {
        self.heard(of.as_ref(), now);
        self.forget(now);
        let none = Items::new();
        let promise = of.as_ref().and_then(|id| self.shipments.get(id));
        let (items, before) = match promise {
            Some(promise) => (&promise.items, self.left(of.as_ref())),
            // Counted among the uploads without a shipment.
            None => (&none, 0),
        };
        let needed = before.saturating_add(bytes);
        self.fits(of.as_ref(), items, needed, free)?;
        self.last += 1;
        let number = UploadNumber(self.last);
        let upload = Upload {
            of,
            whole: bytes,
            arrived: 0,
        };
        self.uploads.insert(number, upload);
        Ok(number)
    }

    /// An upload that did not say how large it is has further bytes to come.
    ///
    /// # Errors
    /// They do not fit beside what is reserved for others.
    pub fn more(
        &mut self,
        number: UploadNumber,
        bytes: u64,
        free: u64,
        now: Timestamp,
    ) -> Result<(), InsufficientSpace> {
        let of = self.uploads.get(&number).and_then(|u| u.of.clone());
        let more = self.begin(of, bytes, free, now)?;
        self.uploads.remove(&more);
        if let Some(upload) = self.uploads.get_mut(&number) {
            upload.whole = upload.whole.saturating_add(bytes);
        }
        Ok(())
    }

    /// The first `arrived` bytes of an upload are on the disk.
    pub fn reached(&mut self, number: UploadNumber, arrived: u64, now: Timestamp) {
        let Some(upload) = self.uploads.get_mut(&number) else {
            return;
        };
        upload.arrived = arrived;
        let of = upload.of.clone();
        self.heard(of.as_ref(), now);
    }

    /// An upload is over, and what came stays. Its space stays reserved until it is [`settled`](Self::settled).
    pub fn arrived(&mut self, number: UploadNumber, now: Timestamp) {
        let Some(upload) = self.uploads.remove(&number) else {
            return;
        };
        self.heard(upload.of.as_ref(), now);
        let promise = upload.of.and_then(|id| self.shipments.get_mut(&id));
        if let Some(promise) = promise {
            promise.arrived = promise.arrived.saturating_add(upload.arrived);
        }
    }

    /// An upload broke off: its file is deleted, and the reservation of its shipment ends with it.
    pub fn broke_off(&mut self, number: UploadNumber) {
        let upload = self.uploads.remove(&number);
        if let Some(id) = upload.and_then(|upload| upload.of) {
            self.shipments.remove(&id);
        }
    }

    /// An item is in its place: no reservation is needed for it any more. `bytes` of it came with `batch`.
    pub fn settled(&mut self, batch: Option<&UploadBatchId>, item: &Item, bytes: u64) {
        let promise = batch.and_then(|id| self.shipments.get_mut(id));
        if let Some(promise) = promise.filter(|p| p.items.contains_key(item)) {
            promise.arrived = promise.arrived.saturating_sub(bytes);
        }
        for promise in self.shipments.values_mut() {
            promise.items.remove(item);
        }
        self.shipments
            .retain(|_, promise| !promise.items.is_empty());
    }

    /// A sign of life of the client that sends this shipment.
    pub fn heard(&mut self, batch: Option<&UploadBatchId>, now: Timestamp) {
        if let Some(promise) = batch.and_then(|id| self.shipments.get_mut(id)) {
            promise.heard = now;
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let uploads = &self.uploads;
        self.shipments.retain(|id, promise| {
            // If the clock was put back, the reservation counts as quiet, or it would shut others out for long.
            let recent = now >= promise.heard && now.since(promise.heard) < QUIET;
            recent || uploads.values().any(|u| u.of.as_ref() == Some(id))
        });
    }

    fn fits(
        &self,
        who: Option<&UploadBatchId>,
        items: &Items,
        needed: u64,
        free: u64,
    ) -> Result<(), InsufficientSpace> {
        let promised = self.promised(who, items);
        let needed = needed.saturating_add(RESERVE);
        match free.saturating_sub(promised) >= needed {
            true => Ok(()),
            false => Err(InsufficientSpace {
                needed,
                free,
                promised,
            }),
        }
    }

    /// Bytes that are reserved and still to come for all shipments but `who`, without those of `items`.
    fn promised(&self, who: Option<&UploadBatchId>, items: &Items) -> u64 {
        let mut counted: BTreeSet<&Item> = items.keys().collect();
        let others = self.shipments.iter().filter(|(id, _)| Some(*id) != who);
        let shipments = others.map(|(id, promise)| {
            let new = promise
                .items
                .iter()
                .filter(|(item, _)| counted.insert(item));
            let new = sum(new.map(|(_, bytes)| bytes));
            self.open(Some(id), new, promise.arrived)
        });
        let shipments = shipments.fold(0, u64::saturating_add);
        shipments.saturating_add(self.left(None))
    }

    /// Bytes still to come of a shipment: its items have `items` bytes in all, of which `arrived` came in uploads that
    /// are over.
    fn open(&self, batch: Option<&UploadBatchId>, items: u64, arrived: u64) -> u64 {
        let Some(id) = batch else {
            return items;
        };
        let of_it = self.uploads.values().filter(|u| u.of.as_ref() == Some(id));
        let here = sum(of_it.map(|upload| &upload.arrived));
        let open = items.saturating_sub(arrived).saturating_sub(here);
        // The size of a NAR in a reservation is a guess at how well it can be packed.
        open.max(self.left(batch))
    }

    /// Bytes still to come in uploads of this shipment; with `None`, in the uploads of all that have no reservation.
    fn left(&self, batch: Option<&UploadBatchId>) -> u64 {
        let uploads = self.uploads.values().filter(|upload| {
            let of = upload.of.as_ref();
            match batch {
                Some(_) => of == batch,
                None => of.is_none_or(|id| !self.shipments.contains_key(id)),
            }
        });
        uploads.fold(0, |sum, upload| sum.saturating_add(upload.left()))
    }
}

fn sum<'a>(bytes: impl Iterator<Item = &'a u64>) -> u64 {
    bytes.fold(0, |sum, bytes| sum.saturating_add(*bytes))
}

#[cfg(test)]
mod tests;
