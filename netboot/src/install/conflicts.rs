//! What lies on a chosen disk and on another one as well: to overwrite a part of it could cost what the other disk holds,
//! and to stop it could write there. So it is refused, whatever it is, and whether it runs or not; also where it cannot be
//! told whether it is one.

use crate::base::refusal::{Code, Refusal};
use crate::disk::hardware::{Disk, Group, Holding};

/// Looks whether something on the `chosen` disks (names of this boot: `vda`) also lies on a disk that is not chosen.
///
/// # Errors
/// It does; with the other disk, and what to do there.
pub fn check(disks: &[Disk], chosen: &[&str]) -> Result<(), Refusal> {
    let (own, others): (Vec<&Disk>, Vec<&Disk>) = disks
        .iter()
        .partition(|disk| chosen.contains(&disk.node.as_str()));
    for (disk, held) in members(&own) {
        let also = members(&others).find(|(_, part)| may_be_one(held, part));
        if let Some((other, part)) = also {
            return Err(refusal(disk, held, other, part));
        }
    }
    Ok(())
}

/// What is, or may be, a part of something larger.
fn members<'a>(disks: &'a [&'a Disk]) -> impl Iterator<Item = (&'a Disk, &'a Holding)> {
    let all = disks
        .iter()
        .flat_map(|disk| disk.holds.iter().map(move |held| (*disk, held)));
    all.filter(|(_, held)| held.member_of.is_some() || is_unreadable(held))
}

/// `wipefs` failed on it: what it is nobody knows.
fn is_unreadable(held: &Holding) -> bool {
    held.kind == "unreadable"
}

fn may_be_one(one: &Holding, other: &Holding) -> bool {
    if is_unreadable(one) || is_unreadable(other) {
        return true;
    }
    let same =
        |one: &Group, other: &Group| one.id == other.id || one.id.is_empty() || other.id.is_empty();
    one.kind == other.kind
        && matches!((&one.member_of, &other.member_of), (Some(one), Some(other)) if same(one, other))
}

fn refusal(disk: &Disk, held: &Holding, other: &Disk, part: &Holding) -> Refusal {
    let node = &part.node;
    let known = |held: &Holding| held.member_of.clone().filter(|group| !group.id.is_empty());
    let Some(Group { name, .. }) = known(held).filter(|_| known(part).is_some()) else {
        return unclear(disk, held, other, part);
    };
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

/// Nothing says that both are one, and nothing that they are not.
fn unclear(disk: &Disk, held: &Holding, other: &Disk, part: &Holding) -> Refusal {
    Refusal::new(
        Code::PlanRefused,
        format!(
            "`{}` may hold a part of what `{}` holds, which is not to be installed on",
            disk.node, other.node
        ),
    )
    .fact(format!("disk {}", disk.words()))
    .fact(format!("disk {}", other.words()))
    .fact(format!(
        "whether `{}` and `{}` belong together cannot be read; nothing was written",
        held.node, part.node
    ))
    .tip(format!(
        "if they belong together and `{}` is needed: select another disk",
        other.node
    ))
    .tip(format!(
        "if they have nothing to do with each other, on that machine: wipefs --all /dev/{}",
        held.node
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
                        id: group.trim_matches('?').to_owned(),
                    }),
                })
                .collect(),
        }
    }

    #[test]
    fn what_spans_a_chosen_and_another_disk_is_refused_and_nothing_else_is() {
        let array = ("1", "linux_raid_member", "a");
        let volumes = ("2", "LVM2_member", "v");
        let fakeraid = ("", "isw_raid_member", "?");
        let unread = ("1", "unreadable", "");
        let rows: [(&str, Vec<Disk>, &[&str], bool); 15] = [
            (
                "RAID of a mainboard, of no known name",
                vec![disk("sda", &[fakeraid]), disk("sdb", &[fakeraid])],
                &["sda"],
                false,
            ),
            (
                "the same, alone",
                vec![disk("sda", &[fakeraid]), disk("sdb", &[array])],
                &["sda"],
                true,
            ),
            (
                "an array of no known name beside one of a known name",
                vec![disk("sda", &[("1", array.1, "?")]), disk("sdb", &[array])],
                &["sda"],
                false,
            ),
            (
                "what cannot be read beside an array",
                vec![disk("sda", &[unread]), disk("sdb", &[array])],
                &["sda"],
                false,
            ),
            (
                "an array beside what cannot be read",
                vec![disk("sda", &[array]), disk("sdb", &[unread])],
                &["sda"],
                false,
            ),
            (
                "what cannot be read beside a plain filesystem",
                vec![disk("sda", &[unread]), disk("sdb", &[("1", "ext4", "")])],
                &["sda"],
                true,
            ),
            (
                "a blank disk beside what cannot be read",
                vec![disk("sda", &[]), disk("sdb", &[unread])],
                &["sda"],
                true,
            ),
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

    #[test]
    fn where_nothing_says_that_both_are_one_the_refusal_says_so() {
        let fakeraid = ("", "isw_raid_member", "?");
        let disks = [disk("sda", &[fakeraid]), disk("sdb", &[fakeraid])];
        let refusal = check(&disks, &["sda"]).expect_err("refuses");
        let text = [vec![refusal.message], refusal.facts, refusal.tips].concat();
        expect![[r"
            `sda` may hold a part of what `sdb` holds, which is not to be installed on
            disk sda: 8.0 GiB sata, serial serial-sda, holds sda: isw_raid_member, 1.0 GiB
            disk sdb: 8.0 GiB sata, serial serial-sdb, holds sdb: isw_raid_member, 1.0 GiB
            whether `sda` and `sdb` belong together cannot be read; nothing was written
            if they belong together and `sdb` is needed: select another disk
            if they have nothing to do with each other, on that machine: wipefs --all /dev/sda"]]
        .assert_eq(&text.join("\n"));
    }
}
