//! The free space of a disk, and what of it is promised to uploads under way → whether another one is let in.
//!
//! A publication says what it will send before it sends anything. What is let in is promised to it until it has come, or
//! until nothing is heard of it any more, so that two of them that fit one by one cannot fill the disk together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::store_path::StorePath;
use crate::base::timestamp::Timestamp;
use crate::base::token::{Digest, ShipmentId};

/// Bytes that stay free for the journal and the index, which share the filesystem.
pub const RESERVE: u64 = 64 << 20;

/// How long a promise outlives the last that was heard of who has it: Nix packs a large path before it sends it.
pub const QUIET: Duration = Duration::from_secs(120);

/// Promises that are kept at once; for one more, the one that was quiet for longest goes.
const SHIPMENTS: usize = 64;

/// Something that is promised space, by what it is: two who send the same need it once.
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
pub struct Number(u64);

/// Why something is not let in; all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Short {
    /// What must be free, [`RESERVE`] included.
    pub needed: u64,
    pub free: u64,
    /// What of that is promised to others.
    pub promised: u64,
}

impl Short {
    /// It would fit if nobody else were sending anything.
    pub fn for_others(&self) -> bool {
        self.free >= self.needed
    }
}

/// All that is promised.
#[derive(Debug, Default)]
pub struct Room {
    shipments: BTreeMap<ShipmentId, Promise>,
    uploads: BTreeMap<Number, Upload>,
    last: u64,
}

#[derive(Debug)]
struct Promise {
    items: Items,
    /// Bytes of items that are on the disk, of uploads that are over: the free space is less by them already.
    arrived: u64,
    heard: Timestamp,
}

#[derive(Debug)]
struct Upload {
    of: Option<ShipmentId>,
    whole: u64,
    arrived: u64,
}

impl Upload {
    fn left(&self) -> u64 {
        self.whole.saturating_sub(self.arrived)
    }
}

impl Room {
    /// Promises space for these items besides what `shipment` was promised before. Without a name it is only said
    /// whether they would fit.
    ///
    /// # Errors
    /// They do not fit; what was promised before stays.
    pub fn promise(
        &mut self,
        shipment: Option<&ShipmentId>,
        items: Items,
        free: u64,
        now: Timestamp,
    ) -> Result<(), Short> {
        self.forget(now);
        if items.is_empty() {
            return Ok(());
        }
        let before = shipment.and_then(|id| self.shipments.get(id));
        let (mut all, arrived) = before.map_or((Items::new(), 0), |p| (p.items.clone(), p.arrived));
        all.extend(items);
        let needed = self.open(shipment, sum(all.values()), arrived);
        self.fits(shipment, &all, needed, free)?;
        if let Some(id) = shipment {
            let promise = Promise {
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

    /// An upload of so many bytes begins, of a shipment or of its own.
    ///
    /// # Errors
    /// It does not fit beside what others were promised.
    pub fn begin(
        &mut self,
        of: Option<ShipmentId>,
        bytes: u64,
        free: u64,
        now: Timestamp,
    ) -> Result<Number, Short> {
        self.heard(of.as_ref(), now);
        self.forget(now);
        let none = Items::new();
        let promise = of.as_ref().and_then(|id| self.shipments.get(id));
        let (items, before) = match promise {
            Some(promise) => (&promise.items, self.left(of.as_ref())),
            // Counted among those of no shipment.
            None => (&none, 0),
        };
        let needed = before.saturating_add(bytes);
        self.fits(of.as_ref(), items, needed, free)?;
        self.last += 1;
        let number = Number(self.last);
        let upload = Upload {
            of,
            whole: bytes,
            arrived: 0,
        };
        self.uploads.insert(number, upload);
        Ok(number)
    }

    /// An upload that did not say how large it is goes on for so many bytes more.
    ///
    /// # Errors
    /// They do not fit beside what others were promised.
    pub fn more(
        &mut self,
        number: Number,
        bytes: u64,
        free: u64,
        now: Timestamp,
    ) -> Result<(), Short> {
        let of = self.uploads.get(&number).and_then(|u| u.of.clone());
        let more = self.begin(of, bytes, free, now)?;
        self.uploads.remove(&more);
        if let Some(upload) = self.uploads.get_mut(&number) {
            upload.whole = upload.whole.saturating_add(bytes);
        }
        Ok(())
    }

    /// So many bytes of an upload are on the disk by now.
    pub fn reached(&mut self, number: Number, arrived: u64, now: Timestamp) {
        let Some(upload) = self.uploads.get_mut(&number) else {
            return;
        };
        upload.arrived = arrived;
        let of = upload.of.clone();
        self.heard(of.as_ref(), now);
    }

    /// An upload is over, and what came stays. It has its place until it is [`settled`](Self::settled).
    pub fn arrived(&mut self, number: Number, now: Timestamp) {
        let Some(upload) = self.uploads.remove(&number) else {
            return;
        };
        self.heard(upload.of.as_ref(), now);
        let promise = upload.of.and_then(|id| self.shipments.get_mut(&id));
        if let Some(promise) = promise {
            promise.arrived = promise.arrived.saturating_add(upload.arrived);
        }
    }

    /// An upload broke off, and nothing of it stays. So did what it was a part of.
    pub fn broke_off(&mut self, number: Number) {
        let upload = self.uploads.remove(&number);
        if let Some(id) = upload.and_then(|upload| upload.of) {
            self.shipments.remove(&id);
        }
    }

    /// An item is in its place: nobody needs to be promised anything for it. So many bytes of it came with `shipment`.
    pub fn settled(&mut self, shipment: Option<&ShipmentId>, item: &Item, bytes: u64) {
        let promise = shipment.and_then(|id| self.shipments.get_mut(id));
        if let Some(promise) = promise.filter(|p| p.items.contains_key(item)) {
            promise.arrived = promise.arrived.saturating_sub(bytes);
        }
        for promise in self.shipments.values_mut() {
            promise.items.remove(item);
        }
        self.shipments
            .retain(|_, promise| !promise.items.is_empty());
    }

    /// Whoever sends this is still there.
    pub fn heard(&mut self, shipment: Option<&ShipmentId>, now: Timestamp) {
        if let Some(promise) = shipment.and_then(|id| self.shipments.get_mut(id)) {
            promise.heard = now;
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let uploads = &self.uploads;
        self.shipments.retain(|id, promise| {
            // A clock that was put back shuts nobody out.
            let recent = now >= promise.heard && now.since(promise.heard) < QUIET;
            recent || uploads.values().any(|u| u.of.as_ref() == Some(id))
        });
    }

    fn fits(
        &self,
        who: Option<&ShipmentId>,
        items: &Items,
        needed: u64,
        free: u64,
    ) -> Result<(), Short> {
        let promised = self.promised(who, items);
        let needed = needed.saturating_add(RESERVE);
        match free.saturating_sub(promised) >= needed {
            true => Ok(()),
            false => Err(Short {
                needed,
                free,
                promised,
            }),
        }
    }

    /// Bytes still to come for all but `who`, and for what is not among `items`.
    fn promised(&self, who: Option<&ShipmentId>, items: &Items) -> u64 {
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

    /// Bytes still to come of a shipment whose items are so large, and of which so much came in uploads that are over.
    fn open(&self, shipment: Option<&ShipmentId>, items: u64, arrived: u64) -> u64 {
        let Some(id) = shipment else {
            return items;
        };
        let of_it = self.uploads.values().filter(|u| u.of.as_ref() == Some(id));
        let here = sum(of_it.map(|upload| &upload.arrived));
        let open = items.saturating_sub(arrived).saturating_sub(here);
        // What was promised is a guess at how well NARs can be packed.
        open.max(self.left(shipment))
    }

    /// Bytes still to come in uploads of this shipment; with none, in those of no shipment that has a promise.
    fn left(&self, shipment: Option<&ShipmentId>) -> u64 {
        let uploads = self.uploads.values().filter(|upload| {
            let of = upload.of.as_ref();
            match shipment {
                Some(_) => of == shipment,
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
