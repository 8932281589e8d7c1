//! A workstation and an appliance: two Nix stores, TLS between them, the real service, command line and Nix.

#[path = "../../tests/skip/mod.rs"]
mod skip;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use appliance::config::settings::Settings;
use appliance::config::validate::check;
use appliance::config::{ConfigText, Ports};
use appliance::{net, run};
use netboot::publish::nix_hash::NixHash;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const KERNEL: &str = "/nix/store/11111111111111111111111111111111-kernel";
const ONE: &str = "/nix/store/22222222222222222222222222222222-nixos-system-one";
const TWO: &str = "/nix/store/33333333333333333333333333333333-nixos-system-two";
const FOLDER: &str = "/nix/store/44444444444444444444444444444444-no-system";

const CONFIG: &str = "state-dir = \"state\"
hosts-dir = \"profiles\"
[lan]
interface = \"lo\"
address = \"127.0.0.1\"
[dhcp]
mode = \"off\"
[http]
port = 0
node-port = 0
[admin]
socket = \"admin.sock\"
listen = \"127.0.0.1:0\"
";

/// The service, as `pxe-appliance serve` runs it.
struct Appliance {
    folder: TempDir,
    settings: Settings,
    cache_key: String,
    remote: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Appliance {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("profiles")).expect("makes a folder");
        let file = folder.path().join("appliance.toml").display().to_string();
        let text = CONFIG.to_owned();
        let interfaces = net::interfaces().expect("lists interfaces");
        let mut checked = check(ConfigText { file, text }, &interfaces)
            .unwrap_or_else(|faults| panic!("{faults}"));
        checked.config.config.ports = Ports {
            dhcp: 0,
            binl: 0,
            tftp: 0,
        };
        let bound = run::bind(checked)
            .await
            .unwrap_or_else(|error| panic!("{error:#}"));
        let (settings, remote) = (
            bound.settings().clone(),
            bound.remote().expect("it listens"),
        );
        let cache_key = bound.keys().cache_public().to_owned();
        let stop = CancellationToken::new();
        let running = tokio::spawn(bound.run(stop.clone()));
        Self {
            folder,
            settings,
            cache_key,
            remote,
            stop,
            running,
        }
    }

    fn token_file(&self) -> PathBuf {
        self.folder.path().join("state/admin.token")
    }

    fn token(&self) -> String {
        let text = std::fs::read_to_string(self.token_file()).expect("reads");
        text.lines().next().expect("a token").to_owned()
    }

    async fn stop(self) {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(3), self.running).await;
        ended
            .expect("stops in time")
            .expect("no panic")
            .expect("ends well");
    }
}

/// Another machine: a Nix store of its own and a copy of the token file.
struct Workstation {
    folder: TempDir,
    token_file: PathBuf,
}

/// What a command printed.
struct Said {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Workstation {
    fn with_copy_of(token_file: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("token");
        std::fs::copy(token_file, &copy).expect("copies");
        Self {
            token_file: copy,
            folder,
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn pxe_admin(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pxe-admin"));
        command
            .args(line.split_whitespace())
            .env("PXE_TOKEN_FILE", &self.token_file)
            .env("NIX_REMOTE", self.store())
            .env_remove("PXE_APPLIANCE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, line: &str) -> Said {
        let output = self.pxe_admin(line).output();
        let output = tokio::time::timeout(Duration::from_secs(90), output).await;
        let output = output
            .unwrap_or_else(|_| panic!("`{line}` took longer than 90 s"))
            .expect("runs");
        Said {
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Puts paths into its store, as if they had been built there.
    async fn builds(&self) -> Result<(), String> {
        let cache = self.folder.path().join("built");
        std::fs::create_dir_all(cache.join("nar")).expect("makes a folder");
        std::fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n").expect("writes");
        let system = |name: &str| {
            let folder = self.tree(name);
            std::fs::create_dir_all(folder.join("bin")).expect("makes a folder");
            for file in ["init", "bin/switch-to-configuration"] {
                std::fs::write(folder.join(file), "#!/bin/sh\n").expect("writes");
            }
            std::fs::write(folder.join("nixos-version"), format!("25.05.{name}")).expect("writes");
            symlink(KERNEL, folder.join("kernel")).expect("links");
            folder
        };
        let kernel = self.tree("kernel");
        std::fs::write(kernel.join("bzImage"), vec![7; 3 << 20]).expect("writes");
        let other = self.tree("no-system");
        std::fs::write(other.join("file"), "x").expect("writes");
        for (path, references, tree) in [
            (KERNEL, "", kernel),
            (ONE, KERNEL, system("one")),
            (TWO, KERNEL, system("two")),
            (FOLDER, "", other),
        ] {
            let nar = run("nix-store", &["--dump", &tree.display().to_string()]).await?;
            let hash = NixHash(Sha256::digest(&nar).into());
            let name = hash.to_string().replace("sha256:", "nar/") + ".nar";
            let below = |path: &str| path.replace("/nix/store/", "");
            let info = format!(
                "StorePath: {path}\nURL: {name}\nCompression: none\nFileHash: {hash}\nFileSize: {size}\n\
                 NarHash: {hash}\nNarSize: {size}\nReferences: {}\n",
                below(references),
                size = nar.len(),
            );
            std::fs::write(cache.join(name), nar).expect("writes");
            let narinfo = format!("{}.narinfo", &below(path)[..32]);
            std::fs::write(cache.join(narinfo), info).expect("writes");
        }
        let (from, to) = (
            format!("file://{}", cache.display()),
            self.store().display().to_string(),
        );
        let copy = [
            "copy",
            "--no-check-sigs",
            "--from",
            &from,
            "--to",
            &to,
            ONE,
            TWO,
            FOLDER,
        ];
        run(
            "nix",
            &[&["--extra-experimental-features", "nix-command"], &copy[..]].concat(),
        )
        .await
        .map(|_| ())
    }

    fn tree(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join("trees").join(name);
        std::fs::create_dir_all(&folder).expect("makes a folder");
        folder
    }
}

/// Store paths are read-only, and a folder of them cannot be removed as it is.
impl Drop for Workstation {
    fn drop(&mut self) {
        writable(&self.store());
    }
}

fn writable(folder: &Path) {
    let _ = std::process::Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(folder)
        .stderr(Stdio::null())
        .status();
}

async fn run(program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.map_err(|error| format!("cannot start `{program}`: {error}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{program} {arguments:?}` failed here: {said}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workstation_publishes_what_it_built_and_machines_install_it() {
    let appliance = Appliance::start().await;
    let workstation = Workstation::with_copy_of(&appliance.token_file());
    if let Err(why) = workstation.builds().await {
        return skip::skipped(&why);
    }
    // Somebody follows what happens, from the workstation.
    let mut following = workstation.pxe_admin("events -f").spawn().expect("starts");
    let stdout = following.stdout.take().expect("piped");
    let mut events = BufReader::new(stdout).lines();

    let said = workstation
        .run(&format!("publish worker --toplevel {ONE}"))
        .await;
    assert_eq!(said.exit, 0, "{}", said.stderr);
    assert!(
        said.stdout
            .starts_with(&format!("release 1 of `worker`: {ONE}")),
        "{}",
        said.stdout
    );
    assert!(said.stderr.contains("copied 2 paths"), "{}", said.stderr);

    let heard = async {
        while let Some(line) = events.next_line().await.expect("reads") {
            if line.contains("release 1 of `worker`") {
                return;
            }
        }
        panic!("the events ended");
    };
    let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
    heard.expect("the release is told within 20 s");
    following.kill().await.expect("ends");

    // The same again, and another system that shares the kernel: only what is missing is copied.
    let said = workstation
        .run(&format!("publish worker --toplevel {ONE}"))
        .await;
    assert!(
        said.stdout.contains("is release 1 of `worker` already"),
        "{}",
        said.stdout
    );
    assert!(
        said.stderr.contains("has all of it already"),
        "{}",
        said.stderr
    );
    let said = workstation
        .run(&format!("publish worker --toplevel {TWO}"))
        .await;
    assert_eq!(said.exit, 0, "{}", said.stderr);
    assert!(said.stderr.contains("copied 1 paths"), "{}", said.stderr);
    let said = workstation.run("releases").await;
    assert!(said.stdout.contains("25.05.two"), "{}", said.stdout);

    let said = workstation
        .run(&format!("publish worker --toplevel {FOLDER}"))
        .await;
    assert_eq!(said.exit, 1, "{}", said.stdout);
    assert!(
        said.stderr.contains("is not a NixOS system"),
        "{}",
        said.stderr
    );

    machines_copy_it(&appliance).await;
    appliance.stop().await;
}

/// As an installer does: over HTTP, trusting the appliance's key only.
async fn machines_copy_it(appliance: &Appliance) {
    let address = appliance.settings.address();
    let from = format!("http://127.0.0.1:{}/cache", address.http_port);
    let ours = &appliance.cache_key;
    let (name, _) = ours.split_once(':').expect("a key");
    let theirs = format!("{name}:{}", "A".repeat(43) + "=");
    for (key, works) in [(theirs.as_str(), false), (ours, true)] {
        let root = tempfile::tempdir().expect("a folder");
        let to = root.path().display().to_string();
        let cache = root.path().join("cache");
        let copied = Command::new("nix")
            .args(["--extra-experimental-features", "nix-command", "copy"])
            .args(["--from", &from, "--to", &to, TWO])
            .args(["--option", "trusted-public-keys", key])
            .env("XDG_CACHE_HOME", cache)
            .output()
            .await
            .expect("runs");
        let said = String::from_utf8_lossy(&copied.stderr);
        assert_eq!(copied.status.success(), works, "{said}");
        let kernel = root.path().join(&KERNEL[1..]).join("bzImage");
        let same = std::fs::read(kernel).is_ok_and(|octets| octets == vec![7; 3 << 20]);
        assert_eq!(same, works, "{said}");
        writable(root.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_is_told_why_and_no_secret() {
    let appliance = Appliance::start().await;
    let workstation = Workstation::with_copy_of(&appliance.token_file());
    let said = workstation.run("machines").await;
    assert_eq!(said.exit, 0, "{}", said.stderr);

    let token = appliance.token();
    let remote = appliance.remote;
    let plain = appliance.settings.address().http_port;
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.local_addr().expect("an address").port()
    };
    let other_pin = format!("sha256/{}=", "A".repeat(43));
    for (name, line, exit, want) in [
        (
            "another key",
            format!("machines --appliance https://{remote}#{other_pin}"),
            3,
            "is not your appliance",
        ),
        (
            "plain HTTP, typed",
            format!("machines --appliance http://{remote}"),
            2,
            "write https:// instead of http://",
        ),
        (
            "plain HTTP, answered",
            format!("machines --appliance https://127.0.0.1:{plain}"),
            3,
            "it does not speak TLS",
        ),
        (
            "nobody",
            format!("machines --appliance https://127.0.0.1:{nobody}"),
            3,
            "connection refused",
        ),
        (
            "a file that is none",
            "machines --token-file /dev/null".to_owned(),
            2,
            "holds a secret and has mode",
        ),
    ] {
        for line in [line.clone(), format!("{line} --json"), format!("{line} -v")] {
            let said = workstation.run(&line).await;
            assert_eq!(said.exit, exit, "{name}: {}", said.stderr);
            assert!(said.stderr.contains(want), "{name}: {}", said.stderr);
            assert!(!said.stderr.contains(&token), "{name}: {}", said.stderr);
            assert_eq!(said.stdout, "", "{name}");
        }
    }

    // Another token, then a file that others may read.
    let place = std::fs::read_to_string(&workstation.token_file).expect("reads");
    let place = place.lines().nth(1).expect("a place");
    std::fs::write(
        &workstation.token_file,
        format!("{}\n{place}\n", "0".repeat(64)),
    )
    .expect("writes");
    for line in ["machines", "events -f", "watch"] {
        let said = workstation.run(line).await;
        assert_eq!(said.exit, 1, "{line}: {}", said.stderr);
        assert!(
            said.stderr
                .contains("the token is not that of this appliance"),
            "{line}: {}",
            said.stderr
        );
    }
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(&workstation.token_file, mode).expect("chmod");
    let said = workstation.run("machines").await;
    assert_eq!(said.exit, 2, "{}", said.stderr);
    assert!(said.stderr.contains("chmod go-rwx"), "{}", said.stderr);

    // A browser, or a scanner: one line of plain HTTP, and it is hung up on.
    let mut scanner = tokio::net::TcpStream::connect(remote)
        .await
        .expect("connects");
    scanner
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sends");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), scanner.read_to_end(&mut answer)).await;
    let _ = read.expect("hung up within 5 s");
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
    appliance.stop().await;
}
