//! What every door holds: the store, the keys, the configuration in force.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;
use std::sync::Arc;

use netboot::api::admin::{self, Built, Operator};
use netboot::api::agent::{self, Asker};
use netboot::api::auth_throttle::Attempts;
use netboot::api::types::{
    EnrollRequest, InstallerPublished, InstallerRequest, Live, PublishRequest, Published,
};
use netboot::base::address::Address;
use netboot::base::mac::Mac;
use netboot::base::name::ProfileName;
use netboot::base::refusal::{Code, Refusal};
use netboot::base::release::PublishedInstaller;
use netboot::dhcp::lease::Standing;
use netboot::dhcp::offer_fallback::Trials;
use netboot::dhcp::pcap::Packet;
use netboot::dhcp::request::Facts;
use netboot::doctor::boot_trace::Mark;
use netboot::machine::State;
use netboot::machine::decide::{Decision, Policy, decide, decide_image};
use netboot::machine::departures::Departures;
use netboot::machine::event::BY_POLICY;
use netboot::machine::state::World;
use netboot::profile::Profiles;
use netboot::publish::installer;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::base::clock;
use crate::base::counters::Counters;
use crate::boot::packets::Packets;
use crate::boot::requester::Caller;
use crate::boot::timelines::Timelines;
use crate::cache::Cache;
use crate::config::Config;
use crate::files::loaders::Loaders;
use crate::installers::Installers;
use crate::keys::Keys;
use crate::lan_scan::Findings;
use crate::net::Segment;
use crate::publish::follow::Looks;
use crate::store::Store;

/// How many machines are kept on record that no operator enrolled: a flood of invented MACs must not fill the disk.
const STRANGERS: usize = 1024;

/// Shared by all listeners.
pub struct App {
    pub config: Config,
    pub store: Store,
    pub keys: Keys,
    pub cache: Cache,
    /// The last good set of `hosts/profiles`.
    pub profiles: watch::Receiver<Arc<Profiles>>,
    pub policy: Policy,
    /// The LANs that are served, in the order of the configuration; there is at least one.
    pub segments: Vec<Arc<Segment>>,
    pub loaders: Loaders,
    pub installers: Installers,
    /// What is being tried with firmware that has not got through yet.
    pub trials: Mutex<Trials>,
    /// Who was sent to its disk and was not heard of since.
    pub departures: Mutex<Departures>,
    /// Calls for disk keys that were refused.
    pub unlocks: Mutex<Attempts>,
    /// What was last seen of other servers and of the host's firewall.
    pub findings: Findings,
    pub counters: Counters,
    /// The last look at the flake's branch.
    pub looks: Looks,
    /// What machines were seen doing, and the packets that went with it.
    pub timelines: Timelines,
    pub packets: Packets,
}

impl App {
    pub fn profiles(&self) -> Arc<Profiles> {
        self.profiles.borrow().clone()
    }

    /// The address on the first LAN, for what no machine asked.
    pub fn address(&self) -> &Address {
        &self.segments[0].address
    }

    /// The appliance's own network cards: what they send is no machine's question.
    pub fn cards(&self) -> Vec<Mac> {
        self.segments.iter().filter_map(|s| s.lan.mac).collect()
    }

    /// What is known of a card apart from its leases; a stranger's if it is no card's address at all.
    pub fn standing(&self, card: [u8; 6]) -> Standing {
        let world = self.store.world();
        let machine = Mac::new(card).ok().and_then(|mac| world.by_mac(mac));
        match machine.is_some_and(|machine| machine.state != State::Seen) {
            true => Standing::Enrolled,
            false => Standing::Stranger,
        }
    }

    /// The architectures of kernels that profiles are for (`x86_64`); the most usual one where there are no profiles.
    pub fn kernels(&self) -> BTreeSet<String> {
        let profiles = self.profiles();
        let mut kernels: BTreeSet<_> = profiles
            .by_name
            .values()
            .map(|p| p.arch.to_string())
            .collect();
        if kernels.is_empty() {
            kernels.insert("x86_64".to_owned());
        }
        kernels
    }

    /// Writes down what a machine's packets say of it, if that is new. The usual case writes nothing.
    pub async fn see(&self, mac: Mac, facts: &Facts, asker: Asker) -> Result<Arc<World>, Refusal> {
        let (world, now) = (self.store.world(), clock::now());
        let news = agent::see(&world, mac, facts, &self.policy, now, asker, STRANGERS);
        if news.drafts.is_empty() {
            return Ok(world);
        }
        let (facts, policy) = (facts.clone(), self.policy.clone());
        let see = move |world: &World, now| {
            agent::see(world, mac, &facts, &policy, now, asker, STRANGERS)
        };
        self.store.decide(see).await.map(|seen| seen.world)
    }

    /// What this machine gets at a door that only reads.
    pub fn decision(&self, mac: Mac) -> Decision {
        decide(self.store.world().by_mac(mac), &self.policy, clock::now())
    }

    /// What this machine gets at the door of kernel and initrd.
    pub fn image_decision(&self, mac: Mac) -> Decision {
        decide_image(self.store.world().by_mac(mac), &self.policy, clock::now())
    }

    /// `boot.unknown` names a profile: the stranger gets it, if there are not too many.
    pub async fn enroll_stranger(&self, mac: Mac, profile: ProfileName) -> Result<(), Refusal> {
        let (profiles, armed_for) = (self.profiles(), self.config.armed_for);
        let enroll = move |world: &World, now| {
            let operator = Operator {
                profiles: &profiles,
                armed_for,
                now,
                ticket: clock::ticket(),
                by: BY_POLICY,
            };
            let request = EnrollRequest {
                mac,
                profile: Some(profile),
                name: None,
            };
            admin::enroll_stranger(world, &operator, &request)
        };
        self.store.decide(enroll).await.map(|_| ())
    }

    /// Signs a built system into the cache and makes a release of it, if it is not the newest one already.
    pub async fn publish(&self, request: PublishRequest) -> Result<Published, Refusal> {
        let PublishRequest {
            system,
            toplevel,
            source,
        } = request;
        // Until the release is on record: a prune must not take its paths for nobody's.
        let turn = self.cache.turn().await;
        let held = self.cache.held(&toplevel, self.keys.cache_public());
        let measured = match held.await? {
            Some(measured) => measured,
            None => turn.publish(&toplevel).await?,
        };
        let built = Built {
            system,
            toplevel,
            closure_size: measured.closure_size,
            label: measured.system.label,
            script: measured.system.script,
            source,
        };
        let release = move |world: &World, now| admin::release(world, built, now);
        let decided = self.store.decide(release).await?;
        drop(turn);
        Ok(Published {
            release: decided.answer,
            changed: decided.changed,
        })
    }

    /// Puts an installer in place, and on record; machines boot it from now on.
    pub async fn publish_installer(
        self: &Arc<Self>,
        request: InstallerRequest,
    ) -> Result<InstallerPublished, Refusal> {
        let (app, runtime) = (self.clone(), Handle::current());
        let publish = move || {
            let begun = || app.installers.begun(|mac| app.boots_installer(mac));
            let record =
                |installer: &PublishedInstaller| runtime.block_on(app.record(installer.clone()));
            app.installers.publish(request, begun, clock::now(), record)
        };
        let published = tokio::task::spawn_blocking(publish).await;
        published.map_err(|error| {
            let message = format!("publishing an installer ended early: {error}");
            Refusal::new(Code::Internal, message)
        })?
    }

    /// Has machines boot the installers that are on record, and puts on record what they boot where nothing is.
    pub async fn record_installers(&self) -> Result<(), Refusal> {
        let world = self.store.world();
        self.installers.agree(|arch| {
            let last = world.installers.iter().rfind(|i| i.arch == arch);
            last.map(|installer| installer.path.clone())
        });
        for installer in self.installers.published() {
            self.record(installer).await?;
        }
        Ok(())
    }

    async fn record(&self, installer: PublishedInstaller) -> Result<(), Refusal> {
        let record = move |world: &World, _| installer::published(world, installer);
        self.store.decide(record).await.map(|_| ())
    }

    /// Whether this machine may still ask for the files that its script named.
    fn boots_installer(&self, mac: Mac) -> bool {
        let decision = self.image_decision(mac);
        matches!(decision, Decision::Install | Decision::Discover)
    }

    /// The forms and loaders that are tried. A panic while they were held leaves them as good as before.
    pub fn trials<T>(&self, of: impl FnOnce(&mut Trials) -> T) -> T {
        of(&mut self.trials.lock())
    }

    /// The machine asks for its script: what got it there is kept with it. Not worth failing a boot for. Who is not
    /// known to be the machine has not got anywhere.
    pub async fn reached(&self, caller: &Caller) {
        let mac = caller.mac;
        if !caller.is_proven {
            tracing::info!(%mac, "somebody who is not known to be it asks for its script");
            return;
        }
        let Some(manner) = self.trials(|trials| trials.arrived(mac)) else {
            return;
        };
        let reached = move |world: &World, _| agent::reached(world, mac, &manner);
        if let Err(refusal) = self.store.decide(reached).await {
            tracing::warn!(%mac, %refusal, "how its firmware got to its script is not kept");
        }
    }

    /// Takes down what a machine was seen doing, and tells whoever watches if it is news. Of a machine that is not on
    /// record nothing is: strangers are only so many.
    pub fn mark(&self, card: Mac, mark: Mark) {
        let world = self.store.world();
        let Some(machine) = world.by_mac(card) else {
            return;
        };
        let (at, enrolled) = (self.timelines.now(), machine.state != State::Seen);
        let since = machine.since;
        if self.timelines.note(card, enrolled, since, at, mark.clone()) {
            self.store.tell(Live::Boot {
                at,
                machine: machine.id,
                mark,
            });
        }
    }

    /// Keeps a packet from or to a machine on record.
    pub fn keep_packet(&self, card: Mac, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) {
        if let Some(machine) = self.store.world().by_mac(card) {
            let packet = Packet {
                at: self.timelines.now(),
                from,
                to,
                payload: payload.to_vec(),
            };
            self.packets
                .note(card, machine.state != State::Seen, packet);
        }
    }
}
