//! Server mode is refused where it would do harm, unless the configuration says that it is meant.

use netboot::base::toml_reader::{Reader, Section};

use crate::net::Lan;

/// The keys that mean something in server mode only.
pub(super) const KEYS: [&str; 3] = ["allow-second-server", "allow-wifi", "allow-default-route"];

/// Whether it may start beside another DHCP server. Reports an interface that no machine boots from, or that
/// another server's network is behind.
pub(super) fn read(reader: &mut Reader<'_>, section: &mut Section<'_>, lans: &[Lan]) -> bool {
    let [second_server, wifi, default_route] = KEYS.map(|key| {
        let flag = section.flag(reader, key);
        flag.is_some_and(|allowed| allowed.value)
    });
    let at = section.key_span("mode").unwrap_or_default();
    for lan in lans {
        let name = &lan.interface;
        if lan.wireless && !wifi {
            let message =
                format!("`{name}` is Wi-Fi: machines do not boot over it, phones are on it");
            let tip = "serve an Ethernet interface, or if it is meant: allow-wifi = true";
            reader.problem_with_tip(&at, message, tip);
        }
        if lan.default_route && !default_route {
            let message = format!(
                "`{name}` has the default route: what is behind it usually hands out addresses already"
            );
            let tip = "set mode = \"proxy\", or if this LAN has no other DHCP server: allow-default-route = true";
            reader.problem_with_tip(&at, message, tip);
        }
    }
    second_server
}
