//! An operator's command → events, or a refusal that says what to do instead.

use std::time::Duration;

use crate::install::Verdict;
use crate::mac::Mac;
use crate::name::{HostName, ProfileName, SystemName};
use crate::profile::Profiles;
use crate::store_path::StorePath;
use crate::timestamp::Timestamp;
use crate::token::Ticket;
use crate::wire::EnrollRequest;
use crate::world::World;

/// Who commands, when, and with what.
#[derive(Debug, Clone)]
pub struct Operator<'a> {
    pub profiles: &'a Profiles,
    /// `boot.armed-for`
    pub armed_for: Duration,
    pub now: Timestamp,
    /// Drawn for this command; used if it arms.
    pub ticket: Ticket,
    /// For the audit: `uid 1000` from the socket.
    pub by: &'a str,
}

/// Which machine a command was about, and whether it changed anything (it did if there are drafts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About(pub Mac);

pub fn enroll(world: &World, operator: &Operator<'_>, request: &EnrollRequest) -> Verdict<About> {
    let _ = (world, operator, request);
    unimplemented!()
}

/// Arms an enrolled machine again. `who` is a name or any of its MACs.
pub fn reimage(
    world: &World,
    operator: &Operator<'_>,
    who: &str,
    release: Option<u32>,
) -> Verdict<About> {
    let _ = (world, operator, who, release);
    unimplemented!()
}

/// Takes a machine out of the records; its journal stays.
pub fn forget(world: &World, operator: &Operator<'_>, who: &str) -> Verdict<About> {
    let _ = (world, operator, who);
    unimplemented!()
}

/// What keeps a machine of this profile from being installed now, in words.
pub fn warnings(world: &World, profiles: &Profiles, profile: &ProfileName) -> Vec<String> {
    let _ = (world, profiles, profile);
    unimplemented!()
}

/// The number that the next release of a system gets; the same toplevel as the newest is no new release.
pub fn release(
    world: &World,
    system: &SystemName,
    toplevel: &StorePath,
    closure_size: u64,
    label: &str,
    now: Timestamp,
) -> Verdict<crate::machine::Release> {
    let _ = (world, system, toplevel, closure_size, label, now);
    unimplemented!()
}

/// The name a machine gets when nobody gives one: the profile and the end of the MAC.
pub fn default_name(profile: &ProfileName, mac: Mac) -> Option<HostName> {
    let [.., d, e, f] = mac.octets();
    format!(
        "{}-{d:02x}{e:02x}{f:02x}",
        profile.as_str().replace(['_', '.'], "-")
    )
    .parse()
    .ok()
}
