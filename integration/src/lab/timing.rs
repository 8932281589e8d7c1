//! How long an install took, and how much of it each step: from the journal, which has a time for every report.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use netboot::api::types::EventLine;
use netboot::install::report::{InstallStep, StepOutcome};
use netboot::machine::event::EventKind;

/// One attempt, from the claim of its ticket to the agent's word that the disk is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    pub whole: Duration,
    /// In the order in which they began.
    pub steps: Vec<(InstallStep, Duration)>,
}

impl Timing {
    /// The last attempt that ended well, from what `pxe-admin --json events` prints.
    ///
    /// # Errors
    /// A line is no event, or no attempt ended well.
    pub fn read(lines: &str) -> anyhow::Result<Self> {
        let mut claimed = None;
        let mut started = None;
        let mut steps = Vec::new();
        let mut last = None;
        for line in lines.lines() {
            let live = serde_json::from_str(line).with_context(|| format!("`{line}`"))?;
            let EventLine::Event { event } = live else {
                continue;
            };
            match &event.what {
                EventKind::Claimed { .. } => {
                    claimed = Some(event.at);
                    steps.clear();
                }
                EventKind::Reported { report } => match &report.outcome {
                    StepOutcome::Started => started = Some((report.step, event.at)),
                    StepOutcome::Done => {
                        let began = started.take().filter(|(step, _)| *step == report.step);
                        steps.extend(began.map(|(step, at)| (step, event.at.since(at))));
                    }
                    _ => {}
                },
                EventKind::Installed { .. } => {
                    last = claimed.take().map(|claimed| Self {
                        whole: event.at.since(claimed),
                        steps: std::mem::take(&mut steps),
                    });
                }
                _ => {}
            }
        }
        last.context("no attempt ended well")
    }

    /// How long a step took; zero for one that was not done.
    pub fn step(&self, wanted: InstallStep) -> Duration {
        let own = self.steps.iter().filter(|(step, _)| *step == wanted);
        own.map(|(_, took)| *took).sum()
    }
}

/// `claim to report 30.0 s, copying 18.0 s of it (60 %); plan 1.0, copy 18.0`
impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, copying) = (self.whole, self.step(InstallStep::Copy));
        let part = 100.0 * copying.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE);
        write!(
            f,
            "claim to report {:.1} s, copying {:.1} s of it ({part:.0} %);",
            whole.as_secs_f64(),
            copying.as_secs_f64()
        )?;
        for (number, (step, took)) in self.steps.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma} {step} {:.1}", took.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(second: u32, what: &serde_json::Value) -> String {
        let at = format!("2026-04-02T10:14:{second:02}.000Z");
        let event = json!({"seq": second, "at": at, "machine": "52:54:00:12:34:56", "what": what});
        json!({"line": "event", "event": event}).to_string()
    }

    fn reported(second: u32, step: &str, kind: &str) -> String {
        let report = json!({"number": second, "step": step, "outcome": {"kind": kind}});
        line(second, &json!({"event": "reported", "report": report}))
    }

    fn claimed(second: u32) -> String {
        let at = "2026-04-02T10:14:00.000Z";
        let claim = json!({"recipient": "age1", "session": "0".repeat(64), "at": at});
        let ticket = "0".repeat(32);
        line(
            second,
            &json!({"event": "claimed", "ticket": ticket, "claim": claim}),
        )
    }

    fn installed(second: u32) -> String {
        let generation = json!({
            "number": 1,
            "store_path": "/nix/store/0c3x1m7mlmcnkd5x5bj0l4d9q0qsmfyq-nixos-system-worker",
            "label": "",
            "kernel": "",
            "origin": "install",
            "activated": "2026-04-02T10:14:00.000Z",
        });
        let what =
            json!({"event": "installed", "generation": generation, "ssh_host_key": "ssh-ed25519"});
        line(second, &what)
    }

    #[test]
    fn the_last_attempt_that_ended_well_is_told_step_by_step() {
        let lines = [
            claimed(1),
            reported(2, "copy", "started"),
            // The power was cut; the second attempt goes to the end.
            claimed(10),
            reported(11, "plan", "started"),
            reported(12, "plan", "done"),
            reported(13, "copy", "started"),
            reported(31, "copy", "done"),
            installed(40),
            claimed(50),
        ];
        let timing = Timing::read(&lines.join("\n")).unwrap();
        assert_eq!(
            timing.to_string(),
            "claim to report 30.0 s, copying 18.0 s of it (60 %); plan 1.0, copy 18.0"
        );
        assert_eq!(timing.step(InstallStep::Format), Duration::ZERO);
        let begun = Timing::read(&lines[..7].join("\n")).unwrap_err();
        assert_eq!(begun.to_string(), "no attempt ended well");
        assert!(Timing::read("42").is_err());
    }
}
