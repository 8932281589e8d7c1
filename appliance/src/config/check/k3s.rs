//! `[k3s]`: the cluster that nodes join.

use std::path::Path;

use netboot::base::toml_reader::{Reader, Section};

use super::paths::{PathKind, exists, path};
use crate::config::{K3sConfig, values};

pub(super) fn read(reader: &mut Reader<'_>, top: &mut Section<'_>, folder: &Path) -> K3sConfig {
    let mut section = top.section(reader, "k3s");
    let server = section.parsed(reader, "server", values::cluster);
    let [token_file, agent_token_file] = ["token-file", "agent-token-file"].map(|key| {
        let file = path(reader, &mut section, key, folder)?;
        exists(reader, &file, PathKind::File).then_some(file.value)
    });
    // The cluster makes this one, so it may come later than the appliance.
    let api_token_file = path(reader, &mut section, "api-token-file", folder);
    section.finish(reader);
    K3sConfig {
        server: server.map(|s| s.value),
        token_file,
        agent_token_file,
        api_token_file: api_token_file.map(|f| f.value),
    }
}
