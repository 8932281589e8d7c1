//! The words of every kind that holds nothing else: what `state`, `step`, `code` and their like may be.

use netboot::base::arch::Arch;
use netboot::base::refusal::RefusalCode;
use netboot::dhcp::offer_fallback::OfferForm;
use netboot::dhcp::request::BootClient;
use netboot::disk::hardware::Firmware;
use netboot::disk::layout::{Format, Purpose};
use netboot::doctor::boot_trace::{FileRole, NoAnswerReason, TransferProtocol};
use netboot::doctor::checks::CheckResult;
use netboot::install::plan::DiskAction;
use netboot::install::report::InstallStep;
use netboot::loader::local_boot::{BootLoader, LocalBootMethod};
use netboot::loader::uefi::boot_order;
use netboot::machine::{GenerationOrigin, State};
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
    let steps = every!(InstallStep:
        Claim, Plan, TearDown, Partition, Format, Mount, Copy, Configure, BootLoader, Unmount, Unknown);
    let codes = every!(RefusalCode:
        BadMac, BadJson, BadName, Unauthorized, TooManyAttempts, UnknownHost, UnknownProfile, UnknownInstall,
        UnknownRelease, DuplicateMac, DuplicateName, WrongState, TicketUsed, TooEarly, AlreadyReceived,
        InstallSuperseded, PlanRefused, ConfirmFirst, PublishFailed, NotFound, TooLarge, StoreUnavailable, Internal,
        Unknown);
    let clients = every!(BootClient: Pxe, Http, Ipxe, RaspberryPi, UBoot, UBootUefi);
    let whys =
        every!(NoAnswerReason: Stranger, Disk, Expired, AttemptsUsed, NoLoader, Trouble, Unknown);
    let loaders = every!(BootLoader: IpxeBios, IpxeUefi, Grub, UBoot, Unknown);
    let ways = every!(LocalBootMethod:
        FirstDisk, SecondDisk, NextEntry, EspLoader, Done, LocalCommand, Unknown);
    let purposes = every!(Purpose: Esp, BiosBoot, Linux, Swap, Raid, Luks);
    let formats = every!(Format: Vfat, Ext4, Xfs, Btrfs, Swap, Zfs);
    let sources = {
        use boot_order::BootSource;
        every!(BootSource: Network, Disk, Other)
    };
    check(
        "words",
        [
            sample("arch of the firmware", &archs),
            sample("client", &clients),
            sample("code of a refusal", &codes),
            sample("fate of a disk", &every!(DiskAction: Written, Kept, Left)),
            sample("filesystem", &formats),
            sample("firmware", &every!(Firmware: Uefi, Bios)),
            sample(
                "form of the offer",
                &every!(OfferForm: Usual, Turned, Split, InHeader, InOptions),
            ),
            sample("loader", &loaders),
            sample(
                "origin of a generation",
                &every!(GenerationOrigin: Install, Switch, Rollback, Boot),
            ),
            sample(
                "part of a boot",
                &every!(FileRole: Loader, Kernel, Initrd, Unknown),
            ),
            sample("purpose of a partition", &purposes),
            sample("role", &every!(Role: ServerInit, Server, Agent)),
            sample("source of a boot entry", &sources),
            sample("state", &states),
            sample("step", &steps),
            sample(
                "verdict of a check",
                &every!(CheckResult: Ok, Unknown, Warning, Problem),
            ),
            sample("via", &every!(TransferProtocol: Tftp, Http, Unknown)),
            sample("way to the disk", &ways),
            sample("why of a silence", &whys),
            sample("wipe", &every!(Wipe: Allow, Ask)),
        ],
    );
}
