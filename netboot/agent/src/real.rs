//! The world itself: processes, the disk, the network, the clock, the console.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place where Outside is the outside"
)]

use std::error::Error as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use netboot_pin::{HandshakeRejection, Pin};
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::access::{
    CallFailed, CommandOutput, HostCommand, NodeAnswer, NodeCall, ReadAccess, ReadCommand,
    RunningCommand, WriteAccess,
};

/// How long a TCP and TLS handshake may take on a LAN.
const CONNECT: Duration = Duration::from_secs(5);

pub(crate) struct RealMachine {
    began: Instant,
    client: Option<NodeClient>,
}

struct NodeClient {
    url: String,
    http: reqwest::blocking::Client,
    rejection: HandshakeRejection,
}

impl RealMachine {
    /// The world without the appliance: for views of single steps.
    pub(crate) fn alone() -> Self {
        Self {
            began: Instant::now(),
            client: None,
        }
    }

    /// The world with the appliance at `url` (`https://10.77.0.1:8443`), which holds the pinned key.
    pub(crate) fn new(url: &str, pin: Pin) -> anyhow::Result<Self> {
        let (config, rejection) =
            netboot_pin::client(pin, "the boot script").context("cannot set up TLS")?;
        let http = reqwest::blocking::Client::builder()
            .use_preconfigured_tls(config)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_keepalive(Duration::from_secs(15))
            .build()
            .context("cannot set up HTTP")?;
        let client = NodeClient {
            url: url.to_owned(),
            http,
            rejection,
        };
        Ok(Self {
            began: Instant::now(),
            client: Some(client),
        })
    }
}

impl WriteAccess for RealMachine {
    fn start(&mut self, command: &HostCommand) -> io::Result<Box<dyn RunningCommand>> {
        let mut process = std::process::Command::new(&command.program);
        process
            .args(&command.args)
            .envs(command.env.iter().copied())
            // The output of programs is shown, and that of `nix` is parsed, so it must be in one language.
            .env("LC_ALL", "C")
            .stdin(match &command.stdin {
                Some(text) => input(text)?,
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A systemd service has no HOME, and nix-env will not run without.
        if std::env::var_os("HOME").is_none() {
            process.env("HOME", "/root");
        }
        let mut child = process.spawn()?;
        let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let collected = thread::spawn(move || {
            let mut text = Vec::new();
            stdout.read_to_end(&mut text).map(|_| text)
        });
        // Through a thread, so that the program never waits for whoever reads its lines.
        let (send, lines) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if send.send(text).is_err() {
                    break;
                }
            }
        });
        Ok(Box::new(RealProcess {
            child,
            lines,
            stdout: collected,
        }))
    }

    fn zero_ends(&mut self, disk: &Path, size: u64, span: u64) -> io::Result<()> {
        // On a block device, O_EXCL makes `open` fail if a mount or another device holds it (open(2)).
        let mut disk = OpenOptions::new()
            .write(true)
            .custom_flags(OFlag::O_EXCL.bits())
            .open(disk)?;
        let found = disk.seek(SeekFrom::End(0))?;
        if found != size {
            return Err(io::Error::other(format!(
                "it has {found} bytes, {size} were planned"
            )));
        }
        let zeros = vec![0; usize::try_from(span.min(size)).map_err(io::Error::other)?];
        disk.seek(SeekFrom::Start(0))?;
        disk.write_all(&zeros)?;
        disk.seek(SeekFrom::Start(size.saturating_sub(span)))?;
        disk.write_all(&zeros)?;
        disk.sync_all()
    }

    fn random(&mut self, octets: &mut [u8]) -> io::Result<()> {
        getrandom::fill(octets).map_err(|e| io::Error::other(e.to_string()))
    }
}

impl ReadAccess for RealMachine {
    fn look(&mut self, probe: &ReadCommand) -> io::Result<Box<dyn RunningCommand>> {
        self.start(probe.command())
    }

    fn post(&mut self, call: &NodeCall<'_>) -> Result<NodeAnswer, CallFailed> {
        let Some(client) = &self.client else {
            return Err(CallFailed::Away("there is no appliance to ask".to_owned()));
        };
        let mut request = client
            .http
            .post(format!("{}{}", client.url, call.path))
            .timeout(call.patience)
            .header("Content-Type", "application/json")
            .body(call.body.clone());
        if let Some(bearer) = call.bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().and_then(|response| {
            let status = response.status().as_u16();
            let body = response.bytes()?.to_vec();
            Ok(NodeAnswer { status, body })
        });
        answer.map_err(|error| {
            let rejection = client.rejection.lock().map(|mut v| v.take());
            match rejection {
                Ok(Some(foreign)) => CallFailed::Foreign(foreign),
                _ => CallFailed::Away(innermost(&error)),
            }
        })
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn sleep(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn say(&mut self, line: &str) {
        // The install goes on without a console.
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// A file in RAM with no name: `systemd-cryptenroll` wants to seek in the key that it reads, which it cannot in a pipe.
fn input(text: &str) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create(c"input", MFdFlags::MFD_CLOEXEC)?);
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

/// The innermost cause of an HTTP error: the operating system's own, which says most.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        "timed out".clone_into(&mut text);
    }
    text
}

struct RealProcess {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    stdout: JoinHandle<io::Result<Vec<u8>>>,
}

impl RunningCommand for RealProcess {
    fn line(&mut self) -> Option<String> {
        self.lines.recv().ok()
    }

    fn end(mut self: Box<Self>) -> io::Result<CommandOutput> {
        let status = self.child.wait()?;
        let stdout = self
            .stdout
            .join()
            .map_err(|_| io::Error::other("its output was lost"))??;
        Ok(CommandOutput {
            status: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
        })
    }
}

/// Leaves this kernel. `reboot` only asks a service manager, which may not be there or may hang.
pub(crate) fn reboot(access: &mut dyn WriteAccess) -> anyhow::Error {
    let asked = [
        HostCommand::new("reboot"),
        HostCommand::new("reboot").arg("-f"),
    ];
    for command in asked {
        match crate::access::run(access, &command) {
            Ok(_) => access.sleep(Duration::from_secs(60)),
            Err(error) => access.say(&format!("warning: {error}")),
        }
    }
    nix::unistd::sync();
    match nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(error) => anyhow::Error::new(error).context("the kernel will not reboot"),
    }
}

/// Reads a small text file, without the blanks at its end; `None` if it is not there.
pub(crate) fn text(path: impl AsRef<Path>) -> Option<String> {
    let octets = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&octets).into_owned();
    Some(
        text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
            .to_owned(),
    )
}
