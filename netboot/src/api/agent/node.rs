//! Once the installed system runs: its own word from its own disk, and the word of Kubernetes.

use super::refused;
use crate::api::types::BootRequest;
use crate::base::mac::Mac;
use crate::base::refusal::{Refusal, RefusalCode};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::loader::uefi::boot_order::BootEntry;
use crate::machine::event::Decided;
use crate::machine::event::{EventKind, NewEvent};
use crate::machine::state::ApplianceState;
use crate::machine::{Generation, GenerationOrigin, Machine, State};
use crate::profile::Profiles;

/// `POST /node/v1/boot`, by the hash of the node key. A repeat within one boot changes nothing.
pub fn booted(
    state: &ApplianceState,
    node_key: &Digest,
    request: &BootRequest,
    now: Timestamp,
    from: &str,
) -> Decided<()> {
    let Some(machine) = state.by_node_key(node_key) else {
        let refusal = Refusal::new(
            RefusalCode::Unauthorized,
            "no installed machine has this key",
        )
        .fact("it was installed again, or forgotten, since");
        return refused(state, None, refusal, now, from);
    };
    if machine.name.as_ref() != Some(&request.name) {
        let refusal = Refusal::new(
            RefusalCode::Unauthorized,
            "this key belongs to another name",
        );
        return refused(state, Some(machine.id), refusal, now, from);
    }
    let release = state
        .releases
        .iter()
        .rev()
        .find(|r| r.toplevel == request.store_path);
    let generation = Generation {
        number: request.generation,
        store_path: request.store_path.clone(),
        label: request.label.clone(),
        kernel: request.kernel.clone(),
        origin: GenerationOrigin::Switch,
        release: release.map(|r| r.number),
        activated: now,
        booted: Some(now),
        boot_id: request.boot_id.clone(),
    };
    let known = machine
        .generations
        .iter()
        .rfind(|known| known.is_same(&generation));
    let repeat = known.is_some_and(|known| known.boot_id == request.boot_id);
    let settled = !matches!(machine.state, State::Installed | State::Failed);
    let mut events = Vec::new();
    if !(repeat && settled) {
        events.push(NewEvent::of(machine.id, EventKind::Booted { generation }));
    }
    let order = printable_entries(&request.boot_order);
    if !order.is_empty() && order != machine.boot_order {
        events.push(NewEvent::of(machine.id, EventKind::BootOrder { order }));
    }
    Decided::yes((), events)
}

/// What may be kept and shown of a firmware's boot entries.
fn printable_entries(order: &[BootEntry]) -> Vec<BootEntry> {
    const MOST: usize = 32;

    let title = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect();
    let entries = order.iter().take(MOST).map(|entry| BootEntry {
        title: title(&entry.title),
        ..entry.clone()
    });
    entries.collect()
}

/// Kubernetes says that the node is Ready: the one thing that makes `joined`.
///
/// `boot_id` is the boot that the node's kubelet speaks of (`status.nodeInfo.bootID`). A node is called Ready for
/// 40 s after its last heartbeat, so a machine that was installed again quickly could be judged by its former boot.
pub fn joined(state: &ApplianceState, machine: Mac, boot_id: &str) -> Decided<()> {
    let running = state.machines.get(&machine).filter(|m| {
        let speaks_of_it = !m.boot_id.is_empty() && m.boot_id == boot_id;
        m.state == State::Running && speaks_of_it
    });
    let node = running.and_then(|m| m.name.clone());
    let events = node.map(|node| NewEvent::of(machine, EventKind::Joined { node }));
    Decided::yes((), events.into_iter().collect())
}

/// Machines whose node is looked for in the cluster: running, with a role.
pub fn awaited<'a>(
    state: &'a ApplianceState,
    profiles: &'a Profiles,
) -> impl Iterator<Item = &'a Machine> {
    state.machines.values().filter(move |machine| {
        let profile = machine
            .profile
            .as_ref()
            .and_then(|name| profiles.by_name.get(name));
        machine.state == State::Running && profile.is_some_and(|p| p.role.is_some())
    })
}
