//! An appliance that says yes, and seals secrets to whoever claimed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netboot::api::types::{
    ClaimAnswer, ClaimRequest, DiskSecrets, PlanRequest, SealedAnswer, UnlockRequest, UnlockSecrets,
};
use netboot::disk::hardware::Disk;
use netboot::install::plan::{DiskAction, SeenDisk};
use netboot::profile::Role;
use serde::Serialize;

use super::{FakeMachine, secrets};
use crate::access::NodeCall;

impl FakeMachine {
    pub(super) fn usual(&mut self, call: &NodeCall<'_>) -> String {
        match call.path {
            "/node/v1/claim" => {
                let request: ClaimRequest = serde_json::from_str(&call.body).expect("a claim");
                self.recipient = Some(request.recipient);
                let answer = ClaimAnswer {
                    name: self.plan.host_name.clone(),
                    attempt: 1,
                    attempts: 3,
                };
                serde_json::to_string(&answer).expect("writes")
            }
            "/node/v1/plan" => {
                let request: PlanRequest = serde_json::from_str(&call.body).expect("a request");
                let chosen = |disk: &Disk| self.plan.disks.iter().any(|one| one.disk.is(disk));
                let seen = request.hardware.disks.into_iter().map(|disk| SeenDisk {
                    action: if chosen(&disk) {
                        DiskAction::Written
                    } else {
                        DiskAction::Left
                    },
                    disk,
                    why: String::new(),
                });
                self.plan.seen = seen.collect();
                serde_json::to_string(&self.plan).expect("writes")
            }
            "/node/v1/disk-key" => self.seals(&DiskSecrets {
                key: "canary-disk-key".to_owned(),
                credential: "canary-credential".to_owned(),
            }),
            "/node/v1/unlock" => {
                let request: UnlockRequest = serde_json::from_str(&call.body).expect("a request");
                self.recipient = Some(request.recipient);
                let key = "canary-disk-key".to_owned();
                self.seals(&UnlockSecrets { key })
            }
            "/node/v1/secrets" => {
                let role = self.plan.k3s.as_ref().map_or(Role::Agent, |k| k.role);
                self.seals(&secrets(role))
            }
            _ => "{}".to_owned(),
        }
    }

    fn seals(&self, secrets: &impl Serialize) -> String {
        let recipient = self.recipient.as_deref().expect("claimed");
        let recipient: age::x25519::Recipient = recipient.parse().expect("a recipient");
        let json = serde_json::to_vec(secrets).expect("writes");
        let sealed = age::encrypt(&recipient, &json).expect("seals");
        let answer = SealedAnswer {
            sealed: STANDARD.encode(sealed),
        };
        serde_json::to_string(&answer).expect("writes")
    }
}
