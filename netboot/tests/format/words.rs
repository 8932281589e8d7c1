//! The words of every kind that holds nothing else: what `state`, `step`, `code` and their like may be.

use netboot::base::arch::Arch;
use netboot::base::refusal::Code;
use netboot::dhcp::offer_fallback::Form;
use netboot::dhcp::request::Client;
use netboot::disk::hardware::Firmware;
use netboot::disk::layout::{Format, Purpose};
use netboot::doctor::boot_trace::{Part, Via, Why};
use netboot::doctor::checks::Verdict;
use netboot::install::plan::Fate;
use netboot::install::report::Step;
use netboot::loader::local_boot::{Loader, Way};
use netboot::loader::uefi::boot_order;
use netboot::machine::{Origin, State};
use netboot::profile::Role;
use netboot::profile::Wipe;

use crate::golden::{check, covers, every, sample, variants};

#[test]
fn every_word_is_as_written_down() {
    let archs = vec![
        Arch::Bios,
        Arch::X86,
        Arch::X64,
        Arch::Arm32,
        Arch::Arm64,
        Arch::Riscv64,
        Arch::Other(37),
    ];
    covers(
        variants!(Arch: Bios, X86, X64, Arm32, Arm64, Riscv64, Other),
        &archs,
    );
    let states = every!(State:
        Seen, Enrolled, Installing, Installed, Running, Joined, Failed, Retired);
    let steps = every!(Step:
        Claim, Plan, TearDown, Partition, Format, Mount, Copy, Configure, BootLoader, Unmount, Unknown);
    let codes = every!(Code:
        BadMac, BadJson, BadName, Unauthorized, TooManyAttempts, UnknownHost, UnknownProfile, UnknownInstall,
        UnknownRelease, DuplicateMac, DuplicateName, WrongState, TicketUsed, TooEarly, AlreadyReceived,
        InstallSuperseded, PlanRefused, ConfirmFirst, PublishFailed, NotFound, TooLarge, StoreUnavailable, Internal,
        Unknown);
    let clients = every!(Client: Pxe, Http, Ipxe, RaspberryPi, UBoot, UBootUefi);
    let whys = every!(Why: Stranger, Disk, Expired, AttemptsUsed, NoLoader, Trouble, Unknown);
    let loaders = every!(Loader: IpxeBios, IpxeUefi, Grub, UBoot, Unknown);
    let ways = every!(Way:
        FirstDisk, SecondDisk, NextEntry, EspLoader, Done, LocalCommand, Unknown);
    let purposes = every!(Purpose: Esp, BiosBoot, Linux, Swap, Raid, Luks);
    let formats = every!(Format: Vfat, Ext4, Xfs, Btrfs, Swap, Zfs);
    let sources = {
        use boot_order::Source;
        every!(Source: Network, Disk, Other)
    };
    check(
        "words",
        [
            sample("arch of the firmware", &archs),
            sample("client", &clients),
            sample("code of a refusal", &codes),
            sample("fate of a disk", &every!(Fate: Written, Kept, Left)),
            sample("filesystem", &formats),
            sample("firmware", &every!(Firmware: Uefi, Bios)),
            sample(
                "form of the offer",
                &every!(Form: Usual, Turned, Split, InHeader, InOptions),
            ),
            sample("loader", &loaders),
            sample(
                "origin of a generation",
                &every!(Origin: Install, Switch, Rollback, Boot),
            ),
            sample(
                "part of a boot",
                &every!(Part: Loader, Kernel, Initrd, Unknown),
            ),
            sample("purpose of a partition", &purposes),
            sample("role", &every!(Role: ServerInit, Server, Agent)),
            sample("source of a boot entry", &sources),
            sample("state", &states),
            sample("step", &steps),
            sample(
                "verdict of a check",
                &every!(Verdict: Ok, Unknown, Warning, Problem),
            ),
            sample("via", &every!(Via: Tftp, Http, Unknown)),
            sample("way to the disk", &ways),
            sample("why of a silence", &whys),
            sample("wipe", &every!(Wipe: Allow, Ask)),
        ],
    );
}
