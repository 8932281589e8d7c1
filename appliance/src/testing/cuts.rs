//! Power cuts for tests: ext4 on a loop device beside a file that is synced again and again, as the journal is, so that
//! each sync makes the names of other files durable, without their contents. What writes is stopped, and the image copied
//! as it is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::base::clock;
use crate::files::durable;

/// How long files of an image may stay open.
const UNMOUNTED: Duration = Duration::from_secs(10);

/// How long a child may take until it begins.
const BEGUN: Duration = Duration::from_secs(60);

/// Hundreds of them instead of a few.
pub(crate) fn long() -> bool {
    std::env::var_os("NETBOOT_LONG").is_some()
}

/// An empty file system of so many bytes, or why there is none.
pub(crate) fn blank(dir: &Path, bytes: u64) -> Result<PathBuf, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("needs root".to_owned());
    }
    let image = dir.join("first");
    let file = std::fs::File::create(&image).expect("creates");
    file.set_len(bytes).expect("sets the size");
    run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    Mounted::new(&image).map(drop)?;
    Ok(image)
}

/// An image that is mounted, until it is dropped.
pub(crate) struct Mounted(tempfile::TempDir);

impl Mounted {
    pub(crate) fn new(image: &Path) -> Result<Self, String> {
        let dir = tempfile::tempdir().expect("a folder");
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(dir.path()))?;
        Ok(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.0.path().join("state")
    }
}

/// Waits until no file is open there: a store that was closed may have one for an instant.
impl Drop for Mounted {
    fn drop(&mut self) {
        let unmount = || run(Command::new("umount").arg(self.0.path()));
        let began = Instant::now();
        let mut ended = unmount();
        while ended.is_err() && began.elapsed() < UNMOUNTED {
            std::thread::sleep(Duration::from_millis(10));
            ended = unmount();
        }
        if let Err(why) = ended {
            // Or the folder would be emptied, and the image with it.
            let _ = run(Command::new("umount").arg("-l").arg(self.0.path()));
            assert!(std::thread::panicking(), "a test left its image: {why}");
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

/// As it is at this moment, as far as the block device knows.
pub(crate) fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("--sparse=always").args([from, to])).expect("copies");
}

/// Writes and syncs a small file until told to stop.
fn journal(dir: &Path, over: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    let file = dir.join("journal");
    std::thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            durable::write(&file, 0o600, b"an event").expect("writes");
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// Runs one test of this program that is told by a variable what to do, in a process group of its own.
pub(crate) fn start_child(test: &str, (variable, order): (&str, &str)) -> Child {
    use std::os::unix::process::CommandExt;

    Command::new(std::env::current_exe().expect("this test's program"))
        .args([test, "--exact", "--nocapture"])
        .env(variable, order)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the child starts")
}

/// The same in the state folder of an image, and waits until it has made the file `begun`, by which it says that what is to
/// be cut begins now. Its order is both.
pub(crate) fn start_to_work(test: &str, variable: &str, mounted: &Mounted, begun: &Path) -> Child {
    let _ = std::fs::remove_file(begun);
    let order = format!("{} {}", mounted.state_dir().display(), begun.display());
    let child = start_child(test, (variable, &order));
    let started = Instant::now();
    while !begun.exists() {
        assert!(started.elapsed() < BEGUN, "{test} does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

/// How long the work takes on a copy of `first` without a power cut.
pub(crate) fn uncut(first: &Path, start: impl FnOnce(&Mounted) -> Child) -> Duration {
    let image = first.with_extension("uncut");
    copy(first, &image);
    let mounted = Mounted::new(&image).expect("mounts");
    let over = Arc::new(AtomicBool::new(false));
    let syncing = journal(mounted.path(), over.clone());
    let mut child = start(&mounted);
    let began = Instant::now();
    assert!(child.wait().expect("ends").success());
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    syncing.join().expect("no panic");
    took
}

/// Cuts the power of a copy of `first` at an instant within the time that the work `took`, or shortly after. What the
/// block device has by then is in `cut`; the copy, and what worked on it, are gone.
pub(crate) async fn power_cut(
    first: &Path,
    cut: &Path,
    took: Duration,
    start: impl FnOnce(&Mounted) -> Child,
) {
    let image = cut.with_extension("live");
    copy(first, &image);
    let mounted = Mounted::new(&image).expect("mounts");
    let over = Arc::new(AtomicBool::new(false));
    let syncing = journal(mounted.path(), over.clone());
    let mut child = start(&mounted);
    // This is when the power fails.
    tokio::time::sleep(within(took)).await;
    stop(&child);
    over.store(true, Ordering::Relaxed);
    syncing.join().expect("no panic");
    copy(&image, cut);
    end(&mut child);
}

/// Stops the child and what it started. A child that is done has no process group any more.
fn stop(child: &Child) {
    let _ = killpg(group(child), Signal::SIGSTOP);
}

/// The end of one that may be stopped.
fn end(child: &mut Child) {
    let _ = killpg(group(child), Signal::SIGKILL);
    child.wait().expect("ended");
}

fn group(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// An instant within something that takes this long, or shortly after it.
pub(crate) fn within(whole: Duration) -> Duration {
    let draw = u32::from(u16::from_le_bytes(clock::random()));
    whole * draw / u32::from(u16::MAX) * 11 / 10
}
