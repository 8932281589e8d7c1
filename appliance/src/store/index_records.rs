//! The world as records of the index.

use netboot::machine::state::ApplianceState;

use super::index::{Batch, Tree};

/// Key and payload.
type IndexRecord = (Vec<u8>, Vec<u8>);

pub(super) fn machine_records(state: &ApplianceState) -> Vec<IndexRecord> {
    let json = |machine| serde_json::to_vec(machine).unwrap_or_default();
    state
        .machines
        .iter()
        .map(|(mac, machine)| (mac.octets().to_vec(), json(machine)))
        .collect()
}

pub(super) fn release_records(state: &ApplianceState) -> Vec<IndexRecord> {
    let json = |release| serde_json::to_vec(release).unwrap_or_default();
    (0_u32..)
        .zip(&state.releases)
        .map(|(place, release)| (place.to_be_bytes().to_vec(), json(release)))
        .collect()
}

/// Puts into the batch what differs between two worlds.
pub(super) fn fold_changes(batch: &mut Batch, before: &ApplianceState, after: &ApplianceState) {
    for (mac, machine) in &after.machines {
        if before.machines.get(mac) != Some(machine) {
            let json = serde_json::to_vec(machine).unwrap_or_default();
            batch.put(Tree::Machines, &mac.octets(), &json);
        }
    }
    for mac in before.machines.keys() {
        if !after.machines.contains_key(mac) {
            batch.drop(Tree::Machines, &mac.octets());
        }
    }
    for (place, release) in (0_u32..).zip(&after.releases) {
        if before.releases.get(place as usize) != Some(release) {
            let json = serde_json::to_vec(release).unwrap_or_default();
            batch.put(Tree::Releases, &place.to_be_bytes(), &json);
        }
    }
    for place in after.releases.len()..before.releases.len() {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        batch.drop(Tree::Releases, &place.to_be_bytes());
    }
}
