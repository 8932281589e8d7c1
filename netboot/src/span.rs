//! What lies on a chosen disk and on another one as well: to overwrite a part of it could cost what the other disk holds,
//! and to stop it could write there. So it is refused, whatever it is, and whether it runs or not.

use crate::hardware::{Disk, Group, Holding};
use crate::refusal::{Code, Refusal};

/// Looks whether something on the `chosen` disks (names of this boot: `vda`) also lies on a disk that is not chosen.
///
/// # Errors
/// It does; with the other disk, and what to do there.
pub fn check(disks: &[Disk], chosen: &[&str]) -> Result<(), Refusal> {
    let (own, others): (Vec<&Disk>, Vec<&Disk>) = disks
        .iter()
        .partition(|disk| chosen.contains(&disk.node.as_str()));
    for (disk, held, group) in members(&own) {
        let also = members(&others)
            .find(|(_, other, there)| other.kind == held.kind && there.id == group.id);
        if let Some((other, part, _)) = also {
            return Err(refusal(disk, held, group, other, part));
        }
    }
    Ok(())
}

fn members<'a>(disks: &'a [&'a Disk]) -> impl Iterator<Item = (&'a Disk, &'a Holding, &'a Group)> {
    disks.iter().flat_map(|disk| {
        let held = disk.holds.iter();
        held.filter_map(move |held| Some((*disk, held, held.member_of.as_ref()?)))
    })
}

fn refusal(disk: &Disk, held: &Holding, group: &Group, other: &Disk, part: &Holding) -> Refusal {
    let (name, node) = (&group.name, &part.node);
    let (what, stop) = match held.kind.as_str() {
        "linux_raid_member" => ("array", "mdadm --stop --scan && ".to_owned()),
        "LVM2_member" => (
            "volume group",
            format!("vgchange --activate n '{name}' && "),
        ),
        "zfs_member" => ("pool", format!("zpool export '{name}'; ")),
        _ => ("filesystem", String::new()),
    };
    Refusal::new(
        Code::PlanRefused,
        format!(
            "`{}` holds a part of the {what} `{name}`, and so does `{}`, which is not to be installed on",
            disk.node, other.node
        ),
    )
    .fact(format!("disk {}", disk.words()))
    .fact(format!("disk {}", other.words()))
    .fact("without its part here, what the other disk holds could be lost; nothing was written")
    .tip(format!(
        "if the other disk is needed as it is: take `{}` out of the {what} first, or select another disk",
        disk.node
    ))
    .tip(format!(
        "if nothing on it is needed, on that machine: {stop}wipefs --all /dev/{node}"
    ))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn disk(node: &str, holds: &[(&str, &str, &str)]) -> Disk {
        Disk {
            node: node.to_owned(),
            size: 8 << 30,
            sector: 512,
            model: String::new(),
            serial: format!("serial-{node}"),
            wwn: String::new(),
            bus: "sata".to_owned(),
            removable: false,
            read_only: false,
            boot_medium: false,
            by_id: Vec::new(),
            holds: holds
                .iter()
                .map(|(part, kind, group)| Holding {
                    node: format!("{node}{part}"),
                    size: 1 << 30,
                    kind: (*kind).to_owned(),
                    label: String::new(),
                    partition_label: String::new(),
                    start: 0,
                    member_of: (!group.is_empty()).then(|| Group {
                        name: format!("the {group}"),
                        id: (*group).to_owned(),
                    }),
                })
                .collect(),
        }
    }

    #[test]
    fn what_spans_a_chosen_and_another_disk_is_refused_and_nothing_else_is() {
        let array = ("1", "linux_raid_member", "a");
        let volumes = ("2", "LVM2_member", "v");
        let rows: [(&str, Vec<Disk>, &[&str], bool); 8] = [
            (
                "nothing",
                vec![disk("sda", &[]), disk("sdb", &[])],
                &["sda"],
                true,
            ),
            (
                "all of it on the chosen disk",
                vec![disk("sda", &[array, ("2", array.1, "a")]), disk("sdb", &[])],
                &["sda"],
                true,
            ),
            (
                "on two that are not chosen",
                vec![
                    disk("sda", &[]),
                    disk("sdb", &[array]),
                    disk("sdc", &[array]),
                ],
                &["sda"],
                true,
            ),
            (
                "on two that are both chosen",
                vec![disk("sda", &[array]), disk("sdb", &[array])],
                &["sdb", "sda"],
                true,
            ),
            (
                "an array",
                vec![disk("sda", &[volumes, array]), disk("sdb", &[array])],
                &["sda"],
                false,
            ),
            (
                "a volume group, the other first",
                vec![disk("sda", &[volumes]), disk("sdb", &[volumes])],
                &["sdb"],
                false,
            ),
            (
                "two chosen, and a third",
                vec![
                    disk("sda", &[array]),
                    disk("sdb", &[]),
                    disk("sdc", &[array]),
                ],
                &["sda", "sdb"],
                false,
            ),
            (
                "the same number by chance, of things of two kinds",
                vec![disk("sda", &[("1", "btrfs", "a")]), disk("sdb", &[array])],
                &["sda"],
                true,
            ),
        ];
        for (name, disks, chosen, fine) in rows {
            assert_eq!(check(&disks, chosen).is_ok(), fine, "{name}");
        }
    }

    #[test]
    fn the_refusal_names_both_disks_and_says_what_to_do() {
        let volumes = ("2", "LVM2_member", "v");
        let disks = [disk("sda", &[volumes]), disk("sdb", &[volumes])];
        let refusal = check(&disks, &["sda"]).expect_err("refuses");
        let text = [vec![refusal.message], refusal.facts, refusal.tips].concat();
        expect![[r"
            `sda` holds a part of the volume group `the v`, and so does `sdb`, which is not to be installed on
            disk sda: 8.0 GiB sata, serial serial-sda, holds sda2: LVM2_member of `the v`, 1.0 GiB
            disk sdb: 8.0 GiB sata, serial serial-sdb, holds sdb2: LVM2_member of `the v`, 1.0 GiB
            without its part here, what the other disk holds could be lost; nothing was written
            if the other disk is needed as it is: take `sda` out of the volume group first, or select another disk
            if nothing on it is needed, on that machine: vgchange --activate n 'the v' && wipefs --all /dev/sdb2"]]
        .assert_eq(&text.join("\n"));
    }
}
