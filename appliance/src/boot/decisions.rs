//! What a machine gets: every port and protocol asks here, and what a packet says of a machine is written down here
//! first.

use std::sync::Arc;

use netboot::api::admin::{self, Operator};
use netboot::api::agent::{self, RequesterIdentity};
use netboot::api::types::EnrollRequest;
use netboot::base::mac::Mac;
use netboot::base::name::ProfileName;
use netboot::base::refusal::Refusal;
use netboot::dhcp::lease::ClientClass;
use netboot::dhcp::request::Facts;
use netboot::machine::State;
use netboot::machine::decide::{Decision, Policy, decide, decide_image};
use netboot::machine::event::BY_POLICY;
use netboot::machine::state::ApplianceState;

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
        decide(self.store.state().by_mac(mac), &self.policy, clock::now())
    }

    /// What this machine gets when it asks for kernel or initrd.
    pub fn image_decision(&self, mac: Mac) -> Decision {
        decide_image(self.store.state().by_mac(mac), &self.policy, clock::now())
    }

    /// Whether this machine may still ask for the files that its script named.
    pub fn boots_installer(&self, mac: Mac) -> bool {
        let decision = self.image_decision(mac);
        matches!(decision, Decision::Install | Decision::Discover)
    }

    /// Whether somebody enrolled the machine with this card. Octets that are no card's address are a stranger's.
    pub fn client_class(&self, card: [u8; 6]) -> ClientClass {
        let state = self.store.state();
        let machine = Mac::new(card).ok().and_then(|mac| state.by_mac(mac));
        match machine.is_some_and(|machine| machine.state != State::Seen) {
            true => ClientClass::Enrolled,
            false => ClientClass::Stranger,
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
        identity: RequesterIdentity,
    ) -> Result<Arc<ApplianceState>, Refusal> {
        let (state, now) = (self.store.state(), clock::now());
        let news = agent::observe(&state, mac, facts, &self.policy, now, identity, STRANGERS);
        if news.events.is_empty() {
            return Ok(state);
        }
        let (facts, policy) = (facts.clone(), self.policy.clone());
        let see = move |state: &ApplianceState, now| {
            agent::observe(state, mac, &facts, &policy, now, identity, STRANGERS)
        };
        self.store.decide(see).await.map(|seen| seen.state)
    }

    /// `boot.unknown` names a profile: the stranger gets it, if there are not too many.
    ///
    /// # Errors
    /// There are too many, or the store takes no writes.
    pub async fn enroll_stranger(&self, mac: Mac, profile: ProfileName) -> Result<(), Refusal> {
        let profiles = self.settings.profiles();
        let armed_for = self.settings.config().armed_for;
        let enroll = move |state: &ApplianceState, now| {
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
            admin::enroll_stranger(state, &operator, &request)
        };
        self.store.decide(enroll).await.map(|_| ())
    }
}
