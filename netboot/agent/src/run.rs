//! One install attempt: who we are to the appliance, and every step reported as it starts, goes on and ends.
//!
//! Reports that a step started, is tried again, is done or has failed are sent until they are accepted, and so the
//! install does not go on before the appliance knows of it. Progress is sent once and may be lost.

use std::time::Duration;

use netboot::base::refusal::Refusal;
use netboot::install::report::{InstallStep, Report, StepOutcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access::{CommandError, NodeCall, Roots, WriteAccess};
use crate::talk::{self, CallError, PATIENCE};
use crate::target::Target;

/// How an attempt ends that does not end well. After it the machine is not touched any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// Outermost cause first.
    Failed {
        step: InstallStep,
        causes: Vec<String>,
    },
    /// Another attempt is in force.
    Superseded {
        step: InstallStep,
        causes: Vec<String>,
    },
}

pub(crate) struct InstallAttempt<'a> {
    pub access: &'a mut dyn WriteAccess,
    pub roots: &'a Roots,
    /// The disks that this attempt writes to, as soon as it does.
    pub targets: Vec<Target>,
    /// What encrypted volumes are made with, once it was handed out.
    pub volume_keys: Option<VolumeKeys>,
    session: String,
    /// The number of the last report.
    number: u64,
    /// Reports from before the claim, which the appliance takes only afterwards. `None` once it is held.
    waiting: Option<Vec<Report>>,
    next_progress: Duration,
}

/// No `Debug`: it must not reach a log.
pub(crate) struct VolumeKeys {
    pub key: String,
    /// The JSON of [`netboot::api::types::UnlockToken`].
    pub token: String,
}

/// The rate limit of progress reports: two a second, so that they do not keep the appliance busy.
const BETWEEN_PROGRESS: Duration = Duration::from_millis(500);
const AFTER_LOST_PROGRESS: Duration = Duration::from_secs(5);
/// The most causes in a report, so that it is not too large for the appliance.
const MOST_CAUSES: usize = 24;
const LEFT_FOR_DISKS: usize = 4;
const LONGEST_CAUSE: usize = 1000;

impl<'a> InstallAttempt<'a> {
    pub(crate) fn new(access: &'a mut dyn WriteAccess, roots: &'a Roots, session: String) -> Self {
        Self {
            access,
            roots,
            targets: Vec::new(),
            volume_keys: None,
            session,
            number: 0,
            waiting: Some(Vec::new()),
            next_progress: Duration::ZERO,
        }
    }

    /// The claim is held: reports are taken from now on.
    pub(crate) fn claimed(&mut self) -> Result<(), CallError> {
        for report in self.waiting.take().unwrap_or_default() {
            self.send(&report)?;
        }
        Ok(())
    }

    /// Does one step, and says so before and after.
    pub(crate) fn step<T>(
        &mut self,
        step: InstallStep,
        work: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> Result<T, AttemptEnd> {
        let (number, all) = (step.number(), InstallStep::ALL.len());
        let time = self.access.elapsed().as_secs();
        self.say(&format!(
            "[{time:>4} s] {number:>2}/{all} {}",
            step.sentence()
        ));
        let worked = match self.report(step, StepOutcome::Started) {
            Ok(()) => work(self),
            Err(error) => Err(error.into()),
        };
        let done = worked.and_then(|value| {
            self.report(step, StepOutcome::Done)?;
            Ok(value)
        });
        done.map_err(|error| self.stop(step, &error))
    }

    /// Ends the attempt: on the console first, for the appliance may be away.
    pub(crate) fn stop(&mut self, step: InstallStep, error: &anyhow::Error) -> AttemptEnd {
        let mut causes = causes(error);
        let call = error
            .chain()
            .find_map(|cause| cause.downcast_ref::<CallError>());
        if call.is_none() {
            causes.truncate(MOST_CAUSES - LEFT_FOR_DISKS);
            causes.extend(
                self.targets
                    .iter()
                    .flat_map(|disk| disk.condition(self.roots)),
            );
            causes.truncate(MOST_CAUSES);
        }
        let stop = match call {
            Some(CallError::Superseded(_)) => AttemptEnd::Superseded { step, causes },
            _ => AttemptEnd::Failed { step, causes },
        };
        self.announce(&stop);
        let tell = !matches!(call, Some(CallError::Superseded(_) | CallError::Foreign(_)));
        if let (true, AttemptEnd::Failed { step, causes }) = (tell, &stop) {
            let causes = causes.clone();
            if let Err(refused) = self.report(*step, StepOutcome::Failed { causes }) {
                self.say(&format!("  this failure could not be reported: {refused}"));
            }
        }
        stop
    }

    fn announce(&mut self, stop: &AttemptEnd) {
        let (title, step, causes) = match stop {
            AttemptEnd::Failed { step, causes } => ("INSTALL FAILED", step, causes),
            AttemptEnd::Superseded { step, causes } => ("INSTALL STOPPED", step, causes),
        };
        let bar = "#".repeat(72);
        self.say(&bar);
        self.say(&format!(
            "### {title} in step {}/{}: {}",
            step.number(),
            InstallStep::ALL.len(),
            step.sentence()
        ));
        for cause in causes {
            self.say(&format!("###   {cause}"));
        }
        self.say(
            "### nothing more is done to this machine; it is held here until it is switched off",
        );
        self.say(&bar);
    }

    /// Sends a report that matters until it is accepted.
    pub(crate) fn report(
        &mut self,
        step: InstallStep,
        outcome: StepOutcome,
    ) -> Result<(), CallError> {
        let report = self.numbered(step, outcome);
        match &mut self.waiting {
            Some(waiting) => {
                waiting.push(report);
                Ok(())
            }
            None => self.send(&report),
        }
    }

    /// Reports bytes, if enough time has passed since the last time.
    pub(crate) fn progress(&mut self, step: InstallStep, done: u64, total: u64) {
        if self.waiting.is_some() || self.access.elapsed() < self.next_progress {
            return;
        }
        let report = self.numbered(step, StepOutcome::Progress { done, total });
        let Ok(body) = serde_json::to_string(&report) else {
            return;
        };
        let call = NodeCall {
            path: "/node/v1/report",
            bearer: Some(&self.session),
            body,
            patience: Duration::from_secs(2),
        };
        let pause = match self.access.post(&call) {
            Ok(answer) if answer.status < 300 => BETWEEN_PROGRESS,
            // A progress report may be lost. If the appliance is away, the next report that must arrive finds it out.
            _ => AFTER_LOST_PROGRESS,
        };
        self.next_progress = self.access.elapsed() + pause;
    }

    fn numbered(&mut self, step: InstallStep, outcome: StepOutcome) -> Report {
        self.number += 1;
        Report {
            number: self.number,
            step,
            outcome,
        }
    }

    fn send(&mut self, report: &Report) -> Result<(), CallError> {
        self.tell("/node/v1/report", report)
    }

    /// Asks as the holder of the claim.
    pub(crate) fn ask<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        talk::ask(self.access, &call(path, &self.session, body)?)
    }

    pub(crate) fn tell(&mut self, path: &str, body: &impl Serialize) -> Result<(), CallError> {
        talk::tell(self.access, &call(path, &self.session, body)?)
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.access.say(line);
    }
}

fn call<'a>(
    path: &'a str,
    session: &'a str,
    body: &impl Serialize,
) -> Result<NodeCall<'a>, CallError> {
    let mut body = serde_json::to_string(body).map_err(|cause| CallError::Odd {
        path: path.to_owned(),
        cause,
    })?;
    if body == "null" {
        body.clear();
    }
    Ok(NodeCall {
        path,
        bearer: Some(session),
        body,
        patience: PATIENCE,
    })
}

/// The whole chain in words, outermost first; with what a refusal adds, and with what a program said.
pub(crate) fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain() {
        causes.push(cause.to_string());
        if let Some(refusal) = cause.downcast_ref::<Refusal>() {
            causes.extend(refusal.facts.iter().cloned());
            causes.extend(refusal.tips.iter().map(|tip| format!("tip: {tip}")));
        }
        if let Some(command) = cause.downcast_ref::<CommandError>() {
            causes.extend(command.said.iter().cloned());
        }
    }
    causes.truncate(MOST_CAUSES);
    let cut = |text: String| {
        text.chars()
            // A cause is one line, and the output of a failed script may have several.
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(LONGEST_CAUSE)
            .collect()
    };
    causes.into_iter().map(cut).collect()
}
