//! What must be unique among all profiles and is not. Both places are named.

use std::collections::BTreeMap;

use super::{ProblemPlace, Read};
use crate::base::problem::Problem;

pub(super) fn find(read: &[Read]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut macs = BTreeMap::new();
    let mut names = BTreeMap::new();
    let mut patterns = BTreeMap::new();
    for one in read {
        for (mac, place) in &one.macs {
            unique(&mut macs, *mac, place, &mac.to_string(), &mut problems);
        }
        for (name, place) in &one.names {
            let what = format!("the name `{name}`");
            unique(&mut names, name.clone(), place, &what, &mut problems);
        }
        problems.extend(systems_of_others(one, read));
        for (pattern, place) in &one.patterns {
            let key = pattern.0.clone();
            unique(&mut patterns, key, place, "this pattern", &mut problems);
        }
    }
    problems
}

fn unique<K: Ord>(
    seen: &mut BTreeMap<K, ProblemPlace>,
    key: K,
    place: &ProblemPlace,
    what: &str,
    problems: &mut Vec<Problem>,
) {
    match seen.get(&key) {
        Some(first) => {
            let message = format!(
                "{what} is also in {}:{}:{}",
                first.file, first.line, first.column
            );
            problems.push(Problem {
                message,
                ..place.clone()
            });
        }
        None => {
            seen.insert(key, place.clone());
        }
    }
}

/// Machines whose own system is called as the system of a profile.
fn systems_of_others(one: &Read, read: &[Read]) -> Vec<Problem> {
    let clash = |machine: &super::ProfileMachine| {
        let system = machine.system.as_ref()?;
        let other = read.iter().find(|other| other.profile.system == *system)?;
        let (name, place) = one.names.iter().find(|(name, _)| *name == machine.name)?;
        let message = format!(
            "`{name}` has modules of its own, but its system's name is that of {}",
            other.profile.file
        );
        let problem = Problem {
            message,
            ..place.clone()
        };
        Some(problem.tip("give the machine another name"))
    };
    one.profile.machines.iter().filter_map(clash).collect()
}
