//! Calls of the node API that are asked until they are answered.

use std::time::Duration;

use netboot::api::types::ErrorBody;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot_pin::ForeignKey;
use serde::de::DeserializeOwned;

use crate::access::{CallFailed, NodeAnswer, NodeCall, ReadAccess};

/// The pauses between tries: 0.5 s, doubled up to 10 s.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(500))
    }
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Duration::from_secs(10));
        now
    }
}

/// Why a call is over without what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the appliance refused")]
    Refused(#[source] Refusal),
    /// The attempt belongs to another session now: the machine must not be touched any more.
    #[error("this install was given up for another one")]
    Superseded(#[source] Refusal),
    #[error(transparent)]
    Foreign(ForeignKey),
    /// The time limit of the call is over; only calls with a limit end like this.
    #[error("{0}")]
    Away(String),
    #[error("the appliance's answer to `{path}` cannot be read")]
    Odd {
        path: String,
        #[source]
        cause: serde_json::Error,
    },
}

/// Long enough for an appliance that is busy writing to its disk.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until there is an answer: no answer and 5xx are asked again for ever, a refusal ends it.
pub(crate) fn ask<T: DeserializeOwned>(
    access: &mut dyn ReadAccess,
    call: &NodeCall<'_>,
) -> Result<T, CallError> {
    let answer = answered(access, call, None)?;
    read(call, &answer)
}

/// As [`ask`], for calls whose answer has no content.
pub(crate) fn tell(access: &mut dyn ReadAccess, call: &NodeCall<'_>) -> Result<(), CallError> {
    answered(access, call, None).map(|_| ())
}

/// As [`tell`], with a time limit.
pub(crate) fn tell_within(
    access: &mut dyn ReadAccess,
    call: &NodeCall<'_>,
    limit: Duration,
) -> Result<(), CallError> {
    answered(access, call, Some(limit)).map(|_| ())
}

/// As [`ask`], with a time limit.
pub(crate) fn ask_within<T: DeserializeOwned>(
    access: &mut dyn ReadAccess,
    call: &NodeCall<'_>,
    limit: Duration,
) -> Result<T, CallError> {
    let answer = answered(access, call, Some(limit))?;
    read(call, &answer)
}

fn read<T: DeserializeOwned>(call: &NodeCall<'_>, answer: &NodeAnswer) -> Result<T, CallError> {
    serde_json::from_slice(&answer.body).map_err(|cause| CallError::Odd {
        path: call.path.to_owned(),
        cause,
    })
}

fn answered(
    access: &mut dyn ReadAccess,
    call: &NodeCall<'_>,
    limit: Option<Duration>,
) -> Result<NodeAnswer, CallError> {
    let until = limit.map(|limit| access.elapsed() + limit);
    let mut backoff = Backoff::default();
    let mut told = None;
    loop {
        let trouble = match access.post(call) {
            Ok(answer) if (200..300).contains(&answer.status) => return Ok(answer),
            Ok(answer) if matters(answer.status) => return Err(refusal(&answer)),
            Ok(answer) => format!("the appliance answers {} to {}", answer.status, call.path),
            Err(CallFailed::Foreign(key)) => return Err(CallError::Foreign(key)),
            Err(away @ CallFailed::Away(_)) => away.to_string(),
        };
        // Each kind of error is shown once: a console that scrolls for an hour hides what came before.
        if told.as_ref() != Some(&trouble) {
            access.say(&format!("  {trouble}; asking again until it does"));
            told = Some(trouble.clone());
        }
        if until.is_some_and(|until| access.elapsed() >= until) {
            return Err(CallError::Away(trouble));
        }
        access.sleep(backoff.next());
    }
}

/// Whether an HTTP status ends the call. A timeout and a rate limit do not: they are asked again.
fn matters(status: u16) -> bool {
    (400..500).contains(&status) && status != 408 && status != 429
}

fn refusal(answer: &NodeAnswer) -> CallError {
    let refusal = match serde_json::from_slice::<ErrorBody>(&answer.body) {
        Ok(body) => body.error,
        Err(_) => Refusal::new(
            RefusalCode::Unknown,
            format!("status {} without a reason", answer.status),
        ),
    };
    if answer.status == 410 && refusal.code == RefusalCode::InstallSuperseded {
        CallError::Superseded(refusal)
    } else {
        CallError::Refused(refusal)
    }
}
