//! Making a plan, from top to bottom: each step is a module beside this one.

use super::{
    K3s, Plan, PlannedRelease, Substituter, command, conflicts, describe, place, pool, scripted,
    select, stack,
};
use crate::base::name::HostName;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::release::Release;
use crate::disk::hardware::Hardware;
use crate::disk::layout::Layout;
use crate::profile::{Profile, Role};

/// What a plan is made of besides the hardware.
#[derive(Debug, Clone, Copy)]
pub struct PlanOrder<'a> {
    pub host_name: &'a HostName,
    pub profile: &'a Profile,
    pub release: &'a Release,
    pub cache: &'a Substituter,
    /// The API server that agents and further servers join.
    pub k3s_server: Option<&'a str>,
}

/// Makes the plan, or refuses with the disks it saw and the line to write. It does not open or write anything: a plan
/// is only data, and the same for the same input.
pub fn plan(hardware: &Hardware, order: &PlanOrder<'_>) -> Result<Plan, Refusal> {
    let profile = order.profile;
    if hardware.arch != profile.arch {
        return Err(Refusal::new(
            RefusalCode::PlanRefused,
            format!(
                "profile `{}` is for {}, this machine is {}",
                profile.name, profile.arch, hardware.arch
            ),
        ));
    }
    let k3s = cluster(order)?;
    let devices = profile.layout.devices(hardware.firmware);
    if let Some(missing) = devices.missing(hardware.firmware) {
        let message = format!(
            "layout `{}` lacks the partition from which this machine's firmware ({}) starts: {missing}",
            profile.layout.name(),
            hardware.firmware.name()
        );
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact("nothing was written")
            .tip(format!("in {}: add that partition", profile.file)));
    }
    let choice = select::choose(&hardware.disks, profile, &devices)?;
    let layout = profile.layout.name();
    conflicts::check(&hardware.disks, &choice.disks, &profile.layout, &devices)?;
    pool::check(hardware, order, &devices)?;
    let mut disks = Vec::new();
    let mut script = None;
    if let Layout::Scripted(_) = &profile.layout {
        script = Some(scripted::script(order, &choice.disks)?);
        disks.extend(scripted::disks(&choice.disks, &devices));
    } else {
        for (disk, wanted) in choice.disks.iter().zip(&devices.disks) {
            disks.push(place::place_partitions(
                disk,
                wanted,
                &devices,
                order.release.closure_size,
            )?);
        }
    }
    let outline = stack::storage_stack(&disks, &devices);
    let (destroys, keeps) = describe::destroyed_and_kept(&choice.disks, &disks);
    let mut plan = Plan {
        host_name: order.host_name.clone(),
        firmware: hardware.firmware,
        layout: layout.to_owned(),
        seen: choice.seen,
        disks,
        arrays: outline.arrays,
        volumes: outline.volumes,
        filesystems: outline.filesystems,
        mounts: outline.mounts,
        destroys,
        keeps,
        warnings: choice.warnings,
        script,
        commands: Vec::new(),
        release: PlannedRelease {
            system: order.release.system.clone(),
            number: order.release.number,
            toplevel: order.release.toplevel.clone(),
            closure_size: order.release.closure_size,
        },
        cache: order.cache.clone(),
        k3s,
    };
    plan.commands = command::commands(&plan, hardware.tpm2);
    Ok(plan)
}

/// The profile's part in the cluster. A node that joins one must be told where it is, or k3s would found another.
fn cluster(order: &PlanOrder<'_>) -> Result<Option<K3s>, Refusal> {
    let Some(role) = order.profile.role else {
        return Ok(None);
    };
    if role == Role::ServerInit {
        return Ok(Some(K3s { role, server: None }));
    }
    let Some(server) = order.k3s_server.map(str::to_owned) else {
        let Profile { name, file, .. } = order.profile;
        let message =
            format!("profile `{name}` joins a cluster as `{role}`, and none is configured");
        return Err(Refusal::new(RefusalCode::PlanRefused, message)
            .fact("nothing was written")
            .tip("in appliance.toml: [k3s] server = \"https://ADDRESS:6443\", then restart the appliance")
            .tip(format!(
                "for the first server of a cluster, in {file}: [k3s] role = \"server-init\""
            )));
    };
    let server = Some(server);
    Ok(Some(K3s { role, server }))
}
