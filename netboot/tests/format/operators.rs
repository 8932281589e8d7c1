//! The calls of `pxe-admin`, and what they answer.

use netboot::api::event_view::EventView;
use netboot::api::machine_view::MachineView;
use netboot::api::types::{
    BootsAnswer, Changed, Closure, ConfirmRequest, CopyProgress, DoctorReport, EnrollRequest,
    EventLine, Generations, InstallerFor, InstallerPublished, InstallerRequest, MachineGenerations,
    MachineList, Missing, Preview, PruneAnswer, PruneRequest, PublishRequest, PublishTargets,
    Published, RecoveryKey, ReimageRequest, Releases, SHIPMENT, UploadBatch,
};
use netboot::base::token::UploadBatchId;
use netboot::doctor::boot_trace::{Boot, BootEvent, Cause, Diagnosis, Finding, TraceEntry};
use netboot::doctor::checks::{Check, CheckResult};
use netboot::install::report::InstallStep;
use netboot::machine::event::{Event, EventKind};
use netboot::publish::closure::ClosurePath;
use netboot::publish::installer::{ImageFile, InstallerManifest};
use netboot::publish::retention::{KeepReason, ReleaseRetention};

use crate::golden::{Sample, both, check, covers, sample, variants};
use crate::machine::machine;
use crate::plan::plan;
use crate::samples::{
    at, built_from, digest, found, generation, host, installer, list, mac, path, profile, release,
    some, system, texts,
};

fn toplevel() -> netboot::base::store_path::StorePath {
    path("nixos-system-worker-25.05")
}

fn member() -> ClosurePath {
    ClosurePath {
        path: toplevel(),
        size: 1 << 20,
    }
}

fn part(octet: u8) -> ImageFile {
    ImageFile {
        sha256: digest(octet),
        size: 1 << 20,
    }
}

fn parts() -> InstallerManifest {
    InstallerManifest {
        arch: "x86_64".to_owned(),
        cmdline: "init=/init".to_owned(),
        kernel: part(1),
        initrd: part(2),
    }
}

fn orders() -> Vec<Sample> {
    let enroll = |full| EnrollRequest {
        mac: mac(0x56),
        profile: some(full, profile()),
        name: some(full, host()),
    };
    let reimage = |full| ReimageRequest {
        release: some(full, 3),
    };
    let changed = |full| Changed {
        machine: MachineView::of(&machine(false)),
        changed: true,
        profile_file: some(full, "profiles/worker.toml".to_owned()),
        warnings: list(full, texts(["no release of `worker`"])),
    };
    let preview = |full| Preview {
        plan: plan(full),
        asks: list(full, vec![found(true)]),
    };
    let confirm = ConfirmRequest {
        seen: vec![found(true)],
    };
    let key = RecoveryKey {
        name: host(),
        key: "abcd-efgh".to_owned(),
        made: at(8),
    };
    let machines = MachineList {
        machines: [true, false]
            .map(|full| MachineView::of(&machine(full)))
            .into(),
    };
    let generations = Generations {
        machines: vec![MachineGenerations {
            name: "node1".to_owned(),
            generations: vec![generation(true)],
        }],
    };
    let open = [
        both("enroll", enroll),
        both("reimage", reimage),
        both("changed", changed),
        both("preview", preview),
    ];
    let fixed = [
        sample("confirm", &confirm),
        sample("recovery key", &key),
        sample("machines", &machines),
        sample("generations", &generations),
    ];
    open.into_iter().flatten().chain(fixed).collect()
}

fn publishing() -> Vec<Sample> {
    let publish = |full| PublishRequest {
        system: system(),
        toplevel: toplevel(),
        source: built_from(full),
    };
    let published = Published {
        release: release(true),
        changed: true,
    };
    let copying = CopyProgress {
        toplevel: toplevel(),
        done: 1000,
        total: 5000,
    };
    let installer_for = |full| InstallerFor {
        arch: "x86_64".to_owned(),
        configured: some(full, "rescue".to_owned()),
        published: some(full, installer(true)),
    };
    let publishing = |full| PublishTargets {
        flake: some(full, "git+https://example.org/hosts".to_owned()),
        systems: vec![system()],
        installers: vec![installer_for(full)],
        copying: some(full, copying.clone()),
    };
    let request = |full| InstallerRequest {
        path: path("installer"),
        source: built_from(full),
        parts: some(full, parts()),
    };
    let batch = |full| UploadBatch {
        id: some(full, UploadBatchId::new([0x5b; 16])),
        paths: list(full, vec![member()]),
        parts: list(full, vec![part(1)]),
    };
    let missing = Missing {
        paths: 1,
        bytes: 1 << 20,
        parts: vec![part(2)],
    };
    let from_now_on = InstallerPublished {
        installer: installer(true),
        changed: true,
    };
    let closure = |full| Closure {
        release: some(full, release(false)),
        whole: true,
        paths: vec![member()],
    };
    let releases = |full| Releases {
        releases: vec![release(true)],
        installers: list(full, vec![installer(true)]),
    };
    let open = [
        both("publish", publish),
        both("publishing", publishing),
        both("installer", installer),
        both("installer request", request),
        both("shipment", batch),
        both("closure", closure),
        both("releases", releases),
    ];
    let fixed = [
        sample("published", &published),
        sample("lacking", &missing),
        sample("installer published", &from_now_on),
    ];
    open.into_iter().flatten().chain(fixed).collect()
}

fn pruning() -> Vec<Sample> {
    let machine = || "node1".to_owned();
    let why = vec![
        KeepReason::Newest,
        KeepReason::Recent { of: 5 },
        KeepReason::Ordered { machine: machine() },
        KeepReason::Installing { machine: machine() },
        KeepReason::Running { machine: machine() },
        KeepReason::Same { number: 2 },
        KeepReason::Unknown,
    ];
    covers(
        variants!(KeepReason: Newest, Recent, Ordered, Installing, Running, Same, Unknown),
        &why,
    );
    let prune = |full| PruneRequest {
        keep: some(full, 2),
        dry_run: full,
    };
    let answer = |full| PruneAnswer {
        releases: vec![ReleaseRetention {
            release: release(false),
            why: list(full, why.clone()),
        }],
        paths: 12,
        bytes: 1 << 30,
        spared: if full { 4 } else { 0 },
        dry_run: true,
        warnings: list(full, texts(["release 2 of `worker` is not whole"])),
    };
    let all = [both("prune", prune)];
    all.into_iter()
        .flatten()
        .chain(both("pruned", answer))
        .collect()
}

fn diagnoses() -> Vec<Sample> {
    let cause = |full| Cause {
        what: "a firewall drops UDP 69".to_owned(),
        tips: list(full, texts(["open it"])),
    };
    let diagnosis = |full| Diagnosis {
        after: "it was offered snponly.efi".to_owned(),
        missing: "it never asked for it".to_owned(),
        since: some(full, at(4)),
        causes: vec![cause(full)],
    };
    let findings = [
        (
            "boots, well",
            Finding::Well {
                why: "it runs".to_owned(),
            },
        ),
        (
            "boots, under way",
            Finding::UnderWay {
                awaited: "the agent".to_owned(),
                quiet: 5,
                patience: 60,
            },
        ),
        ("boots, stuck", Finding::Stuck(diagnosis(true))),
        ("boots, stuck, the least", Finding::Stuck(diagnosis(false))),
        ("boots, amiss", Finding::Amiss(diagnosis(true))),
    ];
    covers(
        variants!(Finding: Well, UnderWay, Stuck, Amiss),
        findings.iter().map(|(_, finding)| finding),
    );
    let boots = findings.map(|(name, finding)| {
        let boots = BootsAnswer {
            title: "node1".to_owned(),
            boots: vec![Boot {
                notes: vec![TraceEntry::once(at(0), BootEvent::Ordered)],
            }],
            finding,
        };
        sample(name, &boots)
    });
    let checkup = |full| DoctorReport {
        checks: vec![Check {
            name: "store".to_owned(),
            verdict: CheckResult::Ok,
            what: texts(["takes writes"]),
            tips: list(full, texts(["df -h"])),
        }],
    };
    boots.into_iter().chain(both("checkup", checkup)).collect()
}

fn lines() -> Vec<Sample> {
    let event = EventView::of(Event {
        seq: 7,
        at: at(0),
        machine: Some(mac(0x56)),
        what: EventKind::Received,
    });
    let lines = [
        ("line event", EventLine::Event { event }),
        (
            "line progress",
            EventLine::Progress {
                at: at(0),
                machine: mac(0x56),
                step: InstallStep::Copy,
                done: 1000,
                total: 5000,
            },
        ),
        (
            "line boot",
            EventLine::Boot {
                at: at(0),
                machine: mac(0x56),
                mark: BootEvent::Asked4011,
            },
        ),
        ("line alive", EventLine::Alive),
        ("line unknown", EventLine::Unknown),
    ];
    covers(
        variants!(EventLine: Event, Progress, Boot, Alive, Unknown),
        lines.iter().map(|(_, line)| line),
    );
    lines.map(|(name, line)| sample(name, &line)).into()
}

#[test]
fn calls_of_operators_are_as_written_down() {
    let all = [orders(), publishing(), pruning(), diagnoses(), lines()];
    check("operators", all.into_iter().flatten());
}

#[test]
fn the_header_of_uploads_has_its_name() {
    assert_eq!(SHIPMENT, "netboot-shipment");
}
