//! Looks at the appliance itself. What is found is judged in `netboot::doctor::checks`.

mod images;
mod ports;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use netboot::api::types::DoctorReport;
use netboot::base::problem::Problem;
use netboot::doctor::checks::{
    self, Cached, Check, FirewalledPort, FollowedBranch, KubernetesApi, LoaderFile,
    OtherServersReport, ServedInterface, StateSpace, WallClock,
};
use netboot::machine::state::ApplianceState;
use netboot::profile::{Profiles, Role};

use crate::boot::BootService;
use crate::boot::loaders::BootLoaders;
use crate::boot::log::BootLog;
use crate::cache::Cache;
use crate::config::Dhcp;
use crate::config::hosts;
use crate::config::settings::Settings;
use crate::files::durable;
use crate::files::loaders::ListedLoader;
use crate::installers::Installers;
use crate::keys::Keys;
use crate::lan_scan::LanScan;
use crate::net::Segment;
use crate::publish::follow::FollowStatus;
use crate::store::Store;
use crate::{cluster, net};

/// How long the cluster may take to answer, since a person waits for it.
const CLUSTER: Duration = Duration::from_secs(3);

/// What is looked at.
pub struct Doctor {
    settings: Settings,
    store: Store,
    cache: Cache,
    keys: Arc<Keys>,
    installers: Arc<Installers>,
    loaders: Arc<BootLoaders>,
    log: Arc<BootLog>,
    scan: Arc<LanScan>,
    follow: Arc<FollowStatus>,
}

impl Doctor {
    pub fn new(
        settings: Settings,
        store: Store,
        cache: Cache,
        keys: Arc<Keys>,
        boot: &BootService,
        scan: Arc<LanScan>,
        follow: Arc<FollowStatus>,
    ) -> Self {
        Self {
            settings,
            store,
            cache,
            keys,
            installers: boot.installers.clone(),
            loaders: boot.loaders.clone(),
            log: boot.log.clone(),
            scan,
            follow,
        }
    }

    /// Everything there is to look at, in the order of a boot.
    pub async fn checkup(self: &Arc<Self>) -> DoctorReport {
        let doctor = self.clone();
        let looked = tokio::task::spawn_blocking(move || look(&doctor));
        let (looked, cluster) = tokio::join!(looked, cluster(&self.settings));
        let mut checks = looked.unwrap_or_default();
        let one_token = self.settings.config().k3s.has_one_token();
        checks.push(checks::cluster(&cluster, one_token));
        DoctorReport { checks }
    }
}

/// The checks that need files and the kernel only.
fn look(doctor: &Doctor) -> Vec<Check> {
    let settings = &doctor.settings;
    let config = settings.config();
    let state = doctor.store.state();
    let answers_dhcp = !matches!(config.dhcp, Dhcp::Off);
    let folder = config.ipxe_dir.display().to_string();
    let (problems, profiles) = profiles(settings);
    let (cached, needed) = cache(doctor, &state);
    let largest = state.releases.iter().map(|r| r.closure_size).max();
    let state_dir = &config.state_dir;
    let mut checks = vec![
        checks::lan(&interfaces(settings)),
        checks::ports(&ports::look(settings), answers_dhcp),
        checks::firewall(&firewall(&doctor.scan)),
        checks::others(config.mode(), &others(&doctor.scan)),
        checks::loaders(&loaders(doctor), &folder),
        checks::images(&images::look(&doctor.installers.all())),
        checks::hosts(&problems, profiles),
        checks::cache(&cached, &needed),
        checks::store(doctor.store.trouble().as_deref(), state.seq),
        checks::space(&StateSpace {
            folder: state_dir.display().to_string(),
            free: durable::free_space(state_dir).map_err(|error| error.to_string()),
            largest: largest.unwrap_or(0),
        }),
        checks::clock(WallClock {
            now: doctor.log.now(),
            synchronised: synchronised(),
            last_event: last_event(doctor, &state),
        }),
    ];
    checks.extend(branch(doctor, &state).as_ref().map(checks::branch));
    checks
}

/// The branch that is followed; `None` if none is.
fn branch(doctor: &Doctor, state: &ApplianceState) -> Option<FollowedBranch> {
    let (config, look) = (doctor.settings.config(), doctor.follow.last());
    Some(FollowedBranch {
        flake: config.flake.clone()?,
        every: config.publish.watch?,
        now: doctor.log.now(),
        look: look.map(|look| (look.at, look.head)),
        publishing: doctor.follow.publishing(),
        followed: state.followed.clone(),
    })
}

fn interfaces(settings: &Settings) -> Vec<ServedInterface> {
    let all = net::interfaces().unwrap_or_default();
    let interface = |segment: &Arc<Segment>| {
        let lan = &segment.lan;
        let found = all.iter().find(|i| i.name == lan.interface);
        let sys = Path::new("/sys/class/net").join(&lan.interface);
        let carrier = std::fs::read_to_string(sys.join("carrier")).ok();
        ServedInterface {
            name: lan.interface.clone(),
            address: lan.to_string(),
            exists: found.is_some(),
            has_address: found.is_some_and(|i| i.addresses.iter().any(|(a, _)| *a == lan.address)),
            carrier: carrier.map(|text| text.trim() != "0"),
        }
    };
    settings.segments().iter().map(interface).collect()
}

/// The results of the last scan, which is made every ten minutes.
fn others(scan: &LanScan) -> Vec<OtherServersReport> {
    let follow = scan.other_servers().into_iter();
    let others = follow.map(|look| OtherServersReport {
        interface: look.interface,
        at: look.at,
        found: look.servers,
    });
    others.collect()
}

fn firewall(scan: &LanScan) -> Vec<FirewalledPort> {
    let doors = scan.firewall_ports().into_iter();
    let doors = doors.map(|door| FirewalledPort {
        port: format!("{} ({}) on `{}`", door.port, door.what, door.interface),
        answer: door.answer,
    });
    doors.collect()
}

fn loaders(doctor: &Doctor) -> Vec<LoaderFile> {
    let kernels = doctor.settings.kernels();
    let listed = kernels.iter().flat_map(|k| doctor.loaders.files().usual(k));
    let loader = |listed: &ListedLoader| LoaderFile {
        name: listed.name,
        for_whom: listed.purpose,
        present: doctor.loaders.get(listed.name).is_some(),
    };
    listed.map(loader).collect()
}

/// What is wrong in the folder as it is now, and how many profiles are in force.
fn profiles(settings: &Settings) -> (Vec<String>, usize) {
    let read =
        hosts::read(&settings.config().hosts_dir).and_then(|files| Profiles::read(&files.texts));
    let problems = read.err().unwrap_or_default();
    let problems = problems.iter().map(Problem::to_string).collect();
    (problems, settings.profiles().by_name.len())
}

/// The newest release of each system as it is in the cache, and systems that machines need and that have none.
fn cache(doctor: &Doctor, state: &ApplianceState) -> (Vec<Cached>, Vec<String>) {
    let mut cached = Vec::new();
    for release in &state.releases {
        if state.newest(&release.system).map(|r| r.number) == Some(release.number) {
            cached.push(Cached {
                release: format!("release {} of `{}`", release.number, release.system),
                fault: doctor
                    .cache
                    .fault(&release.toplevel, doctor.keys.cache_public()),
                system: release.system.to_string(),
            });
        }
    }
    let profiles = doctor.settings.profiles();
    let mut needed: Vec<String> = state
        .machines
        .values()
        .filter(|machine| machine.armed.is_some())
        .filter_map(|machine| profiles.by_name.get(machine.profile.as_ref()?))
        .filter(|profile| state.newest(&profile.system).is_none())
        .map(|profile| profile.system.to_string())
        .collect();
    needed.sort();
    needed.dedup();
    (cached, needed)
}

/// systemd-timesyncd leaves a file once it has set the clock; others leave none that is known. The kernel is not asked
/// (adjtimex, which is in `@clock`): a unit that filters system calls ends whoever does.
fn synchronised() -> Option<bool> {
    let says = |path: &str| Path::new(path).exists();
    if says("/run/systemd/timesync/synchronized") {
        return Some(true);
    }
    says("/run/systemd/timesync").then_some(false)
}

fn last_event(
    doctor: &Doctor,
    state: &ApplianceState,
) -> Option<netboot::base::timestamp::Timestamp> {
    let last = doctor
        .store
        .events(None, state.seq.saturating_sub(1), 1)
        .ok()?;
    last.last().map(|event| event.at)
}

async fn cluster(settings: &Settings) -> KubernetesApi {
    let k3s = &settings.config().k3s;
    let Some(server) = &k3s.server else {
        let profiles = settings.profiles();
        let joins = profiles.by_name.values().filter(|profile| {
            let role = profile.role;
            role.is_some_and(|role| role != Role::ServerInit)
        });
        let missing = joins.map(|profile| format!("`{}`", profile.name)).collect();
        return KubernetesApi::None { missing };
    };
    let url = server.trim_end_matches('/').to_owned();
    let asked = tokio::time::timeout(CLUSTER, cluster::reachable(&url)).await;
    match asked {
        Ok(Ok(())) => KubernetesApi::Answers {
            url,
            token: k3s.api_token_file.is_some(),
        },
        Ok(Err(error)) => KubernetesApi::Silent {
            url,
            why: error.root_cause().to_string(),
        },
        Err(_) => KubernetesApi::Silent {
            url,
            why: format!("nothing within {} s", CLUSTER.as_secs()),
        },
    }
}

#[cfg(test)]
mod tests;
