//! What every door holds: the store, the keys, the configuration in force.

use std::sync::Arc;
use std::time::Duration;

use netboot::decide::{Address, Decision, Policy, decide, decide_image};
use netboot::install;
use netboot::mac::Mac;
use netboot::machine::Facts;
use netboot::name::ProfileName;
use netboot::operate::{self, Operator};
use netboot::profile::Profiles;
use netboot::refusal::Refusal;
use netboot::wire::{EnrollRequest, Live};
use netboot::world::World;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::keys::Keys;
use crate::loaders::Loaders;
use crate::store::Store;

/// How many strangers are kept on record: a flood of invented MACs must not fill the disk.
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
    pub address: Address,
    pub loaders: Loaders,
    pub counters: Counters,
}

impl App {
    pub fn profiles(&self) -> Arc<Profiles> {
        self.profiles.borrow().clone()
    }

    /// Writes down what a machine's packets say of it, if that is new. The usual case writes nothing.
    pub async fn see(&self, mac: Mac, facts: &Facts) -> Result<Arc<World>, Refusal> {
        let (world, now) = (self.store.world(), clock::now());
        let news = install::see(&world, mac, facts, &self.policy, now, STRANGERS);
        if news.drafts.is_empty() {
            return Ok(world);
        }
        let (facts, policy) = (facts.clone(), self.policy.clone());
        let see =
            move |world: &World, now| install::see(world, mac, &facts, &policy, now, STRANGERS);
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

    /// `boot.unknown` names a profile: the stranger gets it.
    pub async fn enroll_stranger(&self, mac: Mac, profile: ProfileName) -> Result<(), Refusal> {
        let (profiles, armed_for) = (self.profiles(), self.config.armed_for);
        let enroll = move |world: &World, now| {
            let operator = Operator {
                profiles: &profiles,
                armed_for,
                now,
                ticket: clock::ticket(),
                by: "boot.unknown",
            };
            let request = EnrollRequest {
                mac,
                profile: Some(profile),
                name: None,
            };
            operate::enroll(world, &operator, &request)
        };
        self.store.decide(enroll).await.map(|_| ())
    }

    /// Tells whoever watches what a machine was given before its agent can speak.
    pub fn tell(&self, mac: Mac, stage: impl Into<String>) {
        let machine = self.store.world().by_mac(mac).map_or(mac, |m| m.id);
        self.store.tell(Live::Boot {
            at: clock::now(),
            machine,
            stage: stage.into(),
        });
    }
}

/// `sent snponly.efi (283 KiB in 0.2 s)`
pub fn sent(what: &str, bytes: u64, took: Duration) -> String {
    let size = match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    };
    format!("sent {what} ({size} in {:.1} s)", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let took = Duration::from_millis(240);
        for (bytes, want) in [
            (17, "sent x (17 bytes in 0.2 s)"),
            (289_792, "sent x (283 KiB in 0.2 s)"),
            (9_437_184, "sent x (9 MiB in 0.2 s)"),
        ] {
            assert_eq!(sent("x", bytes, took), want);
        }
    }
}
