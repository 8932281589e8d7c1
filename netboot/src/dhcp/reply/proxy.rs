//! Beside a home router: an offer without an address on port 67, the boot file once more on port 4011.

use dhcproto::v4::MessageType;

use super::{
    AnswerError, BootFile, DhcpReply, ReplyBuilder, ReplyTo, class, name_boot_file,
    raspberry_pi_menu, relay_or, take_it_from_here,
};
use crate::base::address::ApplianceAddress;
use crate::base::arch::Arch;
use crate::dhcp::offer_fallback::OfferForm;
use crate::dhcp::request::{BootClient, NetbootRequest, Request};

/// Port 67: an offer without an address.
///
/// BIOS ROMs take the boot file out of the offer when option 43 says so. UEFI must not see option 43: trees of EDK2
/// from 2014 to 2017 drop an offer that has it (tianocore/edk2#6944); without it the firmware comes again on port 4011.
/// [`OfferForm::Turned`] is for ROMs that want it the other way round.
///
/// # Errors
/// The answer cannot be written.
pub fn proxy_offer(
    request: &Request,
    boot: NetbootRequest,
    file: &BootFile,
    form: OfferForm,
    address: &ApplianceAddress,
) -> Result<DhcpReply, AnswerError> {
    let mut reply = ReplyBuilder::new(request, MessageType::Offer, address.ip);
    reply.require(class(boot));
    name_boot_file(&mut reply, file, form, address);
    match (
        boot.client,
        boot.arch == Arch::Bios,
        form == OfferForm::Turned,
    ) {
        (BootClient::RaspberryPi, ..) => reply.require(raspberry_pi_menu()),
        (BootClient::Pxe, true, false) | (BootClient::Pxe, false, true) => {
            reply.require(take_it_from_here());
        }
        _ => {}
    }
    Ok(DhcpReply {
        bytes: reply.finish()?,
        to: relay_or(request, ReplyTo::Broadcast),
        given: format!("offered {}{}", file.log_name(), form.log_suffix()),
    })
}

/// Port 4011: the boot file, acknowledged to the sender. EDK2 asks from port 4011, BIOS ROMs from 68.
///
/// # Errors
/// The answer cannot be written.
pub fn binl_ack(
    request: &Request,
    boot: NetbootRequest,
    file: &BootFile,
    form: OfferForm,
    address: &ApplianceAddress,
) -> Result<DhcpReply, AnswerError> {
    let mut reply = ReplyBuilder::new(request, MessageType::Ack, address.ip);
    reply.ciaddr(request.ciaddr);
    reply.require(class(boot));
    name_boot_file(&mut reply, file, form, address);
    Ok(DhcpReply {
        bytes: reply.finish()?,
        to: ReplyTo::Sender,
        given: format!("named {} on 4011", file.log_name()),
    })
}
