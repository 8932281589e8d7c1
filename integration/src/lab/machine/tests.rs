//! How QEMU is told of a machine.

use super::*;

#[test]
fn the_network_comes_before_the_disk() {
    let disk = |serial: &str| VirtualDisk {
        file: "/tmp/a,b".into(),
        serial: serial.to_owned(),
        bus: bus::Bus::Virtio,
        read_only: false,
        faults: None,
    };
    let mut build = MachineSpec {
        firmware: VmFirmware::Bios,
        mac: "52:54:00:12:34:56".to_owned(),
        uuid: "u".to_owned(),
        serial: "s".to_owned(),
        memory_mib: 1024,
        disks: vec![disk("root"), disk("data")],
        disks_reversed: false,
        taken_out: None,
        first: FirstBoot::Network,
        card: Card::Virtio,
        stray_card: false,
        tpm: false,
        keyboard: false,
    };
    let args = arguments(&build, "tap0", None, Path::new("/tmp/c"))
        .unwrap()
        .join(" ");
    assert!(
        args.contains("mac=52:54:00:12:34:56,addr=0x3,bootindex=1"),
        "{args}"
    );
    assert!(args.contains("serial=root,addr=0x4,bootindex=2"), "{args}");
    assert!(
        args.contains("serial=data,addr=0x5 ") || args.ends_with("serial=data,addr=0x5"),
        "{args}"
    );
    assert!(args.contains("file=/tmp/a,,b"), "{args}");
    build.disks_reversed = true;
    let args = arguments(&build, "tap0", None, Path::new("/tmp/c"))
        .unwrap()
        .join(" ");
    assert!(
        args.contains("serial=root,addr=0x5,bootindex=2"),
        "it boots from the same disk: {args}"
    );
    assert!(args.contains("serial=data,addr=0x4"), "{args}");
    build.firmware = VmFirmware::Uefi;
    let args = arguments(&build, "tap0", None, Path::new("/tmp/c"))
        .unwrap()
        .join(" ");
    assert!(
        !args.contains("bootindex") && args.contains("romfile="),
        "{args}"
    );
}
