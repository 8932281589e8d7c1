//! What the agent says while it installs, and how it folds into progress.
//!
//! Tolerated: repeats, lost progress, steps this version does not know. Not tolerated: a report of an
//! older number changing what a newer one said; it is dropped.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most causes of one failure that go on record, and the most bytes of each.
pub(crate) const CAUSES: usize = 32;
pub(crate) const CAUSE: usize = 2 << 10;

/// The install, step by step; the order here is the order of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallStep {
    Claim,
    Plan,
    TearDown,
    Partition,
    Format,
    Mount,
    Copy,
    Configure,
    BootLoader,
    Unmount,
    /// A step of a newer agent.
    #[serde(other)]
    Unknown,
}

impl InstallStep {
    pub const ALL: [Self; 10] = [
        Self::Claim,
        Self::Plan,
        Self::TearDown,
        Self::Partition,
        Self::Format,
        Self::Mount,
        Self::Copy,
        Self::Configure,
        Self::BootLoader,
        Self::Unmount,
    ];

    /// The step's place, from 1; 0 for an unknown one.
    pub fn number(self) -> usize {
        Self::ALL
            .iter()
            .position(|s| *s == self)
            .map_or(0, |n| n + 1)
    }

    /// What happens in it, for a person at a screen.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Claim => "claiming the ticket",
            Self::Plan => "asking for the plan",
            Self::TearDown => "removing what was on the disk",
            Self::Partition => "partitioning",
            Self::Format => "making filesystems",
            Self::Mount => "mounting",
            Self::Copy => "copying the system",
            Self::Configure => "writing name, keys and tokens",
            Self::BootLoader => "installing the boot loader",
            Self::Unmount => "unmounting",
            Self::Unknown => "a step this version does not know",
        }
    }
}

/// As in JSON and on command lines: `tear-down`.
impl fmt::Display for InstallStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claim => "claim",
            Self::Plan => "plan",
            Self::TearDown => "tear-down",
            Self::Partition => "partition",
            Self::Format => "format",
            Self::Mount => "mount",
            Self::Copy => "copy",
            Self::Configure => "configure",
            Self::BootLoader => "boot-loader",
            Self::Unmount => "unmount",
            Self::Unknown => "unknown",
        })
    }
}

/// What happened in a step. `Done` and `Failed` end it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum StepOutcome {
    Started,
    /// Bytes done of bytes in all. May be lost; is not kept.
    Progress {
        done: u64,
        total: u64,
    },
    /// The step begins again after something passing; `attempt` counts from 2.
    Retry {
        attempt: u32,
        cause: String,
    },
    Done,
    /// A part of the step did not work, and the install goes on without it. Outermost cause first.
    Warning {
        causes: Vec<String>,
    },
    /// The install is over. Outermost cause first.
    Failed {
        causes: Vec<String>,
    },
    #[serde(other)]
    Unknown,
}

/// One report of an attempt. `number` rises by at least one with each; a repeat keeps its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub number: u64,
    pub step: InstallStep,
    pub outcome: StepOutcome,
}

impl Report {
    /// As it goes on record: the agent's words are cut to what a person reads.
    #[must_use]
    pub fn in_short(&self) -> Self {
        let short = |cause: &String| cut(cause, CAUSE);
        let outcome = match &self.outcome {
            StepOutcome::Retry { attempt, cause } => StepOutcome::Retry {
                attempt: *attempt,
                cause: short(cause),
            },
            StepOutcome::Warning { causes } => StepOutcome::Warning {
                causes: causes.iter().take(CAUSES).map(short).collect(),
            },
            StepOutcome::Failed { causes } => StepOutcome::Failed {
                causes: causes.iter().take(CAUSES).map(short).collect(),
            },
            other => other.clone(),
        };
        Self { outcome, ..*self }
    }
}

/// Where an attempt stands: the fold of its reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct InstallProgress {
    /// The highest report number folded in.
    pub number: u64,
    pub step: Option<InstallStep>,
    pub outcome: Option<StepOutcome>,
}

impl InstallProgress {
    /// Takes in a report; false if it was a repeat or came too late to matter.
    pub fn fold(&mut self, report: &Report) -> bool {
        if report.number <= self.number || self.ended() {
            return false;
        }
        *self = Self {
            number: report.number,
            step: Some(report.step),
            outcome: Some(report.outcome.clone()),
        };
        true
    }

    /// Whether the attempt failed: later reports of it do not count.
    pub fn ended(&self) -> bool {
        matches!(self.outcome, Some(StepOutcome::Failed { .. }))
    }

    /// Whether the agent has reported that `step` is done.
    pub fn finished(&self, step: InstallStep) -> bool {
        match (self.step, &self.outcome) {
            (Some(now), _) if now > step && now != InstallStep::Unknown => true,
            (Some(now), Some(StepOutcome::Done)) => now == step,
            _ => false,
        }
    }
}

/// The text, cut to at most `most` bytes, between two characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unknown_step_or_outcome_is_survived() {
        let json = r#"{"number":3,"step":"polish","outcome":{"kind":"shine","depth":2}}"#;
        let report: Report = serde_json::from_str(json).expect("survives");
        assert_eq!(
            (report.step, report.outcome),
            (InstallStep::Unknown, StepOutcome::Unknown)
        );
    }

    #[test]
    fn steps_print_as_they_are_written_in_json() {
        for step in InstallStep::ALL {
            assert_eq!(
                serde_json::to_string(&step).expect("writes"),
                format!("\"{step}\"")
            );
        }
    }

    fn reports() -> impl Strategy<Value = Vec<Report>> {
        let outcome = prop_oneof![
            Just(StepOutcome::Started),
            (0..9u64).prop_map(|done| StepOutcome::Progress { done, total: 9 }),
            Just(StepOutcome::Done),
        ];
        let report = (1..20u64, 0..10usize, outcome).prop_map(|(number, step, outcome)| Report {
            number,
            step: InstallStep::ALL[step],
            outcome,
        });
        // One report per number: a repeat is the same report. A failure is the last that an agent says.
        let all = prop::collection::btree_map(1..20u64, report, 0..10);
        (all, prop::option::of(0..10usize)).prop_map(|(all, failed)| {
            let numbered = all.into_iter().map(|(number, r)| Report { number, ..r });
            let end = failed.map(|step| Report {
                number: 20,
                step: InstallStep::ALL[step],
                outcome: StepOutcome::Failed {
                    causes: vec!["it broke".to_owned()],
                },
            });
            numbered.chain(end).collect()
        })
    }

    proptest! {
        #[test]
        fn any_order_with_repeats_gives_the_same_progress(mut all in reports(), seed: u64) {
            let mut straight = InstallProgress::default();
            all.iter().for_each(|r| { straight.fold(r); });
            let n = all.len().max(1);
            all.extend_from_within(..);
            all.rotate_left(usize::try_from(seed % n as u64).unwrap_or(0));
            all.reverse();
            let mut crooked = InstallProgress::default();
            all.iter().for_each(|r| { crooked.fold(r); });
            let failed = all.iter().any(|r| matches!(r.outcome, StepOutcome::Failed { .. }));
            prop_assert_eq!(straight.ended(), failed);
            prop_assert_eq!(straight, crooked);
        }
    }

    #[test]
    fn a_text_is_cut_between_two_characters() {
        for (text, want) in [("abc", "abc"), ("abcdef", "abcd"), ("abcö", "abc")] {
            assert_eq!(cut(text, 4), want);
        }
    }
}
