//! The calls of a machine under installation → events, or a refusal that is put on record.

use crate::decide::{Decision, Policy};
use crate::event::Draft;
use crate::hardware::Hardware;
use crate::mac::Mac;
use crate::machine::{Facts, Machine};
use crate::plan::{Cache, Plan};
use crate::profile::{Profiles, Role};
use crate::refusal::Refusal;
use crate::report::Report;
use crate::timestamp::Timestamp;
use crate::token::{Digest, Ticket};
use crate::wire::{BootRequest, ClaimAnswer, ClaimRequest, InstalledRequest};
use crate::world::World;

/// An answer, and what must be written down before it is given. A refusal may be written down too.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<T> {
    pub answer: Result<T, Refusal>,
    pub drafts: Vec<Draft>,
}

/// A machine asked for something to boot: what is new about it. `most` bounds the strangers on record.
pub fn see(world: &World, mac: Mac, facts: &Facts, most: usize) -> Verdict<()> {
    let _ = (world, mac, facts, most);
    unimplemented!()
}

/// The boot script door: decides, hands out the ticket, counts attempts. `fresh` is used only if a new
/// attempt begins.
pub fn serve(
    world: &World,
    mac: Mac,
    policy: &Policy,
    now: Timestamp,
    fresh: Ticket,
) -> Verdict<(Decision, Option<Ticket>)> {
    let _ = (world, mac, policy, now, fresh);
    unimplemented!()
}

/// `POST /node/v1/claim`. `session` is the hash of `request.session`; `from` is who asked, for the record.
pub fn claim(
    world: &World,
    request: &ClaimRequest,
    session: &Digest,
    policy: &Policy,
    now: Timestamp,
    from: &str,
) -> Verdict<ClaimAnswer> {
    let _ = (world, request, session, policy, now, from);
    unimplemented!()
}

/// What a plan needs besides the machine.
#[derive(Debug, Clone, Copy)]
pub struct Shelf<'a> {
    pub profiles: &'a Profiles,
    pub cache: &'a Cache,
    pub k3s_server: Option<&'a str>,
}

/// `POST /node/v1/plan`. All calls below name the machine by the hash of the session that it brought.
pub fn plan(
    world: &World,
    session: &Digest,
    hardware: &Hardware,
    shelf: &Shelf<'_>,
    from: &str,
) -> Verdict<Plan> {
    let _ = (world, session, hardware, shelf, from);
    unimplemented!()
}

/// `POST /node/v1/report`.
pub fn report(
    world: &World,
    session: &Digest,
    report: &Report,
    policy: &Policy,
    from: &str,
) -> Verdict<Mac> {
    let _ = (world, session, report, policy, from);
    unimplemented!()
}

/// What the appliance must seal for this machine; asked before `sealed`. An earlier ciphertext is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSeal {
    /// Nothing to make: this ciphertext (base64) answers the retry.
    Again(String),
    /// Make secrets for this host name and role, seal them to the recipient, then call [`sealed`].
    Fresh {
        host_name: crate::name::HostName,
        role: Option<Role>,
        recipient: String,
    },
}

/// `POST /node/v1/secrets`, first half. Refused before the `configure` step and after "received".
pub fn secrets(world: &World, session: &Digest, from: &str) -> Verdict<ToSeal> {
    let _ = (world, session, from);
    unimplemented!()
}

/// Second half: the ciphertext is made; keep it, or give the one that another call kept meanwhile.
pub fn sealed(
    world: &World,
    session: &Digest,
    sealed: String,
    node_key: Digest,
    from: &str,
) -> Verdict<String> {
    let _ = (world, session, sealed, node_key, from);
    unimplemented!()
}

/// `POST /node/v1/secrets/received`.
pub fn received(world: &World, session: &Digest, from: &str) -> Verdict<()> {
    let _ = (world, session, from);
    unimplemented!()
}

/// `POST /node/v1/installed`. A repeat is a success that changes nothing.
pub fn installed(
    world: &World,
    session: &Digest,
    request: &InstalledRequest,
    now: Timestamp,
    from: &str,
) -> Verdict<()> {
    let _ = (world, session, request, now, from);
    unimplemented!()
}

/// `POST /node/v1/boot`, by the hash of the node key.
pub fn booted(
    world: &World,
    node_key: &Digest,
    request: &BootRequest,
    now: Timestamp,
    from: &str,
) -> Verdict<()> {
    let _ = (world, node_key, request, now, from);
    unimplemented!()
}

/// Kubernetes says that the node is Ready: the one thing that makes `joined`.
pub fn joined(world: &World, machine: Mac) -> Verdict<()> {
    let _ = (world, machine);
    unimplemented!()
}

/// Machines whose node is looked for in the cluster: running, with a role.
pub fn awaited<'a>(world: &'a World, profiles: &'a Profiles) -> impl Iterator<Item = &'a Machine> {
    world.machines.values().filter(move |machine| {
        let profile = machine
            .profile
            .as_ref()
            .and_then(|name| profiles.by_name.get(name));
        machine.state == crate::machine::State::Running && profile.is_some_and(|p| p.role.is_some())
    })
}
