//! The sections of `appliance.toml`, one after the other → the configuration, or all that is wrong.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use netboot::loader::script::Image;
use netboot::machine::decide::Unknown;

use super::document::{Placed, Reader, Section, parse};
use super::{
    AdminListen, Config, Dhcp, InstallerImage, K3sConfig, Ports, Publishing, Source, Trouble,
    values,
};
use crate::files::loaders;
use crate::net::{Interface, Lan, NoLan};

mod lans;
mod safety;
mod server;

/// Beside the file; in the working directory where there is none.
const HOSTS: &str = "hosts/profiles";

pub(super) fn check(
    source: &Source,
    interfaces: &[Interface],
) -> Result<(Config, Range<usize>), Trouble> {
    let document = parse(&source.file, &source.text).map_err(|problem| Trouble {
        problems: vec![problem],
        ..Trouble::default()
    })?;
    let mut reader = Reader::new(&source.file, &source.text);
    let folder = source.folder();
    let mut top = Reader::top(&document);

    let state_dir = path(&mut reader, &mut top, "state-dir", folder);
    let hosts_dir = path(&mut reader, &mut top, "hosts-dir", folder);
    if let Some(dir) = &hosts_dir {
        exists(&mut reader, dir, Kind::Folder);
    }
    let flake = flake(&mut reader, &mut top, folder);

    let lans = lans::read(&mut reader, &mut top, interfaces);
    let (dhcp, beside) = dhcp(&mut reader, &mut top, lans.as_deref().ok());
    let boot = boot(&mut reader, &mut top, folder);
    let (http_port, node_port) = http(&mut reader, &mut top);
    let mut admin = reader.section(&mut top, "admin");
    let admin_socket = admin_socket(&mut reader, &mut admin, folder);
    let taken = [("http.port", http_port), ("http.node-port", node_port)];
    let admin_listen = admin_listen(&mut reader, &mut admin, folder, &taken);
    reader.finish(&admin);
    let images = images(&mut reader, &mut top, folder);
    let k3s = k3s(&mut reader, &mut top, folder);
    let publish = publish(&mut reader, &mut top, flake.is_some());
    reader.finish(&top);

    let mut problems = reader.problems;
    problems.sort_by_key(|p| (p.line, p.column));
    match (lans, dhcp, problems.as_slice()) {
        (Ok(lans), Some(dhcp), []) => {
            let config = Config {
                state_dir: or(state_dir, "/var/lib/pxe-appliance"),
                hosts_dir: hosts_dir.map_or_else(|| folder.join(HOSTS), |dir| dir.value),
                flake,
                lans,
                dhcp,
                share_port: beside.share_port,
                allow_second_server: beside.second_server,
                unknown: boot.unknown.value,
                attempts: boot.attempts,
                armed_for: boot.armed_for,
                ipxe_dir: boot.ipxe_dir,
                grub_dir: boot.grub_dir,
                raspberry_pi_dir: boot.raspberry_pi_dir,
                http_port,
                node_port,
                ports: Ports::default(),
                admin_socket,
                admin_listen,
                images,
                k3s,
                publish,
            };
            Ok((config, boot.unknown.at))
        }
        (lans, _, _) => Err(Trouble {
            problems,
            lan: lans.err().flatten(),
            hosts_dir: Some(hosts_dir.map_or_else(|| folder.join(HOSTS), |dir| dir.value)),
        }),
    }
}

/// Which other servers it may stand beside.
struct Beside {
    /// One on this host, which has the port.
    share_port: bool,
    /// One on the LAN, in server mode.
    second_server: bool,
}

/// `[dhcp]`: the mode, which is `None` if it is wrong or cannot be judged without a LAN; and what it may stand beside.
fn dhcp(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    lans: Option<&[Lan]>,
) -> (Option<Dhcp>, Beside) {
    const MODES: [&str; 3] = ["proxy", "server", "off"];

    let mut section = reader.section(top, "dhcp");
    let mode = reader.parsed(&mut section, "mode", |text| {
        let known = MODES.into_iter().find(|m| *m == text);
        known.ok_or_else(|| "is not a mode, expected one of `proxy`, `server`, `off`".to_owned())
    });
    let wrong = mode.is_none() && section.key_span("mode").is_some();
    let share_port = reader.flag(&mut section, "share-port");
    let mut beside = Beside {
        share_port: share_port.is_some_and(|share| share.value),
        second_server: false,
    };
    let settled = match mode.map_or("proxy", |m| m.value) {
        // The other keys cannot be judged without knowing the mode; they are known, though.
        _ if wrong => {
            safety::read(reader, &mut section, &[]);
            server::read(reader, &mut section, &[]);
            None
        }
        "server" => {
            beside.second_server = safety::read(reader, &mut section, lans.unwrap_or_default());
            server::read(reader, &mut section, lans.unwrap_or_default())
        }
        mode => {
            reader.refuse(
                &mut section,
                &[&server::KEYS[..], &safety::KEYS].concat(),
                &format!("has no effect in {mode} mode"),
                "set mode = \"server\", or take the line out",
            );
            Some(match mode {
                "off" => Dhcp::Off,
                _ => Dhcp::Proxy,
            })
        }
    };
    reader.finish(&section);
    (settled, beside)
}

struct Boot {
    unknown: Placed<Unknown>,
    attempts: u32,
    armed_for: Duration,
    ipxe_dir: PathBuf,
    grub_dir: PathBuf,
    raspberry_pi_dir: Option<PathBuf>,
}

fn boot(reader: &mut Reader<'_>, top: &mut Section<'_>, folder: &Path) -> Boot {
    let mut section = reader.section(top, "boot");
    let unknown = reader.parsed(&mut section, "unknown", values::unknown);
    let attempts = reader.number(&mut section, "attempts", &(1..=100));
    let armed_for = reader.parsed(&mut section, "armed-for", values::duration);
    let ipxe_dir = path(reader, &mut section, "ipxe-dir", folder);
    let grub_dir = path(reader, &mut section, "grub-dir", folder);
    loaders_in(reader, ipxe_dir.as_ref(), loaders::no_ipxe, "ipxe");
    loaders_in(
        reader,
        grub_dir.as_ref(),
        loaders::no_grub,
        "shim-signed grub-efi-amd64-signed",
    );
    let raspberry_pi_dir = path(reader, &mut section, "raspberry-pi-dir", folder);
    let raspberry_pi_dir = raspberry_pi_dir
        .filter(|dir| exists(reader, dir, Kind::Folder))
        .map(|dir| dir.value);
    reader.finish(&section);
    Boot {
        unknown: unknown.unwrap_or(Placed {
            value: Unknown::Ignore,
            at: 0..0,
        }),
        attempts: attempts.map_or(3, |n| n.value),
        armed_for: armed_for.map_or(24 * values::HOUR, |d| d.value),
        ipxe_dir: or(ipxe_dir, "/usr/lib/ipxe"),
        grub_dir: or(grub_dir, "/usr/lib/grub"),
        raspberry_pi_dir,
    }
}

/// A folder that was named for its loaders must have one. `packages` are Debian's.
fn loaders_in(
    reader: &mut Reader<'_>,
    dir: Option<&Placed<PathBuf>>,
    lack: fn(&Path) -> Option<String>,
    packages: &str,
) {
    if let Some(dir) = dir
        && exists(reader, dir, Kind::Folder)
        && let Some(wanted) = lack(&dir.value)
    {
        let message = format!("`{}` has none of {wanted}", dir.value.display());
        let tip = format!("on Debian: apt install {packages}");
        reader.problem_with_tip(&dir.at, message, tip);
    }
}

fn http(reader: &mut Reader<'_>, top: &mut Section<'_>) -> (u16, u16) {
    let mut section = reader.section(top, "http");
    let [port, node_port] = ["port", "node-port"].map(|key| {
        let port = reader.number(&mut section, key, &(0..=65535))?;
        let value = u16::try_from(port.value).unwrap_or(0);
        Some(Placed { value, at: port.at })
    });
    reader.finish(&section);
    let numbers = (
        port.as_ref().map_or(8080, |p| p.value),
        node_port.as_ref().map_or(8443, |p| p.value),
    );
    if numbers.0 == numbers.1 && numbers.0 != 0 {
        let at = node_port.or(port).map_or(0..0, |p| p.at);
        let message = format!("`port` and `node-port` are both {}", numbers.0);
        reader.problem(&at, message);
    }
    numbers
}

fn admin_socket(reader: &mut Reader<'_>, section: &mut Section<'_>, folder: &Path) -> PathBuf {
    // sun_path of unix(7) has 108 octets, one of them the NUL.
    const LONGEST: usize = 107;

    let socket = path(reader, section, "socket", folder);
    if let Some(socket) = &socket {
        let length = socket.value.as_os_str().len();
        if length > LONGEST {
            let message = format!("has {length} characters; a socket's path has at most {LONGEST}");
            reader.problem(&socket.at, message);
        }
    }
    or(socket, "/run/pxe-appliance/admin.sock")
}

/// `taken` are the TCP ports of the LANs, and the keys that name them.
fn admin_listen(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    folder: &Path,
    taken: &[(&str, u16)],
) -> Option<AdminListen> {
    let listen = reader.parsed(section, "listen", values::listen);
    if section.key_span("listen").is_none() {
        let tip = "write listen = \"10.77.0.1:8444\", or take the line out";
        reader.refuse(
            section,
            &["token-file"],
            "has no effect without `listen`",
            tip,
        );
        return None;
    }
    // It is made if it is not there, so all that can be wrong with it now is its kind.
    let token_file = path(reader, section, "token-file", folder);
    let token_file =
        token_file.filter(|file| !file.value.exists() || exists(reader, file, Kind::File));
    let Placed { value: address, at } = listen?;
    for (key, port) in taken {
        if *port == address.port() && *port != 0 {
            reader.problem(&at, format!("port {port} is that of `{key}`"));
        }
    }
    Some(AdminListen {
        address,
        token_file: token_file.map(|file| file.value),
    })
}

fn images(reader: &mut Reader<'_>, top: &mut Section<'_>, folder: &Path) -> Vec<InstallerImage> {
    let all = reader.section(top, "images");
    let mut images: Vec<InstallerImage> = Vec::new();
    for (name, mut section) in reader.sections(&all) {
        if let Err(why) = values::image_name(name.value) {
            reader.problem(&name.at, format!("the image's name {why}"));
        }
        let files = ["kernel", "initrd"].map(|key| {
            let file = path(reader, &mut section, key, folder)?;
            exists(reader, &file, Kind::File).then_some(file.value)
        });
        let cmdline = reader.parsed(&mut section, "cmdline", values::cmdline);
        let arch = reader.parsed(&mut section, "arch", values::arch);
        for key in ["kernel", "initrd", "arch"] {
            if section.key_span(key).is_none() {
                let message = format!("the image `{}` has no `{key}`", name.value);
                reader.problem(&name.at, message);
            }
        }
        reader.finish(&section);
        let ([Some(kernel), Some(initrd)], Some(arch)) = (files, arch) else {
            continue;
        };
        if let Some(other) = images.iter().find(|i| i.image.arch == arch.value) {
            let message = format!(
                "the image `{}` is for `{}` already; there is one per architecture",
                other.image.name, arch.value
            );
            reader.problem(&arch.at, message);
        }
        images.push(InstallerImage {
            kernel,
            initrd,
            image: Image {
                name: name.value.to_owned(),
                arch: arch.value,
                cmdline: cmdline.map_or_else(String::new, |c| c.value),
            },
        });
    }
    images
}

fn k3s(reader: &mut Reader<'_>, top: &mut Section<'_>, folder: &Path) -> K3sConfig {
    let mut section = reader.section(top, "k3s");
    let server = reader.parsed(&mut section, "server", values::cluster);
    let [token_file, agent_token_file] = ["token-file", "agent-token-file"].map(|key| {
        let file = path(reader, &mut section, key, folder)?;
        exists(reader, &file, Kind::File).then_some(file.value)
    });
    // The cluster makes this one, so it may come later than the appliance.
    let api_token_file = path(reader, &mut section, "api-token-file", folder);
    reader.finish(&section);
    K3sConfig {
        server: server.map(|s| s.value),
        token_file,
        agent_token_file,
        api_token_file: api_token_file.map(|f| f.value),
    }
}

fn publish(reader: &mut Reader<'_>, top: &mut Section<'_>, flake: bool) -> Publishing {
    // Whoever keeps the repository is asked each time.
    const SHORTEST: Duration = Duration::from_secs(10);

    let mut section = reader.section(top, "publish");
    let keep = reader.number(&mut section, "keep", &(1..=1000));
    let watch = reader.parsed(&mut section, "watch", values::duration);
    if let Some(watch) = &watch {
        if watch.value < SHORTEST {
            reader.problem(&watch.at, "is shorter than ten seconds");
        }
        // One that is there and wrong was told of already.
        if !flake && top.key_span("flake").is_none() {
            reader.problem_with_tip(
                &watch.at,
                "`watch` follows the flake, and `flake` is not set",
                "write at the top of the file, such as flake = \"git+https://example.org/lab\"",
            );
        }
    }
    reader.finish(&section);
    let default = Publishing::default();
    Publishing {
        keep: keep.map_or(default.keep, |n| n.value),
        watch: watch.map(|d| d.value),
    }
}

fn path(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    key: &'static str,
    folder: &Path,
) -> Option<Placed<PathBuf>> {
    reader.parsed(section, key, |text| {
        if text.is_empty() || text.contains('\0') {
            Err("is not a path".to_owned())
        } else {
            Ok(folder.join(text))
        }
    })
}

/// A flake URL as it is; a path made absolute, because `pxe-admin` runs elsewhere.
fn flake(reader: &mut Reader<'_>, top: &mut Section<'_>, folder: &Path) -> Option<String> {
    let written = reader.parsed(top, "flake", values::flake)?;
    // Not in `values`: what is wrong with a value is told with the value.
    if let Some(tip) = values::credentials(&written.value) {
        let message = "holds credentials, and a flake's URL is in the log, in events and in what `pxe-admin` prints";
        reader.problem_with_tip(&written.at, message, tip);
        return None;
    }
    if values::is_url(&written.value) {
        return Some(written.value);
    }
    let path = std::path::absolute(folder.join(&written.value));
    let path = Placed {
        value: path.unwrap_or_else(|_| folder.join(&written.value)),
        at: written.at,
    };
    exists(reader, &path, Kind::Folder).then(|| path.value.display().to_string())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

fn exists(reader: &mut Reader<'_>, path: &Placed<PathBuf>, kind: Kind) -> bool {
    let shown = path.value.display();
    let message = match (std::fs::metadata(&path.value), kind) {
        (Ok(is), Kind::File) if is.is_file() => return true,
        (Ok(is), Kind::Folder) if is.is_dir() => return true,
        (Ok(_), Kind::File) => format!("`{shown}` is not a file"),
        (Ok(_), Kind::Folder) => format!("`{shown}` is not a folder"),
        (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("`{shown}` does not exist")
        }
        (Err(error), _) => format!("`{shown}` cannot be read: {error}"),
    };
    reader.problem(&path.at, message);
    false
}

fn or(path: Option<Placed<PathBuf>>, default: &str) -> PathBuf {
    path.map_or_else(|| PathBuf::from(default), |p| p.value)
}
