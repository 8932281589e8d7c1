//! What a machine gets: every port and protocol asks here, and what a packet says of a machine is written down here
//! first.

use std::sync::Arc;

use netboot::api::admin::{self, Operator};
use netboot::api::agent::{self, Asker};
use netboot::api::types::EnrollRequest;
use netboot::base::mac::Mac;
use netboot::base::name::ProfileName;
use netboot::base::refusal::Refusal;
use netboot::dhcp::lease::Standing;
use netboot::dhcp::request::Facts;
use netboot::machine::State;
use netboot::machine::decide::{Decision, Policy, decide, decide_image};
use netboot::machine::event::BY_POLICY;
use netboot::machine::state::World;

use crate::base::clock;
use crate::config::settings::Settings;
use crate::store::Store;

/// How many machines are kept on record that no operator enrolled: a flood of invented MACs must not fill the disk.
const STRANGERS: usize = 1024;

/// The decisions of `netboot`, on the state as it is now.
pub struct Decisions {
    store: Store,
    settings: Settings,
    policy: Policy,
}

impl Decisions {
    pub(super) fn new(store: Store, settings: Settings) -> Self {
        Self {
            policy: settings.config().policy(),
            store,
            settings,
        }
    }

    /// What this machine gets, without writing anything down.
    pub fn decision(&self, mac: Mac) -> Decision {
        decide(self.store.world().by_mac(mac), &self.policy, clock::now())
    }

    /// What this machine gets when it asks for kernel or initrd.
    pub fn image_decision(&self, mac: Mac) -> Decision {
        decide_image(self.store.world().by_mac(mac), &self.policy, clock::now())
    }

    /// Whether this machine may still ask for the files that its script named.
    pub fn boots_installer(&self, mac: Mac) -> bool {
        let decision = self.image_decision(mac);
        matches!(decision, Decision::Install | Decision::Discover)
    }

    /// Whether somebody enrolled the machine with this card. Octets that are no card's address are a stranger's.
    pub fn standing(&self, card: [u8; 6]) -> Standing {
        let world = self.store.world();
        let machine = Mac::new(card).ok().and_then(|mac| world.by_mac(mac));
        match machine.is_some_and(|machine| machine.state != State::Seen) {
            true => Standing::Enrolled,
            false => Standing::Stranger,
        }
    }

    /// Writes down what a machine's packets say of it, if that is new. Usually it is not new, and there is no write.
    ///
    /// # Errors
    /// The store takes no writes.
    pub async fn observe(
        &self,
        mac: Mac,
        facts: &Facts,
        asker: Asker,
    ) -> Result<Arc<World>, Refusal> {
        let (world, now) = (self.store.world(), clock::now());
        let news = agent::observe(&world, mac, facts, &self.policy, now, asker, STRANGERS);
        if news.drafts.is_empty() {
            return Ok(world);
        }
        let (facts, policy) = (facts.clone(), self.policy.clone());
        let see = move |world: &World, now| {
            agent::observe(world, mac, &facts, &policy, now, asker, STRANGERS)
        };
        self.store.decide(see).await.map(|seen| seen.world)
    }

    /// `boot.unknown` names a profile: the stranger gets it, if there are not too many.
    ///
    /// # Errors
    /// There are too many, or the store takes no writes.
    pub async fn enroll_stranger(&self, mac: Mac, profile: ProfileName) -> Result<(), Refusal> {
        let profiles = self.settings.profiles();
        let armed_for = self.settings.config().armed_for;
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
}
