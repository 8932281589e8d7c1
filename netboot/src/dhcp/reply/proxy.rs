//! Beside a home router: an offer without an address on port 67, the boot file once more on port 4011.

use dhcproto::v4::MessageType;

use super::{
    Answer, AnswerError, BootFile, Sheet, To, class, name_boot_file, raspberry_pi_menu, relay_or,
    take_it_from_here,
};
use crate::base::address::Address;
use crate::base::arch::Arch;
use crate::dhcp::offer_fallback::Form;
use crate::dhcp::request::{Boot, Client, Request};

/// Port 67: an offer without an address.
///
/// BIOS ROMs take the boot file out of the offer when option 43 says so. UEFI must not see option 43: trees of EDK2
/// from 2014 to 2017 drop an offer that has it (tianocore/edk2#6944); without it the firmware comes again on port 4011.
/// [`Form::Turned`] is for ROMs that want it the other way round.
///
/// # Errors
/// The answer cannot be written.
pub fn proxy_offer(
    request: &Request,
    boot: Boot,
    file: &BootFile,
    form: Form,
    address: &Address,
) -> Result<Answer, AnswerError> {
    let mut sheet = Sheet::new(request, MessageType::Offer, address.ip);
    sheet.require(class(boot));
    name_boot_file(&mut sheet, file, form, address);
    match (boot.client, boot.arch == Arch::Bios, form == Form::Turned) {
        (Client::RaspberryPi, ..) => sheet.require(raspberry_pi_menu()),
        (Client::Pxe, true, false) | (Client::Pxe, false, true) => {
            sheet.require(take_it_from_here());
        }
        _ => {}
    }
    Ok(Answer {
        bytes: sheet.finish()?,
        to: relay_or(request, To::Broadcast),
        given: format!("offered {}{}", file.log_name(), form.log_suffix()),
    })
}

/// Port 4011: the boot file, acknowledged to the sender. EDK2 asks from port 4011, BIOS ROMs from 68.
///
/// # Errors
/// The answer cannot be written.
pub fn binl_ack(
    request: &Request,
    boot: Boot,
    file: &BootFile,
    form: Form,
    address: &Address,
) -> Result<Answer, AnswerError> {
    let mut sheet = Sheet::new(request, MessageType::Ack, address.ip);
    sheet.ciaddr(request.ciaddr);
    sheet.require(class(boot));
    name_boot_file(&mut sheet, file, form, address);
    Ok(Answer {
        bytes: sheet.finish()?,
        to: To::Sender,
        given: format!("named {} on 4011", file.log_name()),
    })
}
