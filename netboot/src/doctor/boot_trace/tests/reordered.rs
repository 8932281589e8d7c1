//! All is well with a machine whose firmware put its disk first; but not with what an operator wants of it next.

use super::*;
use crate::loader::uefi::boot_order::{BootEntry, BootSource};

#[test]
fn a_disk_before_the_network_is_amiss_while_all_else_is_well() {
    let entry = |number, title: &str, source| BootEntry {
        number,
        title: title.to_owned(),
        source,
    };
    let (disk, network) = (
        entry(7, "Installed by netboot", BootSource::Disk),
        entry(1, "UEFI PXEv4", BootSource::Network),
    );
    let boots = boots(
        Vec::new(),
        journal(&[
            (0, BootEvent::Booted { generation: 1 }),
            (5, BootEvent::Joined),
        ]),
    );
    let finding = |boot_order: &[&BootEntry]| {
        let boot_order = boot_order.iter().map(|entry| (*entry).clone()).collect();
        let setting = DiagnosisContext {
            boot_order,
            ..setting(60, State::Joined)
        };
        diagnose(boots.last(), &setting)
    };
    let well = Finding::Well {
        why: "it joined the cluster".to_owned(),
    };
    assert_eq!(finding(&[&network, &disk]), well);
    let amiss = finding(&[&disk, &network]);
    assert!(matches!(amiss, Finding::Amiss(_)), "{amiss:?}");
    expect![[r#"
        it joined the cluster; its firmware tries the disk (0007 "Installed by netboot") before the network (0001 "UEFI PXEv4")
        - the firmware put the order back; it will not be installed again from afar like this
          tip: in its setup, put the network before the disk
          tip: or on the machine: efibootmgr --bootorder 0001,0007
        - somebody changed it in the setup, or with another system
    "#]].assert_eq(&said(&amiss));
}
