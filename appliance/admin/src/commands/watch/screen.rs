//! What `watch` prints of each event: time since the boot began, step, text, bytes and rate.

use std::collections::BTreeMap;

use netboot::api::machine_view::MachineView;
use netboot::api::types::EventLine;
use netboot::base::mac::Mac;
use netboot::base::timestamp::Timestamp;
use netboot::install::report::{InstallStep, StepOutcome};
use netboot::machine::Machine;
use netboot::machine::event::{Event, EventKind};
use netboot::machine::state::ApplianceState;

use crate::boot_table::mark_text;
use crate::event_text::event_text;
use crate::format::{bytes, bytes_of, elapsed};

/// Milliseconds between two printed lines of one step's progress.
const PROGRESS_EVERY: i64 = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScreenLine {
    Lasting(String),
    /// The next line may replace it.
    Passing(String),
}

/// Folds events as the appliance does, so it knows what the appliance knows.
pub(crate) struct Screen {
    only: Option<Mac>,
    state: ApplianceState,
    runs: BTreeMap<Mac, InstallRun>,
    /// The past of the order in force, held back until it is known to be the last one.
    past: Vec<ScreenLine>,
    /// The past was received and printed.
    current: bool,
}

/// One boot of a machine, from its first sign on.
#[derive(Default)]
struct InstallRun {
    /// The first sign of this boot.
    begun: Option<Timestamp>,
    shown: Option<Shown>,
    /// This attempt failed, and not in the past.
    failed: bool,
}

/// The progress that was printed last.
struct Shown {
    step: InstallStep,
    at: Timestamp,
    done: u64,
}

impl Screen {
    /// `only` one machine with its past since the last order; or all, from now on.
    pub(crate) fn new(only: Option<Mac>) -> Self {
        Self {
            only,
            state: ApplianceState::default(),
            runs: BTreeMap::new(),
            past: Vec::new(),
            current: false,
        }
    }

    pub(crate) fn is_current(&self) -> bool {
        self.current
    }

    /// Whether the machine's attempt failed while it was watched. After an attempt that failed earlier, the next one may
    /// begin at any moment.
    pub(crate) fn saw_it_fail(&self, mac: Mac) -> bool {
        self.runs.get(&mac).is_some_and(|run| run.failed)
    }

    /// A machine as `show` has it.
    pub(crate) fn machine(&self, mac: Mac) -> Option<MachineView> {
        self.state.by_mac(mac).map(MachineView::of)
    }

    fn title(&self, mac: Mac) -> String {
        let machine = self.state.by_mac(mac);
        machine.map_or_else(|| mac.to_string(), Machine::title)
    }

    /// Takes in one item of the stream, and returns the lines to print.
    pub(crate) fn update(&mut self, live: &EventLine) -> Vec<ScreenLine> {
        let line = match live {
            EventLine::Event { event } => self.event(event),
            EventLine::Progress {
                at,
                machine,
                step,
                done,
                total,
            } => self.progress(*at, *machine, *step, *done, *total),
            EventLine::Boot { at, machine, mark } => {
                let run = self.runs.entry(*machine).or_default();
                run.begun.get_or_insert(*at);
                Some(ScreenLine::Lasting(self.line(
                    *machine,
                    *at,
                    None,
                    &mark_text(mark),
                )))
            }
            EventLine::Alive => {
                self.current = true;
                let past = std::mem::take(&mut self.past);
                return match self.only {
                    Some(_) => past,
                    None => Vec::new(),
                };
            }
            EventLine::Unknown => None,
        };
        if self.current {
            return line.into_iter().collect();
        }
        self.past.extend(line);
        Vec::new()
    }

    fn event(&mut self, event: &Event) -> Option<ScreenLine> {
        self.state.apply(event);
        let Some(mac) = event.machine else {
            let text = format!("{}  {}", event.at, event_text(&event.what));
            return self.only.is_none().then_some(ScreenLine::Lasting(text));
        };
        let run = self.runs.entry(mac).or_default();
        match &event.what {
            EventKind::Enrolled { .. } | EventKind::Reimaged { .. } => {
                *run = InstallRun::default();
                self.past.clear();
            }
            EventKind::Attempt { .. } => *run = InstallRun::default(),
            // Where the boot script was not seen to be sent, the boot begins with the claim.
            EventKind::Served { .. } | EventKind::Claimed { .. } => {
                run.begun.get_or_insert(event.at);
            }
            _ => {}
        }
        let step = match &event.what {
            EventKind::Reported { report } => {
                run.shown = None;
                run.failed = self.current && matches!(report.outcome, StepOutcome::Failed { .. });
                // The beginning of the next step is printed, and implies it.
                if report.outcome == StepOutcome::Done {
                    return None;
                }
                Some(report.step)
            }
            _ => None,
        };
        let mut text = event_text(&event.what);
        if matches!(event.what, EventKind::Waits { .. }) {
            let title = self.title(mac);
            text.push_str(&format!("; to have it wiped: pxe-admin confirm {title}"));
        }
        Some(ScreenLine::Lasting(self.line(mac, event.at, step, &text)))
    }

    fn progress(
        &mut self,
        at: Timestamp,
        mac: Mac,
        step: InstallStep,
        done: u64,
        total: u64,
    ) -> Option<ScreenLine> {
        let run = self.runs.entry(mac).or_default();
        let before = run.shown.as_ref().filter(|shown| shown.step == step);
        let passed = before.map(|shown| at.millis() - shown.at.millis());
        if passed.is_some_and(|passed| passed < PROGRESS_EVERY) && done < total {
            return None;
        }
        let rate = before
            .zip(passed)
            .and_then(|(shown, passed)| rate(done.checked_sub(shown.done)?, passed))
            .map_or_else(String::new, |rate| format!("  {rate}"));
        run.shown = Some(Shown { step, at, done });
        let text = format!("{}  {}{rate}", step.sentence(), bytes_of(done, total));
        Some(ScreenLine::Passing(self.line(mac, at, Some(step), &text)))
    }

    fn line(&self, mac: Mac, at: Timestamp, step: Option<InstallStep>, text: &str) -> String {
        let title = self.title(mac);
        let begun = self.runs.get(&mac).and_then(|run| run.begun);
        let time = begun.map_or_else(|| "--:--".to_owned(), |begun| elapsed(at.since(begun)));
        let step = step.map_or_else(String::new, |step| {
            format!("{}/{}", step.number(), InstallStep::ALL.len())
        });
        format!("{title}  {time}  {step:>5}  {text}")
    }
}

/// Bytes in milliseconds → `48 MiB/s`; `None` if the time is too short for a figure.
fn rate(done: u64, millis: i64) -> Option<String> {
    let millis = u64::try_from(millis).ok().filter(|millis| *millis >= 500)?;
    Some(format!("{}/s", bytes(done.saturating_mul(1000) / millis)))
}

#[cfg(test)]
mod tests;
