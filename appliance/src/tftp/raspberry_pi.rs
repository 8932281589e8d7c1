//! The files of a Raspberry Pi's own firmware, from `boot.raspberry-pi-dir`.

use netboot::dhcp::request::is_raspberry_pi_card;
use netboot::machine::decide::Decision;
use netboot_tftp::FileContent;

use super::service::BootFiles;

/// `name` is one of the firmware's, as `netboot::tftp::path` knows them. A link that leads out of the folder leads nowhere.
///
/// # Errors
/// The reason for the log.
pub(super) fn firmware(boot: &BootFiles, name: &str) -> Result<FileContent, String> {
    let folder = boot.raspberry_pi_dir.as_ref();
    let folder = folder.ok_or("`boot.raspberry-pi-dir` is not set")?;
    let opened = folder.canonicalize().and_then(|folder| {
        let file = folder.join(name).canonicalize()?;
        if file.starts_with(&folder) {
            FileContent::on_disk(&file)
        } else {
            Err(std::io::Error::other(
                "a link out of `boot.raspberry-pi-dir`",
            ))
        }
    });
    opened.map_err(|error| format!("cannot open the firmware's `{name}`: {error}"))
}

/// The second stage of a Pi 3 and older, which ask for it before they say who they are: there as long as some board is to
/// be installed.
pub(super) fn bootcode(boot: &BootFiles) -> Result<FileContent, String> {
    let state = boot.store.state();
    let mut boards = state
        .machines
        .values()
        .filter(|m| m.macs.iter().copied().any(is_raspberry_pi_card));
    if !boards.any(|board| boot.decisions.image_decision(board.id) == Decision::Install) {
        return Err("no Raspberry Pi is to be installed".to_owned());
    }
    firmware(boot, "bootcode.bin")
}
