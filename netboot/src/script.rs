//! The decision → an iPXE script. Nothing secret goes in: anybody on the LAN can read it.

use crate::decide::Address;
use crate::mac::Mac;
use crate::token::Ticket;

/// What the script boots: `images.<name>` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub name: String,
    pub arch: String,
    pub cmdline: String,
}

/// Boots the installer with its ticket.
pub fn installer(
    address: &Address,
    mac: Mac,
    title: &str,
    image: &Image,
    ticket: &Ticket,
) -> String {
    let _ = (address, mac, title, image, ticket);
    unimplemented!()
}

/// Leaves to the disk, saying why.
pub fn disk(why: &str) -> String {
    let _ = why;
    unimplemented!()
}

/// Tells a stranger's owner how to enroll it, asks again, and boots the disk after a time.
pub fn wait(address: &Address, mac: Mac) -> String {
    let _ = (address, mac);
    unimplemented!()
}
