//! `[http]`: the TCP ports that machines ask.

use netboot::base::toml_reader::{Placed, Reader, Section};

/// `port` and `node-port`.
pub(super) fn read(reader: &mut Reader<'_>, top: &mut Section<'_>) -> (u16, u16) {
    let mut section = top.section(reader, "http");
    let [port, node_port] = ["port", "node-port"].map(|key| {
        let port = section.number(reader, key, &(0..=65535))?;
        let value = u16::try_from(port.value).unwrap_or(0);
        Some(Placed { value, at: port.at })
    });
    section.finish(reader);
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
