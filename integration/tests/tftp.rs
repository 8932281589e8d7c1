//! The TFTP clients that everybody has, against the real service, on networks that lose packets.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use integration::lab::command::run;
use integration::lab::loaders::{FOLDER, TestLoaders};
use integration::lab::loss::lose;
use integration::lab::namespaces::enter_namespaces;
use integration::lab::products::Products;

/// A client of TFTP, and how it is told what to ask for: `{name}` of the file, `{to}` of the copy.
struct Client {
    title: &'static str,
    command: &'static str,
}

/// With block sizes and windows as far as each knows them. The pauses of the clients' own are cut short where
/// that can be, for the packets that no server can send again: requests.
const CLIENTS: [Client; 11] = [
    client("curl", "curl -sS tftp://127.0.0.1/{name} -o {to}"),
    client(
        "curl, 1468",
        "curl -sS --tftp-blksize 1468 tftp://127.0.0.1/{name} -o {to}",
    ),
    client(
        "curl, more than there is",
        "curl -sS --tftp-blksize 65464 tftp://127.0.0.1/{name} -o {to}",
    ),
    client(
        "curl, no options",
        "curl -sS --tftp-no-options tftp://127.0.0.1/{name} -o {to}",
    ),
    client(
        "atftp",
        "atftp --tftp-timeout 1 -g -r {name} -l {to} 127.0.0.1",
    ),
    client(
        "atftp, 1468",
        "atftp --tftp-timeout 1 --option|blksize 1468| -g -r {name} -l {to} 127.0.0.1",
    ),
    client(
        "atftp, window 8",
        "atftp --tftp-timeout 1 --option|windowsize 8| -g -r {name} -l {to} 127.0.0.1",
    ),
    client(
        "atftp, 1428, window 16",
        "atftp --tftp-timeout 1 --option|blksize 1428| --option|windowsize 16| -g -r {name} -l {to} 127.0.0.1",
    ),
    client("tftp-hpa", "tftp -m binary 127.0.0.1 -c get {name} {to}"),
    client("busybox", "busybox tftp -g -r {name} -l {to} 127.0.0.1"),
    client(
        "busybox, 1468",
        "busybox tftp -b 1468 -g -r {name} -l {to} 127.0.0.1",
    ),
];

const fn client(title: &'static str, command: &'static str) -> Client {
    Client { title, command }
}

impl Client {
    /// The words of the command; what stands between bars is one word with blanks.
    fn fetch(&self, name: &str, to: &Path) -> Command {
        let mut words = Vec::new();
        for (n, part) in self.command.split('|').enumerate() {
            match n % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        let words = words.iter().map(|w| {
            w.replace("{name}", name)
                .replace("{to}", &to.display().to_string())
        });
        // A client that hangs is a failure with a name.
        let mut command = Command::new("timeout");
        command.arg("60").args(words);
        command
    }

    /// Gets the file, as somebody would who knows the client.
    ///
    /// atftp gives up when an OACK comes twice, and when its acknowledgement of the first is lost every server
    /// sends another. It is then asked again, a few times.
    fn get(&self, name: &str, to: &Path) -> anyhow::Result<()> {
        for _ in 0..4 {
            match run(&mut self.fetch(name, to)) {
                Err(why) if format!("{why:#}").contains("unexpected OACK") => {
                    println!("        {}: gave up over a second OACK", self.title);
                }
                other => return other,
            }
        }
        bail!("it was sent a second OACK four times in a row")
    }
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|n| (n * 31 % 251) as u8).collect()
}

/// The service with three files: one of odd length, one whose last block is full, one of more than 32 MiB.
fn served(dir: &Path) -> anyhow::Result<TestLoaders> {
    let program = Products::find()?.program("pxe-appliance");
    let long = if long() { 65_540 * 512 + 1 } else { 5000 };
    let files: [(&str, &[u8]); 3] = [
        ("undionly.kpxe", &bytes(70_001)),
        ("snponly.efi", &bytes(128 * 512)),
        ("ipxe.efi", &bytes(long)),
    ];
    TestLoaders::serve(&program, Ipv4Addr::LOCALHOST, &files, dir)
}

fn long() -> bool {
    std::env::var_os("NETBOOT_LONG").is_some()
}

/// Each client gets the file whole; prints how long each took.
fn all_get(file: &str, dir: &Path) -> anyhow::Result<()> {
    let want = fs::read(dir.join("ipxe").join(file))?;
    let name = format!("{FOLDER}/{file}");
    let to: PathBuf = dir.join("copy");
    for client in &CLIENTS {
        let title = client.title;
        let _ = fs::remove_file(&to);
        let begun = Instant::now();
        client
            .get(&name, &to)
            .with_context(|| format!("{title}: {file}"))?;
        let got = fs::read(&to).with_context(|| format!("{title} left no {file}"))?;
        ensure!(
            got == want,
            "{title}: {file} came as {} bytes, different",
            got.len()
        );
        println!("{:6.2} s  {file}: {title}", begun.elapsed().as_secs_f32());
    }
    Ok(())
}

#[test]
fn every_client_gets_the_file_where_nothing_is_lost() -> anyhow::Result<()> {
    enter_namespaces()?;
    let dir = tempfile::tempdir()?;
    let _loaders = served(dir.path())?;
    let begun = Instant::now();
    all_get("undionly.kpxe", dir.path())?;
    all_get("snponly.efi", dir.path())?;
    ensure!(
        begun.elapsed() < Duration::from_secs(20),
        "nothing was lost, and yet somebody waited"
    );
    if long() {
        all_get("ipxe.efi", dir.path())?;
    }
    Ok(())
}

#[test]
fn every_client_gets_the_file_where_packets_are_lost() -> anyhow::Result<()> {
    enter_namespaces()?;
    let dir = tempfile::tempdir()?;
    let _loaders = served(dir.path())?;
    let rounds = if long() { 10 } else { 1 };
    for of_1000 in [5, 50] {
        println!("of 1000 packets {of_1000} are lost");
        lose(of_1000)?;
        for _ in 0..rounds {
            all_get("undionly.kpxe", dir.path())?;
        }
    }
    Ok(())
}
