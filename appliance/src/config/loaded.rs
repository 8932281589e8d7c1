//! `appliance.toml`, read and good by itself.

use netboot::base::problem::{Problem, did_you_mean};
use netboot::machine::decide::UnknownPolicy;
use netboot::profile::Profiles;

use super::check;
use super::model::Config;
use super::source::{ConfigText, ConfigTrouble};
use crate::net::Interface;

/// A configuration that is good by itself; [`Loaded::against`] holds it against the profiles.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    source: ConfigText,
    unknown_at: std::ops::Range<usize>,
}

impl ConfigText {
    /// Reads the configuration, as it holds on a machine with these interfaces.
    pub fn check(self, interfaces: &[Interface]) -> Result<Loaded, ConfigTrouble> {
        let (config, unknown_at) = check::check(&self, interfaces)?;
        Ok(Loaded {
            config,
            source: self,
            unknown_at,
        })
    }
}

impl Loaded {
    /// What is wrong with the configuration only beside these profiles.
    pub fn against(&self, profiles: &Profiles) -> Vec<Problem> {
        let UnknownPolicy::Profile(wanted) = &self.config.unknown else {
            return Vec::new();
        };
        if profiles.by_name.contains_key(wanted) {
            return Vec::new();
        }
        let ConfigText { file, text } = &self.source;
        let message = format!("`boot.unknown` names the profile `{wanted}`, which does not exist");
        let problem = Problem::at(file, text, &self.unknown_at, message);
        let known = || profiles.by_name.keys().map(|name| name.as_str());
        let tip = did_you_mean(wanted.as_str(), known()).unwrap_or_else(|| {
            match known().collect::<Vec<_>>().as_slice() {
                [] => "there are no profiles".to_owned(),
                all => format!("known profiles: {}", all.join(", ")),
            }
        });
        vec![problem.tip(tip)]
    }
}
