//! Makes the keys of this attempt in RAM, and claims the ticket with them.

use anyhow::Context as _;
use netboot::report::Step;
use netboot::wire::{ClaimAnswer, ClaimRequest};

use crate::cmdline::Orders;
use crate::outside::{Call, Outside};
use crate::run::{Run, Stop, causes};
use crate::talk::{self, PATIENCE};

/// What proves to the appliance that it speaks to one and the same agent, and what opens the secrets. Lives in RAM
/// and dies with this boot. No `Debug`.
pub(crate) struct Keys {
    /// 256 bits, as 64 hexadecimal digits.
    pub session: String,
    identity: age::x25519::Identity,
}

impl Keys {
    pub(crate) fn make(outside: &mut dyn Outside) -> anyhow::Result<Self> {
        let mut octets = [0; 32];
        outside
            .random(&mut octets)
            .context("there is no randomness")?;
        Ok(Self {
            session: octets.iter().map(|o| format!("{o:02x}")).collect(),
            identity: age::x25519::Identity::generate(),
        })
    }

    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, age::DecryptError> {
        age::decrypt(&self.identity, sealed)
    }
}

pub(crate) fn claim(
    run: &mut Run<'_>,
    orders: &Orders,
    keys: &Keys,
) -> anyhow::Result<ClaimAnswer> {
    let request = ClaimRequest {
        ticket: orders.ticket.clone(),
        session: keys.session.clone(),
        recipient: keys.identity.to_public().to_string(),
    };
    let call = Call {
        path: "/node/v1/claim",
        bearer: None,
        body: serde_json::to_string(&request).context("cannot write the claim")?,
        patience: PATIENCE,
    };
    let answer: ClaimAnswer =
        talk::ask(run.outside, &call).context("this machine's ticket is not honoured")?;
    run.claimed()?;
    run.say(&format!(
        "  this machine is {}, attempt {} of {}",
        answer.name, answer.attempt, answer.attempts
    ));
    Ok(answer)
}

/// Without keys there is nobody to report as.
pub(crate) fn without_keys(outside: &mut dyn Outside, error: &anyhow::Error) -> Stop {
    let causes = causes(error);
    for cause in &causes {
        outside.say(&format!("error: {cause}"));
    }
    Stop::Failed {
        step: Step::Claim,
        causes,
    }
}
