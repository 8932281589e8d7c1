//! A plan, an identity and secrets, for tests.

use netboot::hardware::Firmware;
use netboot::layout::{Filesystem, Purpose};
use netboot::plan::{Cache, K3s, Partition, Plan, PlannedDisk, PlannedRelease};
use netboot::profile::Role;
use netboot::wire::{InstallSecrets, K3sSecrets, NodeIdentity};
use netboot_pin::Pin;

pub(crate) const TOPLEVEL: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker";
const MIB: u64 = 1 << 20;

/// Onto a virtio disk of 8 GiB with the serial `root`.
pub(crate) fn plan(firmware: Firmware) -> Plan {
    let (label, purpose, size, filesystem, mountpoint) = match firmware {
        Firmware::Uefi => (
            "disk-main-ESP",
            Purpose::Esp,
            512 * MIB,
            Some(Filesystem::Vfat),
            Some("/boot".to_owned()),
        ),
        Firmware::Bios => ("disk-main-boot", Purpose::BiosBoot, MIB, None, None),
    };
    let first = Partition {
        number: 1,
        label: label.to_owned(),
        purpose,
        start: MIB,
        size,
        filesystem,
        mountpoint,
    };
    let root = Partition {
        number: 2,
        label: "disk-main-root".to_owned(),
        purpose: Purpose::Linux,
        start: MIB + size,
        size: (8 << 30) - 2 * MIB - size,
        filesystem: Some(Filesystem::Ext4),
        mountpoint: Some("/".to_owned()),
    };
    Plan {
        host_name: "node1".parse().expect("a name"),
        firmware,
        disk: PlannedDisk {
            node: "vda".to_owned(),
            size: 8 << 30,
            sector: 512,
            model: String::new(),
            serial: "root".to_owned(),
            wwn: String::new(),
        },
        destroys: vec!["vda1: ext4 `old`".to_owned()],
        partitions: vec![first, root],
        release: PlannedRelease {
            system: "worker".parse().expect("a name"),
            number: 4,
            toplevel: TOPLEVEL.parse().expect("a store path"),
            closure_size: 100,
        },
        cache: Cache {
            url: "http://10.77.0.1:8080/cache".to_owned(),
            public_key: "appliance-1:a2V5".to_owned(),
        },
        k3s: Some(K3s {
            role: Role::Agent,
            server: Some("https://10.77.0.10:6443".to_owned()),
        }),
    }
}

pub(crate) fn identity(role: Role) -> NodeIdentity {
    NodeIdentity {
        name: "node1".parse().expect("a name"),
        machine: "52:54:00:12:34:56".parse().expect("a mac"),
        appliance: "https://10.77.0.1:8443".to_owned(),
        pin: Pin::of(b"the appliance").to_string(),
        role: Some(role),
    }
}

pub(crate) fn secrets(role: Role) -> InstallSecrets {
    InstallSecrets {
        node_key: "canary-node-key".to_owned(),
        k3s: Some(K3sSecrets {
            token: "canary-token".to_owned(),
            agent_token: (role != Role::Agent).then(|| "canary-agent-token".to_owned()),
            node_password: "canary-password".to_owned(),
        }),
    }
}
