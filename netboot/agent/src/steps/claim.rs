//! Makes the keys of this attempt in RAM, and claims the ticket with them.

use anyhow::Context as _;
use netboot::api::types::{ClaimAnswer, ClaimRequest, SealedAnswer};
use netboot::install::report::InstallStep;
use serde::de::DeserializeOwned;

use crate::access::{NodeCall, WriteAccess};
use crate::cmdline::Orders;
use crate::envelope::Envelope;
use crate::run::{AttemptEnd, InstallAttempt, causes};
use crate::talk::{self, PATIENCE};

/// The session key, by which the appliance knows this agent again, and the key that opens the secrets. Both live in RAM
/// and end with this boot. There is no `Debug`, so that they cannot reach a log.
pub(crate) struct ClaimKeys {
    /// 256 bits, as 64 hexadecimal digits.
    pub session: String,
    envelope: Envelope,
}

impl ClaimKeys {
    pub(crate) fn make(access: &mut dyn WriteAccess) -> anyhow::Result<Self> {
        let mut octets = [0; 32];
        access
            .random(&mut octets)
            .context("there is no randomness")?;
        Ok(Self {
            session: octets.iter().map(|o| format!("{o:02x}")).collect(),
            envelope: Envelope::default(),
        })
    }

    pub(crate) fn opened<T: DeserializeOwned>(&self, answer: &SealedAnswer) -> anyhow::Result<T> {
        self.envelope.opened(answer)
    }
}

pub(crate) fn claim(
    run: &mut InstallAttempt<'_>,
    orders: &Orders,
    keys: &ClaimKeys,
) -> anyhow::Result<ClaimAnswer> {
    let request = ClaimRequest {
        ticket: orders.ticket.clone(),
        session: keys.session.clone(),
        recipient: keys.envelope.recipient(),
    };
    let call = NodeCall {
        path: "/node/v1/claim",
        bearer: None,
        body: serde_json::to_string(&request).context("cannot write the claim")?,
        patience: PATIENCE,
    };
    let answer: ClaimAnswer =
        talk::ask(run.access, &call).context("this machine's ticket is not honoured")?;
    run.claimed()?;
    run.say(&format!(
        "  this machine is {}, attempt {} of {}",
        answer.name, answer.attempt, answer.attempts
    ));
    Ok(answer)
}

/// Without keys there is no session to report in.
pub(crate) fn without_keys(access: &mut dyn WriteAccess, error: &anyhow::Error) -> AttemptEnd {
    let causes = causes(error);
    for cause in &causes {
        access.say(&format!("error: {cause}"));
    }
    AttemptEnd::Failed {
        step: InstallStep::Claim,
        causes,
    }
}
