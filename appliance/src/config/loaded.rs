//! `appliance.toml`, read and good by itself.

use netboot::base::problem::{Problem, nearest};
use netboot::machine::decide::Unknown;
use netboot::profile::Profiles;

use super::check;
use super::model::Config;
use super::source::{Source, Trouble};
use crate::net::Interface;

/// A configuration that is good by itself; [`Loaded::against`] holds it against the profiles.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    source: Source,
    unknown_at: std::ops::Range<usize>,
}

impl Source {
    /// Reads the configuration, as it holds on a machine with these interfaces.
    pub fn check(self, interfaces: &[Interface]) -> Result<Loaded, Trouble> {
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
        let Unknown::Profile(wanted) = &self.config.unknown else {
            return Vec::new();
        };
        if profiles.by_name.contains_key(wanted) {
            return Vec::new();
        }
        let Source { file, text } = &self.source;
        let message = format!("`boot.unknown` names the profile `{wanted}`, which does not exist");
        let problem = Problem::at(file, text, &self.unknown_at, message);
        let known = || profiles.by_name.keys().map(|name| name.as_str());
        vec![match nearest(wanted.as_str(), known()) {
            Some(near) => problem.tip(format!("did you mean `{near}`?")),
            None if profiles.by_name.is_empty() => problem.tip("there are no profiles"),
            None => {
                let known: Vec<&str> = known().collect();
                problem.tip(format!("known profiles: {}", known.join(", ")))
            }
        }]
    }
}
