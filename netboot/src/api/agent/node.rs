//! Once the installed system runs: its own word from its own disk, and the word of Kubernetes.

use super::refused;
use crate::api::types::BootRequest;
use crate::base::mac::Mac;
use crate::base::refusal::{Code, Refusal};
use crate::base::timestamp::Timestamp;
use crate::base::token::Digest;
use crate::loader::uefi::boot_order::Entry;
use crate::machine::event::Verdict;
use crate::machine::event::{Draft, Happening};
use crate::machine::state::World;
use crate::machine::{Generation, Machine, Origin, State};
use crate::profile::Profiles;

/// `POST /node/v1/boot`, by the hash of the node key. A repeat within one boot changes nothing.
pub fn booted(
    world: &World,
    node_key: &Digest,
    request: &BootRequest,
    now: Timestamp,
    from: &str,
) -> Verdict<()> {
    let Some(machine) = world.by_node_key(node_key) else {
        let refusal = Refusal::new(Code::Unauthorized, "no installed machine has this key")
            .fact("it was installed again, or forgotten, since");
        return refused(world, None, refusal, now, from);
    };
    if machine.name.as_ref() != Some(&request.name) {
        let refusal = Refusal::new(Code::Unauthorized, "this key belongs to another name");
        return refused(world, Some(machine.id), refusal, now, from);
    }
    let release = world
        .releases
        .iter()
        .rev()
        .find(|r| r.toplevel == request.store_path);
    let generation = Generation {
        number: request.generation,
        store_path: request.store_path.clone(),
        label: request.label.clone(),
        kernel: request.kernel.clone(),
        origin: Origin::Switch,
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
    let mut drafts = Vec::new();
    if !(repeat && settled) {
        drafts.push(Draft::of(machine.id, Happening::Booted { generation }));
    }
    let order = printable_entries(&request.boot_order);
    if !order.is_empty() && order != machine.boot_order {
        drafts.push(Draft::of(machine.id, Happening::BootOrder { order }));
    }
    Verdict::yes((), drafts)
}

/// What may be kept and shown of a firmware's boot entries.
fn printable_entries(order: &[Entry]) -> Vec<Entry> {
    const MOST: usize = 32;

    let title = |text: &str| text.chars().filter(|c| !c.is_control()).take(80).collect();
    let entries = order.iter().take(MOST).map(|entry| Entry {
        title: title(&entry.title),
        ..entry.clone()
    });
    entries.collect()
}

/// Kubernetes says that the node is Ready: the one thing that makes `joined`.
///
/// `boot_id` is the boot that the node's kubelet speaks of (`status.nodeInfo.bootID`). A node is called Ready for
/// 40 s after its last heartbeat, so a machine that was installed again quickly could be judged by its former boot.
pub fn joined(world: &World, machine: Mac, boot_id: &str) -> Verdict<()> {
    let running = world.machines.get(&machine).filter(|m| {
        let speaks_of_it = !m.boot_id.is_empty() && m.boot_id == boot_id;
        m.state == State::Running && speaks_of_it
    });
    let node = running.and_then(|m| m.name.clone());
    let drafts = node.map(|node| Draft::of(machine, Happening::Joined { node }));
    Verdict::yes((), drafts.into_iter().collect())
}

/// Machines whose node is looked for in the cluster: running, with a role.
pub fn awaited<'a>(world: &'a World, profiles: &'a Profiles) -> impl Iterator<Item = &'a Machine> {
    world.machines.values().filter(move |machine| {
        let profile = machine
            .profile
            .as_ref()
            .and_then(|name| profiles.by_name.get(name));
        machine.state == State::Running && profile.is_some_and(|p| p.role.is_some())
    })
}
