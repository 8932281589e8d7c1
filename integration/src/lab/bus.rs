//! How a disk is plugged in: QEMU's words for it, and UEFI's.

use std::path::Path;

use super::disk::VirtualDisk;

/// What a disk hangs on. Each has a controller of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bus {
    #[default]
    Virtio,
    /// The only one here that can be pulled out while the machine runs.
    Scsi,
    Nvme,
    /// AHCI.
    Sata,
    /// A stick or an enclosure.
    Usb,
}

/// Looks the same from either end: firmware and QEMU do not agree on the order of its octets.
const EUI64: u64 = 0x5254_0000_0000_5452;

/// QEMU's arguments. `boot` is `,bootindex=2` or empty.
pub fn arguments(number: u8, disk: &VirtualDisk, slot: u8, boot: &str) -> Vec<String> {
    // There is no need to wait for the host's disk: only the machine's power is cut.
    let mut drive = format!("if=none,id=disk{number},cache=unsafe");
    drive.push_str(&match &disk.faults {
        None => format!(",format=raw,file={}", comma(&disk.file)),
        Some(faults) => format!(
            ",driver=raw,file.driver=blkdebug,file.config={},file.image.driver=file,file.image.filename={}",
            comma(faults),
            comma(&disk.file)
        ),
    });
    if disk.read_only {
        drive.push_str(",readonly=on");
    }
    let serial = &disk.serial;
    let on = |device: &str, bus: &str| {
        format!("{device},id=device{number},drive=disk{number},bus={bus}{boot}")
    };
    let controller = |kind: &str| format!("{kind},id=controller{number},addr={slot:#x}");
    let devices = match disk.bus {
        Bus::Virtio => vec![format!(
            "virtio-blk-pci,id=device{number},drive=disk{number},serial={serial},addr={slot:#x}{boot}"
        )],
        Bus::Scsi => vec![
            controller("virtio-scsi-pci"),
            on("scsi-hd", &format!("controller{number}.0")) + &format!(",serial={serial}"),
        ],
        Bus::Nvme => vec![
            controller("nvme") + &format!(",serial={serial}"),
            on("nvme-ns", &format!("controller{number}")) + &format!(",nsid=1,eui64={EUI64:#x}"),
        ],
        Bus::Sata => vec![
            controller("ahci"),
            on("ide-hd", &format!("controller{number}.0")) + &format!(",serial={serial}"),
        ],
        Bus::Usb => vec![
            controller("qemu-xhci"),
            on("usb-storage", &format!("controller{number}.0")) + &format!(",serial={serial}"),
        ],
    };
    let devices = devices
        .into_iter()
        .flat_map(|device| ["-device".to_owned(), device]);
    ["-drive".to_owned(), drive]
        .into_iter()
        .chain(devices)
        .collect()
}

impl Bus {
    /// The nodes of a UEFI device path below the controller's (UEFI 2.10 §10.3.4).
    pub fn path_nodes(self) -> Vec<u8> {
        match self {
            Self::Virtio => Vec::new(),
            // Target and unit.
            Self::Scsi => vec![3, 2, 8, 0, 0, 0, 0, 0],
            // Namespace and EUI-64.
            Self::Nvme => [&[3, 23, 16, 0, 1, 0, 0, 0][..], &EUI64.to_le_bytes()].concat(),
            // Port, no port multiplier, unit.
            Self::Sata => vec![3, 18, 10, 0, 0, 0, 0xff, 0xff, 0, 0],
            // Port and interface.
            Self::Usb => vec![3, 5, 6, 0, 0, 0],
        }
    }
}

/// In QEMU's options a comma is written twice.
pub fn comma(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
