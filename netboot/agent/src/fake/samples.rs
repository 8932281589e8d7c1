//! A plan, an identity and secrets, for tests.

use netboot::api::types::{InstallSecrets, K3sSecrets, NodeIdentity};
use netboot::base::arch::CpuArch;
use netboot::base::release::Release;
use netboot::base::timestamp::Timestamp;
use netboot::disk::hardware::{Disk, DiskBus, Firmware, Hardware, Signature, SignatureKind};
use netboot::install::plan::{Plan, PlanOrder, Substituter};
use netboot::profile::{Profiles, Role};
use netboot_pin::Pin;

use super::DiskSpec;

pub(crate) const TOPLEVEL: &str = "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker";

pub(crate) const SCRIPT: &str = "/nix/store/1c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-disko-format-mount";

/// Layout `ext4` onto a virtio disk of 8 GiB with the serial `root`.
pub(crate) fn plan(firmware: Firmware) -> Plan {
    plan_for(
        firmware,
        "ext4",
        &[DiskSpec::virtio("vda", 8 << 30, "root")],
    )
}

/// As the appliance plans for a machine with just these disks, of which it wants all.
pub(crate) fn plan_for(firmware: Firmware, layout: &str, disks: &[DiskSpec]) -> Plan {
    plan_on(firmware, layout, disks, false)
}

/// The same for a machine that may have a TPM.
pub(crate) fn plan_on(firmware: Firmware, layout: &str, disks: &[DiskSpec], tpm2: bool) -> Plan {
    let disk = |spec: &DiskSpec| Disk {
        node: spec.name.to_owned(),
        size: spec.size,
        sector: spec.sector,
        model: spec.model.to_owned(),
        serial: spec.serial.to_owned(),
        wwn: spec.wwid.to_owned(),
        bus: DiskBus::Virtio,
        removable: spec.removable,
        read_only: false,
        boot_medium: false,
        by_id: Vec::new(),
        holds: vec![Signature {
            node: format!("{}1", spec.name),
            size: 2 << 20,
            kind: SignatureKind::Ext4,
            label: "old".to_owned(),
            partition_label: String::new(),
            start: 1 << 20,
            member_of: None,
        }],
    };
    let hardware = Hardware {
        firmware,
        arch: CpuArch::X86_64,
        memory: 1 << 30,
        vendor: String::new(),
        product: String::new(),
        serial: String::new(),
        uuid: String::new(),
        disks: disks.iter().map(disk).collect(),
        nics: Vec::new(),
        tpm2,
        zfs: true,
    };
    let text = format!(
        "system = \"x86_64-linux\"\n[disk]\nselect = {{ min-size = \"1G\" }}\n{layout}\n",
        layout = if layout.contains('=') {
            layout.to_owned()
        } else {
            format!("layout = \"{layout}\"")
        }
    );
    let profiles = Profiles::read(&[("worker.toml".to_owned(), text)]).expect("reads");
    let mut profile = profiles.by_name.values().next().expect("one").clone();
    profile.role = Some(Role::Agent);
    let release = Release {
        pruned: None,
        system: "worker".parse().expect("a name"),
        number: 4,
        toplevel: TOPLEVEL.parse().expect("a store path"),
        closure_size: 100,
        published: Timestamp::default(),
        revision: None,
        dirty: false,
        label: String::new(),
        script: Some(SCRIPT.parse().expect("a store path")),
    };
    let order = PlanOrder {
        host_name: &"node1".parse().expect("a name"),
        profile: &profile,
        release: &release,
        cache: &Substituter {
            url: "http://10.77.0.1:8080/cache".to_owned(),
            public_key: "appliance-1:a2V5".to_owned(),
        },
        k3s_server: Some("https://10.77.0.10:6443"),
    };
    netboot::install::plan::plan(&hardware, &order).expect("a plan")
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
