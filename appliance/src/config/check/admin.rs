//! `[admin]`: where operators are listened to.

use std::path::{Path, PathBuf};

use netboot::base::toml_reader::{Placed, Reader, Section};

use super::paths::{PathKind, exists, or, path};
use crate::config::{AdminListen, values};

/// `taken` are the TCP ports of the LANs, and the keys that name them.
pub(super) fn read(
    reader: &mut Reader<'_>,
    top: &mut Section<'_>,
    folder: &Path,
    taken: &[(&str, u16)],
) -> (PathBuf, Option<AdminListen>) {
    let mut section = top.section(reader, "admin");
    let socket = socket(reader, &mut section, folder);
    let listen = listen(reader, &mut section, folder, taken);
    section.finish(reader);
    (socket, listen)
}

fn socket(reader: &mut Reader<'_>, section: &mut Section<'_>, folder: &Path) -> PathBuf {
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

/// The door on the network, if there is one.
fn listen(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    folder: &Path,
    taken: &[(&str, u16)],
) -> Option<AdminListen> {
    let address = section.parsed(reader, "listen", values::listen);
    if !section.has("listen") {
        let tip = "write listen = \"10.77.0.1:8444\", or take the line out";
        section.refuse(
            reader,
            [("token-file", tip)],
            "has no effect without `listen`",
        );
        return None;
    }
    // The service makes the file if it is absent, so only its type can be wrong now.
    let token_file = path(reader, section, "token-file", folder);
    let token_file =
        token_file.filter(|file| !file.value.exists() || exists(reader, file, PathKind::File));
    let Placed { value: address, at } = address?;
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
