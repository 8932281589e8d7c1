//! A child process that ends when its guard is dropped.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::wait_until;

/// Killed on drop. The lab's namespaces catch what a killed guard leaves.
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a command with stdout and stderr going to the end of `log`, and no stdin.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let out = append(log)?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        Self::spawn(name, command)
    }

    /// Starts a command with whatever it was given for input and output.
    pub fn spawn(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| {
            format!(
                "cannot start {name} (`{}`)",
                command.get_program().to_string_lossy()
            )
        })?;
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long processors have worked for it, with all its threads (proc_pid_stat(5)).
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        processor_time(&stat).with_context(|| format!("cannot read `{stat}`"))
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails if the process has ended: to wait for it any longer would be in vain.
    pub fn still_runs(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} ended by itself: {status}", self.name),
            None => Ok(()),
        }
    }

    /// SIGTERM, and how it ended within the limit.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        kill(self.pid()?, Signal::SIGTERM)?;
        let what = format!("{} to stop", self.name);
        wait_until(&what, limit, || self.ended())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn pid(&self) -> anyhow::Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.child.id())?))
    }
}

/// `utime` and `stime`, the 14th and the 15th field; the second may hold anything, in brackets.
fn processor_time(stat: &str) -> Option<Duration> {
    // USER_HZ: 100 a second on all that Linux runs on today.
    const TICK: Duration = Duration::from_millis(10);

    let (_, rest) = stat.rsplit_once(')')?;
    let mut ticks = rest.split_whitespace().skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some(TICK * user.checked_add(system)?)
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.kill();
    }
}

/// A file to write at the end of.
pub fn append(path: &Path) -> anyhow::Result<File> {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 2085 0 3 0 1234 66 0 0 20 0 4 0 8423 1 2";
        assert_eq!(processor_time(stat), Some(Duration::from_secs(13)));
        assert_eq!(processor_time("42 (qemu) S 1 42"), None);
    }
}
