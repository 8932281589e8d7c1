//! A UEFI device path (UEFI 2.10 §10.3) → what kind of thing it leads to, and to which partition.

use super::boot_order::BootSource;

/// The nodes of a device path: messaging nodes of a network (MAC, IPv4, IPv6, URI) or of a disk, and the partition of a
/// hard drive node. A path through both is of the network: an iSCSI disk is not what was installed.
pub(super) fn source(mut path: &[u8]) -> (BootSource, Option<HardDrive>) {
    const MESSAGING: u8 = 3;
    const MEDIA: u8 = 4;
    const END: u8 = 0x7f;

    let (mut source, mut drive) = (BootSource::Other, None);
    while let [kind, sub, low, high, ..] = *path {
        let length = usize::from(u16::from_le_bytes([low, high]));
        let Some(body) = path.get(4..length) else {
            break;
        };
        match (kind, sub) {
            (END, _) => break,
            (MESSAGING, 11 | 12 | 13 | 24) => source = BootSource::Network,
            // ATAPI, SCSI, USB, SATA, NVMe, SD, UFS, eMMC.
            (MESSAGING, 1 | 2 | 5 | 18 | 23 | 25 | 26 | 29) if source == BootSource::Other => {
                source = BootSource::Disk;
            }
            (MEDIA, 1) => {
                if source == BootSource::Other {
                    source = BootSource::Disk;
                }
                drive = HardDrive::read(body);
            }
            _ => {}
        }
        path = path.get(length..).unwrap_or_default();
    }
    (source, drive)
}

/// A partition, as a hard drive node names it (§10.3.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardDrive {
    /// From 1.
    pub number: u32,
    /// In the disk's own sectors.
    pub start: u64,
    pub size: u64,
    /// As in [`super::Esp`]; `None` if the table is not a GPT.
    pub id: Option<[u8; 16]>,
}

impl HardDrive {
    /// From the node's octets behind its head.
    fn read(body: &[u8]) -> Option<Self> {
        /// The value by which the node says that the signature is a GUID (§10.3.5.1).
        const GUID: u8 = 2;

        let id = body.get(20..36)?.try_into().ok()?;
        Some(Self {
            number: u32::from_le_bytes(body.get(..4)?.try_into().ok()?),
            start: u64::from_le_bytes(body.get(4..12)?.try_into().ok()?),
            size: u64::from_le_bytes(body.get(12..20)?.try_into().ok()?),
            id: (body.get(37) == Some(&GUID)).then_some(id),
        })
    }
}
