//! The steps of an install, one file for each.

pub(crate) mod boot_loader;
pub(crate) mod boot_order;
pub(crate) mod claim;
pub(crate) mod configure;
pub(crate) mod copy;
pub(crate) mod format;
pub(crate) mod mount;
pub(crate) mod partition;
pub(crate) mod plan;
pub(crate) mod script;
pub(crate) mod tear_down;
pub(crate) mod unmount;

use crate::access::{ReadAccess, ReadCommand, look};

/// Lets udev catch up. An installer without udev does not wait.
pub(crate) fn settle(access: &mut dyn ReadAccess) {
    match look(access, &ReadCommand::settled()) {
        Err(error) if !error.absent => access.say(&format!("  warning: {error}")),
        _ => {}
    }
}
